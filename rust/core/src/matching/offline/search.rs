//! Shortest augmenting paths of a dense assignment.

use super::dense::Cost;
use super::narrow;
use super::solver::{NONE, ROW, Solver};
use crate::{Result, Stop};

impl<T: Cost> Solver<'_, T> {
    /// Searches for the rows from the last to the first, until they have scanned too many rows.
    pub(super) fn augment_all(
        &mut self,
        free: &mut Vec<u32>,
        most: usize,
        stop: Stop<'_>,
    ) -> Result<()> {
        let mut scanned = 0;
        while scanned <= most {
            let Some(row) = free.pop() else { break };
            stop.check()?;
            self.augment(row)?;
            scanned += self.scanned.len();
        }
        Ok(())
    }

    /// Shortest augmenting path from a free row, and the prices that follow.
    fn augment(&mut self, source: u32) -> Result<()> {
        self.search += 1;
        self.heap.clear();
        self.settled.clear();
        self.scanned.clear();
        self.ready.clear();
        self.front = f64::NEG_INFINITY;
        self.end = (NONE, f64::INFINITY);
        self.scan(source, 0.0);
        while let Some((distance, name)) = self.next() {
            if distance >= self.end.1 {
                break;
            }
            self.front = distance;
            if name >= ROW {
                let (row, _) = self.scanned[(name - ROW) as usize];
                self.look_again(row as usize);
                self.relax(name);
                continue;
            }
            let j = name as usize;
            if self.reached[j].settled == self.search {
                continue;
            }
            self.reached[j].settled = self.search;
            self.settled.push(name);
            let row = self.row_of[j];
            let tight = self.cost(row as usize, j) - self.v[j];
            self.scan(row, tight - distance);
        }
        if self.end.0 == NONE {
            return Err(self.infeasible(source));
        }
        for j in &self.settled {
            let j = *j as usize;
            self.v[j] -= self.end.1 - self.reached[j].distance;
        }
        self.flip(source);
        Ok(())
    }

    /// The nearest of what was reached; columns at the distance of the front need no heap.
    fn next(&mut self) -> Option<(f64, u32)> {
        match self.ready.pop() {
            Some(j) => Some((self.front, j)),
            None => self.heap.pop(),
        }
    }

    /// A row joins the search; `shift` is its price less its distance.
    fn scan(&mut self, row: u32, shift: f64) {
        self.scanned.push((row, shift));
        self.relax(ROW + narrow(self.scanned.len() - 1));
    }

    /// Distances over the columns that a scanned row remembers, and when to look at its others.
    fn relax(&mut self, name: u32) {
        let (row, shift) = self.scanned[(name - ROW) as usize];
        for (j, cost) in self.candidates.list(row as usize) {
            let reached = &mut self.reached[*j as usize];
            let distance = cost - self.v[*j as usize] - shift;
            let is_new = reached.seen != self.search;
            if distance >= self.end.1 || (!is_new && distance >= reached.distance) {
                continue;
            }
            if reached.settled == self.search {
                continue;
            }
            (reached.distance, reached.from, reached.seen) = (distance, row, self.search);
            if self.row_of[*j as usize] == NONE {
                self.end = (*j, distance);
            } else if distance <= self.front {
                self.ready.push(*j);
            } else {
                self.heap.push(distance, *j);
            }
        }
        let others = self.candidates.bound(row as usize) - shift;
        if others < self.end.1 {
            self.heap.push(others, name);
        }
    }

    /// Gives every row on the path from the source the column that follows it.
    fn flip(&mut self, source: u32) {
        let mut j = self.end.0;
        while j != NONE {
            let row = self.reached[j as usize].from;
            let next = self.column_of[row as usize];
            self.assign(row as usize, j as usize);
            if row == source {
                break;
            }
            j = next;
        }
    }
}
