//! The state of a dense assignment under construction, and the cheap steps that come first.

use super::candidates::Candidates;
use super::dense::{Assignment, Cost, Matrix};
use super::heap::Heap;
use super::narrow;
use crate::{Error, Result, Stop};

pub(super) const NONE: u32 = u32::MAX;
/// Names from here on stand for scanned rows in the heap.
pub(super) const ROW: u32 = 1 << 31;
/// Columns that a row remembers at first.
pub(super) const REMEMBERED: usize = 12;
/// Passes of row reduction, and bids per free row and pass.
const PASSES: usize = 3;
const BIDS: usize = 16;
/// Scanned rows per row after which searches count as large.
const EASY: usize = 8;

/// What a search knows of one column.
#[derive(Clone, Copy)]
pub(super) struct Reached {
    pub(super) distance: f64,
    pub(super) from: u32,
    /// Searches in which it was last reached, and last settled.
    pub(super) seen: u32,
    pub(super) settled: u32,
}

pub(super) struct Solver<'a, T> {
    pub(super) matrix: &'a Matrix<'a, T>,
    pub(super) candidates: Candidates,
    pub(super) v: Vec<f64>,
    pub(super) column_of: Vec<u32>,
    pub(super) row_of: Vec<u32>,
    pub(super) reached: Vec<Reached>,
    pub(super) search: u32,
    pub(super) heap: Heap,
    /// Columns whose shortest path is known in the current search.
    pub(super) settled: Vec<u32>,
    /// Rows in the current search, with their price less their distance.
    pub(super) scanned: Vec<(u32, f64)>,
    /// Columns at the distance of the front.
    pub(super) ready: Vec<u32>,
    pub(super) front: f64,
    /// The nearest free column so far.
    pub(super) end: (u32, f64),
}

impl<'a, T: Cost> Solver<'a, T> {
    pub(super) fn new(matrix: &'a Matrix<'a, T>) -> Result<Self> {
        let (n, m) = (matrix.rows, matrix.columns);
        let is_wrong = |x: &T| {
            let x: f64 = (*x).into();
            x.is_nan() || x == f64::NEG_INFINITY
        };
        let mut v = vec![f64::INFINITY; m];
        let mut wrong = false;
        for i in 0..n {
            for (v, c) in v.iter_mut().zip(matrix.row(i)) {
                let c: f64 = (*c).into();
                let is_right = c > f64::NEG_INFINITY;
                wrong |= !is_right;
                *v = if c < *v { c } else { *v };
            }
        }
        if wrong {
            let index = matrix.values.iter().position(is_wrong).unwrap_or(0);
            return Err(Error::NotFinite { name: "cost", index });
        }
        if n < m {
            v.fill(0.0);
        } else if let Some(j) = v.iter().position(|v| v.is_infinite()) {
            return Err(Error::Infeasible {
                what: format!("cost: column {j} is forbidden to all rows"),
            });
        }
        let unreached = Reached { distance: f64::INFINITY, from: NONE, seen: 0, settled: 0 };
        Ok(Self {
            matrix,
            candidates: Candidates::new(n, m),
            v,
            column_of: vec![NONE; n],
            row_of: vec![NONE; m],
            reached: vec![unreached; m],
            search: 0,
            heap: Heap::default(),
            settled: Vec::new(),
            scanned: Vec::new(),
            ready: Vec::new(),
            front: f64::NEG_INFINITY,
            end: (NONE, f64::INFINITY),
        })
    }

    pub(super) fn solve(mut self, stop: Stop<'_>) -> Result<Assignment> {
        let free = self.take_cheapest()?;
        let mut free = self.bid_in_passes(free)?;
        self.augment_all(&mut free, EASY * self.matrix.rows, stop)?;
        let is_hard = free.len() * self.scanned.len() > EASY * self.matrix.rows;
        if is_hard && self.matrix.rows == self.matrix.columns {
            let tight = self.approximate(stop)?;
            free = self.bid_in_passes(tight)?;
        }
        self.augment_all(&mut free, usize::MAX, stop)?;
        Ok(self.finish())
    }

    /// Gives rows a column of their least reduced cost where one is free; returns the other rows.
    pub(super) fn take_cheapest(&mut self) -> Result<Vec<u32>> {
        let mut free = Vec::new();
        for i in 0..self.matrix.rows {
            let least = self.candidates.scan(self.matrix, i, &self.v);
            if least.is_infinite() {
                let what = format!("cost: row {i} is forbidden to all columns");
                return Err(Error::Infeasible { what });
            }
            let row_of = &self.row_of;
            if let Some(j) = self.candidates.find(least, |j| row_of[j] == NONE) {
                self.assign(i, j);
            } else {
                self.candidates.remember(self.matrix, i, REMEMBERED);
                free.push(narrow(i));
            }
        }
        Ok(free)
    }

    /// Augmenting row reduction: a free row takes its cheapest column and lowers that column's price
    /// until its second choice is as good; returns the rows that end up free.
    pub(super) fn bid(&mut self, free: Vec<u32>) -> Result<Vec<u32>> {
        let mut left = Vec::new();
        // chains of tiny reductions stall; searches are better then
        let mut bids = BIDS * free.len();
        for mut row in free {
            loop {
                bids = bids.saturating_sub(1);
                let (first, second) = self.two_cheapest(row as usize);
                if first.0 == NONE {
                    return Err(self.infeasible(row));
                }
                let gap = second.1 - first.1;
                let takes_second = gap <= 0.0 && self.row_of[first.0 as usize] != NONE;
                let j = if takes_second { second.0 } else { first.0 } as usize;
                if gap.is_finite() {
                    self.v[first.0 as usize] -= gap;
                }
                let other = std::mem::replace(&mut self.row_of[j], NONE);
                self.assign(row as usize, j);
                if other == NONE {
                    break;
                }
                self.column_of[other as usize] = NONE;
                if gap <= 0.0 || bids == 0 {
                    left.push(other);
                    break;
                }
                row = other;
            }
        }
        Ok(left)
    }

    pub(super) fn bid_in_passes(&mut self, mut free: Vec<u32>) -> Result<Vec<u32>> {
        for _ in 0..PASSES {
            free = self.bid(free)?;
        }
        Ok(free)
    }

    /// Column of the least reduced cost of a row, and column and value of the second.
    pub(super) fn two_cheapest(&mut self, row: usize) -> ((u32, f64), (u32, f64)) {
        loop {
            let (mut first, mut second) = ((NONE, f64::INFINITY), (NONE, f64::INFINITY));
            for (j, cost) in self.candidates.list(row) {
                let reduced = cost - self.v[*j as usize];
                if reduced < first.1 {
                    second = first;
                    first = (*j, reduced);
                } else if reduced < second.1 {
                    second = (*j, reduced);
                }
            }
            if second.1 <= self.candidates.bound(row) {
                return (first, second);
            }
            self.look_again(row);
        }
    }

    /// Reads the whole row, and remembers more of it when that did not raise the bound.
    pub(super) fn look_again(&mut self, row: usize) {
        let before = self.candidates.bound(row);
        self.candidates.scan(self.matrix, row, &self.v);
        let mut count = self.candidates.list(row).len().max(REMEMBERED);
        self.candidates.remember(self.matrix, row, REMEMBERED);
        while self.candidates.bound(row) <= before && before > f64::NEG_INFINITY {
            count = (count * 2).min(self.matrix.columns);
            self.candidates.remember(self.matrix, row, count);
        }
    }

    pub(super) fn assign(&mut self, row: usize, j: usize) {
        self.column_of[row] = narrow(j);
        self.row_of[j] = narrow(row);
    }

    pub(super) fn cost(&self, row: usize, j: usize) -> f64 {
        self.matrix.row(row)[j].into()
    }

    pub(super) fn infeasible(&self, row: u32) -> Error {
        let what = format!(
            "cost: forbidden pairs leave no assignment of {} rows; row {row} finds no column",
            self.matrix.rows
        );
        Error::Infeasible { what }
    }

    pub(super) fn finish(self) -> Assignment {
        let rows = || self.column_of.iter().map(|j| *j as usize).enumerate();
        Assignment {
            column_of: self.column_of.iter().map(|j| i64::from(*j)).collect(),
            cost: rows().map(|(i, j)| self.cost(i, j)).sum(),
            u: rows().map(|(i, j)| self.cost(i, j) - self.v[j]).collect(),
            v: self.v.clone(),
        }
    }
}
