//! Merging bucketed rows into cells seen from the smaller item, and mirroring them.

use std::ops::Range;

use super::cells::{Cell, Cells, Spread, Value};
use super::keys::{Sorted, parts, short_parts};
use super::reduce::{CHUNK, CHUNKS};
use crate::parallel;

/// Items per word of the map of touched items.
const WORD: usize = 64;

/// The non-zero cells of counters `(m, m)` of wins, followed by those of ties where there are any.
pub(super) fn pack<T: Value>(sums: &[u64], m: usize) -> Cells<T> {
    let (wins, ties) = sums.split_at(m * m);
    let mut out =
        Cells { starts: vec![0], cells: Vec::new(), ties: Vec::new(), spread: Vec::new() };
    for i in 0..m {
        for j in 0..m {
            let (w, l) = (wins[i * m + j], wins[j * m + i]);
            let t = ties.get(i.min(j) * m + i.max(j)).copied().unwrap_or(0);
            if w + l + t > 0 {
                let other = u32::try_from(j).unwrap_or(u32::MAX);
                out.cells.push(Cell { other, wins: T::of(w as f64), losses: T::of(l as f64) });
                if !ties.is_empty() {
                    out.ties.push(T::of(t as f64));
                }
            }
        }
        out.starts.push(out.cells.len());
    }
    out
}

/// Merges the buckets of all chunks, in groups of neighbouring buckets with about equally many rows.
pub(super) fn merge<T: Value>(
    sorted: Vec<Sorted>,
    m: usize,
    shift: u32,
    buckets: usize,
    threads: Option<usize>,
) -> Cells<T> {
    let total: usize = sorted.iter().map(Sorted::rows).sum();
    let groups = (total / CHUNK).clamp(1, 4 * CHUNKS);
    let before = |b: usize| sorted.iter().map(|s| s.starts[b] as usize).sum::<usize>();
    let mut bounds = vec![0];
    for b in 0..buckets {
        if before(b) * groups >= bounds.len() * total
            && bounds.len() < groups
            && b > bounds[bounds.len() - 1]
        {
            bounds.push(b);
        }
    }
    bounds.push(buckets);
    let parts = parallel::map(bounds.len() - 1, threads, |g| {
        let mut part = Part::new(bounds[g] << shift);
        let mut sums = Accumulators::new(if shift == 0 { m } else { 0 });
        for bucket in bounds[g]..bounds[g + 1] {
            let rows = (bucket << shift).min(m)..((bucket + 1) << shift).min(m);
            if shift == 0 {
                sums.merge_row(&sorted, bucket, rows, &mut part);
            } else {
                sums.merge_sorted(&sorted, bucket, rows, &mut part);
            }
        }
        part
    });
    drop(sorted); // as large as the cells
    assemble(m, &parts, threads)
}

/// Cells of some neighbouring items with the larger items they met.
struct Part<T> {
    /// The first item.
    first: usize,
    /// Where the cells of every item begin.
    starts: Vec<usize>,
    cells: Vec<Cell<T>>,
    ties: Vec<T>,
    spread: Vec<Spread>,
}

impl<T: Value> Part<T> {
    pub(super) fn new(first: usize) -> Self {
        Self { first, starts: vec![0], cells: vec![], ties: vec![], spread: vec![] }
    }

    fn rows(&self) -> usize {
        self.starts.len() - 1
    }

    /// Where the cells of every row pass the ends of ranges of items, `(rows, ends)`.
    fn cuts(&self, ends: &[usize]) -> Vec<usize> {
        let mut cuts = Vec::with_capacity(self.rows() * ends.len());
        for row in self.starts.windows(2) {
            let mut at = row[0];
            for end in ends {
                at += self.cells[at..row[1]].partition_point(|c| c.other() < *end);
                cuts.push(at);
            }
        }
        cuts
    }

    fn push(&mut self, other: usize, sums: [f64; 3], spread: Option<Spread>) {
        let other = u32::try_from(other).unwrap_or(u32::MAX);
        if sums[2] > 0.0 && self.ties.is_empty() {
            self.ties.resize(self.cells.len(), T::default()); // the first tie of all
        }
        self.cells.push(Cell { other, wins: T::of(sums[0]), losses: T::of(sums[1]) });
        if sums[2] > 0.0 || !self.ties.is_empty() {
            self.ties.push(T::of(sums[2]));
        }
        self.spread.extend(spread);
    }

    fn close_row(&mut self) {
        self.starts.push(self.cells.len());
    }
}

/// Sums for one item against every larger one.
struct Accumulators {
    counts: Vec<[u32; 3]>,
    sums: Vec<[f64; 3]>,
    spread: Vec<Spread>,
    touched: Vec<u64>,
    scratch: Vec<(u64, f64)>,
}

impl Accumulators {
    /// For so many items; memory is taken when it is needed.
    pub(super) fn new(items: usize) -> Self {
        Self {
            counts: vec![],
            sums: vec![],
            spread: vec![],
            touched: vec![0; items.div_ceil(WORD)],
            scratch: vec![],
        }
    }

    /// Merges the rows of one bucket that holds one item.
    pub(super) fn merge_row<T: Value>(
        &mut self,
        sorted: &[Sorted],
        bucket: usize,
        rows: Range<usize>,
        part: &mut Part<T>,
    ) {
        if rows.is_empty() {
            return;
        }
        let items = self.touched.len() * WORD;
        let weighted = sorted.iter().any(|s| !s.weights.is_empty());
        if weighted {
            self.sums.resize(items, [0.0; 3]);
            self.spread.resize(items, Spread::default());
        } else {
            self.counts.resize(items, [0; 3]);
        }
        for chunk in sorted {
            let range = chunk.starts[bucket] as usize..chunk.starts[bucket + 1] as usize;
            if !weighted {
                for key in &chunk.short[range] {
                    let (other, outcome) = short_parts(*key);
                    self.counts[other][outcome] += 1;
                    self.touched[other / WORD] |= 1 << (other % WORD);
                }
                continue;
            }
            for (key, weight) in chunk.short[range.clone()].iter().zip(&chunk.weights[range]) {
                let (other, outcome) = short_parts(*key);
                self.sums[other][outcome] += weight;
                self.spread[other].rows[outcome] += 1.0;
                self.spread[other].squares[outcome] += weight * weight;
                self.touched[other / WORD] |= 1 << (other % WORD);
            }
        }
        self.drain(weighted, part);
        part.close_row();
    }

    /// Moves the sums of touched items to the part, in rising order.
    fn drain<T: Value>(&mut self, weighted: bool, part: &mut Part<T>) {
        for (word, bits) in self.touched.iter_mut().enumerate() {
            while *bits != 0 {
                let other = word * WORD + bits.trailing_zeros() as usize;
                *bits &= *bits - 1;
                if weighted {
                    let sums = std::mem::take(&mut self.sums[other]);
                    part.push(other, sums, Some(std::mem::take(&mut self.spread[other])));
                } else {
                    part.push(other, std::mem::take(&mut self.counts[other]).map(f64::from), None);
                }
            }
        }
    }

    /// Merges the rows of one bucket that holds several items, by sorting them.
    pub(super) fn merge_sorted<T: Value>(
        &mut self,
        sorted: &[Sorted],
        bucket: usize,
        rows: Range<usize>,
        part: &mut Part<T>,
    ) {
        self.scratch.clear();
        let mut weighted = false;
        for chunk in sorted {
            let range = chunk.starts[bucket] as usize..chunk.starts[bucket + 1] as usize;
            weighted |= !chunk.weights.is_empty();
            let weights = chunk.weights.get(range.clone()).unwrap_or(&[]);
            let weights = weights.iter().copied().chain(std::iter::repeat(1.0));
            self.scratch.extend(chunk.keys[range].iter().copied().zip(weights));
        }
        if weighted {
            self.scratch.sort_by_key(|(key, _)| *key); // stable: sums do not depend on the chunks
        } else {
            self.scratch.sort_unstable_by_key(|(key, _)| *key);
        }
        let mut row = rows.start;
        for cell in self.scratch.chunk_by(|x, y| x.0 >> 2 == y.0 >> 2) {
            let (low, other, _) = parts(cell[0].0);
            while row < low {
                part.close_row();
                row += 1;
            }
            let (mut sums, mut spread) = ([0.0; 3], Spread::default());
            for (key, weight) in cell {
                let outcome = (key & 3) as usize;
                sums[outcome] += weight;
                spread.rows[outcome] += 1.0;
                spread.squares[outcome] += weight * weight;
            }
            part.push(other, sums, weighted.then_some(spread));
        }
        for _ in row..rows.end {
            part.close_row();
        }
    }
}

/// Cells of all items from those seen from the smaller item: a row is its mirrored cells, then its own.
fn assemble<T: Value>(items: usize, parts: &[Part<T>], threads: Option<usize>) -> Cells<T> {
    let mut starts = vec![0; items + 1];
    for part in parts {
        for row in 0..part.rows() {
            starts[part.first + row + 1] += part.starts[row + 1] - part.starts[row];
        }
        part.cells.iter().for_each(|c| starts[c.other() + 1] += 1);
    }
    for i in 0..items {
        starts[i + 1] += starts[i];
    }
    let total = starts[items];
    let tied = parts.iter().any(|p| !p.ties.is_empty());
    let weighted = parts.iter().any(|p| !p.spread.is_empty());
    let mut out = Cells {
        cells: vec![Cell::default(); total],
        ties: vec![T::default(); if tied { total } else { 0 }],
        spread: vec![Spread::default(); if weighted { total } else { 0 }],
        starts,
    };
    let blocks = split(&mut out, total);
    let ends: Vec<usize> = blocks.iter().map(|block| block.items.end).collect();
    // While a row is in the cache: the search of every block in every row would fetch it each time.
    let cuts = parallel::map(parts.len(), threads, |p| parts[p].cuts(&ends));
    parallel::each(blocks, threads, |block| block.fill(parts, &cuts));
    out
}

/// The rows of some neighbouring items, to be filled.
struct Block<'a, T> {
    /// Which block of how many.
    number: usize,
    count: usize,
    items: Range<usize>,
    starts: &'a [usize],
    cells: &'a mut [Cell<T>],
    ties: &'a mut [T],
    spread: &'a mut [Spread],
}

/// Cells that one task fills.
const BLOCK: usize = 1 << 20;

fn split<T: Value>(out: &mut Cells<T>, total: usize) -> Vec<Block<'_, T>> {
    let items = out.starts.len() - 1;
    let count = (total / BLOCK).clamp(1, 64);
    let (mut cells, mut ties, mut spread) =
        (&mut out.cells[..], &mut out.ties[..], &mut out.spread[..]);
    let mut blocks = Vec::with_capacity(count);
    let mut first = 0;
    for b in 1..=count {
        let end = if b == count {
            items
        } else {
            out.starts.partition_point(|s| s * count < b * total).clamp(first, items)
        };
        let size = out.starts[end] - out.starts[first];
        let (head, tail) = cells.split_at_mut(size);
        let (head_ties, tail_ties) = ties.split_at_mut(size.min(ties.len()));
        let (head_spread, tail_spread) = spread.split_at_mut(size.min(spread.len()));
        blocks.push(Block {
            number: b - 1,
            count,
            items: first..end,
            starts: &out.starts[first..=end],
            cells: head,
            ties: head_ties,
            spread: head_spread,
        });
        (cells, ties, spread, first) = (tail, tail_ties, tail_spread, end);
    }
    blocks
}

impl<T: Value> Block<'_, T> {
    fn fill(mut self, parts: &[Part<T>], cuts: &[Vec<usize>]) {
        let base = self.starts[0];
        let mut next: Vec<usize> = self.starts.iter().map(|s| s - base).collect();
        for (part, cuts) in parts.iter().zip(cuts) {
            if part.first >= self.items.end {
                break; // every cell of later items lies in later rows
            }
            for (row, cuts) in cuts.chunks_exact(self.count).enumerate() {
                let low = part.first + row;
                if low >= self.items.end {
                    break;
                }
                let from = if self.number == 0 { part.starts[row] } else { cuts[self.number - 1] };
                for k in from..cuts[self.number] {
                    let at = &mut next[part.cells[k].other() - self.items.start];
                    self.mirror(*at, low, part, k);
                    *at += 1;
                }
            }
        }
        for part in parts {
            for row in 0..part.rows() {
                if self.items.contains(&(part.first + row)) {
                    let range = part.starts[row]..part.starts[row + 1];
                    self.copy(next[part.first + row - self.items.start], part, range);
                }
            }
        }
    }

    fn mirror(&mut self, at: usize, low: usize, part: &Part<T>, from: usize) {
        let cell = part.cells[from];
        let other = u32::try_from(low).unwrap_or(u32::MAX);
        self.cells[at] = Cell { other, wins: cell.losses, losses: cell.wins };
        if let (Some(target), Some(tie)) = (self.ties.get_mut(at), part.ties.get(from)) {
            *target = *tie;
        }
        if let (Some(target), Some(spread)) = (self.spread.get_mut(at), part.spread.get(from)) {
            let swap = |x: [f64; 3]| [x[1], x[0], x[2]];
            *target = Spread { rows: swap(spread.rows), squares: swap(spread.squares) };
        }
    }

    fn copy(&mut self, at: usize, part: &Part<T>, range: Range<usize>) {
        let end = at + range.len();
        self.cells[at..end].copy_from_slice(&part.cells[range.clone()]);
        if !self.ties.is_empty() && !part.ties.is_empty() {
            self.ties[at..end].copy_from_slice(&part.ties[range.clone()]);
        }
        if !self.spread.is_empty() {
            self.spread[at..end].copy_from_slice(&part.spread[range]);
        }
    }
}
