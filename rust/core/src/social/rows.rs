//! Full strict rankings: one pass validates, narrows and inverts them.

use super::cells::{Cell, Cells};
use crate::parallel;
use crate::{Error, Result};

/// Ballots per unit of work: the places of one block and item stay in a few cache lines.
const BLOCK: usize = 1024;

/// An integer as it comes from outside.
pub trait Id: Copy + Send + Sync + std::fmt::Display {
    /// The item that it names; `usize::MAX` when it can be none.
    fn item(self) -> usize;
}

macro_rules! ids {
    ($($t:ty),*) => {$(
        impl Id for $t {
            #[inline]
            fn item(self) -> usize {
                usize::try_from(self).unwrap_or(usize::MAX)
            }
        }
    )*};
}
ids!(i8, i16, i32, i64, u8, u16, u32, u64, usize);

/// Full strict rankings: items by ballot and place, and places by item and ballot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    /// `(n, m)`, the item at each place of each ballot, best first.
    pub order: Cells,
    /// `(m, n)`, the place of each item on each ballot: one contiguous column per item.
    pub places: Cells,
}

impl Rows {
    /// Checks that every row of `(n, m)` is a permutation of `0..m`, and stores it both ways.
    ///
    /// # Errors
    /// [`Error::Range`] that names ballot and place of the first wrong item.
    pub fn new<T: Id>(rows: &[T], items: usize, threads: Option<usize>) -> Result<Self> {
        if items <= u8::SPAN {
            let (order, places) = invert::<T, u8>(rows, items, threads)?;
            Ok(Self { order: Cells::U8(order), places: Cells::U8(places) })
        } else if items <= u16::SPAN {
            let (order, places) = invert::<T, u16>(rows, items, threads)?;
            Ok(Self { order: Cells::U16(order), places: Cells::U16(places) })
        } else {
            Err(Error::range("rankings", "at most 65536 items on full rankings", items))
        }
    }
}

struct Block<'a, T, C> {
    first: usize,
    rows: &'a [T],
    order: &'a mut [C],
    columns: Vec<&'a mut [C]>,
    error: &'a mut Option<Error>,
}

fn invert<T: Id, C: Cell>(
    rows: &[T],
    items: usize,
    threads: Option<usize>,
) -> Result<(Vec<C>, Vec<C>)> {
    let ballots = rows.len() / items;
    let blocks = ballots.div_ceil(BLOCK);
    let mut order = vec![C::default(); rows.len()];
    let mut places = vec![C::default(); rows.len()];
    let mut errors: Vec<Option<Error>> = vec![None; blocks];
    let mut columns: Vec<Vec<&mut [C]>> = (0..blocks).map(|_| Vec::with_capacity(items)).collect();
    for column in places.chunks_mut(ballots) {
        for (part, list) in column.chunks_mut(BLOCK).zip(&mut columns) {
            list.push(part);
        }
    }
    let work: Vec<Block<'_, T, C>> = rows
        .chunks(BLOCK * items)
        .zip(order.chunks_mut(BLOCK * items))
        .zip(columns)
        .zip(&mut errors)
        .enumerate()
        .map(|(b, (((rows, order), columns), error))| Block {
            first: b * BLOCK,
            rows,
            order,
            columns,
            error,
        })
        .collect();
    let threads = if rows.len() < 100_000 { Some(1) } else { threads };
    parallel::each(work, threads, |block| fill(block, items));
    match errors.into_iter().flatten().next() {
        Some(error) => Err(error),
        None => Ok((order, places)),
    }
}

/// Ballots whose places are gathered before they go to the columns of items.
const STRIP: usize = 64;

fn fill<T: Id, C: Cell>(mut block: Block<'_, T, C>, items: usize) {
    let mut seen = vec![usize::MAX; items]; // the last ballot on which an item stood
    let mut strip = vec![C::default(); STRIP * items];
    let rows = block.rows.chunks(STRIP * items).zip(block.order.chunks_mut(STRIP * items));
    for (number, (rows, order)) in rows.enumerate() {
        let first = number * STRIP;
        let pairs = rows.chunks_exact(items).zip(order.chunks_exact_mut(items));
        for (v, (row, order)) in pairs.enumerate() {
            if !invert_row(row, order, &mut strip, v, &mut seen, first + v) {
                *block.error = Some(wrong(row, items, block.first + first + v));
                return;
            }
        }
        let count = rows.len() / items;
        for (column, strip) in block.columns.iter_mut().zip(strip.chunks_exact(STRIP)) {
            column[first..first + count].copy_from_slice(&strip[..count]);
        }
    }
}

/// Narrows a row and writes the places of its items to column `v` of a strip; false when an item is
/// out of range or stands twice.
#[inline]
fn invert_row<T: Id, C: Cell>(
    row: &[T],
    order: &mut [C],
    strip: &mut [C],
    v: usize,
    seen: &mut [usize],
    stamp: usize,
) -> bool {
    let items = row.len();
    if items <= 64 {
        let mut mask = 0_u64;
        for (place, (id, cell)) in row.iter().zip(order).enumerate() {
            let item = id.item();
            if item >= items {
                return false;
            }
            mask |= 1 << item;
            *cell = C::of(item);
            strip[item * STRIP + v] = C::of(place);
        }
        return mask == u64::MAX >> (64 - items);
    }
    for (place, (id, cell)) in row.iter().zip(order).enumerate() {
        let item = id.item();
        if item >= items || seen[item] == stamp {
            return false;
        }
        seen[item] = stamp;
        *cell = C::of(item);
        strip[item * STRIP + v] = C::of(place);
    }
    true
}

/// The error of the first wrong place of a row.
#[cold]
fn wrong<T: Id>(row: &[T], items: usize, ballot: usize) -> Error {
    let mut seen = vec![false; items];
    for (place, id) in row.iter().enumerate() {
        let item = id.item();
        if item >= items {
            let expected = format!("item ids from 0 to {}", items - 1);
            return Error::range(
                "rankings",
                &expected,
                format!("{id} at ballot {ballot}, place {place}"),
            );
        }
        if seen[item] {
            return repeated(item, ballot);
        }
        seen[item] = true;
    }
    repeated(0, ballot)
}

pub(crate) fn repeated(item: usize, ballot: usize) -> Error {
    let got = format!("item {item} twice on ballot {ballot}");
    Error::range("rankings", "each item at most once on a ballot", got)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_invert_the_rows() {
        let rows = Rows::new(&[2_i64, 0, 1, 0, 1, 2], 3, Some(1)).expect("valid");
        assert_eq!(rows.order, Cells::U8(vec![2, 0, 1, 0, 1, 2]));
        assert_eq!(rows.places, Cells::U8(vec![1, 0, 2, 1, 0, 2]));
    }

    #[test]
    fn wide_profiles_take_two_bytes_and_any_number_of_threads() {
        let (n, m) = (3000, 300);
        let rows: Vec<usize> = (0..n * m).map(|i| (i % m + i / m) % m).collect();
        let one = Rows::new(&rows, m, Some(1)).expect("valid");
        assert_eq!(one, Rows::new(&rows, m, Some(3)).expect("valid"));
        assert!((0..n).all(|v| one.places.get(one.order.get(v * m + 5) * n + v) == 5));
    }

    #[test]
    fn wrong_items_are_named() {
        let message = |rows: &[i64]| Rows::new(rows, 2, None).expect_err("bad").to_string();
        assert_eq!(
            message(&[0, 1, 1, 2]),
            "rankings: expected item ids from 0 to 1, got 2 at ballot 1, place 1"
        );
        assert_eq!(
            message(&[0, 1, -1, 0]),
            "rankings: expected item ids from 0 to 1, got -1 at ballot 1, place 0"
        );
        assert_eq!(
            message(&[1, 1]),
            "rankings: expected each item at most once on a ballot, got item 1 twice on ballot 0"
        );
    }
}
