//! Random profiles: every ballot reads its own stream, so threads and order of work change nothing.

use super::dispersion::{gamma, phi_of_norm};
use super::drawing::{Draw, conitzer, walsh};
use crate::rng::Stream;
use crate::{Error, Result, Stop, size};

/// How ballots arise.
#[derive(Debug, Clone, PartialEq)]
pub enum Culture {
    /// Every order is equally likely.
    Impartial,
    /// Every multiset of orders is equally likely: an urn with `alpha = 1 / m!`.
    Anonymous,
    /// Ballot `i` is fresh with probability `1 / (1 + alpha i)`, else a copy of an earlier one.
    Urn {
        /// At least 0; drawn from the gamma distribution of shape 0.8 and scale 1 when absent.
        alpha: Option<f64>,
    },
    /// Probability falls by `phi` with each pair that disagrees with the centre.
    Mallows {
        /// In `[0, 1]`; drawn uniformly when absent.
        phi: Option<f64>,
        /// Best item first; rising ids when absent.
        centre: Option<Vec<u32>>,
    },
    /// Mallows with the `phi` whose expected distance is `norm_phi` times that of all orders.
    NormMallows {
        /// In `[0, 1]`; drawn uniformly when absent.
        norm_phi: Option<f64>,
        /// Best item first; rising ids when absent.
        centre: Option<Vec<u32>>,
    },
    /// Items in order of log-strength plus Gumbel noise.
    PlackettLuce {
        /// One per item.
        log_strengths: Vec<f64>,
    },
    /// Items in order of mean plus Gaussian noise.
    Thurstone {
        /// One per item.
        means: Vec<f64>,
        /// Standard deviation of the noise, at least 0.
        sigma: f64,
    },
    /// Uniform over the orders that are single-peaked on the axis of ids.
    Walsh,
    /// Single-peaked on the axis of ids with a uniform peak, growing left or right by a coin.
    Conitzer,
    /// Items and voters uniform in a cube; nearer items are better.
    Euclidean {
        /// Number of dimensions, at least 1.
        dimensions: usize,
    },
    /// Uniform over a random chain of orders from rising to falling ids that swaps one pair a step; at most
    /// 20,000 items, since each two of them are swapped once.
    SingleCrossing,
}

/// Rankings `(ballots, items)` in row-major order, best item first.
///
/// Source: Szufa, Faliszewski, Skowron, Slinko and Talmon 2020, section 3 (urn, single-peaked,
/// Euclidean, single-crossing); Doignon, Pekec and Regenwetter 2004 (repeated insertion); Boehmer,
/// Bredereck, Faliszewski, Niedermeier and Szufa 2021 (normalised Mallows).
///
/// # Errors
/// [`Error::Range`] and [`Error::Shape`] for parameters, or when there is nothing to draw.
pub fn sample(
    culture: &Culture,
    ballots: usize,
    items: usize,
    seed: u64,
    threads: Option<usize>,
) -> Result<Vec<u32>> {
    sample_until(culture, ballots, items, seed, threads, Stop::never())
}

/// The same, until the caller gives up.
///
/// # Errors
/// As [`sample`], and [`Error::Interrupted`].
pub fn sample_until(
    culture: &Culture,
    ballots: usize,
    items: usize,
    seed: u64,
    threads: Option<usize>,
    stop: Stop<'_>,
) -> Result<Vec<u32>> {
    if ballots == 0 || items == 0 {
        let got = format!("{ballots} ballots of {items} items");
        return Err(Error::range("n_ballots", "at least one ballot and one item", got));
    }
    let labels = u32::try_from(items)
        .map_err(|_| Error::range("n_items", "fewer than 2^32 items", items))?;
    size::table("n_ballots", ballots, items)?;
    if let Culture::Euclidean { dimensions } = culture {
        size::table("dimensions", *dimensions, items.max(ballots))?;
    }
    let draw = Draw { ballots, items, labels, seed, threads, stop };
    match culture {
        Culture::Impartial => draw.rows(Stream::shuffle),
        Culture::Anonymous => draw.urn((1..=items).fold(1.0, |inverse, i| inverse / i as f64)),
        Culture::Urn { alpha } => draw.urn(draw.parameter("alpha", *alpha, gamma)?),
        Culture::Mallows { phi, centre } => {
            let phi = draw.parameter("phi", *phi, Stream::uniform)?;
            draw.mallows(unit("phi", phi)?, centre.as_deref())
        }
        Culture::NormMallows { norm_phi, centre } => {
            let norm = draw.parameter("norm_phi", *norm_phi, Stream::uniform)?;
            draw.mallows(phi_of_norm(unit("norm_phi", norm)?, items), centre.as_deref())
        }
        Culture::PlackettLuce { log_strengths } => {
            let gumbel = |stream: &mut Stream| -libm::log(stream.exponential());
            draw.noisy("log_strengths", log_strengths, 1.0, gumbel)
        }
        Culture::Thurstone { means, sigma } => draw.noisy("means", means, *sigma, Stream::normal),
        Culture::Walsh => draw.rows(walsh),
        Culture::Conitzer => draw.rows(conitzer),
        Culture::Euclidean { dimensions } => draw.euclidean(*dimensions),
        Culture::SingleCrossing => draw.single_crossing(),
    }
}

fn unit(name: &'static str, value: f64) -> Result<f64> {
    if (0.0..=1.0).contains(&value) {
        return Ok(value);
    }
    Err(Error::range(name, "a number in [0, 1]", value))
}

#[cfg(test)]
mod tests {
    use super::super::dispersion::expected_distance;
    use super::*;

    fn all() -> Vec<Culture> {
        vec![
            Culture::Impartial,
            Culture::Anonymous,
            Culture::Urn { alpha: None },
            Culture::Urn { alpha: Some(0.5) },
            Culture::Mallows { phi: Some(0.6), centre: Some(vec![4, 3, 2, 1, 0]) },
            Culture::Mallows { phi: None, centre: None },
            Culture::NormMallows { norm_phi: Some(0.4), centre: None },
            Culture::NormMallows { norm_phi: None, centre: None },
            Culture::PlackettLuce { log_strengths: vec![0.0, 1.0, 2.0, 0.5, -1.0] },
            Culture::Thurstone { means: vec![0.0; 5], sigma: 1.0 },
            Culture::Walsh,
            Culture::Conitzer,
            Culture::Euclidean { dimensions: 2 },
            Culture::SingleCrossing,
        ]
    }

    #[test]
    fn rows_are_permutations_and_threads_change_nothing() {
        for culture in all() {
            let rows = sample(&culture, 700, 5, 3, Some(1)).expect("valid");
            assert_eq!(rows, sample(&culture, 700, 5, 3, Some(3)).expect("valid"), "{culture:?}");
            for row in rows.chunks(5) {
                let mut sorted = row.to_vec();
                sorted.sort_unstable();
                assert_eq!(sorted, [0, 1, 2, 3, 4], "{culture:?}");
            }
            let shorter = sample(&culture, 70, 5, 3, None).expect("valid");
            if culture != Culture::SingleCrossing {
                assert_eq!(shorter, rows[..350], "{culture:?}");
            }
        }
    }

    fn mean_distance(rows: &[u32], items: usize) -> f64 {
        let pairs: usize = rows
            .chunks(items)
            .map(|row| {
                (0..items)
                    .map(|i| row[i + 1..].iter().filter(|b| **b < row[i]).count())
                    .sum::<usize>()
            })
            .sum();
        pairs as f64 / (rows.len() / items) as f64
    }

    #[test]
    fn mallows_has_its_expected_distance() {
        for (phi, items) in [(0.0, 6), (0.3, 6), (0.9, 10), (0.999_999, 10), (1.0, 10)] {
            let culture = Culture::Mallows { phi: Some(phi), centre: None };
            let rows = sample(&culture, 20_000, items, 0, None).expect("valid");
            let expected = expected_distance(phi, items);
            assert!((mean_distance(&rows, items) - expected).abs() < 0.12, "{phi} {expected}");
        }
    }

    #[test]
    fn anonymous_profiles_of_two_items_are_uniform() {
        // Three ballots over two items: zero to three of them are (0, 1), each equally often.
        let mut counts = [0_u32; 4];
        for seed in 0..4000 {
            let rows = sample(&Culture::Anonymous, 3, 2, seed, Some(1)).expect("valid");
            counts[rows.chunks(2).filter(|row| row[0] == 0).count()] += 1;
        }
        assert!(counts.iter().all(|c| (850..1150).contains(c)), "{counts:?}");
    }

    #[test]
    fn single_peaked_orders_never_rise_again() {
        for culture in [Culture::Walsh, Culture::Conitzer] {
            let rows = sample(&culture, 4000, 4, 1, None).expect("valid");
            let mut distinct: Vec<&[u32]> = rows.chunks(4).collect();
            for row in &distinct {
                let place = |item: u32| row.iter().position(|i| *i == item).expect("there");
                assert!((1..3).all(|b| place(b) < place(b - 1).max(place(b + 1))), "{row:?}");
            }
            distinct.sort_unstable();
            distinct.dedup();
            assert_eq!(distinct.len(), 8, "all 2^3 orders appear");
        }
        let peaks = sample(&Culture::Conitzer, 4000, 4, 1, None).expect("valid");
        let first = peaks.chunks(4).filter(|row| row[0] == 0).count();
        assert!((900..1100).contains(&first), "uniform peak: {first}");
        let walsh = sample(&Culture::Walsh, 4000, 4, 1, None).expect("valid");
        let first = walsh.chunks(4).filter(|row| row[0] == 0).count();
        assert!((420..580).contains(&first), "one order in eight: {first}");
    }

    #[test]
    fn single_crossing_ballots_swap_each_pair_once_and_in_one_chain() {
        let (ballots, items) = (40, 60);
        let rows = sample(&Culture::SingleCrossing, ballots, items, 2, None).expect("valid");
        let swapped = |row: &[u32]| {
            let mut pairs: Vec<(u32, u32)> = Vec::new();
            for (i, a) in row.iter().enumerate() {
                pairs.extend(row[i + 1..].iter().filter(|b| *b < a).map(|b| (*b, *a)));
            }
            pairs.sort_unstable();
            pairs
        };
        let mut sets: Vec<_> = rows.chunks(items).map(swapped).collect();
        sets.sort_by_key(Vec::len);
        for two in sets.windows(2) {
            assert!(two[0].iter().all(|pair| two[1].binary_search(pair).is_ok()));
        }
        let mean = sets.iter().map(Vec::len).sum::<usize>() as f64 / ballots as f64;
        assert!((600.0..1170.0).contains(&mean), "around half of 1770: {mean}");
    }

    #[test]
    fn single_crossing_takes_each_rising_pair_alike() {
        // Three items: the first of three swaps is (0, 1) or (1, 2) by a coin, and the rest follows.
        let mut counts = [0_u32; 6];
        for seed in 0..6000 {
            let row = sample(&Culture::SingleCrossing, 1, 3, seed, Some(1)).expect("valid");
            let place = |item| row.iter().position(|i| *i == item).expect("there");
            counts[place(0) * 2 + usize::from(place(1) < place(2))] += 1;
        }
        let (rising, reversed) = (counts[1], counts[4]);
        assert!((1350..1650).contains(&reversed) && (1350..1650).contains(&rising), "{counts:?}");
        let between = [counts[0], counts[2], counts[3], counts[5]];
        assert!(between.iter().all(|c| (640..860).contains(c)), "{counts:?}");
    }

    #[test]
    fn parameters_out_of_range_are_named() {
        let message = |c: Culture| sample(&c, 2, 3, 0, None).expect_err("bad").to_string();
        let centre = Some(vec![0, 0, 1]);
        assert!(message(Culture::Mallows { phi: Some(1.5), centre: None }).starts_with("phi"));
        assert!(message(Culture::Mallows { phi: Some(0.5), centre }).starts_with("centre"));
        assert!(message(Culture::Urn { alpha: Some(f64::NAN) }).starts_with("alpha"));
        assert!(message(Culture::Thurstone { means: vec![0.0], sigma: 1.0 }).starts_with("means"));
        assert!(message(Culture::Euclidean { dimensions: 0 }).starts_with("dimensions"));
        assert!(sample(&Culture::Walsh, 0, 3, 0, None).is_err());
        assert!(sample(&Culture::SingleCrossing, 5, 1, 0, None).is_ok());
        let vast =
            sample(&Culture::SingleCrossing, 1, 1 << 16, 0, None).expect_err("too many pairs");
        assert!(vast.to_string().starts_with("n_items: expected at most 20000"), "{vast}");
    }
}
