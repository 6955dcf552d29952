//! Expectations over a Gaussian margin, to about 1e-8 for any mean and variance.
//!
//! The functions are analytic in the strip of half-width pi around the real axis, where the trapezoid
//! rule converges geometrically. Up to [`NARROW`] standard deviations the grid follows the Gaussian
//! (15 to 41 nodes); above, where the Gaussian is the smoother factor, it follows the function. Gauss
//! and Hermite's rule with 64 nodes is off by 1e-4 at a standard deviation of 5.
//!
//! Source: Trefethen and Weideman 2014, sections 5 and 7.

use super::likelihood::{Answering, logistic};
use std::f64::consts::{PI, SQRT_2};

/// Largest standard deviation of the margin integrated on a grid that follows the Gaussian.
const NARROW: f64 = 4.0;
/// Standard deviations of the narrow rules; a margin takes the first that is not below its own.
const SPREADS: [f64; 6] = [1.0, 1.5, 2.0, 2.5, 3.0, NARROW];
/// Nodes lie within this many standard deviations; the tails hold 2e-8.
const REACH: f64 = 5.6;
/// Margin beyond which the logistic function is 0 or 1 to 1e-11.
const SATURATED: f64 = 26.0;
/// Slope at which the normal distribution function is nearest to the logistic one.
const PROBIT: f64 = 0.588;

/// Nodes and weights, shared by all margins of a call.
#[derive(Debug)]
pub(super) struct Quadrature {
    answering: Answering,
    narrow: Vec<Vec<(f64, f64)>>,
    /// `s(z) - Phi(c z)` on the grid `-Z, 1 - Z, ..., Z`.
    wide_logistic: Vec<f64>,
    /// Entropy minus its limit on a grid reaching `tie` further.
    wide_entropy: Vec<f64>,
    entropy_limit: f64,
}

impl Quadrature {
    pub(super) fn new(answering: Answering) -> Self {
        let narrow = SPREADS.iter().map(|s| trapezoid(*s)).collect();
        let entropy_limit = entropy(answering, f64::INFINITY);
        let wide_logistic = grid(SATURATED).map(|z| logistic(z) - normal_cdf(PROBIT * z)).collect();
        let wide_entropy = grid((SATURATED + answering.tie()).ceil())
            .map(|z| entropy(answering, z) - entropy_limit)
            .collect();
        Self { answering, narrow, wide_logistic, wide_entropy, entropy_limit }
    }

    /// Outcome probabilities averaged over `z ~ N(m, v)`: left and right.
    pub(super) fn sides(&self, m: f64, v: f64) -> (f64, f64) {
        self.sides_with(m, v, logistic)
    }

    fn sides_with(&self, m: f64, v: f64, f: impl Fn(f64) -> f64) -> (f64, f64) {
        let tie = self.answering.tie();
        let left = self.answering.lapsed(self.logistic_mean(m - tie, v, &f));
        if tie == 0.0 {
            return (left, 1.0 - left);
        }
        (left, self.answering.lapsed(self.logistic_mean(-m - tie, v, &f)))
    }

    /// As [`Self::sides`] with a table, then the expected entropy of the answer in nats.
    pub(super) fn outcomes(&self, m: f64, v: f64, table: &Table) -> (f64, f64, f64) {
        let s = v.sqrt();
        let Some(nodes) = self.nodes(s) else {
            let (left, right) = self.sides(m, v);
            return (left, right, self.entropy_limit + wide(&self.wide_entropy, m, s));
        };
        if self.answering.tie() > 0.0 {
            let (left, right) = self.sides_with(m, v, |z| table.at(z).0);
            return (left, right, nodes.iter().map(|(t, w)| w * table.at(m + s * t).1).sum());
        }
        let (mut left, mut entropy) = (0.0, 0.0);
        for (t, w) in nodes {
            let (p, h) = table.at(m + s * t);
            left += w * p;
            entropy += w * h;
        }
        let left = self.answering.lapsed(f64::clamp(left, 0.0, 1.0));
        (left, 1.0 - left, entropy)
    }

    fn logistic_mean(&self, m: f64, v: f64, f: impl Fn(f64) -> f64) -> f64 {
        let s = v.sqrt();
        let mean = if let Some(nodes) = self.nodes(s) {
            nodes.iter().map(|(t, w)| w * f(m + s * t)).sum()
        } else {
            let smooth = normal_cdf(PROBIT * m / (1.0 + PROBIT * PROBIT * v).sqrt());
            smooth + wide(&self.wide_logistic, m, s)
        };
        f64::clamp(mean, 0.0, 1.0)
    }

    fn nodes(&self, s: f64) -> Option<&[(f64, f64)]> {
        let index = SPREADS.iter().position(|most| s <= *most)?;
        Some(&self.narrow[index])
    }
}

/// Nodes and weights for the standard normal, fine enough for margins of standard deviation `s`.
pub(super) fn trapezoid(s: f64) -> Vec<(f64, f64)> {
    // the error exp(pi^2 / (2 s^2) - 2 pi^2 / (h s)) of the nearest pole is below exp(-17.5)
    let widest = 2.0 * PI * PI * s / (17.5 * s * s + 0.5 * PI * PI);
    let h = widest.min(0.8);
    #[expect(clippy::cast_possible_truncation, reason = "at most a few dozen")]
    let count = (REACH / h).ceil() as i32;
    let mut nodes: Vec<(f64, f64)> =
        (-count..=count).map(|j| f64::from(j) * h).map(|t| (t, (-0.5 * t * t).exp())).collect();
    let total: f64 = nodes.iter().map(|(_, w)| w).sum();
    for (_, w) in &mut nodes {
        *w /= total;
    }
    nodes
}

fn grid(reach: f64) -> impl Iterator<Item = f64> {
    #[expect(clippy::cast_possible_truncation, reason = "below a hundred")]
    let reach = reach as i32;
    (-reach..=reach).map(f64::from)
}

/// Sum over integers `z` of `values` times the density of `N(m, s^2)`.
fn wide(values: &[f64], m: f64, s: f64) -> f64 {
    let reach = (values.len() / 2) as f64;
    let sum: f64 = values
        .iter()
        .enumerate()
        .map(|(j, value)| {
            let t = (j as f64 - reach - m) / s;
            value * (-0.5 * t * t).exp()
        })
        .sum();
    sum / (s * (2.0 * PI).sqrt())
}

/// Entropy of the answer at margin `z`, in nats.
fn entropy(answering: Answering, z: f64) -> f64 {
    let o = answering.outcomes(z);
    plogp(o.left) + plogp(o.right) + plogp(o.tie)
}

/// `-p log p`, zero at zero.
pub(super) fn plogp(p: f64) -> f64 {
    if p > 0.0 { -p * p.ln() } else { 0.0 }
}

/// Standard normal distribution function.
pub(super) fn normal_cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x / SQRT_2)
}

/// Standard normal density.
pub(super) fn normal_pdf(x: f64) -> f64 {
    (-0.5 * x * x).exp() / (2.0 * PI).sqrt()
}

/// Piecewise cubics of the logistic function and of the entropy on `[0, Z]`; both are symmetric.
///
/// Exact in value and slope at the knots, within 1e-8 between: about a fifth of the cost of the
/// exponentials and logarithms when twenty thousand pairs are scored at 15 nodes each.
#[derive(Debug)]
pub(super) struct Table(Vec<Cell>);

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
    pub(super) fn new(answering: Answering) -> Self {
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
            let (rule, table) = (Quadrature::new(answering), Table::new(answering));
            for m in [0.0, 0.7, -3.0, 12.0] {
                for v in [1e-12, 0.3, 1.0, 5.0, 15.9, 16.1, 25.0, 400.0] {
                    let (left, right, h) = rule.outcomes(m, v, &table);
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
    fn extreme_margins_stay_within_bounds() {
        let answering = Answering::new(0.0, 0.5).expect("in range");
        let (rule, table) = (Quadrature::new(answering), Table::new(answering));
        for m in [-1e12, 0.0, 1e12] {
            for v in [0.0, 1e24] {
                let (left, right, h) = rule.outcomes(m, v, &table);
                assert!((0.0..=1.0).contains(&left) && (0.0..=1.0).contains(&right));
                assert!((-1e-6..=1.1).contains(&h));
            }
        }
    }
}
