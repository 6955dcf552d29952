//! Optima in hindsight.

use gustibus_core::matching::offline as core;
use gustibus_core::{Error, Result, Stop};
use numpy::{IntoPyArray, PyUntypedArrayMethods};
use pyo3::prelude::*;

use super::arrays::{OwnedRows, copy_numbers};
use crate::arrays::{Array1, Array2};
use crate::errors::to_python;
use crate::running::interruptible;

type Any<'py> = Bound<'py, PyAny>;
type Matched<'py> = (Any<'py>, f64, Any<'py>, Any<'py>);

fn give(py: Python<'_>, matching: core::BMatching) -> Matched<'_> {
    (
        matching.item_of.into_pyarray(py).into_any(),
        matching.value,
        matching.price.into_pyarray(py).into_any(),
        matching.profit.into_pyarray(py).into_any(),
    )
}

/// A b-matching by one of three methods, `cardinality`, `items` (a weight per item) or `edges`.
#[pyfunction]
#[pyo3(signature = (method, indptr, items, values, capacity, weights))]
pub(crate) fn b_matching<'py>(
    py: Python<'py>,
    method: &str,
    indptr: Array1<'py, i64>,
    items: &Any<'py>,
    values: Option<&Any<'py>>,
    capacity: &Any<'py>,
    weights: Option<&Any<'py>>,
) -> PyResult<Matched<'py>> {
    let owned = OwnedRows::copy(&indptr, items, values, None)?;
    let capacity = copy_numbers("capacity", capacity)?;
    let weights = weights.map(|weights| copy_numbers("weight", weights)).transpose()?;
    let matching = interruptible(py, None, |stop: Stop<'_>| -> Result<_> {
        let rows = owned.rows(capacity.len())?;
        match (method, &weights) {
            ("cardinality", _) => core::max_matching(&rows, &capacity, stop),
            ("items", Some(weights)) => core::vertex_weighted(&rows, &capacity, weights, stop),
            ("edges", _) => core::max_weight_b_matching(&rows, &capacity, stop),
            _ => Err(Error::range("method", "cardinality, items with weights, or edges", method)),
        }
    })?;
    Ok(give(py, matching))
}

/// The optimum after every arrival, and the matching after the last.
#[pyfunction]
#[pyo3(signature = (indptr, items, values, capacity))]
pub(crate) fn hindsight<'py>(
    py: Python<'py>,
    indptr: Array1<'py, i64>,
    items: &Any<'py>,
    values: Option<&Any<'py>>,
    capacity: &Any<'py>,
) -> PyResult<(Any<'py>, Matched<'py>)> {
    let owned = OwnedRows::copy(&indptr, items, values, None)?;
    let capacity = copy_numbers("capacity", capacity)?;
    let (values, matching) = interruptible(py, None, |stop| {
        core::hindsight(&owned.rows(capacity.len())?, &capacity, stop)
    })?;
    Ok((values.into_pyarray(py).into_any(), give(py, matching)))
}

/// A dense assignment of least cost.
///
/// The matrix is read where it lies, not copied: at 5,000 rows a copy takes as long as a third of the
/// solution. Nobody may write to it meanwhile; a writer would get an undefined assignment.
#[pyfunction]
pub(crate) fn assignment<'py>(py: Python<'py>, cost: &Any<'py>) -> PyResult<Matched<'py>> {
    let solved = if let Ok(cost) = cost.extract::<Array2<'_, f64>>() {
        solve(py, &cost)?
    } else if let Ok(cost) = cost.extract::<Array2<'_, f32>>() {
        solve(py, &cost)?
    } else {
        let expected = "two dimensions of float32 or float64";
        let got = cost.get_type().to_string();
        return Err(to_python(&Error::range("cost", expected, got)));
    };
    Ok((
        solved.column_of.into_pyarray(py).into_any(),
        solved.cost,
        solved.u.into_pyarray(py).into_any(),
        solved.v.into_pyarray(py).into_any(),
    ))
}

fn solve<T: core::Cost + numpy::Element>(
    py: Python<'_>,
    cost: &Array2<'_, T>,
) -> PyResult<core::Assignment> {
    let (n, m) = (cost.shape()[0], cost.shape()[1]);
    let values = cost.as_slice().map_err(|_| {
        to_python(&Error::range("cost", "an array in row-major order", "other strides"))
    })?;
    interruptible(py, None, |stop| core::assignment(&core::Matrix::new(n, m, values)?, stop))
}
