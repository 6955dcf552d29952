//! Exchanges of items with worse placed ones of more advantaged groups.

use super::models::Scratch;
use crate::fair::Groups;
use crate::rng::Stream;
use crate::{Error, Result};

/// Most pairs that are listed one by one; their numbers take a few megabytes.
const LISTED: usize = 1 << 18;

/// Parameters of the swapping bias.
///
/// A ballot has `max` pairs of an item ahead of one of a more advantaged group; `floor(strength * max)`
/// pairs are drawn with probability proportional to `phi^distance` and exchanged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Swapping {
    /// How much likelier near pairs are, in `(0, 1)`.
    pub phi: f64,
    /// Share of the pairs that is drawn, in `[0, 1]`.
    pub strength: f64,
    /// Draw from what the ballot has become, not from what it was: no pair is exchanged back.
    pub current: bool,
    /// Give the places that a group ends up with to its items in their first order.
    pub keep_group_order: bool,
}

impl Swapping {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`Error::Range`].
    pub(super) fn check(&self) -> Result<()> {
        if !(self.phi > 0.0 && self.phi < 1.0) {
            return Err(Error::range("phi", "a number in (0, 1)", self.phi));
        }
        if !(0.0..=1.0).contains(&self.strength) {
            return Err(Error::range("strength", "a number in [0, 1]", self.strength));
        }
        Ok(())
    }

    pub(super) fn apply(
        &self,
        ballot: &mut [u32],
        groups: Groups<'_>,
        scratch: &mut Scratch,
        stream: &mut Stream,
    ) {
        let Scratch { pairs, first, at, powers, .. } = scratch;
        if powers.len() < ballot.len() || pairs.phi.to_bits() != self.phi.to_bits() {
            pairs.phi = self.phi;
            powers.clear();
            powers.extend((0..ballot.len()).map(|d| libm::pow(self.phi, d as f64)));
        }
        pairs.read(ballot, groups, powers);
        let draws = super::models::whole(self.strength * pairs.count as f64);
        if draws == 0 {
            return;
        }
        first.clear();
        first.extend_from_slice(ballot);
        if self.current {
            for _ in 0..draws {
                let Some((low, high)) = pairs.draw(powers, stream) else { break };
                ballot.swap(low, high);
                pairs.read(ballot, groups, powers);
            }
        } else {
            // Where the item that stood at a place stands now.
            at.clear();
            at.extend(0..ballot.len());
            // There are as many draws as a share of the pairs, which pays for listing them.
            let listed = pairs.count <= LISTED && 4 * draws >= pairs.count;
            if listed {
                pairs.list(powers);
            }
            for _ in 0..draws {
                let drawn =
                    if listed { pairs.flat.draw(stream) } else { pairs.draw(powers, stream) };
                let Some((low, high)) = drawn else { break };
                ballot.swap(at[low], at[high]);
                at.swap(low, high);
            }
        }
        if self.keep_group_order {
            super::models::refill(ballot, first, groups);
        }
    }
}

/// Weighted pairs of an item and a better placed one of a less advantaged group.
///
/// For every threshold `g`, `sums[g]` lists the places of items of groups above `g` with the running
/// sums of `phi^-place`, each scaled by `phi^place` of its own place: all numbers stay between one and
/// the number of items, however long the ballot.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    pub(super) phi: f64,
    /// Number of pairs.
    pub(super) count: usize,
    lists: Vec<List>,
    rows: Vec<Row>,
    cumulative: Vec<f64>,
    flat: Flat,
}

#[derive(Debug, Default)]
struct List {
    places: Vec<u32>,
    sums: Vec<f64>,
}

/// One item that others are ahead of.
#[derive(Debug)]
struct Row {
    place: u32,
    list: u32,
    /// How many places of the list lie ahead.
    ahead: u32,
}

#[allow(clippy::cast_possible_truncation, reason = "places of ballots of u32 items")]
impl Pairs {
    fn read(&mut self, ballot: &[u32], groups: Groups<'_>, powers: &[f64]) {
        let thresholds = groups.count().saturating_sub(1);
        self.lists.resize_with(thresholds, List::default);
        for list in &mut self.lists {
            list.places.clear();
            list.sums.clear();
        }
        self.rows.clear();
        self.cumulative.clear();
        self.count = 0;
        let mut total = 0.0;
        for (place, item) in ballot.iter().enumerate() {
            let g = groups.of(*item as usize);
            if let Some(list) = self.lists.get(g) {
                if let (Some(last), Some(sum)) = (list.places.last(), list.sums.last()) {
                    total += powers[place - *last as usize] * sum;
                    let (place, ahead) = (place as u32, list.places.len() as u32);
                    self.rows.push(Row { place, list: g as u32, ahead });
                    self.cumulative.push(total);
                    self.count += list.places.len();
                }
            }
            for list in &mut self.lists[..g.min(thresholds)] {
                let before = match (list.places.last(), list.sums.last()) {
                    (Some(last), Some(sum)) => powers[place - *last as usize] * sum,
                    _ => 0.0,
                };
                list.places.push(place as u32);
                list.sums.push(1.0 + before);
            }
        }
    }

    /// Lists all pairs with their running weights.
    fn list(&mut self, powers: &[f64]) {
        let flat = &mut self.flat;
        flat.pairs.clear();
        flat.cumulative.clear();
        let mut total = 0.0;
        for Row { place, list, ahead } in &self.rows {
            for other in &self.lists[*list as usize].places[..*ahead as usize] {
                total += powers[(place - other) as usize];
                flat.pairs.push((*place, *other));
                flat.cumulative.push(total);
            }
        }
        flat.index();
    }

    /// A pair of places (worse, better); `None` when there is no pair.
    ///
    /// Two binary searches: for the worse item, then for the better one among those ahead of it.
    fn draw(&self, powers: &[f64], stream: &mut Stream) -> Option<(usize, usize)> {
        let total = *self.cumulative.last()?;
        let u = stream.uniform() * total;
        let row = self.cumulative.partition_point(|c| *c <= u).min(self.rows.len() - 1);
        let Row { place, list, ahead } = self.rows[row];
        let List { places, sums } = &self.lists[list as usize];
        let ahead = ahead as usize;
        let last = places[ahead - 1];
        let v = stream.uniform() * sums[ahead - 1];
        // Sums up to the j-th place, on the scale of the last one.
        let scaled = |j: usize| sums[j] * powers[(last - places[j]) as usize];
        let (mut low, mut high) = (0, ahead - 1);
        while low < high {
            let middle = low.midpoint(high);
            if scaled(middle) <= v {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Some((place as usize, places[low] as usize))
    }
}

/// All pairs, and where the search for one starts.
#[derive(Debug, Default)]
struct Flat {
    pairs: Vec<(u32, u32)>,
    cumulative: Vec<f64>,
    /// The first pair whose running weight is beyond the share `i / pairs` of the total.
    guide: Vec<u32>,
}

impl Flat {
    #[allow(clippy::cast_possible_truncation, reason = "at most `LISTED` pairs")]
    fn index(&mut self) {
        let last = self.pairs.len().saturating_sub(1);
        let step = self.cumulative.last().copied().unwrap_or(0.0) / (last + 1) as f64;
        self.guide.clear();
        let mut pair = 0;
        for i in 0..self.pairs.len() {
            while pair < last && self.cumulative[pair] <= step * i as f64 {
                pair += 1;
            }
            self.guide.push(pair as u32);
        }
    }

    /// A pair; on average one step from where the guide points, whatever the weights.
    fn draw(&self, stream: &mut Stream) -> Option<(usize, usize)> {
        let total = *self.cumulative.last()?;
        let (u, last) = (stream.uniform(), self.pairs.len() - 1);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "u is below 1")]
        let near = ((u * self.pairs.len() as f64) as usize).min(last);
        let mut pair = self.guide[near] as usize;
        while pair < last && self.cumulative[pair] <= u * total {
            pair += 1;
        }
        let (low, high) = self.pairs[pair];
        Some((low as usize, high as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn powers(phi: f64, m: usize) -> Vec<f64> {
        (0..m).map(|d| libm::pow(phi, d as f64)).collect()
    }

    #[test]
    fn pairs_are_drawn_in_proportion_to_their_weights() {
        // Group 1 at places 0, 1, 3 and group 2 at place 4; group 0 at places 2, 5.
        let labels = [1, 1, 0, 1, 2, 0];
        let groups = Groups::new(&labels, 3).expect("valid");
        let ballot: Vec<u32> = (0..6).collect();
        for phi in [0.5, 0.9] {
            for listed in [false, true] {
                draws_follow_the_weights(phi, listed, &ballot, groups);
            }
        }
    }

    fn draws_follow_the_weights(phi: f64, listed: bool, ballot: &[u32], groups: Groups<'_>) {
        let (mut pairs, powers) = (Pairs { phi, ..Pairs::default() }, powers(phi, 6));
        pairs.read(ballot, groups, &powers);
        pairs.list(&powers);
        assert_eq!((pairs.count, pairs.flat.pairs.len()), (6, 6));
        let expected = [(2, 0), (2, 1), (5, 0), (5, 1), (5, 3), (5, 4)];
        let weight =
            |(low, high): (usize, usize)| phi.powi(i32::try_from(low - high).expect("small"));
        let total: f64 = expected.iter().map(|pair| weight(*pair)).sum();
        let mut seen = [0_u32; 6];
        let (mut stream, draws) = (Stream::new(1, 0), 40_000);
        for _ in 0..draws {
            let pair = if listed {
                pairs.flat.draw(&mut stream)
            } else {
                pairs.draw(&powers, &mut stream)
            };
            let pair = pair.expect("there are pairs");
            seen[expected.iter().position(|e| *e == pair).expect("a valid pair")] += 1;
        }
        for (pair, seen) in expected.iter().zip(seen) {
            let p = weight(*pair) / total;
            let off = (f64::from(seen) / f64::from(draws) - p).abs();
            assert!(off < 4.0 * (p * (1.0 - p) / f64::from(draws)).sqrt(), "{pair:?} {seen}");
        }
    }

    #[test]
    fn long_ballots_neither_overflow_nor_vanish() {
        let m = 6000;
        let labels: Vec<u32> = (0..m).map(|i| u32::from(i % 3 == 0)).collect();
        let groups = Groups::new(&labels, 2).expect("valid");
        let ballot: Vec<u32> = (0..m).collect();
        let powers = powers(0.5, m as usize);
        let mut pairs = Pairs { phi: 0.5, ..Pairs::default() };
        pairs.read(&ballot, groups, &powers);
        assert!(pairs.cumulative.iter().all(|c| c.is_finite()));
        let mut stream = Stream::new(0, 0);
        let mean = (0..2000)
            .map(|_| pairs.draw(&powers, &mut stream).expect("pairs"))
            .inspect(|(low, high)| assert!(low > high && low - high < 60))
            .map(|(low, _)| low as f64)
            .sum::<f64>()
            / 2000.0;
        assert!((mean - 3000.0).abs() < 200.0, "{mean}");
    }
}
