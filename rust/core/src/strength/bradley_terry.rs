//! The Bradley-Terry model over cells: gradient, curvature, log-likelihood.

use std::ops::Range;

use super::cells::{Cell, Cells, Value};
use super::incomplete::Incomplete;
use super::newton::{Curvature, FREE, Objective};
use super::prior::{Prior, sigmoid};
use crate::parallel;

/// Beyond this range of log strengths, strengths leave the range of doubles.
const RANGE: f64 = 600.0;
/// Cells of a task; one takes about 100 microseconds.
const BLOCK: usize = 1 << 16;

/// The log-likelihood of cells, a tie counting as a share of a win for both sides.
pub(super) struct Duels<'a, T> {
    pub(super) cells: &'a Cells<T>,
    /// Share of a tie that both sides win.
    pub(super) tie: f64,
    pub(super) prior: Prior,
    /// Connected component of every item.
    pub(super) component: &'a [u32],
    pub(super) threads: Option<usize>,
    /// Weighted wins of every item.
    pub(super) wins: Vec<f64>,
    /// Weighted comparisons of every item.
    pub(super) games: Vec<f64>,
    blocks: Vec<Range<usize>>,
    slim: Option<Slim>,
}

/// What a sweep reads of every cell, less than the cell: sweeps over many cells wait for memory.
struct Slim {
    others: Vec<u32>,
    games: Vec<f32>,
}

impl Slim {
    /// `None` where the cells fit the cache, or some weight is no single-precision number.
    fn of<T: Value>(cells: &Cells<T>, blocks: usize) -> Option<Self> {
        if blocks == 1 || !cells.ties.is_empty() {
            return None;
        }
        let mut others = Vec::with_capacity(cells.cells.len());
        let mut games = Vec::with_capacity(cells.cells.len());
        for cell in &cells.cells {
            let weight = cell.wins.get() + cell.losses.get();
            if f64::from(single(weight)).to_bits() != weight.to_bits() {
                return None;
            }
            others.push(cell.other);
            games.push(single(weight));
        }
        Some(Self { others, games })
    }
}

impl<'a, T: Value> Duels<'a, T> {
    pub(super) fn new(
        cells: &'a Cells<T>,
        tie: f64,
        prior: Prior,
        component: &'a [u32],
        threads: Option<usize>,
    ) -> Self {
        let totals = cells.totals();
        let (wins, games) =
            totals.iter().map(|[w, l, t]| (w + tie * t, w + l + 2.0 * tie * t)).unzip();
        let blocks = blocks(&cells.starts);
        let slim = Slim::of(cells, blocks.len());
        Self { cells, tie, prior, component, threads, wins, games, blocks, slim }
    }

    /// Weight of the comparisons of a cell.
    #[inline]
    pub(super) fn weight(&self, k: usize) -> f64 {
        let cell = &self.cells.cells[k];
        cell.wins.get() + cell.losses.get() + 2.0 * self.tie * self.cells.tie(k)
    }

    /// Where to start: the log odds of every item's share of wins.
    pub(super) fn start(&self) -> Vec<f64> {
        let odds = |(won, games): (&f64, &f64)| ((won + 0.5) / (games - won + 0.5)).ln();
        self.wins.iter().zip(&self.games).map(odds).collect()
    }

    /// `sum_i wins_i theta_i - sum_pairs games ln(exp(theta_i) + exp(theta_j))`, without the prior.
    pub(super) fn log_likelihood(&self, theta: &[f64]) -> f64 {
        let strengths = Strengths::of(theta);
        let parts = parallel::map(self.blocks.len(), self.threads, |b| {
            let mut sum = LogSum::default();
            for i in self.blocks[b].clone() {
                for k in self.cells.starts[i]..self.cells.starts[i + 1] {
                    let j = self.cells.cells[k].other();
                    if j > i {
                        strengths.add_log_sum(theta, i, j, self.weight(k), &mut sum);
                    }
                }
            }
            sum.total()
        });
        let won: f64 = self.wins.iter().zip(theta).map(|(w, t)| w * t).sum();
        won - parts.iter().sum::<f64>()
    }

    fn fill(&self, theta: &[f64], strengths: &Strengths, out: &mut Slice<'_>) {
        let base = self.cells.starts[out.items.start];
        for (at, i) in out.items.clone().enumerate() {
            let range = self.cells.starts[i]..self.cells.starts[i + 1];
            let weights = &mut out.weights[range.start - base..range.end - base];
            let cells = &self.cells.cells[range.clone()];
            let ties = self.cells.ties.get(range.clone()).unwrap_or(&[]);
            let games = |c: &Cell<T>| c.wins.get() + c.losses.get();
            let (won, bend) = match (&strengths.plain, &self.slim) {
                (Some(s), Some(slim)) => {
                    let (games, others) = (&slim.games[range.clone()], &slim.others[range]);
                    sum_row(|k| (f64::from(games[k]), s[others[k] as usize]), s[i], weights)
                }
                (Some(s), None) if ties.is_empty() => {
                    sum_row(|k| (games(&cells[k]), s[cells[k].other()]), s[i], weights)
                }
                (Some(s), None) => {
                    let shared = |k: usize| games(&cells[k]) + 2.0 * self.tie * ties[k].get();
                    sum_row(|k| (shared(k), s[cells[k].other()]), s[i], weights)
                }
                (None, _) => self.wide_row(theta, i, weights),
            };
            let (pull, stiffness) = self.prior.slope(theta[i]);
            out.gradient[at] = self.wins[i] - won + pull;
            out.diagonal[at] = bend + stiffness;
        }
    }

    fn wide_row(&self, theta: &[f64], i: usize, weights: &mut [f32]) -> (f64, f64) {
        let (mut won, mut bend) = (0.0, 0.0);
        for (k, weight) in (self.cells.starts[i]..).zip(weights) {
            let gap = theta[i] - theta[self.cells.cells[k].other()];
            let expected = self.weight(k) * sigmoid(gap);
            won += expected;
            *weight = single(expected * sigmoid(-gap));
            bend += f64::from(*weight);
        }
        (won, bend)
    }
}

/// Cells summed side by side, so that no sum waits for the one before and pairs share a register.
const LANES: usize = 4;

/// Expected wins and curvature of one item, from weights and strengths; curvatures of its cells.
#[inline]
fn sum_row(cell: impl Fn(usize) -> (f64, f64), own: f64, weights: &mut [f32]) -> (f64, f64) {
    let (mut won, mut bend) = ([0.0; LANES], [0.0; LANES]);
    let whole = weights.len() / LANES * LANES;
    let (fixed, rest) = weights.split_at_mut(whole);
    for (chunk, weights) in fixed.chunks_exact_mut(LANES).enumerate() {
        for lane in 0..LANES {
            let (expected, weight) = expect(cell(chunk * LANES + lane), own);
            weights[lane] = weight;
            won[lane] += expected;
            bend[lane] += f64::from(weight);
        }
    }
    for (lane, weight) in rest.iter_mut().enumerate() {
        let (expected, bent) = expect(cell(whole + lane), own);
        (*weight, won[lane], bend[lane]) =
            (bent, won[lane] + expected, bend[lane] + f64::from(bent));
    }
    (won.iter().sum(), bend.iter().sum())
}

/// Expected wins and curvature of a cell, from its weight and both strengths.
#[inline]
fn expect((n, other): (f64, f64), own: f64) -> (f64, f32) {
    let share = 1.0 / (own + other);
    let expected = n * (own * share);
    (expected, single(expected * (other * share)))
}

#[allow(clippy::cast_possible_truncation, reason = "seven digits are enough for a direction")]
fn single(x: f64) -> f32 {
    x as f32
}

/// Exponentials of log strengths.
pub(super) struct Strengths {
    /// Around the middle of their range; `None` when they leave the range of doubles.
    pub(super) plain: Option<Vec<f64>>,
    middle: f64,
}

impl Strengths {
    pub(super) fn of(theta: &[f64]) -> Self {
        let low = theta.iter().copied().fold(f64::INFINITY, f64::min);
        let high = theta.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let middle = 0.5 * (low + high);
        let plain =
            (high - low <= RANGE).then(|| theta.iter().map(|t| (t - middle).exp()).collect());
        Self { plain, middle }
    }

    /// Adds `weight ln(exp(theta_i) + exp(theta_j))`.
    #[inline]
    fn add_log_sum(&self, theta: &[f64], i: usize, j: usize, weight: f64, sum: &mut LogSum) {
        if let Some(s) = &self.plain {
            sum.add(self.middle, weight);
            sum.add_log(s[i] + s[j], weight);
        } else {
            let gap = (theta[i] - theta[j]).abs();
            sum.add(theta[i].max(theta[j]) + (-gap).exp().ln_1p(), weight);
        }
    }
}

/// A sum of weighted numbers and logarithms, most of which are taken of products.
struct LogSum {
    sum: f64,
    product: f64,
}

impl Default for LogSum {
    fn default() -> Self {
        Self { sum: 0.0, product: 1.0 }
    }
}

impl LogSum {
    /// A product stays within this and its inverse, so that it never leaves the range of doubles.
    const WIDE: f64 = 1e150;

    #[inline]
    fn add(&mut self, value: f64, weight: f64) {
        self.sum += weight * value;
    }

    /// Adds `weight ln(x)`, `x` above 0: where pairs were compared once, a logarithm costs more than
    /// all the rest.
    #[inline]
    fn add_log(&mut self, x: f64, weight: f64) {
        let once = weight.to_bits() == 1.0_f64.to_bits();
        if once && x < Self::WIDE && x > 1.0 / Self::WIDE {
            self.product *= x;
            if !(self.product < Self::WIDE && self.product > 1.0 / Self::WIDE) {
                self.sum += self.product.ln();
                self.product = 1.0;
            }
        } else {
            self.sum += weight * x.ln();
        }
    }

    fn total(self) -> f64 {
        self.sum + self.product.ln()
    }
}

/// What one task fills.
struct Slice<'a> {
    items: Range<usize>,
    gradient: &'a mut [f64],
    diagonal: &'a mut [f64],
    weights: &'a mut [f32],
}

/// Neighbouring items with about [`BLOCK`] cells; the split depends on the cells alone.
pub(super) fn blocks(starts: &[usize]) -> Vec<Range<usize>> {
    let items = starts.len() - 1;
    let mut blocks = Vec::new();
    let mut first = 0;
    while first < items {
        let end = starts.partition_point(|s| *s < starts[first] + BLOCK).clamp(first + 1, items);
        blocks.push(first..end);
        first = end;
    }
    blocks
}

/// Minus the second derivative: a weighted Laplacian plus what the prior adds to its diagonal.
pub(super) struct Laplacian<'a, T> {
    duels: &'a Duels<'a, T>,
    /// Weight of every cell.
    pub(super) weights: Vec<f32>,
    diagonal: Vec<f64>,
}

impl<T: Value> Laplacian<'_, T> {
    fn rows(&self, items: Range<usize>, v: &[f64], out: &mut [f64]) {
        let starts = &self.duels.cells.starts;
        for (out, i) in out.iter_mut().zip(items) {
            let range = starts[i]..starts[i + 1];
            let weights = &self.weights[range.clone()];
            let sum = if let Some(slim) = &self.duels.slim {
                let others = &slim.others[range];
                weighted(|k| v[others[k] as usize], weights)
            } else {
                let cells = &self.duels.cells.cells[range];
                weighted(|k| v[cells[k].other()], weights)
            };
            *out = self.diagonal[i] * v[i] - sum;
        }
    }
}

/// `sum_k weights_k value(k)`.
#[inline]
fn weighted(value: impl Fn(usize) -> f64, weights: &[f32]) -> f64 {
    let mut sums = [0.0; LANES];
    let fixed = weights.chunks_exact(LANES);
    let whole = weights.len() - fixed.remainder().len();
    for (lane, weight) in fixed.remainder().iter().enumerate() {
        sums[lane] += f64::from(*weight) * value(whole + lane);
    }
    for (chunk, weights) in fixed.enumerate() {
        for lane in 0..LANES {
            sums[lane] += f64::from(weights[lane]) * value(chunk * LANES + lane);
        }
    }
    sums.iter().sum()
}

impl<T: Value> Curvature for Laplacian<'_, T> {
    fn diagonal(&self) -> &[f64] {
        &self.diagonal
    }

    fn apply(&self, v: &[f64], out: &mut [f64]) {
        let mut rest = out;
        let mut tasks = Vec::with_capacity(self.duels.blocks.len());
        for items in &self.duels.blocks {
            let (head, tail) = rest.split_at_mut(items.len());
            tasks.push((items.clone(), head));
            rest = tail;
        }
        parallel::each(tasks, self.duels.threads, |(items, out)| self.rows(items, v, out));
    }

    fn add_to(&self, matrix: &mut [f64]) {
        let m = self.diagonal.len();
        for i in 0..m {
            matrix[i * m + i] += self.diagonal[i];
            for k in self.duels.cells.starts[i]..self.duels.cells.starts[i + 1] {
                let j = self.duels.cells.cells[k].other();
                if j < i {
                    matrix[i * m + j] -= f64::from(self.weights[k]);
                }
            }
        }
    }

    fn is_sparse(&self) -> bool {
        true
    }

    fn incomplete(&self) -> Option<Incomplete> {
        let cells = &self.duels.cells;
        let column = |k: usize| cells.cells[k].other();
        let weight = |k: usize| f64::from(self.weights[k]);
        Some(Incomplete::new(&cells.starts, column, weight, &self.diagonal))
    }
}

impl<'a, T: Value> Objective for &'a Duels<'a, T> {
    type Curvature = Laplacian<'a, T>;

    fn evaluate(&self, at: &[f64], old: Option<Self::Curvature>) -> (Vec<f64>, Self::Curvature) {
        let m = at.len();
        let (mut gradient, mut diagonal) = (vec![0.0; m], vec![0.0; m]);
        // fresh memory of this size costs as much as filling it
        let mut weights = old.map_or_else(|| vec![0.0; self.cells.cells.len()], |c| c.weights);
        let (mut g, mut d, mut w) = (&mut gradient[..], &mut diagonal[..], &mut weights[..]);
        let mut tasks = Vec::with_capacity(self.blocks.len());
        for items in &self.blocks {
            let size = self.cells.starts[items.end] - self.cells.starts[items.start];
            let (g_head, g_tail) = g.split_at_mut(items.len());
            let (d_head, d_tail) = d.split_at_mut(items.len());
            let (w_head, w_tail) = w.split_at_mut(size);
            let items = items.clone();
            tasks.push(Slice { items, gradient: g_head, diagonal: d_head, weights: w_head });
            (g, d, w) = (g_tail, d_tail, w_tail);
        }
        let strengths = Strengths::of(at);
        parallel::each(tasks, self.threads, |mut slice| self.fill(at, &strengths, &mut slice));
        (gradient, Laplacian { duels: self, weights, diagonal })
    }

    fn scale(&self) -> f64 {
        self.games.iter().copied().fold(0.0, f64::max)
    }

    fn gauge(&self) -> Vec<u32> {
        if self.prior.none() { self.component.to_vec() } else { vec![FREE; self.wins.len()] }
    }
}
