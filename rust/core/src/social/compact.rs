//! Merging equal ballots.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::cells::{Cell, Cells};
use super::lists::Lists;

/// When equal ballots are merged into one with the sum of their weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compact {
    /// When at least a fifth of a sample of 4096 ballots are duplicates.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

const SAMPLE: usize = 4096;

/// For each ballot the first one equal to it, or `None` when merging is not worth it.
pub(crate) fn firsts<K: Hash + Eq>(
    count: usize,
    mode: Compact,
    key: impl Fn(usize) -> K,
) -> Option<Vec<usize>> {
    match mode {
        Compact::Never => return None,
        Compact::Auto => {
            let step = count.div_ceil(SAMPLE).max(1);
            let sample: Vec<usize> = (0..count).step_by(step).collect();
            let taken = sample.len();
            let distinct = group(sample, &key).iter().filter(|(v, first)| v == first).count();
            if (taken - distinct) * 5 < taken {
                return None;
            }
        }
        Compact::Always => {}
    }
    let mut out = vec![0; count];
    for (ballot, first) in group((0..count).collect(), &key) {
        out[ballot] = first;
    }
    Some(out)
}

/// Pairs of a ballot and the first one equal to it.
fn group<K: Hash + Eq>(ballots: Vec<usize>, key: &impl Fn(usize) -> K) -> Vec<(usize, usize)> {
    let mut hashed: Vec<(u64, usize)> = ballots
        .into_iter()
        .map(|v| {
            let mut hasher = DefaultHasher::new(); // with fixed keys
            key(v).hash(&mut hasher);
            (hasher.finish(), v)
        })
        .collect();
    hashed.sort_unstable();
    let mut pairs: Vec<(usize, usize)> = Vec::with_capacity(hashed.len());
    for run in hashed.chunk_by(|a, b| a.0 == b.0) {
        let mut heads: Vec<usize> = Vec::with_capacity(1); // more only when hashes collide
        for &(_, v) in run {
            let head = heads.iter().copied().find(|h| key(*h) == key(v));
            pairs.push((v, head.unwrap_or(v)));
            if head.is_none() {
                heads.push(v);
            }
        }
    }
    pairs
}

/// Ballots to keep in their order, and for every ballot the number of the kept one.
pub(crate) fn renumber(firsts: &[usize]) -> (Vec<usize>, Vec<usize>) {
    let mut kept = Vec::new();
    let mut number = vec![0; firsts.len()];
    for (v, &first) in firsts.iter().enumerate() {
        if first == v {
            number[v] = kept.len();
            kept.push(v);
        } else {
            number[v] = number[first];
        }
    }
    (kept, number)
}

/// The rows of `(n, m)` that are kept.
pub(crate) fn take_rows(order: &Cells, items: usize, kept: &[usize]) -> Cells {
    fn take<C: Cell>(order: &[C], items: usize, kept: &[usize]) -> Vec<C> {
        kept.iter().flat_map(|v| &order[v * items..(v + 1) * items]).copied().collect()
    }
    match order {
        Cells::U8(order) => Cells::U8(take(order, items, kept)),
        Cells::U16(order) => Cells::U16(take(order, items, kept)),
    }
}

/// The columns of `(m, n)` that are kept.
pub(crate) fn take_columns(places: &Cells, ballots: usize, kept: &[usize]) -> Cells {
    fn take<C: Cell>(places: &[C], ballots: usize, kept: &[usize]) -> Vec<C> {
        places.chunks(ballots).flat_map(|column| kept.iter().map(|v| column[*v])).collect()
    }
    match places {
        Cells::U8(places) => Cells::U8(take(places, ballots, kept)),
        Cells::U16(places) => Cells::U16(take(places, ballots, kept)),
    }
}

/// The lists that are kept.
pub(crate) fn take_lists(lists: &Lists, kept: &[usize]) -> Lists {
    let mut out = Lists { starts: vec![0], items: Vec::new(), ends: Vec::new() };
    for &v in kept {
        let span = lists.starts[v]..lists.starts[v + 1];
        out.items.extend_from_slice(&lists.items[span.clone()]);
        out.ends.extend_from_slice(&lists.ends[span]);
        out.starts.push(out.items.len());
    }
    out
}
