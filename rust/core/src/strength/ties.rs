//! Models with a probability of a tie: Davidson, Rao and Kupper, Thurstone with a threshold.

use super::bradley_terry::{Duels, blocks};
use super::cells::{Cells, Table, Value, with_cells};
use super::connect::components;
use super::fit::{Fit, Options, centre, check, finish, resolve};
use super::incomplete::Incomplete;
use super::newton::{Curvature, FREE, Objective, maximise};
use super::prior::sigmoid;
use super::probit::thurstone;
use super::within;
use crate::{Error, Result, Stop, parallel};

/// Derivatives of the log-likelihood of one cell by the own log strength `d` and the tie parameter `s`;
/// the second ones with their sign turned.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Terms {
    pub(super) value: f64,
    pub(super) d: f64,
    pub(super) s: f64,
    pub(super) dd: f64,
    pub(super) ds: f64,
    pub(super) ss: f64,
}

impl Terms {
    /// Where a model is not defined; a line search turns back.
    pub(super) const OUTSIDE: Self =
        Self { value: f64::NAN, d: 0.0, s: f64::NAN, dd: 0.0, ds: 0.0, ss: 0.0 };
}

/// One row of [`MODELS`].
pub struct TieModel {
    /// What it is called.
    pub name: &'static str,
    /// Where it was published.
    pub source: &'static str,
    /// From the gap of log strengths, the parameter, and wins, losses and ties.
    pub(super) terms: fn(f64, f64, [f64; 3]) -> Terms,
    /// The parameter that explains a share of ties among equals.
    start: fn(f64) -> f64,
    /// The parameter as it is published, and back.
    shown: fn(f64) -> f64,
    pub(super) hidden: fn(f64) -> f64,
    /// What it tends to when nothing is tied.
    never: f64,
    /// Whether the model then is Bradley and Terry's.
    logistic: bool,
}

impl TieModel {
    /// By name.
    ///
    /// # Errors
    /// [`Error::UnknownName`].
    pub fn parse(name: &str) -> Result<&'static Self> {
        MODELS.iter().find(|row| row.name == name).ok_or_else(|| Error::UnknownName {
            kind: "model with ties",
            name: name.to_owned(),
            known: MODELS.iter().map(|row| row.name).collect(),
        })
    }

    /// Whether a parameter says that nothing is ever tied, so that Bradley and Terry's model is left.
    pub(super) fn is_bradley_terry(&self, parameter: f64) -> bool {
        self.logistic && parameter <= self.never
    }
}

/// The models with ties.
pub const MODELS: [TieModel; 3] = [
    TieModel {
        name: "davidson",
        source: "Davidson 1970",
        terms: davidson,
        start: |share| (share / (1.0 - share)).ln(),
        shown: f64::exp,
        hidden: f64::ln,
        never: 0.0,
        logistic: true,
    },
    TieModel {
        name: "rao_kupper",
        source: "Rao and Kupper 1967",
        terms: rao_kupper,
        start: |share| ((1.0 + share) / (1.0 - share)).ln(),
        shown: f64::exp,
        hidden: f64::ln,
        never: 1.0,
        logistic: true,
    },
    TieModel {
        name: "thurstone",
        source: "Thurstone 1927, case V; Glenn and David 1960 for ties",
        terms: thurstone,
        start: |share| share * (0.5 * std::f64::consts::PI).sqrt(),
        shown: |s| s,
        hidden: |s| s,
        never: 0.0,
        logistic: false,
    },
];

/// `P(i) = pi_i / D`, `P(tie) = 2 nu sqrt(pi_i pi_j) / D`; `s = ln nu`.
fn davidson(d: f64, s: f64, [w, l, t]: [f64; 3]) -> Terms {
    let logits = [0.5 * d, -0.5 * d, s + std::f64::consts::LN_2];
    let top = logits[0].max(logits[1]).max(logits[2]);
    let raised = logits.map(|x| (x - top).exp());
    let sum: f64 = raised.iter().sum();
    let [win, _, tie] = raised.map(|x| x / sum);
    let (n, e) = (w + l + t, win + 0.5 * tie);
    let lost = top + sum.ln();
    Terms {
        value: w * (logits[0] - lost)
            + l * (logits[1] - lost)
            + if t > 0.0 { t * (logits[2] - lost) } else { 0.0 },
        d: w + 0.5 * t - n * e,
        s: t - n * tie,
        dd: n * (win + 0.25 * tie - e * e).max(0.0),
        ds: n * tie * (0.5 - e),
        ss: n * tie * (1.0 - tie),
    }
}

/// `P(i) = pi_i / (pi_i + kappa pi_j)`; `s = ln kappa`, above 0.
fn rao_kupper(d: f64, s: f64, [w, l, t]: [f64; 3]) -> Terms {
    if s <= 0.0 {
        return Terms::OUTSIDE;
    }
    let (up, down) = (w + t, l + t);
    let (p, q) = (sigmoid(d - s), sigmoid(-d - s));
    let (p1, q1) = (sigmoid(s - d), sigmoid(d + s));
    let edge = (2.0 * s).exp_m1();
    let (log_p, log_q) = (-softplus(s - d), -softplus(d + s));
    Terms {
        value: up * log_p + down * log_q + if t > 0.0 { t * edge.ln() } else { 0.0 },
        d: up * p1 - down * q1,
        s: 2.0 * t * (1.0 + 1.0 / edge) - up * p1 - down * q1,
        dd: up * p * p1 + down * q * q1,
        ds: down * q * q1 - up * p * p1,
        ss: up * p * p1 + down * q * q1 + 4.0 * t * (1.0 + 1.0 / edge) / edge,
    }
}

/// `ln(1 + exp(x))`.
pub(super) fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// The log-likelihood in log strengths and, last, the tie parameter.
pub(super) struct Tied<'a, T> {
    duels: Duels<'a, T>,
    terms: fn(f64, f64, [f64; 3]) -> Terms,
    /// Whether the parameter stays where it is.
    frozen: bool,
    blocks: Vec<std::ops::Range<usize>>,
}

/// Minus the second derivative: a Laplacian bordered by the tie parameter.
pub(super) struct Bordered<'a, T> {
    cells: &'a Cells<T>,
    weights: Vec<f64>,
    diagonal: Vec<f64>,
    border: Vec<f64>,
}

impl<T: Value> Curvature for Bordered<'_, T> {
    fn diagonal(&self) -> &[f64] {
        &self.diagonal
    }

    fn apply(&self, v: &[f64], out: &mut [f64]) {
        let m = self.border.len();
        out[m] = self.diagonal[m] * v[m];
        for i in 0..m {
            let mut sum = self.diagonal[i] * v[i] + self.border[i] * v[m];
            for k in self.cells.starts[i]..self.cells.starts[i + 1] {
                sum -= self.weights[k] * v[self.cells.cells[k].other()];
            }
            out[i] = sum;
            out[m] += self.border[i] * v[i];
        }
    }

    fn add_to(&self, matrix: &mut [f64]) {
        let (m, n) = (self.border.len(), self.diagonal.len());
        for i in 0..m {
            for k in self.cells.starts[i]..self.cells.starts[i + 1] {
                let j = self.cells.cells[k].other();
                if j < i {
                    matrix[i * n + j] -= self.weights[k];
                }
            }
            matrix[m * n + i] += self.border[i];
        }
        for i in 0..n {
            matrix[i * n + i] += self.diagonal[i];
        }
    }

    fn is_sparse(&self) -> bool {
        true
    }

    /// Without the border, which conjugate gradients take in a few steps.
    fn incomplete(&self) -> Option<Incomplete> {
        let mut starts = self.cells.starts.clone();
        starts.push(self.cells.cells.len()); // the tie parameter meets no item
        let column = |k: usize| self.cells.cells[k].other();
        Some(Incomplete::new(&starts, column, |k| self.weights[k], &self.diagonal))
    }
}

/// See [`Tied::block`].
type BlockSums = (Vec<[f64; 3]>, Vec<f64>, [f64; 3]);

impl<'a, T: Value> Tied<'a, T> {
    pub(super) fn new(duels: Duels<'a, T>, model: &TieModel, frozen: bool) -> Self {
        Self { blocks: blocks(&duels.cells.starts), duels, terms: model.terms, frozen }
    }

    fn of(&self, k: usize) -> [f64; 3] {
        let cell = &self.duels.cells.cells[k];
        [cell.wins.get(), cell.losses.get(), self.duels.cells.tie(k)]
    }

    /// Gradient, diagonal and border of the items of a block, curvatures of their cells, and value,
    /// gradient and curvature of the parameter from the pairs whose smaller item is theirs.
    fn block(&self, b: usize, at: &[f64]) -> BlockSums {
        let (cells, s) = (self.duels.cells, at[at.len() - 1]);
        let mut rows = Vec::with_capacity(self.blocks[b].len());
        let (mut weights, mut shared) = (Vec::new(), [0.0; 3]);
        for i in self.blocks[b].clone() {
            let mut row = [0.0; 3];
            for k in cells.starts[i]..cells.starts[i + 1] {
                let j = cells.cells[k].other();
                let terms = (self.terms)(at[i] - at[j], s, self.of(k));
                weights.push(terms.dd);
                row = [row[0] + terms.d, row[1] + terms.dd, row[2] + terms.ds];
                if j > i {
                    shared = [shared[0] + terms.value, shared[1] + terms.s, shared[2] + terms.ss];
                }
            }
            rows.push(row);
        }
        (rows, weights, shared)
    }

    fn sums(&self, at: &[f64]) -> Vec<BlockSums> {
        parallel::map(self.blocks.len(), self.duels.threads, |b| self.block(b, at))
    }

    fn log_likelihood(&self, at: &[f64]) -> f64 {
        self.sums(at).iter().map(|(_, _, shared)| shared[0]).sum()
    }
}

impl<'a, T: Value> Objective for &'a Tied<'a, T> {
    type Curvature = Bordered<'a, T>;

    fn evaluate(&self, at: &[f64], _: Option<Self::Curvature>) -> (Vec<f64>, Self::Curvature) {
        let m = at.len() - 1;
        let (mut gradient, mut diagonal) = (Vec::with_capacity(m + 1), Vec::with_capacity(m + 1));
        let (mut border, mut weights) = (Vec::with_capacity(m), Vec::new());
        let mut shared = [0.0; 2];
        for (rows, block, sums) in self.sums(at) {
            for row in rows {
                let (pull, stiffness) = self.duels.prior.slope(at[gradient.len()]);
                gradient.push(row[0] + pull);
                diagonal.push(row[1] + stiffness);
                border.push(if self.frozen { 0.0 } else { row[2] });
            }
            weights.extend(block);
            shared = [shared[0] + sums[1], shared[1] + sums[2]];
        }
        gradient.push(if self.frozen { 0.0 } else { shared[0] });
        diagonal.push(if self.frozen { 1.0 } else { shared[1] });
        (gradient, Bordered { cells: self.duels.cells, weights, diagonal, border })
    }

    fn scale(&self) -> f64 {
        (&self.duels).scale()
    }

    fn gauge(&self) -> Vec<u32> {
        let mut gauge = (&self.duels).gauge();
        gauge.push(FREE);
        gauge
    }
}

/// Strengths and the tie parameter of a model of [`MODELS`]; the parameter as it is published.
///
/// When nothing was tied the parameter is the one that forbids ties: the answer of the first two models is
/// then that of Bradley and Terry.
///
/// # Errors
/// As for [`super::fit`]; [`Error::UnknownName`], and [`Error::Infeasible`] when everything was tied.
pub fn fit_ties(
    table: &Table,
    model: &str,
    start: Option<&[f64]>,
    options: Options,
    stop: Stop<'_>,
) -> Result<(Fit, f64)> {
    check(table, start, options)?;
    let model = TieModel::parse(model)?;
    within(options.threads, |threads| {
        let options = Options { threads, ..options };
        with_cells!(table, cells => fit_cells(cells, model, start, options, stop))
    })
}

pub(super) fn fit_cells<T: Value>(
    cells: &Cells<T>,
    model: &TieModel,
    start: Option<&[f64]>,
    mut options: Options,
    stop: Stop<'_>,
) -> Result<(Fit, f64)> {
    let totals = cells.totals();
    let decided: f64 = totals.iter().map(|t| t[0]).sum();
    let tied: f64 = 0.5 * totals.iter().map(|t| t[2]).sum::<f64>();
    let frozen = tied == 0.0;
    if frozen && model.logistic {
        let fit = super::fit::fit_cells(cells, start, options, stop)?;
        return Ok((fit, model.never));
    }
    if decided == 0.0 && !frozen {
        let what = "ties: expected at least one comparison that was won; all are ties".to_owned();
        return Err(Error::Infeasible { what });
    }
    let found = components(cells);
    let loose = found.count > 1 && options.prior.none();
    let regularised = if loose { resolve(&found, options.disconnected)? } else { 0.0 };
    options.prior.opponent += regularised;
    let apart = loose && regularised == 0.0;
    let kept = apart.then(|| cells.filtered(|i, j| found.of[i] == found.of[j]));
    let component = if apart { found.of.clone() } else { vec![0; cells.items()] };
    let duels =
        Duels::new(kept.as_ref().unwrap_or(cells), 0.5, options.prior, &component, options.threads);
    let mut at = start.map_or_else(|| duels.start(), <[f64]>::to_vec);
    at.push(if frozen { model.never } else { (model.start)(tied / (tied + decided)) });
    let tied = Tied::new(duels, model, frozen);
    let mut optimum = maximise(&&tied, at, options.tolerance, stop)?;
    let value = tied.log_likelihood(&optimum.at);
    let parameter = optimum.at.pop().map_or(model.never, model.shown);
    if options.prior.none() {
        centre(&mut optimum.at, &component);
    }
    Ok((finish((optimum, value), found, regularised), parameter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_derivatives_of_the_value() {
        for model in &MODELS {
            for (d, s) in [(0.3, 0.4), (-2.0, 1.1), (5.0, 0.05), (-40.0, 0.3)] {
                let outcome = [3.0, 1.0, 2.5];
                let at = |d: f64, s: f64| (model.terms)(d, s, outcome);
                let (h, here) = (1e-5, at(d, s));
                let close = |a: f64, b: f64| {
                    assert!((a - b).abs() < 1e-4 * (1.0 + b.abs()), "{} {a} {b}", model.name);
                };
                close(here.d, (at(d + h, s).value - at(d - h, s).value) / (2.0 * h));
                close(here.s, (at(d, s + h).value - at(d, s - h).value) / (2.0 * h));
                close(here.dd, -(at(d + h, s).d - at(d - h, s).d) / (2.0 * h));
                close(here.ds, -(at(d, s + h).d - at(d, s - h).d) / (2.0 * h));
                close(here.ss, -(at(d, s + h).s - at(d, s - h).s) / (2.0 * h));
                let back = (model.terms)(-d, s, [1.0, 3.0, 2.5]);
                close(here.d, -back.d);
                close(here.dd, back.dd);
            }
        }
    }
}
