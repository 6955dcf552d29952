//! Branch and bound over the first items of an order.

use std::collections::HashMap;

use super::super::bits::ones;
use super::dual::{Aim, Dual};
use super::pieces::first_order;
use super::pruned::{self, Beginnings};
use super::rest::{Cycles, Rest};
use crate::{Result, Stop};

/// Sets of placed items whose best cost is remembered.
const MEMO: usize = 1 << 22;
/// The most sets of first items that are looked at layer by layer: more take long to sort in one go.
const SETS: usize = 1 << 20;

/// The least excess that cycles of three prove which share no majority's weight.
pub(super) fn cycle_bound(margins: &[f64], q: usize) -> f64 {
    let mut left: Vec<f64> = margins.iter().map(|x| x.max(0.0)).collect();
    let mut sum = 0.0;
    for a in 0..q {
        for b in a + 1..q {
            for c in a + 1..q {
                // What is left of the weakest margin of a cycle.
                let weight = left[a * q + b].min(left[b * q + c]).min(left[c * q + a]);
                if weight > 0.0 {
                    left[a * q + b] -= weight;
                    left[b * q + c] -= weight;
                    left[c * q + a] -= weight;
                    sum += weight;
                }
            }
        }
    }
    sum
}

/// What the search ends with.
pub(super) struct Found {
    /// A better order.
    pub(super) better: Option<Vec<usize>>,
    /// Whether nothing better exists.
    pub(super) proven: bool,
}

/// Looks for an order of at most 64 items that beats the one that `aim` knows: in half of the nodes set by
/// set of first items, and if these do not suffice, in the other half by going deep first.
///
/// Items are numbered as [`Beginnings`] likes them.
pub(super) fn branch(
    margins: &[f64],
    names: &[usize],
    (aim, dual): (Aim, &Dual),
    (nodes, threads): (usize, Option<usize>),
    stop: Stop<'_>,
) -> Result<Found> {
    let (q, cycles) = (dual.q, Cycles::new(dual));
    let search = pruned::Search { limit: aim.better(), cap: (nodes / 2).min(SETS), threads };
    if let Some(found) = Beginnings::new(margins, q, &cycles, search, stop)? {
        let better = found.firsts(names, aim.tolerance).map(|firsts| first_order(q, &firsts).1);
        return Ok(Found { better, proven: true });
    }
    let mut search = Search {
        margins,
        q,
        aim,
        order: None,
        nodes: nodes / 2,
        stop,
        prefix: Vec::with_capacity(q),
        memo: HashMap::new(),
        proven: true,
    };
    search.visit(u64::MAX >> (64 - q), 0.0, &mut Rest::new(&cycles))?;
    let better = search.order.map(|order| order.iter().map(|c| names[*c]).collect());
    Ok(Found { better, proven: search.proven })
}

struct Search<'a> {
    margins: &'a [f64],
    q: usize,
    aim: Aim,
    /// The best order, if any is better than the one to start from.
    order: Option<Vec<usize>>,
    nodes: usize,
    stop: Stop<'a>,
    prefix: Vec<usize>,
    memo: HashMap<u64, f64>,
    proven: bool,
}

impl Search<'_> {
    fn visit(&mut self, live: u64, cost: f64, rest: &mut Rest<'_>) -> Result<()> {
        if live == 0 {
            if cost <= self.aim.better() {
                self.aim.excess = cost;
                self.order = Some(self.prefix.clone());
            }
            return Ok(());
        }
        if self.nodes == 0 {
            self.proven = false;
            return Ok(());
        }
        self.nodes -= 1;
        if self.nodes % 256 == 0 {
            self.stop.check()?;
            if self.stop.expired() {
                self.nodes = 0;
            }
        }
        let full = self.memo.len() >= MEMO;
        match self.memo.get_mut(&live) {
            Some(known) if *known <= cost + self.aim.tolerance => return Ok(()),
            Some(known) => *known = cost,
            None if !full => {
                self.memo.insert(live, cost);
            }
            None => {}
        }
        let (least, half) = (rest.bound(), rest.step() / 2.0);
        let mut next: Vec<(f64, f64, usize)> = ones(live)
            .map(|c| {
                let row = &self.margins[c * self.q..(c + 1) * self.q];
                let bound = (least + 2 * rest.penalty(c)) as f64 * half;
                (ones(live).map(|b| (-row[b]).max(0.0)).sum(), bound, c)
            })
            .collect();
        next.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.2.cmp(&b.2)));
        if next[0].0 == 0.0 {
            next.truncate(1); // an item that no other live one beats comes first in a best order
        }
        for (more, bound, c) in next {
            if cost + bound <= self.aim.better() {
                self.prefix.push(c);
                rest.push(c);
                self.visit(live & !(1 << c), cost + more, rest)?;
                rest.pop();
                self.prefix.pop();
            }
        }
        Ok(())
    }
}
