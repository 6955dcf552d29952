//! How uncertain log strengths are, from the curvature and the residuals at the fit.

use super::bradley_terry::Duels;
use super::cells::{Cells, Table, Value, with_cells};
use super::influence::inverse;
use super::newton::{Curvature, Objective, Solver};
use super::prior::{Prior, sigmoid};
use super::within;
use crate::posterior::linalg::{dot, mat_mul, symmetrise};
use crate::rng::Stream;
use crate::{Error, Result, Stop, parallel};

/// Up to this many items the whole covariance is computed.
pub const DENSE: usize = 2000;
/// Random right sides that estimate variances beyond that.
const SAMPLES: usize = 64;
/// Relative residual of a solved right side.
const PRECISE: f64 = 1e-4;

/// Which model of the data the covariance trusts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// None: `L^+ G L^+` with squared residuals in `G`.
    Sandwich,
    /// The fitted one: `L^+`.
    Model,
}

/// The fit that is doubted.
#[derive(Debug, Clone, Copy)]
pub struct Fitted<'a> {
    /// Log strengths, `(m,)`.
    pub theta: &'a [f64],
    /// Component of every item within which strengths were fitted.
    pub component: &'a [u32],
    /// Share of a tie that both sides won.
    pub tie: f64,
    /// What was added to the log-likelihood.
    pub prior: Prior,
}

/// Covariance of log strengths of mean zero.
#[derive(Debug, Clone, PartialEq)]
pub struct Covariance {
    /// `(m, m)`, up to [`DENSE`] items.
    pub matrix: Option<Vec<f64>>,
    /// `(m,)`.
    pub variances: Vec<f64>,
    /// Acceleration of every item for intervals of type `BCa`; zeros beyond [`DENSE`] items.
    pub acceleration: Vec<f64>,
}

impl Fitted<'_> {
    /// Checks lengths and finiteness.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::NotFinite`].
    pub fn check(&self, items: usize) -> Result<()> {
        for (name, got) in [("theta", self.theta.len()), ("component", self.component.len())] {
            if got != items {
                return Err(Error::length(name, items, got));
            }
        }
        match self.theta.iter().position(|t| !t.is_finite()) {
            Some(index) => Err(Error::NotFinite { name: "theta", index }),
            None if self.component.iter().any(|c| *c as usize >= items) => {
                Err(Error::range("component", "numbers below that of items", "others"))
            }
            None => Ok(()),
        }
    }
}

/// Covariance of the log strengths of a Bradley-Terry fit.
///
/// Beyond [`DENSE`] items only variances, by the estimator of Hutchinson with the diagonal part exact:
/// their relative error is about `0.35 / sqrt(opponents per item)`.
///
/// # Errors
/// [`Error::Shape`] or [`Error::NotFinite`] for a fit that is none of these cells', [`Error::Interrupted`].
///
/// Source: White 1982 (sandwich); Hutchinson 1990.
pub fn covariance(
    table: &Table,
    fitted: Fitted<'_>,
    trust: Trust,
    (seed, threads): (u64, Option<usize>),
    stop: Stop<'_>,
) -> Result<Covariance> {
    fitted.check(table.items())?;
    within(
        threads,
        |threads| with_cells!(table, cells => of_cells(cells, fitted, trust, (seed, threads), stop)),
    )
}

fn of_cells<T: Value>(
    cells: &Cells<T>,
    fitted: Fitted<'_>,
    trust: Trust,
    (seed, threads): (u64, Option<usize>),
    stop: Stop<'_>,
) -> Result<Covariance> {
    let of = fitted.component;
    let apart = of.iter().any(|c| *c != 0);
    let kept = apart.then(|| cells.filtered(|i, j| of[i] == of[j]));
    let cells = kept.as_ref().unwrap_or(cells);
    let duels = Duels::new(cells, fitted.tie, fitted.prior, of, threads);
    let scores = Scores { cells, fitted, trust };
    if cells.items() > DENSE {
        let variances = estimate(&duels, &scores, (seed, threads), stop)?;
        let acceleration = vec![0.0; cells.items()];
        return Ok(Covariance { matrix: None, variances, acceleration });
    }
    let inverse = pseudo_inverse(&duels, fitted.theta)?;
    let acceleration = scores.acceleration(&inverse);
    let m = cells.items();
    let matrix = match trust {
        Trust::Model => inverse,
        Trust::Sandwich => {
            let (mut half, mut whole) = (vec![0.0; m * m], vec![0.0; m * m]);
            mat_mul(&inverse, &scores.meat(), &mut half, m, m, m, 0.0);
            mat_mul(&half, &inverse, &mut whole, m, m, m, 0.0);
            symmetrise(&mut whole, m);
            whole
        }
    };
    let variances = (0..m).map(|i| matrix[i * m + i].max(0.0)).collect();
    Ok(Covariance { matrix: Some(matrix), variances, acceleration })
}

/// `L^+` on the space of mean zero within every component.
pub(super) fn pseudo_inverse<T: Value>(duels: &Duels<'_, T>, theta: &[f64]) -> Result<Vec<f64>> {
    inverse(&Exact::new(duels, theta), &duels.gauge(), duels.prior.none())
}

/// The curvature in full precision, as a matrix.
pub(super) struct Exact {
    matrix: Vec<f64>,
    diagonal: Vec<f64>,
}

impl Exact {
    /// A curvature from its lower triangle.
    pub(super) fn lower(mut matrix: Vec<f64>, m: usize) -> Self {
        for i in 0..m {
            (0..i).for_each(|j| matrix[j * m + i] = matrix[i * m + j]);
        }
        let diagonal = (0..m).map(|i| matrix[i * m + i]).collect();
        Self { matrix, diagonal }
    }

    fn new<T: Value>(duels: &Duels<'_, T>, theta: &[f64]) -> Self {
        let m = theta.len();
        let mut matrix = vec![0.0; m * m];
        for i in 0..m {
            let mut sum = duels.prior.slope(theta[i]).1;
            for k in duels.cells.starts[i]..duels.cells.starts[i + 1] {
                let j = duels.cells.cells[k].other();
                let gap = theta[i] - theta[j];
                let weight = duels.weight(k) * sigmoid(gap) * sigmoid(-gap);
                matrix[i * m + j] = -weight;
                sum += weight;
            }
            matrix[i * m + i] = sum;
        }
        let diagonal = (0..m).map(|i| matrix[i * m + i]).collect();
        Self { matrix, diagonal }
    }
}

impl Curvature for Exact {
    fn diagonal(&self) -> &[f64] {
        &self.diagonal
    }

    fn apply(&self, v: &[f64], out: &mut [f64]) {
        for (out, row) in out.iter_mut().zip(self.matrix.chunks_exact(v.len().max(1))) {
            *out = dot(row, v);
        }
    }

    fn add_to(&self, matrix: &mut [f64]) {
        matrix.iter_mut().zip(&self.matrix).for_each(|(a, b)| *a += b);
    }
}

/// Takes the part along every gauge out of the rows and columns of a symmetric matrix, whose first rows are
/// those of the items.
pub(super) fn centre_twice(matrix: &mut [f64], gauge: &[u32]) {
    let m = gauge.len();
    let n = matrix.len().isqrt();
    for row in matrix.chunks_exact_mut(n.max(1)) {
        super::fit::centre(&mut row[..m], gauge);
    }
    let mut column = vec![0.0; m];
    for j in 0..n {
        (0..m).for_each(|i| column[i] = matrix[i * n + j]);
        super::fit::centre(&mut column, gauge);
        (0..m).for_each(|i| matrix[i * n + j] = column[i]);
    }
    symmetrise(matrix, n);
}

/// Scores of the rows behind every cell.
struct Scores<'a, T> {
    cells: &'a Cells<T>,
    fitted: Fitted<'a>,
    trust: Trust,
}

impl<T: Value> Scores<'_, T> {
    /// Residuals of a row of weight 1 that was won, lost and tied.
    fn residuals(&self, i: usize, j: usize) -> [f64; 3] {
        let gap = self.fitted.theta[i] - self.fitted.theta[j];
        [sigmoid(-gap), -sigmoid(gap), self.fitted.tie * (1.0 - 2.0 * sigmoid(gap))]
    }

    /// Squared residuals of a cell, summed, or what the model expects of them.
    fn square(&self, i: usize, k: usize) -> f64 {
        let j = self.cells.cells[k].other();
        let residuals = self.residuals(i, j);
        if self.trust == Trust::Model {
            let cell = &self.cells.cells[k];
            let n = cell.wins.get() + cell.losses.get() + 2.0 * self.fitted.tie * self.cells.tie(k);
            return n * residuals[0] * -residuals[1];
        }
        let squares = self.cells.spread(k).squares;
        squares.iter().zip(residuals).map(|(s, r)| s * r * r).sum()
    }

    fn meat(&self) -> Vec<f64> {
        let m = self.cells.items();
        let mut matrix = vec![0.0; m * m];
        for i in 0..m {
            for k in self.cells.starts[i]..self.cells.starts[i + 1] {
                let g = self.square(i, k);
                matrix[i * m + i] += g;
                matrix[i * m + self.cells.cells[k].other()] -= g;
            }
        }
        matrix
    }

    /// `sum psi^3 / (6 (sum psi^2)^1.5)` for the influence `psi` of every row on an item.
    ///
    /// Source: Efron 1987, equation 7.3 with the infinitesimal jackknife.
    fn acceleration(&self, inverse: &[f64]) -> Vec<f64> {
        let m = self.cells.items();
        let (mut cubes, mut squares) = (vec![0.0; m], vec![0.0; m]);
        for i in 0..m {
            for k in self.cells.starts[i]..self.cells.starts[i + 1] {
                let j = self.cells.cells[k].other();
                if j < i {
                    continue;
                }
                let cell = &self.cells.cells[k];
                let rows = self.cells.spread(k).rows;
                let weights = [cell.wins.get(), cell.losses.get(), self.cells.tie(k)];
                let (mut second, mut third) = (0.0, 0.0);
                for ((rows, weight), r) in rows.iter().zip(weights).zip(self.residuals(i, j)) {
                    if *rows > 0.0 {
                        let score = r * weight / rows;
                        second += rows * score * score;
                        third += rows * score * score * score;
                    }
                }
                let lines = inverse[i * m..(i + 1) * m].iter().zip(&inverse[j * m..(j + 1) * m]);
                for (((a, b), cube), square) in lines.zip(&mut cubes).zip(&mut squares) {
                    let lever = a - b;
                    *square += second * lever * lever;
                    *cube += third * lever * lever * lever;
                }
            }
        }
        let ratio = |(c, s): (&f64, &f64)| if *s > 0.0 { c / (6.0 * s.powf(1.5)) } else { 0.0 };
        cubes.iter().zip(&squares).map(ratio).collect()
    }
}

/// Variances from random right sides with the covariance of the scores.
///
/// With `b` such a side, `D` the diagonal of `L` and `y = L^+ b`, the mean of `y^2` is the variance; the mean
/// of `(b / D)^2` is known, so only the rest is estimated.
fn estimate<T: Value>(
    duels: &Duels<'_, T>,
    scores: &Scores<'_, T>,
    (seed, threads): (u64, Option<usize>),
    stop: Stop<'_>,
) -> Result<Vec<f64>> {
    let (cells, m) = (scores.cells, scores.cells.items());
    let (_, curvature) = duels.evaluate(scores.fitted.theta, None);
    let gauge = duels.gauge();
    let diagonal = curvature.diagonal();
    let safe = |d: f64| if d > 0.0 { d } else { 1.0 };
    let samples = parallel::map(SAMPLES, threads, |s| {
        stop.check()?;
        let mut stream = Stream::new(seed, s as u64);
        let mut b = vec![0.0; m];
        let mut bits = (0, 0);
        for i in 0..m {
            for k in cells.starts[i]..cells.starts[i + 1] {
                let j = cells.cells[k].other();
                if j < i {
                    continue;
                }
                if bits.1 == 0 {
                    bits = (stream.bits(), 64);
                }
                let root = scores.square(i, k).sqrt();
                let signed = if bits.0 & 1 == 1 { root } else { -root };
                bits = (bits.0 >> 1, bits.1 - 1);
                b[i] += signed;
                b[j] -= signed;
            }
        }
        let mut y = Solver::new(m).solve(&curvature, &b, &gauge, PRECISE, stop)?;
        if duels.prior.none() {
            super::fit::centre(&mut y, &gauge);
        }
        let rest = (0..m).map(|i| y[i] * y[i] - (b[i] / safe(diagonal[i])).powi(2));
        Ok(rest.collect::<Vec<f64>>())
    });
    let mut variances: Vec<f64> = (0..m)
        .map(|i| {
            let meat: f64 =
                (cells.starts[i]..cells.starts[i + 1]).map(|k| scores.square(i, k)).sum();
            meat / safe(diagonal[i]).powi(2)
        })
        .collect();
    let floor: Vec<f64> = variances.iter().map(|v| 0.1 * v).collect();
    for sample in samples {
        for (v, r) in variances.iter_mut().zip(sample?) {
            *v += r / SAMPLES as f64;
        }
    }
    Ok(variances.iter().zip(floor).map(|(v, least)| v.max(least)).collect())
}
