//! Exponentials and logarithms in plain arithmetic, for loops that the compiler vectorises.

/// `exp x` to 1e-14 of itself for `x` up to 700; about 1e-304 below -700.
///
/// `x = n log 2 + r`, and Taylor's series of `exp r`: plain arithmetic, which the compiler vectorises.
#[inline(always)]
#[allow(clippy::inline_always, reason = "part of wide functions")]
pub(super) fn exp(x: f64) -> f64 {
    const ROUND: f64 = 6_755_399_441_055_744.0; // 1.5 * 2^52: what is added to it loses its fraction
    const HIGH: f64 = 6.931_471_803_691_238e-1; // log 2 in two parts
    const LOW: f64 = 1.908_214_929_270_587_7e-10;
    let x = if x > -700.0 { x } else { -700.0 };
    let shifted = x * std::f64::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * HIGH - n * LOW;
    let mut series = 1.0 / 39_916_800.0;
    for factorial in
        [3_628_800.0, 362_880.0, 40_320.0, 5_040.0, 720.0, 120.0, 24.0, 6.0, 2.0, 1.0, 1.0]
    {
        series = series * r + 1.0 / factorial;
    }
    series * f64::from_bits(shifted.to_bits().wrapping_add(1023) << 52)
}

/// `log(1 + e)` to 1e-12 for `e` in `[0, 1]`: twice the area tangent of `e / (2 + e)`.
#[inline(always)]
#[allow(clippy::inline_always, reason = "part of wide functions")]
pub(super) fn ln_above(e: f64) -> f64 {
    let s = e / (2.0 + e);
    let square = s * s;
    let mut series = 1.0 / 23.0;
    for odd in [21.0, 19.0, 17.0, 15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0, 1.0] {
        series = series * square + 1.0 / odd;
    }
    2.0 * s * series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_those_of_the_standard_library() {
        for step in 0..=80_000 {
            let x = -f64::from(step) * 0.01;
            let (e, expected) = (exp(x), x.exp());
            assert!(x < -700.0 || (e - expected).abs() <= 1e-14 * expected, "{x}");
            assert!((ln_above(e) - expected.ln_1p()).abs() < 1e-12, "{x}");
        }
        assert!((ln_above(exp(-1e-9)) - 2.0_f64.ln()).abs() < 1e-9);
        assert!(exp(f64::NEG_INFINITY) < 1e-300);
    }
}
