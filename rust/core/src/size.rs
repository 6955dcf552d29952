//! Sizes that a number alone announces: too large ones are errors before they are allocations.

use crate::{Error, Result};

/// The most items, groups, ballots or draws.
pub(crate) const MOST: usize = 1 << 26;
/// The most items of which a square matrix is kept: 3 GiB of doubles.
pub(crate) const SQUARE: usize = 20_000;
/// The most numbers of one answer: 4 GiB of doubles.
const CELLS: usize = 1 << 29;

/// [`Error::Range`] for a count above [`MOST`].
pub(crate) fn count(name: &'static str, count: usize) -> Result<usize> {
    if count <= MOST { Ok(count) } else { Err(Error::range(name, "at most 2^26", count)) }
}

/// [`Error::Range`] for items of which no square matrix is kept.
pub(crate) fn square(name: &'static str, items: usize) -> Result<usize> {
    if items <= SQUARE {
        return Ok(items);
    }
    Err(Error::range(name, "at most 20000 items where every pair is looked at", items))
}

/// [`Error::Range`] for a table of more than 2^29 numbers.
pub(crate) fn table(name: &'static str, rows: usize, columns: usize) -> Result<usize> {
    match rows.checked_mul(columns) {
        Some(cells) if cells <= CELLS => Ok(cells),
        _ => Err(Error::range(name, "at most 2^29 numbers", format!("{rows} times {columns}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vast_sizes_are_errors() {
        assert_eq!(count("n", MOST), Ok(MOST));
        assert!(count("n", usize::MAX).is_err() && square("n", SQUARE + 1).is_err());
        assert_eq!(table("n", 3, 4), Ok(12));
        assert!(table("n", usize::MAX, 2).is_err() && table("n", 1 << 15, 1 << 15).is_err());
    }
}
