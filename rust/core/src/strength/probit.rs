//! Thurstone's model: impressions of items are normal around their scores, the stronger one wins.
//!
//! Two impressions that differ by less than a threshold tie. Tails are computed as ratios to the density,
//! so that far apart items keep finite derivatives.

use super::ties::Terms;

/// Beyond so many standard deviations a tail is a series.
const FAR: f64 = 20.0;

/// `P(i) = Phi(d - s)`, `P(j) = Phi(-d - s)`, the rest is a tie; `s`, at least 0, is the threshold.
pub(super) fn thurstone(d: f64, s: f64, [w, l, t]: [f64; 3]) -> Terms {
    if s < 0.0 || (s == 0.0 && t > 0.0) {
        return Terms::OUTSIDE;
    }
    let (won, lost) = (Tail::of(d - s), Tail::of(-d - s));
    let mut terms = Terms {
        value: w * won.log + l * lost.log,
        d: w * won.slope - l * lost.slope,
        s: -w * won.slope - l * lost.slope,
        dd: w * won.bend + l * lost.bend,
        ds: l * lost.bend - w * won.bend,
        ss: w * won.bend + l * lost.bend,
    };
    if t > 0.0 {
        let (between, side) = (Between::of(d.abs(), s), d.signum());
        terms.value += t * between.log;
        terms.d += t * side * between.d;
        terms.s += t * between.s;
        terms.dd += t * between.dd;
        terms.ds += t * side * between.ds;
        terms.ss += t * between.ss;
    }
    terms
}

/// `ln Phi(x)`, its derivative, and minus the second one.
struct Tail {
    log: f64,
    slope: f64,
    bend: f64,
}

impl Tail {
    fn of(x: f64) -> Self {
        let (log, slope) = if x > 0.0 {
            let share = 0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2);
            (share.ln(), density(x) / share)
        } else {
            let ratio = mills(-x);
            (log_density(x) + ratio.ln(), 1.0 / ratio)
        };
        Self { log, slope, bend: (slope * (x + slope)).max(0.0) }
    }
}

/// `ln (Phi(d + s) - Phi(d - s))` for `d` of at least 0, with derivatives; second ones with their sign turned.
struct Between {
    log: f64,
    d: f64,
    s: f64,
    dd: f64,
    ds: f64,
    ss: f64,
}

impl Between {
    fn of(d: f64, s: f64) -> Self {
        let (u, v) = (d + s, d - s);
        // phi(u) = fade phi(v)
        let fade = (-2.0 * d * s).exp();
        let (inside, log) = if v > 0.0 {
            let inside = mills(v) - mills(u) * fade;
            (inside, log_density(v) + inside.ln())
        } else {
            let share = 0.5
                * (libm::erfc(v * std::f64::consts::FRAC_1_SQRT_2)
                    - libm::erfc(u * std::f64::consts::FRAC_1_SQRT_2));
            (share / density(v), share.ln())
        };
        let (q, p) = (1.0 / inside, fade / inside);
        Self {
            log,
            d: p - q,
            s: p + q,
            dd: (u * p - v * q + (p - q) * (p - q)).max(0.0),
            ds: u * p + v * q + p * p - q * q,
            ss: (u * p - v * q + (p + q) * (p + q)).max(0.0),
        }
    }
}

fn log_density(x: f64) -> f64 {
    -0.5 * (x * x + (2.0 * std::f64::consts::PI).ln())
}

fn density(x: f64) -> f64 {
    log_density(x).exp()
}

/// `(1 - Phi(x)) / phi(x)` for `x` of at least 0.
fn mills(x: f64) -> f64 {
    if x < FAR {
        return 0.5 * libm::erfc(x * std::f64::consts::FRAC_1_SQRT_2) / density(x);
    }
    let square = 1.0 / (x * x);
    (1.0 - square * (1.0 - 3.0 * square * (1.0 - 5.0 * square * (1.0 - 7.0 * square)))) / x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_has_no_step_where_the_series_begins() {
        assert!((mills(FAR) / mills(FAR - 1e-9) - 1.0).abs() < 1e-9);
        assert!((mills(0.0) - (0.5 * std::f64::consts::PI).sqrt()).abs() < 1e-15);
    }

    #[test]
    fn far_apart_items_keep_finite_derivatives() {
        for d in [-1e3, -50.0, 50.0, 1e3] {
            let terms = thurstone(d, 0.4, [1.0, 2.0, 3.0]);
            for value in [terms.value, terms.d, terms.s, terms.dd, terms.ds, terms.ss] {
                assert!(value.is_finite(), "{d} {terms:?}");
            }
        }
    }
}
