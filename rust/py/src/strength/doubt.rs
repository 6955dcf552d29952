//! How sure strengths are.

use gustibus_core::strength as core;
use pyo3::prelude::*;

use super::rankings::RankingArrays;
use super::{Cells, Column, PriorTuple, slice};
use crate::arrays::{Array1, ArrayDyn, copy, give};
use crate::errors::to_python;
use crate::running::interruptible;

/// Log strengths, component of every item, share of a tie, prior.
pub(super) type FittedTuple<'py> = (ArrayDyn<'py, f64>, Array1<'py, u32>, f64, PriorTuple);

pub(super) struct FittedArrays {
    theta: Vec<f64>,
    component: Vec<u32>,
    tie: f64,
    prior: core::Prior,
}

impl FittedArrays {
    pub(super) fn copy((theta, component, tie, prior): FittedTuple<'_>) -> PyResult<Self> {
        Ok(Self {
            theta: copy("theta", &theta, 1, "(m,)")?.values,
            component: slice("component", &component)?.to_vec(),
            tie,
            prior: core::Prior::new(prior.0, prior.1, prior.2)
                .map_err(|error| to_python(&error))?,
        })
    }

    pub(super) fn fitted(&self) -> core::Fitted<'_> {
        let Self { theta, component, tie, prior } = self;
        core::Fitted { theta, component, tie: *tie, prior: *prior }
    }
}

pub(super) fn trust(robust: bool) -> core::Trust {
    if robust { core::Trust::Sandwich } else { core::Trust::Model }
}

/// Name of a model with ties and its parameter; `None` for Bradley and Terry's.
type TiesTuple = Option<(String, f64)>;

/// Covariance `(m, m)` or `None`, variances and accelerations of log strengths; the latter are 0 for models
/// with ties unless they are asked for.
#[pyfunction]
#[pyo3(signature = (cells, ties, fitted, robust, skewed, seed, threads))]
pub(crate) fn strength_covariance<'py>(
    py: Python<'py>,
    cells: &Cells,
    ties: TiesTuple,
    fitted: FittedTuple<'py>,
    robust: bool,
    skewed: bool,
    seed: u64,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyAny>> {
    let arrays = FittedArrays::copy(fitted)?;
    let table = &cells.table;
    let found = interruptible(py, None, |stop| match &ties {
        None => core::covariance(table, arrays.fitted(), trust(robust), (seed, threads), stop),
        Some((model, parameter)) => {
            let fit = core::TiedFit { model, parameter: *parameter, fitted: arrays.fitted() };
            core::tie_covariance(table, fit, (trust(robust), skewed), (seed, threads), stop)
        }
    })?;
    give_covariance(py, found)
}

pub(super) fn give_covariance(
    py: Python<'_>,
    found: core::Covariance,
) -> PyResult<Bound<'_, PyAny>> {
    let m = found.variances.len();
    let matrix = found.matrix.map(|matrix| give(py, matrix, [m, m])).transpose()?;
    let out = (matrix, give(py, found.variances, [m])?, give(py, found.acceleration, [m])?);
    Ok(out.into_pyobject(py)?.into_any())
}

/// Log strengths of resampled data `(b, m)` and, per item, in how many nothing finite is said.
#[pyfunction]
#[pyo3(signature = (cells, ties, fitted, count, seed, threads))]
pub(crate) fn strength_bootstrap<'py>(
    py: Python<'py>,
    cells: &Cells,
    ties: TiesTuple,
    fitted: FittedTuple<'py>,
    count: usize,
    seed: u64,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyAny>> {
    let arrays = FittedArrays::copy(fitted)?;
    let table = &cells.table;
    let found = interruptible(py, None, |stop| match &ties {
        None => core::bootstrap(table, arrays.fitted(), count, (seed, threads), stop),
        Some((model, parameter)) => {
            let fit = core::TiedFit { model, parameter: *parameter, fitted: arrays.fitted() };
            core::tie_bootstrap(table, fit, count, (seed, threads), stop)
        }
    })?;
    give_bootstrap(py, found, count)
}

fn give_bootstrap(
    py: Python<'_>,
    found: core::Bootstrap,
    count: usize,
) -> PyResult<Bound<'_, PyAny>> {
    let m = found.degenerate.len();
    let out = (give(py, found.replicates, [count, m])?, give(py, found.degenerate, [m])?);
    Ok(out.into_pyobject(py)?.into_any())
}

/// As `strength_covariance`, after rankings.
#[pyfunction]
#[pyo3(signature = (items, starts, chosen, weights, count, fitted, robust, skewed, threads))]
pub(crate) fn ranking_covariance<'py>(
    py: Python<'py>,
    items: Column<'py>,
    starts: Array1<'py, i64>,
    chosen: Option<Array1<'py, u32>>,
    weights: Option<Array1<'py, f64>>,
    count: usize,
    fitted: FittedTuple<'py>,
    robust: bool,
    skewed: bool,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyAny>> {
    let arrays = FittedArrays::copy(fitted)?;
    let given = RankingArrays { items, starts, chosen, weights };
    let view = given.view()?;
    let found = interruptible(py, None, |stop| {
        let kind = (trust(robust), skewed);
        core::ranking_covariance(&view.rankings(count)?, arrays.fitted(), kind, threads, stop)
    })?;
    give_covariance(py, found)
}

/// As `strength_bootstrap`, after rankings.
#[pyfunction]
#[pyo3(signature = (items, starts, chosen, weights, count, fitted, replicates, seed, threads))]
pub(crate) fn ranking_bootstrap<'py>(
    py: Python<'py>,
    items: Column<'py>,
    starts: Array1<'py, i64>,
    chosen: Option<Array1<'py, u32>>,
    weights: Option<Array1<'py, f64>>,
    count: usize,
    fitted: FittedTuple<'py>,
    replicates: usize,
    seed: u64,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyAny>> {
    let arrays = FittedArrays::copy(fitted)?;
    let given = RankingArrays { items, starts, chosen, weights };
    let view = given.view()?;
    let found = interruptible(py, None, |stop| {
        let (rankings, draws) = (view.rankings(count)?, (seed, threads));
        core::ranking_bootstrap(&rankings, arrays.fitted(), replicates, draws, stop)
    })?;
    give_bootstrap(py, found, replicates)
}
