//! What bias does to one ballot.

use super::swapping::{Pairs, Swapping};
use crate::fair::Groups;
use crate::rng::Stream;
use crate::{Error, Result, Stop};

/// Where the utilities of a ballot's items come from; they fall along the ballot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Utilities {
    /// `m` for the first place down to 1 for the last.
    Places,
    /// Sorted standard normal numbers; negative ones rise when they are multiplied.
    Gaussian,
    /// Sorted numbers uniform in `[0, 1)`.
    Uniform,
    /// Sorted exponentials of standard normal numbers.
    LogNormal,
}

/// How ballots are biased.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bias {
    /// Exchanges of pairs.
    Swapping(Swapping),
    /// Ranked by changed utilities: `factor^g * u - shift * g + noise * z` for an item of group `g`.
    Utility {
        /// Where the utilities come from.
        utilities: Utilities,
        /// In `[0, 1]`.
        factor: f64,
        /// At least 0.
        shift: f64,
        /// Standard deviation of what is added for groups above 0, at least 0.
        noise: f64,
    },
    /// Items of groups above 0 drop by some places, each with a probability.
    Block {
        /// In `[0, 1]`.
        probability: f64,
        /// How many places.
        drop: usize,
        /// Give the places that a group ends up with to its items in their first order.
        keep_group_order: bool,
    },
}

impl Bias {
    /// Checks the parameters.
    ///
    /// # Errors
    /// [`Error::Range`].
    pub fn check(&self) -> Result<()> {
        match *self {
            Self::Swapping(swapping) => swapping.check(),
            Self::Utility { factor, shift, noise, .. } => {
                if !(0.0..=1.0).contains(&factor) {
                    return Err(Error::range("factor", "a number in [0, 1]", factor));
                }
                for (name, x) in [("shift", shift), ("noise", noise)] {
                    if !x.is_finite() || x < 0.0 {
                        return Err(Error::range(name, "a number at or above 0", x));
                    }
                }
                Ok(())
            }
            Self::Block { probability, .. } => {
                if (0.0..=1.0).contains(&probability) {
                    return Ok(());
                }
                Err(Error::range("probability", "a number in [0, 1]", probability))
            }
        }
    }
}

/// Buffers that are used again from ballot to ballot.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(super) pairs: Pairs,
    pub(super) first: Vec<u32>,
    pub(super) at: Vec<usize>,
    pub(super) powers: Vec<f64>,
    keys: Vec<(f64, u32)>,
}

/// Biases one ballot in place; `bias` was checked and the ballot orders all items of `groups`.
///
/// Source: Boehmer, Celis, Huang, Mehrotra and Vishnoi 2023 (swapping, utilities); Celis, Mehrotra and
/// Vishnoi 2020 (multiplicative factor).
pub fn apply(
    bias: &Bias,
    ballot: &mut [u32],
    groups: Groups<'_>,
    scratch: &mut Scratch,
    stream: &mut Stream,
) {
    match *bias {
        Bias::Swapping(swapping) => swapping.apply(ballot, groups, scratch, stream),
        Bias::Utility { utilities, factor, shift, noise } => {
            let m = ballot.len();
            let keys = &mut scratch.keys;
            draw(utilities, m, stream, keys);
            for ((key, item), of) in keys.iter_mut().zip(ballot.iter()) {
                let g = groups.of(*of as usize) as f64;
                *item = *of;
                let more = if noise > 0.0 && g > 0.0 { noise * stream.normal() } else { 0.0 };
                *key = libm::pow(factor, g) * *key - shift * g + more;
            }
            keys.sort_by(|a, b| b.0.total_cmp(&a.0)); // stable: ties stay as they were
            for (cell, (_, item)) in ballot.iter_mut().zip(keys.iter()) {
                *cell = *item;
            }
        }
        Bias::Block { probability, drop, keep_group_order } => {
            let keys = &mut scratch.keys;
            keys.clear();
            for (place, item) in ballot.iter().enumerate() {
                let falls = groups.of(*item as usize) > 0 && stream.uniform() < probability;
                // Half a place more, so that the item lands behind the one at its new place.
                let by = if falls && drop > 0 { drop as f64 + 0.5 } else { 0.0 };
                keys.push((place as f64 + by, *item));
            }
            keys.sort_by(|a, b| a.0.total_cmp(&b.0));
            scratch.first.clear();
            scratch.first.extend_from_slice(ballot);
            for (cell, (_, item)) in ballot.iter_mut().zip(keys.iter()) {
                *cell = *item;
            }
            if keep_group_order {
                refill(ballot, &scratch.first, groups);
            }
        }
    }
}

/// Biases ballots of all items of `groups`, row after row, in place; one stream per ballot.
///
/// # Errors
/// [`Error::Range`] for parameters or ballots that are no permutations, [`Error::Interrupted`].
pub fn bias_all(
    bias: &Bias,
    rows: &mut [u32],
    groups: Groups<'_>,
    seed: u64,
    stop: Stop<'_>,
) -> Result<()> {
    bias.check()?;
    let items = groups.items();
    super::latent::check_rows(rows, items)?;
    let mut scratch = Scratch::default();
    for (v, ballot) in (0..).zip(rows.chunks_exact_mut(items)) {
        stop.check()?;
        apply(bias, ballot, groups, &mut scratch, &mut Stream::new(seed, v));
    }
    Ok(())
}

/// `m` utilities from best to worst.
fn draw(utilities: Utilities, m: usize, stream: &mut Stream, keys: &mut Vec<(f64, u32)>) {
    keys.clear();
    keys.extend((0..m).map(|place| {
        let u = match utilities {
            Utilities::Places => (m - place) as f64,
            Utilities::Gaussian => stream.normal(),
            Utilities::Uniform => stream.uniform(),
            Utilities::LogNormal => libm::exp(stream.normal()),
        };
        (u, 0)
    }));
    if utilities != Utilities::Places {
        keys.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    }
}

/// Gives the places that each group has in `ballot` to its items in the order of `first`.
pub(super) fn refill(ballot: &mut [u32], first: &[u32], groups: Groups<'_>) {
    let of = |item: u32| groups.of(item as usize);
    let mut next = vec![0; groups.count()];
    for cell in ballot {
        let g = of(*cell);
        while of(first[next[g]]) != g {
            next[g] += 1;
        }
        *cell = first[next[g]];
        next[g] += 1;
    }
}

/// `floor(x)` but for rounding, as a number of draws.
pub(super) fn whole(x: f64) -> usize {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at least 0")]
    {
        (x + 1e-9).floor().max(0.0) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn swapping(strength: f64, current: bool, keep_group_order: bool) -> Bias {
        Bias::Swapping(Swapping { phi: 0.5, strength, current, keep_group_order })
    }

    fn pairs_ahead(ballot: &[u32], groups: Groups<'_>) -> usize {
        let of = |item: &u32| groups.of(*item as usize);
        (0..ballot.len())
            .map(|i| ballot[..i].iter().filter(|b| of(b) > of(&ballot[i])).count())
            .sum()
    }

    #[test]
    fn full_strength_with_current_weights_puts_the_advantaged_first() {
        let labels = [1, 0, 1, 0, 2, 0];
        let groups = Groups::new(&labels, 3).expect("valid");
        let mut ballot = [4, 0, 2, 5, 1, 3];
        let mut stream = Stream::new(0, 0);
        let bias = swapping(1.0, true, true);
        apply(&bias, &mut ballot, groups, &mut Scratch::default(), &mut stream);
        assert_eq!(pairs_ahead(&ballot, groups), 0);
        assert_eq!(ballot, [5, 1, 3, 0, 2, 4]);
    }

    #[test]
    fn no_strength_changes_nothing_and_all_models_give_permutations() {
        let labels: Vec<u32> = (0..12).map(|i| i % 3).collect();
        let groups = Groups::new(&labels, 3).expect("valid");
        let utility = |factor, shift, noise| Bias::Utility {
            utilities: Utilities::LogNormal,
            factor,
            shift,
            noise,
        };
        let block = |probability| Bias::Block { probability, drop: 2, keep_group_order: false };
        let mut scratch = Scratch::default();
        for seed in 0..50 {
            let mut latent: Vec<u32> = (0..12).collect();
            Stream::new(seed, 1).shuffle(&mut latent);
            let mut run = |bias: &Bias| {
                let mut ballot = latent.clone();
                bias.check().expect("valid");
                apply(bias, &mut ballot, groups, &mut scratch, &mut Stream::new(seed, 2));
                ballot
            };
            for none in [swapping(0.0, false, false), utility(1.0, 0.0, 0.0), block(0.0)] {
                assert_eq!(run(&none), latent);
            }
            for some in [
                swapping(0.7, false, false),
                swapping(0.7, true, false),
                swapping(0.4, false, true),
                utility(0.6, 0.0, 0.0),
                utility(1.0, 0.5, 0.2),
                block(0.8),
            ] {
                let mut sorted = run(&some);
                sorted.sort_unstable();
                assert!(sorted.iter().zip(0..).all(|(a, b)| *a == b), "{some:?}");
            }
        }
    }

    #[test]
    fn a_factor_moves_only_disadvantaged_items_down() {
        let labels = [0, 1, 0, 1];
        let groups = Groups::new(&labels, 2).expect("valid");
        let bias =
            Bias::Utility { utilities: Utilities::Places, factor: 0.5, shift: 0.0, noise: 0.0 };
        let mut ballot = [1, 0, 3, 2];
        apply(&bias, &mut ballot, groups, &mut Scratch::default(), &mut Stream::new(0, 0));
        assert_eq!(ballot, [0, 1, 3, 2]);
        let block = Bias::Block { probability: 1.0, drop: 1, keep_group_order: true };
        let mut ballot = [1, 0, 3, 2];
        apply(&block, &mut ballot, groups, &mut Scratch::default(), &mut Stream::new(0, 0));
        assert_eq!(ballot, [0, 1, 2, 3]);
    }

    #[test]
    fn wrong_parameters_are_errors() {
        assert!(swapping(1.1, false, false).check().is_err());
        assert!(swapping(f64::NAN, false, false).check().is_err());
        let phi = Swapping { phi: 1.0, strength: 0.5, current: false, keep_group_order: false };
        assert!(Bias::Swapping(phi).check().is_err());
        assert!(
            Bias::Block { probability: -0.1, drop: 1, keep_group_order: false }.check().is_err()
        );
    }
}
