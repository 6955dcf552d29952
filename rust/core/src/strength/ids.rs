//! Columns of item numbers in whatever integer type they came.

use crate::{Error, Result};

/// The most items: two more bits of a key say how a comparison ended.
pub const MAX_ITEMS: usize = crate::size::MOST;

/// One column of item numbers; nothing is checked before the numbers are used.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "named after their type")]
pub enum Ids<'a> {
    U8(&'a [u8]),
    U16(&'a [u16]),
    U32(&'a [u32]),
    U64(&'a [u64]),
    I16(&'a [i16]),
    I32(&'a [i32]),
    I64(&'a [i64]),
}

/// An integer that may number an item.
pub(super) trait Id: Copy + Send + Sync + std::fmt::Display {
    /// The number, or [`u32::MAX`] when it cannot be one.
    fn id(self) -> u32;
}

macro_rules! id {
    ($($type:ty),*) => {$(
        impl Id for $type {
            #[inline]
            fn id(self) -> u32 {
                u32::try_from(self).unwrap_or(u32::MAX)
            }
        }
    )*};
}
id!(u8, u16, u32, u64, i16, i32, i64);

/// Calls a generic function with the slice inside one column, or the two inside a pair of columns.
macro_rules! with_ids {
    ($ids:expr, $slice:ident => $call:expr) => {
        match $ids {
            Ids::U8($slice) => $call,
            Ids::U16($slice) => $call,
            Ids::U32($slice) => $call,
            Ids::U64($slice) => $call,
            Ids::I16($slice) => $call,
            Ids::I32($slice) => $call,
            Ids::I64($slice) => $call,
        }
    };
    ($a:expr, $b:expr, ($x:ident, $y:ident) => $call:expr) => {
        match ($a, $b) {
            (Ids::U8($x), Ids::U8($y)) => $call,
            (Ids::U16($x), Ids::U16($y)) => $call,
            (Ids::U32($x), Ids::U32($y)) => $call,
            (Ids::U64($x), Ids::U64($y)) => $call,
            (Ids::I16($x), Ids::I16($y)) => $call,
            (Ids::I32($x), Ids::I32($y)) => $call,
            (Ids::I64($x), Ids::I64($y)) => $call,
            _ => Err(crate::Error::range("losers", "the integer type of winners", "another")),
        }
    };
}
pub(super) use with_ids;

impl Ids<'_> {
    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        with_ids!(self, s => s.len())
    }

    /// Whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One more than the largest entry; 0 when there are none.
    ///
    /// # Errors
    /// [`Error::Range`] when an entry is negative or above [`MAX_ITEMS`].
    pub fn span(&self, name: &'static str) -> Result<usize> {
        with_ids!(self, s => span(name, s))
    }
}

fn span<I: Id>(name: &'static str, ids: &[I]) -> Result<usize> {
    // four maxima in a row, so that one does not wait for another
    let mut largest = [0_u32; 8];
    let (blocks, rest) = (ids.chunks_exact(8), ids.chunks_exact(8).remainder());
    for block in blocks {
        for (most, id) in largest.iter_mut().zip(block) {
            *most = (*most).max(id.id());
        }
    }
    let most = rest.iter().map(|id| id.id()).chain(largest).max().unwrap_or(0) as usize;
    if most >= MAX_ITEMS {
        return Err(outside(name, ids, MAX_ITEMS));
    }
    Ok(if ids.is_empty() { 0 } else { most + 1 })
}

/// The error for the first entry that is no item.
pub(super) fn outside<I: Id>(name: &'static str, ids: &[I], items: usize) -> Error {
    let found = ids.iter().enumerate().find(|(_, id)| id.id() as usize >= items);
    let got = found.map_or_else(
        || "an array that changed while it was read".to_owned(),
        |(row, id)| format!("{id} at position {row}"),
    );
    Error::Range {
        name,
        expected: format!("item numbers from 0 to {}", items.saturating_sub(1)),
        got,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_one_more_than_the_largest() {
        assert_eq!(Ids::I64(&[3, 0, 41, 7, 2, 2, 2, 2, 2, 40]).span("winners"), Ok(42));
        assert_eq!(Ids::U8(&[]).span("winners"), Ok(0));
        let error = Ids::I32(&[1, -2]).span("winners").expect_err("negative");
        assert!(error.to_string().contains("got -2 at position 1"), "{error}");
        assert!(Ids::U64(&[u64::MAX]).span("winners").is_err());
    }
}
