//! Auctions for positions.

use gustibus_core::matching::positions as core;
use gustibus_core::{Error, Result};
use numpy::{IntoPyArray, PyUntypedArrayMethods};
use pyo3::prelude::*;

use crate::arrays::{Array1, Array2};
use crate::errors::to_python;
use crate::running::interruptible;

type Any<'py> = Bound<'py, PyAny>;
type Placed<'py> = (Vec<(usize, usize)>, Any<'py>, f64);
/// `uniform`, `exponential` or `discrete` with its numbers.
type LawInput = (String, Vec<f64>, Vec<f64>);

/// The slate of largest value by a method.
#[pyfunction]
#[pyo3(signature = (method, p, phi, most, time_limit))]
pub(crate) fn place_creatives<'py>(
    py: Python<'py>,
    method: &str,
    p: Array2<'py, f64>,
    phi: Array1<'py, f64>,
    most: usize,
    time_limit: Option<f64>,
) -> PyResult<Placed<'py>> {
    let (p, n, m) = copy(&p);
    let phi: Vec<f64> = phi.as_array().iter().copied().collect();
    let placed = interruptible(py, time_limit, |stop| -> Result<_> {
        let slate = core::Slate::new(n, m, &p, most)?;
        match method {
            "mnl" => core::mnl(&slate, &phi, 0.0, stop),
            "cascade" => core::cascade(&slate, &phi, stop),
            "cascade_greedy" => core::cascade_greedy(&slate, &phi, stop),
            "cascade_fixed" => core::cascade_fixed(&slate, &phi, stop),
            "cascade_half" => core::cascade_half(&slate, &phi, stop),
            other => Err(Error::UnknownName {
                kind: "placement method",
                name: other.to_owned(),
                known: vec!["mnl", "cascade", "cascade_greedy", "cascade_fixed", "cascade_half"],
            }),
        }
    })?;
    Ok((placed.pairs, placed.click.into_pyarray(py).into_any(), placed.value))
}

/// A truthful auction: pairs, click chances, value and payments per view.
#[pyfunction]
#[pyo3(signature = (model, p, values, most, laws, time_limit))]
pub(crate) fn position_auction<'py>(
    py: Python<'py>,
    model: &str,
    p: Array2<'py, f64>,
    values: Array1<'py, f64>,
    most: usize,
    laws: Option<Vec<LawInput>>,
    time_limit: Option<f64>,
) -> PyResult<(Placed<'py>, Any<'py>)> {
    let (p, n, m) = copy(&p);
    let values: Vec<f64> = values.as_array().iter().copied().collect();
    let solver = match model {
        "mnl" => core::Solver::Mnl,
        "cascade" => core::Solver::Cascade,
        other => return Err(to_python(&Error::range("model", "mnl or cascade", other))),
    };
    let laws = laws.map(|laws| laws.iter().map(law).collect::<Result<Vec<_>>>()).transpose();
    let laws = laws.map_err(|error| to_python(&error))?;
    let (placed, payments) = interruptible(py, time_limit, |stop| {
        let slate = core::Slate::new(n, m, &p, most)?;
        match &laws {
            None => core::welfare_payments(solver, &slate, &values, stop),
            Some(laws) => core::revenue_payments(solver, &slate, &values, laws, stop),
        }
    })?;
    let click = placed.click.into_pyarray(py).into_any();
    Ok(((placed.pairs, click, placed.value), payments.into_pyarray(py).into_any()))
}

/// Ironed virtual values of finitely many values.
#[pyfunction]
pub(crate) fn ironed_virtual_values<'py>(
    py: Python<'py>,
    values: Array1<'py, f64>,
    probabilities: Array1<'py, f64>,
) -> PyResult<Any<'py>> {
    let values: Vec<f64> = values.as_array().iter().copied().collect();
    let probabilities: Vec<f64> = probabilities.as_array().iter().copied().collect();
    let ironed = core::ironed(&values, &probabilities).map_err(|error| to_python(&error))?;
    Ok(ironed.into_pyarray(py).into_any())
}

fn copy(p: &Array2<'_, f64>) -> (Vec<f64>, usize, usize) {
    (p.as_array().iter().copied().collect(), p.shape()[0], p.shape()[1])
}

fn law((kind, first, second): &LawInput) -> Result<core::Law> {
    match (kind.as_str(), first.as_slice(), second.as_slice()) {
        ("uniform", [low, high], []) => core::Law::uniform(*low, *high),
        ("exponential", [mean], []) => core::Law::exponential(*mean),
        ("discrete", values, probabilities) => core::Law::discrete(values, probabilities),
        _ => Err(Error::range("laws", "uniform, exponential or discrete laws", kind)),
    }
}
