//! The M step's loss, of `gustibus_core::posterior`.

#![allow(
    clippy::needless_pass_by_value,
    clippy::too_many_arguments,
    reason = "arguments of Python functions arrive by value, in one flat call"
)]

use gustibus_core::posterior as core;
use gustibus_core::{Error, Result};
use numpy::PyUntypedArrayMethods;
use pyo3::prelude::*;

use crate::arrays::{ArrayDyn, Input, Owned, copy, copy_starts, give};
use crate::errors::to_python;
use crate::running::detached;

/// Expected log loss of answers under what is believed of those who gave them.
#[pyclass(frozen, module = "gustibus._core")]
pub(crate) struct ExpectedLoss {
    loss: core::ExpectedLoss,
}

#[pymethods]
impl ExpectedLoss {
    #[new]
    fn new(
        sides: ArrayDyn<'_, i64>,
        target: Input<'_>,
        weight: Input<'_>,
        starts: ArrayDyn<'_, i64>,
        means: Input<'_>,
        covariances: Input<'_>,
        rule: Input<'_>,
    ) -> PyResult<Self> {
        let means = copy("means", &means, 2, "(p, k)")?;
        let rule = copy("rule", &rule, 2, "(nodes, 2)")?;
        let said = (
            copy("target", &target, 1, "(n,)")?.values,
            copy("weight", &weight, 1, "(n,)")?.values,
            copy_starts(&starts)?,
        );
        let believed = (
            means.values,
            copy("covariances", &covariances, 3, "(p, k, k)")?.values,
            means.shape[1],
        );
        let fail = |error: Error| to_python(&error);
        let sides = copy_sides(&sides).map_err(fail)?;
        let rule = pairs("rule", &rule.shape, &rule.values).map_err(fail)?;
        core::ExpectedLoss::new(sides, said, believed, &rule)
            .map(|loss| Self { loss })
            .map_err(fail)
    }

    /// The loss and its slopes by a table of rewards.
    #[pyo3(signature = (table, threads))]
    fn at<'py>(
        &self,
        py: Python<'py>,
        table: Input<'py>,
        threads: Option<usize>,
    ) -> PyResult<(f64, Bound<'py, PyAny>)> {
        let Owned { shape, values } = copy("table", &table, 2, "(m, k + 1)")?;
        let (loss, slopes) = detached(py, || self.loss.at(&values, threads))?;
        Ok((loss, give(py, slopes, [shape[0], shape[1]])?))
    }
}

/// The items of every answer.
fn copy_sides(sides: &ArrayDyn<'_, i64>) -> Result<Vec<[usize; 2]>> {
    let negative = |got: i64| Error::range("sides", "numbers at or above 0", got);
    let flat: Vec<usize> = sides
        .as_array()
        .iter()
        .map(|item| usize::try_from(*item).map_err(|_| negative(*item)))
        .collect::<Result<_>>()?;
    pairs("sides", sides.shape(), &flat)
}

/// Rows of two numbers.
fn pairs<T: Copy>(name: &'static str, shape: &[usize], values: &[T]) -> Result<Vec<[T; 2]>> {
    match shape {
        [_, 2] => Ok(values.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect()),
        _ => Err(Error::Shape { name, expected: "(n, 2)".to_owned(), got: format!("{shape:?}") }),
    }
}
