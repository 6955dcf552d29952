//! Chamberlin-Courant and facility location: every voter counts their best member.

use super::amount::Weights;
use super::amount::{Amount, Unit};
use super::levels::{Level, Place, lower_all};
use super::objective::Objective;
use super::views::{Utilities, below};

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
}
