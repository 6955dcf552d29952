//! The ballots of one decision, checked once.

use std::sync::OnceLock;

use super::cells::Cells;
use super::compact::{Compact, firsts, renumber, take_columns, take_lists, take_rows};
use super::lists::Lists;
use super::positional::histogram;
use super::rows::{Id, Rows};
use super::support::Support;
use super::weights::Weights;
use crate::{Error, Result, Stop, size};

/// What it means that a ballot does not rank an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unranked {
    /// Tied with the other unranked items below all ranked ones.
    #[default]
    Last,
    /// Nothing: comparisons with it do not exist.
    Ignore,
    /// As `Last`; in positional scores, the unranked items share the points of the places left.
    Average,
}

/// How ballots are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ballots {
    /// Every ballot orders all items without ties.
    Full(Rows),
    /// Some ballots leave items out or tie them.
    Lists(Lists),
}

/// Weighted ballots over items numbered from 0.
#[derive(Debug, Clone)]
pub struct Profile {
    items: usize,
    ballots: Ballots,
    weights: Weights,
    unranked: Unranked,
    support: OnceLock<Support>,
    histogram: OnceLock<Vec<f64>>,
}

impl Profile {
    /// Full strict rankings: `rows` is `(n, items)`, best first.
    ///
    /// # Errors
    /// [`Error::Range`] for items out of range or repeated, [`Error::Shape`] for a wrong size.
    pub fn full<T: Id>(
        rows: &[T],
        items: usize,
        weights: Option<Vec<f64>>,
        compact: Compact,
        threads: Option<usize>,
    ) -> Result<Self> {
        let ballots = rows.len().checked_div(items).unwrap_or(0);
        if ballots * items != rows.len() {
            let (expected, got) = (format!("(n, {items})"), format!("{} numbers", rows.len()));
            return Err(Error::Shape { name: "rankings", expected, got });
        }
        let weights = check(ballots, items, weights)?;
        let rows = Rows::new(rows, items, threads)?;
        let ballots = Ballots::Full(rows);
        Ok(Self::built(items, ballots, weights, Unranked::Last).compacted(compact))
    }

    /// Partial or weak rankings; stored as full ones when they are full and strict.
    ///
    /// # Errors
    /// [`Error::Range`] and [`Error::Shape`].
    pub fn lists(
        lists: Lists,
        items: usize,
        weights: Option<Vec<f64>>,
        unranked: Unranked,
        compact: Compact,
    ) -> Result<Self> {
        if items <= 1 << 16 && lists.is_strict() && lists.is_complete(items) && !lists.is_empty() {
            return Self::full(&lists.items, items, weights, compact, None)
                .map(|profile| Self { unranked, ..profile });
        }
        let weights = check(lists.len(), items, weights)?;
        let ballots = Ballots::Lists(lists);
        Ok(Self::built(items, ballots, weights, unranked).compacted(compact))
    }

    fn built(items: usize, ballots: Ballots, weights: Weights, unranked: Unranked) -> Self {
        let (support, histogram) = (OnceLock::new(), OnceLock::new());
        Self { items, ballots, weights, unranked, support, histogram }
    }

    fn compacted(self, mode: Compact) -> Self {
        let (n, m) = (self.len(), self.items);
        let firsts = match &self.ballots {
            Ballots::Full(rows) => match &rows.order {
                Cells::U8(order) => firsts(n, mode, |v| &order[v * m..(v + 1) * m]),
                Cells::U16(order) => firsts(n, mode, |v| &order[v * m..(v + 1) * m]),
            },
            Ballots::Lists(lists) => firsts(n, mode, |v| {
                let span = lists.starts[v]..lists.starts[v + 1];
                (&lists.items[span.clone()], &lists.ends[span])
            }),
        };
        let Some(firsts) = firsts else { return self };
        let (kept, number) = renumber(&firsts);
        if kept.len() == n {
            return self;
        }
        let mut sums = vec![0.0; kept.len()];
        number.iter().enumerate().for_each(|(v, k)| sums[*k] += self.weights.get(v));
        let ballots = match &self.ballots {
            Ballots::Full(rows) => Ballots::Full(Rows {
                order: take_rows(&rows.order, m, &kept),
                places: take_columns(&rows.places, n, &kept),
            }),
            Ballots::Lists(lists) => Ballots::Lists(take_lists(lists, &kept)),
        };
        match Weights::new(sums) {
            Ok(weights) => Self { ballots, weights, ..self },
            Err(_) => self, // sums of valid weights are valid
        }
    }

    /// How many items there are.
    #[must_use]
    pub fn items(&self) -> usize {
        self.items
    }

    /// How many ballots are stored.
    #[must_use]
    pub fn len(&self) -> usize {
        self.weights.len()
    }

    /// Never: a profile has a ballot.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.weights.is_empty()
    }

    /// The ballots.
    #[must_use]
    pub fn ballots(&self) -> &Ballots {
        &self.ballots
    }

    /// Full strict rankings, when all are.
    #[must_use]
    pub fn rows(&self) -> Option<&Rows> {
        match &self.ballots {
            Ballots::Full(rows) => Some(rows),
            Ballots::Lists(_) => None,
        }
    }

    /// Their weights.
    #[must_use]
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// What unranked items mean.
    #[must_use]
    pub fn unranked(&self) -> Unranked {
        self.unranked
    }

    /// Pairwise support, counted on first use.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn support(&self, threads: Option<usize>, stop: Stop<'_>) -> Result<&Support> {
        if let Some(support) = self.support.get() {
            return Ok(support);
        }
        let counted = Support::count(self, threads, stop)?;
        Ok(self.support.get_or_init(|| counted))
    }

    /// `(m, m)`, the weight of the ballots that put an item at a place, counted on first use.
    ///
    /// # Errors
    /// [`Error::Range`] for partial or weak ballots, [`Error::Interrupted`].
    pub fn histogram(&self, threads: Option<usize>, stop: Stop<'_>) -> Result<&[f64]> {
        if let Some(counts) = self.histogram.get() {
            return Ok(counts);
        }
        size::square("profile", self.items)?;
        let counts = match self.rows().map(|rows| &rows.places) {
            Some(Cells::U8(places)) => histogram(places, &self.weights, threads, stop)?,
            Some(Cells::U16(places)) => histogram(places, &self.weights, threads, stop)?,
            None => {
                let (expected, got) = ("full strict rankings", "partial or weak ballots");
                return Err(Error::range("profile", expected, got));
            }
        };
        Ok(self.histogram.get_or_init(|| counts))
    }

    /// The ballots as lists, copied when they are stored as full rankings.
    #[must_use]
    pub fn to_lists(&self) -> Lists {
        match &self.ballots {
            Ballots::Lists(lists) => lists.clone(),
            Ballots::Full(rows) => {
                let items: Vec<u32> = match &rows.order {
                    Cells::U8(order) => order.iter().map(|c| u32::from(*c)).collect(),
                    Cells::U16(order) => order.iter().map(|c| u32::from(*c)).collect(),
                };
                let starts = (0..=self.len()).map(|v| v * self.items).collect();
                Lists { starts, ends: vec![true; items.len()], items }
            }
        }
    }
}

fn check(ballots: usize, items: usize, weights: Option<Vec<f64>>) -> Result<Weights> {
    if items == 0 {
        return Err(Error::range("rankings", "at least one item", 0));
    }
    if ballots == 0 {
        return Err(Error::range("rankings", "at least one ballot", 0));
    }
    match weights {
        None => Ok(Weights::unit(ballots)),
        Some(weights) if weights.len() == ballots => Weights::new(weights),
        Some(weights) => Err(Error::length("weights", ballots, weights.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_ballots_are_merged_with_their_weights() {
        let rows = [0_i64, 1, 1, 0, 0, 1];
        let merged = Profile::full(&rows, 2, None, Compact::Auto, None).expect("valid");
        assert_eq!((merged.len(), merged.weights().values()), (2, Some(&[2.0, 1.0][..])));
        let places = &merged.rows().expect("full").places;
        assert_eq!(places, &Cells::U8(vec![0, 1, 1, 0]));
        let kept = Profile::full(&rows, 2, None, Compact::Never, None).expect("valid");
        assert_eq!(kept.len(), 3);
    }

    #[test]
    fn complete_strict_lists_are_stored_as_rows() {
        let lists = Lists::new(vec![0, 2, 4], &[1_i64, 0, 0, 1], None, 2).expect("valid");
        let profile = Profile::lists(lists, 2, None, Unranked::Last, Compact::Never);
        assert!(profile.expect("valid").rows().is_some());
        let lists = Lists::new(vec![0, 1, 2], &[1_i64, 1], None, 2).expect("valid");
        let weights = Some(vec![1.5, 2.0]);
        let profile = Profile::lists(lists, 2, weights, Unranked::Last, Compact::Always);
        let profile = profile.expect("valid");
        assert_eq!((profile.len(), profile.weights().total()), (1, 3.5));
    }

    #[test]
    fn empty_profiles_are_errors() {
        assert!(Profile::full(&[0_i64; 0], 2, None, Compact::Auto, None).is_err());
        assert!(Profile::full(&[0_i64; 0], 0, None, Compact::Auto, None).is_err());
        assert!(Profile::full(&[0_i64, 1], 2, Some(vec![]), Compact::Auto, None).is_err());
        assert!(Profile::full(&[0_i64, 1, 1], 2, None, Compact::Auto, None).is_err());
    }
}
