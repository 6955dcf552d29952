//! Random profiles and distances of `gustibus_core::social`.

#![allow(
    clippy::needless_pass_by_value,
    clippy::too_many_arguments,
    reason = "arguments of Python functions arrive by value, in one flat call"
)]

use std::sync::Arc;

use gustibus_core::Error;
use gustibus_core::social::{Compact, Culture, Metric, Profile, axis, distances, sample_until};
use pyo3::prelude::*;

use crate::arrays::{ArrayDyn, give};
use crate::errors::to_python;
use crate::running::interruptible;
use crate::social::Ballots;

/// A random profile of a culture; of the parameters only those of the culture are looked at.
#[pyfunction]
#[pyo3(signature = (culture, n_ballots, n_items, parameter, vector, dimensions, seed, threads))]
pub(crate) fn social_sample(
    py: Python<'_>,
    culture: &str,
    n_ballots: usize,
    n_items: usize,
    parameter: Option<f64>,
    vector: Option<Vec<f64>>,
    dimensions: usize,
    seed: u64,
    threads: Option<usize>,
) -> PyResult<Ballots> {
    let culture =
        parse_culture(culture, parameter, vector, dimensions).map_err(|error| to_python(&error))?;
    let profile = interruptible(py, None, |stop| {
        let rows = sample_until(&culture, n_ballots, n_items, seed, threads, stop)?;
        Profile::full(&rows, n_items, None, Compact::Never, threads)
    })?;
    Ok(Ballots { profile: Arc::new(profile) })
}

fn parse_culture(
    name: &str,
    parameter: Option<f64>,
    vector: Option<Vec<f64>>,
    dimensions: usize,
) -> gustibus_core::Result<Culture> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked by sample")]
    let centre = || vector.clone().map(|ids| ids.iter().map(|id| *id as u32).collect());
    let needed =
        |name| vector.clone().ok_or_else(|| Error::range(name, "a number per item", "none"));
    Ok(match name {
        "impartial" => Culture::Impartial,
        "anonymous" => Culture::Anonymous,
        "urn" => Culture::Urn { alpha: parameter },
        "mallows" => Culture::Mallows { phi: parameter, centre: centre() },
        "norm_mallows" => Culture::NormMallows { norm_phi: parameter, centre: centre() },
        "plackett_luce" => Culture::PlackettLuce { log_strengths: needed("log_strengths")? },
        "thurstone" => {
            Culture::Thurstone { means: needed("means")?, sigma: parameter.unwrap_or(1.0) }
        }
        "walsh" => Culture::Walsh,
        "conitzer" => Culture::Conitzer,
        "euclidean" => Culture::Euclidean { dimensions },
        "single_crossing" => Culture::SingleCrossing,
        other => {
            return Err(Error::UnknownName {
                kind: "culture",
                name: other.to_owned(),
                known: vec![
                    "impartial",
                    "anonymous",
                    "urn",
                    "mallows",
                    "norm_mallows",
                    "plackett_luce",
                    "thurstone",
                    "walsh",
                    "conitzer",
                    "euclidean",
                    "single_crossing",
                ],
            });
        }
    })
}

/// The items along an axis on which all ballots are single-peaked, or `None` when there is no such axis.
#[pyfunction]
#[pyo3(signature = (ballots))]
pub(crate) fn social_axis(
    py: Python<'_>,
    ballots: &Bound<'_, Ballots>,
) -> PyResult<Option<Vec<usize>>> {
    let profile = Arc::clone(&ballots.get().profile);
    interruptible(py, None, |stop| axis(&profile, stop))
}

/// `(n,)` distances of ballots from a weak order, given as a bucket per item.
#[pyfunction]
#[pyo3(signature = (ballots, buckets, metric, penalty, threads))]
pub(crate) fn social_distances<'py>(
    py: Python<'py>,
    ballots: &Bound<'py, Ballots>,
    buckets: ArrayDyn<'py, i64>,
    metric: &str,
    penalty: f64,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyAny>> {
    let metric = Metric::named(metric, penalty).map_err(|error| to_python(&error))?;
    let profile = Arc::clone(&ballots.get().profile);
    let buckets: Vec<usize> =
        buckets.as_array().iter().map(|b| usize::try_from(*b).unwrap_or(usize::MAX)).collect();
    let n = profile.len();
    let out = interruptible(py, None, |stop| distances(&profile, &buckets, metric, threads, stop))?;
    give(py, out, [n])
}
