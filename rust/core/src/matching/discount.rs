//! The score function of stochastic balance: what is left of an item's appeal after a load.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::numbers::gamma_survival;

const CELLS: usize = 1024;

/// Scores never reach zero: an unlucky item's load exceeds its capacity, and it must stay eligible.
pub(super) const FLOOR: f64 = 1e-12;

/// Capacities up to this have a table of their own; above, tables are shared on a grid of ratio
/// `2^(1/16)`, over which the function moves by less than a thousandth.
const OWN: f64 = 1024.0;

/// Above this capacity the function is within a thousandth of its limit `1 - e^(x - 1)`.
const LARGE: f64 = 65_536.0;

/// Tables that were made, by the bits of their capacity: a table takes milliseconds to make and is
/// always the same, so that matchers share it. There are fewer than 1,200.
static MADE: Mutex<BTreeMap<u64, Arc<Discount>>> = Mutex::new(BTreeMap::new());

/// `f_b` over `x = load / capacity`, linear between 1,025 points and constant beyond the last.
///
/// With `S(L)` the chance that a hidden lifetime of the gamma distribution with shape `b` exceeds
/// `L`, and `A(L) = E min(max(lifetime - max(L - b, 0), 0), min(L, b)) + max(b - L, 0)`, `f` solves
/// `f' = -(S (1 - f) + f A') / A` and stays bounded. Integrated backwards, which is the stable
/// direction, by the classical Runge-Kutta method.
#[derive(Debug, Clone)]
pub(super) struct Discount {
    points: Vec<f64>,
    per_unit: f64,
}

impl Discount {
    /// The capacity whose table serves `capacity`.
    pub(super) fn representative(capacity: f64) -> f64 {
        if capacity <= OWN {
            return capacity;
        }
        if capacity > LARGE {
            return f64::INFINITY;
        }
        let step = (16.0 * libm::log2(capacity / OWN)).round();
        (OWN * libm::exp2(step / 16.0)).round()
    }

    /// The table of a capacity that represents itself.
    pub(super) fn shared(capacity: f64) -> Arc<Self> {
        let Ok(mut made) = MADE.lock() else { return Arc::new(Self::new(capacity)) };
        let table = made.entry(capacity.to_bits()).or_insert_with(|| Arc::new(Self::new(capacity)));
        Arc::clone(table)
    }

    fn new(capacity: f64) -> Self {
        let b = capacity;
        if b > LARGE {
            let point = |i: usize| (-libm::expm1(i as f64 / CELLS as f64 - 1.0)).max(FLOOR);
            return Self { points: (0..=CELLS).map(point).collect(), per_unit: CELLS as f64 };
        }
        let reach = if b < 50.0 { (1.0 + 8.0 / b.sqrt()).max(4.0) } else { 1.0 + 10.0 / b.sqrt() };
        let cell = reach * b / CELLS as f64;
        let steps = (cell / (b / 500.0).min(b.sqrt() / 25.0)).ceil();
        let h = cell / steps;
        let mut points = vec![0.0; CELLS + 1];
        let mut right = Rates::at(b, reach * b);
        let mut f = right.survival / (right.survival + right.loss);
        points[CELLS] = f.max(FLOOR);
        for i in (0..CELLS).rev() {
            let mut load = (i + 1) as f64 * cell;
            let mut left = steps;
            while left > 0.0 {
                let (middle, next) =
                    (Rates::at(b, load - h / 2.0), Rates::at(b, (load - h).max(0.0)));
                let k1 = right.slope(f);
                let k2 = middle.slope(f - h / 2.0 * k1);
                let k3 = middle.slope(f - h / 2.0 * k2);
                let k4 = next.slope(f - h * k3);
                f -= h / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4);
                right = next;
                load -= h;
                left -= 1.0;
            }
            points[i] = f.max(FLOOR);
        }
        Self { points, per_unit: CELLS as f64 / reach }
    }

    /// `f_b(load / capacity)`.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the position was compared with the last cell and is not negative"
    )]
    pub(super) fn at(&self, x: f64) -> f64 {
        let position = x * self.per_unit;
        if position >= CELLS as f64 {
            return self.points[CELLS];
        }
        let cell = position as usize;
        let (low, high) = (self.points[cell], self.points[cell + 1]);
        low + (high - low) * (position - cell as f64)
    }
}

/// The coefficients of the equation at one load.
#[derive(Clone, Copy)]
struct Rates {
    survival: f64,
    /// `-A'`.
    loss: f64,
    area: f64,
}

impl Rates {
    fn at(b: f64, load: f64) -> Self {
        let here = gamma_survival(b, load);
        let back = (load - b).max(0.0);
        let before = gamma_survival(b, back);
        let loss = before - here;
        // shape b + 1 has the density of a Poisson count on top
        let above = |x: f64, survival: f64| {
            let density = b * libm::log(x.max(1e-300)) - x - libm::lgamma(b + 1.0);
            survival + libm::exp(density)
        };
        let longer = above(back, before) - above(load, here);
        Self { survival: here, loss, area: b * here + (b - load) * loss + b * longer }
    }

    fn slope(&self, f: f64) -> f64 {
        -(self.survival * (1.0 - f) - f * self.loss) / self.area
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_its_published_points() {
        let xs = [0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0];
        let rows: [(f64, [f64; 8], f64); 7] = [
            (1.0, [0.57610, 0.4863, 0.42330, 0.3832, 0.36788, 0.36788, 0.36788, 0.36788], 6e-5),
            (2.0, [0.60905, 0.5065, 0.41224, 0.33739, 0.28434, 0.25183, 0.23102, 0.2059], 6e-5),
            (3.0, [0.61925, 0.51404, 0.40434, 0.30996, 0.23849, 0.19012, 0.1589, 0.12345], 6e-5),
            (5.0, [0.62616, 0.52044, 0.39663, 0.27912, 0.18723, 0.12486, 0.08652, 0.04934], 6e-5),
            (10.0, [0.63003, 0.52496, 0.39231, 0.2482, 0.13214, 0.06189, 0.02752, 0.00657], 6e-5),
            (20.0, [0.63138, 0.52668, 0.39239, 0.23052, 0.09259, 0.02497, 0.00496, 0.00018], 6e-5),
            (100.0, [0.63205, 0.52755, 0.39336, 0.22114, 0.04065, 0.0005, 0.0, 0.0], 6e-5),
        ];
        for (b, expected, tolerance) in rows {
            let table = Discount::new(b);
            for (x, value) in xs.into_iter().zip(expected) {
                let got = table.at(x);
                assert!((got - value).abs() < tolerance, "b {b}, x {x}: {got} not {value}");
            }
        }
    }

    #[test]
    fn one_unit_has_its_closed_form() {
        // f' = (f - e^-L) / (2 - L - e^-L) on [0, 1], f(1) = 1/e
        assert!((Discount::new(1.0).at(0.0) - 0.576_102).abs() < 1e-6);
    }

    #[test]
    fn it_falls_and_stays_inside_zero_and_one() {
        for b in [1.0, 2.0, 7.0, 49.0, 50.0, 256.0, 1000.0, 5000.0, 60_000.0, f64::INFINITY] {
            let table = Discount::new(Discount::representative(b));
            let values: Vec<f64> = (0..2000).map(|i| table.at(f64::from(i) / 400.0)).collect();
            assert!(values.windows(2).all(|pair| pair[1] <= pair[0] + 1e-14), "b {b}");
            assert!(values.iter().all(|f| *f > 0.0 && *f < 1.0), "b {b}");
        }
        assert!((Discount::new(f64::INFINITY).at(0.25) - (1.0 - (-0.75_f64).exp())).abs() < 1e-6);
    }
}
