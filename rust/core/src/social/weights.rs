//! Weights of ballots.

use crate::{Error, Result};

/// Above this, sums of integers in doubles are no longer exact.
const EXACT: f64 = 9_007_199_254_740_992.0; // 2^53

/// Weights of ballots: finite, at least 0, with a positive sum.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    values: Option<Vec<f64>>,
    count: usize,
    total: f64,
    exact: bool,
}

impl Weights {
    /// `count` ballots of weight 1.
    #[must_use]
    pub fn unit(count: usize) -> Self {
        Self { values: None, count, total: count as f64, exact: true }
    }

    /// The given weights; integers stay exact while their sum is below `2^53`.
    ///
    /// # Errors
    /// [`Error::NotFinite`], [`Error::Range`] for a negative weight or a sum of 0.
    pub fn new(values: Vec<f64>) -> Result<Self> {
        if let Some(index) = values.iter().position(|w| !w.is_finite()) {
            return Err(Error::NotFinite { name: "weights", index });
        }
        if let Some(v) = values.iter().position(|w| *w < 0.0) {
            let got = format!("{} at ballot {v}", values[v]);
            return Err(Error::range("weights", "numbers of at least 0", got));
        }
        let total: f64 = values.iter().sum();
        if total <= 0.0 || !total.is_finite() {
            return Err(Error::range("weights", "a positive, finite sum", total));
        }
        let count = values.len();
        if values.iter().all(|w| *w == 1.0) {
            return Ok(Self::unit(count));
        }
        let exact = total < EXACT && values.iter().all(|w| w.fract() == 0.0);
        Ok(Self { values: Some(values), count, total, exact })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The weight of one ballot.
    #[must_use]
    #[inline]
    pub fn get(&self, ballot: usize) -> f64 {
        self.values.as_ref().map_or(1.0, |values| values[ballot])
    }

    /// All of them, or `None` when every one is 1.
    #[must_use]
    pub fn values(&self) -> Option<&[f64]> {
        self.values.as_deref()
    }

    /// Their sum.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.total
    }

    /// Whether all are integers whose sums are exact.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.exact
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_exact_and_other_numbers_are_not() {
        let weights = Weights::new(vec![2.0, 3.0]).expect("valid");
        assert!(weights.is_exact() && (weights.total() - 5.0).abs() < 1e-15);
        assert!(!Weights::new(vec![0.5, 3.0]).expect("valid").is_exact());
        assert!(Weights::new(vec![1.0; 3]).expect("valid").values().is_none());
        assert!(!Weights::new(vec![1e16, 3.0]).expect("valid").is_exact());
    }

    #[test]
    fn bad_weights_are_named() {
        let message = |w: &[f64]| Weights::new(w.to_vec()).expect_err("bad").to_string();
        assert_eq!(
            message(&[1.0, -2.0]),
            "weights: expected numbers of at least 0, got -2 at ballot 1"
        );
        assert!(message(&[f64::NAN]).starts_with("weights: expected finite numbers"));
        assert_eq!(message(&[0.0]), "weights: expected a positive, finite sum, got 0");
    }
}
