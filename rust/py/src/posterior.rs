//! Functions of `gustibus_core::posterior`.

#![allow(
    clippy::needless_pass_by_value,
    clippy::too_many_arguments,
    reason = "arguments of Python functions arrive by value, in one flat call"
)]

use gustibus_core::posterior as core;
use gustibus_core::{Error, Result};
use pyo3::prelude::*;

use crate::arrays::{ArrayDyn, Input, Owned, copy, copy_starts, give};
use crate::errors::to_python;
use crate::running::detached;

type Starts<'py> = ArrayDyn<'py, i64>;
type Four<'py> = (Input<'py>, Input<'py>, Input<'py>, Input<'py>);
type Three<'py> = (Input<'py>, Input<'py>, Input<'py>);

/// Owned rows of many people.
struct Evidence {
    delta: Owned,
    offset: Owned,
    target: Owned,
    weight: Owned,
    starts: Vec<usize>,
}

impl Evidence {
    fn copy(rows: &Four<'_>, starts: &Starts<'_>) -> PyResult<Self> {
        Ok(Self {
            delta: copy("delta", &rows.0, 2, "(n, k)")?,
            offset: copy("offset", &rows.1, 1, "(n,)")?,
            target: copy("target", &rows.2, 1, "(n,)")?,
            weight: copy("weight", &rows.3, 1, "(n,)")?,
            starts: copy_starts(starts)?,
        })
    }

    fn dim(&self) -> usize {
        self.delta.shape[1]
    }

    fn rows(&self) -> Result<core::Rows<'_>> {
        let n = self.delta.shape[0];
        if self.target.values.len() != n {
            return Err(Error::length("target", n, self.target.values.len()));
        }
        let labels = core::Labels::new(&self.target.values, &self.weight.values, &self.starts)?;
        core::Rows::new(&self.delta.values, &self.offset.values, labels, self.dim())
    }
}

/// Owned arrays of a mixture of Gaussians.
struct Mixture {
    weights: Owned,
    means: Owned,
    covariances: Owned,
}

impl Mixture {
    fn copy(mixture: &Three<'_>) -> PyResult<Self> {
        let this = Self {
            weights: copy("weights", &mixture.0, 1, "(g,)")?,
            means: copy("means", &mixture.1, 2, "(g, u)")?,
            covariances: copy("covariances", &mixture.2, 3, "(g, u, u)")?,
        };
        let (g, u) = (this.weights.values.len(), this.dim());
        let check = |name, got: &[usize], expected: &[usize]| {
            if got == expected {
                return Ok(());
            }
            let (expected, got) = (format!("{expected:?}"), format!("{got:?}"));
            Err(to_python(&Error::Shape { name, expected, got }))
        };
        if g == 0 {
            let expected = "at least one group of the mixture";
            return Err(to_python(&Error::range("weights", expected, "none")));
        }
        check("means", &this.means.shape, &[g, u])?;
        check("covariances", &this.covariances.shape, &[g, u, u])?;
        Ok(this)
    }

    fn dim(&self) -> usize {
        self.means.shape[1]
    }

    fn prior(self) -> Result<core::Prior> {
        let dim = self.dim();
        core::Prior::new(dim, self.weights.values, self.means.values, self.covariances.values)
    }
}

/// Mixture of Gaussians with its factors, made once and used for every person.
#[pyclass(frozen, module = "gustibus._core")]
pub(crate) struct Prior {
    mixture: core::Prior,
}

#[pymethods]
impl Prior {
    #[new]
    fn new(weights: Input<'_>, means: Input<'_>, covariances: Input<'_>) -> PyResult<Self> {
        let mixture = Mixture::copy(&(weights, means, covariances))?;
        mixture.prior().map(|mixture| Self { mixture }).map_err(|error| to_python(&error))
    }

    fn __getnewargs__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let (g, u) = self.dims();
        let arrays = (
            give(py, self.mixture.weights.clone(), [g])?,
            give(py, self.mixture.means.clone(), [g, u])?,
            give(py, self.mixture.covariances.clone(), [g, u, u])?,
        );
        Ok(arrays.into_pyobject(py)?.into_any())
    }
}

impl Prior {
    fn dims(&self) -> (usize, usize) {
        (self.mixture.groups(), self.mixture.dim)
    }
}

/// Laplace posteriors of many people.
#[pyfunction]
#[pyo3(signature = (rows, starts, prior, method, lapse, tie, max_iter, tolerance, covariance, threads))]
pub(crate) fn place<'py>(
    py: Python<'py>,
    rows: Four<'py>,
    starts: Starts<'py>,
    prior: &Bound<'py, Prior>,
    method: &str,
    lapse: f64,
    tie: f64,
    max_iter: usize,
    tolerance: f64,
    covariance: bool,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyAny>> {
    let (evidence, prior) = (Evidence::copy(&rows, &starts)?, prior.get());
    let method = parse_method(method)?;
    let options = core::PlaceOptions { method, max_iter, tolerance, covariance, threads };
    let placed = detached(py, move || {
        let answering = core::Answering::new(lapse, tie)?;
        core::place(evidence.rows()?, &prior.mixture, answering, options)
    })?;
    give_placement(py, placed, prior.dims(), covariance)
}

/// Laplace posteriors of many people in the logits of weights on a simplex.
#[pyfunction]
#[pyo3(signature = (rows, starts, prior, lapse, tie, max_iter, tolerance, covariance, threads))]
pub(crate) fn place_simplex<'py>(
    py: Python<'py>,
    rows: Four<'py>,
    starts: Starts<'py>,
    prior: &Bound<'py, Prior>,
    lapse: f64,
    tie: f64,
    max_iter: usize,
    tolerance: f64,
    covariance: bool,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyAny>> {
    let (evidence, prior) = (Evidence::copy(&rows, &starts)?, prior.get());
    let method = core::Method::Laplace;
    let options = core::PlaceOptions { method, max_iter, tolerance, covariance, threads };
    let placed = detached(py, move || {
        let answering = core::Answering::new(lapse, tie)?;
        core::place_simplex(evidence.rows()?, &prior.mixture, answering, options)
    })?;
    give_placement(py, placed, prior.dims(), covariance)
}

fn give_placement(
    py: Python<'_>,
    placed: core::Placement,
    (g, k): (usize, usize),
    covariance: bool,
) -> PyResult<Bound<'_, PyAny>> {
    let p = placed.log_evidence.len();
    let iterations: Vec<i64> =
        placed.iterations.iter().map(|i| i64::try_from(*i).unwrap_or(i64::MAX)).collect();
    let covariances =
        if covariance { Some(give(py, placed.covariances, [p, g, k, k])?) } else { None };
    let out = (
        give(py, placed.weights, [p, g])?,
        give(py, placed.modes, [p, g, k])?,
        covariances,
        give(py, placed.log_evidence, [p])?,
        give(py, placed.gradients, [p])?,
        give(py, iterations, [p])?,
        give(py, placed.converged, [p])?,
    );
    Ok(out.into_pyobject(py)?.into_any())
}

/// Posterior weights of candidate user vectors.
#[pyfunction]
#[pyo3(signature = (margins, target, weight, starts, log_weights, lapse, tie, threads))]
pub(crate) fn place_particles<'py>(
    py: Python<'py>,
    margins: Input<'py>,
    target: Input<'py>,
    weight: Input<'py>,
    starts: Starts<'py>,
    log_weights: Input<'py>,
    lapse: f64,
    tie: f64,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyAny>> {
    let margins = copy("margins", &margins, 2, "(n, c)")?;
    let target = copy("target", &target, 1, "(n,)")?.values;
    let weight = copy("weight", &weight, 1, "(n,)")?.values;
    let log_weights = copy("log_weights", &log_weights, 1, "(c,)")?.values;
    let starts = copy_starts(&starts)?;
    let (p, c) = (starts.len().saturating_sub(1), log_weights.len());
    let fit = detached(py, move || {
        let answering = core::Answering::new(lapse, tie)?;
        let labels = core::Labels::new(&target, &weight, &starts)?;
        if margins.shape != [target.len(), c] {
            let (expected, got) =
                (format!("({}, {c})", target.len()), format!("{:?}", margins.shape));
            return Err(Error::Shape { name: "margins", expected, got });
        }
        core::place_particles(&margins.values, labels, &log_weights, answering, threads)
    })?;
    let out = (give(py, fit.weights, [p, c])?, give(py, fit.log_evidence, [p])?);
    Ok(out.into_pyobject(py)?.into_any())
}

/// Rounds of expectation maximisation; signals are checked and `progress` is called in between.
#[pyfunction]
#[pyo3(signature = (
    rows, starts, prior, method, structure, fit_mean, shrinkage, floor, cap, rounds, tolerance, lapse, tie,
    max_iter, threads, progress,
))]
pub(crate) fn fit_population<'py>(
    py: Python<'py>,
    rows: Four<'py>,
    starts: Starts<'py>,
    prior: Three<'py>,
    method: &str,
    structure: &str,
    fit_mean: bool,
    shrinkage: (f64, f64),
    floor: f64,
    cap: f64,
    rounds: usize,
    tolerance: f64,
    lapse: f64,
    tie: f64,
    max_iter: usize,
    threads: Option<usize>,
    progress: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let (evidence, mixture) = (Evidence::copy(&rows, &starts)?, Mixture::copy(&prior)?);
    let structure = parse_structure(structure)?;
    let method = parse_method(method)?;
    let place =
        core::PlaceOptions { method, max_iter, tolerance: 1e-9, covariance: false, threads };
    let (scale, strength) = shrinkage;
    let options =
        core::PopulationOptions { structure, fit_mean, scale, strength, floor, cap, place };
    let fail = |error: Error| to_python(&error);
    if rounds == 0 {
        return Err(fail(Error::range("rounds", "a number of at least 1", 0)));
    }
    let answering = core::Answering::new(lapse, tie).map_err(fail)?;
    let mut prior = detached(py, move || mixture.prior())?;
    let view = evidence.rows().map_err(fail)?;
    let mut trace: Vec<f64> = Vec::new();
    let mut responsibilities = Vec::new();
    let mut converged = false;
    for number in 0..rounds {
        let round = detached(py, || core::population_round(view, &prior, answering, &options))?;
        prior = round.prior;
        responsibilities = round.responsibilities;
        let change = trace.last().map(|last| (round.log_evidence - last).abs());
        trace.push(round.log_evidence);
        py.check_signals()?;
        if let Some(progress) = &progress {
            progress.call1((number + 1, round.log_evidence))?;
        }
        converged = change.is_some_and(|c| c <= tolerance * round.log_evidence.abs());
        if converged {
            break;
        }
    }
    let (g, k, people) = (prior.weights.len(), prior.dim, responsibilities.len());
    let out = (
        give(py, prior.weights, [g])?,
        give(py, prior.means, [g, k])?,
        give(py, prior.covariances, [g, k, k])?,
        trace,
        give(py, responsibilities, [people / g, g])?,
        converged,
    );
    Ok(out.into_pyobject(py)?.into_any())
}

fn parse_method(name: &str) -> PyResult<core::Method> {
    match name {
        "laplace" => Ok(core::Method::Laplace),
        "variational" => Ok(core::Method::Variational),
        other => Err(to_python(&Error::range("method", "laplace or variational", other))),
    }
}

fn parse_structure(name: &str) -> PyResult<core::Structure> {
    match name {
        "full" => Ok(core::Structure::Full),
        "diagonal" => Ok(core::Structure::Diagonal),
        "isotropic" => Ok(core::Structure::Isotropic),
        other => {
            let error = Error::range("structure", "full, diagonal or isotropic", other);
            Err(to_python(&error))
        }
    }
}

/// Probability of left, or of a tie, averaged over Gaussian margins `(g, n)`.
#[pyfunction]
#[pyo3(signature = (mean, variance, weights, lapse, tie, of_tie))]
pub(crate) fn predict<'py>(
    py: Python<'py>,
    mean: Input<'py>,
    variance: Input<'py>,
    weights: Input<'py>,
    lapse: f64,
    tie: f64,
    of_tie: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let mean = copy("mean", &mean, 2, "(g, n)")?;
    let variance = copy("variance", &variance, 2, "(g, n)")?;
    let weights = copy("weights", &weights, 1, "(g,)")?.values;
    let (groups, n) = (mean.shape[0], mean.shape[1]);
    let out = detached(py, move || {
        if variance.shape != mean.shape {
            let (expected, got) = (format!("{:?}", mean.shape), format!("{:?}", variance.shape));
            return Err(Error::Shape { name: "variance", expected, got });
        }
        if weights.len() != groups {
            return Err(Error::length("weights", groups, weights.len()));
        }
        let answering = core::Answering::new(lapse, tie)?;
        let average = if of_tie { core::predict_tie } else { core::predict };
        average(&mean.values, &variance.values, &weights, answering)
    })?;
    give(py, out, [n])
}

/// Value of every question of a pool.
#[pyfunction]
#[pyo3(signature = (rule, delta, offset, base, belief, lapse, tie, threads))]
pub(crate) fn acquire<'py>(
    py: Python<'py>,
    rule: &str,
    delta: Input<'py>,
    offset: Input<'py>,
    base: Option<Input<'py>>,
    belief: Three<'py>,
    lapse: f64,
    tie: f64,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyAny>> {
    let rule = parse_rule(rule)?;
    let questions = Questions::copy(&delta, &offset, base.as_ref())?;
    let mixture = Mixture::copy(&belief)?;
    let m = questions.offset.values.len();
    let values = detached(py, move || {
        let answering = core::Answering::new(lapse, tie)?;
        core::acquire(rule, questions.pool()?, belief_of(&mixture)?, answering, threads)
    })?;
    give(py, values, [m])
}

/// What an answer about each question of a pool takes from the mean variance of target margins.
#[pyfunction]
#[pyo3(signature = (delta, offset, moments, belief, lapse, tie, threads))]
pub(crate) fn target_gain<'py>(
    py: Python<'py>,
    delta: Input<'py>,
    offset: Input<'py>,
    moments: Input<'py>,
    belief: Three<'py>,
    lapse: f64,
    tie: f64,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyAny>> {
    let questions = Questions::copy(&delta, &offset, None)?;
    let moments = copy("moments", &moments, 2, "(k, k)")?.values;
    let mixture = Mixture::copy(&belief)?;
    let m = questions.offset.values.len();
    let values = detached(py, move || {
        let answering = core::Answering::new(lapse, tie)?;
        core::target_gain(questions.pool()?, &moments, belief_of(&mixture)?, answering, threads)
    })?;
    give(py, values, [m])
}

/// Indices of a greedy batch of questions.
#[pyfunction]
#[pyo3(signature = (delta, offset, belief, count, lapse, tie))]
pub(crate) fn acquire_batch<'py>(
    py: Python<'py>,
    delta: Input<'py>,
    offset: Input<'py>,
    belief: Three<'py>,
    count: usize,
    lapse: f64,
    tie: f64,
) -> PyResult<Bound<'py, PyAny>> {
    let questions = Questions::copy(&delta, &offset, None)?;
    let mixture = Mixture::copy(&belief)?;
    let picked = detached(py, move || {
        let answering = core::Answering::new(lapse, tie)?;
        core::acquire_batch(questions.pool()?, belief_of(&mixture)?, count, answering)
    })?;
    let picked: Vec<i64> = picked.iter().map(|i| i64::try_from(*i).unwrap_or(i64::MAX)).collect();
    let count = picked.len();
    give(py, picked, [count])
}

fn parse_rule(name: &str) -> PyResult<core::Rule> {
    match name {
        "d_opt" => Ok(core::Rule::DOptimal),
        "information" | "bald" => Ok(core::Rule::Information),
        "eubo" => Ok(core::Rule::Eubo),
        other => Err(to_python(&Error::range("rule", "d_opt, information, bald or eubo", other))),
    }
}

/// Owned questions.
struct Questions {
    delta: Owned,
    offset: Owned,
    base: Option<Owned>,
}

impl Questions {
    fn copy(delta: &Input<'_>, offset: &Input<'_>, base: Option<&Input<'_>>) -> PyResult<Self> {
        Ok(Self {
            delta: copy("delta", delta, 2, "(m, k)")?,
            offset: copy("offset", offset, 1, "(m,)")?,
            base: base.map(|base| copy("base", base, 1, "(m,)")).transpose()?,
        })
    }

    fn pool(&self) -> Result<core::Pool<'_>> {
        let (m, dim) = (self.delta.shape[0], self.delta.shape[1]);
        if self.offset.values.len() != m {
            return Err(Error::length("offset", m, self.offset.values.len()));
        }
        let base = self.base.as_ref().map(|base| base.values.as_slice());
        core::Pool::new(dim, &self.delta.values, &self.offset.values, base)
    }
}

fn belief_of(mixture: &Mixture) -> Result<core::Belief<'_>> {
    let (w, m, c) = (&mixture.weights, &mixture.means, &mixture.covariances);
    core::Belief::new(mixture.dim(), &w.values, &m.values, &c.values)
}
