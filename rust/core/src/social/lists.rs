//! Partial and weak rankings as lists of items with the ends of their buckets.

use super::rows::{Id, repeated};
use crate::{Error, Result, size};

/// Ballots of different lengths: items best first, tied ones next to each other in any order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lists {
    /// `(n + 1)`, where each ballot starts and ends in `items`.
    pub starts: Vec<usize>,
    /// Ranked items.
    pub items: Vec<u32>,
    /// Whether an item is the last of its bucket; items of a bucket are tied.
    pub ends: Vec<bool>,
}

impl Lists {
    /// Checks ballots over `items` items in one pass; items of a bucket are put in rising order.
    ///
    /// Without `ends` every bucket has one item.
    ///
    /// # Errors
    /// [`Error::Shape`] or [`Error::Range`] that names the ballot.
    pub fn new<T: Id>(
        starts: Vec<usize>,
        ids: &[T],
        ends: Option<Vec<bool>>,
        items: usize,
    ) -> Result<Self> {
        let rising = starts.windows(2).all(|pair| pair[0] <= pair[1]);
        if starts.first() != Some(&0) || starts.last() != Some(&ids.len()) || !rising {
            let expected = format!("numbers rising from 0 to {}", ids.len());
            return Err(Error::range("starts", &expected, "others"));
        }
        if let Some(ends) = ends.as_ref().filter(|ends| ends.len() != ids.len()) {
            return Err(Error::length("ends", ids.len(), ends.len()));
        }
        let mut seen = vec![usize::MAX; size::count("n_items", items)?];
        let mut narrow = Vec::with_capacity(ids.len());
        for (ballot, span) in starts.windows(2).enumerate() {
            for (place, id) in ids[span[0]..span[1]].iter().enumerate() {
                let item = id.item();
                if item >= items {
                    let expected = format!("item ids from 0 to {}", items.saturating_sub(1));
                    let got = format!("{id} at ballot {ballot}, place {place}");
                    return Err(Error::range("rankings", &expected, got));
                }
                if seen[item] == ballot {
                    return Err(repeated(item, ballot));
                }
                seen[item] = ballot;
                narrow.push(u32::try_from(item).map_err(|_| too_many(items))?);
            }
        }
        let ends = ends.unwrap_or_else(|| vec![true; narrow.len()]);
        let mut lists = Self { starts, items: narrow, ends };
        lists.tidy();
        Ok(lists)
    }

    /// Closes the last bucket of each ballot and sorts the items of each bucket.
    fn tidy(&mut self) {
        for span in self.starts.windows(2) {
            let mut first = span[0];
            for at in span[0]..span[1] {
                if at + 1 == span[1] {
                    self.ends[at] = true;
                }
                if self.ends[at] {
                    self.items[first..=at].sort_unstable();
                    first = at + 1;
                }
            }
        }
    }

    /// How many ballots there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The ranked items of one ballot, best first.
    #[must_use]
    pub fn ballot(&self, ballot: usize) -> &[u32] {
        &self.items[self.starts[ballot]..self.starts[ballot + 1]]
    }

    /// The buckets of one ballot, best first.
    pub fn buckets(&self, ballot: usize) -> impl Iterator<Item = &[u32]> {
        let span = self.starts[ballot]..self.starts[ballot + 1];
        let ends = &self.ends[span.clone()];
        let items = &self.items[span];
        let mut first = 0;
        ends.iter().enumerate().filter(|(_, end)| **end).map(move |(at, _)| {
            let bucket = &items[first..=at];
            first = at + 1;
            bucket
        })
    }

    /// Whether no two items are tied.
    #[must_use]
    pub fn is_strict(&self) -> bool {
        self.ends.iter().all(|end| *end)
    }

    /// Whether every ballot ranks all `items` items.
    #[must_use]
    pub fn is_complete(&self, items: usize) -> bool {
        self.starts.windows(2).all(|span| span[1] - span[0] == items)
    }
}

fn too_many(items: usize) -> Error {
    Error::range("rankings", "fewer than 2^32 items", items)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_closed_and_sorted() {
        let lists = Lists::new(
            vec![0, 3, 3, 4],
            &[2_i64, 1, 0, 3],
            Some(vec![false, true, false, false]),
            4,
        )
        .expect("valid");
        assert_eq!(lists.buckets(0).collect::<Vec<_>>(), [&[1, 2][..], &[0]]);
        assert_eq!(lists.buckets(1).count(), 0);
        assert_eq!(lists.buckets(2).collect::<Vec<_>>(), [&[3][..]]);
        assert!(!lists.is_strict() && !lists.is_complete(4));
    }

    #[test]
    fn wrong_lists_are_errors() {
        assert!(Lists::new(vec![0, 2], &[0_i64, 0], None, 2).is_err());
        assert!(Lists::new(vec![0, 2], &[0_i64, 2], None, 2).is_err());
        assert!(Lists::new(vec![0, 1], &[0_i64, 1], None, 2).is_err());
        assert!(Lists::new(vec![], &[0_i64; 0], None, 2).is_err());
        assert!(Lists::new(vec![0, 2], &[0_i64, 1], Some(vec![true]), 2).is_err());
    }
}
