//! The ranking within bounds that is closest to a given one.

use super::bounds::{NEVER, Windows};
use super::groups::Queues;
use super::{Bounds, Groups};
use crate::{Error, Result, Stop};

/// The ranking of all items within `bounds` that has the least Kendall distance to `order`.
///
/// At every place stands the earliest item of `order` whose group may take the place and after which
/// the remaining lower bounds can still be met. Takes `O(m * (k + p))`.
///
/// # Errors
/// [`Error::Infeasible`] when no ranking is within the bounds, [`Error::Range`] when `order` is no
/// permutation of the items, and what `stop` says.
///
/// Source: Chakraborty, Das, Khan and Subramanian 2022, "Fair rank aggregation", section 3.
pub fn closest(
    order: &[usize],
    groups: Groups<'_>,
    bounds: &Bounds,
    stop: Stop<'_>,
) -> Result<Vec<usize>> {
    check_permutation(order, groups.items())?;
    let windows = bounds.windows(&groups.sizes())?;
    closest_within(order, groups, bounds.prefixes(), &windows, stop)
}

/// [`closest`] for a checked order and windows that can be met.
///
/// `slack[i]` is how many of the next items need not be due by place `i`. Taking an item that is due at
/// `d` uses up one unit of slack at every place before `d`; where there is none, only items that are due
/// by then may come. The windows' releases need no such count: whatever is open now was open in the
/// schedule that exists.
pub(super) fn closest_within(
    order: &[usize],
    groups: Groups<'_>,
    k: usize,
    windows: &Windows,
    stop: Stop<'_>,
) -> Result<Vec<usize>> {
    let mut slack: Vec<usize> = windows.due(k).iter().enumerate().map(|(i, d)| i - d).collect();
    let mut queues = Queues::new(order, groups);
    let mut have = vec![0; groups.count()];
    let mut out = Vec::with_capacity(order.len());
    for place in 1..=order.len() {
        if place % 64 == 0 {
            stop.check()?;
        }
        let from = place.min(k + 1);
        let tight = slack[from..].iter().position(|s| *s == 0).map_or(NEVER, |at| from + at);
        let may = |g: usize| {
            queues.head(g).is_some() && {
                let (release, deadline) = windows.of(g, have[g]);
                release <= place && deadline <= tight
            }
        };
        let Some(g) = queues.best(may) else { break };
        let deadline = windows.of(g, have[g]).1;
        let end = deadline.min(k + 1);
        if from < end {
            slack[from..end].iter_mut().for_each(|s| *s -= 1);
        }
        have[g] += 1;
        out.extend(queues.take(g).map(|at| order[at]));
    }
    debug_assert_eq!(out.len(), order.len(), "a schedule exists");
    Ok(out)
}

/// Whether `order` lists `0..items` once each.
///
/// # Errors
/// [`Error::Shape`] or [`Error::Range`] otherwise.
pub(super) fn check_permutation(order: &[usize], items: usize) -> Result<()> {
    if order.len() != items {
        return Err(Error::length("ranking", items, order.len()));
    }
    check_items(order, items)
}

/// Whether `ranking` lists items below `items`, none twice.
///
/// # Errors
/// [`Error::Range`] otherwise.
pub(super) fn check_items(ranking: &[usize], items: usize) -> Result<()> {
    let mut seen = vec![false; items];
    for (place, item) in ranking.iter().enumerate() {
        match seen.get_mut(*item) {
            Some(seen) if !*seen => *seen = true,
            Some(_) => {
                let got = format!("item {item} again at place {place}");
                return Err(Error::range("ranking", "every item once", got));
            }
            None => {
                let got = format!("{item} at place {place}");
                return Err(Error::range("ranking", &format!("items below {items}"), got));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ranking_within_the_bounds_stays() {
        let labels = [0, 1, 0, 1];
        let groups = Groups::new(&labels, 2).expect("valid");
        let bounds = Bounds::from_shares(&[0.5, 0.5], 4).expect("valid");
        assert_eq!(
            closest(&[2, 1, 3, 0], groups, &bounds, Stop::never()).expect("feasible"),
            [2, 1, 3, 0]
        );
        assert_eq!(
            closest(&[0, 2, 1, 3], groups, &bounds, Stop::never()).expect("feasible"),
            [0, 1, 2, 3]
        );
    }

    #[test]
    fn lower_bounds_far_ahead_are_kept_in_reach() {
        let labels = [0, 0, 0, 1, 1];
        let groups = Groups::new(&labels, 2).expect("valid");
        let lower = vec![0, 0, 0, 0, 0, 2];
        let bounds = Bounds::new(2, lower, vec![9; 6]).expect("valid");
        assert_eq!(
            closest(&[0, 1, 2, 3, 4], groups, &bounds, Stop::never()).expect("feasible"),
            [0, 3, 4, 1, 2]
        );
    }

    #[test]
    fn wrong_rankings_are_errors() {
        let groups = Groups::new(&[0, 0], 1).expect("valid");
        let bounds = Bounds::from_shares(&[1.0], 2).expect("valid");
        for order in [&[0][..], &[0, 0], &[0, 2]] {
            assert!(closest(order, groups, &bounds, Stop::never()).is_err());
        }
    }
}
