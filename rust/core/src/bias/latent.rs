//! Where unbiased ballots come from.

use crate::rng::{Stream, bits};
use crate::social::{Culture, sample};
use crate::{Error, Result};

/// The stream that seeds the bias of an election, apart from the streams of its ballots.
const BIAS: u64 = u64::MAX - 1;

/// A source of elections.
#[derive(Debug, Clone, PartialEq)]
pub enum Latent {
    /// A random culture.
    Culture(Culture),
    /// Rankings of `m` items, row after row; ballots are drawn from them with equal chances.
    Rankings(Vec<u32>),
}

impl Latent {
    /// Checks given rankings; cultures check their own parameters.
    ///
    /// # Errors
    /// [`Error::Range`] or [`Error::Shape`].
    pub fn check(&self, items: usize) -> Result<()> {
        let Self::Rankings(rows) = self else {
            // One small election shows whether the parameters are valid.
            return self.election(1, items, 0).map(|_| ());
        };
        check_rows(rows, items)
    }

    /// Ballots of the election with this seed, row after row.
    ///
    /// # Errors
    /// Those of the culture's parameters.
    pub fn election(&self, ballots: usize, items: usize, seed: u64) -> Result<Vec<u32>> {
        match self {
            Self::Culture(culture) => sample(culture, ballots, items, seed, Some(1)),
            Self::Rankings(rows) => {
                let mut stream = Stream::new(seed, 0);
                let given = rows.len() / items;
                Ok((0..ballots)
                    .flat_map(|_| {
                        let v = stream.below(given);
                        rows[v * items..(v + 1) * items].iter().copied()
                    })
                    .collect())
            }
        }
    }
}

/// Whether `rows` are permutations of `0..items`, one after the other, at least one.
///
/// # Errors
/// [`Error::Shape`] or [`Error::Range`].
pub(super) fn check_rows(rows: &[u32], items: usize) -> Result<()> {
    if items == 0 || rows.is_empty() || rows.len() % items != 0 {
        return Err(Error::length("rankings", items, rows.len()));
    }
    let mut seen = vec![usize::MAX; items];
    for (v, row) in rows.chunks_exact(items).enumerate() {
        for item in row {
            match seen.get_mut(*item as usize) {
                Some(last) if *last != v => *last = v,
                _ => {
                    let expected = format!("each of {items} items once on every ballot");
                    let got = format!("{item} on ballot {v}");
                    return Err(Error::range("rankings", &expected, got));
                }
            }
        }
    }
    Ok(())
}

/// The stream that biases the ballots of an election.
pub(super) fn bias_stream(seed: u64) -> Stream {
    Stream::new(bits(seed, BIAS, 0), 0)
}

/// The seed of election `index` of a series.
pub(super) fn election_seed(seed: u64, index: u64) -> u64 {
    bits(seed, BIAS, index.wrapping_add(1))
}
