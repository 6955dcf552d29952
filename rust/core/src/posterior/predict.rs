//! Probability of an answer, averaged over a Gaussian margin.

use super::likelihood::Answering;
use super::quadrature::Quadrature;
use super::views::check_within;
use crate::{Error, Result};

/// Probability that left is preferred, averaged over `z ~ sum_g weights_g N(mean_g, variance_g)`.
///
/// `mean` and `variance` are `(g, n)`, the result `(n,)`, within 1e-7.
///
/// # Errors
/// [`Error::Shape`], [`Error::NotFinite`] or [`Error::Range`].
pub fn predict(
    mean: &[f64],
    variance: &[f64],
    weights: &[f64],
    answering: Answering,
) -> Result<Vec<f64>> {
    average(mean, variance, weights, answering, |left, _| left)
}

/// Probability of a tie, averaged likewise; zero when `answering` has no ties.
///
/// # Errors
/// As [`predict`].
pub fn predict_tie(
    mean: &[f64],
    variance: &[f64],
    weights: &[f64],
    answering: Answering,
) -> Result<Vec<f64>> {
    average(mean, variance, weights, answering, |left, right| (1.0 - left - right).max(0.0))
}

fn average(
    mean: &[f64],
    variance: &[f64],
    weights: &[f64],
    answering: Answering,
    pick: impl Fn(f64, f64) -> f64,
) -> Result<Vec<f64>> {
    let groups = weights.len();
    if groups == 0 || mean.len() % groups != 0 {
        return Err(Error::length("weights", 1, groups));
    }
    let n = mean.len() / groups;
    if variance.len() != mean.len() {
        let got = format!("{} numbers", variance.len());
        return Err(Error::Shape { name: "variance", expected: format!("({groups}, {n})"), got });
    }
    check_within("mean", mean)?;
    check_within("weights", weights)?;
    if let Some(index) = variance.iter().position(|v| !v.is_finite()) {
        return Err(Error::NotFinite { name: "variance", index });
    }
    if let Some(index) = variance.iter().position(|v| *v < 0.0) {
        let got = format!("{} at position {index}", variance[index]);
        return Err(Error::range("variance", "numbers at or above 0", got));
    }
    let total: f64 = weights.iter().sum();
    if weights.iter().any(|w| *w < 0.0) || (total - 1.0).abs() > 1e-6 {
        return Err(Error::range("weights", "numbers at or above 0 that sum to 1", total));
    }
    let rule = Quadrature::new(answering);
    let mut out = vec![0.0; n];
    for (g, weight) in weights.iter().enumerate() {
        let part = mean[g * n..].iter().zip(&variance[g * n..]);
        for (sum, (m, v)) in out.iter_mut().zip(part) {
            let (left, right) = rule.sides(*m, *v);
            *sum += weight * pick(left, right);
        }
    }
    Ok(out)
}
