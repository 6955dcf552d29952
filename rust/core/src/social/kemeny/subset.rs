//! Exact orders by dynamic programming over subsets.

use std::ops::Add;

use crate::{Result, Stop, parallel};

/// Items whose subsets make one block: its inner loops run over all of them at once.
const LOW: usize = 7;
/// Blocks of one task.
const TASK: usize = 64;

/// A cost: counts in 32 bits where they fit, or doubles.
pub(crate) trait Cost:
    Copy + PartialOrd + Add<Output = Self> + Send + Sync + Default
{
    const LARGE: Self;
}

impl Cost for u32 {
    const LARGE: Self = Self::MAX / 4;
}

impl Cost for f64 {
    const LARGE: Self = Self::INFINITY;
}

/// The cost of the best order of every subset of up to 24 items, read from its last items.
///
/// `f(X) = min over c in X of f(X without c) + sum over b in X of cost[b][c]`: `c` comes first in `X`,
/// so that the best order can be read off from the front.
///
/// Source: Held and Karp 1962; Betzler et al. 2009, section 4.
pub(crate) struct Table<T> {
    q: usize,
    low: usize,
    cost: Vec<T>, // (q, q), cost[c][b] of putting c before b
    blocks: Vec<Vec<T>>,
}

impl<T: Cost> Table<T> {
    /// Fills the table; `before[c * q + b]` is the cost of putting `c` before `b`.
    pub(crate) fn new(
        before: Vec<T>,
        q: usize,
        threads: Option<usize>,
        stop: Stop<'_>,
    ) -> Result<Self> {
        let low = LOW.min(q);
        let high = q - low;
        let mut table = Self { q, low, cost: before, blocks: vec![Vec::new(); 1 << high] };
        let lows = table.sums(0, low);
        let mut layers: Vec<Vec<usize>> = vec![Vec::new(); high + 1];
        (0..1_usize << high).for_each(|h| layers[h.count_ones() as usize].push(h));
        let threads = if q < 14 { Some(1) } else { threads };
        for layer in layers {
            let parts = parallel::map(layer.len().div_ceil(TASK), threads, |task| {
                stop.check()?;
                let part = &layer[task * TASK..((task + 1) * TASK).min(layer.len())];
                Ok(part.iter().map(|h| table.block(*h, &lows)).collect::<Vec<_>>())
            });
            let mut numbers = layer.iter();
            for part in parts {
                for (block, h) in part?.into_iter().zip(&mut numbers) {
                    table.blocks[*h] = block;
                }
            }
        }
        Ok(table)
    }

    /// `(q, 2^count)`: for each item the costs of putting it before each subset of some items.
    fn sums(&self, first: usize, count: usize) -> Vec<T> {
        let mut out = vec![T::default(); self.q << count];
        for (c, sums) in out.chunks_exact_mut(1 << count).enumerate() {
            for set in 1..1_usize << count {
                let bit = set.trailing_zeros() as usize;
                sums[set] = sums[set & (set - 1)] + self.cost[c * self.q + first + bit];
            }
        }
        out
    }

    /// The best costs of all subsets whose high items are those of `h`.
    fn block(&self, h: usize, lows: &[T]) -> Vec<T> {
        let size = 1 << self.low;
        let mut best = vec![T::LARGE; size];
        if h == 0 {
            best[0] = T::default();
        }
        let high_cost = |c: usize| {
            super::super::bits::ones(h as u64)
                .fold(T::default(), |sum, bit| sum + self.cost[c * self.q + self.low + bit])
        };
        for bit in super::super::bits::ones(h as u64) {
            let c = self.low + bit;
            let (base, sums) = (high_cost(c), &lows[c * size..(c + 1) * size]);
            let without = &self.blocks[h ^ (1 << bit)];
            for ((best, without), sum) in best.iter_mut().zip(without).zip(sums) {
                let cost = *without + (base + *sum);
                *best = if cost < *best { cost } else { *best };
            }
        }
        let bases: Vec<T> = (0..self.low).map(high_cost).collect();
        for set in 1..size {
            let mut least = best[set];
            for c in super::super::bits::ones(set as u64) {
                let cost = best[set ^ (1 << c)] + (bases[c] + lows[c * size + set]);
                least = if cost < least { cost } else { least };
            }
            best[set] = least;
        }
        best
    }

    fn best(&self, set: usize) -> T {
        self.blocks[set >> self.low][set & ((1 << self.low) - 1)]
    }

    fn first_cost(&self, c: usize, set: usize) -> T {
        super::super::bits::ones(set as u64)
            .fold(T::default(), |sum, b| sum + self.cost[c * self.q + b])
    }

    /// How many items there are.
    pub(crate) fn items(&self) -> usize {
        self.q
    }

    /// The items that may come first in a best order of a set.
    pub(crate) fn firsts(&self, set: usize, same: &impl Fn(T, T) -> bool) -> Vec<usize> {
        super::super::bits::ones(set as u64)
            .filter(|c| {
                let rest = set ^ (1 << c);
                same(self.best(rest) + self.first_cost(*c, rest), self.best(set))
            })
            .collect()
    }

    /// Every best order in lexicographic order, up to `cap` of them and one more.
    pub(crate) fn orders(&self, cap: usize, same: impl Fn(T, T) -> bool) -> Vec<Vec<usize>> {
        let mut out = Vec::new();
        let mut pending = vec![(Vec::new(), (1_usize << self.q) - 1)];
        while let Some((prefix, set)) = pending.pop() {
            if set == 0 {
                out.push(prefix);
                if out.len() > cap {
                    break;
                }
                continue;
            }
            for c in self.firsts(set, &same).into_iter().rev() {
                let mut longer = prefix.clone();
                longer.push(c);
                pending.push((longer, set ^ (1 << c)));
            }
        }
        out
    }
}
