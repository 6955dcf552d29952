//! Exact arithmetic: every score is a whole number of units of `1 / scale`.
//!
//! Whole numbers make sums independent of their order, ties exact, and lazy evaluation equal to plain
//! evaluation. Real weights and utilities become multiples of a power of two; those that do not fit
//! are rounded, and then gains within `grain` of each other count as tied.

use crate::{Error, Result};

/// A score in units of an objective.
pub(crate) type Amount = i128;

/// Bits of the total weight once weights are whole numbers; leaves 16 for a place or a size.
const WEIGHT_BITS: i32 = 46;
/// Bits of the total of weighted utilities.
pub(super) const UTILITY_BITS: i32 = 61;
/// Bits of factors such as `1 / j` that have no common denominator of a usable size.
const FACTOR_BITS: i32 = 40;
/// Rounded amounts closer than `2^-GRAIN_BITS` of the largest possible value are tied.
const GRAIN_BITS: i32 = 36;
/// Bits of the largest amount.
const AMOUNT_BITS: u32 = 125;

/// What one unit is worth, and how closely amounts can be told apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Unit {
    /// Units per 1.
    pub(crate) scale: f64,
    /// Amounts that round to the same multiple are tied; 1 when no rounding took place.
    pub(crate) grain: Amount,
}

impl Unit {
    /// Whole numbers.
    pub(crate) const ONE: Self = Self { scale: 1.0, grain: 1 };

    /// The unit of products, of which the largest sum is `most`.
    pub(crate) fn times(self, other: Self, most: Amount) -> Self {
        let exact = self.grain == 1 && other.grain == 1;
        Self { scale: self.scale * other.scale, grain: if exact { 1 } else { grain(most) } }
    }

    /// An amount as a number.
    pub(crate) fn value(self, amount: Amount) -> f64 {
        amount as f64 / self.scale
    }

    /// What ties are decided by: a multiple of the grain.
    pub(crate) fn key(self, amount: Amount) -> Amount {
        if self.grain == 1 { amount } else { (amount + self.grain / 2).div_euclid(self.grain) }
    }
}

fn grain(most: Amount) -> Amount {
    (most >> GRAIN_BITS).max(2)
}

/// Voters' weights as whole numbers.
#[derive(Debug, Clone)]
pub struct Weights {
    pub(crate) units: Vec<u64>,
    pub(crate) total: u64,
    pub(crate) unit: Unit,
    /// Whether all are equal, and to what.
    pub(crate) uniform: Option<u64>,
}

impl Weights {
    /// Checked weights: finite, at or above 0, not all 0 unless there are none.
    ///
    /// # Errors
    /// [`Error::NotFinite`] or [`Error::Range`].
    pub fn new(values: &[f64]) -> Result<Self> {
        check_amounts("weights", values)?;
        let sum: f64 = values.iter().sum();
        if !values.is_empty() && sum <= 0.0 {
            return Err(Error::range("weights", "at least one above 0", "zeros"));
        }
        let dyadic = smallest_dyadic(values, sum);
        let (exact, scale) = (dyadic.is_some(), dyadic.unwrap_or_else(|| room(sum, WEIGHT_BITS)));
        let (units, total) = scaled(values, scale);
        let grain = if exact { 1 } else { grain(Amount::from(total)) };
        let uniform = units.first().copied().filter(|first| units.iter().all(|w| w == first));
        Ok(Self { units, total, unit: Unit { scale, grain }, uniform })
    }

    /// `n` voters of weight 1.
    #[must_use]
    pub fn equal(n: usize) -> Self {
        Self { units: vec![1; n], total: n as u64, unit: Unit::ONE, uniform: Some(1) }
    }
}

/// Every number finite and at or above 0.
pub(super) fn check_amounts(name: &'static str, values: &[f64]) -> Result<()> {
    if let Some(index) = values.iter().position(|w| !w.is_finite()) {
        return Err(Error::NotFinite { name, index });
    }
    match values.iter().position(|w| *w < 0.0) {
        Some(index) => {
            let got = format!("{} at position {index}", values[index]);
            Err(Error::range(name, "numbers at or above 0", got))
        }
        None => Ok(()),
    }
}

/// The smallest power of two that makes every number whole, if the total stays within bounds.
fn smallest_dyadic(values: &[f64], sum: f64) -> Option<f64> {
    let limit = power(WEIGHT_BITS);
    let mut scale = 1.0;
    while scale <= 1_048_576.0 && sum * scale <= limit {
        if values.iter().all(|w| is_whole(w * scale)) {
            return Some(scale);
        }
        scale *= 2.0;
    }
    None
}

pub(super) fn is_whole(x: f64) -> bool {
    x.trunc().total_cmp(&x).is_eq()
}

fn power(bits: i32) -> f64 {
    libm::ldexp(1.0, bits)
}

/// The largest power of two by which `sum` stays below `2^bits`.
pub(super) fn room(sum: f64, bits: i32) -> f64 {
    if sum <= 0.0 {
        return 1.0;
    }
    let (_, exponent) = libm::frexp(sum);
    power((bits - exponent).clamp(-1000, 1000))
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below 2^46")]
fn scaled(values: &[f64], scale: f64) -> (Vec<u64>, u64) {
    let units: Vec<u64> = values.iter().map(|w| (w * scale).round() as u64).collect();
    let total = units.iter().sum();
    (units, total)
}

/// Factors such as the `1 / j` of PAV as whole numbers.
#[derive(Debug, Clone)]
pub(crate) struct Factors {
    pub(crate) values: Vec<Amount>,
    pub(crate) unit: Unit,
}

impl Factors {
    /// Ratios over their least common multiple, or rounded if that times `most` is too large.
    ///
    /// `most` is what a sum of all ratios will be multiplied with.
    pub(crate) fn ratios(terms: &[(u64, u128)], most: u128) -> Self {
        let common = terms.iter().try_fold(1_u128, |a, (_, d)| least_common_multiple(a, *d));
        let fits = |c: &u128| {
            c.checked_mul(most.max(1))
                .and_then(|x| x.checked_mul(terms.len() as u128))
                .is_some_and(|x| x < 1 << AMOUNT_BITS)
        };
        match common.filter(fits).and_then(|c| Amount::try_from(c).ok()) {
            Some(common) => {
                let value = |(n, d): &(u64, u128)| {
                    Amount::from(*n) * (common / Amount::try_from(*d).unwrap_or(1))
                };
                let values = terms.iter().map(value).collect();
                Self { values, unit: Unit { scale: common as f64, grain: 1 } }
            }
            None => {
                Self::rounded(&terms.iter().map(|(n, d)| *n as f64 / *d as f64).collect::<Vec<_>>())
            }
        }
    }

    /// Numbers as multiples of a power of two: exactly if they are, else rounded.
    #[allow(clippy::cast_possible_truncation, reason = "below 2^40")]
    pub(crate) fn rounded(values: &[f64]) -> Self {
        let largest = values.iter().fold(0.0_f64, |a, x| a.max(x.abs()));
        let scale = room(largest, FACTOR_BITS);
        let exact = values.iter().all(|x| is_whole(x * scale));
        let whole: Vec<Amount> = values.iter().map(|x| (x * scale).round() as Amount).collect();
        if exact {
            let divisor = whole.iter().fold(0, |a, x| greatest_common_divisor(a, x.unsigned_abs()));
            let divisor = Amount::try_from(divisor.max(1)).unwrap_or(1);
            let values = whole.iter().map(|x| x / divisor).collect();
            return Self { values, unit: Unit { scale: scale / divisor as f64, grain: 1 } };
        }
        Self { values: whole, unit: Unit { scale, grain: 2 } }
    }
}

pub(super) fn greatest_common_divisor(mut a: u128, mut b: u128) -> u128 {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

fn least_common_multiple(a: u128, b: u128) -> Option<u128> {
    if b == 0 { None } else { (a / greatest_common_divisor(a, b)).checked_mul(b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_and_dyadic_weights_are_exact_and_others_nearly() {
        let whole = Weights::new(&[1.0, 3.0]).expect("valid");
        assert_eq!((whole.units, whole.unit), (vec![1, 3], Unit::ONE));
        let half = Weights::new(&[0.5, 0.75]).expect("valid");
        assert_eq!((half.units.as_slice(), half.unit.scale), (&[2, 3][..], 4.0));
        let real = Weights::new(&[0.1, 0.2, 0.3]).expect("valid");
        let key = |units: u64| real.unit.key(Amount::from(units));
        assert_eq!(key(real.units[0] + real.units[1]), key(real.units[2]));
        assert!((real.unit.value(Amount::from(real.units[0])) - 0.1).abs() < 1e-13);
    }

    #[test]
    fn bad_weights_are_named() {
        assert!(matches!(Weights::new(&[1.0, f64::NAN]), Err(Error::NotFinite { index: 1, .. })));
        assert!(matches!(Weights::new(&[-1.0]), Err(Error::Range { .. })));
        assert!(matches!(Weights::new(&[0.0]), Err(Error::Range { .. })));
        assert!(Weights::new(&[]).is_ok());
    }

    #[test]
    fn ratios_share_a_denominator() {
        let harmonic = Factors::ratios(&[(1, 1), (1, 2), (1, 3)], 1000);
        assert_eq!((harmonic.values, harmonic.unit.scale), (vec![6, 3, 2], 6.0));
        let many: Vec<(u64, u128)> = (1..=200).map(|j| (1, j)).collect();
        let rounded = Factors::ratios(&many, 1);
        assert!(rounded.unit.grain > 1 && rounded.values[0] > rounded.values[199]);
        let halves = Factors::rounded(&[1.0, 0.5, 0.25]);
        assert_eq!((halves.values, halves.unit.grain), (vec![4, 2, 1], 1));
    }
}
