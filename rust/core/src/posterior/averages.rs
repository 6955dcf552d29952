//! Chances and entropies of answers averaged over many Gaussian margins, to about 1e-8 each.
//!
//! Up to [`SHARP`] standard deviations a margin is averaged by Gauss and Hermite's rule on a table.
//! Above, the trapezoid rule runs over a grid of margins that all pairs share: the functions are known
//! at its nodes and only the Gaussian is new. As the steps are equal, a weight is the one before it
//! times a ratio that itself shrinks by a constant factor, so that a margin takes as many exponentials
//! however many nodes it has.
//!
//! Source: Trefethen and Weideman 2014, sections 5 and 7.

use std::f64::consts::PI;

use super::likelihood::{Answering, logistic};
use super::quadrature::{SATURATED, entropy, logistic_rest, probit_mean};
use super::series::exp;
use crate::wide::wide;

/// Largest standard deviation of a margin that [`SHARP_RULE`] averages; it is off by 2e-8 there.
const SHARP: f64 = 0.5;
/// Largest standard deviation of a margin averaged on the finer grid.
const FINE: f64 = 1.25;
/// Steps of the two grids: at the smallest standard deviation `s` of each, the error
/// `exp(pi^2 / (2 s^2) - 2 pi^2 / step)` of the nearest pole is below `exp(-19.7)`.
const STEPS: [f64; 2] = [0.5, 0.8];
/// Nodes lie within this many standard deviations; the tails hold 2e-9.
const REACH: f64 = 6.0;
/// Nodes that are worked on together.
const LANES: usize = 8;
/// Nodes and weights of Gauss and Hermite's rule of degree 13 for the standard normal.
const SHARP_RULE: [[f64; 2]; 7] = [
    [-3.750_439_717_725_742_5, 0.000_548_268_855_972_2],
    [-2.366_759_410_734_541, 0.030_757_123_967_586_5],
    [-1.154_405_394_739_968_2, 0.240_123_178_605_012_7],
    [0.0, 0.457_142_857_142_857_2],
    [1.154_405_394_739_968_2, 0.240_123_178_605_012_7],
    [2.366_759_410_734_541, 0.030_757_123_967_586_5],
    [3.750_439_717_725_742_5, 0.000_548_268_855_972_2],
];

type Lanes = [f64; LANES];

/// Averages over margins, shared by all pairs of a call.
#[derive(Debug)]
pub(super) struct Averages {
    answering: Answering,
    table: Table,
    grids: [Grid; 2],
    entropy_limit: f64,
}

/// What is averaged, less what has a closed form, at the margins `-reach, step - reach, ..., reach`;
/// zeros follow, which fill the last lanes.
#[derive(Debug)]
struct Grid {
    step: f64,
    reach: f64,
    nodes: usize,
    /// `s(z - tie) - Phi(c (z - tie))`.
    left: Vec<f64>,
    /// The same of `-z`; empty without ties.
    right: Vec<f64>,
    /// Entropy minus its limit.
    entropy: Vec<f64>,
}

impl Averages {
    pub(super) fn new(answering: Answering) -> Self {
        let entropy_limit = entropy(answering, f64::INFINITY);
        let grids = STEPS.map(|step| Grid::new(answering, step, entropy_limit));
        Self { answering, table: Table::new(answering), grids, entropy_limit }
    }

    /// Chances of left and of right, and the entropy of the answer in nats, for each `z ~ N(m, v)`.
    ///
    /// Swapping the sides of a margin swaps its chances, to the last bit.
    pub(super) fn outcomes(&self, means: &[f64], variances: &[f64]) -> Vec<[f64; 3]> {
        let deviations: Vec<f64> = variances.iter().map(|v| v.sqrt()).collect();
        let windows: Vec<Window> =
            means.iter().zip(&deviations).map(|(m, s)| self.grid(*s).window(m.abs(), *s)).collect();
        let mut starts: Vec<[f64; 3]> = windows.iter().map(Window::logarithms).collect();
        exponentials(starts.as_flattened_mut());
        let pairs = means.iter().zip(variances).zip(&deviations).zip(windows.iter().zip(&starts));
        pairs
            .map(|(((m, v), s), (window, start))| {
                let [left, right, entropy] = if *s <= SHARP {
                    self.sharp(m.abs(), *s)
                } else {
                    self.spread(m.abs(), *v, self.grid(*s).sums(window, start))
                };
                if *m < 0.0 { [right, left, entropy] } else { [left, right, entropy] }
            })
            .collect()
    }

    fn grid(&self, s: f64) -> &Grid {
        &self.grids[usize::from(s > FINE)]
    }

    fn spread(&self, m: f64, v: f64, [left, right, entropy]: [f64; 3]) -> [f64; 3] {
        let tie = self.answering.tie();
        let left = self.side(probit_mean(m - tie, v) + left);
        let right =
            if tie == 0.0 { 1.0 - left } else { self.side(probit_mean(-m - tie, v) + right) };
        [left, right, self.entropy_limit + entropy]
    }

    fn sharp(&self, m: f64, s: f64) -> [f64; 3] {
        let (tie, table) = (self.answering.tie(), &self.table);
        let (mut left, mut right, mut entropy) = (0.0, 0.0, 0.0);
        for [t, w] in SHARP_RULE {
            let z = m + s * t;
            if tie == 0.0 {
                let (p, h) = table.at(z);
                left += w * p;
                entropy += w * h;
            } else {
                left += w * table.at(z - tie).0;
                right += w * table.at(-z - tie).0;
                entropy += w * table.at(z).1;
            }
        }
        let left = self.side(left);
        [left, if tie == 0.0 { 1.0 - left } else { self.side(right) }, entropy]
    }

    fn side(&self, p: f64) -> f64 {
        self.answering.lapsed(p.clamp(0.0, 1.0))
    }
}

impl Grid {
    fn new(answering: Answering, step: f64, entropy_limit: f64) -> Self {
        let tie = answering.tie();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "hundreds")]
        let side = ((SATURATED + tie) / step).ceil() as usize;
        let (reach, nodes) = (side as f64 * step, 2 * side + 1);
        let of = |f: &dyn Fn(f64) -> f64| -> Vec<f64> {
            (0..nodes).map(|j| f(j as f64 * step - reach)).chain([0.0; LANES]).collect()
        };
        let left = of(&|z| logistic_rest(z - tie));
        let right = if tie > 0.0 { of(&|z| logistic_rest(-z - tie)) } else { Vec::new() };
        let entropy = of(&|z| entropy(answering, z) - entropy_limit);
        Self { step, reach, nodes, left, right, entropy }
    }

    /// The nodes within [`REACH`] of `N(m, s^2)`.
    fn window(&self, m: f64, s: f64) -> Window {
        let place = |z: f64| ((z + self.reach) / self.step).clamp(0.0, self.nodes as f64);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let (from, to) = (place(m - REACH * s) as usize, place(m + REACH * s).ceil() as usize);
        if s <= SHARP || from >= to {
            return Window::default();
        }
        let count = (to - from).next_multiple_of(LANES);
        let first = (from as f64 * self.step - self.reach - m) / s;
        Window { from, count, first, h: self.step / s }
    }

    /// Averages over the Gaussian of a window, whose weights start as given.
    fn sums(&self, window: &Window, start: &[f64; 3]) -> [f64; 3] {
        let nodes = window.from..window.from + window.count;
        let right = if self.right.is_empty() { &[] } else { &self.right[nodes.clone()] };
        let (left, entropy) = (&self.left[nodes.clone()], &self.entropy[nodes]);
        weighted(start, left, right, entropy).map(|sum| sum * window.h / (2.0 * PI).sqrt())
    }
}

/// Nodes of a grid, the first of them `first` standard deviations above the mean, and steps of `h`.
#[derive(Debug, Clone, Copy, Default)]
struct Window {
    from: usize,
    count: usize,
    first: f64,
    h: f64,
}

impl Window {
    /// Logarithms of the weight of the first node, of the ratio of the second to that, and of what that
    /// ratio is multiplied by from node to node.
    fn logarithms(&self) -> [f64; 3] {
        let (t, h) = (self.first, self.h);
        [-0.5 * t * t, -h * (t + 0.5 * h), -h * h]
    }
}

wide! {
    fn exponentials(values: &mut [f64]) {
        for value in values {
            *value = exp(*value);
        }
    }
}

wide! {
    /// Sums of values times weights; `right` may be empty.
    fn weighted(
        start: &[f64; 3],
        left: &[f64],
        right: &[f64],
        entropy: &[f64],
    ) -> [f64; 3] {
        let [weight, ratio, shrink] = start;
        let (mut weights, mut ratios): (Lanes, Lanes) = ([*weight; LANES], [*ratio; LANES]);
        for lane in 1..LANES {
            weights[lane] = weights[lane - 1] * ratios[lane - 1];
            ratios[lane] = ratios[lane - 1] * shrink;
        }
        // from here on a step is that of all lanes: the ratio is the product of as many
        let fourth = shrink * shrink * (shrink * shrink);
        let eighth = fourth * fourth;
        let (between, shrink) = (fourth * eighth * (eighth * eighth), eighth.powi(8));
        for ratio in &mut ratios {
            let square = *ratio * *ratio;
            let fourth = square * square;
            *ratio = fourth * fourth * between;
        }
        let mut sums: [Lanes; 3] = [[0.0; LANES]; 3];
        let mut rest = right.chunks_exact(LANES);
        for (left, entropy) in left.chunks_exact(LANES).zip(entropy.chunks_exact(LANES)) {
            for lane in 0..LANES {
                sums[0][lane] += weights[lane] * left[lane];
                sums[2][lane] += weights[lane] * entropy[lane];
            }
            if let Some(right) = rest.next() {
                for lane in 0..LANES {
                    sums[1][lane] += weights[lane] * right[lane];
                }
            }
            for lane in 0..LANES {
                weights[lane] *= ratios[lane];
                ratios[lane] *= shrink;
            }
        }
        sums.map(|lanes| lanes.iter().sum::<f64>())
    }
}

/// Piecewise cubics of the logistic function and of the entropy on `[0, Z]`; both are symmetric.
///
/// Exact in value and slope at the knots, within 1e-8 between: about a fifth of the cost of the
/// exponentials and logarithms.
#[derive(Debug)]
struct Table(Vec<Cell>);

/// The cubics between two knots, side by side in one cache line.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Cell {
    logistic: [f64; 4],
    entropy: [f64; 4],
}

/// Knots per unit of margin.
const KNOTS: f64 = 16.0;

impl Table {
    fn new(answering: Answering) -> Self {
        let reach = SATURATED + answering.tie();
        let slope = |z: f64| logistic(z) * logistic(-z);
        let entropies = cubics(reach, |z| entropy(answering, z), |z| entropy_slope(answering, z));
        let cells = cubics(reach, logistic, slope).into_iter().zip(entropies);
        Self(cells.map(|(logistic, entropy)| Cell { logistic, entropy }).collect())
    }

    /// The logistic function and the entropy at `z`.
    #[inline]
    fn at(&self, z: f64) -> (f64, f64) {
        let x = z.abs() * KNOTS;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
        let index = (x as u32 as usize).min(self.0.len() - 1);
        let cell = &self.0[index];
        // beyond the end the last cell is constant and `u` only multiplies zeros
        let u = x - index as f64;
        let high = cubic(cell.logistic, u);
        (if z < 0.0 { 1.0 - high } else { high }, cubic(cell.entropy, u))
    }
}

#[inline]
fn cubic([a, b, c, d]: [f64; 4], u: f64) -> f64 {
    a + u * (b + u * (c + u * d))
}

/// Derivative of [`entropy`] in `z`.
fn entropy_slope(answering: Answering, z: f64) -> f64 {
    let (p, d) = (answering.outcomes(z), answering.outcome_slopes(z));
    let term = |p: f64, d: f64| if p > 0.0 { -d * p.ln() } else { 0.0 };
    term(p.left, d.left) + term(p.right, d.right) + term(p.tie, d.tie)
}

fn cubics(reach: f64, f: impl Fn(f64) -> f64, slope: impl Fn(f64) -> f64) -> Vec<[f64; 4]> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few hundred")]
    let count = (reach * KNOTS).ceil() as usize;
    let knot = |i: usize| {
        let z = i as f64 / KNOTS;
        (f(z), slope(z) / KNOTS)
    };
    let mut cells = Vec::with_capacity(count + 1);
    let mut from = knot(0);
    for i in 0..count {
        let to = knot(i + 1);
        let rise = to.0 - from.0;
        cells.push([from.0, from.1, 3.0 * rise - 2.0 * from.1 - to.1, from.1 + to.1 - 2.0 * rise]);
        from = to;
    }
    cells.push([from.0, 0.0, 0.0, 0.0]); // constant beyond the last knot
    cells
}

#[cfg(test)]
mod tests {
    use super::super::quadrature::{Quadrature, normal_pdf};
    use super::*;

    fn brute(m: f64, v: f64, f: impl Fn(f64) -> f64) -> f64 {
        let (s, count) = (v.sqrt(), 400_000);
        let h = 18.0 / f64::from(count);
        (0..=count).map(|j| f64::from(j) * h - 9.0).map(|t| h * normal_pdf(t) * f(m + s * t)).sum()
    }

    #[test]
    fn expectations_match_brute_force_for_narrow_and_wide_margins() {
        for (lapse, tie) in [(0.0, 0.0), (0.05, 0.0), (0.02, 0.8), (0.0, 2.5)] {
            let answering = Answering::new(lapse, tie).expect("in range");
            let (rule, averages) = (Quadrature::new(answering), Averages::new(answering));
            for m in [0.0, 0.7, -3.0, 12.0] {
                for v in [1e-12, 0.25, 0.26, 0.3, 1.0, 1.56, 1.57, 5.0, 15.9, 16.1, 25.0, 400.0] {
                    let [left, right, h] = averages.outcomes(&[m], &[v])[0];
                    let direct = rule.sides(m, v);
                    let exact_left = brute(m, v, |z| answering.outcomes(z).left);
                    assert!((direct.0 - exact_left).abs() < 1e-7, "{answering:?} {m} {v}");
                    assert!((left - direct.0).abs() < 1e-7 && (right - direct.1).abs() < 1e-7);
                    let exact = brute(m, v, |z| entropy(answering, z));
                    assert!((h - exact).abs() < 1e-7, "{answering:?} {m} {v}: {h} {exact}");
                }
            }
        }
    }

    #[test]
    fn swapped_sides_swap_chances_to_the_last_bit() {
        for (lapse, tie) in [(0.05, 0.0), (0.0, 0.7)] {
            let averages = Averages::new(Answering::new(lapse, tie).expect("in range"));
            let variances = [0.01, 0.3, 1.2, 3.3, 40.0];
            let here = averages.outcomes(&[0.123, 4.56, 7.89, 30.1, 2.2], &variances);
            let there = averages.outcomes(&[-0.123, -4.56, -7.89, -30.1, -2.2], &variances);
            for ([left, right, h], swapped) in here.iter().zip(there) {
                assert_eq!([*right, *left, *h].map(f64::to_bits), swapped.map(f64::to_bits));
            }
        }
    }

    #[test]
    fn extreme_margins_stay_within_bounds() {
        let answering = Answering::new(0.0, 0.5).expect("in range");
        let averages = Averages::new(answering);
        for m in [-1e12, 0.0, 1e12] {
            for v in [0.0, 1e24] {
                let [left, right, h] = averages.outcomes(&[m], &[v])[0];
                assert!((0.0..=1.0).contains(&left) && (0.0..=1.0).contains(&right));
                assert!((-1e-6..=1.1).contains(&h));
            }
        }
    }
}
