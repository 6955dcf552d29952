//! Scores of separable rules: every member counts by itself.

use super::amount::{Amount, Factors, Unit, greatest_common_divisor};
use super::objective::Modular;
use super::views::{Approvals, Cells, Places, Utilities};
use crate::parallel;

/// Work below which tasks are not worth their start, in places.
const SERIAL: usize = 1 << 20;

/// `sum_v w_v scores[place]`.
pub(super) fn positional(places: &Places<'_>, scores: &Factors, threads: Option<usize>) -> Modular {
    let (n, m) = (places.voters(), places.m);
    let threads = if n * m < SERIAL { Some(1) } else { threads };
    let totals = parallel::map(m, threads, |item| {
        let counts = match places.cells {
            Cells::U8(cells) => {
                histogram(&cells[item * n..(item + 1) * n], &places.weights.units, m)
            }
            Cells::U16(cells) => {
                histogram(&cells[item * n..(item + 1) * n], &places.weights.units, m)
            }
        };
        counts.iter().zip(&scores.values).map(|(count, s)| Amount::from(*count) * s).sum()
    });
    let largest = scores.values.iter().map(|s| s.abs()).max().unwrap_or(0);
    let most = Amount::from(places.weights.total) * largest * (m as Amount);
    Modular { scores: totals, unit: places.weights.unit.times(scores.unit, most) }
}

/// Weight of voters by place.
fn histogram<P: Copy + Into<u16>>(column: &[P], weights: &[u64], m: usize) -> Vec<u64> {
    let mut counts = vec![0; m];
    for (place, weight) in column.iter().zip(weights) {
        counts[usize::from((*place).into())] += weight;
    }
    counts
}

/// `m - 1, ..., 1, 0`.
pub(super) fn borda(m: usize) -> Factors {
    Factors { values: (0..m as Amount).rev().collect(), unit: Unit::ONE }
}

/// 1 for the first `t` of `m` places, then 0.
pub(super) fn first(t: usize, m: usize) -> Factors {
    Factors { values: (0..m).map(|r| Amount::from(r < t)).collect(), unit: Unit::ONE }
}

/// Weight of supporters.
pub(super) fn approvals(approvals: &Approvals) -> Modular {
    let scores = (0..approvals.items()).map(|item| Amount::from(approvals.support(item))).collect();
    Modular { scores, unit: approvals.weights.unit }
}

/// Every voter's weight shared equally among the items they approve.
///
/// Source: Brams and Kilgour 2014 (satisfaction approval voting).
pub(super) fn satisfaction(approvals: &Approvals) -> Modular {
    let mut sizes: Vec<u128> =
        approvals.by_voter.iter().map(|set| set.len() as u128).filter(|s| *s > 0).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let terms: Vec<(u64, u128)> = sizes.iter().map(|size| (1, *size)).collect();
    let total = u128::from(approvals.weights.total);
    let shares = Factors::ratios(&terms, total);
    let share = |size: usize| {
        let index = sizes.binary_search(&(size as u128));
        index.map_or(0, |index| shares.values[index])
    };
    let mut scores = vec![0; approvals.items()];
    for (set, weight) in approvals.by_voter.iter().zip(&approvals.weights.units) {
        let share = share(set.len()) * Amount::from(*weight);
        for item in set {
            scores[*item as usize] += share;
        }
    }
    let most = Amount::from(approvals.weights.total) * shares.values.first().copied().unwrap_or(0);
    let mut unit = approvals.weights.unit.times(shares.unit, most);
    if unit.grain == 1 {
        reduce(&mut scores, &mut unit);
    }
    Modular { scores, unit }
}

/// Divides exact scores by what they have in common, which keeps sums small.
fn reduce(scores: &mut [Amount], unit: &mut Unit) {
    let common = scores.iter().fold(0, |a, s| greatest_common_divisor(a, s.unsigned_abs()));
    if let Ok(common) = Amount::try_from(common)
        && common > 1
    {
        for s in scores.iter_mut() {
            *s /= common;
        }
        unit.scale /= common as f64;
    }
}

/// Sums of utilities.
pub(super) fn sums(utilities: &Utilities) -> Modular {
    let values = utilities.weighted();
    let columns = values.chunks_exact(utilities.voters().max(1));
    let mut scores: Vec<Amount> =
        columns.map(|column| column.iter().map(|u| Amount::from(*u)).sum()).collect();
    scores.resize(utilities.m, 0);
    Modular { scores, unit: utilities.unit }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::committee::amount::Weights;
    use crate::committee::views::Lists;

    #[test]
    fn positional_scores_by_hand() {
        let cells = [0_u8, 2, 1, 0, 2, 1];
        let weights = Weights::new(&[1.0, 2.0]).expect("valid");
        let places = Places::new(Cells::U8(&cells), 3, weights).expect("valid");
        assert_eq!(positional(&places, &borda(3), None).scores, [2, 1 + 4, 2]);
        assert_eq!(positional(&places, &first(1, 3), None).scores, [1, 2, 0]);
    }

    #[test]
    fn satisfaction_shares_a_vote() {
        let sets = Lists::new(vec![0, 2, 5, 5], vec![0, 1, 0, 1, 2], 4).expect("valid");
        let view = Approvals::new(sets, 4, Weights::equal(3)).expect("valid");
        let modular = satisfaction(&view);
        let values: Vec<f64> = modular.scores.iter().map(|s| modular.unit.value(*s)).collect();
        assert!((values[0] - 5.0 / 6.0).abs() < 1e-15 && values[3] == 0.0);
    }
}
