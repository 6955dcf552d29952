//! Multinomial resampling of cells.
//!
//! Counts are drawn as independent Poisson numbers of slightly too small a mean, and the few rows that
//! are then missing are drawn one by one. Given their total, Poisson counts are multinomial, and so are
//! the missing rows; hence the sum is multinomial, up to the steps of `2^-32` of the tables. A count takes one look-up in a table that all
//! cells with the same number of rows share, against a rejection sampler per conditional binomial.

use crate::rng::Stream;

/// Standard deviations of the total by which the Poisson means are too small.
const MARGIN: f64 = 3.0;

/// The lower half of a number of 64 bits.
const LOW: u64 = 0xFFFF_FFFF;

/// Places to start looking from, per category.
const GUIDES: u64 = 4;

/// Multinomial counts over categories with known numbers of rows.
pub(super) struct Multinomial {
    /// Rows in every category, summed up to and including it.
    ends: Vec<u64>,
    /// Category to start looking from, by share of the rows.
    guide: Vec<u32>,
    /// Table of every category, and the tables.
    of: Vec<u32>,
    tables: Vec<Poisson>,
}

/// A Poisson distribution in slots of equal probability, in steps of `2^-32`.
///
/// Source: Walker 1977, filled as by Vose 1991; a look-up has no branch to predict.
struct Poisson {
    low: u32,
    /// The share of a slot that is its own, and whose the rest is, in one number: where only one of the
    /// two is read, processors guess which.
    slots: Vec<u64>,
}

impl Multinomial {
    pub(super) fn new(rows: &[u64]) -> Self {
        let total: u64 = rows.iter().sum();
        let short = 1.0 - (MARGIN / (total.max(1) as f64).sqrt()).min(1.0);
        let mut distinct: Vec<u64> = rows.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        let of = rows.iter().map(|r| index(distinct.partition_point(|d| d < r))).collect();
        let tables = distinct.iter().map(|r| Poisson::new(*r as f64 * short)).collect();
        let ends: Vec<u64> = rows
            .iter()
            .scan(0, |sum, r| {
                *sum += r;
                Some(*sum)
            })
            .collect();
        let slots = GUIDES * rows.len().max(1) as u64;
        let guide = (0..slots)
            .map(|s| {
                index(ends.partition_point(|e| {
                    u128::from(*e) * u128::from(slots) <= u128::from(s) * u128::from(total)
                }))
            })
            .collect();
        Self { ends, guide, of, tables }
    }

    /// One draw into `counts`.
    pub(super) fn draw(&self, stream: &mut Stream, counts: &mut Vec<u32>) {
        let total = self.ends.last().copied().unwrap_or(0);
        loop {
            counts.resize(self.of.len(), 0);
            for (counts, tables) in counts.chunks_mut(2).zip(self.of.chunks(2)) {
                // each half of 64 bits is one draw
                let bits = stream.bits();
                for (half, (count, table)) in counts.iter_mut().zip(tables).enumerate() {
                    *count = self.tables[*table as usize].at(bits << (32 * half) >> 32);
                }
            }
            let drawn: u64 = counts.iter().map(|c| u64::from(*c)).sum();
            if drawn <= total {
                let share = self.guide.len() as f64 / total as f64;
                (drawn..total).for_each(|_| counts[self.pick(stream, total, share)] += 1);
                return;
            }
        }
    }

    /// A category, by its rows; `share` is that of the guide per row.
    fn pick(&self, stream: &mut Stream, total: u64, share: f64) -> usize {
        let row = stream.below(usize::try_from(total).unwrap_or(usize::MAX)) as u64;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a slot")]
        let slot = (row as f64 * share) as usize;
        let mut at = self.guide[slot.min(self.guide.len() - 1)] as usize;
        while at > 0 && self.ends[at - 1] > row {
            at -= 1; // the share was rounded
        }
        while self.ends[at] <= row {
            at += 1;
        }
        at
    }
}

fn index(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

impl Poisson {
    fn new(mean: f64) -> Self {
        if mean <= 0.0 {
            return Self { low: 0, slots: vec![u64::from(u32::MAX) << 32] };
        }
        let mode = mean.floor();
        // relative to the mode, down and up until nothing is left
        let below = std::iter::successors(Some((mode, 1.0)), |(k, p)| {
            (*k > 0.0 && *p > 1e-20).then(|| (k - 1.0, p * k / mean))
        });
        let mut masses: Vec<f64> = below.map(|(_, p)| p).collect();
        masses.reverse();
        let low = mode - (masses.len() - 1) as f64;
        let above = std::iter::successors(Some((mode, 1.0)), |(k, p)| {
            (*p > 1e-20).then(|| (k + 1.0, p * mean / (k + 1.0)))
        });
        masses.extend(above.skip(1).map(|(_, p)| p));
        let all: f64 = masses.iter().sum();
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count of rows"
        )]
        Self { low: low as u32, slots: slots(masses.iter().map(|p| p / all).collect()) }
    }

    /// The count at a share `u / 2^32` of the slots.
    #[inline]
    fn at(&self, u: u64) -> u32 {
        let place = u * self.slots.len() as u64;
        let slot = index_of(place >> 32);
        let (own, other) = (self.slots[slot] >> 32, self.slots[slot] & LOW);
        let kept = u64::from(place & LOW < own).wrapping_neg();
        self.low + half(other ^ ((other ^ (place >> 32)) & kept))
    }
}

fn index_of(slot: u64) -> usize {
    usize::try_from(slot).unwrap_or(0)
}

#[allow(clippy::cast_possible_truncation, reason = "a number of 32 bits")]
fn half(slot: u64) -> u32 {
    slot as u32
}

/// Slots of equal size for probabilities that sum to one.
fn slots(mut mass: Vec<f64>) -> Vec<u64> {
    let n = mass.len();
    for p in &mut mass {
        *p *= n as f64;
    }
    let (mut small, mut large): (Vec<usize>, Vec<usize>) = (0..n).partition(|k| mass[*k] < 1.0);
    let mut slots: Vec<(u32, u32)> = (0..n).map(|k| (u32::MAX, index(k))).collect();
    while let (Some(k), Some(rich)) = (small.pop(), large.last().copied()) {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below 2^32")]
        let own = (mass[k] * 4_294_967_296.0) as u32;
        slots[k] = (own, index(rich));
        mass[rich] -= 1.0 - mass[k];
        if mass[rich] < 1.0 {
            large.pop();
            small.push(rich);
        }
    }
    slots.into_iter().map(|(own, other)| u64::from(own) << 32 | u64::from(other)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_sum_to_the_rows_and_have_multinomial_moments() {
        for rows in [vec![1, 0, 3, 1], vec![40, 7, 0, 900, 53], vec![5], vec![100_000, 3]] {
            let n: u64 = rows.iter().sum();
            let multinomial = Multinomial::new(&rows);
            let draws = 20_000;
            let k = rows.len();
            let (mut sum, mut products) = (vec![0.0; k], vec![0.0; k * k]);
            let mut counts = Vec::new();
            for b in 0..draws {
                multinomial.draw(&mut Stream::new(5, b), &mut counts);
                assert_eq!(counts.iter().map(|c| u64::from(*c)).sum::<u64>(), n);
                for i in 0..k {
                    let di = f64::from(counts[i]) - rows[i] as f64;
                    sum[i] += di;
                    (0..k).for_each(|j| {
                        products[i * k + j] += di * (f64::from(counts[j]) - rows[j] as f64);
                    });
                }
            }
            for i in 0..k {
                let p = rows[i] as f64 / n as f64;
                let sd = (n as f64 * p * (1.0 - p)).sqrt();
                assert!((sum[i] / draws as f64).abs() <= 5.0 * sd / (draws as f64).sqrt() + 1e-12);
                for j in 0..k {
                    let q = rows[j] as f64 / n as f64;
                    let expected = n as f64 * (if i == j { p } else { 0.0 } - p * q);
                    let got = products[i * k + j] / draws as f64;
                    let scale = (n as f64 * p * q).sqrt() * (n as f64).sqrt().max(1.0);
                    assert!(
                        (got - expected).abs() <= 0.05 * scale + 1e-12,
                        "{rows:?} {i} {j} {got} {expected}"
                    );
                }
            }
        }
    }
}
