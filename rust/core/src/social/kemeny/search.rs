//! Branch and bound over the first items of an order.

use std::collections::HashMap;

use super::super::bits::ones;
use crate::{Result, Stop};

/// Sets of placed items whose best cost is remembered.
const MEMO: usize = 1 << 22;

/// Cycles of three that share no majority's weight: each costs at least its weight in any order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cycle {
    pub(super) items: u64,
    pub(super) weight: f64,
}

/// Takes, cycle by cycle, what is left of its weakest margin, and tells its items and weight.
fn pack(margins: &[f64], q: usize, mut take: impl FnMut([usize; 3], f64)) {
    let mut left: Vec<f64> = margins.iter().map(|x| x.max(0.0)).collect();
    for a in 0..q {
        for b in a + 1..q {
            for c in a + 1..q {
                let weight = left[a * q + b].min(left[b * q + c]).min(left[c * q + a]);
                if weight > 0.0 {
                    left[a * q + b] -= weight;
                    left[b * q + c] -= weight;
                    left[c * q + a] -= weight;
                    take([a, b, c], weight);
                }
            }
        }
    }
}

/// The least excess that the disjoint cycles among all items prove.
pub(crate) fn cycle_bound(margins: &[f64], q: usize) -> f64 {
    let mut sum = 0.0;
    pack(margins, q, |_, weight| sum += weight);
    sum
}

/// The same for at most 64 items, and the cycles that every item is part of.
pub(super) fn cycles(margins: &[f64], q: usize) -> (f64, Vec<Vec<Cycle>>) {
    let mut bound = 0.0;
    let mut of_item: Vec<Vec<Cycle>> = vec![Vec::new(); q];
    pack(margins, q, |cycle, weight| {
        bound += weight;
        let items = cycle.iter().fold(0, |set, item| set | 1 << item);
        for item in &cycle {
            of_item[*item].push(Cycle { items, weight });
        }
    });
    (bound, of_item)
}

/// What the search ends with.
pub(crate) struct Found {
    /// The excess of the best order, which is no worse than the one to start from.
    pub(crate) excess: f64,
    /// The best order.
    pub(crate) order: Vec<usize>,
    /// Whether nothing better exists.
    pub(crate) proven: bool,
}

/// Looks for an order of at most 64 items that beats the incumbent by more than `tolerance`.
pub(crate) fn branch(
    margins: &[f64],
    q: usize,
    incumbent: (f64, Vec<usize>),
    tolerance: f64,
    nodes: usize,
    stop: Stop<'_>,
) -> Result<Found> {
    let (bound, of_item) = cycles(margins, q);
    let (best, order) = incumbent;
    let mut search = Search {
        margins,
        q,
        of_item,
        best,
        order,
        tolerance,
        nodes,
        stop,
        prefix: Vec::with_capacity(q),
        memo: HashMap::new(),
        proven: true,
    };
    search.visit(u64::MAX >> (64 - q), 0.0, bound)?;
    Ok(Found { excess: search.best, order: search.order, proven: search.proven })
}

struct Search<'a> {
    margins: &'a [f64],
    q: usize,
    of_item: Vec<Vec<Cycle>>,
    best: f64,
    order: Vec<usize>,
    tolerance: f64,
    nodes: usize,
    stop: Stop<'a>,
    prefix: Vec<usize>,
    memo: HashMap<u64, f64>,
    proven: bool,
}

impl Search<'_> {
    fn visit(&mut self, live: u64, cost: f64, bound: f64) -> Result<()> {
        if live == 0 {
            if cost < self.best - self.tolerance {
                self.best = cost;
                self.order.clone_from(&self.prefix);
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
            Some(known) if *known <= cost + self.tolerance => return Ok(()),
            Some(known) => *known = cost,
            None if !full => {
                self.memo.insert(live, cost);
            }
            None => {}
        }
        let mut next: Vec<(f64, usize)> = ones(live)
            .map(|c| {
                let row = &self.margins[c * self.q..(c + 1) * self.q];
                (ones(live).map(|b| (-row[b]).max(0.0)).sum(), c)
            })
            .collect();
        next.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        if next[0].0 == 0.0 {
            next.truncate(1); // an item that no other live one beats comes first in a best order
        }
        for (more, c) in next {
            let kept = self.of_item[c].iter().filter(|cycle| cycle.items & !live == 0);
            let bound = bound - kept.map(|cycle| cycle.weight).sum::<f64>();
            if cost + more + bound < self.best - self.tolerance {
                self.prefix.push(c);
                self.visit(live & !(1 << c), cost + more, bound)?;
                self.prefix.pop();
            }
        }
        Ok(())
    }
}
