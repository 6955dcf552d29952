//! Functions that give the same bits on every machine: built on `libm`, never on the platform's.

/// `x` to a whole power by repeated squaring.
pub(super) fn power(mut x: f64, mut exponent: u64) -> f64 {
    let mut result = 1.0;
    while exponent > 0 {
        if exponent & 1 == 1 {
            result *= x;
        }
        x *= x;
        exponent >>= 1;
    }
    result
}

/// `P(X > x)` for `X` of the gamma distribution with whole shape `b` and rate 1.
///
/// Series of the lower function below the mean, continued fraction of the upper one above.
///
/// Source: Press et al. 2007, section 6.2.
pub(super) fn gamma_survival(b: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    let front = libm::exp(b * libm::log(x) - x - libm::lgamma(b));
    if x < b + 1.0 {
        let (mut term, mut sum, mut k) = (1.0 / b, 1.0 / b, b);
        while term > sum * 1e-17 {
            k += 1.0;
            term *= x / k;
            sum += term;
        }
        return 1.0 - front * sum;
    }
    front * upper_fraction(b, x)
}

/// Continued fraction of the upper incomplete gamma function over `x^b e^-x` (modified Lentz).
fn upper_fraction(b: f64, x: f64) -> f64 {
    let tiny = 1e-300;
    let mut base = x + 1.0 - b;
    let mut c = 1.0 / tiny;
    let mut d = 1.0 / if base == 0.0 { tiny } else { base };
    let mut h = d;
    for i in 1..100_000 {
        let i = f64::from(i);
        let a = -i * (i - b);
        base += 2.0;
        d = a * d + base;
        d = 1.0 / if d.abs() < tiny { tiny } else { d };
        c = base + a / c;
        c = if c.abs() < tiny { tiny } else { c };
        let step = d * c;
        h *= step;
        if (step - 1.0).abs() < 1e-15 {
            break;
        }
    }
    h
}

/// `e^x E1(x)` for `x >= 1`: the exponential integral without its decay.
pub(super) fn scaled_exponential_integral(x: f64) -> f64 {
    upper_fraction(0.0, x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_and_integrals_have_their_values() {
        assert!((power(1.1, 10) - 2.593_742_460_1).abs() < 1e-12);
        assert!((power(2.0, 1) - 2.0).abs() < 1e-300);
        let survival = |b: f64, x: f64| {
            let mut term = (-x).exp();
            let mut sum = 0.0;
            let mut k = 0.0;
            while k < b {
                sum += term;
                k += 1.0;
                term *= x / k;
            }
            sum
        };
        for (b, x) in
            [(1.0, 0.3), (1.0, 5.0), (3.0, 2.0), (20.0, 25.0), (20.0, 60.0), (100.0, 99.0)]
        {
            let (got, expected) = (gamma_survival(b, x), survival(b, x));
            assert!(
                (got - expected).abs() < 1e-12 * expected.max(1e-3),
                "{b} {x} {got} {expected}"
            );
        }
        for (l, expected) in [
            (0.0, 0.596_347),
            (0.25, 0.511_033),
            (0.5, 0.448_257),
            (0.75, 0.399_880),
            (1.0, 0.361_329),
            (1.5, 0.303_526),
            (2.0, 0.262_084),
            (3.0, 0.206_346),
            (5.0, 0.145_268),
        ] {
            assert!((scaled_exponential_integral(1.0 + l) - expected).abs() < 6e-7, "{l}");
        }
    }
}
