//! Pairwise support: the weight of the ballots that rank one item above another.

use std::ops::Range;

use super::counting::count;
use super::profile::Profile;
use crate::{Error, Result, Stop, size};

/// Margins closer than this share of the total weight are equal, unless weights are exact.
const SNAP: f64 = 1e-12;

/// `S[a][b]`, the weight of the ballots that rank `a` above `b`.
#[derive(Debug, Clone, PartialEq)]
pub struct Support {
    items: usize,
    values: Vec<f64>,
    total: f64,
    exact: bool,
}

impl Support {
    /// A given matrix `(m, m)` in row-major order; its diagonal is ignored.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::NotFinite`] or [`Error::Range`] for negative numbers.
    pub fn new(mut values: Vec<f64>, items: usize) -> Result<Self> {
        if items == 0 || values.len() != items * items {
            let expected = format!("({items}, {items}) with at least one item");
            let got = format!("{} numbers", values.len());
            return Err(Error::Shape { name: "support", expected, got });
        }
        if let Some(index) = values.iter().position(|s| !s.is_finite()) {
            return Err(Error::NotFinite { name: "support", index });
        }
        if let Some(at) = values.iter().position(|s| *s < 0.0) {
            let got = format!("{} at ({}, {})", values[at], at / items, at % items);
            return Err(Error::range("support", "numbers of at least 0", got));
        }
        (0..items).for_each(|a| values[a * items + a] = 0.0);
        let pair = |a: usize, b: usize| values[a * items + b] + values[b * items + a];
        let total = (0..items).flat_map(|a| (0..a).map(move |b| (a, b)));
        let total = total.map(|(a, b)| pair(a, b)).fold(0.0, f64::max);
        let size = (items * items) as f64;
        let exact = values.iter().all(|s| s.fract() == 0.0) && total * size < 9e15;
        Ok(Self { items, values, total, exact })
    }

    /// Counts the ballots of a profile.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn count(profile: &Profile, threads: Option<usize>, stop: Stop<'_>) -> Result<Self> {
        let (items, weights) = (size::square("profile", profile.items())?, profile.weights());
        let values = count(profile, threads, stop)?;
        let size = (items * items) as f64;
        let exact = weights.is_exact() && weights.total() * size < 9e15; // sums of rows stay exact
        Ok(Self { items, values, total: weights.total(), exact })
    }

    /// How many items there are.
    #[must_use]
    pub fn items(&self) -> usize {
        self.items
    }

    /// `(m, m)` in row-major order, 0 on the diagonal.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The weight of the ballots that rank `a` above `b`.
    #[must_use]
    #[inline]
    pub fn get(&self, a: usize, b: usize) -> f64 {
        self.values[a * self.items + b]
    }

    /// The weight of all ballots.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.total
    }

    /// Whether all numbers are integers, and their sums and differences exact.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.exact
    }

    /// `M[a][b] = S[a][b] - S[b][a]`; where weights are not exact, nearly equal margins become equal.
    #[must_use]
    pub fn margins(&self) -> Vec<f64> {
        let m = self.items;
        let mut out = self.values.clone();
        // In tiles, for a column of a large matrix is a page per number.
        for (rows, columns) in tiles(m) {
            for a in rows {
                for b in columns.clone() {
                    out[a * m + b] -= self.values[b * m + a];
                }
            }
        }
        if !self.exact {
            snap(&mut out, SNAP * self.total);
        }
        out
    }

    /// The support restricted to some items, in their order.
    #[must_use]
    pub fn restrict(&self, items: &[usize]) -> Self {
        let values = items.iter().flat_map(|a| items.iter().map(|b| self.get(*a, *b))).collect();
        Self { items: items.len(), values, ..*self }
    }
}

/// Pairs of ranges of up to 32 items, row by row.
fn tiles(items: usize) -> impl Iterator<Item = (Range<usize>, Range<usize>)> {
    let range = move |first: usize| first..(first + 32).min(items);
    let firsts = move || (0..items).step_by(32);
    firsts().flat_map(move |a| firsts().map(move |b| (range(a), range(b))))
}

/// Replaces numbers whose sizes lie within `step` of a neighbour by the smallest of their run.
pub(crate) fn snap(values: &mut [f64], step: f64) {
    let mut sizes: Vec<f64> = values.iter().map(|v| v.abs()).filter(|v| *v > step).collect();
    sizes.sort_unstable_by(f64::total_cmp);
    let mut heads: Vec<f64> = Vec::new();
    let mut last = f64::NEG_INFINITY;
    for size in sizes {
        if size - last > step {
            heads.push(size);
        }
        last = size;
    }
    for value in values {
        let size = value.abs();
        *value = if size <= step {
            0.0
        } else {
            let at = heads.partition_point(|head| *head <= size);
            value.signum() * heads[at.saturating_sub(1)]
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearly_equal_numbers_become_equal() {
        let mut values = [0.1 + 0.2, -0.3, 1e-17, 1.0];
        snap(&mut values, 1e-12);
        assert_eq!(values, [0.3, -0.3, 0.0, 1.0]);
    }

    #[test]
    fn wrong_matrices_are_errors() {
        assert!(Support::new(vec![0.0; 3], 2).is_err());
        assert!(Support::new(vec![0.0, -1.0, 0.0, 0.0], 2).is_err());
        assert!(Support::new(vec![0.0, f64::NAN, 0.0, 0.0], 2).is_err());
        assert!(Support::new(vec![], 0).is_err());
    }
}
