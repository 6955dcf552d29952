//! Sums over the choices of rankings: gradient, curvature and log-likelihood of Plackett and Luce.

use std::ops::Range;

use super::newton::{Curvature, FREE, Objective};
use super::prior::Prior;
use super::rankings::Rankings;
use crate::parallel;

/// Items of rankings that one task reads; it takes about 100 microseconds.
const BLOCK: usize = 1 << 15;
/// Most tasks, since each has sums of its own.
const BLOCKS: usize = 32;
/// The log-likelihood of rankings.
pub(super) struct Choices<'a> {
    pub(super) rankings: &'a Rankings,
    pub(super) prior: Prior,
    pub(super) component: &'a [u32],
    pub(super) threads: Option<usize>,
    /// Rankings of every task.
    blocks: Vec<Range<usize>>,
    /// Weighted times that every item was chosen, and was available.
    pub(super) chosen: Vec<f64>,
    pub(super) most: f64,
}

/// Sums of a pass over all rankings.
pub(super) struct Sums {
    /// `sum over stages won (Z - pi) / Z`.
    pub(super) up: Vec<f64>,
    /// `sum over stages lost 1 / Z`.
    pub(super) down: Vec<f64>,
}

impl<'a> Choices<'a> {
    pub(super) fn new(
        rankings: &'a Rankings,
        prior: Prior,
        component: &'a [u32],
        threads: Option<usize>,
    ) -> Self {
        let (mut chosen, mut games) = (vec![0.0; rankings.count], vec![0.0; rankings.count]);
        for r in 0..rankings.rankings() {
            let (row, stages, weight) = rankings.row(r);
            for (place, item) in row.iter().enumerate() {
                let item = *item as usize;
                chosen[item] += if place < stages { weight } else { 0.0 };
                games[item] += weight * (place + 1).min(stages) as f64;
            }
        }
        let most = games.iter().copied().fold(0.0, f64::max);
        Self {
            blocks: blocks(&rankings.starts, rankings.count),
            rankings,
            prior,
            component,
            threads,
            chosen,
            most,
        }
    }

    /// Sums over rankings of something scattered over items, `width` numbers each.
    pub(super) fn scattered(
        &self,
        width: usize,
        add: impl Fn((&[u32], usize, f64), &mut [f64], &mut Scratch) + Sync + Send,
    ) -> Vec<f64> {
        let mut parts = parallel::map(self.blocks.len(), self.threads, |b| {
            let mut sums = vec![0.0; width * self.rankings.count];
            let mut scratch = Scratch::default();
            self.blocks[b].clone().for_each(|r| add(self.rankings.row(r), &mut sums, &mut scratch));
            sums
        })
        .into_iter();
        let mut out = parts.next().unwrap_or_else(|| vec![0.0; width * self.rankings.count]);
        for part in parts {
            out.iter_mut().zip(part).for_each(|(o, p)| *o += p);
        }
        out
    }

    /// Strengths around the largest log strength; none is zero.
    pub(super) fn strengths(theta: &[f64]) -> Vec<f64> {
        let top = theta.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        theta.iter().map(|t| (t - top).exp().max(f64::MIN_POSITIVE)).collect()
    }

    /// One pass: numerators and denominators of the update, whose difference is the gradient.
    pub(super) fn sums(&self, pi: &[f64]) -> Sums {
        let both = self.scattered(2, |(row, stages, weight), sums, scratch| {
            let left = scratch.left(row, stages, pi); // inverse of what is left at every stage
            let mut before = 0.0;
            for (item, inverse) in row[..stages].iter().zip(left.iter()) {
                let own = pi[*item as usize];
                let at = &mut sums[2 * *item as usize..2 * *item as usize + 2];
                at[0] += weight * (1.0 - own * inverse);
                at[1] += weight * before;
                before += inverse;
            }
            for item in &row[stages..] {
                sums[2 * *item as usize + 1] += weight * before;
            }
        });
        let (up, down) = both.chunks_exact(2).map(|c| (c[0], c[1])).unzip();
        Sums { up, down }
    }

    pub(super) fn log_likelihood(&self, theta: &[f64]) -> f64 {
        let pi = Self::strengths(theta);
        let top = theta.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let parts = parallel::map(self.blocks.len(), self.threads, |b| {
            let mut scratch = Scratch::default();
            let mut sum = 0.0;
            for r in self.blocks[b].clone() {
                let (row, stages, weight) = self.rankings.row(r);
                let left = scratch.left(row, stages, &pi);
                let value =
                    |(item, inverse): (&u32, &f64)| theta[*item as usize] - top + inverse.ln();
                sum += weight * row[..stages].iter().zip(left).map(value).sum::<f64>();
            }
            sum
        });
        parts.iter().sum()
    }
}

/// Rankings with about [`BLOCK`] items each, or more; the split depends on the rankings alone.
pub(super) fn blocks(starts: &[usize], items: usize) -> Vec<Range<usize>> {
    let (n, total) = (starts.len() - 1, starts[starts.len() - 1]);
    let count = (total / BLOCK.max(4 * items)).clamp(1, BLOCKS);
    let mut bounds: Vec<usize> =
        (0..count).map(|b| starts.partition_point(|s| s * count < b * total)).collect();
    bounds.push(n);
    bounds.windows(2).map(|w| w[0]..w[1]).collect()
}

/// Memory for one ranking.
#[derive(Default)]
pub(super) struct Scratch {
    pub(super) left: Vec<f64>,
}

impl Scratch {
    /// `1 / sum of strengths left` at every stage.
    #[inline]
    pub(super) fn left(&mut self, row: &[u32], stages: usize, pi: &[f64]) -> &[f64] {
        self.left.resize(stages, 0.0);
        let mut sum: f64 = row[stages..].iter().map(|item| pi[*item as usize]).sum();
        for (left, item) in self.left.iter_mut().zip(&row[..stages]).rev() {
            sum += pi[*item as usize];
            *left = sum;
        }
        self.left.iter_mut().for_each(|z| *z = 1.0 / *z);
        &self.left
    }
}

/// Minus the second derivative, as a product.
pub(super) struct Bend<'a> {
    choices: &'a Choices<'a>,
    pi: Vec<f64>,
    extra: Vec<f64>,
    diagonal: Vec<f64>,
}

impl Curvature for Bend<'_> {
    fn diagonal(&self) -> &[f64] {
        &self.diagonal
    }

    fn apply(&self, v: &[f64], out: &mut [f64]) {
        let pi = &self.pi;
        // (H v)_i = pi_i sum over stages available (v_i - mean) / Z, the mean being that of v at the stage
        let sums = self.choices.scattered(1, |(row, stages, weight), sums, scratch| {
            let mut rest: f64 =
                row[stages..].iter().map(|i| pi[*i as usize] * v[*i as usize]).sum();
            let left = scratch.left(row, stages, pi).to_vec();
            scratch.left.clear();
            scratch.left.extend(row[..stages].iter().rev().map(|i| {
                rest += pi[*i as usize] * v[*i as usize];
                rest
            }));
            let (mut inverse, mut mean) = (0.0, 0.0);
            let along = scratch.left.iter().rev();
            for ((item, z), pv) in row[..stages].iter().zip(&left).zip(along) {
                inverse += z;
                mean += pv * z * z;
                sums[*item as usize] += weight * (v[*item as usize] * inverse - mean);
            }
            for item in &row[stages..] {
                sums[*item as usize] += weight * (v[*item as usize] * inverse - mean);
            }
        });
        for (i, out) in out.iter_mut().enumerate() {
            *out = pi[i] * sums[i] + self.extra[i] * v[i];
        }
    }

    fn add_to(&self, matrix: &mut [f64]) {
        let n = self.diagonal.len();
        let mut scratch = Scratch::default();
        for r in 0..self.choices.rankings.rankings() {
            self.add_row(r, matrix, &mut scratch);
        }
        for i in 0..n {
            matrix[i * n + i] += self.diagonal[i];
        }
    }
}

impl Bend<'_> {
    /// Adds what one ranking says beside the diagonal to the lower triangle of a matrix.
    pub(super) fn add_row(&self, r: usize, matrix: &mut [f64], scratch: &mut Scratch) {
        let (n, pi) = (self.diagonal.len(), &self.pi);
        let (row, stages, weight) = self.choices.rankings.row(r);
        let mut sum = 0.0;
        let squares: Vec<f64> = scratch
            .left(row, stages, pi)
            .iter()
            .map(|z| {
                sum += z * z;
                sum
            })
            .collect();
        for (place, item) in row.iter().enumerate() {
            for (earlier, other) in row[..place].iter().enumerate() {
                let (i, j) = (*item.max(other) as usize, *item.min(other) as usize);
                matrix[i * n + j] -= weight * pi[i] * pi[j] * squares[earlier.min(stages - 1)];
            }
        }
    }
}

impl<'a> Objective for &'a Choices<'a> {
    type Curvature = Bend<'a>;

    fn evaluate(&self, at: &[f64], _: Option<Self::Curvature>) -> (Vec<f64>, Self::Curvature) {
        let pi = Choices::strengths(at);
        let both = self.scattered(2, |(row, stages, weight), sums, scratch| {
            let left = scratch.left(row, stages, &pi);
            let (mut lost, mut bend) = (0.0, 0.0);
            for (place, item) in row.iter().enumerate() {
                let own = pi[*item as usize];
                let mut chosen = 0.0;
                if let Some(z) = left.get(place) {
                    chosen = 1.0;
                    lost += z;
                    bend += z * z;
                }
                let at = &mut sums[2 * *item as usize..2 * *item as usize + 2];
                at[0] += weight * (chosen - own * lost);
                at[1] += weight * own * (lost - own * bend);
            }
        });
        let (mut gradient, mut diagonal): (Vec<f64>, Vec<f64>) =
            both.chunks_exact(2).map(|c| (c[0], c[1].max(0.0))).unzip();
        let mut extra = vec![0.0; at.len()];
        for i in 0..at.len() {
            let (pull, stiffness) = self.prior.slope(at[i]);
            gradient[i] += pull;
            diagonal[i] += stiffness;
            extra[i] = stiffness;
        }
        (gradient, Bend { choices: self, pi, extra, diagonal })
    }

    fn scale(&self) -> f64 {
        self.most
    }

    fn gauge(&self) -> Vec<u32> {
        if self.prior.none() { self.component.to_vec() } else { vec![FREE; self.chosen.len()] }
    }
}
