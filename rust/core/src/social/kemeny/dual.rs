//! Bounds that weights on cycles of three prove, in whole numbers so that no rounding makes them too high.

use super::ascent::Ascent;
use crate::{Result, Stop};

/// Margins become at most so many steps, for sums of 64 rows of 64 of them to fit 32 bits.
const FINEST: f64 = 262_144.0;

/// What an optimum can be told from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Aim {
    /// Of the best order known.
    pub(super) excess: f64,
    /// Orders differ by a multiple of it; 0 where margins are not exact.
    pub(super) grain: f64,
    /// Smaller gains count as none.
    pub(super) tolerance: f64,
}

impl Aim {
    pub(super) fn new(margins: &[f64], exact: bool, excess: f64, tolerance: f64) -> Self {
        Self { excess, grain: if exact { grain(margins) } else { 0.0 }, tolerance }
    }

    /// The highest excess that counts as better.
    pub(super) fn better(&self) -> f64 {
        self.excess - self.grain.max(self.tolerance)
    }

    /// Whether a lower bound leaves room for no better order.
    pub(super) fn reached(&self, bound: f64) -> bool {
        self.excess <= bound + self.tolerance || self.better() < bound
    }

    /// A lower bound moved up to the next cost that an order can have.
    pub(super) fn rounded(&self, bound: f64) -> f64 {
        if self.grain > 0.0 { (bound / self.grain).ceil() * self.grain } else { bound }
    }
}

/// The greatest common divisor of whole margins.
fn grain(margins: &[f64]) -> f64 {
    margins.iter().fold(0.0, |mut a: f64, b| {
        let mut b = b.abs();
        while b > 0.0 {
            (a, b) = (b, a % b);
        }
        a
    })
}

/// Weights of cycles in steps of `step`.
pub(super) struct Dual {
    pub(super) q: usize,
    pub(super) step: f64,
    /// `(q, q)`, margins in steps, rounded towards 0: no order becomes dearer by that.
    pub(super) margins: Vec<i32>,
    /// For all `a < b < c`, the last fastest.
    pub(super) weights: Vec<i32>,
    /// No order has a lower excess.
    pub(super) bound: f64,
}

impl Dual {
    #[allow(clippy::cast_possible_truncation, reason = "at most FINEST in size")]
    fn new(margins: &[f64], q: usize, ascent: &Ascent) -> Self {
        let most = margins.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
        let mut step = 1.0; // a power of two, so that whole margins stay exact where they fit
        while most / step > FINEST {
            step *= 2.0;
        }
        while most > f64::MIN_POSITIVE && most / step <= FINEST / 2.0 {
            step /= 2.0;
        }
        let margins = margins.iter().map(|x| (x / step) as i32).collect();
        let mut weights = Vec::with_capacity(q * q.saturating_sub(1) * q.saturating_sub(2) / 6);
        ascent.each(|_, weight| weights.push((weight.clamp(-most, most) / step).round() as i32));
        let mut dual = Self { q, step, margins, weights, bound: 0.0 };
        dual.bound = dual.proven();
        dual
    }

    /// `(sum |margin| - sum |d| - sum |z|) / 2`, which any weights make a lower bound.
    fn proven(&self) -> f64 {
        let q = self.q;
        let mut left = self.margins.clone();
        let mut sum: i64 = 0;
        let mut weights = self.weights.iter();
        for a in 0..q {
            for b in a + 1..q {
                let mut inner = 0;
                for (c, z) in (b + 1..q).zip(&mut weights) {
                    inner += z;
                    left[a * q + c] += z;
                    left[b * q + c] -= z;
                    sum -= i64::from(z.abs());
                }
                left[a * q + b] -= inner;
            }
        }
        for a in 0..q {
            for b in a + 1..q {
                let at = a * q + b;
                sum += i64::from(self.margins[at].abs()) - i64::from(left[at].abs());
            }
        }
        sum.max(0) as f64 * (self.step / 2.0)
    }
}

/// Sweeps until the bound reaches the aim or hardly rises, at most so many times.
pub(super) fn ascend(
    margins: &[f64],
    q: usize,
    aim: Aim,
    sweeps: usize,
    stop: Stop<'_>,
) -> Result<Dual> {
    let mut ascent = Ascent::new(margins, q);
    let mut best = Dual::new(margins, q, &ascent);
    let mut done = 0;
    let mut slow = 0;
    while done < sweeps && slow < 2 && !aim.reached(best.bound) && !stop.expired() {
        let more = done.clamp(10, 40).min(sweeps - done);
        ascent.run(more, stop)?;
        done += more;
        let next = Dual::new(margins, q, &ascent);
        let rise = next.bound - best.bound;
        slow = if rise < 0.01 * (aim.excess - best.bound) { slow + 1 } else { 0 };
        if rise > 0.0 {
            best = next;
        }
    }
    Ok(best)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::local;
    use super::super::pieces::{Firsts, first_order};
    use super::super::subset::Table;
    use super::*;
    use crate::rng::Stream;

    /// Kinds of random margins: of one size, of many, with ties, and no whole numbers.
    pub(in super::super) const KINDS: [&str; 4] = ["unit", "weighted", "tied", "real"];

    pub(in super::super) fn margins(q: usize, kind: &str, seed: usize) -> Vec<f64> {
        let mut stream = Stream::new(seed as u64, q as u64);
        let mut out = vec![0.0; q * q];
        for a in 0..q {
            for b in a + 1..q {
                let size = match kind {
                    "unit" => 1.0,
                    "weighted" => (3 + 6 * stream.below(50)) as f64,
                    "tied" => stream.below(3) as f64,
                    _ => stream.below(1000) as f64 * 0.1 + 0.01,
                };
                out[a * q + b] = if stream.bits() >> 63 == 0 { size } else { -size };
                out[b * q + a] = -out[a * q + b];
            }
        }
        out
    }

    /// What [`super::super::tolerance`] says of such margins.
    pub(in super::super) fn tolerance(q: usize, kind: &str) -> f64 {
        if kind == "real" { 1e-10 * q as f64 } else { 0.0 }
    }

    /// Items that come first in a best order, the first best order, and its excess.
    pub(in super::super) fn best(
        margins: &[f64],
        q: usize,
        kind: &str,
    ) -> (Vec<usize>, Vec<usize>, f64) {
        let costs = margins.iter().map(|x| (-x).max(0.0)).collect();
        let table = Table::<f64>::new(costs, q, Some(1), Stop::never()).expect("not stopped");
        let tolerance = tolerance(q, kind);
        let same = move |a: f64, b: f64| (a - b).abs() <= tolerance;
        let firsts: Firsts =
            Box::new(move |left| table.firsts(usize::try_from(left).expect("few items"), &same));
        let (winners, order) = first_order(q, &firsts);
        let excess = local::excess(margins, q, &order);
        (winners, order, excess)
    }

    fn small(stream: &mut Stream) -> i32 {
        i32::try_from(stream.below(1 << 19)).expect("19 bits") - (1 << 18)
    }

    fn raised(margins: &[f64], q: usize, aim: Aim, sweeps: usize) -> f64 {
        ascend(margins, q, aim, sweeps, Stop::never()).expect("not stopped").bound
    }

    #[test]
    fn no_bound_is_above_the_optimum() {
        for seed in 0..150 {
            for q in 2..=11 {
                for kind in KINDS {
                    let margins = margins(q, kind, seed);
                    let least = best(&margins, q, kind).2;
                    let aim = Aim::new(&margins, kind != "real", least + 1e9, 0.0);
                    let bound = raised(&margins, q, aim, [0, 3, 30, 300][seed % 4]);
                    assert!(bound <= least + 1e-9, "{q} {kind} {seed}: {bound} above {least}");
                    let rounded = aim.rounded(bound);
                    assert!(bound <= rounded && rounded <= least + 1e-9, "{q} {kind} {seed}");
                }
            }
        }
    }

    #[test]
    fn wild_weights_and_margins_prove_nothing_wrong() {
        for (seed, scale) in [1e-300, 1e-9, 1.0, 1e7, 1e12, 1e300].into_iter().enumerate() {
            let q = 9;
            let plain = margins(q, "weighted", seed);
            let least = best(&plain, q, "weighted").2 * scale;
            let margins: Vec<f64> = plain.iter().map(|x| x * scale).collect();
            let aim = Aim::new(&margins, false, least * 2.0, 0.0);
            let bound = raised(&margins, q, aim, 200);
            assert!(bound <= least * (1.0 + 1e-12), "{scale}: {bound} above {least}");
            assert!(bound >= least * 0.9 || scale == 1e-300, "{scale}: {bound} far below {least}");
            let mut dual = ascend(&margins, q, aim, 5, Stop::never()).expect("not stopped");
            let mut stream = Stream::new(seed as u64, 1);
            dual.weights.iter_mut().for_each(|z| *z = small(&mut stream));
            assert!(dual.proven() <= least, "{scale}");
        }
    }

    #[test]
    fn a_cycle_of_three_costs_its_weakest_margin() {
        // 0 beats 1 by 5, 1 beats 2 by 3, 2 beats 0 by 7
        let margins = [0.0, 5.0, -7.0, -5.0, 0.0, 3.0, 7.0, -3.0, 0.0];
        let aim = Aim::new(&margins, true, 3.0, 0.0);
        assert_eq!(aim.grain, 1.0);
        let bound = raised(&margins, 3, aim, 100);
        assert!(aim.reached(bound) && aim.rounded(bound) == 3.0, "{bound}");
        assert!(!aim.reached(2.0) && aim.reached(2.1) && aim.better() == 2.0);
        assert_eq!(Aim::new(&[0.0, 6.0, -6.0, 0.0], true, 0.0, 0.0).grain, 6.0);
    }

    #[test]
    fn bounds_of_random_tournaments_beat_disjoint_cycles() {
        for q in [15, 22, 40] {
            let margins = margins(q, "unit", 1);
            let aim = Aim::new(&margins, true, 1e9, 0.0);
            let cycles = super::super::search::cycle_bound(&margins, q);
            let bound = raised(&margins, q, aim, 200);
            assert!(bound > 1.05 * cycles, "{q}: {bound} against {cycles}");
        }
    }
}
