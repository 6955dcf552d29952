//! Functions of `gustibus_core::fair` and `fusion`.

#![allow(
    clippy::needless_pass_by_value,
    clippy::too_many_arguments,
    reason = "arguments of Python functions arrive by value, in one flat call"
)]

use gustibus_core::bias as study;
use gustibus_core::fair::{self, Attention, Bounds, Groups};
use gustibus_core::fusion as fusing;
use gustibus_core::{Error, Result};
use numpy::{Element, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::arrays::{ArrayDyn, copy_starts, give};
use crate::errors::to_python;
use crate::running::{detached, interruptible};
use crate::social::Ballots;

pub(crate) type Ints<'py> = ArrayDyn<'py, i64>;
pub(crate) type Labels<'py> = ArrayDyn<'py, u32>;
pub(crate) type Floats<'py> = ArrayDyn<'py, f64>;
type Table<'py> = (Ints<'py>, Ints<'py>);
type Run<'py> = (Ints<'py>, Labels<'py>, Floats<'py>);
type Row = (&'static str, &'static str, Vec<&'static str>);

pub(crate) fn values<T: Element + Copy>(array: &ArrayDyn<'_, T>) -> Vec<T> {
    match array.as_slice() {
        Ok(slice) => slice.to_vec(),
        Err(_) => array.as_array().iter().copied().collect(),
    }
}

/// Items or counts as indices.
fn indices(name: &'static str, array: &Ints<'_>) -> PyResult<Vec<usize>> {
    let index = |x: &i64| {
        usize::try_from(*x).map_err(|_| to_python(&Error::range(name, "numbers at or above 0", x)))
    };
    array.as_array().iter().map(index).collect()
}

pub(crate) fn matrix<T: Element>(
    name: &'static str,
    array: &ArrayDyn<'_, T>,
) -> PyResult<[usize; 2]> {
    let &[rows, columns] = array.shape() else {
        let got = format!("{:?}", array.shape());
        return Err(to_python(&Error::Shape { name, expected: "two dimensions".to_owned(), got }));
    };
    Ok([rows, columns])
}

fn integers(values: &[usize]) -> Vec<i64> {
    values.iter().map(|x| i64::try_from(*x).unwrap_or(i64::MAX)).collect()
}

/// Lower and upper bounds `(k, groups)` as they come.
fn bounds(table: Option<&Table<'_>>) -> PyResult<Option<Bounds>> {
    let Some((lower, upper)) = table else { return Ok(None) };
    let [_, groups] = matrix("lower", lower)?;
    if matrix("upper", upper)? != matrix("lower", lower)? {
        let (expected, got) = (format!("{:?}", lower.shape()), format!("{:?}", upper.shape()));
        return Err(to_python(&Error::Shape { name: "upper", expected, got }));
    }
    Bounds::new(groups, indices("lower", lower)?, indices("upper", upper)?)
        .map(Some)
        .map_err(|error| to_python(&error))
}

/// The tables of methods: kind to rows of name, source and laws.
#[pyfunction]
pub(crate) fn fairness_tables(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let row = |name, source, laws: &'static [&'static str]| (name, source, laws.to_vec());
    let rerankers: Vec<Row> =
        fair::RERANKERS.iter().map(|r| row(r.name, r.source, r.laws)).collect();
    let fusers: Vec<Row> = fusing::FUSERS.iter().map(|r| row(r.name, r.source, r.laws)).collect();
    let norms: Vec<Row> = fusing::NORMS.iter().map(|r| row(r.name, r.source, r.laws)).collect();
    let rules: Vec<Row> = study::OBJECTIVES.iter().map(|r| row(r.name, r.source, r.laws)).collect();
    let tables = PyDict::new(py);
    tables.set_item("rerank", rerankers)?;
    tables.set_item("fuse", fusers)?;
    tables.set_item("norm", norms)?;
    tables.set_item("bias", rules)?;
    Ok(tables)
}

/// A FA*IR table: least counts, the significance used, the failure probability.
#[pyfunction]
#[pyo3(signature = (k, p, alpha, adjust, parity))]
pub(crate) fn fair_table(
    py: Python<'_>,
    k: usize,
    p: f64,
    alpha: f64,
    adjust: bool,
    parity: bool,
) -> PyResult<(Bound<'_, PyAny>, f64, f64)> {
    let table =
        interruptible(py, None, move |stop| fair::table(k, p, alpha, adjust, parity, stop))?;
    Ok((give(py, integers(&table.minimum), [k])?, table.alpha, table.failure))
}

/// Probability that fair coins miss some prefix of a table of least counts.
#[pyfunction]
#[pyo3(signature = (minimum, p, parity))]
pub(crate) fn fail_probability(
    py: Python<'_>,
    minimum: Ints<'_>,
    p: f64,
    parity: bool,
) -> PyResult<f64> {
    let minimum = indices("minimum", &minimum)?;
    interruptible(py, None, move |stop| fair::fail_probability(&minimum, p, parity, stop))
}

/// Re-ranks items: order, promised lower bounds `(k, groups)`, significance, failure probability.
#[pyfunction]
#[pyo3(signature = (method, scores, labels, shares, k, table, alpha, adjust, parity, epsilon, seed, time_limit))]
pub(crate) fn fair_rerank<'py>(
    py: Python<'py>,
    method: &str,
    scores: Floats<'py>,
    labels: Labels<'py>,
    shares: Floats<'py>,
    k: usize,
    table: Option<Table<'py>>,
    alpha: f64,
    adjust: bool,
    parity: bool,
    epsilon: f64,
    seed: u64,
    time_limit: Option<f64>,
) -> PyResult<Bound<'py, PyAny>> {
    let (scores, labels, shares) = (values(&scores), values(&labels), values(&shares));
    let bounds = bounds(table.as_ref())?;
    let groups = shares.len();
    let done = interruptible(py, time_limit, |stop| {
        let bounds = bounds.as_ref();
        let shares = &shares;
        let options =
            fair::RerankOptions { k, shares, bounds, alpha, adjust, parity, epsilon, seed, stop };
        fair::rerank(method, &scores, Groups::new(&labels, groups)?, &options)
    })?;
    let rows = done.lower.len() / groups;
    let out = (
        give(py, integers(&done.order), [done.order.len()])?,
        give(py, integers(&done.lower), [rows, groups])?,
        done.alpha,
        done.failure,
    );
    Ok(out.into_pyobject(py)?.into_any())
}

/// Measures of rankings `(n, k)`: NDKL, exposure, attention, skew, infeasible index and count.
#[pyfunction]
#[pyo3(signature = (rankings, labels, shares, patience, cutoffs, threads))]
pub(crate) fn fair_measures<'py>(
    py: Python<'py>,
    rankings: Ints<'py>,
    labels: Labels<'py>,
    shares: Floats<'py>,
    patience: f64,
    cutoffs: Ints<'py>,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyAny>> {
    let [n, k] = matrix("rankings", &rankings)?;
    let rankings = indices("rankings", &rankings)?;
    let (labels, shares) = (values(&labels), values(&shares));
    let cutoffs = indices("cutoffs", &cutoffs)?;
    let groups = shares.len();
    let (shares, cuts) = (&shares, &cutoffs[..]);
    let rows = detached(py, || {
        let options = fair::MeasureOptions { shares, patience, cutoffs: cuts, threads };
        fair::measure(&rankings, k, Groups::new(&labels, groups)?, &options)
    })?;
    let all = |f: fn(&fair::Measures) -> &[f64]| rows.iter().flat_map(f).copied().collect();
    let counts =
        |f: fn(&fair::Measures) -> usize| integers(&rows.iter().map(f).collect::<Vec<_>>());
    let exposure: Vec<f64> = all(|m| &m.exposure);
    let attention: Vec<f64> = all(|m| &m.attention);
    let skew: Vec<f64> = all(|m| &m.skew);
    let out = (
        give(py, rows.iter().map(|m| m.ndkl).collect(), [n])?,
        give(py, exposure, [n, groups])?,
        give(py, attention, [n, groups])?,
        give(py, skew, [n, cutoffs.len(), groups])?,
        give(py, counts(|m| m.infeasible_index), [n])?,
        give(py, counts(|m| m.infeasible_count), [n])?,
    );
    Ok(out.into_pyobject(py)?.into_any())
}

/// Attention over rankings `(n, k)` against relevance; `attention` is a name and its share.
#[pyfunction]
#[pyo3(signature = (rankings, relevance, attention))]
pub(crate) fn attention_gap(
    py: Python<'_>,
    rankings: Ints<'_>,
    relevance: Floats<'_>,
    attention: (String, f64),
) -> PyResult<f64> {
    let [_, k] = matrix("rankings", &rankings)?;
    let (rankings, relevance) = (indices("rankings", &rankings)?, values(&relevance));
    let attention = match attention.0.as_str() {
        "logarithmic" => Attention::Logarithmic,
        "reciprocal" => Attention::Reciprocal,
        "geometric" => Attention::Geometric(attention.1),
        other => {
            return Err(unknown("attention", other, &["geometric", "logarithmic", "reciprocal"]));
        }
    };
    detached(py, || fair::amortised(&rankings, k, &relevance, attention))
}

/// The nearest ranking within bounds.
#[pyfunction]
#[pyo3(signature = (order, labels, groups, table))]
pub(crate) fn closest_ranking<'py>(
    py: Python<'py>,
    order: Ints<'py>,
    labels: Labels<'py>,
    groups: usize,
    table: Table<'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let (order, labels) = (indices("ranking", &order)?, values(&labels));
    let Some(bounds) = bounds(Some(&table))? else { return Ok(py.None().into_bound(py)) };
    let order = interruptible(py, None, |stop| {
        fair::closest(&order, Groups::new(&labels, groups)?, &bounds, stop)
    })?;
    give(py, integers(&order), [order.len()])
}

/// A consensus within bounds: order, distance, that of the start, moves, lower bound.
#[pyfunction]
#[pyo3(signature = (ballots, labels, groups, table, threads))]
pub(crate) fn fair_consensus<'py>(
    py: Python<'py>,
    ballots: &Bound<'py, Ballots>,
    labels: Labels<'py>,
    groups: usize,
    table: Table<'py>,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyAny>> {
    let (profile, labels) = (ballots.get().profile.clone(), values(&labels));
    let Some(bounds) = bounds(Some(&table))? else { return Ok(py.None().into_bound(py)) };
    let done = interruptible(py, None, |stop| {
        fair::consensus(&profile, Groups::new(&labels, groups)?, &bounds, threads, stop)
    })?;
    let order = give(py, integers(&done.order), [done.order.len()])?;
    let out = (order, done.distance, done.start, done.moves, done.bound);
    Ok(out.into_pyobject(py)?.into_any())
}

/// Favoured-pair shares of the groups and their gap.
#[pyfunction]
#[pyo3(signature = (order, labels, groups))]
pub(crate) fn pairwise_parity<'py>(
    py: Python<'py>,
    order: Ints<'py>,
    labels: Labels<'py>,
    groups: usize,
) -> PyResult<(Bound<'py, PyAny>, f64)> {
    let (order, labels) = (indices("ranking", &order)?, values(&labels));
    let parity = detached(py, || fair::parity(&order, Groups::new(&labels, groups)?))?;
    Ok((give(py, parity.shares, [groups])?, parity.gap))
}

/// Exchanges until all gaps are small: order, largest gap, number of exchanges, whether it is done.
#[pyfunction]
#[pyo3(signature = (order, attributes, counts, delta))]
pub(crate) fn repair_parity<'py>(
    py: Python<'py>,
    order: Ints<'py>,
    attributes: Labels<'py>,
    counts: Vec<usize>,
    delta: f64,
) -> PyResult<Bound<'py, PyAny>> {
    let [_, m] = matrix("attributes", &attributes)?;
    let (order, labels) = (indices("ranking", &order)?, values(&attributes));
    let done = interruptible(py, None, |stop| {
        let attributes: Result<Vec<Groups<'_>>> =
            labels.chunks(m.max(1)).zip(&counts).map(|(row, c)| Groups::new(row, *c)).collect();
        fair::repair(&order, &attributes?, delta, stop)
    })?;
    let order = give(py, integers(&done.order), [done.order.len()])?;
    Ok((order, done.gap, done.swaps, done.converged).into_pyobject(py)?.into_any())
}

/// A doubly stochastic matrix as rankings `(r, m)` and weights.
#[pyfunction]
#[pyo3(signature = (matrix))]
pub(crate) fn birkhoff<'py>(
    py: Python<'py>,
    matrix: Floats<'py>,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    let [m, columns] = self::matrix("matrix", &matrix)?;
    if m != columns {
        return Err(to_python(&Error::length("matrix", m, columns)));
    }
    let cells = values(&matrix);
    let lottery = interruptible(py, None, |stop| fair::birkhoff(&cells, m, stop))?;
    let rows = lottery.weights.len();
    Ok((give(py, integers(&lottery.rankings), [rows, m])?, give(py, lottery.weights, [rows])?))
}

/// Fuses runs: starts, documents and scores of the fused rankings.
#[pyfunction]
#[pyo3(signature = (method, norm, runs, weights, params, sort, threads))]
pub(crate) fn fuse_runs<'py>(
    py: Python<'py>,
    method: &str,
    norm: &str,
    runs: Vec<Run<'py>>,
    weights: Floats<'py>,
    params: (f64, f64, f64, f64),
    sort: bool,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyAny>> {
    let owned: PyResult<Vec<_>> = runs
        .iter()
        .map(|(starts, docs, scores)| Ok((copy_starts(starts)?, values(docs), values(scores))))
        .collect();
    let (owned, weights) = (owned?, values(&weights));
    let (k, phi, gamma, sigma) = params;
    let fused = interruptible(py, None, |stop| {
        let views = owned.iter().map(|(starts, docs, scores)| fusing::Run { starts, docs, scores });
        let params = fusing::Params { k, phi, gamma, sigma, sort };
        let weights = &weights;
        let options = fusing::FuseOptions { method, norm, weights, params, threads, stop };
        fusing::fuse(&fusing::Runs::new(views.collect())?, &options)
    })?;
    let (queries, entries) = (fused.starts.len(), fused.docs.len());
    let out = (
        give(py, integers(&fused.starts), [queries])?,
        give(py, fused.docs, [entries])?,
        give(py, fused.scores, [entries])?,
    );
    Ok(out.into_pyobject(py)?.into_any())
}

pub(crate) fn unknown(kind: &'static str, name: &str, known: &[&'static str]) -> PyErr {
    to_python(&Error::UnknownName { kind, name: name.to_owned(), known: known.to_vec() })
}
