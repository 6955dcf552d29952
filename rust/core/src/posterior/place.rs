//! Placing a batch of people under a mixture prior.

use super::likelihood::Answering;
use super::newton::{Fit, Stop, fit};
use super::parallel;
use super::views::{Person, Prior, Rows};
use crate::{Error, Result};

/// Knobs of the solver and of the batch.
#[derive(Debug, Clone, Copy)]
pub struct PlaceOptions {
    /// Most Newton steps per person and group.
    pub max_iter: usize,
    /// Stops when the remaining step is this many posterior standard deviations long.
    pub tolerance: f64,
    /// Whether covariances are wanted.
    pub covariance: bool,
    /// Threads; `None` for the pool of the process.
    pub threads: Option<usize>,
}

/// Posteriors of many people, every field with a leading person axis.
#[derive(Debug, Clone, Default)]
pub struct Placement {
    /// `(p, g)`, posterior weight of each group.
    pub weights: Vec<f64>,
    /// `(p, g, k)`.
    pub modes: Vec<f64>,
    /// `(p, g, k, k)`, empty when not wanted.
    pub covariances: Vec<f64>,
    /// `(p,)`, Laplace approximation.
    pub log_evidence: Vec<f64>,
    /// `(p,)`, largest norm of a gradient, whitened by the prior, over groups.
    pub gradients: Vec<f64>,
    /// `(p,)`, most steps over groups.
    pub iterations: Vec<usize>,
    /// `(p,)`, whether every group converged.
    pub converged: Vec<bool>,
}

/// People per unit of parallel work: about a millisecond of 20 rows and 32 dimensions.
const CHUNK: usize = 16;

impl PlaceOptions {
    pub(super) fn stop(&self) -> Result<Stop> {
        if self.max_iter == 0 {
            return Err(Error::range("max_iter", "a number of at least 1", 0));
        }
        if !(self.tolerance > 0.0 && self.tolerance < 1.0) {
            return Err(Error::range("tolerance", "a number in (0, 1)", self.tolerance));
        }
        if self.threads == Some(0) {
            return Err(Error::range("threads", "a number of at least 1", 0));
        }
        Ok(Stop { max_iter: self.max_iter, tolerance: self.tolerance })
    }
}

/// Laplace posterior of every person under a mixture of Gaussians.
///
/// Per group a damped Newton climb from the group mean; group weights by the Laplace evidence. The
/// covariance is the inverse of prior precision plus Fisher information at the mode. A person
/// without rows gets the prior to the bit, and no person's result depends on the others.
///
/// # Errors
/// [`Error::Shape`] when rows and prior disagree on the dimension; [`Error::Range`] for options.
///
/// Source: Rasmussen and Williams 2006, section 3.4; Murphy 2012, section 8.4.1.
pub fn place(
    rows: Rows<'_>,
    prior: &Prior,
    answering: Answering,
    options: PlaceOptions,
) -> Result<Placement> {
    let stop = options.stop()?;
    check_dim(rows, prior)?;
    let people = rows.labels.people();
    let parts = parallel::map(people.div_ceil(CHUNK), options.threads, |chunk| {
        let mut part = Placement::default();
        for index in chunk * CHUNK..((chunk + 1) * CHUNK).min(people) {
            place_one(rows.person(index), prior, answering, stop, options.covariance, &mut part);
        }
        part
    });
    Ok(join(parts))
}

pub(super) fn check_dim(rows: Rows<'_>, prior: &Prior) -> Result<()> {
    if rows.dim != prior.dim {
        let got = format!("({}, {})", rows.labels.target.len(), rows.dim);
        return Err(Error::Shape { name: "delta", expected: format!("(n, {})", prior.dim), got });
    }
    Ok(())
}

fn place_one(
    person: Person<'_>,
    prior: &Prior,
    answering: Answering,
    stop: Stop,
    covariance: bool,
    out: &mut Placement,
) {
    let fits: Vec<Fit> =
        (0..prior.groups()).map(|g| fit(person, prior.group(g), answering, stop, None)).collect();
    out.log_evidence.push(responsibilities(&fits, person, prior, &mut out.weights));
    for (g, fit) in fits.iter().enumerate() {
        out.modes.extend_from_slice(&fit.mode);
        if covariance {
            out.covariances.extend(fit.covariance(person, prior.group(g)));
        }
    }
    out.gradients.push(fits.iter().fold(0.0, |m, f| m.max(f.gradient)));
    out.iterations.push(fits.iter().map(|f| f.iterations).max().unwrap_or(0));
    out.converged.push(fits.iter().all(|f| f.converged));
}

/// Appends the posterior weight of every group and gives the log evidence of the mixture.
pub(super) fn responsibilities(
    fits: &[Fit],
    person: Person<'_>,
    prior: &Prior,
    weights: &mut Vec<f64>,
) -> f64 {
    if person.target.is_empty() {
        weights.extend_from_slice(&prior.weights);
        return 0.0;
    }
    let from = weights.len();
    weights.extend(fits.iter().zip(&prior.weights).map(|(f, w)| w.ln() + f.log_evidence));
    softmax(&mut weights[from..])
}

/// Softmax in place; gives the log of the sum of exponentials. At least one entry is finite.
pub(super) fn softmax(logits: &mut [f64]) -> f64 {
    let top = logits.iter().fold(f64::NEG_INFINITY, |m, x| m.max(*x));
    logits.iter_mut().for_each(|x| *x = (*x - top).exp());
    let total: f64 = logits.iter().sum();
    logits.iter_mut().for_each(|x| *x /= total);
    top + total.ln()
}

/// Concatenates in order.
pub(super) fn join(mut parts: Vec<Placement>) -> Placement {
    if parts.len() == 1 {
        return parts.pop().unwrap_or_default();
    }
    let mut all = Placement::default();
    for part in parts {
        all.weights.extend(part.weights);
        all.modes.extend(part.modes);
        all.covariances.extend(part.covariances);
        all.log_evidence.extend(part.log_evidence);
        all.gradients.extend(part.gradients);
        all.iterations.extend(part.iterations);
        all.converged.extend(part.converged);
    }
    all
}
