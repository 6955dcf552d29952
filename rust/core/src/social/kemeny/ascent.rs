//! Weights on cycles of three that raise the lower bound of the linear ordering relaxation.

use crate::wide::wide;
use crate::{Result, Stop};

pub(super) const LANES: usize = 8;

/// Size of a step of the weights beside one of the places; most bounds rise fastest between 0.3 and 0.5.
const RATIO: f32 = 0.4;

/// Places of pairs and weights of cycles, both a little better after every sweep.
///
/// The relaxation asks for `x[ab] + x[bc] - x[ac]` in `[0, 1]` for all `a < b < c`, where `x[ab]` is 1
/// if `a` comes before `b`. Centred on 0 its dual is the least of `sum |d| + sum |z|` with
/// `d = margins - A' z`, one `z` for every three items: above 0 for the cycle `abc`, below for `cba`.
/// All singular values of `A` but 0 are the root of the number of items, so that a first-order method
/// needs few sweeps.
///
/// Source: Groetschel, Juenger and Reinelt 1984 (relaxation); Chambolle and Pock 2011, algorithm 1.
pub(super) struct Ascent {
    q: usize,
    /// Lanes of a row.
    chunks: usize,
    /// What one unit of a weight means.
    unit: f64,
    margins: Vec<[f32; LANES]>,
    /// Step of the weights of `(b, c)`, 0 unless `b < c`.
    steps: Vec<[f32; LANES]>,
    places: Vec<[f32; LANES]>,
    ahead: Vec<[f32; LANES]>,
    /// `d`, above the diagonal.
    left: Vec<[f32; LANES]>,
    /// `z`, rows `(a, b)` one after the other, each from the lanes of item `b + 1` on.
    weights: Vec<[f32; LANES]>,
    /// Of the weights of an item with every other, by lanes.
    sums: Vec<[f32; LANES]>,
}

impl Ascent {
    pub(super) fn new(margins: &[f64], q: usize) -> Self {
        let chunks = q.div_ceil(LANES);
        let sum: f64 = margins.iter().map(|x| x.abs()).sum();
        let unit = if sum > 0.0 { sum / (q * q) as f64 } else { 1.0 };
        let rows = |f: &dyn Fn(usize, usize) -> f32| {
            let mut out = vec![[0.0; LANES]; q * chunks];
            for a in 0..q {
                for b in a + 1..q {
                    out[a * chunks + b / LANES][b % LANES] = f(a, b);
                }
            }
            out
        };
        let step = RATIO / (q as f32).sqrt();
        #[allow(clippy::cast_possible_truncation, reason = "any weights give a valid bound")]
        let margins = rows(&|a, b| (margins[a * q + b] / unit) as f32);
        let count = (1..q).map(|b| b * (chunks - (b + 1) / LANES)).sum();
        Self {
            q,
            chunks,
            unit,
            steps: rows(&|_, _| step),
            places: vec![[0.0; LANES]; q * chunks],
            ahead: vec![[0.0; LANES]; q * chunks],
            left: margins.clone(),
            margins,
            weights: vec![[0.0; LANES]; count],
            sums: vec![[0.0; LANES]; q],
        }
    }

    /// Sweeps so many times, or until the time is over.
    pub(super) fn run(&mut self, sweeps: usize, stop: Stop<'_>) -> Result<()> {
        for _ in 0..sweeps {
            stop.check()?;
            if stop.expired() {
                break;
            }
            sweep(self);
        }
        Ok(())
    }

    /// Calls `f` with every `a < b < c` and the weight of their cycle.
    pub(super) fn each(&self, mut f: impl FnMut([usize; 3], f64)) {
        let mut at = 0;
        for a in 0..self.q {
            for b in a + 1..self.q {
                let first = (b + 1) / LANES;
                for c in b + 1..self.q {
                    let weight = self.weights[at + c / LANES - first][c % LANES];
                    f([a, b, c], f64::from(weight) * self.unit);
                }
                at += self.chunks - first;
            }
        }
    }
}

wide! {
    fn sweep(state: &mut Ascent) {
        let (q, chunks) = (state.q, state.chunks);
        let weight_step = RATIO / (q as f32).sqrt();
        let place_step = 1.0 / (RATIO * (q as f32).sqrt());
        let half = weight_step / 2.0;
        for i in 0..q * chunks {
            let (old, left) = (state.places[i], state.left[i]);
            let (mut new, mut ahead) = ([0.0; LANES], [0.0; LANES]);
            for l in 0..LANES {
                let x = old[l] + place_step * left[l];
                let x = if x > 0.5 { 0.5 } else { x };
                new[l] = if x < -0.5 { -0.5 } else { x };
                ahead[l] = 2.0 * new[l] - old[l];
            }
            (state.places[i], state.ahead[i]) = (new, ahead);
            state.left[i] = state.margins[i];
        }
        let mut at = 0;
        for a in 0..q {
            for b in a + 1..q {
                let first = (b + 1) / LANES;
                let count = chunks - first;
                let (upper, lower) = state.left.split_at_mut(b * chunks);
                let left_a = &mut upper[a * chunks + first..][..count];
                let left_b = &mut lower[first..][..count];
                let ahead_a = &state.ahead[a * chunks + first..][..count];
                let ahead_b = &state.ahead[b * chunks + first..][..count];
                let steps = &state.steps[b * chunks + first..][..count];
                let weights = &mut state.weights[at..][..count];
                let ahead = state.ahead[a * chunks + b / LANES][b % LANES];
                let mut sums = [0.0_f32; LANES];
                for i in 0..count {
                    // Whole lanes are read before any is written, for the compiler to see vectors.
                    let (z, step, at_a, at_b) = (weights[i], steps[i], ahead_a[i], ahead_b[i]);
                    let (mut to_a, mut to_b, mut new) = (left_a[i], left_b[i], [0.0; LANES]);
                    for l in 0..LANES {
                        let w = z[l] + step[l] * (ahead + at_b[l] - at_a[l]);
                        let (high, low) = (w - half, w + half);
                        let high = if high > 0.0 { high } else { 0.0 };
                        let low = if low < 0.0 { low } else { 0.0 };
                        new[l] = high + low;
                        to_a[l] += new[l];
                        to_b[l] -= new[l];
                        sums[l] += new[l];
                    }
                    (weights[i], left_a[i], left_b[i]) = (new, to_a, to_b);
                }
                state.sums[b] = sums;
                at += count;
            }
            for b in a + 1..q {
                let [s, t, u, v, w, x, y, z] = state.sums[b];
                let sum = ((s + w) + (u + y)) + ((t + x) + (v + z));
                state.left[a * chunks + b / LANES][b % LANES] -= sum;
            }
        }
    }
}
