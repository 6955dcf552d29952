//! How an answer arises from a margin, and what it says about it.

use crate::{Error, Result};

/// Lapses and ties of an answer, given the margin `z`.
///
/// `P(left) = eps/2 + (1 - eps) s(z - eta)`, `P(right) = eps/2 + (1 - eps) s(-z - eta)` and
/// `P(tie) = (1 - eps) (1 - s(z - eta) - s(-z - eta))`, with `s` the logistic function: with
/// probability `eps` the person presses left or right at random. The three sum to one; without
/// `eta` there is no tie and a target of 0.5 is a soft label.
///
/// Source: Rao and Kupper 1967 for the threshold `eta`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Answering {
    lapse: f64,
    tie: f64,
    log_keep: f64,
    tie_mass: f64,
}

/// A row's log-likelihood as a function of the margin, up to second order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Slope {
    /// First derivative.
    pub(super) score: f64,
    /// Minus the second derivative, raised to zero where lapses make it negative.
    pub(super) curvature: f64,
}

/// Probabilities of the outcomes at one margin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Outcomes {
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) tie: f64,
}

/// The largest threshold accepted; answers would be ties with probability above 0.9999.
const TIE_MAX: f64 = 50.0;

impl Answering {
    /// Checked parameters: `lapse` in `[0, 0.5)`, `tie` in `[0, 50]`.
    ///
    /// # Errors
    /// [`Error::Range`] when one is outside.
    pub fn new(lapse: f64, tie: f64) -> Result<Self> {
        if !(0.0..0.5).contains(&lapse) {
            return Err(Error::range("lapse", "a number in [0, 0.5)", lapse));
        }
        if !(0.0..=TIE_MAX).contains(&tie) {
            return Err(Error::range("tie", "a number in [0, 50]", tie));
        }
        Ok(Self { lapse, tie, log_keep: (-lapse).ln_1p(), tie_mass: -(-2.0 * tie).exp_m1() })
    }

    /// The threshold `eta`.
    pub(super) fn tie(&self) -> f64 {
        self.tie
    }

    /// Log-probability of a target at margin `z`: `t log P(left) + (1 - t) log P(right)`, or
    /// `log P(tie)` for a target of 0.5 when ties are modelled.
    pub(super) fn log_likelihood(&self, z: f64, target: f64) -> f64 {
        if self.is_tie(target) {
            return self.log_keep + self.tie_mass.ln()
                - softplus(z - self.tie)
                - softplus(-z - self.tie);
        }
        let mut total = 0.0;
        if target > 0.0 {
            total += target * self.log_side(z);
        }
        if target < 1.0 {
            total += (1.0 - target) * self.log_side(-z);
        }
        total
    }

    /// First derivative and curvature of the log-likelihood in `z`.
    pub(super) fn slope(&self, z: f64, target: f64) -> Slope {
        let (score, curvature) = self.derivatives(z, target);
        Slope { score, curvature: curvature.max(0.0) }
    }

    /// First derivative and minus the second, which lapses can make negative.
    pub(super) fn derivatives(&self, z: f64, target: f64) -> (f64, f64) {
        if self.is_tie(target) {
            let (near, far) = (logistic(self.tie - z), logistic(self.tie + z));
            return (near - far, near * (1.0 - near) + far * (1.0 - far));
        }
        let (mut score, mut curvature) = (0.0, 0.0);
        if target > 0.0 {
            let (first, second) = self.side(z);
            score += target * first;
            curvature -= target * second;
        }
        if target < 1.0 {
            let (first, second) = self.side(-z);
            score -= (1.0 - target) * first;
            curvature -= (1.0 - target) * second;
        }
        (score, curvature)
    }

    /// Fisher information of one answer about `z`: `sum over outcomes of P'^2 / P`.
    pub(super) fn information(&self, z: f64) -> f64 {
        if self.tie == 0.0 {
            let s = logistic(z.abs()); // at least one half, so 1 - s keeps its digits below
            let spread = s * logistic(-z.abs());
            if self.lapse == 0.0 {
                return spread;
            }
            let keep = 1.0 - self.lapse;
            let high = 0.5 * self.lapse + keep * s;
            let low = 0.5 * self.lapse + keep * logistic(-z.abs());
            return (keep * spread).powi(2) / (high * low);
        }
        let (near, far) = (logistic(self.tie - z), logistic(self.tie + z));
        let tie = (1.0 - self.lapse) * self.tie_mass * near * far * (near - far).powi(2);
        self.side_information(z) + self.side_information(-z) + tie
    }

    /// Probabilities of left, right and tie.
    pub(super) fn outcomes(&self, z: f64) -> Outcomes {
        let keep = 1.0 - self.lapse;
        let left = 0.5 * self.lapse + keep * logistic(z - self.tie);
        let right = 0.5 * self.lapse + keep * logistic(-z - self.tie);
        let tie = keep * self.tie_mass * logistic(self.tie - z) * logistic(self.tie + z);
        Outcomes { left, right, tie }
    }

    /// Derivative of the outcome probabilities in `z`.
    pub(super) fn outcome_slopes(&self, z: f64) -> Outcomes {
        let keep = 1.0 - self.lapse;
        let left = keep * logistic(z - self.tie) * logistic(self.tie - z);
        let right = -keep * logistic(-z - self.tie) * logistic(z + self.tie);
        Outcomes { left, right, tie: -left - right }
    }

    /// A side's probability from the logistic function of its shifted margin.
    pub(super) fn lapsed(&self, s: f64) -> f64 {
        0.5 * self.lapse + (1.0 - self.lapse) * s
    }

    fn is_tie(&self, target: f64) -> bool {
        #[expect(clippy::float_cmp, reason = "a reported tie is exactly one half")]
        let tie = self.tie > 0.0 && target == 0.5;
        tie
    }

    /// `log P(left)` at margin `z`; `log P(right)` at `-z`.
    fn log_side(&self, z: f64) -> f64 {
        if self.lapse == 0.0 {
            return -softplus(self.tie - z);
        }
        (0.5 * self.lapse + (1.0 - self.lapse) * logistic(z - self.tie)).ln()
    }

    /// First and second derivative of [`Self::log_side`].
    fn side(&self, z: f64) -> (f64, f64) {
        let (s, rest) = (logistic(z - self.tie), logistic(self.tie - z));
        if self.lapse == 0.0 {
            return (rest, -s * rest);
        }
        let slope = (1.0 - self.lapse) * s * rest;
        let first = slope / (0.5 * self.lapse + (1.0 - self.lapse) * s);
        (first, first * (rest - s) - first * first)
    }

    /// `P'^2 / P` of the left outcome.
    fn side_information(&self, z: f64) -> f64 {
        let (s, rest) = (logistic(z - self.tie), logistic(self.tie - z));
        if self.lapse == 0.0 {
            return s * rest * rest;
        }
        let slope = (1.0 - self.lapse) * s * rest;
        slope * slope / (0.5 * self.lapse + (1.0 - self.lapse) * s)
    }
}

/// Logistic function without overflow.
pub(super) fn logistic(z: f64) -> f64 {
    let e = (-z.abs()).exp();
    if z >= 0.0 { 1.0 / (1.0 + e) } else { e / (1.0 + e) }
}

/// `log(1 + exp z)` without overflow.
pub(super) fn softplus(z: f64) -> f64 {
    z.max(0.0) + (-z.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> Vec<(Answering, f64, f64)> {
        let mut out = Vec::new();
        for (lapse, tie) in [(0.0, 0.0), (0.05, 0.0), (0.0, 0.4), (0.1, 0.7), (0.3, 0.0)] {
            for target in [0.0, 0.25, 0.5, 0.9, 1.0] {
                for step in -12..=12 {
                    let answering = Answering::new(lapse, tie).expect("in range");
                    out.push((answering, target, f64::from(step) * 0.6));
                }
            }
        }
        out
    }

    #[test]
    fn slopes_match_finite_differences() {
        let h = 1e-5;
        for (answering, target, z) in grid() {
            let f = |x: f64| answering.log_likelihood(x, target);
            let slope = answering.slope(z, target);
            assert!((slope.score - (f(z + h) - f(z - h)) / (2.0 * h)).abs() < 1e-8);
            let second = (f(z + 10.0 * h) - 2.0 * f(z) + f(z - 10.0 * h)) / (100.0 * h * h);
            assert!(
                (slope.curvature - (-second).max(0.0)).abs() < 1e-5,
                "{answering:?} {target} {z}"
            );
        }
    }

    #[test]
    fn outcomes_sum_to_one_and_information_is_the_expected_square_of_the_score() {
        for (answering, _, z) in grid() {
            let o = answering.outcomes(z);
            assert!((o.left + o.right + o.tie - 1.0).abs() < 1e-12);
            let d = answering.outcome_slopes(z);
            let mut information = d.left * d.left / o.left + d.right * d.right / o.right;
            if answering.tie > 0.0 {
                information += d.tie * d.tie / o.tie;
            }
            assert!((information - answering.information(z)).abs() < 1e-12);
        }
    }

    #[test]
    fn swapping_sides_and_flipping_the_target_changes_nothing() {
        for (answering, target, z) in grid() {
            let swapped = answering.log_likelihood(-z, 1.0 - target);
            assert!((answering.log_likelihood(z, target) - swapped).abs() < 1e-14);
        }
    }

    #[test]
    fn extreme_margins_stay_finite() {
        for (answering, target, _) in grid() {
            for z in [-1e300, -1e6, 0.0, 1e6, 1e300] {
                assert!(answering.log_likelihood(z, target) > f64::NEG_INFINITY);
                let slope = answering.slope(z, target);
                assert!(slope.score.is_finite() && slope.curvature.is_finite());
                assert!(answering.information(z) >= 0.0);
            }
        }
    }

    #[test]
    fn parameters_out_of_range_are_refused() {
        assert!(Answering::new(0.5, 0.0).is_err());
        assert!(Answering::new(f64::NAN, 0.0).is_err());
        assert!(Answering::new(0.1, -1.0).is_err());
    }
}
