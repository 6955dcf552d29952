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

use gustibus_core::strength as core;
use gustibus_core::{Error, Result, Stop};
use numpy::{PyReadonlyArray1, PyReadonlyArrayDyn};
use pyo3::prelude::*;

use crate::arrays::{copy, give};
use crate::errors::to_python;
use crate::running::{detached, interruptible};

/// A column of item numbers.
#[derive(FromPyObject)]
pub(crate) enum Column<'py> {
    I64(PyReadonlyArray1<'py, i64>),
    I32(PyReadonlyArray1<'py, i32>),
    U32(PyReadonlyArray1<'py, u32>),
    U64(PyReadonlyArray1<'py, u64>),
    U16(PyReadonlyArray1<'py, u16>),
    I16(PyReadonlyArray1<'py, i16>),
    U8(PyReadonlyArray1<'py, u8>),
}

/// An array as a slice; it has to be contiguous.
fn slice<'a, T: numpy::Element>(
    name: &'static str,
    array: &'a PyReadonlyArray1<'_, T>,
) -> PyResult<&'a [T]> {
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

/// Comparisons summed per pair of items.
#[pyclass(frozen, module = "gustibus._core")]
pub(crate) struct Cells {
    table: core::Table,
}

type Arrays<'py> = (
    PyReadonlyArray1<'py, i64>,
    PyReadonlyArray1<'py, u32>,
    PyReadonlyArrayDyn<'py, f64>,
    PyReadonlyArrayDyn<'py, f64>,
);

#[pymethods]
impl Cells {
    /// Cells from what `arrays` gave.
    #[new]
    #[pyo3(signature = (starts, other, weights, spread, counts))]
    fn new(
        starts: PyReadonlyArray1<'_, i64>,
        other: PyReadonlyArray1<'_, u32>,
        weights: PyReadonlyArrayDyn<'_, f64>,
        spread: PyReadonlyArrayDyn<'_, f64>,
        counts: bool,
    ) -> PyResult<Self> {
        let arrays: Arrays<'_> = (starts, other, weights, spread);
        let table = if counts {
            core::Table::Counts(cells_of(&arrays)?)
        } else {
            core::Table::Weights(cells_of(&arrays)?)
        };
        Ok(Self { table })
    }

    fn __getnewargs__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.arrays(py)
    }

    /// Number of items.
    #[getter]
    fn items(&self) -> usize {
        self.table.items()
    }

    /// Number of pairs that were compared.
    #[getter]
    fn pairs(&self) -> usize {
        self.table.pairs()
    }

    /// Wins, losses and ties of every item, `(m, 3)`.
    fn totals<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let totals = self.table.totals();
        let rows = totals.len();
        give(py, totals.into_iter().flatten().collect::<Vec<f64>>(), [rows, 3])
    }

    /// Items that were compared at all, and the cells of these alone; `None` when all were.
    fn compact(&self, py: Python<'_>) -> PyResult<Option<(Py<PyAny>, Self)>> {
        let Some((used, table)) = py.detach(|| self.table.compact()) else { return Ok(None) };
        let length = used.len();
        Ok(Some((give(py, numbers(&used), [length])?.unbind(), Self { table })))
    }

    /// Row starts, other items, wins, losses and ties `(e, 3)`, rows and squares `(e, 6)` or `(0, 6)`, and
    /// whether the weights are counts.
    fn arrays<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match &self.table {
            core::Table::Counts(cells) => give_cells(py, cells, true),
            core::Table::Weights(cells) => give_cells(py, cells, false),
        }
    }
}

fn numbers(values: &[usize]) -> Vec<i64> {
    values.iter().map(|v| i64::try_from(*v).unwrap_or(i64::MAX)).collect()
}

fn give_cells<'py, T: core::Value>(
    py: Python<'py>,
    cells: &core::Cells<T>,
    counts: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let n = cells.cells.len();
    let other: Vec<u32> = cells.cells.iter().map(|c| c.other).collect();
    let ties = cells.ties.iter().map(|t| t.get()).chain(std::iter::repeat(0.0));
    let weights = cells.cells.iter().zip(ties).flat_map(|(c, t)| [c.wins.get(), c.losses.get(), t]);
    let spread = cells.spread.iter().flat_map(|s| s.rows.into_iter().chain(s.squares));
    let out = (
        give(py, numbers(&cells.starts), [cells.starts.len()])?,
        give(py, other, [n])?,
        give(py, weights.collect::<Vec<f64>>(), [n, 3])?,
        give(py, spread.collect::<Vec<f64>>(), [cells.spread.len(), 6])?,
        counts,
    );
    Ok(out.into_pyobject(py)?.into_any())
}

fn cells_of<T: core::Value>(
    (starts, other, weights, spread): &Arrays<'_>,
) -> PyResult<core::Cells<T>> {
    let starts = rising(starts)?;
    let other = slice("other", other)?;
    let weights = copy("weights", weights, 2, "(e, 3)")?;
    let spread = copy("spread", spread, 2, "(e, 6)")?;
    for (name, got, expected) in [
        ("weights", &weights.shape, vec![other.len(), 3]),
        ("spread", &spread.shape, vec![if spread.shape[0] == 0 { 0 } else { other.len() }, 6]),
    ] {
        if *got != expected {
            let (expected, got) = (format!("{expected:?}"), format!("{got:?}"));
            return Err(to_python(&Error::Shape { name, expected, got }));
        }
    }
    let triples = weights.values.chunks_exact(3);
    let cells = other.iter().zip(triples.clone()).map(|(other, w)| core::Cell {
        other: *other,
        wins: T::of(w[0]),
        losses: T::of(w[1]),
    });
    let tied = triples.clone().any(|w| w[2] > 0.0);
    let ties = if tied { triples.map(|w| T::of(w[2])).collect() } else { Vec::new() };
    let spread = spread
        .values
        .chunks_exact(6)
        .map(|s| core::Spread { rows: [s[0], s[1], s[2]], squares: [s[3], s[4], s[5]] });
    core::Cells::new(starts, cells.collect(), ties, spread.collect())
        .map_err(|error| to_python(&error))
}

/// Sums comparisons per pair.
#[pyfunction]
#[pyo3(signature = (a, b, outcomes, weights, items, threads))]
pub(crate) fn reduce_comparisons(
    py: Python<'_>,
    a: Column<'_>,
    b: Column<'_>,
    outcomes: Option<PyReadonlyArray1<'_, u8>>,
    weights: Option<PyReadonlyArray1<'_, f64>>,
    items: Option<usize>,
    threads: Option<usize>,
) -> PyResult<Cells> {
    let rows = core::Rows {
        a: a.ids("winners")?,
        b: b.ids("losers")?,
        outcomes: outcomes.as_ref().map(|o| slice("outcomes", o)).transpose()?,
        weights: weights.as_ref().map(|w| slice("weights", w)).transpose()?,
    };
    let table = detached(py, || core::reduce(rows, items, threads))?;
    Ok(Cells { table })
}

/// What is added to the log-likelihood: `l2`, `opponent`, `gamma`.
type PriorTuple = (f64, f64, f64);

/// Tolerance of the gradient and most iterations.
type Limits = (f64, usize);

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
    start: Option<PyReadonlyArray1<'py, f64>>,
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
    totals: PyReadonlyArrayDyn<'py, f64>,
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
    target: PyReadonlyArrayDyn<'py, f64>,
    weight: PyReadonlyArrayDyn<'py, f64>,
    covariates: PyReadonlyArrayDyn<'py, f64>,
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

/// Strengths from rankings, by the Plackett-Luce model or its spectral estimates.
#[pyfunction]
#[pyo3(signature = (items, starts, chosen, weights, count, method, prior, disconnected, limits, start, threads))]
pub(crate) fn fit_rankings<'py>(
    py: Python<'py>,
    items: Column<'py>,
    starts: PyReadonlyArray1<'py, i64>,
    chosen: Option<PyReadonlyArray1<'py, u32>>,
    weights: Option<PyReadonlyArray1<'py, f64>>,
    count: usize,
    method: &str,
    prior: PriorTuple,
    disconnected: &str,
    limits: Limits,
    start: Option<PyReadonlyArray1<'py, f64>>,
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
    starts: PyReadonlyArray1<'_, i64>,
    chosen: Option<PyReadonlyArray1<'_, u32>>,
    weights: Option<PyReadonlyArray1<'_, f64>>,
    count: usize,
    adjacent: bool,
) -> PyResult<Cells> {
    let arrays = RankingArrays { items, starts, chosen, weights };
    let view = arrays.view()?;
    let cells = detached(py, || Ok(view.rankings(count)?.broken(adjacent)))?;
    Ok(Cells { table: core::Table::Weights(cells) })
}

struct RankingArrays<'py> {
    items: Column<'py>,
    starts: PyReadonlyArray1<'py, i64>,
    chosen: Option<PyReadonlyArray1<'py, u32>>,
    weights: Option<PyReadonlyArray1<'py, f64>>,
}

struct RankingView<'a> {
    items: core::Ids<'a>,
    starts: Vec<usize>,
    chosen: Option<&'a [u32]>,
    weights: Option<&'a [f64]>,
}

impl RankingArrays<'_> {
    fn view(&self) -> PyResult<RankingView<'_>> {
        Ok(RankingView {
            items: self.items.ids("rankings")?,
            starts: rising(&self.starts)?,
            chosen: self.chosen.as_ref().map(|c| slice("chosen", c)).transpose()?,
            weights: self.weights.as_ref().map(|w| slice("weights", w)).transpose()?,
        })
    }
}

impl RankingView<'_> {
    fn rankings(&self, count: usize) -> Result<core::Rankings> {
        core::Rankings::new(self.items, &self.starts, self.chosen, self.weights, count)
    }
}

/// Starts as indices.
fn rising(starts: &PyReadonlyArray1<'_, i64>) -> PyResult<Vec<usize>> {
    let wrong = |got: i64| to_python(&Error::range("starts", "numbers of at least 0", got));
    slice("starts", starts)?.iter().map(|s| usize::try_from(*s).map_err(|_| wrong(*s))).collect()
}

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
    outcomes: Option<PyReadonlyArray1<'py, u8>>,
    weights: Option<PyReadonlyArray1<'py, f64>>,
    items: usize,
    start: Option<PyReadonlyArray1<'py, f64>>,
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

/// Log strengths, component of every item, share of a tie, prior.
type FittedTuple<'py> = (PyReadonlyArrayDyn<'py, f64>, PyReadonlyArray1<'py, u32>, f64, PriorTuple);

struct FittedArrays {
    theta: Vec<f64>,
    component: Vec<u32>,
    tie: f64,
    prior: core::Prior,
}

impl FittedArrays {
    fn copy((theta, component, tie, prior): FittedTuple<'_>) -> PyResult<Self> {
        Ok(Self {
            theta: copy("theta", &theta, 1, "(m,)")?.values,
            component: slice("component", &component)?.to_vec(),
            tie,
            prior: core::Prior::new(prior.0, prior.1, prior.2)
                .map_err(|error| to_python(&error))?,
        })
    }

    fn fitted(&self) -> core::Fitted<'_> {
        let Self { theta, component, tie, prior } = self;
        core::Fitted { theta, component, tie: *tie, prior: *prior }
    }
}

/// Covariance `(m, m)` or `None`, variances and accelerations of log strengths.
#[pyfunction]
#[pyo3(signature = (cells, fitted, robust, seed, threads))]
pub(crate) fn strength_covariance<'py>(
    py: Python<'py>,
    cells: &Cells,
    fitted: FittedTuple<'py>,
    robust: bool,
    seed: u64,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyAny>> {
    let arrays = FittedArrays::copy(fitted)?;
    let trust = if robust { core::Trust::Sandwich } else { core::Trust::Model };
    let found = interruptible(py, None, |stop| {
        core::covariance(&cells.table, arrays.fitted(), trust, (seed, threads), stop)
    })?;
    let m = found.variances.len();
    let matrix = found.matrix.map(|matrix| give(py, matrix, [m, m])).transpose()?;
    let out = (matrix, give(py, found.variances, [m])?, give(py, found.acceleration, [m])?);
    Ok(out.into_pyobject(py)?.into_any())
}

/// Log strengths of resampled data `(b, m)` and, per item, in how many nothing finite is said.
#[pyfunction]
#[pyo3(signature = (cells, fitted, count, seed, threads))]
pub(crate) fn strength_bootstrap<'py>(
    py: Python<'py>,
    cells: &Cells,
    fitted: FittedTuple<'py>,
    count: usize,
    seed: u64,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyAny>> {
    let arrays = FittedArrays::copy(fitted)?;
    let found = interruptible(py, None, |stop| {
        core::bootstrap(&cells.table, arrays.fitted(), count, (seed, threads), stop)
    })?;
    let m = found.degenerate.len();
    let out = (give(py, found.replicates, [count, m])?, give(py, found.degenerate, [m])?);
    Ok(out.into_pyobject(py)?.into_any())
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
