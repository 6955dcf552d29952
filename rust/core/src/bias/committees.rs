//! Committees that are best by biased scores, free and for every split of the seats.

use super::rules::Objective;
use crate::fair::Groups;
use crate::{Error, Result};

/// Seats of each group: `seats - quota` for group 0, and the quota shared out by largest remainders of
/// the groups' sizes, ties to the lower group.
pub(super) fn split(quota: usize, seats: usize, groups: Groups<'_>) -> Result<Vec<usize>> {
    if quota > seats {
        return Err(Error::range("quotas", &format!("at most the {seats} seats"), quota));
    }
    let sizes = groups.sizes();
    let others: usize = sizes[1..].iter().sum();
    let mut split: Vec<usize> =
        sizes.iter().map(|size| (quota * size).checked_div(others).unwrap_or(0)).collect();
    split[0] = seats - quota;
    let mut rest: Vec<usize> = (1..sizes.len()).collect();
    rest.sort_by_key(|g| std::cmp::Reverse((quota * sizes[*g]).checked_rem(others).unwrap_or(0)));
    let given: usize = split[1..].iter().sum();
    for g in rest.into_iter().take(quota - given) {
        split[g] += 1;
    }
    let short = (0..sizes.len()).find(|g| split[*g] > sizes[*g]);
    if short.is_none() && split.iter().sum::<usize>() == seats {
        return Ok(split);
    }
    let g = short.unwrap_or(0);
    let what = format!(
        "quotas: {quota} of {seats} seats give group {g} {} seats, it has {} items",
        split[g], sizes[g]
    );
    Err(Error::Infeasible { what })
}

/// What committees are compared on.
pub(super) struct Committees<'a> {
    pub(super) groups: Groups<'a>,
    pub(super) seats: usize,
    /// Seats of each group, committee after committee.
    pub(super) splits: &'a [Vec<usize>],
    /// Every item; those of equal score come in this order.
    pub(super) ties: &'a [usize],
}

impl Committees<'_> {
    /// For every split, the latent and the biased score of its committee over those of the best ones.
    pub(super) fn shares(
        &self,
        objective: &Objective,
        before: &[u32],
        after: &[u32],
    ) -> Vec<(f64, f64)> {
        match objective {
            Objective::Separable(_) => self.separable(objective, before, after),
            _ => self.submodular(objective, before, after),
        }
    }

    /// One sort by biased scores; the best of each group are prefixes of its part of the order.
    fn separable(&self, objective: &Objective, before: &[u32], after: &[u32]) -> Vec<(f64, f64)> {
        let (m, k) = (self.groups.items(), self.seats);
        let truth = objective.gains(before, m, &[]);
        let seen = objective.gains(after, m, &[]);
        let best = |scores: &[f64]| -> f64 {
            order(scores, self.ties).iter().take(k).map(|i| scores[*i]).sum()
        };
        let (best_truth, best_seen) = (best(&truth), best(&seen));
        let p = self.groups.count();
        // Running sums of both scores over each group's items, best first.
        let mut sums: Vec<Vec<(f64, f64)>> = vec![vec![(0.0, 0.0)]; p];
        for item in order(&seen, self.ties) {
            let sums = &mut sums[self.groups.of(item)];
            let last = sums.last().copied().unwrap_or_default();
            sums.push((last.0 + truth[item], last.1 + seen[item]));
        }
        let of = |split: &Vec<usize>| {
            let (mut a, mut b) = (0.0, 0.0);
            for (g, seats) in split.iter().enumerate() {
                a += sums[g][*seats].0;
                b += sums[g][*seats].1;
            }
            (share(a, best_truth), share(b, best_seen))
        };
        self.splits.iter().map(of).collect()
    }

    /// Greedy committees, free and for every split.
    fn submodular(&self, objective: &Objective, before: &[u32], after: &[u32]) -> Vec<(f64, f64)> {
        let m = self.groups.items();
        let free = |ballots: &[u32]| {
            let committee = self.greedy(objective, ballots, None);
            objective.value(ballots, m, &committee)
        };
        let values: Vec<(f64, f64)> = self
            .splits
            .iter()
            .map(|split| {
                let committee = self.greedy(objective, after, Some(split));
                (objective.value(before, m, &committee), objective.value(after, m, &committee))
            })
            .collect();
        let best_truth = values.iter().map(|v| v.0).fold(free(before), f64::max);
        let best_seen = values.iter().map(|v| v.1).fold(free(after), f64::max);
        values.into_iter().map(|(a, b)| (share(a, best_truth), share(b, best_seen))).collect()
    }

    /// Items of largest gain one after the other, ties to the first in `ties`, within the seats of
    /// groups.
    fn greedy(
        &self,
        objective: &Objective,
        ballots: &[u32],
        split: Option<&Vec<usize>>,
    ) -> Vec<usize> {
        let m = self.groups.items();
        let mut left = split.cloned().unwrap_or_else(|| vec![m; self.groups.count()]);
        let (mut committee, mut chosen) = (Vec::new(), vec![false; m]);
        for _ in 0..self.seats {
            let gains = objective.gains(ballots, m, &committee);
            let open =
                self.ties.iter().rev().filter(|i| !chosen[**i] && left[self.groups.of(**i)] > 0);
            // The last of equal maxima wins, which is the first in `ties`.
            let Some(item) = open.copied().max_by(|a, b| gains[*a].total_cmp(&gains[*b])) else {
                break;
            };
            committee.push(item);
            chosen[item] = true;
            left[self.groups.of(item)] -= 1;
        }
        committee
    }
}

/// A part of the best, 1 when there is nothing to gain.
fn share(part: f64, best: f64) -> f64 {
    if best > 0.0 { part / best } else { 1.0 }
}

/// Items by falling score, equal ones in the order of `ties`, which lists every item.
fn order(scores: &[f64], ties: &[usize]) -> Vec<usize> {
    let mut order = ties.to_vec();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a])); // stable
    order
}

#[cfg(test)]
mod tests {
    use super::super::{Latent, objective};
    use super::*;
    use crate::social::Culture;

    #[test]
    fn prefix_sums_agree_with_committees_chosen_one_by_one() {
        let labels: Vec<u32> = (0..12).map(|i| i % 3).collect();
        let groups = Groups::new(&labels, 3).expect("valid");
        let latent = Latent::Culture(Culture::Impartial);
        let ballots = latent.election(9, 12, 3).expect("valid");
        let splits = vec![vec![2, 1, 1], vec![0, 2, 2], vec![4, 0, 0]];
        let ties: Vec<usize> = (0..12).rev().collect();
        let committees = Committees { groups, seats: 4, splits: &splits, ties: &ties };
        for rule in ["borda", "bloc", "sntv"] {
            let f = objective(rule, 12, 4).expect("known");
            let fast = committees.separable(&f, &ballots, &ballots);
            let slow = committees.submodular(&f, &ballots, &ballots);
            for (a, b) in fast.iter().zip(&slow) {
                assert!((a.0 - b.0).abs() < 1e-12 && (a.1 - b.1).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn quotas_are_shared_out_by_size() {
        let labels = [0, 0, 0, 0, 1, 1, 1, 2];
        let groups = Groups::new(&labels, 3).expect("valid");
        assert_eq!(split(0, 4, groups).expect("feasible"), [4, 0, 0]);
        assert_eq!(split(2, 4, groups).expect("feasible"), [2, 2, 0]);
        assert_eq!(split(3, 4, groups).expect("feasible"), [1, 2, 1]);
        assert!(split(5, 4, groups).is_err());
        assert!(matches!(split(0, 5, groups), Err(Error::Infeasible { .. })));
        let alone = Groups::new(&[0, 0], 1).expect("valid");
        assert_eq!(split(0, 2, alone).expect("feasible"), [2]);
        assert!(split(1, 2, alone).is_err());
    }
}
