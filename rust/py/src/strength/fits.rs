//! Fits to cells, to win totals and to rows with covariates.

use gustibus_core::Stop;
use gustibus_core::strength as core;
use pyo3::prelude::*;

use super::{Cells, Column, Limits, PriorTuple, give_fit, options, slice};
use crate::arrays::{Array1, ArrayDyn, copy};
use crate::running::interruptible;

/// Strengths by a model of comparisons: Bradley and Terry's, or one with ties.
#[pyfunction]
#[pyo3(signature = (cells, model, method, tie, prior, disconnected, limits, start, threads))]
pub(crate) fn fit_strengths<'py>(
    py: Python<'py>,
    cells: &Cells,
    model: &str,
    method: &str,
    tie: f64,
    prior: PriorTuple,
    disconnected: &str,
    limits: Limits,
    start: Option<Array1<'py, f64>>,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyAny>> {
    let start = start.map(|s| slice("start", &s).map(<[f64]>::to_vec)).transpose()?;
    let options = options((method, disconnected), tie, prior, limits, threads)?;
    let (table, start) = (&cells.table, start.as_deref());
    if model == "bradley_terry" {
        let fit = interruptible(py, None, |stop| core::fit(table, start, options, stop))?;
        return give_fit(py, fit, &[]);
    }
    let fit = |stop: Stop<'_>| core::fit_ties(table, model, start, options, stop);
    let (fit, parameter) = interruptible(py, None, fit)?;
    give_fit(py, fit, &[parameter])
}

/// Strengths from win totals, when every pair met equally often.
#[pyfunction]
#[pyo3(signature = (totals, games, prior, disconnected, limits, threads))]
pub(crate) fn fit_totals<'py>(
    py: Python<'py>,
    totals: ArrayDyn<'py, f64>,
    games: f64,
    prior: PriorTuple,
    disconnected: &str,
    limits: Limits,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyAny>> {
    let options = options(("newton", disconnected), 0.5, prior, limits, threads)?;
    let totals = copy("totals", &totals, 1, "(m,)")?.values;
    let fit = interruptible(py, None, |stop| core::fit_totals(&totals, games, options, stop))?;
    give_fit(py, fit, &[])
}

/// Strengths and coefficients of covariates.
#[pyfunction]
#[pyo3(signature = (a, b, items, target, weight, covariates, prior, ridge, disconnected, limits, threads))]
pub(crate) fn fit_covariates<'py>(
    py: Python<'py>,
    a: Column<'py>,
    b: Column<'py>,
    items: usize,
    target: ArrayDyn<'py, f64>,
    weight: ArrayDyn<'py, f64>,
    covariates: ArrayDyn<'py, f64>,
    prior: PriorTuple,
    ridge: f64,
    disconnected: &str,
    limits: Limits,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyAny>> {
    let options = options(("newton", disconnected), 0.5, prior, limits, threads)?;
    let (a, b) = (a.ids("winners")?, b.ids("losers")?);
    let target = copy("outcomes", &target, 1, "(n,)")?.values;
    let weight = copy("weights", &weight, 1, "(n,)")?.values;
    let x = copy("covariates", &covariates, 2, "(n, q)")?;
    let (fit, beta) = interruptible(py, None, |stop| {
        let outcomes: Vec<u8> = target
            .iter()
            .map(|t| {
                if *t >= 1.0 {
                    core::A
                } else if *t <= 0.0 {
                    core::B
                } else {
                    core::TIE
                }
            })
            .collect();
        let rows = core::Rows { a, b, outcomes: Some(&outcomes), weights: Some(&weight) };
        let table = core::reduce(rows, Some(items), threads)?;
        let components = table.components();
        let width = x.shape[1];
        let rows = core::Covariates::new((a, b), items, target, weight, x.values, width)?;
        core::fit_covariates(&rows, components, ridge, options, stop)
    })?;
    give_fit(py, fit, &beta)
}
