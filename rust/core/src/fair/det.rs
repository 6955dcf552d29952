//! Deterministic re-ranking to target shares.
//!
//! Every prefix of length `i` wants at least `floor(i * share)` items of a group and, where it can be
//! had, at most `ceil(i * share)`.

use super::bounds::{ceil_share, floor_share};
use super::groups::Queues;
use crate::{Result, Stop};

/// How the next group is chosen while no lower bound is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    /// The best head among groups below their upper bound.
    Greedy,
    /// The group whose next place is due first.
    Conservative,
    /// The best head among the groups whose next place is due at the first whole step.
    Relaxed,
}

/// `DetGreedy`, `DetCons` and `DetRelaxed`.
///
/// Groups that ran out of items are passed over; when every group below its upper bound has run out,
/// the best head of all stands next.
///
/// Source: Geyik, Ambler and Kenthapadi 2019, algorithms 1 and 2.
pub(super) fn greedy(queues: &mut Queues, shares: &[f64], k: usize, choice: Choice) -> Vec<usize> {
    let mut have = vec![0; shares.len()];
    let mut out = Vec::with_capacity(k);
    for i in 1..=k {
        let due = |g: usize| have[g] < floor_share(shares[g], i);
        let open = |g: usize| have[g] < ceil_share(shares[g], i) && queues.head(g).is_some();
        let chosen = queues
            .best(due)
            .or_else(|| among(queues, shares, i, choice, open))
            .or_else(|| queues.best(|_| true));
        let Some(g) = chosen else { break };
        have[g] += 1;
        out.extend(queues.take(g));
    }
    out
}

fn among(
    queues: &Queues,
    shares: &[f64],
    i: usize,
    choice: Choice,
    open: impl Fn(usize) -> bool,
) -> Option<usize> {
    // When the group's count would become due: its next item is at most the ceiling.
    let step = |g: usize| ceil_share(shares[g], i) as f64 / shares[g];
    let whole = |g: usize| (step(g) - 1e-9).ceil();
    let least = |f: &dyn Fn(usize) -> f64| {
        (0..shares.len()).filter(|g| open(*g)).map(f).min_by(f64::total_cmp)
    };
    match choice {
        Choice::Greedy => queues.best(open),
        Choice::Conservative => {
            let first = least(&step)?;
            queues.best(|g| open(g) && step(g) <= first + 1e-9)
        }
        Choice::Relaxed => {
            let first = least(&whole)?;
            queues.best(|g| open(g) && whole(g) <= first)
        }
    }
}

/// An item that was put in, and the last place (from 1) that it may move down to.
struct Placed {
    item: usize,
    deadline: usize,
}

/// `DetConstSort`: items come in when their group's lower bound rises and then move up by score.
///
/// The places given back are those of `queues`, so a smaller number is a better score. An item that
/// came in at step `d` keeps one of the first `d` places; the published comparison (`parity`) lets it
/// slip one place further, which breaks the bound that made it come in.
///
/// Source: Geyik, Ambler and Kenthapadi 2019, algorithm 3.
pub(super) fn const_sort(
    queues: &mut Queues,
    shares: &[f64],
    k: usize,
    parity: bool,
    stop: Stop<'_>,
) -> Result<Vec<usize>> {
    let mut have = vec![0; shares.len()];
    let mut out: Vec<Placed> = Vec::with_capacity(k + shares.len());
    while out.len() < k {
        stop.check()?; // an item may move up past all others
        let next = |g: usize| queues.head(g).and_then(|_| due(shares[g], have[g]));
        let Some(step) = (0..shares.len()).filter_map(next).min() else { break };
        let mut coming: Vec<(usize, usize)> = (0..shares.len())
            .filter(|g| next(*g) == Some(step))
            .filter_map(|g| queues.head(g).map(|head| (head, g)))
            .collect();
        coming.sort_unstable();
        for (item, g) in coming {
            queues.take(g);
            have[g] += 1;
            out.push(Placed { item, deadline: step });
            bubble(&mut out, parity);
        }
    }
    let mut ranking: Vec<usize> = out.into_iter().map(|placed| placed.item).collect();
    while ranking.len() < k {
        let Some(g) = queues.best(|_| true) else { break };
        ranking.extend(queues.take(g));
    }
    ranking.truncate(k);
    Ok(ranking)
}

/// The first step at which a group with `have` items needs one more.
fn due(share: f64, have: usize) -> Option<usize> {
    // A share that is never due within 2^53 steps is none at all.
    let step = ((have + 1) as f64 - 1e-9) / share;
    if !step.is_finite() || step > 9e15 {
        return None;
    }
    let near = super::bounds::count(step.ceil()).max(1);
    (near.saturating_sub(1).max(1)..=near + 1).find(|i| floor_share(share, *i) > have)
}

/// Moves the last item up past worse ones that may still move down.
fn bubble(out: &mut [Placed], parity: bool) {
    let mut at = out.len() - 1;
    while at > 0 {
        let above = &out[at - 1];
        let may_fall = above.deadline > at || (parity && above.deadline == at);
        if !may_fall || above.item <= out[at].item {
            break;
        }
        out.swap(at - 1, at);
        at -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::super::Groups;
    use super::*;

    fn queues(labels: &[u32], p: usize) -> Queues {
        let order: Vec<usize> = (0..labels.len()).collect();
        Queues::new(&order, Groups::new(labels, p).expect("valid"))
    }

    #[test]
    fn due_is_where_the_floor_rises() {
        for share in [0.5, 1.0 / 3.0, 0.29, 0.07, 1.0, 0.123_456] {
            for have in 0..200 {
                let step = due(share, have).expect("positive share");
                assert!(floor_share(share, step) > have && floor_share(share, step - 1) <= have);
            }
        }
        assert_eq!(due(0.0, 0), None);
    }

    #[test]
    fn greedy_serves_due_groups_first() {
        let labels = [0, 0, 0, 0, 1, 1];
        let ranking = greedy(&mut queues(&labels, 2), &[0.5, 0.5], 6, Choice::Greedy);
        assert_eq!(ranking, [0, 4, 1, 5, 2, 3]);
        let ranking = greedy(&mut queues(&labels, 2), &[0.75, 0.25], 4, Choice::Greedy);
        assert_eq!(ranking, [0, 1, 2, 4]);
    }

    #[test]
    fn a_forced_item_never_slips_past_its_step_except_in_parity() {
        // Items 0 and 2 are of group 1, item 3 the best of group 0.
        let labels = [1, 1, 0, 0];
        let strict = const_sort(&mut queues(&labels, 2), &[0.5, 0.5], 4, false, Stop::never());
        assert_eq!(strict, Ok(vec![0, 2, 1, 3]));
        let published = const_sort(&mut queues(&labels, 2), &[0.5, 0.5], 4, true, Stop::never());
        assert_eq!(published, Ok(vec![0, 1, 2, 3]));
    }

    #[test]
    fn groups_without_share_or_items_do_not_hang() {
        let labels = [0, 0, 1];
        let never = Stop::never();
        let three = const_sort(&mut queues(&labels, 3), &[0.2, 0.0, 0.8], 3, false, never);
        assert_eq!(three, Ok(vec![0, 1, 2]));
        let two = const_sort(&mut queues(&labels, 2), &[0.0, 0.0], 2, false, never);
        assert_eq!(two, Ok(vec![0, 1]));
    }
}
