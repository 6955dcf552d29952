//! Placing a batch of people under a mixture prior.

use super::likelihood::Answering;
use super::linalg::scale;
use super::newton::{Fit, Method, Stop, fit_by};
use super::views::{Person, Prior, Rows};
use crate::parallel;
use crate::{Error, Result};

/// Knobs of the solver and of the batch.
#[derive(Debug, Clone, Copy)]
pub struct PlaceOptions {
    /// Which Gaussian to fit; `place_simplex` knows Laplace only.
    pub method: Method,
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
    let mut out = Placement::new(rows.labels.people(), prior, options.covariance);
    parallel::each(out.slots(prior), options.threads, |slots| {
        for mut slot in slots {
            let person = rows.person(slot.person);
            place_one(person, prior, answering, (options.method, stop), &mut slot);
        }
    });
    Ok(out)
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
    (method, stop): (Method, Stop),
    out: &mut Slot<'_>,
) {
    let fits: Vec<Fit> = (0..prior.groups())
        .map(|g| fit_by(method, person, prior.group(g), answering, stop, None))
        .collect();
    let k = prior.dim;
    *out.log_evidence = responsibilities(&fits, person, prior, out.weights);
    for (g, fit) in fits.iter().enumerate() {
        out.modes[g * k..(g + 1) * k].copy_from_slice(&fit.mode);
        if !out.covariances.is_empty() {
            let covariance = &mut out.covariances[g * k * k..(g + 1) * k * k];
            fit.covariance(person, prior.group(g), covariance);
        }
    }
    *out.gradient = fits.iter().fold(0.0, |m, f| m.max(f.gradient));
    *out.iterations = fits.iter().map(|f| f.iterations).max().unwrap_or(0);
    *out.converged = fits.iter().all(|f| f.converged);
}

/// One person's part of a [`Placement`].
pub(super) struct Slot<'a> {
    pub(super) person: usize,
    pub(super) weights: &'a mut [f64],
    pub(super) modes: &'a mut [f64],
    /// Empty when not wanted.
    pub(super) covariances: &'a mut [f64],
    pub(super) log_evidence: &'a mut f64,
    pub(super) gradient: &'a mut f64,
    pub(super) iterations: &'a mut usize,
    pub(super) converged: &'a mut bool,
}

impl Placement {
    /// Zeros of the right shapes, which the threads that fill them touch first.
    pub(super) fn new(people: usize, prior: &Prior, covariance: bool) -> Self {
        let (g, k) = (prior.groups(), prior.dim);
        Self {
            weights: vec![0.0; people * g],
            modes: vec![0.0; people * g * k],
            covariances: vec![0.0; if covariance { people * g * k * k } else { 0 }],
            log_evidence: vec![0.0; people],
            gradients: vec![0.0; people],
            iterations: vec![0; people],
            converged: vec![false; people],
        }
    }

    /// Everybody's part, in chunks.
    pub(super) fn slots(&mut self, prior: &Prior) -> Vec<Vec<Slot<'_>>> {
        let (g, k) = (prior.groups(), prior.dim);
        let mut weights = self.weights.chunks_exact_mut(g);
        let mut modes = self.modes.chunks_exact_mut(g * k);
        let mut covariances = self.covariances.chunks_exact_mut(g * k * k);
        let mut log_evidence = self.log_evidence.iter_mut();
        let mut gradients = self.gradients.iter_mut();
        let mut iterations = self.iterations.iter_mut();
        let mut converged = self.converged.iter_mut();
        let mut chunks = Vec::new();
        let mut person = 0;
        loop {
            let chunk: Vec<Slot<'_>> = (0..CHUNK)
                .map_while(|_| {
                    let slot = Slot {
                        person,
                        weights: weights.next()?,
                        modes: modes.next()?,
                        covariances: covariances.next().unwrap_or_default(),
                        log_evidence: log_evidence.next()?,
                        gradient: gradients.next()?,
                        iterations: iterations.next()?,
                        converged: converged.next()?,
                    };
                    person += 1;
                    Some(slot)
                })
                .collect();
            if chunk.is_empty() {
                return chunks;
            }
            chunks.push(chunk);
        }
    }
}

/// Fills in the posterior weight of every group and gives the log evidence of the mixture.
pub(super) fn responsibilities(
    fits: &[Fit],
    person: Person<'_>,
    prior: &Prior,
    weights: &mut [f64],
) -> f64 {
    if person.target.is_empty() {
        weights.copy_from_slice(&prior.weights);
        return 0.0;
    }
    for (out, (fit, weight)) in weights.iter_mut().zip(fits.iter().zip(&prior.weights)) {
        *out = weight.ln() + fit.log_evidence;
    }
    softmax(weights)
}

/// Softmax in place; gives the log of the sum of exponentials. At least one entry is finite.
pub(super) fn softmax(logits: &mut [f64]) -> f64 {
    let top = logits.iter().fold(f64::NEG_INFINITY, |m, x| m.max(*x));
    for x in logits.iter_mut() {
        *x = (*x - top).exp();
    }
    let total: f64 = logits.iter().sum();
    scale(1.0 / total, logits);
    top + total.ln()
}
