//! How many rankings are enough: a sufficient condition.

use crate::{Error, Result};

/// A sufficient number of rankings and what it promises.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Required {
    /// Number of rankings; infinite when `gamma` is 1 or more, or `alpha` 0.
    pub rankings: f64,
    /// Relative accuracy of every item's score that this number gives.
    pub accuracy: f64,
    /// Share of the best score that the best quota reaches at least.
    pub ratio: f64,
}

/// Rankings after which, with probability `1 - delta`, all latent and biased item scores are within
/// `eta = (1 - gamma) / (1 + gamma)` of their means, so that quotas reach
/// `beta (1 - eta) / (1 + eta)` of the best score.
///
/// `n = 3 ln(4 m / delta) / (alpha eta^2)`: a Chernoff bound on each of `2 m` sums of scores in
/// `[0, tau]` with means of at least `alpha tau n`, and a union over them. Fewer may do. A smaller
/// `accuracy` than that `eta` asks for more rankings and promises a larger ratio.
///
/// # Errors
/// [`Error::Range`] for numbers outside `[0, 1]`, `delta` outside `(0, 1)`, a negative `gamma`, an
/// accuracy that is not above 0 or above `eta`, or no items.
pub fn required(
    (alpha, beta, gamma): (f64, f64, f64),
    items: usize,
    delta: f64,
    accuracy: Option<f64>,
) -> Result<Required> {
    for (name, x) in [("alpha", alpha), ("beta", beta)] {
        if !(0.0..=1.0).contains(&x) {
            return Err(Error::range(name, "a number in [0, 1]", x));
        }
    }
    if gamma.is_nan() || gamma < 0.0 {
        return Err(Error::range("gamma", "a number at or above 0", gamma));
    }
    if !(delta > 0.0 && delta < 1.0) {
        return Err(Error::range("delta", "a number in (0, 1)", delta));
    }
    if items == 0 {
        return Err(Error::range("items", "at least 1", items));
    }
    let largest = if gamma < 1.0 { (1.0 - gamma) / (1.0 + gamma) } else { 0.0 };
    if let Some(eta) = accuracy.filter(|eta| largest > 0.0 && !(*eta > 0.0 && *eta <= largest)) {
        return Err(Error::range("accuracy", &format!("a number in (0, {largest}]"), eta));
    }
    let accuracy = accuracy.unwrap_or(largest).min(largest);
    let scale = alpha * accuracy * accuracy;
    let rankings = if scale > 0.0 {
        (3.0 * libm::log(4.0 * items as f64 / delta) / scale).ceil()
    } else {
        f64::INFINITY
    };
    Ok(Required { rankings, accuracy, ratio: beta * (1.0 - accuracy) / (1.0 + accuracy) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_the_one_worked_by_hand() {
        let got = required((0.4, 0.9, 0.5), 50, 0.1, None).expect("valid");
        assert!((got.accuracy - 1.0 / 3.0).abs() < 1e-15);
        assert!((got.rankings - (67.5 * 2000.0_f64.ln()).ceil()).abs() < 1e-9);
        assert!((got.ratio - 0.45).abs() < 1e-12);
        assert!(required((0.4, 0.9, 1.0), 50, 0.1, None).expect("valid").rankings.is_infinite());
        assert!(required((0.0, 0.9, 0.5), 50, 0.1, None).expect("valid").rankings.is_infinite());
        let finer = required((0.4, 0.9, 0.5), 50, 0.1, Some(0.1)).expect("valid");
        assert!(finer.rankings > got.rankings && finer.ratio > got.ratio);
        assert!(required((0.4, 0.9, 0.5), 50, 0.1, Some(0.5)).is_err());
        assert!(required((1.4, 0.9, 0.5), 50, 0.1, None).is_err());
        assert!(required((0.4, 0.9, -0.5), 50, 0.1, None).is_err());
        assert!(required((0.4, 0.9, 0.5), 0, 0.1, None).is_err());
        assert!(required((0.4, 0.9, 0.5), 5, 0.0, None).is_err());
    }
}
