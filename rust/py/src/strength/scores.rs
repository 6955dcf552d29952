//! Scores that need no likelihood.

use gustibus_core::Stop;
use gustibus_core::strength as core;
use pyo3::prelude::*;

use super::{Cells, Column, Limits, give_fit, options, slice};
use crate::arrays::{Array1, give};
use crate::errors::to_python;
use crate::running::interruptible;

/// Log strengths by a Markov chain from losers to winners.
#[pyfunction]
#[pyo3(signature = (cells, chain, alpha, tie, disconnected, limits, threads))]
pub(crate) fn stationary_strengths<'py>(
    py: Python<'py>,
    cells: &Cells,
    chain: &str,
    alpha: f64,
    tie: f64,
    disconnected: &str,
    limits: Limits,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyAny>> {
    let options = options(("newton", disconnected), tie, (0.0, 0.0, 0.0), limits, threads)?;
    let chain = core::Chain::parse(chain).map_err(|error| to_python(&error))?;
    let walk = |stop: Stop<'_>| core::stationary(&cells.table, chain, alpha, options, stop);
    let fit = interruptible(py, None, walk)?;
    give_fit(py, fit, &[])
}

/// Scores that need no likelihood.
#[pyfunction]
#[pyo3(signature = (cells, rule, win, tie, damping, limits))]
pub(crate) fn score_comparisons<'py>(
    py: Python<'py>,
    cells: &Cells,
    rule: &str,
    win: f64,
    tie: f64,
    damping: f64,
    limits: Limits,
) -> PyResult<Bound<'py, PyAny>> {
    let (tolerance, max_iter) = limits;
    let options = core::ScoreOptions { win, tie, damping, tolerance, max_iter };
    let scores = interruptible(py, None, |stop| core::score(&cells.table, rule, options, stop))?;
    let m = scores.scores.len();
    let out = (give(py, scores.scores, [m])?, scores.iterations, scores.converged);
    Ok(out.into_pyobject(py)?.into_any())
}

/// Elo's ratings after all rows; `constants` are initial rating, base, scale, k and the score of a tie.
#[pyfunction]
#[pyo3(signature = (a, b, outcomes, weights, items, start, constants))]
pub(crate) fn elo_ratings<'py>(
    py: Python<'py>,
    a: Column<'py>,
    b: Column<'py>,
    outcomes: Option<Array1<'py, u8>>,
    weights: Option<Array1<'py, f64>>,
    items: usize,
    start: Option<Array1<'py, f64>>,
    constants: (f64, f64, f64, f64, f64),
) -> PyResult<Bound<'py, PyAny>> {
    let rows = core::Rows {
        a: a.ids("winners")?,
        b: b.ids("losers")?,
        outcomes: outcomes.as_ref().map(|o| slice("outcomes", o)).transpose()?,
        weights: weights.as_ref().map(|w| slice("weights", w)).transpose()?,
    };
    let start = start.map(|s| slice("start", &s).map(<[f64]>::to_vec)).transpose()?;
    let (initial, base, scale, k, tie) = constants;
    let options = core::EloOptions { initial, base, scale, k, tie };
    let ratings =
        interruptible(py, None, |stop| core::elo(rows, items, start.as_deref(), options, stop))?;
    give(py, ratings, [items])
}
