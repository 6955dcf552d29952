//! Chamberlin-Courant and facility location: every voter counts their best member.
//!
//! Levels are places, or distances from a voter's largest utility: smaller is better, and a gain is a
//! sum of saturating differences over one contiguous column.

use super::amount::Weights;
use super::amount::{Amount, Unit};
use super::objective::Objective;
use super::views::{Utilities, below};
use crate::wide::wide;

/// A level: a place, or a distance in utility.
pub(super) trait Level: Copy + Ord + Send + Sync {
    /// Sum of `best - column` where positive.
    fn gap(best: &[Self], column: &[Self]) -> u64;
    /// The same, weighted.
    fn weighted_gap(best: &[Self], column: &[Self], weights: &[u64]) -> u64;
    /// The level as a place, where levels are places.
    fn place(self) -> usize;
}

/// Levels summed at once: their sums fill two of the widest registers.
const LANES: usize = 32;

impl Level for u8 {
    fn gap(best: &[u8], column: &[u8]) -> u64 {
        bytes(best, column)
    }

    fn weighted_gap(best: &[u8], column: &[u8], weights: &[u64]) -> u64 {
        weighted(best, column, weights)
    }

    #[inline]
    fn place(self) -> usize {
        self.into()
    }
}

impl Level for u16 {
    fn gap(best: &[u16], column: &[u16]) -> u64 {
        words(best, column)
    }

    fn weighted_gap(best: &[u16], column: &[u16], weights: &[u64]) -> u64 {
        weighted(best, column, weights)
    }

    #[inline]
    fn place(self) -> usize {
        self.into()
    }
}

/// Distances below `2^31`.
impl Level for u32 {
    fn gap(best: &[u32], column: &[u32]) -> u64 {
        distances(best, column)
    }

    fn weighted_gap(best: &[u32], column: &[u32], _weights: &[u64]) -> u64 {
        Self::gap(best, column) // distances carry their weights already
    }

    fn place(self) -> usize {
        0
    }
}

impl Level for u64 {
    fn gap(best: &[u64], column: &[u64]) -> u64 {
        best.iter().zip(column).map(|(b, c)| b.saturating_sub(*c)).sum()
    }

    fn weighted_gap(best: &[u64], column: &[u64], _weights: &[u64]) -> u64 {
        Self::gap(best, column) // distances carry their weights already
    }

    fn place(self) -> usize {
        0
    }
}

wide! {
    fn bytes(best: &[u8], column: &[u8]) -> u64 {
        let n = best.len().min(column.len());
        let (best, column) = (&best[..n], &column[..n]);
        let (mut total, mut start) = (0, 0);
        // 256 levels of at most 255 fit 16 bits.
        while n - start >= LANES {
            let mut sums = [0_u16; LANES];
            let end = start + ((n - start) / LANES).min(256) * LANES;
            while start < end {
                let (b, c) = (&best[start..start + LANES], &column[start..start + LANES]);
                for lane in 0..LANES {
                    sums[lane] += u16::from(b[lane].saturating_sub(c[lane]));
                }
                start += LANES;
            }
            for sum in sums {
                total += u64::from(sum);
            }
        }
        for v in start..n {
            total += u64::from(best[v].saturating_sub(column[v]));
        }
        total
    }
}

wide! {
    fn words(best: &[u16], column: &[u16]) -> u64 {
        let n = best.len().min(column.len());
        let (best, column) = (&best[..n], &column[..n]);
        let (mut total, mut start) = (0, 0);
        while start < n {
            // 65,536 levels of at most 65,535 fit 32 bits.
            let end = (start + (1 << 16)).min(n);
            let mut sum = 0_u32;
            for v in start..end {
                sum += u32::from(best[v].saturating_sub(column[v]));
            }
            total += u64::from(sum);
            start = end;
        }
        total
    }
}

wide! {
    /// A sign bit tells which is larger: four at once in the oldest registers.
    fn distances(best: &[u32], column: &[u32]) -> u64 {
        let n = best.len().min(column.len());
        let (best, column) = (&best[..n], &column[..n]);
        let mut total = 0;
        for v in 0..n {
            let gap = best[v].wrapping_sub(column[v]);
            total += u64::from(gap & (gap >> 31).wrapping_sub(1));
        }
        total
    }
}

wide! {
    fn weighted<L: Place>(best: &[L], column: &[L], weights: &[u64]) -> u64 {
        let n = best.len().min(column.len()).min(weights.len());
        let (best, column, weights) = (&best[..n], &column[..n], &weights[..n]);
        let mut total = 0;
        for v in 0..n {
            let (b, c): (u32, u32) = (best[v].into(), column[v].into());
            total += weights[v] * u64::from(b.saturating_sub(c));
        }
        total
    }
}

wide! {
    /// The better of two levels of every voter.
    fn lower_all<L: Level>(best: &mut [L], column: &[L]) {
        let n = best.len().min(column.len());
        let (best, column) = (&mut best[..n], &column[..n]);
        for v in 0..n {
            best[v] = best[v].min(column[v]);
        }
    }
}

/// Places and items in one type, as the compact layouts hold them.
pub(super) trait Place: Level + Into<u32> {}
impl Place for u8 {}
impl Place for u16 {}

/// Every voter's best member counts.
pub(super) struct Cover<'a, L: Clone> {
    columns: std::borrow::Cow<'a, [L]>,
    /// Items by voter and place, where levels are places.
    order: Option<&'a [L]>,
    start: Vec<L>,
    weights: Option<&'a [u64]>,
    factor: Amount,
    m: usize,
    k: usize,
    unit: Unit,
}

/// Each voter's best level, and what every item would add once it pays to keep that up to date.
#[derive(Debug, Clone)]
pub(super) struct Best<L> {
    levels: Vec<L>,
    members: usize,
    scores: Option<Vec<u64>>,
}

/// Each voter's best level in a committee and the next one, which counts once the best member leaves.
pub(super) struct BestTwo<L> {
    best: Vec<L>,
    second: Vec<L>,
    /// Position of each voter's best member.
    holder: Vec<u32>,
}

/// Gains are kept up to date when voters' best places are on average in the first of so many parts.
///
/// Only items above a voter's best member can add anything, so an update reads the tops of rankings:
/// after `t` members about `n m / t^2` places, against `n` for every gain that is evaluated.
const TOP_PARTS: usize = 6;
/// Places read one by one cost as much as so many read in a row.
const SCATTER: usize = 64;
/// Numbers of places above which gains are kept up to date.
const KEPT: usize = 1 << 16;

impl<'a, L: Place> Cover<'a, L> {
    /// Borda utilities `m - 1 - place`.
    pub(super) fn borda(
        columns: &'a [L],
        order: Option<&'a [L]>,
        last: L,
        (m, k): (usize, usize),
        weights: &'a Weights,
    ) -> Self {
        let n = weights.units.len();
        let most = Amount::from(weights.total) * m as Amount;
        Self {
            columns: columns.into(),
            order: order.filter(|_| n * m >= KEPT),
            start: vec![last; n],
            weights: if weights.uniform.is_some() { None } else { Some(&weights.units) },
            factor: Amount::from(weights.uniform.unwrap_or(1)),
            m,
            k,
            unit: weights.unit.times(Unit::ONE, most),
        }
    }
}

impl<'a, L: Level> Cover<'a, L> {
    /// Utilities, the largest of the committee counting: distances `(m, n)` from each voter's largest.
    pub(super) fn facility(distances: &'a [L], largest: &[L], utilities: &Utilities) -> Self {
        Self {
            columns: distances.into(),
            order: None,
            start: largest.to_vec(),
            weights: None,
            factor: 1,
            m: utilities.m,
            k: 0,
            unit: utilities.unit,
        }
    }
}

impl Cover<'_, u64> {
    /// Weighted utilities `(m, n)` turned into distances from each voter's largest.
    pub(super) fn distances(weighted: Vec<u64>, n: usize, m: usize, unit: Unit) -> Self {
        let (columns, start) = below(weighted, n);
        Self {
            columns: columns.into(),
            order: None,
            start,
            weights: None,
            factor: 1,
            m,
            k: 0,
            unit,
        }
    }
}

impl<L: Level> Cover<'_, L> {
    fn column(&self, item: usize) -> &[L] {
        let n = self.start.len();
        &self.columns[item * n..(item + 1) * n]
    }

    fn weight(&self, voter: usize) -> u64 {
        self.weights.map_or(1, |weights| weights[voter])
    }

    /// What every item would add, from the tops of all rankings, if those are short enough.
    fn scores(&self, levels: &[L], members: usize) -> Option<Vec<u64>> {
        let order = self.order?;
        let tops: usize = levels.iter().map(|level| level.place()).sum();
        let places = levels.len() * self.m;
        let ahead = places.saturating_mul(self.k.saturating_sub(members));
        if tops > (places / TOP_PARTS).min(ahead / SCATTER) {
            return None;
        }
        let mut scores = vec![0; self.m];
        for (voter, (level, row)) in levels.iter().zip(order.chunks_exact(self.m)).enumerate() {
            let mut gain = self.weight(voter) * level.place() as u64;
            for item in &row[..level.place()] {
                scores[item.place()] += gain;
                gain -= self.weight(voter);
            }
        }
        Some(scores)
    }

    /// Adds a column and takes off what items above the old best members no longer add.
    fn lower(&self, levels: &mut [L], scores: &mut [u64], column: &[L]) {
        let Some(order) = self.order else { return };
        let rows = levels.iter_mut().zip(column).zip(order.chunks_exact(self.m));
        for (voter, ((level, new), row)) in rows.enumerate().filter(|(_, ((l, new), _))| *new < l) {
            let (before, after) = (level.place(), new.place());
            let weight = self.weight(voter);
            let step = weight * (before - after) as u64;
            for item in &row[..after] {
                scores[item.place()] -= step;
            }
            let mut gain = step;
            for item in &row[after..before] {
                scores[item.place()] -= gain;
                gain -= weight;
            }
            *level = *new;
        }
    }
}

impl<L: Level> Objective for Cover<'_, L> {
    type State = Best<L>;
    type Memory = Option<BestTwo<L>>;

    fn items(&self) -> usize {
        self.m
    }

    fn unit(&self) -> Unit {
        self.unit
    }

    fn empty(&self) -> Best<L> {
        Best { levels: self.start.clone(), members: 0, scores: None }
    }

    fn gain(&self, best: &Best<L>, item: usize) -> Amount {
        let sum = match (&best.scores, self.weights) {
            (Some(scores), _) => scores[item],
            (None, None) => L::gap(&best.levels, self.column(item)),
            (None, Some(weights)) => L::weighted_gap(&best.levels, self.column(item), weights),
        };
        Amount::from(sum) * self.factor
    }

    fn add(&self, best: &mut Best<L>, item: usize) {
        let column = self.column(item);
        if let Some(scores) = &mut best.scores {
            self.lower(&mut best.levels, scores, column);
        } else {
            lower_all(&mut best.levels, column);
            best.members += 1;
            best.scores = self.scores(&best.levels, best.members);
        }
    }

    fn cost(&self) -> usize {
        self.start.len() / 16 + 1
    }

    fn remember(&self, members: &[usize]) -> Option<BestTwo<L>> {
        let mut two = BestTwo {
            best: self.start.clone(),
            second: self.start.clone(),
            holder: vec![u32::MAX; self.start.len()],
        };
        for (position, item) in (0..).zip(members) {
            let voters = two.best.iter_mut().zip(&mut two.second).zip(&mut two.holder);
            for (((best, second), holder), level) in voters.zip(self.column(*item)) {
                if level < best {
                    (*second, *best, *holder) = (*best, *level, position);
                } else {
                    *second = (*second).min(*level);
                }
            }
        }
        Some(two)
    }

    fn without(
        &self,
        memory: &Option<BestTwo<L>>,
        members: &[usize],
        position: usize,
    ) -> (Best<L>, Amount) {
        let Some(two) = memory else {
            let others = members.iter().enumerate().filter(|(at, _)| *at != position);
            return self.state_of(others.map(|(_, item)| *item));
        };
        let voters = two.best.iter().zip(&two.second).zip(&two.holder);
        let levels: Vec<L> = voters
            .map(|((best, second), h)| if *h as usize == position { *second } else { *best })
            .collect();
        let sum = match self.weights {
            None => L::gap(&self.start, &levels),
            Some(weights) => L::weighted_gap(&self.start, &levels, weights),
        };
        let left = members.len() - 1;
        let scores = self.scores(&levels, left);
        (Best { levels, members: left, scores }, Amount::from(sum) * self.factor)
    }

    fn dominates(&self, better: usize, worse: usize) -> bool {
        self.column(better).iter().zip(self.column(worse)).all(|(b, w)| b <= w)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    fn brute(best: &[u16], column: &[u16]) -> u64 {
        best.iter().zip(column).map(|(b, c)| u64::from(b.saturating_sub(*c))).sum()
    }

    #[test]
    fn members_leave_as_if_they_had_never_come() {
        let mut stream = Stream::new(4, 0);
        let (n, m) = (70, 9);
        for trial in 0..20 {
            let utilities: Vec<u64> = (0..n * m).map(|_| stream.below(6) as u64).collect();
            let cover = Cover::distances(utilities, n, m, Unit::ONE);
            let mut members: Vec<usize> = (0..m).collect();
            stream.shuffle(&mut members);
            members.truncate(1 + trial % 5);
            let memory = cover.remember(&members);
            for position in 0..members.len() {
                let mut others = members.clone();
                others.remove(position);
                let (ours, value) = cover.without(&memory, &members, position);
                let (plain, expected) = cover.state_of(others);
                assert_eq!((ours.levels, value), (plain.levels, expected));
            }
        }
    }

    #[test]
    #[allow(clippy::cast_possible_truncation, reason = "below 256")]
    fn kernels_equal_plain_sums_at_every_length_and_at_the_extremes() {
        let mut stream = Stream::new(1, 0);
        for n in [0, 1, 63, 64, 65, 1000, 64 * 256, 64 * 256 + 7, 50_000] {
            let best: Vec<u16> = (0..n).map(|_| stream.below(256) as u16).collect();
            let column: Vec<u16> = (0..n).map(|_| stream.below(256) as u16).collect();
            let narrow = |x: &[u16]| x.iter().map(|v| *v as u8).collect::<Vec<u8>>();
            assert_eq!(u16::gap(&best, &column), brute(&best, &column));
            assert_eq!(u8::gap(&narrow(&best), &narrow(&column)), brute(&best, &column));
            let wide = |x: &[u16]| x.iter().map(|v| u32::from(*v) << 22).collect::<Vec<u32>>();
            assert_eq!(u32::gap(&wide(&best), &wide(&column)), brute(&best, &column) << 22);
            let weights: Vec<u64> = (0..n).map(|_| stream.below(9) as u64).collect();
            let expected: u64 =
                (0..n).map(|v| weights[v] * u64::from(best[v].saturating_sub(column[v]))).sum();
            assert_eq!(u16::weighted_gap(&best, &column, &weights), expected);
        }
        let n = 300_000;
        assert_eq!(u8::gap(&vec![255; n], &vec![0; n]), 255 * n as u64);
        assert_eq!(u16::gap(&vec![65_535; n], &vec![0; n]), 65_535 * n as u64);
    }
}
