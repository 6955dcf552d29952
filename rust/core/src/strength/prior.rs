//! What may be added to a log-likelihood of strengths.

use crate::{Error, Result};

/// Terms that treat every item alike; with all of them zero the fit is by maximum likelihood.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Prior {
    /// Adds `-l2 * theta^2`.
    pub l2: f64,
    /// Adds so many wins and as many losses against an opponent of strength 1.
    pub opponent: f64,
    /// Adds `gamma * (theta - exp(theta))`, a Gamma prior on strengths: pseudo-counts in the update of
    /// Zermelo.
    pub gamma: f64,
}

impl Prior {
    /// Checks the three sizes.
    ///
    /// # Errors
    /// [`Error::Range`] when one is negative or not finite.
    pub fn new(l2: f64, opponent: f64, gamma: f64) -> Result<Self> {
        for (name, value) in [("l2", l2), ("opponent", opponent), ("gamma", gamma)] {
            if !(value.is_finite() && value >= 0.0) {
                return Err(Error::range(name, "a finite number of at least 0", value));
            }
        }
        Ok(Self { l2, opponent, gamma })
    }

    /// Whether nothing is added.
    #[must_use]
    pub fn none(&self) -> bool {
        self.l2 == 0.0 && self.opponent == 0.0 && self.gamma == 0.0
    }

    /// First derivative, and minus the second.
    pub(super) fn slope(&self, theta: f64) -> (f64, f64) {
        if self.none() {
            return (0.0, 0.0);
        }
        let p = sigmoid(theta);
        // far out, where a search may step, the slope has to stay a number
        let strength = if self.gamma > 0.0 { theta.min(500.0).exp() } else { 0.0 };
        (
            self.opponent * (1.0 - 2.0 * p) - 2.0 * self.l2 * theta + self.gamma * (1.0 - strength),
            2.0 * (self.opponent * p * (1.0 - p) + self.l2) + self.gamma * strength,
        )
    }
}

/// `1 / (1 + exp(-x))`.
#[inline]
pub(super) fn sigmoid(x: f64) -> f64 {
    let e = (-x.abs()).exp();
    (if x >= 0.0 { 1.0 } else { e }) / (1.0 + e)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_are_derivatives_of_the_terms() {
        let prior = Prior::new(0.3, 0.7, 1.1).expect("valid");
        let value = |t: f64| {
            prior.opponent * (sigmoid(t).ln() + sigmoid(-t).ln()) - prior.l2 * t * t
                + prior.gamma * (t - t.exp())
        };
        for t in [-2.0, 0.0, 1.3] {
            let h = 1e-4;
            let (slope, bend) = prior.slope(t);
            assert!((slope - (value(t + h) - value(t - h)) / (2.0 * h)).abs() < 1e-6);
            let second = (value(t + h) - 2.0 * value(t) + value(t - h)) / (h * h);
            assert!((bend + second).abs() < 1e-5);
        }
        assert!(Prior::new(-1.0, 0.0, 0.0).is_err() && Prior::new(0.0, f64::NAN, 0.0).is_err());
    }
}
