//! Rankings: the Plackett-Luce model and its breaking into comparisons.

use gustibus_core::Result;
use gustibus_core::strength as core;
use pyo3::prelude::*;

use super::doubt::{FittedArrays, FittedTuple, give_covariance, trust};
use super::{Cells, Column, Limits, PriorTuple, give_fit, options, rising, slice};
use crate::arrays::{Array1, Flags1};
use crate::running::interruptible;

/// Strengths from rankings, by the Plackett-Luce model or its spectral estimates.
#[pyfunction]
#[pyo3(signature = (items, starts, chosen, weights, count, method, prior, disconnected, limits, start, threads))]
pub(crate) fn fit_rankings<'py>(
    py: Python<'py>,
    items: Column<'py>,
    starts: Array1<'py, i64>,
    chosen: Option<Array1<'py, u32>>,
    weights: Option<Array1<'py, f64>>,
    count: usize,
    method: &str,
    prior: PriorTuple,
    disconnected: &str,
    limits: Limits,
    start: Option<Array1<'py, f64>>,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyAny>> {
    let start = start.map(|s| slice("start", &s).map(<[f64]>::to_vec)).transpose()?;
    let options = options((method, disconnected), 0.5, prior, limits, threads)?;
    let arrays = RankingArrays { items, starts, chosen, weights };
    let view = arrays.view()?;
    let fit = interruptible(py, None, |stop| {
        core::fit_rankings(&view.rankings(count)?, start.as_deref(), options, stop)
    })?;
    give_fit(py, fit, &[])
}

/// Comparisons that rankings contain: of every chosen item with all that were left, or with the next.
#[pyfunction]
#[pyo3(signature = (items, starts, chosen, weights, count, adjacent))]
pub(crate) fn break_rankings(
    py: Python<'_>,
    items: Column<'_>,
    starts: Array1<'_, i64>,
    chosen: Option<Array1<'_, u32>>,
    weights: Option<Array1<'_, f64>>,
    count: usize,
    adjacent: bool,
) -> PyResult<Cells> {
    let arrays = RankingArrays { items, starts, chosen, weights };
    let view = arrays.view()?;
    let cells = interruptible(py, None, |stop| view.rankings(count)?.broken(adjacent, stop))?;
    Ok(Cells { table: core::Table::Weights(cells) })
}

pub(super) struct RankingArrays<'py> {
    pub(super) items: Column<'py>,
    pub(super) starts: Array1<'py, i64>,
    pub(super) chosen: Option<Array1<'py, u32>>,
    pub(super) weights: Option<Array1<'py, f64>>,
}

pub(super) struct RankingView<'a> {
    items: core::Ids<'a>,
    starts: Vec<usize>,
    chosen: Option<&'a [u32]>,
    weights: Option<&'a [f64]>,
}

impl RankingArrays<'_> {
    pub(super) fn view(&self) -> PyResult<RankingView<'_>> {
        Ok(RankingView {
            items: self.items.ids("rankings")?,
            starts: rising(&self.starts)?,
            chosen: self.chosen.as_ref().map(|c| slice("chosen", c)).transpose()?,
            weights: self.weights.as_ref().map(|w| slice("weights", w)).transpose()?,
        })
    }
}

impl RankingView<'_> {
    pub(super) fn rankings(&self, count: usize) -> Result<core::Rankings> {
        core::Rankings::new(self.items, &self.starts, self.chosen, self.weights, count)
    }

    fn tied(&self, ends: &[bool], count: usize) -> Result<core::TiedRankings> {
        core::TiedRankings::new(self.items, &self.starts, ends, self.weights, count)
    }
}

/// A fit, and the weight of ties of every size.
type WithPrevalence<'py> = (Bound<'py, PyAny>, Vec<(usize, f64)>);

/// Log strengths from rankings with ties, and `(t, delta_t)` of the sizes of ties.
#[pyfunction]
#[pyo3(signature = (items, starts, ends, weights, count, prior, disconnected, limits, start, threads))]
pub(crate) fn fit_tied_rankings<'py>(
    py: Python<'py>,
    items: Column<'py>,
    starts: Array1<'py, i64>,
    ends: Flags1<'py>,
    weights: Option<Array1<'py, f64>>,
    count: usize,
    prior: PriorTuple,
    disconnected: &str,
    limits: Limits,
    start: Option<Array1<'py, f64>>,
    threads: Option<usize>,
) -> PyResult<WithPrevalence<'py>> {
    let start = start.map(|s| slice("start", &s).map(<[f64]>::to_vec)).transpose()?;
    let options = options(("newton", disconnected), 0.5, prior, limits, threads)?;
    let arrays = RankingArrays { items, starts, chosen: None, weights };
    let (view, ends) = (arrays.view()?, ends.all());
    let (fit, weights) = interruptible(py, None, |stop| {
        core::fit_tied_rankings(&view.tied(&ends, count)?, start.as_deref(), options, stop)
    })?;
    Ok((give_fit(py, fit, &[])?, weights))
}

/// As `ranking_covariance`, after rankings with ties.
#[pyfunction]
#[pyo3(signature = (items, starts, ends, weights, count, fitted, prevalence, robust, threads))]
pub(crate) fn tied_ranking_covariance<'py>(
    py: Python<'py>,
    items: Column<'py>,
    starts: Array1<'py, i64>,
    ends: Flags1<'py>,
    weights: Option<Array1<'py, f64>>,
    count: usize,
    fitted: FittedTuple<'py>,
    prevalence: Vec<(usize, f64)>,
    robust: bool,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyAny>> {
    let fitted = FittedArrays::copy(fitted)?;
    let arrays = RankingArrays { items, starts, chosen: None, weights };
    let (view, ends) = (arrays.view()?, ends.all());
    let found = interruptible(py, None, |stop| {
        let (rankings, trust) = (view.tied(&ends, count)?, trust(robust));
        core::tied_ranking_covariance(&rankings, fitted.fitted(), &prevalence, trust, threads, stop)
    })?;
    give_covariance(py, found)
}
