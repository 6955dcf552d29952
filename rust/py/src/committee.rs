//! Rules of `gustibus_core::committee`, and the approvals and utilities they read, held for Python.

#![allow(
    clippy::needless_pass_by_value,
    clippy::too_many_arguments,
    reason = "arguments of Python functions arrive by value, in one flat call"
)]

use std::sync::Arc;

use gustibus_core::committee as core;
use gustibus_core::{Error, Result};
use pyo3::prelude::*;

use crate::arrays::{ArrayDyn, Input, copy, copy_starts};
use crate::errors::to_python;
use crate::running::{detached, interruptible};
use crate::social::Ballots;

/// Checked approval sets, voter by voter and item by item.
#[pyclass(frozen, module = "gustibus._core")]
pub(crate) struct Approvals {
    held: Arc<core::Approvals>,
}

#[pymethods]
impl Approvals {
    /// Sets of items below `n_items`, each sorted; set `v` is `items[starts[v]:starts[v + 1]]`.
    #[new]
    #[pyo3(signature = (starts, items, n_items, weights))]
    fn new(
        py: Python<'_>,
        starts: ArrayDyn<'_, i64>,
        items: ArrayDyn<'_, u32>,
        n_items: usize,
        weights: Option<Input<'_>>,
    ) -> PyResult<Self> {
        let starts = copy_starts(&starts)?;
        let items: Vec<u32> = items.as_array().iter().copied().collect();
        let weights = weights.map(|w| copy("weights", &w, 1, "(n,)")).transpose()?;
        let held = detached(py, move || {
            let weights = match weights {
                Some(weights) => core::Weights::new(&weights.values)?,
                None => core::Weights::equal(starts.len().saturating_sub(1)),
            };
            core::Approvals::new(core::Lists::new(starts, items, n_items)?, n_items, weights)
        })?;
        Ok(Self { held: Arc::new(held) })
    }
}

/// Checked utilities.
#[pyclass(frozen, module = "gustibus._core")]
pub(crate) struct Utilities {
    held: Arc<core::Utilities>,
}

#[pymethods]
impl Utilities {
    /// Utilities at or above 0, `(m, n)`: a row per item.
    #[new]
    #[pyo3(signature = (by_item, weights))]
    fn new(py: Python<'_>, by_item: Input<'_>, weights: Input<'_>) -> PyResult<Self> {
        let values = copy("utilities", &by_item, 2, "(m, n)")?;
        let weights = copy("weights", &weights, 1, "(n,)")?.values;
        let m = values.shape[0];
        let held = detached(py, move || core::Utilities::new(values.values, m, weights))?;
        Ok(Self { held: Arc::new(held) })
    }
}

/// Any kind of ballots, shared with Python.
enum Held {
    Ballots(Arc<gustibus_core::social::Profile>),
    Approvals(Arc<core::Approvals>),
    Utilities(Arc<core::Utilities>),
}

impl Held {
    fn of(ballots: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(ballots) = ballots.cast::<Ballots>() {
            return Ok(Self::Ballots(Arc::clone(&ballots.get().profile)));
        }
        if let Ok(approvals) = ballots.cast::<Approvals>() {
            return Ok(Self::Approvals(Arc::clone(&approvals.get().held)));
        }
        if let Ok(utilities) = ballots.cast::<Utilities>() {
            return Ok(Self::Utilities(Arc::clone(&utilities.get().held)));
        }
        let got = ballots.get_type().name()?.to_string();
        Err(to_python(&Error::range("profile", "Ballots, Approvals or Utilities", got)))
    }

    fn profile(&self) -> Result<core::Profile<'_>> {
        match self {
            Self::Ballots(ballots) => core::Places::of(ballots).map(core::Profile::Places),
            Self::Approvals(approvals) => Ok(core::Profile::Approvals(approvals)),
            Self::Utilities(utilities) => Ok(core::Profile::Utilities(utilities)),
        }
    }
}

/// Name, kind of ballots, source and laws of every rule.
#[pyfunction]
pub(crate) fn committee_rules() -> Vec<(&'static str, &'static str, &'static str, Vec<&'static str>)>
{
    core::RULES
        .iter()
        .copied()
        .flatten()
        .map(|rule| (rule.name, rule.ballots, rule.source, rule.laws.to_vec()))
        .collect()
}

type Group = (String, Vec<usize>, usize, usize);
type Numbers<'py> = (Option<Input<'py>>, Option<usize>, Option<f64>, Option<String>);

/// Owned parameters of a rule.
struct Params {
    vector: Option<Vec<f64>>,
    t: Option<usize>,
    p: Option<f64>,
    completion: Option<String>,
}

impl Params {
    fn copy((vector, t, p, completion): Numbers<'_>) -> PyResult<Self> {
        let vector = vector.map(|v| copy("vector", &v, 1, "(j,)")).transpose()?.map(|v| v.values);
        Ok(Self { vector, t, p, completion })
    }

    fn view(&self) -> core::Params<'_> {
        core::Params {
            vector: self.vector.as_deref(),
            t: self.t,
            p: self.p,
            completion: self.completion.as_deref(),
        }
    }
}

/// A committee, its value and upper bound, whether it is optimal, steps, tied committees, whether nothing
/// was cut short, and the method.
#[pyfunction]
#[pyo3(signature = (
    rule, profile, k, groups, params, method, resolute, cap, sampling, time_limit, threads
))]
pub(crate) fn elect<'py>(
    py: Python<'py>,
    rule: &str,
    profile: &Bound<'py, PyAny>,
    k: usize,
    groups: Vec<Group>,
    params: Numbers<'py>,
    method: &str,
    resolute: bool,
    cap: usize,
    sampling: (f64, u64),
    time_limit: Option<f64>,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyAny>> {
    let (held, params) = (Held::of(profile)?, Params::copy(params)?);
    let method = parse_method(method)?;
    let sampling = core::Sampling { epsilon: sampling.0, seed: sampling.1 };
    let groups: Vec<core::Group> = groups
        .into_iter()
        .map(|(name, members, lower, upper)| core::Group { name, members, lower, upper })
        .collect();
    let found = interruptible(py, time_limit, |stop| {
        let profile = held.profile()?;
        let bounds = core::Bounds::new(profile.items(), k, &groups)?;
        let options = core::Options { method, resolute, cap, threads, stop, sampling };
        core::elect(rule, &profile, &bounds, &params.view(), &options)
    })?;
    let steps: Vec<(usize, f64)> = found.steps.iter().map(|step| (step.item, step.gain)).collect();
    let (value, upper) = (found.value, found.upper_bound);
    let out = (
        (found.members, value, upper, found.optimal),
        (steps, found.tied, found.complete, found.method),
    );
    Ok(out.into_pyobject(py)?.into_any())
}

fn parse_method(name: &str) -> PyResult<core::Method> {
    Ok(match name {
        "auto" => core::Method::Auto,
        "greedy" => core::Method::Greedy,
        "plain" => core::Method::Plain,
        "swap" => core::Method::Swap,
        "exact" => core::Method::Exact,
        "stochastic" => core::Method::Stochastic,
        "single_peaked" => core::Method::SinglePeaked,
        other => {
            let expected = "auto, greedy, plain, swap, exact, stochastic or single_peaked";
            return Err(to_python(&Error::range("method", expected, other)));
        }
    })
}

/// What a committee is worth; None where the rule maximises nothing.
#[pyfunction]
#[pyo3(signature = (rule, profile, params, members))]
pub(crate) fn committee_score(
    py: Python<'_>,
    rule: &str,
    profile: &Bound<'_, PyAny>,
    params: Numbers<'_>,
    members: Vec<usize>,
) -> PyResult<Option<f64>> {
    let (held, params) = (Held::of(profile)?, Params::copy(params)?);
    detached(py, || core::score(rule, &held.profile()?, &params.view(), &members))
}

type Found = (Option<bool>, Option<(Vec<usize>, Vec<usize>, usize)>);

/// Whether an axiom holds, and voters, items and seats that show it does not.
#[pyfunction]
#[pyo3(signature = (axiom, approvals, members, time_limit))]
pub(crate) fn check_axiom(
    py: Python<'_>,
    axiom: &str,
    approvals: &Bound<'_, Approvals>,
    members: Vec<usize>,
    time_limit: Option<f64>,
) -> PyResult<Found> {
    let held = Arc::clone(&approvals.get().held);
    let verdict = interruptible(py, time_limit, |stop| core::check(axiom, &held, &members, stop))?;
    Ok((verdict.holds, verdict.witness.map(|w| (w.voters, w.items, w.seats))))
}
