//! Nearly optimal prices of a dense assignment, for costs on which searches grow large.

use super::dense::Cost;
use super::narrow;
use super::solver::{NONE, REMEMBERED, Solver};
use crate::{Result, Stop};

/// Rows that tell how far costs lie apart.
const SAMPLE: usize = 64;
/// Bids per row and step of the auction, while its first step is sought and later.
const FEW_BIDS: usize = 6;
const MOST_BIDS: usize = 64;

impl<T: Cost> Solver<'_, T> {
    /// Nearly optimal prices by an auction with falling steps, for costs on which searches grow large;
    /// then gives rows their cheapest column where it is free, and returns the others.
    ///
    /// Only for as many rows as columns: there, prices may be anything.
    ///
    /// Source: Bertsekas 1988.
    pub(super) fn approximate(&mut self, stop: Stop<'_>) -> Result<Vec<u32>> {
        let n = self.matrix.rows;
        let largest = self.typical_gap() / 4.0;
        let smallest = largest * 4.0 / n as f64;
        let (mut step, mut is_rising) = (largest, true);
        while step > 0.0 {
            // too many bids at first mean that the steps are small for these costs
            let most = if is_rising { FEW_BIDS } else { MOST_BIDS };
            let ends = self.auction(step, most * n, stop)?;
            is_rising &= !ends;
            step = match step {
                _ if is_rising => step * 6.0,
                _ if step > smallest => (step / 6.0).max(smallest),
                _ => 0.0,
            };
        }
        self.row_of.fill(NONE);
        self.column_of.fill(NONE);
        let mut free = Vec::new();
        for i in 0..n {
            match self.two_cheapest(i).0 {
                (j, _) if j != NONE && self.row_of[j as usize] == NONE => {
                    self.assign(i, j as usize);
                }
                _ => free.push(narrow(i)),
            }
        }
        Ok(free)
    }

    /// Median over some rows of how much the last remembered column costs more than the first.
    fn typical_gap(&mut self) -> f64 {
        let stride = self.matrix.rows.div_ceil(SAMPLE);
        let mut gaps = Vec::new();
        for i in (0..self.matrix.rows).step_by(stride) {
            let least = self.candidates.scan(self.matrix, i, &self.v);
            self.candidates.remember(self.matrix, i, REMEMBERED);
            let gap = self.candidates.bound(i) - least;
            if gap.is_finite() && gap > 0.0 {
                gaps.push(gap);
            }
        }
        gaps.sort_by(f64::total_cmp);
        gaps.get(gaps.len() / 2).copied().unwrap_or(0.0)
    }

    /// Every row ends at a column within `step` of its cheapest; returns whether the bids sufficed.
    fn auction(&mut self, step: f64, most: usize, stop: Stop<'_>) -> Result<bool> {
        let mut free = Vec::new();
        for i in 0..self.matrix.rows {
            let j = self.column_of[i];
            if j != NONE {
                let here = self.cost(i, j as usize) - self.v[j as usize];
                if here <= self.two_cheapest(i).0.1 + step {
                    continue;
                }
                self.row_of[j as usize] = NONE;
                self.column_of[i] = NONE;
            }
            free.push(narrow(i));
        }
        // where no assignment exists the auction would not end; searches find that out
        for bid in 0..most {
            let Some(row) = free.pop() else { return Ok(true) };
            if bid % 1024 == 0 {
                stop.check()?;
            }
            let (first, second) = self.two_cheapest(row as usize);
            if first.0 == NONE {
                return Err(self.infeasible(row));
            }
            let gap = second.1 - first.1;
            let j = first.0 as usize;
            self.v[j] -= if gap.is_finite() { gap + step } else { step };
            let other = self.row_of[j];
            self.assign(row as usize, j);
            if other != NONE {
                self.column_of[other as usize] = NONE;
                free.push(other);
            }
        }
        Ok(free.is_empty())
    }
}
