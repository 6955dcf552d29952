//! Dense assignment: shortest augmenting paths over the cheapest columns of every row.
//!
//! Column reduction and augmenting row reduction come first, then one Dijkstra search per row that is
//! still free (Jonker and Volgenant 1987). Searches look at the columns that a row remembers; a row is
//! read as a whole only when its bound on the others is reached, so that the result is exact.

use super::solver::{ROW, Solver};
use crate::{Error, Result, Stop};

/// A type of costs.
pub trait Cost: Copy + Into<f64> + Send + Sync {}
impl Cost for f32 {}
impl Cost for f64 {}

/// A matrix of costs in row-major order; infinity forbids a pair.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a, T> {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) values: &'a [T],
}

impl<'a, T: Cost> Matrix<'a, T> {
    /// A view of `rows * columns` costs.
    ///
    /// # Errors
    /// [`Error::Shape`]; values are checked when they are first read.
    pub fn new(rows: usize, columns: usize, values: &'a [T]) -> Result<Self> {
        if rows.checked_mul(columns) != Some(values.len()) || rows.max(columns) >= ROW as usize {
            let expected = format!("({rows}, {columns})");
            return Err(Error::Shape { name: "cost", expected, got: values.len().to_string() });
        }
        Ok(Self { rows, columns, values })
    }

    pub(super) fn row(&self, i: usize) -> &'a [T] {
        &self.values[i * self.columns..(i + 1) * self.columns]
    }
}

/// An optimal assignment, and prices that prove it.
///
/// `u[i] + v[j] <= cost[i][j]` everywhere, with equality on assigned pairs; where there are more
/// columns than rows `v <= 0`, and 0 on columns without a row (likewise `u` in the other case). The
/// cost is the sum of `u` and `v`.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    /// Column of every row, -1 for none.
    pub column_of: Vec<i64>,
    /// Sum of the assigned costs.
    pub cost: f64,
    /// Prices of rows.
    pub u: Vec<f64>,
    /// Prices of columns.
    pub v: Vec<f64>,
}

/// The assignment of least cost that gives everyone on the smaller side a partner.
///
/// Takes `O(n^2 m)` in the worst case for `n <= m`; mostly a few readings of the matrix.
///
/// # Errors
/// [`Error::NotFinite`] for NaN and minus infinity; [`Error::Infeasible`] when forbidden pairs leave no
/// assignment; [`Error::Interrupted`].
///
/// Source: Jonker and Volgenant 1987; Volgenant 1996 for solving on few columns first.
pub fn assignment<T: Cost>(matrix: &Matrix<'_, T>, stop: Stop<'_>) -> Result<Assignment> {
    if matrix.rows <= matrix.columns {
        return Solver::new(matrix)?.solve(stop);
    }
    let flipped = transposed(matrix);
    let flipped = Matrix { rows: matrix.columns, columns: matrix.rows, values: &flipped };
    let solved = Solver::new(&flipped)?.solve(stop)?;
    let mut column_of = vec![-1; matrix.rows];
    for (j, i) in (0..).zip(&solved.column_of) {
        if let Ok(i) = usize::try_from(*i) {
            column_of[i] = j;
        }
    }
    Ok(Assignment { column_of, cost: solved.cost, u: solved.v, v: solved.u })
}

fn transposed<T: Cost>(matrix: &Matrix<'_, T>) -> Vec<T> {
    let (n, m) = (matrix.rows, matrix.columns);
    let entry = |place: usize| matrix.values[place % n * m + place / n];
    (0..n * m).map(entry).collect()
}
