//! Comparisons summed per pair of items.

use crate::{Error, Result};

/// A number in a cell; `f32` holds every count below `2^24` exactly and halves what a sweep reads.
pub trait Value: Copy + Default + PartialEq + Send + Sync + std::fmt::Debug + 'static {
    /// As a double.
    fn get(self) -> f64;
    /// From a double; counts are exact.
    fn of(value: f64) -> Self;
}

impl Value for f32 {
    #[inline]
    fn get(self) -> f64 {
        f64::from(self)
    }
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "counts below 2^24 are exact")]
    fn of(value: f64) -> Self {
        value as Self
    }
}

impl Value for f64 {
    #[inline]
    fn get(self) -> f64 {
        self
    }
    #[inline]
    fn of(value: f64) -> Self {
        value
    }
}

/// What happened between the item of a row and another.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Cell<T> {
    /// The other item.
    pub other: u32,
    /// Weight of the comparisons that the row's item won.
    pub wins: T,
    /// Weight of those it lost.
    pub losses: T,
}

impl<T: Value> Cell<T> {
    /// The other item as an index.
    #[inline]
    pub(super) fn other(&self) -> usize {
        self.other as usize
    }
}

/// How many rows stand behind the wins, losses and ties of a cell, and their squared weights summed.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Spread {
    /// Numbers of rows.
    pub rows: [f64; 3],
    /// Sums of squared weights.
    pub squares: [f64; 3],
}

/// All cells, by item and then by other item; every pair is there from both sides.
#[derive(Debug, Clone, PartialEq)]
pub struct Cells<T> {
    /// Where the cells of every item begin, `(m + 1,)`.
    pub starts: Vec<usize>,
    /// The cells.
    pub cells: Vec<Cell<T>>,
    /// Weight of the ties of every cell; empty when nothing was tied.
    pub ties: Vec<T>,
    /// For weighted rows alone: what stands behind every cell.
    pub spread: Vec<Spread>,
}

impl<T: Value> Cells<T> {
    /// Number of items.
    #[must_use]
    pub fn items(&self) -> usize {
        self.starts.len() - 1
    }

    /// The cells of an item.
    #[must_use]
    pub fn row(&self, item: usize) -> &[Cell<T>] {
        &self.cells[self.starts[item]..self.starts[item + 1]]
    }

    /// The ties of a cell.
    #[inline]
    pub(super) fn tie(&self, cell: usize) -> f64 {
        self.ties.get(cell).map_or(0.0, |t| t.get())
    }

    /// Rows and squared weights of a cell; for unweighted rows both are the weights.
    pub(super) fn spread(&self, cell: usize) -> Spread {
        self.spread.get(cell).copied().unwrap_or_else(|| {
            let counts =
                [self.cells[cell].wins.get(), self.cells[cell].losses.get(), self.tie(cell)];
            Spread { rows: counts, squares: counts }
        })
    }

    /// Wins, losses and ties of every item.
    pub(super) fn totals(&self) -> Vec<[f64; 3]> {
        let sum = |i: usize| {
            let mut sums = [0.0; 3];
            for (k, cell) in (self.starts[i]..).zip(self.row(i)) {
                sums[0] += cell.wins.get();
                sums[1] += cell.losses.get();
                sums[2] += self.tie(k);
            }
            sums
        };
        (0..self.items()).map(sum).collect()
    }

    /// The cells that `keep` accepts, given the two items; both sides of a pair must be kept alike.
    pub(super) fn filtered(&self, keep: impl Fn(usize, usize) -> bool) -> Self {
        let mut out = Self {
            starts: vec![0],
            cells: Vec::with_capacity(self.cells.len()),
            ties: Vec::new(),
            spread: Vec::new(),
        };
        for i in 0..self.items() {
            for k in self.starts[i]..self.starts[i + 1] {
                if keep(i, self.cells[k].other()) {
                    out.cells.push(self.cells[k]);
                    out.ties.extend(self.ties.get(k));
                    out.spread.extend(self.spread.get(k));
                }
            }
            out.starts.push(out.cells.len());
        }
        out
    }

    /// Half of every tie, or another share, as a win for both sides; no ties are left.
    #[must_use]
    pub fn shared(&self, tie_weight: f64) -> Cells<f64> {
        let share = |(k, cell): (usize, &Cell<T>)| {
            let half = tie_weight * self.tie(k);
            Cell {
                other: cell.other,
                wins: cell.wins.get() + half,
                losses: cell.losses.get() + half,
            }
        };
        let cells = self.cells.iter().enumerate().map(share).collect();
        Cells { starts: self.starts.clone(), cells, ties: Vec::new(), spread: Vec::new() }
    }

    /// Cells from their arrays, as when they were stored.
    ///
    /// # Errors
    /// [`Error::Shape`] or [`Error::Range`] when the arrays do not describe pairs seen from both sides.
    pub fn new(
        starts: Vec<usize>,
        cells: Vec<Cell<T>>,
        ties: Vec<T>,
        spread: Vec<Spread>,
    ) -> Result<Self> {
        let n = cells.len();
        let rising = starts.first() == Some(&0)
            && starts.last() == Some(&n)
            && starts.windows(2).all(|w| w[0] <= w[1]);
        if !rising {
            return Err(Error::range(
                "starts",
                "numbers rising from 0 to the number of cells",
                "others",
            ));
        }
        for (name, length) in [("ties", ties.len()), ("spread", spread.len())] {
            if length != 0 && length != n {
                return Err(Error::length(name, n, length));
            }
        }
        let this = Self { starts, cells, ties, spread };
        this.check_rows().map(|()| this)
    }

    fn check_rows(&self) -> Result<()> {
        for i in 0..self.items() {
            let row = self.row(i);
            let sorted = row.windows(2).all(|w| w[0].other < w[1].other);
            let inside = row.iter().all(|c| c.other() < self.items() && c.other() != i);
            if !(sorted && inside) {
                return Err(Error::range(
                    "other",
                    "rising numbers of other items",
                    format!("row {i}"),
                ));
            }
            for (k, cell) in (self.starts[i]..).zip(row) {
                let fine = [cell.wins.get(), cell.losses.get(), self.tie(k)]
                    .iter()
                    .all(|x| x.is_finite() && *x >= 0.0);
                let back = self
                    .row(cell.other())
                    .binary_search_by_key(&(i as u64), |c| u64::from(c.other));
                let mirrored = back.is_ok_and(|at| {
                    let twin = self.starts[cell.other()] + at;
                    self.cells[twin].wins == cell.losses
                        && self.tie(twin).to_bits() == self.tie(k).to_bits()
                });
                if !(fine && mirrored) {
                    return Err(Error::range(
                        "cells",
                        "finite weights, alike from both sides",
                        format!("row {i}"),
                    ));
                }
            }
        }
        Ok(())
    }
}

/// Cells of counts or of real weights.
#[derive(Debug, Clone, PartialEq)]
pub enum Table {
    /// Unweighted comparisons, none of the counts above `2^24`.
    Counts(Cells<f32>),
    /// Everything else.
    Weights(Cells<f64>),
}

/// Calls a generic function with the cells inside a table.
macro_rules! with_cells {
    ($table:expr, $cells:ident => $call:expr) => {
        match $table {
            $crate::strength::Table::Counts($cells) => $call,
            $crate::strength::Table::Weights($cells) => $call,
        }
    };
}
pub(super) use with_cells;

impl Table {
    /// Number of items.
    #[must_use]
    pub fn items(&self) -> usize {
        with_cells!(self, c => c.items())
    }

    /// Number of pairs that were compared.
    #[must_use]
    pub fn pairs(&self) -> usize {
        with_cells!(self, c => c.cells.len() / 2)
    }

    /// Wins, losses and ties of every item.
    #[must_use]
    pub fn totals(&self) -> Vec<[f64; 3]> {
        with_cells!(self, c => c.totals())
    }

    /// Components of the items, by wins and ties.
    #[must_use]
    pub fn components(&self) -> super::Components {
        with_cells!(self, c => super::components(c))
    }

    /// The items that were compared at all, and the table of these alone; `None` when all were.
    #[must_use]
    pub fn compact(&self) -> Option<(Vec<usize>, Self)> {
        fn inner<T: Value>(cells: &Cells<T>) -> Option<(Vec<usize>, Cells<T>)> {
            let used: Vec<usize> =
                (0..cells.items()).filter(|i| !cells.row(*i).is_empty()).collect();
            if used.len() == cells.items() {
                return None;
            }
            let mut rank = vec![0_u32; cells.items()];
            for (new, old) in (0_u32..).zip(&used) {
                rank[*old] = new;
            }
            let mut out = cells.clone();
            out.starts = used.iter().map(|i| cells.starts[*i]).chain([cells.cells.len()]).collect();
            out.cells.iter_mut().for_each(|c| c.other = rank[c.other()]);
            Some((used, out))
        }
        match self {
            Self::Counts(c) => inner(c).map(|(used, c)| (used, Self::Counts(c))),
            Self::Weights(c) => inner(c).map(|(used, c)| (used, Self::Weights(c))),
        }
    }
}
