//! Exact orders by dynamic programming over those sets alone that may begin a best order.

use super::super::bits::ones;
use super::search::cycles;
use crate::{Result, Stop};

/// Every best order begins with these sets: per number of items, sets and their least costs to the end.
pub(super) struct Beginnings<'a> {
    margins: &'a [f64],
    q: usize,
    /// By number of items: sets in order, each with the least cost of what follows.
    layers: Vec<Vec<(u64, f64)>>,
}

impl<'a> Beginnings<'a> {
    /// Sets of up to 64 items whose cost, with what disjoint cycles among the rest cost at least, is within
    /// that of some order; `None` when they are more than `cap`.
    pub(super) fn new(
        margins: &'a [f64],
        q: usize,
        (excess, tolerance): (f64, f64),
        cap: usize,
        stop: Stop<'_>,
    ) -> Result<Option<Self>> {
        let whole = u64::MAX >> (64 - q);
        let (bound, of_item) = cycles(margins, q);
        let mut out = Self { margins, q, layers: Vec::with_capacity(q + 1) };
        // sets, what they cost, and the bound on the rest
        let mut layer = vec![(0_u64, 0.0, bound)];
        let mut total = 0;
        for _ in 0..q {
            stop.check()?;
            let mut next = Vec::new();
            for (set, cost, bound) in &layer {
                let live = whole & !set;
                for c in ones(live) {
                    let cost = cost + out.first_cost(c, live);
                    let broken = of_item[c].iter().filter(|cycle| cycle.items & !live == 0);
                    let bound = bound - broken.map(|cycle| cycle.weight).sum::<f64>();
                    if cost + bound <= excess + tolerance {
                        next.push((set | 1 << c, cost, bound));
                    }
                }
            }
            next.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
            next.dedup_by_key(|found| found.0);
            total += next.len();
            if total > cap {
                return Ok(None);
            }
            out.layers.push(layer.into_iter().map(|found| (found.0, f64::INFINITY)).collect());
            layer = next;
        }
        out.layers.push(layer.into_iter().map(|found| (found.0, 0.0)).collect());
        out.fill(whole);
        Ok(Some(out))
    }

    /// Least costs to the end, from the back.
    fn fill(&mut self, whole: u64) {
        for size in (0..self.q).rev() {
            let mut layer = std::mem::take(&mut self.layers[size]);
            for (set, least) in &mut layer {
                *least =
                    self.steps(*set, whole).map(|(_, cost)| cost).fold(f64::INFINITY, f64::min);
            }
            self.layers[size] = layer;
        }
    }

    /// The cost of putting an item before all others of a set.
    fn first_cost(&self, c: usize, live: u64) -> f64 {
        let row = &self.margins[c * self.q..(c + 1) * self.q];
        ones(live).map(|b| (-row[b]).max(0.0)).sum()
    }

    /// Items that may follow a set, with the least cost to the end.
    fn steps(&self, set: u64, whole: u64) -> impl Iterator<Item = (usize, f64)> + '_ {
        let (live, next) = (whole & !set, &self.layers[set.count_ones() as usize + 1]);
        ones(live).filter_map(move |c| {
            let at = next.binary_search_by_key(&(set | 1 << c), |known| known.0).ok()?;
            Some((c, self.first_cost(c, live) + next[at].1))
        })
    }

    /// The items that come first in some best order, and the lexicographically first best order.
    pub(super) fn order(&self, tolerance: f64) -> (Vec<usize>, Vec<usize>) {
        let whole = u64::MAX >> (64 - self.q);
        let firsts = |set: u64| -> Vec<usize> {
            let least = self.steps(set, whole).map(|(_, cost)| cost).fold(f64::INFINITY, f64::min);
            let near = |(_, cost): &(usize, f64)| *cost <= least + tolerance;
            self.steps(set, whole).filter(near).map(|(c, _)| c).collect()
        };
        let winners = firsts(0);
        let (mut set, mut order) = (0, Vec::with_capacity(self.q));
        while set != whole {
            let Some(c) = firsts(set).first().copied() else { break };
            order.push(c);
            set |= 1 << c;
        }
        (winners, order)
    }
}
