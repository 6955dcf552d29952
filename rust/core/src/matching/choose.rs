//! The loop over the edges of an arrival: the decision, without any change of state.

use super::items::Items;
use super::options::{Late, Plan};
use super::rows::Row;
use super::rules::{Kernel, prices};

/// What an arrival takes: the edge's place in its row, and its score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Choice {
    pub(super) item: u32,
    pub(super) score: f64,
}

/// The best edge of a row, by the largest score and then the smallest item number.
pub(super) fn choose(plan: &Plan, items: &Items, row: Row<'_>, arrival: u64) -> Option<Choice> {
    match plan.rule.kernel {
        Kernel::Product => match (plan.late, row.values) {
            (Late::Overbook(delta), _) => overbooked(items, row, delta),
            (_, None) => best(row.items, ABOVE_ZERO, |_, u| items.score[u]),
            (_, Some(values)) => best(row.items, ABOVE_ZERO, |e, u| {
                (items.terms[u].weight * values[e]) * items.terms[u].factor
            }),
        },
        Kernel::Difference => best(row.items, ABOVE_ZERO, |e, u| {
            items.terms[u].weight * row.value(e) - items.terms[u].factor
        }),
        Kernel::AtLeastPrice => best(row.items, AT_LEAST_ZERO, |e, u| {
            items.terms[u].weight * row.value(e) - items.terms[u].factor
        }),
        Kernel::MovingPrice => best(row.items, ABOVE_ZERO, |e, u| {
            if items.state[u].used + row.size(e) > items.state[u].limit {
                return -1.0;
            }
            items.terms[u].weight * row.value(e)
                - row.size(e) * prices::current(plan, items, u, arrival)
        }),
    }
}

/// Scores above 0 beat this.
const ABOVE_ZERO: i128 = u32::MAX as i128;
/// Scores of at least 0 beat this.
const AT_LEAST_ZERO: i128 = -1;

/// The best edge by a score that beats `floor`.
///
/// A key holds the bits of the score above the complement of the item number: for scores at or above
/// 0, larger keys are larger scores, and on equal scores smaller items. Comparing and replacing whole
/// keys takes no branch, which matters as nobody can predict which edge of an arrival is best.
#[inline]
fn best(row: &[u32], floor: i128, score: impl Fn(usize, usize) -> f64) -> Option<Choice> {
    // two running maxima, so that one comparison need not wait for the other
    let (mut even, mut odd) = (floor, floor);
    let pairs = row.chunks_exact(2);
    if let [last] = pairs.remainder() {
        even = even.max(key(score(row.len() - 1, *last as usize), *last));
    }
    for (place, pair) in pairs.enumerate() {
        even = even.max(key(score(2 * place, pair[0] as usize), pair[0]));
        odd = odd.max(key(score(2 * place + 1, pair[1] as usize), pair[1]));
    }
    let top = even.max(odd);
    (top > floor).then(|| of_key(top))
}

#[allow(clippy::cast_possible_wrap, reason = "the sign bit is meant to stay one")]
fn key(score: f64, item: u32) -> i128 {
    i128::from(score.to_bits() as i64) << 32 | i128::from(!item)
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "takes apart what key put together"
)]
fn of_key(key: i128) -> Choice {
    Choice { item: !(key as u32), score: f64::from_bits((key >> 32) as u64) }
}

/// The best edge whose attempt keeps the chance of too many successes below `delta`.
fn overbooked(items: &Items, row: Row<'_>, delta: f64) -> Option<Choice> {
    best(row.items, ABOVE_ZERO, |e, u| {
        let p = row.value(e);
        let room = items.state[u].limit - items.state[u].used;
        if excess_chance(&items.open[u], p, room) < delta {
            (items.terms[u].weight * p) * items.terms[u].factor
        } else {
            0.0
        }
    })
}

/// Up to this many waiting attempts the distribution of successes is summed exactly.
const EXACT: usize = 30;

/// The chance that more than `room` of the waiting attempts and one of chance `p` succeed.
fn excess_chance(open: &[(u64, f64)], p: f64, room: f64) -> f64 {
    let count = open.len() + 1;
    if count as f64 <= room {
        return 0.0;
    }
    if room < 1.0 {
        return 1.0;
    }
    let chances = || open.iter().map(|(_, p)| *p).chain(std::iter::once(p));
    if count > EXACT {
        let mean: f64 = chances().sum();
        let variance: f64 = chances().map(|p| p * (1.0 - p)).sum();
        let z = (room + 0.5 - mean) / (2.0 * variance).sqrt();
        return if variance > 0.0 { 0.5 * libm::erfc(z) } else { f64::from(mean > room) };
    }
    let mut at = [0.0; EXACT + 1];
    at[0] = 1.0;
    for (done, p) in chances().enumerate() {
        for k in (0..=done).rev() {
            at[k + 1] += at[k] * p;
            at[k] *= 1.0 - p;
        }
    }
    (0..=count).filter(|k| *k as f64 > room).map(|k| at[k]).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_to_the_smallest_item_in_any_order_of_the_row() {
        let score = [0.5, 1.0, 1.0, 0.0];
        for row in [[3, 2, 1, 0], [1, 2, 0, 3], [0, 3, 2, 1]] {
            let choice = best(&row, ABOVE_ZERO, |_, u| score[u]).expect("some are above zero");
            assert_eq!(choice.item, 1);
        }
        assert!(best(&[3], ABOVE_ZERO, |_, u| score[u]).is_none());
        assert_eq!(best(&[3], AT_LEAST_ZERO, |_, u| score[u]).map(|c| c.item), Some(3));
    }

    #[test]
    fn the_chance_of_too_many_successes_is_summed_over_outcomes() {
        let open = [(0, 0.5), (1, 0.25)];
        assert!(excess_chance(&open, 0.5, 3.0) == 0.0);
        assert!((excess_chance(&open, 0.5, 2.0) - 0.0625).abs() < 1e-15);
        // one minus none minus exactly one of 1/2, 1/4, 1/2
        let none = 0.5 * 0.75 * 0.5;
        let one = 0.5 * 0.75 * 0.5 * 2.0 + 0.5 * 0.25 * 0.5;
        assert!((excess_chance(&open, 0.5, 1.0) - (1.0 - none - one)).abs() < 1e-15);
        assert!(excess_chance(&open, 0.5, 0.0) > 0.999);
        let many: Vec<(u64, f64)> = (0..40).map(|k| (k, 0.5)).collect();
        assert!((excess_chance(&many, 0.5, 20.0) - 0.5).abs() < 0.01);
    }
}
