//! From rows of comparisons to cells.
//!
//! Few items: one counter per ordered pair, filled by a scatter. Otherwise rows are bucketed by their
//! smaller item (a counting sort per chunk of rows) and every bucket is merged by counters of its own.
//! Chunks and buckets do not depend on the number of threads.

use std::ops::Range;

use super::cells::Table;
use super::ids::{Id, Ids, MAX_ITEMS, outside, with_ids};
use super::keys::{Sorted, key, parts};
use super::merge::{merge, pack};
use crate::parallel;
use crate::{Error, Result};

/// Up to this many items the counters of all ordered pairs fit the second-level cache.
const DENSE: usize = 512;
/// Rows of a chunk; a task of this size takes about half a millisecond.
pub(super) const CHUNK: usize = 1 << 18;
/// Most chunks, since each has its own counters.
pub(super) const CHUNKS: usize = 16;
/// Most buckets, so that the write positions stay in the second-level cache.
const BUCKETS: usize = 1 << 14;

/// How a row ended: `a` won.
pub const A: u8 = 0;
/// `b` won.
pub const B: u8 = 1;
/// Neither won.
pub const TIE: u8 = 2;
/// The row says nothing.
pub const SKIP: u8 = 3;

/// Rows of comparisons, not yet checked: item numbers, how each row ended, its weight.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// First items, `(n,)`; the winners when `outcomes` is not given.
    pub a: Ids<'a>,
    /// Second items, `(n,)`, of the integer type of `a`.
    pub b: Ids<'a>,
    /// [`A`], [`B`], [`TIE`] or [`SKIP`] per row.
    pub outcomes: Option<&'a [u8]>,
    /// Weights, finite and at least 0; a row of weight 0 says nothing.
    pub weights: Option<&'a [f64]>,
}

impl Rows<'_> {
    /// [`Error::Shape`] for columns of different lengths.
    pub(super) fn check_lengths(&self) -> Result<()> {
        let n = self.a.len();
        let lengths = [
            ("losers", Some(self.b.len())),
            ("outcomes", self.outcomes.map(<[u8]>::len)),
            ("weights", self.weights.map(<[f64]>::len)),
        ];
        for (name, length) in lengths {
            if let Some(length) = length.filter(|length| *length != n) {
                return Err(Error::length(name, n, length));
            }
        }
        Ok(())
    }
}

/// Sums rows per pair; `items` of `None` takes the largest number in sight.
///
/// Every row is read in one or two passes, and every value is checked where it is used.
///
/// # Errors
/// [`Error::Shape`] for columns of different lengths, [`Error::Range`] for a number that is no item, an
/// item compared with itself, an unknown outcome or a weight out of range.
pub fn reduce(rows: Rows<'_>, items: Option<usize>, threads: Option<usize>) -> Result<Table> {
    rows.check_lengths()?;
    let items = match items {
        Some(items) if items > MAX_ITEMS => {
            return Err(Error::range("items", "at most 2^26 items", items));
        }
        Some(items) => items,
        None => rows.a.span("winners")?.max(rows.b.span("losers")?),
    };
    with_ids!(rows.a, rows.b, (a, b) => {
        Columns { a, b, outcomes: rows.outcomes, weights: rows.weights, items }.reduce(threads)
    })
}

/// The same with the integer type resolved.
#[derive(Clone, Copy)]
struct Columns<'a, I> {
    a: &'a [I],
    b: &'a [I],
    outcomes: Option<&'a [u8]>,
    weights: Option<&'a [f64]>,
    items: usize,
}

impl<I: Id> Columns<'_, I> {
    fn reduce(self, threads: Option<usize>) -> Result<Table> {
        let n = self.a.len();
        let (m, dense) =
            (self.items, self.items <= DENSE && self.items * self.items <= 4 * n + 4096);
        if dense && self.weights.is_none() {
            return self.count(m, threads);
        }
        let shift = (0..32).find(|s| m >> s < BUCKETS).unwrap_or(0);
        let buckets = (m >> shift) + 1;
        let sorted = self.map_chunks(threads, |rows| self.sort(rows, shift, buckets))?;
        if self.weights.is_none() && n < 1 << 24 {
            return Ok(Table::Counts(merge(sorted, m, shift, buckets, threads)));
        }
        Ok(Table::Weights(merge(sorted, m, shift, buckets, threads)))
    }

    fn map_chunks<T: Send>(
        &self,
        threads: Option<usize>,
        f: impl Fn(Range<usize>) -> Result<T> + Sync + Send,
    ) -> Result<Vec<T>> {
        let n = self.a.len();
        let chunks = n.div_ceil(CHUNK).clamp(1, CHUNKS);
        let size = n.div_ceil(chunks).max(1);
        parallel::map(chunks, threads, |c| f((c * size).min(n)..((c + 1) * size).min(n)))
            .into_iter()
            .collect()
    }

    /// One counter per ordered pair, and one per tied pair.
    fn count(&self, m: usize, threads: Option<usize>) -> Result<Table> {
        let tied = self.outcomes.is_some_and(|o| o.contains(&TIE));
        let tables = self.map_chunks(threads, |rows| match self.outcomes {
            None => self.count_wins(rows, m),
            Some(outcomes) => self.count_outcomes(rows, m, outcomes, tied),
        })?;
        let mut sums = vec![0_u64; m * m * if tied { 2 } else { 1 }];
        for table in &tables {
            for (sum, count) in sums.iter_mut().zip(table) {
                *sum += u64::from(*count);
            }
        }
        if sums.iter().all(|s| *s < 1 << 24) {
            return Ok(Table::Counts(pack(&sums, m)));
        }
        Ok(Table::Weights(pack(&sums, m)))
    }

    fn count_wins(&self, rows: Range<usize>, m: usize) -> Result<Vec<u32>> {
        let mut table = vec![0_u32; m * m];
        for (at, (a, b)) in self.a[rows.clone()].iter().zip(&self.b[rows.clone()]).enumerate() {
            let (i, j) = (a.id() as usize, b.id() as usize);
            if i >= m || j >= m || i == j {
                return Err(self.wrong(rows.start + at));
            }
            table[i * m + j] += 1;
        }
        Ok(table)
    }

    fn count_outcomes(
        &self,
        rows: Range<usize>,
        m: usize,
        outcomes: &[u8],
        tied: bool,
    ) -> Result<Vec<u32>> {
        let mut table = vec![0_u32; m * m * if tied { 2 } else { 1 }];
        for row in rows {
            let (i, j) = (self.a[row].id() as usize, self.b[row].id() as usize);
            if i >= m || j >= m || i == j {
                return Err(self.wrong(row));
            }
            let slot = match outcomes[row] {
                A => i * m + j,
                B => j * m + i,
                TIE => m * m + i.min(j) * m + i.max(j),
                SKIP => continue,
                _ => return Err(self.wrong(row)),
            };
            match table.get_mut(slot) {
                Some(count) => *count += 1,
                None => return Err(self.wrong(row)), // a tie that was not there a moment ago
            }
        }
        Ok(table)
    }

    /// A chunk of rows, ordered by the bucket of their smaller item and otherwise as they came.
    fn sort(&self, rows: Range<usize>, shift: u32, buckets: usize) -> Result<Sorted> {
        let mut starts = vec![0_u32; buckets + 1];
        let mut keys = Vec::with_capacity(rows.len());
        for row in rows.clone() {
            let (i, j) = (self.a[row].id(), self.b[row].id());
            let outcome = self.outcomes.map_or(A, |o| o[row]);
            if i.max(j) as usize >= self.items || i == j || outcome > SKIP {
                return Err(self.wrong(row));
            }
            if self.weights.is_some_and(|w| !(w[row].is_finite() && w[row] >= 0.0)) {
                return Err(self.wrong(row));
            }
            let outcome = if i < j || outcome >= TIE { outcome } else { 1 - outcome };
            let silent = outcome == SKIP || self.weights.is_some_and(|w| w[row] == 0.0);
            keys.push(key(i.min(j), i.max(j), if silent { SKIP } else { outcome }));
            starts[(i.min(j) >> shift) as usize + 1] += u32::from(!silent);
        }
        for b in 0..buckets {
            starts[b + 1] += starts[b];
        }
        let kept = starts[buckets] as usize;
        let single = shift == 0;
        let mut sorted = Sorted {
            starts,
            keys: vec![0; if single { 0 } else { kept }],
            short: vec![0; if single { kept } else { 0 }],
            weights: vec![0.0; if self.weights.is_some() { kept } else { 0 }],
        };
        let mut next = sorted.starts.clone();
        for (key, row) in keys.iter().zip(rows) {
            let (low, _, outcome) = parts(*key);
            if outcome == usize::from(SKIP) {
                continue;
            }
            let at = &mut next[low >> shift];
            if single {
                #[allow(clippy::cast_possible_truncation, reason = "the low half is meant")]
                let short = *key as u32;
                sorted.short[*at as usize] = short;
            } else {
                sorted.keys[*at as usize] = *key;
            }
            if let Some(weights) = self.weights {
                sorted.weights[*at as usize] = weights[row];
            }
            *at += 1;
        }
        Ok(sorted)
    }

    /// What is wrong with a row.
    fn wrong(&self, row: usize) -> Error {
        for (name, ids) in [("winners", self.a), ("losers", self.b)] {
            if ids.iter().any(|id| id.id() as usize >= self.items) {
                return outside(name, ids, self.items);
            }
        }
        if self.a[row].id() == self.b[row].id() {
            let got = format!("item {} against itself at position {row}", self.a[row]);
            return Error::range("losers", "an item other than the winner in every row", got);
        }
        if let Some(outcome) = self.outcomes.map(|o| o[row]).filter(|o| *o > SKIP) {
            let got = format!("{outcome} at position {row}");
            return Error::range("outcomes", "0 (a), 1 (b), 2 (tie) or 3 (skip)", got);
        }
        match self.weights.map(|w| w[row]) {
            Some(w) if !w.is_finite() => Error::NotFinite { name: "weights", index: row },
            Some(w) => Error::range("weights", "numbers of at least 0", format!("{w} at {row}")),
            None => Error::range("winners", "columns that stay as they are", "a change"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::cells::{Cells, Value};
    use super::*;
    use crate::rng::Stream;

    type Row = (u64, u64, u8, f64);

    fn random_rows(seed: u64, n: usize, m: usize, ties: bool) -> Vec<Row> {
        let mut stream = Stream::new(seed, 0);
        (0..n)
            .map(|_| {
                let a = stream.below(m);
                let b = (a + 1 + stream.below(m - 1)) % m;
                let outcome = stream.below(if ties { 4 } else { 2 });
                (a as u64, b as u64, u8::try_from(outcome).expect("small"), stream.below(3) as f64)
            })
            .collect()
    }

    fn reduced(rows: &[Row], m: usize, weighted: bool, threads: Option<usize>) -> Table {
        let a: Vec<u64> = rows.iter().map(|r| r.0).collect();
        let b: Vec<u64> = rows.iter().map(|r| r.1).collect();
        let outcomes: Vec<u8> = rows.iter().map(|r| r.2).collect();
        let weights: Vec<f64> = rows.iter().map(|r| r.3).collect();
        let columns = Rows {
            a: Ids::U64(&a),
            b: Ids::U64(&b),
            outcomes: Some(&outcomes),
            weights: weighted.then_some(&weights[..]),
        };
        reduce(columns, Some(m), threads).expect("valid")
    }

    /// Wins `[i][j]` and ties by the obvious loop.
    fn brute(rows: &[Row], m: usize, weighted: bool) -> (Vec<f64>, Vec<f64>) {
        let (mut wins, mut ties) = (vec![0.0; m * m], vec![0.0; m * m]);
        for (a, b, outcome, weight) in rows {
            let (a, b) = (usize::try_from(*a).expect("id"), usize::try_from(*b).expect("id"));
            let weight = if weighted { *weight } else { 1.0 };
            match *outcome {
                A => wins[a * m + b] += weight,
                B => wins[b * m + a] += weight,
                TIE => {
                    ties[a * m + b] += weight;
                    ties[b * m + a] += weight;
                }
                _ => {}
            }
        }
        (wins, ties)
    }

    fn check(table: &Table, wins: &[f64], ties: &[f64], m: usize) {
        fn inner<T: Value>(cells: &Cells<T>, wins: &[f64], ties: &[f64], m: usize) {
            assert!(
                Cells::new(
                    cells.starts.clone(),
                    cells.cells.clone(),
                    cells.ties.clone(),
                    cells.spread.clone()
                )
                .is_ok()
            );
            let mut seen = 0;
            for i in 0..m {
                for (k, cell) in (cells.starts[i]..).zip(cells.row(i)) {
                    let at = i * m + cell.other();
                    assert!((cell.wins.get() - wins[at]).abs() < 1e-12);
                    assert!((cell.losses.get() - wins[cell.other() * m + i]).abs() < 1e-12);
                    assert!((cells.tie(k) - ties[at]).abs() < 1e-12);
                    seen += 1;
                }
            }
            let expected = (0..m * m)
                .filter(|at| wins[*at] + ties[*at] + wins[(at % m) * m + at / m] > 0.0)
                .count();
            assert_eq!(seen, expected);
        }
        super::super::cells::with_cells!(table, c => inner(c, wins, ties, m));
    }

    #[test]
    fn every_path_sums_what_the_obvious_loop_sums() {
        for (seed, n, m) in
            [(0, 50, 2), (1, 2000, 17), (2, 300, 400), (3, 30_000, 700), (4, 5_000, 40_000)]
        {
            for ties in [false, true] {
                let rows = random_rows(seed, n, m, ties);
                for weighted in [false, true] {
                    let table = reduced(&rows, m, weighted, Some(1));
                    if m <= 1000 {
                        let (wins, ties) = brute(&rows, m, weighted);
                        check(&table, &wins, &ties, m);
                    }
                    assert_eq!(table, reduced(&rows, m, weighted, Some(2)));
                }
            }
        }
    }

    #[test]
    fn chunks_of_many_rows_give_the_same_as_few() {
        let rows = random_rows(9, CHUNK + 77, 600, true);
        for weighted in [false, true] {
            let (wins, ties) = brute(&rows, 600, weighted);
            let table = reduced(&rows, 600, weighted, None);
            check(&table, &wins, &ties, 600);
            assert_eq!(table, reduced(&rows, 600, weighted, Some(1)));
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let fail = |a: &[i64], b: &[i64], outcomes: Option<&[u8]>, weights: Option<&[f64]>| {
            let rows = Rows { a: Ids::I64(a), b: Ids::I64(b), outcomes, weights };
            reduce(rows, Some(3), Some(1)).expect_err("wrong").to_string()
        };
        assert!(
            fail(&[0, 3], &[1, 0], None, None)
                .contains("winners: expected item numbers from 0 to 2, got 3")
        );
        assert!(fail(&[0, 1], &[1, -1], None, None).contains("losers: expected item numbers"));
        assert!(fail(&[0, 1], &[1, 1], None, None).contains("item 1 against itself at position 1"));
        assert!(fail(&[0], &[1], Some(&[9]), None).contains("outcomes"));
        assert!(
            fail(&[0], &[1], None, Some(&[-1.0]))
                .contains("weights: expected numbers of at least 0")
        );
        assert!(fail(&[0], &[1], None, Some(&[f64::NAN])).contains("weights: expected finite"));
        assert!(fail(&[0], &[1, 2], None, None).contains("losers: expected shape (1,), got (2,)"));
    }
}
