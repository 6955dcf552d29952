//! Validated inputs: rows of many people, labels alone, and the mixture prior.

use super::linalg::{cholesky, log_det};
use crate::{Error, Result};

/// Largest absolute value accepted, so that every product stays finite and a Newton step keeps some digits.
const LARGEST: f64 = 1e12;

/// Targets and weights of the rows of many people; person `p` owns rows `starts[p]..starts[p + 1]`.
#[derive(Debug, Clone, Copy)]
pub struct Labels<'a> {
    pub(super) target: &'a [f64],
    pub(super) weight: &'a [f64],
    pub(super) starts: &'a [usize],
}

impl<'a> Labels<'a> {
    /// Checked labels: targets in `[0, 1]`, weights at or above zero, starts rising from 0 to `n`.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::NotFinite`] or [`Error::Range`].
    pub fn new(target: &'a [f64], weight: &'a [f64], starts: &'a [usize]) -> Result<Self> {
        let n = target.len();
        if weight.len() != n {
            return Err(Error::length("weight", n, weight.len()));
        }
        check_within("weight", weight)?;
        if let Some(index) = target.iter().position(|t| !(0.0..=1.0).contains(t)) {
            let got = format!("{} at position {index}", target[index]);
            return Err(Error::range("target", "numbers in [0, 1]", got));
        }
        if let Some(index) = weight.iter().position(|w| *w < 0.0) {
            let got = format!("{} at position {index}", weight[index]);
            return Err(Error::range("weight", "numbers at or above 0", got));
        }
        let rising = starts.windows(2).all(|pair| pair[0] <= pair[1]);
        if starts.first() != Some(&0) || starts.last() != Some(&n) || !rising {
            let expected = format!("numbers rising from 0 to {n}");
            return Err(Error::range("starts", &expected, "another sequence"));
        }
        Ok(Self { target, weight, starts })
    }

    /// Number of people.
    #[must_use]
    pub fn people(&self) -> usize {
        self.starts.len() - 1
    }
}

/// Comparison rows of many people.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    pub(super) delta: &'a [f64],
    pub(super) offset: &'a [f64],
    pub(super) labels: Labels<'a>,
    pub(super) dim: usize,
}

/// The rows of one person.
#[derive(Debug, Clone, Copy)]
pub(super) struct Person<'a> {
    pub(super) x: &'a [f64],
    pub(super) offset: &'a [f64],
    pub(super) target: &'a [f64],
    pub(super) weight: &'a [f64],
}

impl<'a> Rows<'a> {
    /// Checked rows: `delta` `(n, dim)`, `offset` `(n,)`, absolute values up to 1e12.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::NotFinite`] or [`Error::Range`].
    pub fn new(
        delta: &'a [f64],
        offset: &'a [f64],
        labels: Labels<'a>,
        dim: usize,
    ) -> Result<Self> {
        let n = labels.target.len();
        if dim == 0 {
            return Err(Error::range("delta", "at least one column", 0));
        }
        if delta.len() != n * dim {
            let got = format!("{} numbers", delta.len());
            return Err(Error::Shape { name: "delta", expected: format!("({n}, {dim})"), got });
        }
        if offset.len() != n {
            return Err(Error::length("offset", n, offset.len()));
        }
        check_within("delta", delta)?;
        check_within("offset", offset)?;
        Ok(Self { delta, offset, labels, dim })
    }

    pub(super) fn person(&self, index: usize) -> Person<'a> {
        let (from, to) = (self.labels.starts[index], self.labels.starts[index + 1]);
        Person {
            x: &self.delta[from * self.dim..to * self.dim],
            offset: &self.offset[from..to],
            target: &self.labels.target[from..to],
            weight: &self.labels.weight[from..to],
        }
    }
}

/// Mixture of Gaussians over user vectors, with the Cholesky factor of every covariance.
#[derive(Debug, Clone)]
pub struct Prior {
    /// Length of a user vector.
    pub dim: usize,
    /// `(g,)`, sums to one.
    pub weights: Vec<f64>,
    /// `(g, dim)`.
    pub means: Vec<f64>,
    /// `(g, dim, dim)`.
    pub covariances: Vec<f64>,
    pub(super) factors: Vec<f64>,
}

/// One Gaussian of a [`Prior`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Group<'a> {
    pub(super) mean: &'a [f64],
    pub(super) covariance: &'a [f64],
    /// Lower Cholesky factor of the covariance.
    pub(super) factor: &'a [f64],
}

impl Prior {
    /// Checked mixture.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::NotFinite`], [`Error::Range`], or [`Error::NotPositiveDefinite`]
    /// when a covariance is not symmetric or has no Cholesky factor.
    pub fn new(
        dim: usize,
        weights: Vec<f64>,
        means: Vec<f64>,
        covariances: Vec<f64>,
    ) -> Result<Self> {
        check_mixture(dim, &weights, &means, &covariances)?;
        let mut factors = covariances.clone();
        for (group, factor) in factors.chunks_exact_mut(dim * dim).enumerate() {
            if !cholesky(factor, dim, None) {
                return Err(Error::NotPositiveDefinite { name: "covariances", group });
            }
        }
        Ok(Self { dim, weights, means, covariances, factors })
    }

    /// Number of groups.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.weights.len()
    }

    pub(super) fn group(&self, g: usize) -> Group<'_> {
        let square = self.dim * self.dim;
        Group {
            mean: &self.means[g * self.dim..(g + 1) * self.dim],
            covariance: &self.covariances[g * square..(g + 1) * square],
            factor: &self.factors[g * square..(g + 1) * square],
        }
    }

    /// `log det` of the covariance of a group.
    #[must_use]
    pub fn log_det(&self, g: usize) -> f64 {
        log_det(self.group(g).factor, self.dim)
    }
}

/// Checks weights `(g,)` that sum to one, means `(g, dim)` and symmetric covariances `(g, dim, dim)`
/// without negative variances; definiteness is the caller's business.
pub(super) fn check_mixture(
    dim: usize,
    weights: &[f64],
    means: &[f64],
    covariances: &[f64],
) -> Result<()> {
    let groups = weights.len();
    if weights.is_empty() {
        return Err(Error::range("weights", "at least one group of the mixture", "none"));
    }
    if means.len() != groups * dim || dim == 0 {
        let got = format!("{} numbers", means.len());
        return Err(Error::Shape { name: "means", expected: format!("({groups}, {dim})"), got });
    }
    if covariances.len() != groups * dim * dim {
        let expected = format!("({groups}, {dim}, {dim})");
        let got = format!("{} numbers", covariances.len());
        return Err(Error::Shape { name: "covariances", expected, got });
    }
    check_within("weights", weights)?;
    check_within("means", means)?;
    check_within("covariances", covariances)?;
    let total: f64 = weights.iter().sum();
    if weights.iter().any(|w| *w < 0.0) || (total - 1.0).abs() > 1e-6 {
        return Err(Error::range("weights", "numbers at or above 0 that sum to 1", total));
    }
    for (group, matrix) in covariances.chunks_exact(dim * dim).enumerate() {
        if !is_covariance(matrix, dim) {
            return Err(Error::NotPositiveDefinite { name: "covariances", group });
        }
    }
    Ok(())
}

/// Whether a matrix is symmetric, to rounding, with a diagonal at or above zero.
fn is_covariance(matrix: &[f64], dim: usize) -> bool {
    let largest = matrix.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
    (0..dim).all(|i| {
        let row = &matrix[i * dim..(i + 1) * dim];
        row[i] >= 0.0 && (0..i).all(|j| (row[j] - matrix[j * dim + i]).abs() <= 1e-8 * largest)
    })
}

/// Checks that values are finite and at most [`LARGEST`] in absolute value.
pub(super) fn check_within(name: &'static str, values: &[f64]) -> Result<()> {
    // one pass without branches: NaN fails every comparison
    if values.iter().fold(true, |ok, x| ok & (x.abs() <= LARGEST)) {
        return Ok(());
    }
    match values.iter().position(|x| !x.is_finite()) {
        Some(index) => Err(Error::NotFinite { name, index }),
        None => Err(Error::range(name, "numbers within 1e12 of 0", "a larger one")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_refuse_wrong_starts_targets_and_weights() {
        let ok = [0.0, 1.0];
        assert!(Labels::new(&ok, &[1.0; 2], &[0, 2]).is_ok());
        assert!(Labels::new(&ok, &[1.0; 2], &[0, 1]).is_err());
        assert!(Labels::new(&ok, &[1.0; 2], &[0, 2, 1, 2]).is_err());
        assert!(Labels::new(&ok, &[1.0; 2], &[]).is_err());
        assert!(Labels::new(&[0.0, f64::NAN], &[1.0; 2], &[0, 2]).is_err());
        assert!(Labels::new(&ok, &[1.0, -1.0], &[0, 2]).is_err());
        assert!(Labels::new(&ok, &[1.0], &[0, 2]).is_err());
    }

    #[test]
    fn priors_refuse_asymmetric_indefinite_and_unnormalised_input() {
        let make = |w: &[f64], c: [f64; 4]| Prior::new(2, w.to_vec(), vec![0.0; 2], c.to_vec());
        assert!(make(&[1.0], [1.0, 0.0, 0.0, 1.0]).is_ok());
        assert!(make(&[1.0], [1.0, 0.5, 0.0, 1.0]).is_err());
        assert!(make(&[1.0], [1.0, 2.0, 2.0, 1.0]).is_err());
        assert!(make(&[0.5], [1.0, 0.0, 0.0, 1.0]).is_err());
        assert!(make(&[1.0], [f64::NAN, 0.0, 0.0, 1.0]).is_err());
    }
}
