//! Empirical Bayes: one round of expectation maximisation for the mixture prior.

use super::eigen::clip_spectrum;
use super::likelihood::Answering;
use super::linalg::{axpy, gram, mat_mul, scale, symmetrise};
use super::newton::{Fit, Method, Stop, fit_by};
use super::place::{PlaceOptions, check_dim, responsibilities};
use super::views::{Prior, Rows};
use crate::parallel;
use crate::{Error, Result};

/// What a covariance of the population may look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Structure {
    /// Any positive definite matrix.
    Full,
    /// Independent coordinates.
    Diagonal,
    /// A multiple of the identity.
    Isotropic,
}

/// Knobs of [`population_round`].
#[derive(Debug, Clone, Copy)]
pub struct PopulationOptions {
    /// Shape of the covariances.
    pub structure: Structure,
    /// Whether means move; otherwise they stay those of the prior.
    pub fit_mean: bool,
    /// Variance towards which covariances shrink.
    pub scale: f64,
    /// Number of pseudo-people with that variance, at least 0.
    pub strength: f64,
    /// Smallest eigenvalue.
    pub floor: f64,
    /// Largest eigenvalue.
    pub cap: f64,
    /// Knobs of the placement of every person; covariances are accumulated, never kept.
    pub place: PlaceOptions,
}

/// A round's result.
#[derive(Debug, Clone)]
pub struct Round {
    /// The prior after the round.
    pub prior: Prior,
    /// Summed Laplace log evidence under the prior before the round.
    pub log_evidence: f64,
    /// `(p, g)`, under the prior before the round.
    pub responsibilities: Vec<f64>,
}

/// People whose rows go through one matrix product; results are summed per chunk in index order.
const CHUNK: usize = 32;
/// Chunks in flight before their sums are added up; bounds the memory to this many `(k, k)` pairs.
const WAVE: usize = 16;
/// Below this many people's worth of responsibility a group keeps its parameters.
const EMPTY: f64 = 1e-8;

/// One round: place everybody, then refit weights, means and covariances.
///
/// `mu_g` is the weighted mean of the modes and `S_g` the weighted mean of
/// `(w - mu_g)(w - mu_g)' + C`, shrunk towards `scale I` by `strength` pseudo-people (the mode of an
/// inverse-Wishart prior up to its degrees of freedom), then given its structure and clipped to
/// `[floor, cap]`. The sum of the `C = S - S U'U S` of people with fewer rows than dimensions needs
/// only the sum of `U'U`, so no covariance of a person is ever formed for them.
///
/// # Errors
/// [`Error::Shape`] when dimensions disagree, [`Error::Range`] for options, and
/// [`Error::NotPositiveDefinite`] when a refitted covariance cannot be factored.
///
/// Source: Dempster, Laird and Rubin 1977, with the Laplace approximation as E step.
pub fn population_round(
    rows: Rows<'_>,
    prior: &Prior,
    answering: Answering,
    options: &PopulationOptions,
) -> Result<Round> {
    let stop = options.place.stop()?;
    check_dim(rows, prior)?;
    check_options(options)?;
    let (people, groups) = (rows.labels.people(), prior.groups());
    let mut total = Sums::new(groups, prior.dim);
    let chunks = people.div_ceil(CHUNK);
    for wave in (0..chunks).step_by(WAVE) {
        let count = WAVE.min(chunks - wave);
        let parts = parallel::map(count, options.place.threads, |offset| {
            let from = (wave + offset) * CHUNK;
            expect(
                rows,
                from..(from + CHUNK).min(people),
                prior,
                answering,
                (options.place.method, stop),
            )
        });
        for part in parts {
            total.add(part);
        }
    }
    let next = maximise(&total, prior, options, people)?;
    Ok(Round { prior: next, log_evidence: total.log_evidence, responsibilities: total.shares })
}

fn check_options(options: &PopulationOptions) -> Result<()> {
    if !(options.scale > 0.0 && options.scale.is_finite()) {
        return Err(Error::range("shrinkage", "a scale above 0", options.scale));
    }
    if !(options.strength >= 0.0 && options.strength.is_finite()) {
        return Err(Error::range("shrinkage", "a strength at or above 0", options.strength));
    }
    if !(options.floor > 0.0 && options.floor <= options.cap && options.cap <= 1e12) {
        let got = format!("floor {} and cap {}", options.floor, options.cap);
        return Err(Error::range("floor", "0 < floor <= cap <= 1e12", got));
    }
    Ok(())
}

/// Sufficient statistics of a set of people.
#[derive(Debug)]
struct Sums {
    log_evidence: f64,
    /// `(p, g)`.
    shares: Vec<f64>,
    /// `(p, g, k)`.
    modes: Vec<f64>,
    /// `(g,)`, responsibility of people whose covariance is in `reductions`.
    dual: Vec<f64>,
    /// Per group the sum of `r U'U`, `(k, k)`, empty for none.
    reductions: Vec<Vec<f64>>,
    /// Per group the sum of `r C` of the other people, `(k, k)`, empty for none.
    covariances: Vec<Vec<f64>>,
    dim: usize,
}

impl Sums {
    fn new(groups: usize, dim: usize) -> Self {
        Self {
            log_evidence: 0.0,
            shares: Vec::new(),
            modes: Vec::new(),
            dual: vec![0.0; groups],
            reductions: vec![Vec::new(); groups],
            covariances: vec![Vec::new(); groups],
            dim,
        }
    }

    fn add(&mut self, part: Self) {
        self.log_evidence += part.log_evidence;
        self.shares.extend(part.shares);
        self.modes.extend(part.modes);
        axpy(1.0, &part.dual, &mut self.dual);
        let ours = self.reductions.iter_mut().chain(&mut self.covariances);
        for (sum, other) in ours.zip(part.reductions.into_iter().chain(part.covariances)) {
            add_matrix(sum, 1.0, &other);
        }
    }
}

/// `sum += share matrix`, where an empty matrix is zero.
fn add_matrix(sum: &mut Vec<f64>, share: f64, matrix: &[f64]) {
    sum.resize(sum.len().max(matrix.len()), 0.0);
    axpy(share, matrix, sum);
}

/// Places a chunk of people and sums what the M step needs.
fn expect(
    rows: Rows<'_>,
    people: std::ops::Range<usize>,
    prior: &Prior,
    answering: Answering,
    (method, stop): (Method, Stop),
) -> Sums {
    let (k, groups) = (rows.dim, prior.groups());
    let starts = &rows.labels.starts[people.start..=people.end];
    let products = chunk_products(rows, starts, prior);
    let mut sums = Sums::new(groups, k);
    let mut stacked = vec![Vec::new(); groups];
    let mut covariance = vec![0.0; k * k];
    for index in people {
        let person = rows.person(index);
        let fits: Vec<Fit> = (0..groups)
            .map(|g| {
                let from = (rows.labels.starts[index] - starts[0]) * k;
                let xs = products.get(g).map(|xs| xs[from..from + person.x.len()].to_vec());
                fit_by(method, person, prior.group(g), answering, stop, xs)
            })
            .collect();
        let from = sums.shares.len();
        sums.shares.resize(from + groups, 0.0);
        sums.log_evidence += responsibilities(&fits, person, prior, &mut sums.shares[from..]);
        for (g, fit) in fits.iter().enumerate() {
            let share = sums.shares[from + g];
            sums.modes.extend_from_slice(&fit.mode);
            if let Some(mut reduction) = fit.reduction(person) {
                let root = share.sqrt();
                scale(root, &mut reduction);
                stacked[g].extend(reduction);
                sums.dual[g] += share;
            } else {
                fit.covariance(person, prior.group(g), &mut covariance);
                add_matrix(&mut sums.covariances[g], share, &covariance);
            }
        }
    }
    for (sum, rows) in sums.reductions.iter_mut().zip(&stacked) {
        if !rows.is_empty() {
            sum.resize(k * k, 0.0);
            gram(rows, sum, rows.len() / k, k, 1.0, 0.0);
        }
    }
    sums
}

/// Per group `X S` of all rows of a chunk, if somebody has fewer rows than dimensions.
fn chunk_products(rows: Rows<'_>, starts: &[usize], prior: &Prior) -> Vec<Vec<f64>> {
    let k = rows.dim;
    let (from, to) = (starts[0], starts[starts.len() - 1]);
    if starts.windows(2).all(|pair| pair[1] - pair[0] >= k) {
        return Vec::new();
    }
    let x = &rows.delta[from * k..to * k];
    let product = |g| {
        let mut xs = vec![0.0; x.len()];
        mat_mul(x, prior.group(g).covariance, &mut xs, to - from, k, k, 0.0);
        xs
    };
    (0..prior.groups()).map(product).collect()
}

/// The M step.
fn maximise(
    sums: &Sums,
    prior: &Prior,
    options: &PopulationOptions,
    people: usize,
) -> Result<Prior> {
    let (k, groups) = (sums.dim, prior.groups());
    let (mut weights, mut means) = (prior.weights.clone(), prior.means.clone());
    let mut covariances = prior.covariances.clone();
    let mut scatter = vec![0.0; people * k];
    for g in 0..groups {
        let share = |p: usize| sums.shares[p * groups + g];
        let mode = |p: usize| &sums.modes[(p * groups + g) * k..(p * groups + g + 1) * k];
        let mass: f64 = (0..people).map(share).sum();
        weights[g] = mass / people.max(1) as f64;
        if mass < EMPTY {
            continue;
        }
        let mean = &mut means[g * k..(g + 1) * k];
        if options.fit_mean {
            mean.fill(0.0);
            (0..people).for_each(|p| axpy(share(p) / mass, mode(p), mean));
        }
        for (p, row) in scatter.chunks_exact_mut(k).enumerate() {
            let root = share(p).sqrt();
            for ((out, w), m) in row.iter_mut().zip(mode(p)).zip(mean.iter()) {
                *out = root * (w - m);
            }
        }
        let covariance = &mut covariances[g * k * k..(g + 1) * k * k];
        add_posteriors(sums, g, covariance);
        gram(&scatter, covariance, people, k, 1.0, 1.0);
        (0..k).for_each(|i| covariance[i * k + i] += options.strength * options.scale);
        let inverse = 1.0 / (mass + options.strength);
        scale(inverse, covariance);
        symmetrise(covariance, k);
        give_structure(covariance, k, options.structure);
        clip_spectrum(covariance, k, options.floor, options.cap);
    }
    if people == 0 {
        weights.clone_from(&prior.weights);
    }
    Prior::new(k, weights, means, covariances)
}

/// Replaces `S` by the sum of everybody's `r C = r S - S (r U'U) S`.
fn add_posteriors(sums: &Sums, g: usize, covariance: &mut [f64]) {
    let k = sums.dim;
    let old = covariance.to_vec();
    scale(sums.dual[g], covariance);
    if !sums.reductions[g].is_empty() {
        let (mut half, mut full) = (vec![0.0; k * k], vec![0.0; k * k]);
        mat_mul(&sums.reductions[g], &old, &mut half, k, k, k, 0.0);
        mat_mul(&old, &half, &mut full, k, k, k, 0.0);
        axpy(-1.0, &full, covariance);
    }
    axpy(1.0, &sums.covariances[g], covariance);
}

fn give_structure(covariance: &mut [f64], k: usize, structure: Structure) {
    if structure == Structure::Full {
        return;
    }
    let mean = (0..k).map(|i| covariance[i * k + i]).sum::<f64>() / k as f64;
    for i in 0..k {
        let own = covariance[i * k + i];
        covariance[i * k..(i + 1) * k].fill(0.0);
        covariance[i * k + i] = if structure == Structure::Isotropic { mean } else { own };
    }
}
