//! FA*IR: the least number of protected items that every prefix needs.

use crate::{Error, Result, Stop};

/// Quantiles are compared with this relative tolerance, above what the recurrence loses.
const RELATIVE: f64 = 1e-12;

/// Mass that is dropped from the far side of a distribution; it can only be a success.
const NEGLIGIBLE: f64 = 1e-30;

/// Where the bisection over the significance ends at the latest.
const NARROW: f64 = 1e-16;

/// Least numbers of protected items and what they mean.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Least number of protected items in the first `i + 1` places; rises by at most one at a time.
    pub minimum: Vec<usize>,
    /// The significance that the table was made with.
    pub alpha: f64,
    /// Probability that a ranking drawn by fair coins misses some prefix.
    pub failure: f64,
}

/// The FA*IR table of `k` places for a share `p` at significance `alpha`.
///
/// With `adjust` the significance is lowered until a ranking drawn by coins of probability `p` misses
/// *some* prefix with a probability as close to `alpha` as a table can come. With `parity` the failure
/// probability leaves out a step of the table at the last place, as a widely used implementation does.
///
/// # Errors
/// [`Error::Range`] for `k` of 0, or `p` or `alpha` outside `(0, 1)`; [`Error::Interrupted`].
///
/// Source: Zehlike, Bonchi, Castillo, Hajian, Megahed and Baeza-Yates 2017, sections 3 and 4; the
/// failure probability is an exact recurrence over prefixes.
pub fn table(
    k: usize,
    p: f64,
    alpha: f64,
    adjust: bool,
    parity: bool,
    stop: Stop<'_>,
) -> Result<Table> {
    if k == 0 || k > 1_000_000 {
        return Err(Error::range("k", "a number of places from 1 to 1000000", k));
    }
    check_open("p", p)?;
    check_open("alpha", alpha)?;
    let at = |alpha: f64| -> Result<Table> {
        let minimum = quantiles(k, p, alpha);
        let failure = failure_of(&minimum, p, parity, stop)?;
        Ok(Table { minimum, alpha, failure })
    };
    let high = at(alpha)?;
    if adjust { adjusted(at(0.0)?, high, &at) } else { Ok(high) }
}

/// Probability that coins of probability `p` give fewer than `minimum[i]` heads in some first `i + 1`.
///
/// # Errors
/// [`Error::Range`] for an empty or falling table or `p` outside `(0, 1)`; [`Error::Interrupted`].
pub fn fail_probability(minimum: &[usize], p: f64, parity: bool, stop: Stop<'_>) -> Result<f64> {
    check_open("p", p)?;
    let fits = |i: usize| minimum[i] <= i + 1 && (i == 0 || minimum[i] >= minimum[i - 1]);
    if let Some(i) = (0..minimum.len()).find(|i| !fits(*i)) {
        let got = format!("{} at place {}", minimum[i], i + 1);
        return Err(Error::range("minimum", "rising numbers, at most the place", got));
    }
    if minimum.is_empty() {
        return Err(Error::range("minimum", "at least one place", "none"));
    }
    failure_of(minimum, p, parity, stop)
}

fn check_open(name: &'static str, x: f64) -> Result<()> {
    if x > 0.0 && x < 1.0 { Ok(()) } else { Err(Error::range(name, "a number in (0, 1)", x)) }
}

/// Bisection over the significance; tables change by steps, so the two sides end one unit apart.
fn adjusted(mut low: Table, mut high: Table, at: &impl Fn(f64) -> Result<Table>) -> Result<Table> {
    let target = high.alpha;
    let mass = |table: &Table| table.minimum.iter().sum::<usize>();
    while mass(&high) > mass(&low) + 1 && high.alpha - low.alpha > NARROW {
        let middle = at(f64::midpoint(low.alpha, high.alpha))?;
        if middle.failure < target {
            low = middle;
        } else if middle.failure > target {
            high = middle;
        } else {
            return Ok(middle);
        }
    }
    let off = |table: &Table| (table.failure - target).abs();
    Ok(if off(&low) < off(&high) { low } else { high })
}

/// The smallest `x` with `P(Binomial(i, p) <= x) >= alpha`, for `i` in `1..=k`, in `O(k)`.
///
/// Walks along the quantile: one more trial lowers the distribution function at `x` by `p` times the
/// probability of `x`, and the quantile rises by at most one.
fn quantiles(k: usize, p: f64, alpha: f64) -> Vec<usize> {
    let mut minimum = Vec::with_capacity(k);
    let (mut x, mut mass, mut below) = (0_usize, 1.0, 1.0); // zero trials
    for i in 1..=k {
        below -= p * mass;
        mass *= (1.0 - p) * i as f64 / (i - x) as f64;
        if below < alpha * (1.0 - RELATIVE) {
            mass *= (i - x) as f64 / (x + 1) as f64 * p / (1.0 - p);
            x += 1;
            below += mass;
        }
        minimum.push(x);
    }
    minimum
}

/// Distribution of the number of protected items over the rankings that met all prefixes so far.
fn failure_of(minimum: &[usize], p: f64, parity: bool, stop: Stop<'_>) -> Result<f64> {
    let checked = minimum.len() - usize::from(parity);
    let last = minimum.last().map_or(0, |m| *m);
    let (mut chance, mut low, mut high) = (vec![0.0; minimum.len() + 2], 0, 0);
    chance[0] = 1.0;
    let mut failure = 0.0;
    for (i, needed) in minimum[..checked].iter().enumerate() {
        if i % 64 == 0 {
            stop.check()?;
        }
        high += 1;
        for x in (low + 1..=high).rev() {
            chance[x] = chance[x] * (1.0 - p) + chance[x - 1] * p;
        }
        chance[low] *= 1.0 - p;
        while low < *needed {
            failure += chance[low];
            chance[low] = 0.0;
            low += 1;
        }
        // At or above the last minimum every continuation succeeds.
        while high > low && (high >= last || chance[high] < NEGLIGIBLE) {
            chance[high] = 0.0;
            high -= 1;
        }
        if low >= last {
            break;
        }
    }
    Ok(failure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    fn steps(runs: &[(usize, usize)]) -> Vec<usize> {
        runs.iter().flat_map(|(value, times)| vec![*value; *times]).collect()
    }

    fn made(k: usize, p: f64, alpha: f64) -> Table {
        table(k, p, alpha, true, false, Stop::never()).expect("valid")
    }

    #[test]
    fn tables_are_the_published_ones() {
        let a = made(10, 0.2, 0.15);
        assert_eq!((a.minimum, a.alpha), (steps(&[(0, 8), (1, 2)]), 0.15));
        let b = made(20, 0.25, 0.1);
        assert_eq!(b.minimum, steps(&[(0, 8), (1, 7), (2, 5)]));
        assert!((b.alpha - 0.078_125).abs() < 1e-15);
        let c = made(30, 0.3, 0.05);
        assert_eq!(c.minimum, steps(&[(0, 10), (1, 6), (2, 5), (3, 4), (4, 5)]));
    }

    #[test]
    fn a_step_at_the_last_place_counts_except_in_parity() {
        let exact = table(10, 0.5, 0.075, false, false, Stop::never()).expect("valid");
        assert!((exact.failure - 0.111_328_125).abs() < 1e-12, "{}", exact.failure);
        let parity = table(10, 0.5, 0.075, false, true, Stop::never()).expect("valid");
        assert!((parity.failure - 0.093_75).abs() < 1e-12, "{}", parity.failure);
    }

    #[test]
    fn quantiles_agree_with_the_distribution_function() {
        for (k, p, alpha) in [(60, 0.3, 0.1), (60, 0.5, 0.5), (80, 0.9, 0.01), (50, 0.05, 0.2)] {
            for (i, x) in quantiles(k, p, alpha).into_iter().enumerate() {
                let n = i + 1;
                let mut mass = (1.0 - p).powi(i32::try_from(n).expect("small"));
                let (mut below, mut smallest) = (mass, 0);
                while below < alpha * (1.0 - RELATIVE) {
                    mass *= (n - smallest) as f64 / (smallest + 1) as f64 * p / (1.0 - p);
                    smallest += 1;
                    below += mass;
                }
                assert_eq!(x, smallest, "n {n} p {p} alpha {alpha}");
            }
        }
    }

    #[test]
    fn the_failure_probability_agrees_with_simulation() {
        for (k, p, alpha) in [(40, 0.3, 0.1), (15, 0.5, 0.2), (100, 0.6, 0.05)] {
            let table = table(k, p, alpha, false, false, Stop::never()).expect("valid");
            let trials = 20_000;
            let mut failed = 0;
            for t in 0..trials {
                let (mut stream, mut have) = (Stream::new(3, t), 0);
                let missed = table.minimum.iter().any(|needed| {
                    have += usize::from(stream.uniform() < p);
                    have < *needed
                });
                failed += u32::from(missed);
            }
            let deviation = (table.failure * (1.0 - table.failure) / trials as f64).sqrt();
            let share = f64::from(failed) / trials as f64;
            assert!((share - table.failure).abs() < 4.0 * deviation, "{share} {}", table.failure);
        }
    }

    #[test]
    fn adjusted_tables_come_close_and_never_jump() {
        for (k, p, alpha) in [(400, 0.5, 0.1), (1000, 0.2, 0.05), (1, 0.5, 0.6), (2, 0.9, 0.3)] {
            let table = made(k, p, alpha);
            let steps = std::iter::once(0).chain(table.minimum.iter().copied());
            assert!(steps.zip(&table.minimum).all(|(a, b)| *b == a || *b == a + 1));
            assert!(table.failure <= alpha * 1.5 + 0.5 / k as f64, "{table:?}");
            let again = fail_probability(&table.minimum, p, false, Stop::never()).expect("valid");
            assert_eq!(again.to_bits(), table.failure.to_bits());
        }
    }

    #[test]
    fn wrong_numbers_are_errors() {
        for (k, p, alpha) in [(0, 0.5, 0.1), (5, 0.0, 0.1), (5, 1.0, 0.1), (5, 0.5, f64::NAN)] {
            assert!(table(k, p, alpha, true, false, Stop::never()).is_err());
        }
        assert!(fail_probability(&[0, 3], 0.5, false, Stop::never()).is_err());
        assert!(fail_probability(&[1, 0], 0.5, false, Stop::never()).is_err());
        assert!(fail_probability(&[], 0.5, false, Stop::never()).is_err());
    }
}
