//! Which question to ask: the value of every pair of a pool, given what is known of a person.

use super::averages::Averages;
use super::likelihood::Answering;
use super::linalg::{mat_vec, quadratic_forms};
use super::quadrature::{normal_cdf, normal_pdf, plogp};
use super::views::{check_mixture, check_within};
use crate::parallel;
use crate::{Error, Result};

/// How pairs are valued; larger is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// `log(1 + a v) / 2`, averaged over groups: gain in log determinant of the posterior precision.
    DOptimal,
    /// Mutual information of answer and user vector in nats, group included.
    Information,
    /// Expected utility of the better of the two responses.
    Eubo,
}

/// What is known of a person: a mixture of Gaussians whose covariances may be singular.
#[derive(Debug, Clone, Copy)]
pub struct Belief<'a> {
    pub(super) weights: &'a [f64],
    means: &'a [f64],
    covariances: &'a [f64],
    dim: usize,
}

/// Candidate questions.
#[derive(Debug, Clone, Copy)]
pub struct Pool<'a> {
    pub(super) delta: &'a [f64],
    pub(super) offset: &'a [f64],
    base: Option<&'a [f64]>,
    pub(super) dim: usize,
}

/// Pairs per matrix product; the product stays in the second-level cache up to 128 dimensions.
pub(super) const BLOCK: usize = 256;
/// Pairs per unit of parallel work: about a millisecond at 32 dimensions, so that smaller pools stay
/// on the calling thread.
pub(super) const CHUNK: usize = 4096;

impl<'a> Belief<'a> {
    /// Checked mixture: weights `(g,)`, means `(g, dim)`, covariances `(g, dim, dim)`.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::NotFinite`], [`Error::Range`] or [`Error::NotPositiveDefinite`].
    pub fn new(
        dim: usize,
        weights: &'a [f64],
        means: &'a [f64],
        covariances: &'a [f64],
    ) -> Result<Self> {
        check_mixture(dim, weights, means, covariances)?;
        Ok(Self { weights, means, covariances, dim })
    }

    pub(super) fn group(&self, g: usize) -> (f64, &[f64], &[f64]) {
        let (k, square) = (self.dim, self.dim * self.dim);
        let mean = &self.means[g * k..(g + 1) * k];
        (self.weights[g], mean, &self.covariances[g * square..(g + 1) * square])
    }
}

impl<'a> Pool<'a> {
    /// Checked pairs: delta `(m, dim)`, offset `(m,)`, and for [`Rule::Eubo`] the expected utility
    /// `(m,)` of the right response, zero if not given.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::NotFinite`] or [`Error::Range`].
    pub fn new(
        dim: usize,
        delta: &'a [f64],
        offset: &'a [f64],
        base: Option<&'a [f64]>,
    ) -> Result<Self> {
        let m = offset.len();
        if delta.len() != m * dim {
            let got = format!("{} numbers", delta.len());
            return Err(Error::Shape { name: "delta", expected: format!("({m}, {dim})"), got });
        }
        check_within("delta", delta)?;
        check_within("offset", offset)?;
        if let Some(base) = base {
            if base.len() != m {
                return Err(Error::length("base", m, base.len()));
            }
            check_within("base", base)?;
        }
        Ok(Self { delta, offset, base, dim })
    }
}

/// Value `(m,)` of every pair of a pool.
///
/// With `m = c + delta . mu` and `v = delta' S delta` per group, `a` the Fisher information of one
/// answer at `m`, `p` and `h` the outcome probabilities and their entropy:
/// D-optimal `sum_g pi_g log(1 + a v) / 2`; information `h(E p) - E h(p)` with `E` over groups and
/// `z ~ N(m, v)`; EUBO `base + E max(z, 0)`.
///
/// # Errors
/// [`Error::Shape`] when pool and belief disagree on the dimension.
///
/// Source: Houlsby et al. 2011 (BALD); Lin et al. 2022 (EUBO); Chaloner and Verdinelli 1995 for
/// D-optimality.
pub fn acquire(
    rule: Rule,
    pool: Pool<'_>,
    belief: Belief<'_>,
    answering: Answering,
    threads: Option<usize>,
) -> Result<Vec<f64>> {
    check_dims(pool, belief)?;
    let m = pool.offset.len();
    let scorer = Scorer {
        rule,
        belief,
        answering,
        averages: (rule == Rule::Information).then(|| Averages::new(answering)),
    };
    let parts = parallel::map(m.div_ceil(CHUNK), threads, |chunk| {
        let (from, to) = (chunk * CHUNK, ((chunk + 1) * CHUNK).min(m));
        let mut out = Vec::with_capacity(to - from);
        for start in (from..to).step_by(BLOCK) {
            scorer.score(pool.slice(start, (start + BLOCK).min(to)), &mut out);
        }
        out
    });
    Ok(parts.concat())
}

pub(super) fn check_dims(pool: Pool<'_>, belief: Belief<'_>) -> Result<()> {
    if pool.dim != belief.dim {
        let got = format!("({}, {})", pool.offset.len(), pool.dim);
        return Err(Error::Shape { name: "delta", expected: format!("(m, {})", belief.dim), got });
    }
    Ok(())
}

impl<'a> Pool<'a> {
    pub(super) fn slice(&self, from: usize, to: usize) -> Self {
        Self {
            delta: &self.delta[from * self.dim..to * self.dim],
            offset: &self.offset[from..to],
            base: self.base.map(|base: &'a [f64]| &base[from..to]),
            dim: self.dim,
        }
    }

    /// Mean and variance of every margin under one Gaussian.
    pub(super) fn margins(&self, mean: &[f64], covariance: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let variances = quadratic_forms(self.delta, covariance, self.dim);
        let mut means = mat_vec(self.delta, mean);
        means.iter_mut().zip(self.offset).for_each(|(z, c)| *z += c);
        (means, variances)
    }
}

struct Scorer<'a> {
    rule: Rule,
    belief: Belief<'a>,
    answering: Answering,
    averages: Option<Averages>,
}

impl Scorer<'_> {
    fn score(&self, pool: Pool<'_>, out: &mut Vec<f64>) {
        let m = pool.offset.len();
        let mut totals = vec![[0.0; 3]; m];
        for g in 0..self.belief.weights.len() {
            let (weight, mean, covariance) = self.belief.group(g);
            let (means, variances) = pool.margins(mean, covariance);
            let terms = self.terms(&means, &variances);
            for (total, terms) in totals.iter_mut().zip(terms) {
                total.iter_mut().zip(terms).for_each(|(t, x)| *t += weight * x);
            }
        }
        out.extend(totals.iter().enumerate().map(|(i, total)| match self.rule {
            Rule::DOptimal => total[0],
            Rule::Information => {
                let [left, right, entropy] = *total;
                let tie = if self.answering.tie() > 0.0 { 1.0 - left - right } else { 0.0 };
                (plogp(left) + plogp(right) + plogp(tie) - entropy).max(0.0)
            }
            Rule::Eubo => total[0] + pool.base.map_or(0.0, |base| base[i]),
        }));
    }

    /// What is averaged over groups, of each margin.
    fn terms(&self, means: &[f64], variances: &[f64]) -> Vec<[f64; 3]> {
        if let Some(averages) = &self.averages {
            return averages.outcomes(means, variances);
        }
        let value = |z: f64, v: f64| match self.rule {
            Rule::Eubo => expected_positive_part(z, v.sqrt()),
            _ => 0.5 * (self.answering.information(z) * v).ln_1p(),
        };
        means.iter().zip(variances).map(|(z, v)| [value(*z, *v), 0.0, 0.0]).collect()
    }
}

/// `E max(z, 0)` for `z ~ N(m, s^2)`.
fn expected_positive_part(m: f64, s: f64) -> f64 {
    if s == 0.0 {
        return m.max(0.0);
    }
    let u = m / s;
    s * normal_pdf(u) + m * normal_cdf(u)
}

/// Indices of `count` distinct pairs, greedily by [`Rule::DOptimal`].
///
/// After each pick every covariance becomes `S - a S d d' S / (1 + a v)`, as if the question had been
/// answered; means stay. Equal values go to the lowest index. Takes `O(m k^2 + count m k)`.
///
/// # Errors
/// [`Error::Shape`] when dimensions disagree; [`Error::Range`] when the pool is smaller than `count`.
///
/// Source: Nemhauser, Wolsey and Fisher 1978: within `1 - 1/e` of the best batch.
pub fn acquire_batch(
    pool: Pool<'_>,
    belief: Belief<'_>,
    count: usize,
    answering: Answering,
) -> Result<Vec<usize>> {
    check_dims(pool, belief)?;
    let (m, k) = (pool.offset.len(), pool.dim);
    if count > m {
        return Err(Error::range("count", &format!("a number of at most {m}"), count));
    }
    let mut groups: Vec<Tracked> = (0..belief.weights.len())
        .map(|g| {
            let (weight, mean, covariance) = belief.group(g);
            let (means, variances) = pool.margins(mean, covariance);
            let information = means.iter().map(|z| answering.information(*z)).collect();
            Tracked { weight, information, variances, covariance: covariance.to_vec() }
        })
        .collect();
    let mut picked = Vec::with_capacity(count);
    let mut free = vec![true; m];
    for _ in 0..count {
        let value = |i: usize| groups.iter().map(|g| g.value(i)).sum::<f64>();
        let candidates = (0..m).filter(|i| free[*i]).map(|i| (i, value(i)));
        let best = candidates.reduce(|a, b| if b.1 > a.1 { b } else { a });
        let Some((index, _)) = best else { break };
        free[index] = false;
        picked.push(index);
        let direction = &pool.delta[index * k..(index + 1) * k];
        for group in &mut groups {
            group.observe(index, direction, pool.delta);
        }
    }
    Ok(picked)
}

/// One group's Gaussian while a batch is built.
struct Tracked {
    weight: f64,
    information: Vec<f64>,
    variances: Vec<f64>,
    covariance: Vec<f64>,
}

impl Tracked {
    fn value(&self, i: usize) -> f64 {
        self.weight * 0.5 * (self.information[i] * self.variances[i]).ln_1p()
    }

    fn observe(&mut self, index: usize, direction: &[f64], delta: &[f64]) {
        let k = direction.len();
        let image = mat_vec(&self.covariance, direction);
        let a = self.information[index];
        let gain = a / (1.0 + a * self.variances[index]);
        for (row, left) in self.covariance.chunks_exact_mut(k).zip(&image) {
            row.iter_mut().zip(&image).for_each(|(s, right)| *s -= gain * left * right);
        }
        for (v, cross) in self.variances.iter_mut().zip(mat_vec(delta, &image)) {
            *v = (*v - gain * cross * cross).max(0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::linalg::dot;
    use super::*;

    fn pool(m: usize, k: usize) -> Vec<f64> {
        (0..m * k).map(|i| ((i * 7919 + 13) % 101) as f64 / 50.0 - 1.0).collect()
    }

    #[test]
    fn greedy_batch_equals_recomputing_every_value() {
        let (m, k) = (60, 5);
        let (delta, offset) = (pool(m, k), vec![0.0; m]);
        let mut covariance = vec![0.0; k * k];
        (0..k).for_each(|i| covariance[i * k + i] = 1.0 + i as f64);
        let means = vec![0.1; k];
        let answering = Answering::new(0.05, 0.0).expect("in range");
        let questions = Pool::new(k, &delta, &offset, None).expect("valid");
        let belief = Belief::new(k, &[1.0], &means, &covariance).expect("valid");
        let batch = acquire_batch(questions, belief, 6, answering).expect("valid");
        let mut now = covariance.clone();
        let mut left: Vec<usize> = (0..m).collect();
        for index in batch {
            let belief = Belief::new(k, &[1.0], &means, &now).expect("valid");
            let values =
                acquire(Rule::DOptimal, questions, belief, answering, None).expect("valid");
            let best = left.iter().copied().max_by(|a, b| values[*a].total_cmp(&values[*b]));
            assert!((values[index] - values[best.expect("not empty")]).abs() < 1e-12);
            left.retain(|i| *i != index);
            let d = &delta[index * k..(index + 1) * k];
            let image = mat_vec(&now, d);
            let a = answering.information(dot(d, &means));
            let gain = a / (1.0 + a * dot(d, &image));
            for i in 0..k {
                for j in 0..k {
                    now[i * k + j] -= gain * image[i] * image[j];
                }
            }
        }
    }

    #[test]
    fn a_point_mass_has_nothing_to_learn() {
        let delta = pool(3, 2);
        let belief = Belief::new(2, &[1.0], &[1.0, -1.0], &[0.0; 4]).expect("valid");
        let questions = Pool::new(2, &delta, &[0.0; 3], None).expect("valid");
        let answering = Answering::new(0.05, 0.3).expect("in range");
        for rule in [Rule::DOptimal, Rule::Information] {
            let values = acquire(rule, questions, belief, answering, None).expect("valid");
            assert!(values.iter().all(|v| v.abs() < 1e-7));
        }
    }
}
