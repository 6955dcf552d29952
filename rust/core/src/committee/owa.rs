//! Ordered weighted averages and norms: a voter's members count by how good they are to that voter.

use super::amount::{Amount, Factors, Unit};
use super::objective::Objective;
use super::views::{Places, Utilities};

/// What every item is worth to every voter, times the voter's weight, in units.
#[derive(Debug, Clone)]
pub(super) struct Worth {
    /// `(m, n)`.
    pub(super) values: Vec<u64>,
    pub(super) n: usize,
    pub(super) m: usize,
    pub(super) unit: Unit,
    /// Largest sum over voters.
    pub(super) total: Amount,
}

impl Worth {
    /// `scores[place]`, non-negative.
    pub(super) fn of_places(places: &Places<'_>, scores: &Factors) -> Self {
        let (n, m) = (places.voters(), places.m);
        let weights = &places.weights;
        let largest = scores.values.iter().copied().max().unwrap_or(0);
        let total = Amount::from(weights.total) * largest;
        let value = |item: usize, voter: usize| {
            let score = scores.values[places.place(item, voter)];
            u64::try_from(score).unwrap_or(0) * weights.units[voter]
        };
        let values = (0..m).flat_map(|item| (0..n).map(move |voter| (item, voter)));
        Self {
            values: values.map(|(item, voter)| value(item, voter)).collect(),
            n,
            m,
            unit: weights.unit.times(scores.unit, total),
            total,
        }
    }

    pub(super) fn of_utilities(utilities: &Utilities) -> Self {
        Self {
            values: utilities.weighted(),
            n: utilities.voters(),
            m: utilities.m,
            unit: utilities.unit,
            total: utilities.total(),
        }
    }

    pub(super) fn column(&self, item: usize) -> &[u64] {
        &self.values[item * self.n..(item + 1) * self.n]
    }
}

/// `sum_j lambda_j s_(j)` over the sorted worths of the members, `lambda` not rising.
pub(super) struct Owa {
    worth: Worth,
    lambda: Vec<Amount>,
    unit: Unit,
}

impl Owa {
    /// `factors` are cut at `k`, and 0 after their end.
    pub(super) fn new(worth: Worth, mut factors: Factors, k: usize) -> Self {
        factors.values.truncate(k.max(1));
        while factors.values.len() > 1 && factors.values.last() == Some(&0) {
            factors.values.pop();
        }
        let sum: Amount = factors.values.iter().sum();
        let unit = worth.unit.times(factors.unit, worth.total * sum);
        factors.values.push(0);
        Self { worth, lambda: factors.values, unit }
    }

    fn depth(&self) -> usize {
        self.lambda.len() - 1
    }
}

impl Objective for Owa {
    /// The best worths of every voter, best first, filled up with 0.
    type State = Vec<u64>;
    type Memory = ();

    fn items(&self) -> usize {
        self.worth.m
    }

    fn unit(&self) -> Unit {
        self.unit
    }

    fn empty(&self) -> Vec<u64> {
        vec![0; self.worth.n * self.depth()]
    }

    fn gain(&self, state: &Vec<u64>, item: usize) -> Amount {
        let rows = state.chunks_exact(self.depth());
        let gain = |(row, new): (&[u64], &u64)| {
            let place = row.partition_point(|old| old >= new);
            if place == row.len() {
                return 0;
            }
            let pushed = row[place..].iter().zip(self.lambda[place..].windows(2));
            let lost: Amount =
                pushed.map(|(old, pair)| Amount::from(*old) * (pair[0] - pair[1])).sum();
            Amount::from(*new) * self.lambda[place] - lost
        };
        rows.zip(self.worth.column(item)).map(gain).sum()
    }

    fn dominates(&self, better: usize, worse: usize) -> bool {
        self.worth.column(better).iter().zip(self.worth.column(worse)).all(|(b, w)| b >= w)
    }

    fn add(&self, state: &mut Vec<u64>, item: usize) {
        let rows = state.chunks_exact_mut(self.depth());
        for (row, new) in rows.zip(self.worth.column(item)) {
            let place = row.partition_point(|old| old >= new);
            if place < row.len() {
                row[place..].rotate_right(1);
                row[place] = *new;
            }
        }
    }

    fn cost(&self) -> usize {
        self.worth.n * 4 + 1
    }

    fn is_modular(&self) -> bool {
        false
    }
}

/// `(sum_j s_j^p)^(1/p)`, `p` at least 1.
pub(super) struct Norm<'a> {
    places: &'a Places<'a>,
    powers: Vec<f64>,
    inverse: f64,
    scale: f64,
    unit: Unit,
}

/// Bits of the largest norm of one voter; the total adds those of the weights.
const NORM_BITS: i32 = 50;

impl<'a> Norm<'a> {
    pub(super) fn borda(places: &'a Places<'a>, p: f64, k: usize) -> Self {
        let m = places.m;
        // Relative to the largest score, so that high powers stay finite.
        let largest = m.saturating_sub(1).max(1) as f64;
        let powers = (0..m).map(|r| libm::pow((m - 1 - r) as f64 / largest, p)).collect();
        let scale = super::amount::room(k.max(1) as f64, NORM_BITS);
        let most = Amount::from(places.weights.total) << NORM_BITS;
        let norm = Unit { scale: scale / largest, grain: 2 };
        let unit = places.weights.unit.times(norm, most);
        Self { places, powers, inverse: 1.0 / p, scale, unit }
    }

    #[allow(clippy::cast_possible_truncation, reason = "below 2^50")]
    fn level(&self, sum: f64) -> Amount {
        (libm::pow(sum, self.inverse) * self.scale).round() as Amount
    }
}

impl Objective for Norm<'_> {
    /// Sums of powers.
    type State = Vec<f64>;
    type Memory = ();

    fn items(&self) -> usize {
        self.places.m
    }

    fn unit(&self) -> Unit {
        self.unit
    }

    fn empty(&self) -> Vec<f64> {
        vec![0.0; self.places.voters()]
    }

    fn gain(&self, sums: &Vec<f64>, item: usize) -> Amount {
        let gain = |(voter, sum): (usize, &f64)| {
            let more = sum + self.powers[self.places.place(item, voter)];
            let weight = Amount::from(self.places.weights.units[voter]);
            weight * (self.level(more) - self.level(*sum))
        };
        sums.iter().enumerate().map(gain).sum()
    }

    fn add(&self, sums: &mut Vec<f64>, item: usize) {
        for (voter, sum) in sums.iter_mut().enumerate() {
            *sum += self.powers[self.places.place(item, voter)];
        }
    }

    fn cost(&self) -> usize {
        self.places.voters() * 40 + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::committee::amount::Weights;
    use crate::committee::views::Cells;

    #[test]
    fn an_average_sorts_each_voters_members() {
        let cells = [0_u8, 2, 1, 0, 2, 1];
        let weights = Weights::new(&[1.0, 2.0]).expect("valid");
        let places = Places::new(Cells::U8(&cells), 3, weights).expect("valid");
        let borda = Factors { values: vec![2, 1, 0], unit: Unit::ONE };
        let halves = Factors::ratios(&[(1, 1), (1, 2)], 100);
        let owa = Owa::new(Worth::of_places(&places, &borda), halves, 2);
        let (_, value) = owa.state_of([0, 1]);
        // Voter 0 has items at places 0 and 1, voter 1 (twice) at places 2 and 0.
        assert!((owa.unit().value(value) - (2.0 + 0.5 + 2.0 * 2.0)).abs() < 1e-12);
    }

    #[test]
    fn a_norm_of_one_is_the_sum_and_order_does_not_matter() {
        let cells = [0_u8, 2, 1, 0, 2, 1];
        let places = Places::new(Cells::U8(&cells), 3, Weights::equal(2)).expect("valid");
        let sum = Norm::borda(&places, 1.0, 3);
        let (_, value) = sum.state_of([0, 1]);
        assert!((sum.unit().value(value) - 5.0).abs() < 1e-9);
        let norm = Norm::borda(&places, 3.0, 3);
        assert_eq!(norm.state_of([0, 1, 2]).1, norm.state_of([2, 0, 1]).1);
    }
}
