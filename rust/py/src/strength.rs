//! Functions of `gustibus_core::strength`.
//!
//! Columns of comparisons may be long, so they are read in place while the lock is released: every
//! number is checked where it is used, and a column that another thread writes to meanwhile gives
//! unknown sums but nothing worse.

#![allow(
    clippy::needless_pass_by_value,
    clippy::too_many_arguments,
    reason = "arguments of Python functions arrive by value, in one flat call"
)]

mod cells;
mod doubt;
mod fits;
mod intern;
mod rankings;
mod scores;

use gustibus_core::strength as core;
use gustibus_core::{Error, Result};
use pyo3::prelude::*;

use crate::arrays::{Array1, give};
use crate::errors::to_python;

pub(crate) use cells::{Cells, reduce_comparisons};
pub(crate) use doubt::{
    ranking_bootstrap, ranking_covariance, strength_bootstrap, strength_covariance,
};
pub(crate) use fits::{fit_covariates, fit_strengths, fit_totals};
pub(crate) use intern::intern_strings;
pub(crate) use rankings::{
    break_rankings, fit_rankings, fit_tied_rankings, tied_ranking_covariance,
};
pub(crate) use scores::{elo_ratings, score_comparisons, stationary_strengths};

/// A column of item numbers.
#[derive(FromPyObject)]
pub(crate) enum Column<'py> {
    I64(Array1<'py, i64>),
    I32(Array1<'py, i32>),
    U32(Array1<'py, u32>),
    U64(Array1<'py, u64>),
    U16(Array1<'py, u16>),
    I16(Array1<'py, i16>),
    U8(Array1<'py, u8>),
}

/// An array as a slice; it has to be contiguous.
fn slice<'a, T: numpy::Element>(name: &'static str, array: &'a Array1<'_, T>) -> PyResult<&'a [T]> {
    let wrong = |_| to_python(&Error::range(name, "a contiguous array", "strides"));
    array.as_slice().map_err(wrong)
}

impl Column<'_> {
    fn ids(&self, name: &'static str) -> PyResult<core::Ids<'_>> {
        Ok(match self {
            Self::I64(a) => core::Ids::I64(slice(name, a)?),
            Self::I32(a) => core::Ids::I32(slice(name, a)?),
            Self::U32(a) => core::Ids::U32(slice(name, a)?),
            Self::U64(a) => core::Ids::U64(slice(name, a)?),
            Self::U16(a) => core::Ids::U16(slice(name, a)?),
            Self::I16(a) => core::Ids::I16(slice(name, a)?),
            Self::U8(a) => core::Ids::U8(slice(name, a)?),
        })
    }
}

/// What is added to the log-likelihood: `l2`, `opponent`, `gamma`.
type PriorTuple = (f64, f64, f64);

/// Tolerance of the gradient and most iterations.
type Limits = (f64, usize);

/// Starts as indices.
fn rising(starts: &Array1<'_, i64>) -> PyResult<Vec<usize>> {
    let wrong = |got: i64| to_python(&Error::range("starts", "numbers of at least 0", got));
    slice("starts", starts)?.iter().map(|s| usize::try_from(*s).map_err(|_| wrong(*s))).collect()
}

fn options(
    (method, disconnected): (&str, &str),
    tie: f64,
    prior: PriorTuple,
    (gradient, iterations): Limits,
    threads: Option<usize>,
) -> PyResult<core::Options> {
    let parse = || -> Result<core::Options> {
        Ok(core::Options {
            method: core::Method::parse(method)?,
            tie,
            prior: core::Prior::new(prior.0, prior.1, prior.2)?,
            disconnected: core::Disconnected::parse(disconnected)?,
            tolerance: core::Tolerance { gradient, iterations },
            threads,
        })
    };
    parse().map_err(|error| to_python(&error))
}

fn give_fit<'py>(py: Python<'py>, fit: core::Fit, extras: &[f64]) -> PyResult<Bound<'py, PyAny>> {
    let m = fit.theta.len();
    let arcs: Vec<u32> = fit.components.arcs.iter().flat_map(|(a, b)| [*a, *b]).collect();
    let count = arcs.len() / 2;
    let out = (
        give(py, fit.theta, [m])?,
        give(py, fit.components.of, [m])?,
        give(py, arcs, [count, 2])?,
        fit.regularised,
        fit.iterations,
        fit.converged,
        fit.gradient,
        fit.log_likelihood,
        give(py, extras.to_vec(), [extras.len()])?,
    );
    Ok(out.into_pyobject(py)?.into_any())
}
