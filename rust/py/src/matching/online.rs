//! The matcher as a Python class.

use std::sync::{Mutex, MutexGuard};

use gustibus_core::Error;
use gustibus_core::matching as core;
use numpy::IntoPyArray;
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::{PyBytes, PyDict};

use super::arrays::{OwnedRows, copy_numbers, fill_items, fill_numbers};
use super::bulk::{Chunk, Source};
use crate::arrays::{Array1, Flags1};
use crate::errors::to_python;
use crate::running::{detached, interruptible};

type Any<'py> = Bound<'py, PyAny>;
type Row = (String, String, Vec<String>, String, bool, bool, bool, Vec<String>);

/// The table of rules.
#[pyfunction]
pub(crate) fn matching_rules() -> Vec<Row> {
    let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    let row = |rule: &&core::Rule| {
        let reads = match rule.reads {
            core::Reads::Nothing => "nothing",
            core::Reads::Probability => "probability",
            core::Reads::Bid => "bid",
            core::Reads::Weight => "weight",
        };
        (
            rule.name.to_owned(),
            rule.source.to_owned(),
            owned(rule.laws),
            reads.to_owned(),
            rule.has_budgets,
            rule.has_weights,
            rule.is_stochastic,
            owned(rule.options),
        )
    };
    core::RULES.iter().map(row).collect()
}

/// The state, and buffers that one-by-one arrivals reuse.
struct Inner {
    matcher: core::Matcher,
    items: Vec<u32>,
    values: Vec<f64>,
    sizes: Vec<f64>,
    chunk: Chunk,
}

/// An online matching run.
#[pyclass(frozen, module = "gustibus._core")]
pub(crate) struct Matcher(Mutex<Inner>);

impl Matcher {
    fn of(matcher: core::Matcher) -> Self {
        let (items, values, sizes) = (Vec::new(), Vec::new(), Vec::new());
        let chunk = Chunk::default();
        Self(Mutex::new(Inner { matcher, items, values, sizes, chunk }))
    }

    /// The state; the interpreter lock is given up while another thread holds it.
    fn lock(&self, py: Python<'_>) -> PyResult<MutexGuard<'_, Inner>> {
        self.0.lock_py_attached(py).map_err(|_| {
            let expected = "a matcher whose last call ended well";
            to_python(&Error::range("self", expected, "one that a failed call left behind"))
        })
    }
}

#[pymethods]
impl Matcher {
    #[new]
    #[pyo3(signature = (rule, limits, weights, seed, seeds, range, horizon, step, score, late, delta, remember))]
    fn new(
        rule: &str,
        limits: &Any<'_>,
        weights: Option<&Any<'_>>,
        seed: u64,
        seeds: Option<&str>,
        range: Option<(f64, f64)>,
        horizon: Option<f64>,
        step: Option<f64>,
        score: Option<&str>,
        late: Option<&str>,
        delta: Option<f64>,
        remember: usize,
    ) -> PyResult<Self> {
        let seeds =
            choice("seeds", seeds, &[("item", core::Seeds::Item), ("unit", core::Seeds::Unit)])?;
        let score = choice(
            "score",
            score,
            &[("table", core::Score::Table), ("gompertz", core::Score::Gompertz)],
        )?;
        let overbook = core::Late::Overbook(delta.unwrap_or(0.0));
        let kinds = [
            ("instant", core::Late::Instant),
            ("reserve", core::Late::Reserve),
            ("overbook", overbook),
        ];
        let late = choice("late", late, &kinds)?;
        if delta.is_some() != matches!(late, Some(core::Late::Overbook(_))) {
            let got = delta.map_or_else(|| "None".to_owned(), |delta| delta.to_string());
            let expected = "a number with late outcomes that overbook, and None otherwise";
            return Err(to_python(&Error::range("delta", expected, got)));
        }
        let options = core::Options { seeds, range, horizon, step, score, late, remember };
        let limits = copy_numbers("capacity", limits)?;
        let weights = weights.map(|weights| copy_numbers("weight", weights)).transpose()?;
        core::Matcher::new(rule, options, seed, &limits, weights.as_deref())
            .map(Self::of)
            .map_err(|error| to_python(&error))
    }

    #[staticmethod]
    fn resume(snapshot: &[u8]) -> PyResult<Self> {
        core::Matcher::resume(snapshot).map(Self::of).map_err(|error| to_python(&error))
    }

    fn snapshot<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.lock(py)?.matcher.snapshot()))
    }

    #[pyo3(signature = (items, values=None, arrival_id=None, *, sizes=None, deadline=None))]
    fn arrive(
        &self,
        py: Python<'_>,
        items: &Any<'_>,
        values: Option<&Any<'_>>,
        arrival_id: Option<&str>,
        sizes: Option<&Any<'_>>,
        deadline: Option<f64>,
    ) -> PyResult<(Option<u32>, Option<u64>)> {
        let mut guard = self.lock(py)?;
        let Inner { matcher, items: ids, values: numbers, sizes: amounts, .. } = &mut *guard;
        let row = fill_row((items, ids), (values, numbers), (sizes, amounts))?;
        let decision = matcher.arrive(row, arrival_id, deadline);
        decision.map(|made| (made.item, made.attempt)).map_err(|error| to_python(&error))
    }

    #[pyo3(signature = (items, values=None, *, sizes=None))]
    fn decide(
        &self,
        py: Python<'_>,
        items: &Any<'_>,
        values: Option<&Any<'_>>,
        sizes: Option<&Any<'_>>,
    ) -> PyResult<Option<u32>> {
        let mut guard = self.lock(py)?;
        let Inner { matcher, items: ids, values: numbers, sizes: amounts, .. } = &mut *guard;
        let row = fill_row((items, ids), (values, numbers), (sizes, amounts))?;
        matcher.decide(row).map_err(|error| to_python(&error))
    }

    fn report(&self, py: Python<'_>, attempt_id: u64, success: bool) -> PyResult<()> {
        self.lock(py)?.matcher.report(attempt_id, success).map_err(|error| to_python(&error))
    }

    fn draw(&self, py: Python<'_>, attempt_id: u64) -> PyResult<bool> {
        self.lock(py)?.matcher.draw(attempt_id).map_err(|error| to_python(&error))
    }

    #[pyo3(signature = (indptr, items, values=None, *, sizes=None, coins=None))]
    fn arrive_many<'py>(
        &self,
        py: Python<'py>,
        indptr: Array1<'py, i64>,
        items: &Any<'py>,
        values: Option<&Any<'py>>,
        sizes: Option<&Any<'py>>,
        coins: Option<Flags1<'py>>,
    ) -> PyResult<Any<'py>> {
        let source = Source::new(&indptr, items, values, sizes, coins.as_ref())?;
        let mut guard = self.lock(py)?;
        let Inner { matcher, chunk, .. } = &mut *guard;
        let parts = source.parts(matcher.n())?;
        // a later part may be wrong, or the caller may give up: nothing must have changed then
        let before = (parts.len() > 1).then(|| matcher.clone());
        let mut decisions = Vec::with_capacity(source.len());
        for part in parts {
            let run = |chunk: &mut Chunk, matcher: &mut core::Matcher| {
                source.copy(part.clone(), chunk)?;
                let made = detached(py, || chunk.take_by(matcher))?;
                py.check_signals()?;
                Ok(made)
            };
            match (run(chunk, matcher), &before) {
                (Ok(made), _) => decisions.extend(made),
                (Err(error), Some(before)) => {
                    matcher.clone_from(before);
                    return Err(error);
                }
                (Err(error), None) => return Err(error),
            }
        }
        Ok(decisions.into_pyarray(py).into_any())
    }

    fn add_items(
        &self,
        py: Python<'_>,
        limits: &Any<'_>,
        weights: Option<&Any<'_>>,
    ) -> PyResult<usize> {
        let limits = copy_numbers("capacity", limits)?;
        let weights = weights.map(|weights| copy_numbers("weight", weights)).transpose()?;
        let mut guard = self.lock(py)?;
        guard.matcher.add_items(&limits, weights.as_deref()).map_err(|error| to_python(&error))
    }

    fn expire(&self, py: Python<'_>, now: f64) -> PyResult<u64> {
        self.lock(py)?.matcher.expire(now).map_err(|error| to_python(&error))
    }

    fn running_bound(&self, py: Python<'_>) -> PyResult<f64> {
        let guard = self.lock(py)?;
        let rule = guard.matcher.rule().name;
        guard.matcher.running_bound().ok_or_else(|| to_python(&core::needs_arrivals(rule)))
    }

    fn bound<'py>(
        &self,
        py: Python<'py>,
        indptr: Array1<'py, i64>,
        items: &Any<'py>,
        values: Option<&Any<'py>>,
        sizes: Option<&Any<'py>>,
        steps: usize,
    ) -> PyResult<f64> {
        let owned = OwnedRows::copy(&indptr, items, values, sizes)?;
        let matcher = self.lock(py)?.matcher.clone();
        interruptible(py, None, |stop| matcher.bound(&owned.rows(matcher.n())?, steps, stop))
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let guard = self.lock(py)?;
        let (matcher, stats) = (&guard.matcher, PyDict::new(py));
        let counts = matcher.counts();
        let (limit, used, load, tries) = matcher.item_columns();
        stats.set_item("rule", matcher.rule().name)?;
        stats.set_item("arrivals", counts.arrivals)?;
        stats.set_item("matched", counts.matched)?;
        stats.set_item("value", counts.value)?;
        stats.set_item("attempts", counts.attempts)?;
        stats.set_item("successes", counts.successes)?;
        stats.set_item("expected_successes", counts.expected)?;
        stats.set_item("coins_drawn", counts.coins)?;
        stats.set_item("pending", matcher.pending())?;
        stats.set_item("overflow", counts.overflow)?;
        stats.set_item("expired", counts.expired)?;
        stats.set_item("limit", limit.into_pyarray(py))?;
        stats.set_item("used", used.into_pyarray(py))?;
        stats.set_item("load", load.into_pyarray(py))?;
        stats.set_item("tries", tries.into_pyarray(py))?;
        Ok(stats)
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.lock(py)?.matcher.n())
    }
}

/// The row of a name in a short table of choices.
fn choice<T: Copy>(
    name: &'static str,
    given: Option<&str>,
    table: &[(&str, T)],
) -> PyResult<Option<T>> {
    let Some(given) = given else { return Ok(None) };
    if let Some((_, value)) = table.iter().find(|(key, _)| *key == given) {
        return Ok(Some(*value));
    }
    let known: Vec<&str> = table.iter().map(|(key, _)| *key).collect();
    Err(to_python(&Error::range(name, &known.join(", "), given)))
}

type Filled<'a, T> = (T, &'a mut Vec<f64>);

/// Copies one arrival into buffers that keep their memory.
fn fill_row<'a>(
    (items, ids): (&Any<'_>, &'a mut Vec<u32>),
    (values, numbers): Filled<'a, Option<&Any<'_>>>,
    (sizes, amounts): Filled<'a, Option<&Any<'_>>>,
) -> PyResult<core::Row<'a>> {
    fill_items(items, ids)?;
    if let Some(values) = values {
        fill_numbers("values", values, numbers)?;
    }
    if let Some(sizes) = sizes {
        fill_numbers("sizes", sizes, amounts)?;
    }
    Ok(core::Row {
        items: ids,
        values: values.map(|_| numbers.as_slice()),
        sizes: sizes.map(|_| amounts.as_slice()),
    })
}
