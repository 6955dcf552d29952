//! The cheapest columns of every row, kept instead of the whole row.
//!
//! Prices of columns only fall while an assignment is computed, so reduced costs `c - v` only rise. A
//! row therefore needs to remember its few columns of least reduced cost, and one number that no other
//! column of the row was below when they were chosen: it stays a lower bound for ever.

use super::dense::{Cost, Matrix};
use super::narrow;

/// About so many blocks of columns; a block is looked into when its least reduced cost is small.
const BLOCKS: usize = 128;
const LANES: usize = 4;

/// Lists of all rows.
pub(super) struct Candidates {
    /// Columns of a block.
    block: usize,
    lists: Vec<Vec<(u32, f64)>>,
    /// No column outside the list has a reduced cost below this; infinite for a list of all columns.
    bounds: Vec<f64>,
    /// Reduced costs of the row in hand, and their least per block.
    reduced: Vec<f64>,
    least: Vec<f64>,
    sorted: Vec<f64>,
    found: Vec<(f64, u32)>,
}

impl Candidates {
    pub(super) fn new(rows: usize, columns: usize) -> Self {
        let block = columns.div_ceil(BLOCKS).max(1).next_multiple_of(4 * LANES);
        Self {
            block,
            lists: vec![Vec::new(); rows],
            bounds: vec![f64::NEG_INFINITY; rows],
            reduced: vec![0.0; columns],
            least: vec![0.0; columns.div_ceil(block)],
            sorted: Vec::new(),
            found: Vec::new(),
        }
    }

    fn part(&self, block: usize) -> std::ops::Range<usize> {
        block * self.block..((block + 1) * self.block).min(self.reduced.len())
    }

    /// Columns and costs that a row remembers.
    pub(super) fn list(&self, row: usize) -> &[(u32, f64)] {
        &self.lists[row]
    }

    /// What every other column's reduced cost is at least.
    pub(super) fn bound(&self, row: usize) -> f64 {
        self.bounds[row]
    }

    /// Computes the reduced costs of a row; returns the least.
    pub(super) fn scan<T: Cost>(&mut self, matrix: &Matrix<'_, T>, row: usize, v: &[f64]) -> f64 {
        let costs = matrix.row(row);
        for block in 0..self.least.len() {
            let part = self.part(block);
            let out = &mut self.reduced[part.clone()];
            self.least[block] = reduce(&costs[part.clone()], &v[part], out);
        }
        self.least.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// The first column with the reduced cost of the row in hand that suits.
    pub(super) fn find(&self, least: f64, suits: impl Fn(usize) -> bool) -> Option<usize> {
        let blocks = (0..self.least.len()).filter(|block| self.least[*block] <= least);
        blocks.flat_map(|block| self.part(block)).find(|j| self.reduced[*j] <= least && suits(*j))
    }

    /// Remembers at least `count` columns of the row in hand, or all that are allowed.
    ///
    /// Among equals the search starts at a place that differs from row to row, lest all rows remember
    /// the same columns.
    pub(super) fn remember<T: Cost>(&mut self, matrix: &Matrix<'_, T>, row: usize, count: usize) {
        let (blocks, columns) = (self.least.len(), self.reduced.len());
        let count = count.min(columns);
        let bound = if 2 * count >= blocks {
            self.bound_by_columns(count)
        } else {
            self.sorted.clone_from(&self.least);
            *self.sorted.select_nth_unstable_by(count, order).1
        };
        self.found.clear();
        for block in (0..blocks).filter(|block| self.least[*block] < bound) {
            for j in self.part(block) {
                if self.reduced[j] < bound {
                    self.found.push((self.reduced[j], narrow(j)));
                }
            }
        }
        let most = 2 * count;
        let mut bound = bound;
        if self.found.len() > most {
            bound = self.found.select_nth_unstable_by(most, |a, b| order(&a.0, &b.0)).1.0;
            self.found.truncate(most);
        } else if bound.is_finite() && self.found.len() < count {
            self.add_equals(bound, row, count);
        }
        self.bounds[row] = bound;
        let costs = matrix.row(row);
        let list = &mut self.lists[row];
        list.clear();
        list.extend(self.found.iter().map(|(_, j)| (*j, costs[*j as usize].into())));
    }

    fn bound_by_columns(&mut self, count: usize) -> f64 {
        if count == self.reduced.len() {
            return f64::INFINITY;
        }
        self.sorted.clone_from(&self.reduced);
        *self.sorted.select_nth_unstable_by(count, order).1
    }

    fn add_equals(&mut self, bound: f64, row: usize, count: usize) {
        let blocks = self.least.len();
        for step in 0..blocks {
            let block = (row + step) % blocks;
            if self.least[block] > bound {
                continue;
            }
            for j in self.part(block) {
                if self.found.len() >= count {
                    return;
                }
                if self.reduced[j].total_cmp(&bound).is_eq() {
                    self.found.push((bound, narrow(j)));
                }
            }
        }
    }
}

/// Writes `costs - v`, returns its least; in lanes, so that it fills vector registers.
#[inline]
fn reduce<T: Cost>(costs: &[T], v: &[f64], out: &mut [f64]) -> f64 {
    let whole = costs.len() - costs.len() % LANES;
    let (costs, costs_left) = costs.split_at(whole);
    let (v, v_left) = v.split_at(whole);
    let (out, out_left) = out.split_at_mut(whole);
    let mut least = [f64::INFINITY; LANES];
    let chunks = costs.chunks_exact(LANES).zip(v.chunks_exact(LANES));
    for ((c, v), out) in chunks.zip(out.chunks_exact_mut(LANES)) {
        for lane in 0..LANES {
            let reduced = c[lane].into() - v[lane];
            out[lane] = reduced;
            least[lane] = if reduced < least[lane] { reduced } else { least[lane] };
        }
    }
    for ((c, v), out) in costs_left.iter().zip(v_left).zip(out_left) {
        *out = (*c).into() - v;
        least[0] = if *out < least[0] { *out } else { least[0] };
    }
    least.into_iter().fold(f64::INFINITY, |a, b| if b < a { b } else { a })
}

/// Numbers that are not NaN, faster than their total order.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "what sorting hands over")]
fn order(a: &f64, b: &f64) -> std::cmp::Ordering {
    a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal)
}
