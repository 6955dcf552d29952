//! One ranking under the Davidson-Luce model: what every choice is expected to be.
//!
//! A choice takes a set of items, of weight `delta_t` times the geometric mean of its `t` strengths. Sums
//! over all sets of a size are elementary symmetric polynomials of the roots of the strengths.

use std::ops::{Add, Div, Mul};

use super::tied_rankings::places;

/// A number, or one with its derivative along a direction.
pub(super) trait Number:
    Copy + Add<Output = Self> + Mul<Output = Self> + Div<Output = Self>
{
    fn of(value: f64) -> Self;
    fn value(self) -> f64;
    fn exp(self) -> Self;
}

impl Number for f64 {
    fn of(value: f64) -> Self {
        value
    }
    fn value(self) -> f64 {
        self
    }
    fn exp(self) -> Self {
        f64::exp(self)
    }
}

/// A number and its derivative.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dual(pub(super) f64, pub(super) f64);

impl Add for Dual {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0, self.1 + other.1)
    }
}

impl Mul for Dual {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        Self(self.0 * other.0, self.0 * other.1 + self.1 * other.0)
    }
}

impl Div for Dual {
    type Output = Self;
    fn div(self, other: Self) -> Self {
        let ratio = self.0 / other.0;
        Self(ratio, (self.1 - ratio * other.1) / other.0)
    }
}

impl Number for Dual {
    fn of(value: f64) -> Self {
        Self(value, 0.0)
    }
    fn value(self) -> f64 {
        self.0
    }
    fn exp(self) -> Self {
        let raised = self.0.exp();
        Self(raised, raised * self.1)
    }
}

/// What is expected of the choices of a ranking.
pub(super) struct Expected<N> {
    /// By item in the order of the ranking: `1 / size` of the sets that hold it, summed over choices.
    pub(super) items: Vec<N>,
    /// The variance of that.
    pub(super) spread: Vec<f64>,
    /// By size: how many choices have it, and the variance of that.
    pub(super) sizes: Vec<N>,
    pub(super) size_spread: Vec<f64>,
    /// Sum over choices of the logarithm of the weight of all sets, strengths being relative to `top`.
    pub(super) log_total: f64,
}

/// Elementary symmetric polynomials of the items from every place on, for one size.
struct Tails<N> {
    size: usize,
    roots: Vec<N>,
    /// `(l + 1, size + 1)`.
    sums: Vec<N>,
}

impl<N: Number> Tails<N> {
    fn new(scores: &[N], size: usize) -> Self {
        let (l, width) = (scores.len(), size + 1);
        let part = N::of(1.0 / size as f64);
        let roots: Vec<N> = scores.iter().map(|x| (*x * part).exp()).collect();
        let mut sums = vec![N::of(0.0); (l + 1) * width];
        (0..=l).for_each(|j| sums[j * width] = N::of(1.0));
        for j in (0..l).rev() {
            for k in 1..width {
                sums[j * width + k] =
                    sums[(j + 1) * width + k] + roots[j] * sums[(j + 1) * width + k - 1];
            }
        }
        Self { size, roots, sums }
    }

    /// The sum over sets of items from a place on.
    fn all(&self, start: usize) -> N {
        self.sums[start * (self.size + 1) + self.size]
    }

    /// For every item from `start` on, the sum over the sets that hold it.
    fn holding(&self, start: usize, mut put: impl FnMut(usize, N)) {
        let (t, width) = (self.size, self.size + 1);
        let mut before = vec![N::of(0.0); t];
        before[0] = N::of(1.0);
        for j in start..self.roots.len() {
            let after = &self.sums[(j + 1) * width..(j + 2) * width];
            let mut rest = N::of(0.0);
            for k in 0..t {
                rest = rest + before[k] * after[t - 1 - k];
            }
            put(j, self.roots[j] * rest);
            for k in (1..t).rev() {
                before[k] = before[k] + self.roots[j] * before[k - 1];
            }
        }
    }
}

/// What is expected of a ranking whose items have `scores`, log strengths less the largest of them; `sizes`
/// are those of sets, from 1 on, and `delta` their weights.
pub(super) fn expect<N: Number>(
    scores: &[N],
    ends: &[bool],
    sizes: &[usize],
    delta: &[N],
) -> Expected<N> {
    let (l, zero) = (scores.len(), N::of(0.0));
    let mut out = Expected {
        items: vec![zero; l],
        spread: vec![0.0; l],
        sizes: vec![zero; sizes.len()],
        size_spread: vec![0.0; sizes.len()],
        log_total: 0.0,
    };
    let tails: Vec<Tails<N>> =
        sizes.iter().filter(|t| **t <= l).map(|t| Tails::new(scores, *t)).collect();
    for place in places(ends).filter(|place| l - place.start > 1) {
        let left = l - place.start;
        let open = tails.iter().take_while(|tail| tail.size <= left);
        let weights: Vec<N> = open.zip(delta).map(|(tail, d)| *d * tail.all(place.start)).collect();
        let total = weights.iter().fold(zero, |sum, w| sum + *w);
        out.log_total += total.value().ln();
        let mut held = vec![zero; left];
        let mut squares = vec![0.0; left];
        for (at, (tail, weight)) in tails.iter().zip(&weights).enumerate() {
            let share = *weight / total;
            out.sizes[at] = out.sizes[at] + share;
            out.size_spread[at] += share.value() * (1.0 - share.value());
            let per = delta[at] / total * N::of(1.0 / tail.size as f64);
            tail.holding(place.start, |j, sum| {
                let mean = per * sum;
                held[j - place.start] = held[j - place.start] + mean;
                squares[j - place.start] += mean.value() / tail.size as f64;
            });
        }
        for (j, (mean, square)) in held.into_iter().zip(squares).enumerate() {
            let item = &mut out.items[place.start + j];
            *item = *item + mean;
            out.spread[place.start + j] += (square - mean.value() * mean.value()).max(0.0);
        }
    }
    out
}
