//! Functions of `gustibus_core::bias`.

#![allow(
    clippy::needless_pass_by_value,
    clippy::too_many_arguments,
    reason = "arguments of Python functions arrive by value, in one flat call"
)]

use gustibus_core::Result;
use gustibus_core::bias as study;
use gustibus_core::fair::Groups;
use gustibus_core::social::Culture;
use pyo3::prelude::*;

use crate::arrays::give;
use crate::errors::to_python;
use crate::fairness::{Labels, matrix, unknown, values};
use crate::running::interruptible;

type BiasTuple = (String, Vec<f64>, bool, bool);
type LatentTuple<'py> = (String, Option<f64>, Option<Labels<'py>>);

/// A bias from its name, its numbers and its two switches.
fn parse_bias(bias: &BiasTuple) -> PyResult<study::Bias> {
    let (name, numbers, first, second) = bias;
    match (name.as_str(), numbers.as_slice()) {
        ("swapping", [phi, strength]) => Ok(study::Bias::Swapping(study::Swapping {
            phi: *phi,
            strength: *strength,
            current: *first,
            keep_group_order: *second,
        })),
        ("block", [probability, drop]) => Ok(study::Bias::Block {
            probability: *probability,
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
            drop: if drop.is_finite() && *drop >= 0.0 { *drop as usize } else { 0 },
            keep_group_order: *second,
        }),
        (name, [factor, shift, noise]) => {
            let utilities = match name {
                "places" => study::Utilities::Places,
                "gaussian" => study::Utilities::Gaussian,
                "uniform" => study::Utilities::Uniform,
                "log_normal" => study::Utilities::LogNormal,
                other => {
                    let known = ["gaussian", "log_normal", "places", "uniform"];
                    return Err(unknown("utilities", other, &known));
                }
            };
            Ok(study::Bias::Utility { utilities, factor: *factor, shift: *shift, noise: *noise })
        }
        (other, _) => Err(unknown("bias", other, &["block", "swapping", "utility"])),
    }
}

/// A latent distribution from its name, its number and its vector.
fn parse_latent(latent: &LatentTuple<'_>) -> PyResult<study::Latent> {
    let (name, number, vector) = latent;
    let centre = vector.as_ref().map(values);
    let culture = match name.as_str() {
        "rankings" => return Ok(study::Latent::Rankings(centre.unwrap_or_default())),
        "impartial" => Culture::Impartial,
        "anonymous" => Culture::Anonymous,
        "urn" => Culture::Urn { alpha: *number },
        "mallows" => Culture::Mallows { phi: *number, centre },
        "norm_mallows" => Culture::NormMallows { norm_phi: *number, centre },
        "walsh" => Culture::Walsh,
        "conitzer" => Culture::Conitzer,
        "single_crossing" => Culture::SingleCrossing,
        other => {
            let known = [
                "anonymous",
                "conitzer",
                "impartial",
                "mallows",
                "norm_mallows",
                "single_crossing",
                "urn",
                "walsh",
            ];
            return Err(unknown("latent", other, &known));
        }
    };
    Ok(study::Latent::Culture(culture))
}

/// Biased copies of ballots `(n, m)`.
#[pyfunction]
#[pyo3(signature = (rankings, labels, groups, bias, seed))]
pub(crate) fn bias_ballots<'py>(
    py: Python<'py>,
    rankings: Labels<'py>,
    labels: Labels<'py>,
    groups: usize,
    bias: BiasTuple,
    seed: u64,
) -> PyResult<Bound<'py, PyAny>> {
    let shape = matrix("rankings", &rankings)?;
    let (mut rows, labels) = (values(&rankings), values(&labels));
    let bias = parse_bias(&bias)?;
    let rows = interruptible(py, None, move |stop| {
        study::bias_all(&bias, &mut rows, Groups::new(&labels, groups)?, seed, stop)?;
        Ok(rows)
    })?;
    give(py, rows, shape)
}

/// Smoothness: alpha, its error, latent and biased means `(sets, m)`, steps of gamma.
#[pyfunction]
#[pyo3(signature = (rule, latent, bias, labels, groups, sizes, tau, seed, threads))]
pub(crate) fn estimate_smoothness<'py>(
    py: Python<'py>,
    rule: &str,
    latent: LatentTuple<'py>,
    bias: BiasTuple,
    labels: Labels<'py>,
    groups: usize,
    sizes: (usize, usize, usize, usize),
    tau: Option<f64>,
    seed: u64,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyAny>> {
    let (latent, bias, labels) = (parse_latent(&latent)?, parse_bias(&bias)?, values(&labels));
    let (ballots, elections, sets, seats) = sizes;
    let m = labels.len();
    let done = interruptible(py, None, |stop| {
        let objective = study::objective(rule, m, seats)?;
        let options =
            study::SmoothnessOptions { ballots, elections, sets, seats, tau, seed, threads, stop };
        study::smoothness(&objective, &latent, &bias, Groups::new(&labels, groups)?, &options)
    })?;
    let (rows, steps) = (done.latent.len() / m, done.steps.len());
    let out = (
        done.alpha,
        done.error,
        give(py, done.latent, [rows, m])?,
        give(py, done.biased, [rows, m])?,
        give(py, done.steps.iter().map(|s| s.beta).collect(), [steps])?,
        give(py, done.steps.iter().map(|s| s.gamma).collect(), [steps])?,
    );
    Ok(out.into_pyobject(py)?.into_any())
}

/// A sufficient number of rankings, its accuracy and the ratio that it promises.
#[pyfunction]
#[pyo3(signature = (smoothness, items, delta, accuracy))]
pub(crate) fn required_rankings(
    smoothness: (f64, f64, f64),
    items: usize,
    delta: f64,
    accuracy: Option<f64>,
) -> PyResult<(f64, f64, f64)> {
    study::required(smoothness, items, delta, accuracy)
        .map(|r| (r.rankings, r.accuracy, r.ratio))
        .map_err(|error| to_python(&error))
}

/// The study of quotas: mean ratios, deviations and observed ratios `(rules, biases, quotas)`.
#[pyfunction]
#[pyo3(signature = (
    rules, latent, biases, labels, groups, sizes, quotas, fresh, shuffled_ties, seed, threads
))]
pub(crate) fn study_bias<'py>(
    py: Python<'py>,
    rules: Vec<String>,
    latent: LatentTuple<'py>,
    biases: Vec<BiasTuple>,
    labels: Labels<'py>,
    groups: usize,
    sizes: (usize, usize, usize),
    quotas: Vec<usize>,
    fresh: bool,
    shuffled_ties: bool,
    seed: u64,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyAny>> {
    let (latent, labels) = (parse_latent(&latent)?, values(&labels));
    let biases: Vec<study::Bias> = biases.iter().map(parse_bias).collect::<PyResult<_>>()?;
    let (ballots, seats, elections) = sizes;
    let (quotas, m) = (&quotas[..], labels.len());
    let done = interruptible(py, None, |stop| {
        let objectives: Vec<study::Objective> =
            rules.iter().map(|rule| study::objective(rule, m, seats)).collect::<Result<_>>()?;
        let options = study::StudyOptions {
            ballots,
            seats,
            quotas,
            elections,
            fresh,
            shuffled_ties,
            seed,
            threads,
            stop,
        };
        study::study(&objectives, &latent, &biases, Groups::new(&labels, groups)?, &options)
    })?;
    let shape = [rules.len(), biases.len(), quotas.len()];
    let out = (
        give(py, done.ratio, shape)?,
        give(py, done.deviation, shape)?,
        give(py, done.observed, shape)?,
    );
    Ok(out.into_pyobject(py)?.into_any())
}
