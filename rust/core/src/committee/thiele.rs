//! Thiele methods on approvals: the j-th approved member of a voter counts `lambda_j`.
//!
//! Scores of all items are kept up to date: adding an item touches only the other approvals of its
//! supporters.

use super::amount::{Amount, Factors, Unit};
use super::objective::Objective;
use super::views::Approvals;

pub(super) struct Thiele<'a> {
    approvals: &'a Approvals,
    lambda: Vec<Amount>,
    unit: Unit,
}

/// How many members each voter approves, and what every item would add.
#[derive(Debug, Clone)]
pub(super) struct Tally {
    satisfied: Vec<u32>,
    scores: Vec<Amount>,
}

impl<'a> Thiele<'a> {
    /// `factors` are `lambda_1, lambda_2, ...`, the last one standing for all further ones.
    pub(super) fn new(approvals: &'a Approvals, factors: Factors) -> Self {
        let total = Amount::from(approvals.weights.total);
        let largest = factors.values.iter().copied().max().unwrap_or(0);
        let terms = factors.values.len() as Amount;
        let unit = approvals.weights.unit.times(factors.unit, total * largest * terms);
        Self { approvals, lambda: factors.values, unit }
    }

    fn lambda(&self, index: usize) -> Amount {
        let last = self.lambda.len().saturating_sub(1);
        self.lambda.get(index.min(last)).copied().unwrap_or(0)
    }

    /// How many of the members each voter approves.
    pub(super) fn approved(&self, members: impl IntoIterator<Item = usize>) -> Vec<u32> {
        let mut approved = vec![0; self.approvals.voters()];
        for voter in members.into_iter().flat_map(|item| self.approvals.by_item.get(item)) {
            approved[*voter as usize] += 1;
        }
        approved
    }

    /// What each of the members contributes, where voter `v` approves `approved[v]` of them.
    ///
    /// Takes one look at each approval.
    pub(super) fn losses(&self, approved: &[u32]) -> Vec<Amount> {
        let loss = |voter: &u32| {
            let have = approved[*voter as usize] as usize;
            let weight = Amount::from(self.approvals.weights.units[*voter as usize]);
            weight * self.lambda(have.max(1) - 1)
        };
        self.approvals.by_item.iter().map(|list| list.iter().map(loss).sum()).collect()
    }

    /// The value of a committee of which voter `v` approves `approved[v]` members.
    pub(super) fn value_of(&self, approved: &[u32]) -> Amount {
        let most = approved.iter().copied().max().unwrap_or(0) as usize;
        let mut sums = vec![0; most + 1];
        for index in 0..most {
            sums[index + 1] = sums[index] + self.lambda(index);
        }
        let weights = &self.approvals.weights.units;
        let worth = |(have, weight): (&u32, &u64)| Amount::from(*weight) * sums[*have as usize];
        approved.iter().zip(weights).map(worth).sum()
    }
}

impl Objective for Thiele<'_> {
    type State = Tally;
    type Memory = ();

    fn items(&self) -> usize {
        self.approvals.items()
    }

    fn unit(&self) -> Unit {
        self.unit
    }

    fn empty(&self) -> Tally {
        let first = self.lambda(0);
        let scores = (0..self.items())
            .map(|item| Amount::from(self.approvals.support(item)) * first)
            .collect();
        Tally { satisfied: vec![0; self.approvals.voters()], scores }
    }

    fn gain(&self, tally: &Tally, item: usize) -> Amount {
        tally.scores[item]
    }

    fn add(&self, tally: &mut Tally, item: usize) {
        for voter in self.approvals.by_item.get(item) {
            let voter = *voter as usize;
            let have = tally.satisfied[voter] as usize;
            tally.satisfied[voter] += 1;
            let change = self.lambda(have + 1) - self.lambda(have);
            if change == 0 {
                continue;
            }
            let change = change * Amount::from(self.approvals.weights.units[voter]);
            for other in self.approvals.by_voter.get(voter) {
                tally.scores[*other as usize] += change;
            }
        }
    }

    fn cost(&self) -> usize {
        1
    }

    fn dominates(&self, better: usize, worse: usize) -> bool {
        let supporters = self.approvals.by_item.get(better);
        let mut from = 0;
        self.approvals.by_item.get(worse).iter().all(|voter| {
            from += supporters[from..].partition_point(|other| other < voter);
            supporters.get(from) == Some(voter)
        })
    }

    fn is_modular(&self) -> bool {
        self.lambda.iter().all(|l| *l == self.lambda[0])
    }

    fn state_of(&self, members: impl IntoIterator<Item = usize>) -> (Tally, Amount) {
        let mut tally = self.empty();
        let mut value = 0;
        for item in members {
            value += tally.scores[item];
            self.add(&mut tally, item);
        }
        (tally, value)
    }
}

/// `1, 1/2, 1/3, ...` up to `k`: proportional approval voting; `most` as in [`Factors::ratios`].
pub(super) fn harmonic(k: usize, most: u128) -> Factors {
    Factors::ratios(&(1..=k.max(1) as u128).map(|j| (1, j)).collect::<Vec<_>>(), most)
}

/// `1, 1/3, 1/5, ...`: Sainte-Lague approval voting.
pub(super) fn odd(k: usize, most: u128) -> Factors {
    Factors::ratios(&(1..=k.max(1) as u128).map(|j| (1, 2 * j - 1)).collect::<Vec<_>>(), most)
}

/// `1/p, 1/p^2, ...`.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small whole number")]
pub(super) fn geometric(p: f64, k: usize, most: u128) -> Factors {
    let whole = p.trunc().total_cmp(&p).is_eq() && p < 1e6;
    let powers: Option<Vec<(u64, u128)>> = (1..=u32::try_from(k.max(1)).unwrap_or(u32::MAX))
        .map(|j| (p as u128).checked_pow(j).map(|d| (1, d)))
        .collect();
    match powers.filter(|_| whole) {
        Some(powers) => Factors::ratios(&powers, most),
        None => {
            Factors::rounded(&(1..=k.max(1)).map(|j| libm::pow(p, -(j as f64))).collect::<Vec<_>>())
        }
    }
}

/// 1 for the first `t` members, then 0: coverage, or approval Chamberlin-Courant, for `t` = 1.
pub(super) fn threshold(t: usize, k: usize) -> Factors {
    let values = (0..=k.max(t)).map(|j| Amount::from(j < t)).collect();
    Factors { values, unit: Unit::ONE }
}
