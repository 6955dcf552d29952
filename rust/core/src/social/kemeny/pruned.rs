//! Exact orders by dynamic programming over those sets alone that may begin a good enough order.

use super::super::bits::ones;
use super::pieces::Firsts;
use super::rest::{Cycles, Rest};
use crate::{Result, Stop, parallel};

/// Sets that one task extends, and tasks before the number of sets is looked at.
const TASK: usize = 4096;
const TASKS: usize = 16;

/// A set and the least cost of beginning with it.
type Beginning = (u64, f64);

/// What to look for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Search {
    /// Orders that cost more do not matter.
    pub(super) limit: f64,
    /// The most sets to keep.
    pub(super) cap: usize,
    pub(super) threads: Option<usize>,
}

/// Every order within the limit begins with these sets.
///
/// Items that come first in a good order should have high numbers: sets then share theirs, for which
/// bounds are computed once.
pub(super) struct Beginnings<'a> {
    margins: &'a [f64],
    q: usize,
    limit: f64,
    /// By number of items: sets in order.
    layers: Vec<Vec<Beginning>>,
}

impl<'a> Beginnings<'a> {
    /// Sets of up to 64 items that some order within the limit may begin with; `None` when they are more
    /// than the cap, or the time is over.
    ///
    /// A set goes on with an item if its cost, the bound on all others and what the item costs beyond
    /// that bound are within the limit.
    pub(super) fn new(
        margins: &'a [f64],
        q: usize,
        cycles: &Cycles,
        search: Search,
        stop: Stop<'_>,
    ) -> Result<Option<Self>> {
        let mut out = Self { margins, q, limit: search.limit, layers: vec![vec![(0, 0.0)]] };
        let mut total = 0;
        let mut rest = Rest::new(cycles);
        for size in 0..q {
            let layer = &out.layers[size];
            // By item: the sets that it was added to stay in order.
            let mut next: Vec<Vec<Beginning>> = vec![Vec::new(); q];
            if layer.len() <= TASK {
                stop.check()?;
                out.extend(layer, &mut rest, &mut next);
            } else {
                for batch in layer.chunks(TASK * TASKS) {
                    let count = batch.len().div_ceil(TASK);
                    let parts = parallel::map(count, search.threads, |task| {
                        stop.check()?;
                        let (mut rest, mut next) = (rest.clone(), vec![Vec::new(); q]);
                        let part = &batch[task * TASK..((task + 1) * TASK).min(batch.len())];
                        out.extend(part, &mut rest, &mut next);
                        Ok(next)
                    });
                    for part in parts {
                        next.iter_mut().zip(part?).for_each(|(all, part)| all.extend(part));
                    }
                    // Most sets are reached from a few others.
                    let reached = next.iter().map(Vec::len).sum::<usize>();
                    if reached > search.cap.saturating_mul(4) || stop.expired() {
                        return Ok(None);
                    }
                }
            }
            // A stable sort finds the rising runs and merges them.
            let mut next = next.concat();
            next.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
            next.dedup_by_key(|found| found.0);
            total += next.len();
            if total > search.cap || stop.expired() {
                return Ok(None);
            }
            out.layers.push(next);
        }
        Ok(Some(out))
    }

    /// Adds an item to each of some sets in every way that may stay within the limit.
    fn extend(&self, sets: &[Beginning], rest: &mut Rest<'_>, next: &mut [Vec<Beginning>]) {
        let whole = u64::MAX >> (64 - self.q);
        for (set, cost) in sets {
            rest.seek(*set);
            let least = rest.bound();
            let room = (self.limit - cost) / rest.step() * 2.0;
            for c in ones(whole & !set) {
                if (least + 2 * rest.penalty(c)) as f64 <= room {
                    let cost = cost + first_cost(self.margins, self.q, c, whole & !set);
                    next[c].push((set | 1 << c, cost));
                }
            }
        }
    }

    /// What comes first in best orders, by names; `None` where no order is within the limit.
    pub(super) fn firsts(&self, names: &[usize], tolerance: f64) -> Option<Firsts> {
        let best = self.best(tolerance * self.q as f64);
        best.last()?.first()?;
        let (q, margins, names) = (self.q, self.margins.to_vec(), names.to_vec());
        let whole = u64::MAX >> (64 - q);
        Some(Box::new(move |left| {
            let live = ones(whole).filter(|c| left >> names[*c] & 1 == 1);
            let live = live.fold(0, |set, c| set | 1 << c);
            let (set, next) = (whole & !live, &best[q - live.count_ones() as usize + 1..]);
            let steps = ones(live).filter_map(|c| {
                let at = next[0].binary_search_by_key(&(set | 1 << c), |known| known.0).ok()?;
                Some((names[c], first_cost(&margins, q, c, live) + next[0][at].1))
            });
            let steps: Vec<(usize, f64)> = steps.collect();
            let least = steps.iter().map(|(_, cost)| *cost).fold(f64::INFINITY, f64::min);
            let first = steps.iter().filter(|(_, cost)| *cost <= least + tolerance);
            let mut firsts: Vec<usize> = first.map(|(name, _)| *name).collect();
            firsts.sort_unstable();
            firsts
        }))
    }

    /// The sets that orders within a slack of the best begin with, each with the least cost of the rest.
    fn best(&self, slack: f64) -> Vec<Vec<Beginning>> {
        let whole = u64::MAX >> (64 - self.q);
        let mut out = vec![Vec::new(); self.q + 1];
        let Some((_, least)) = self.layers[self.q].first() else { return out };
        out[self.q] = vec![(whole, 0.0)];
        let limit = least + slack;
        for size in (0..self.q).rev() {
            let layer = &self.layers[size];
            let mut found: Vec<Beginning> = Vec::new();
            for c in 0..self.q {
                let mut from = 0;
                for (set, after) in out[size + 1].iter().filter(|(set, _)| set >> c & 1 == 1) {
                    let before = set & !(1 << c);
                    from += layer[from..].partition_point(|known| known.0 < before);
                    let Some((known, cost)) = layer.get(from) else { break };
                    let after = after + first_cost(self.margins, self.q, c, whole & !before);
                    if *known == before && cost + after <= limit {
                        found.push((before, after));
                    }
                }
            }
            found.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
            found.dedup_by_key(|found| found.0);
            out[size] = found;
        }
        out
    }
}

/// The cost of putting an item before all others of a set.
fn first_cost(margins: &[f64], q: usize, c: usize, live: u64) -> f64 {
    let row = &margins[c * q..(c + 1) * q];
    ones(live).map(|b| (-row[b]).max(0.0)).sum()
}

/// Margins of the items of an order backwards, and the items.
pub(super) fn renamed(margins: &[f64], q: usize, order: &[usize]) -> (Vec<f64>, Vec<usize>) {
    let names: Vec<usize> = order.iter().rev().copied().collect();
    let row = |a: &usize| names.iter().map(|b| margins[a * q + b]).collect::<Vec<f64>>();
    (names.iter().flat_map(row).collect(), names)
}

#[cfg(test)]
mod tests {
    use super::super::dual::tests::{KINDS, best, margins, tolerance};
    use super::super::dual::{Aim, ascend};
    use super::super::local;
    use super::super::pieces::first_order;
    use super::super::search::branch;
    use super::*;

    /// Places of a poor order, from which the searches below have to find better ones.
    fn start(margins: &[f64], q: usize, tolerance: f64, seed: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..q).collect();
        if seed % 3 > 0 {
            local::descend(margins, q, &mut order, tolerance, Stop::never()).expect("not stopped");
        }
        order
    }

    #[test]
    fn winners_and_the_first_order_are_those_of_all_subsets() {
        for seed in 0..40 {
            for q in 3..=11 {
                for kind in KINDS {
                    let (margins, tolerance) = (margins(q, kind, seed), tolerance(q, kind));
                    let (winners, order, _) = best(&margins, q, kind);
                    let known = start(&margins, q, tolerance, seed);
                    let excess = local::excess(&margins, q, &known);
                    let (backwards, names) = renamed(&margins, q, &known);
                    let aim = Aim::new(&margins, kind != "real", excess, tolerance);
                    let sweeps = [0, 10, 200][seed % 3];
                    let dual = ascend(&backwards, q, aim, sweeps, Stop::never());
                    let cycles = Cycles::new(&dual.expect("not stopped"));
                    let limit = excess + tolerance * q as f64;
                    let search = Search { limit, cap: usize::MAX, threads: Some(1) };
                    let found = Beginnings::new(&backwards, q, &cycles, search, Stop::never());
                    let found = found.expect("not stopped").expect("no cap");
                    let got = found.firsts(&names, tolerance).map(|firsts| first_order(q, &firsts));
                    assert_eq!(got, Some((winners, order)), "{q} {kind} {seed}");
                }
            }
        }
    }

    #[test]
    fn a_search_finds_an_optimum_or_proves_nothing() {
        for seed in 0..60 {
            for q in [4, 7, 10] {
                for kind in KINDS {
                    let (margins, tolerance) = (margins(q, kind, seed), tolerance(q, kind));
                    let least = best(&margins, q, kind).2;
                    let known = start(&margins, q, tolerance, seed);
                    let excess = local::excess(&margins, q, &known);
                    let (backwards, names) = renamed(&margins, q, &known);
                    let aim = Aim::new(&margins, kind != "real", excess, tolerance);
                    let dual = ascend(&backwards, q, aim, 20, Stop::never()).expect("not stopped");
                    for nodes in [0, 2, 60, 1 << 20] {
                        let effort = (nodes, Some(1));
                        let found = branch(&backwards, &names, (aim, &dual), effort, Stop::never());
                        let found = found.expect("not stopped");
                        let cost = found.better.map_or(excess, |o| local::excess(&margins, q, &o));
                        assert!(cost <= excess, "{q} {kind} {seed} {nodes}");
                        assert!(
                            !found.proven || cost <= least + tolerance,
                            "{q} {kind} {seed} {nodes}"
                        );
                        assert!(found.proven || nodes < 1 << 20, "{q} {kind} {seed}");
                    }
                }
            }
        }
    }

    #[test]
    fn layers_of_many_sets_are_the_same_for_any_number_of_threads() {
        let q = 20;
        let margins = margins(q, "unit", 3);
        let known = start(&margins, q, 0.0, 1);
        let excess = local::excess(&margins, q, &known);
        let (backwards, names) = renamed(&margins, q, &known);
        let aim = Aim::new(&margins, true, excess, 0.0);
        let dual = ascend(&backwards, q, aim, 40, Stop::never()).expect("not stopped");
        let cycles = Cycles::new(&dual);
        let run = |threads, cap| {
            let search = Search { limit: excess + 2.0, cap, threads };
            let found = Beginnings::new(&backwards, q, &cycles, search, Stop::never());
            found.expect("not stopped").map(|found| {
                (found.firsts(&names, 0.0).map(|firsts| first_order(q, &firsts)), found.layers)
            })
        };
        let one = run(Some(1), usize::MAX).expect("no cap");
        assert!(one.1.iter().any(|layer| layer.len() > TASK), "sets in one task");
        for threads in [None, Some(2), Some(3)] {
            assert_eq!(run(threads, usize::MAX).as_ref(), Some(&one));
        }
        assert!(run(Some(2), 5000).is_none());
    }
}
