//! Threshold: edge weights in a known range, nothing is given back.

use super::super::items::Items;
use super::{Dual, Kernel, Reads, Rule, Table, nothing_to_prepare, use_unit};
use crate::{Error, Result};

pub(super) static THRESHOLD: Rule = Rule {
    name: "threshold",
    source: "derived: prices for which every match pays for the growth of the dual",
    laws: &["feasible", "certificate"],
    reads: Reads::Weight,
    has_budgets: false,
    has_weights: false,
    is_stochastic: false,
    options: &["range"],
    seeds_per_unit: false,
    table: Table::None,
    kernel: Kernel::AtLeastPrice,
    start: nothing_to_prepare,
    factor: price,
    earn: |plan, items, edge, arrival| {
        use_unit(plan, items, edge, arrival);
        edge.value
    },
    dual: Some(Dual {
        price: |plan, items, u| match items.state[u].limit {
            limit if limit > 0.0 => plan.threshold.at(items.state[u].used / limit),
            _ => 0.0,
        },
        scale: |_, _| 1.0,
    }),
};

fn price(plan: &super::Plan, items: &Items, u: usize) -> f64 {
    let (used, limit) = (items.state[u].used, items.state[u].limit);
    if used < limit { plan.threshold.at(used / limit) } else { f64::INFINITY }
}

/// The price as a function of the used share; the worst-case ratio is `1 / alpha`.
///
/// `alpha (1 - ln(alpha / (alpha - 1))) = ln(U / L)`; with `z1 = ln(alpha / (alpha - 1))` the price is
/// `(alpha - 1) L (e^z - 1)` below `z1` and `L e^(alpha (z - z1))` above.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Curve {
    pub(crate) alpha: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    bend: f64,
}

impl Curve {
    pub(crate) fn new((low, high): (f64, f64)) -> Result<Self> {
        if !(low > 0.0 && high >= low && high.is_finite()) {
            let expected = "0 < least <= largest weight";
            return Err(Error::range("range", expected, format!("({low}, {high})")));
        }
        let spread = libm::log(high) - libm::log(low);
        let (mut below, mut above) = (1.0, 200.0_f64.max(spread + 10.0));
        for _ in 0..200 {
            let middle = f64::midpoint(below, above);
            if middle * (1.0 - bend(middle)) < spread { below = middle } else { above = middle }
        }
        Ok(Self { alpha: above, low, high, bend: bend(above) })
    }

    pub(crate) fn at(&self, share: f64) -> f64 {
        if share < self.bend {
            (self.alpha - 1.0) * self.low * libm::expm1(share)
        } else {
            self.low * libm::exp(self.alpha * (share - self.bend))
        }
    }
}

fn bend(alpha: f64) -> f64 {
    libm::log(alpha / (alpha - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_and_the_ends_of_the_curve_have_their_values() {
        let rows = [
            (1.0, 0.6321),
            (2.0, 0.4851),
            (5.0, 0.3519),
            (10.0, 0.2872),
            (100.0, 0.1753),
            (1000.0, 0.1254),
        ];
        for (spread, ratio) in rows {
            let curve = Curve::new((3.0, 3.0 * spread)).expect("valid");
            assert!((1.0 / curve.alpha - ratio).abs() < 6e-5, "{spread}");
            assert!(curve.at(0.0) == 0.0);
            assert!((curve.at(1.0) / (3.0 * spread) - 1.0).abs() < 1e-9, "{spread}");
        }
        assert!(Curve::new((0.0, 1.0)).is_err() && Curve::new((2.0, 1.0)).is_err());
        assert!(Curve::new((1.0, f64::INFINITY)).is_err());
    }
}
