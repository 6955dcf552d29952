//! How many items of a group every prefix of a ranking may and must have.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Groups;
use crate::{Error, Result};

/// A place that never comes.
pub(super) const NEVER: usize = usize::MAX;

/// Absorbs rounding in products such as `100 * 0.29`.
const ROUNDING: f64 = 1e-9;

/// Bounds on the number of items of each group in every prefix of length `1..=k`.
///
/// Lower bounds are raised to their running maximum and upper bounds cut to the running minimum from
/// the end: counts never fall along a ranking, so both say the same as what was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    prefixes: usize,
    groups: usize,
    lower: Vec<usize>,
    upper: Vec<usize>,
}

impl Bounds {
    /// Bounds from tables of `k` rows and `groups` columns.
    ///
    /// # Errors
    /// [`Error::Shape`] for another length, [`Error::Infeasible`] when a lower bound is above its
    /// upper bound.
    pub fn new(groups: usize, lower: Vec<usize>, upper: Vec<usize>) -> Result<Self> {
        if groups == 0 || lower.len() % groups != 0 || lower.is_empty() {
            return Err(Error::length("lower", groups, lower.len()));
        }
        if upper.len() != lower.len() {
            return Err(Error::length("upper", lower.len(), upper.len()));
        }
        let prefixes = lower.len() / groups;
        let mut this = Self { prefixes, groups, lower, upper };
        for at in groups..this.lower.len() {
            this.lower[at] = this.lower[at].max(this.lower[at - groups]);
        }
        for at in (groups..this.upper.len()).rev() {
            this.upper[at - groups] = this.upper[at - groups].min(this.upper[at]);
        }
        match (0..this.lower.len()).find(|at| this.lower[*at] > this.upper[*at]) {
            Some(at) => Err(Error::Infeasible {
                what: format!(
                    "bounds: group {} needs at least {} and at most {} items in the first {} places",
                    at % groups,
                    this.lower[at],
                    this.upper[at],
                    at / groups + 1
                ),
            }),
            None => Ok(this),
        }
    }

    /// `floor(i * share)` to `ceil(i * share)` items of each group in the first `i` places.
    ///
    /// # Errors
    /// [`Error::Range`] for shares that are negative, NaN or sum to more than one, or for `k` of 0.
    pub fn from_shares(shares: &[f64], k: usize) -> Result<Self> {
        check_shares(shares)?;
        if k == 0 {
            return Err(Error::range("k", "at least 1", k));
        }
        let mut lower = Vec::with_capacity(k * shares.len());
        let mut upper = Vec::with_capacity(k * shares.len());
        for i in 1..=k {
            for share in shares {
                lower.push(floor_share(*share, i));
                upper.push(ceil_share(*share, i));
            }
        }
        Self::new(shares.len(), lower, upper)
    }

    /// Number of prefixes that are bounded.
    #[must_use]
    pub fn prefixes(&self) -> usize {
        self.prefixes
    }

    /// Number of groups.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// Least number of items of group `g` in the first `i` places, `i` from 1.
    #[must_use]
    pub fn lower(&self, i: usize, g: usize) -> usize {
        self.lower[(i - 1) * self.groups + g]
    }

    /// Largest number of items of group `g` in the first `i` places, `i` from 1.
    #[must_use]
    pub fn upper(&self, i: usize, g: usize) -> usize {
        self.upper[(i - 1) * self.groups + g]
    }

    /// The lower bounds, row by row.
    #[must_use]
    pub fn lower_table(&self) -> &[usize] {
        &self.lower
    }

    /// Whether every bounded prefix of `ranking` holds.
    #[must_use]
    pub fn hold(&self, ranking: &[usize], groups: Groups<'_>) -> bool {
        let mut have = vec![0; self.groups];
        ranking.iter().take(self.prefixes).enumerate().all(|(place, item)| {
            have[groups.of(*item)] += 1;
            let ok = |(g, h): (usize, &usize)| {
                *h >= self.lower(place + 1, g) && *h <= self.upper(place + 1, g)
            };
            have.iter().enumerate().all(ok)
        })
    }

    /// Windows of places for the items of each group, or why there is no ranking within the bounds.
    ///
    /// The `j`-th item of a group (from 1) must stand at a place from `release` to `deadline`, places
    /// counted from 1. A ranking within the bounds is a schedule of unit jobs with these windows, and
    /// earliest deadline first finds one when there is one.
    pub(super) fn windows(&self, sizes: &[usize]) -> Result<Windows> {
        let m: usize = sizes.iter().sum();
        if sizes.len() != self.groups {
            return Err(Error::length("sizes", self.groups, sizes.len()));
        }
        if self.prefixes > m {
            return Err(Error::range("k", &format!("at most the {m} items"), self.prefixes));
        }
        let mut windows = Windows::default();
        for (g, size) in sizes.iter().enumerate() {
            windows.start.push(windows.release.len());
            let needed = self.lower(self.prefixes, g);
            if needed > *size {
                return Err(Error::Infeasible {
                    what: format!(
                        "bounds: group {g} needs {needed} items in the first {} places but has {size}",
                        self.prefixes
                    ),
                });
            }
            let (mut open, mut close) = (1, 1);
            for j in 1..=*size {
                while open <= self.prefixes && self.upper(open, g) < j {
                    open += 1;
                }
                while close <= self.prefixes && self.lower(close, g) < j {
                    close += 1;
                }
                windows.release.push(open);
                windows.deadline.push(if close <= self.prefixes { close } else { NEVER });
            }
        }
        windows.schedule(m)?;
        Ok(windows)
    }
}

/// When the items of each group may and must be placed; see [`Bounds::windows`].
#[derive(Debug, Default)]
pub(super) struct Windows {
    start: Vec<usize>,
    release: Vec<usize>,
    deadline: Vec<usize>,
}

impl Windows {
    /// Window of the item of group `g` after `have` of its items were placed.
    pub(super) fn of(&self, g: usize, have: usize) -> (usize, usize) {
        let at = self.start[g] + have;
        (self.release[at], self.deadline[at])
    }

    /// Number of items that must stand within the first `i` places, for every `i` in `1..=k`.
    pub(super) fn due(&self, k: usize) -> Vec<usize> {
        let mut due = vec![0; k + 1];
        for deadline in self.deadline.iter().filter(|d| **d <= k) {
            due[*deadline] += 1;
        }
        for i in 1..=k {
            due[i] += due[i - 1];
        }
        due
    }

    /// Earliest deadline first over all places.
    fn schedule(&self, m: usize) -> Result<()> {
        let mut jobs: Vec<(usize, usize)> =
            self.release.iter().copied().zip(self.deadline.iter().copied()).collect();
        jobs.sort_unstable();
        let (mut next, mut open) = (0, BinaryHeap::new());
        for place in 1..=m {
            while next < jobs.len() && jobs[next].0 <= place {
                open.push(Reverse(jobs[next].1));
                next += 1;
            }
            match open.pop() {
                Some(Reverse(deadline)) if deadline >= place => {}
                Some(_) => {
                    let what = format!(
                        "bounds: the lower bounds ask for more than {} items in the first {} places",
                        place - 1,
                        place - 1
                    );
                    return Err(Error::Infeasible { what });
                }
                None => {
                    let what = format!("bounds: the upper bounds leave no item for place {place}");
                    return Err(Error::Infeasible { what });
                }
            }
        }
        Ok(())
    }
}

/// `floor(i * share)` but for rounding.
pub(super) fn floor_share(share: f64, i: usize) -> usize {
    count((share * i as f64 + ROUNDING).floor())
}

/// `ceil(i * share)` but for rounding.
pub(super) fn ceil_share(share: f64, i: usize) -> usize {
    count((share * i as f64 - ROUNDING).ceil())
}

/// A whole number at or above zero as an index.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "at least 0, below 2^53"
)]
pub(super) fn count(x: f64) -> usize {
    x.max(0.0) as usize
}

/// Target shares: at least 0 and together at most 1.
///
/// # Errors
/// [`Error::Range`] otherwise.
pub(super) fn check_shares(shares: &[f64]) -> Result<()> {
    if let Some(g) = shares.iter().position(|s| !(0.0..=1.0).contains(s)) {
        let got = format!("{} for group {g}", shares[g]);
        return Err(Error::range("shares", "numbers in [0, 1]", got));
    }
    let total: f64 = shares.iter().sum();
    if shares.is_empty() || total > 1.0 + ROUNDING {
        return Err(Error::range("shares", "a sum of at most 1", total));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_become_floors_and_ceilings_without_rounding_errors() {
        let bounds = Bounds::from_shares(&[0.29, 0.71], 100).expect("shares sum to one");
        assert_eq!((bounds.lower(100, 0), bounds.upper(100, 0)), (29, 29));
        assert_eq!((bounds.lower(1, 0), bounds.upper(1, 0)), (0, 1));
        assert!(bounds.windows(&[30, 70]).is_err());
        assert!(bounds.windows(&[29, 71]).is_ok());
    }

    #[test]
    fn impossible_bounds_say_why() {
        let crossed = Bounds::new(2, vec![2, 0], vec![1, 1]).expect_err("2 > 1");
        assert!(crossed.to_string().contains("group 0 needs at least 2 and at most 1"));
        let both = Bounds::new(2, vec![1, 1], vec![1, 1]).expect("each alone is fine");
        let error = both.windows(&[2, 2]).expect_err("two items in one place");
        assert!(error.to_string().contains("more than 1 items in the first 1 places"), "{error}");
        let none = Bounds::new(2, vec![0, 0], vec![0, 0]).expect("valid");
        let error = none.windows(&[2, 2]).expect_err("nothing may stand first");
        assert!(error.to_string().contains("no item for place 1"), "{error}");
        assert!(Bounds::from_shares(&[0.6, 0.6], 3).is_err());
        assert!(Bounds::from_shares(&[f64::NAN, 0.5], 3).is_err());
        assert!(Bounds::from_shares(&[1.0], 0).is_err());
    }
}
