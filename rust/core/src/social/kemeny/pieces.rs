//! Items whose strict majorities run in cycles, put in order among items that others tie with.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::local;

/// What may come first in a best order of a set of items, rising.
pub(super) type Firsts = Box<dyn Fn(u64) -> Vec<usize>>;

/// One solved component.
#[derive(Default)]
pub(super) struct Part {
    pub(super) order: Vec<usize>,
    pub(super) winners: Vec<usize>,
    pub(super) all: Vec<Vec<usize>>,
    /// A lower bound on the cost beyond the least that pairs alone allow.
    pub(super) bound: f64,
    pub(super) excess: f64,
    pub(super) proven: bool,
    /// Of all best orders, where they are known.
    pub(super) firsts: Option<Firsts>,
}

impl Part {
    /// An optimum that all best orders are known with.
    pub(super) fn proven(margins: &[f64], q: usize, firsts: Firsts, all: Vec<Vec<usize>>) -> Self {
        let (winners, order) = first_order(q, &firsts);
        let excess = local::excess(margins, q, &order);
        let firsts = Some(firsts);
        Self { order, winners, all, bound: excess, excess, proven: true, firsts }
    }

    /// The items that may come next in a best order when these are left, or the one that does.
    fn next(&self, left: &[usize]) -> Vec<usize> {
        match &self.firsts {
            Some(firsts) => firsts(left.iter().fold(0, |set, item| set | 1 << item)),
            None => {
                self.order[self.order.len() - left.len()..].first().copied().into_iter().collect()
            }
        }
    }
}

/// The items that come first in some best order, and the lexicographically first best order.
pub(super) fn first_order(q: usize, firsts: &Firsts) -> (Vec<usize>, Vec<usize>) {
    let mut left = u64::MAX >> (64 - q);
    let mut order = Vec::with_capacity(q);
    while let Some(item) = firsts(left).first().copied() {
        order.push(item);
        left ^= 1 << item;
    }
    (firsts(u64::MAX >> (64 - q)), order)
}

/// The strongly connected components of strict majorities, what beats others before these.
///
/// No cycle leaves a component, so best orders of each fit together at no further cost: tied items may
/// come in any order.
///
/// Source: Sharir 1981, with the items not met yet in a list, which dense majorities empty at once.
pub(super) fn pieces(margins: &[f64], m: usize) -> Vec<Vec<usize>> {
    let mut unseen: Vec<usize> = (0..m).rev().collect();
    let mut finished = Vec::with_capacity(m);
    let mut path = Vec::new();
    while let Some(root) = unseen.pop() {
        path.push(root);
        while let Some(a) = path.last() {
            let row = &margins[a * m..(a + 1) * m];
            match unseen.iter().position(|b| row[*b] > 0.0) {
                Some(at) => path.push(unseen.swap_remove(at)),
                None => finished.extend(path.pop()),
            }
        }
    }
    let (mut out, mut placed) = (Vec::new(), vec![false; m]);
    let mut rest = finished.clone();
    for root in finished.into_iter().rev() {
        if placed[root] {
            continue;
        }
        rest.retain(|b| *b != root);
        let (mut piece, mut at) = (vec![root], 0);
        while let Some(a) = piece.get(at) {
            let row = &margins[a * m..(a + 1) * m];
            let (found, others) = rest.into_iter().partition::<Vec<_>, _>(|b| row[*b] < 0.0);
            (rest, at) = (others, at + 1);
            piece.extend(found);
        }
        for a in &piece {
            placed[*a] = true;
        }
        piece.sort_unstable();
        out.push(piece);
    }
    out
}

/// One order of all items from those of their pieces: whatever may come next, the first one does.
pub(super) fn joined(margins: &[f64], m: usize, pieces: &[Vec<usize>], parts: &[Part]) -> Part {
    let mut home = vec![0; m];
    for (k, items) in pieces.iter().enumerate() {
        for item in items {
            home[*item] = k;
        }
    }
    let row = |a: usize| margins[a * m..(a + 1) * m].iter().enumerate();
    let beaten = |a: usize| row(a).filter(|(b, x)| **x < 0.0 && home[*b] != home[a]).count();
    // How many of other pieces have to come before an item still.
    let mut ahead: Vec<usize> = (0..m).map(beaten).collect();
    let winners = |(items, part): (&Vec<usize>, &Part)| -> Vec<usize> {
        part.winners.iter().map(|i| items[*i]).collect()
    };
    let mut winners: Vec<usize> = pieces.iter().zip(parts).flat_map(winners).collect();
    winners.retain(|item| ahead[*item] == 0);
    winners.sort_unstable();
    let mut left: Vec<Vec<usize>> = pieces.iter().map(|items| (0..items.len()).collect()).collect();
    // Those which come next in a best order of what is left of their pieces.
    let mut open = vec![Vec::new(); pieces.len()];
    let mut ready = BinaryHeap::new();
    for k in 0..pieces.len() {
        open[k] = parts[k].next(&left[k]).iter().map(|i| pieces[k][*i]).collect();
        ready.extend(open[k].iter().filter(|item| ahead[**item] == 0).map(|item| Reverse(*item)));
    }
    let mut order = Vec::with_capacity(m);
    while let Some(Reverse(item)) = ready.pop() {
        let k = home[item];
        if !open[k].contains(&item) {
            continue;
        }
        order.push(item);
        left[k].retain(|i| pieces[k][*i] != item);
        open[k] = parts[k].next(&left[k]).iter().map(|i| pieces[k][*i]).collect();
        ready.extend(open[k].iter().filter(|item| ahead[**item] == 0).map(|item| Reverse(*item)));
        for (b, _) in row(item).filter(|(b, x)| **x > 0.0 && home[*b] != k) {
            ahead[b] -= 1;
            if ahead[b] == 0 && open[home[b]].contains(&b) {
                ready.push(Reverse(b));
            }
        }
    }
    Part {
        order,
        winners,
        bound: parts.iter().map(|part| part.bound).sum(),
        excess: parts.iter().map(|part| part.excess).sum(),
        proven: parts.iter().all(|part| part.proven),
        ..Part::default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::dual::tests::best;
    use super::super::{Plan, layer};
    use super::*;
    use crate::Stop;
    use crate::rng::Stream;
    use crate::social::options::Options;
    use crate::social::support::Support;

    /// Margins of which one of `rarity` is not 0.
    fn tied(q: usize, rarity: usize, seed: usize) -> Vec<f64> {
        let mut stream = Stream::new(seed as u64, q as u64);
        let mut out = vec![0.0; q * q];
        for a in 0..q {
            for b in a + 1..q {
                let size = if stream.below(rarity) == 0 { 1 + stream.below(3) } else { 0 } as f64;
                out[a * q + b] = if stream.bits() >> 63 == 0 { size } else { -size };
                out[b * q + a] = 0.0 - out[a * q + b];
            }
        }
        out
    }

    fn solved(margins: &[f64], q: usize) -> Part {
        let wins = margins.iter().map(|x| x.max(0.0)).collect();
        let support = Support::new(wins, q).expect("valid");
        let plan = Plan::new(&Options::default()).expect("valid");
        layer(&support, margins, &plan, Stop::never()).expect("not stopped")
    }

    #[test]
    fn pieces_are_cycles_and_no_later_one_beats_an_earlier_one() {
        for seed in 0..200 {
            let q = 1 + seed % 20;
            let margins = tied(q, 1 + seed % 9, seed);
            let mut reach: Vec<bool> = margins.iter().map(|x| *x > 0.0).collect();
            for k in 0..q {
                for a in 0..q {
                    for b in 0..q {
                        reach[a * q + b] |= reach[a * q + k] && reach[k * q + b];
                    }
                }
            }
            let pieces = pieces(&margins, q);
            assert_eq!(pieces.iter().map(Vec::len).sum::<usize>(), q, "{seed}");
            for (k, piece) in pieces.iter().enumerate() {
                for a in piece {
                    assert!(piece.iter().all(|b| a == b || reach[a * q + b]), "{seed}");
                    assert!(!pieces[..k].iter().flatten().any(|b| reach[a * q + b]), "{seed}");
                }
            }
        }
    }

    #[test]
    fn winners_and_the_first_order_are_those_of_all_subsets() {
        for seed in 0..60 {
            for q in 2..=11 {
                let margins = tied(q, 1 + seed % 6, seed);
                let part = solved(&margins, q);
                let known = best(&margins, q, "tied");
                assert_eq!((part.winners, part.order, part.excess), known, "{q} {seed}");
                assert!(part.proven && part.bound == part.excess, "{q} {seed}");
            }
        }
    }

    #[test]
    fn ties_alone_set_everything_free() {
        let nothing = vec![0.0; 60 * 60];
        let part = solved(&nothing, 60);
        let everything: Vec<usize> = (0..60).collect();
        assert_eq!((part.order, part.winners), (everything.clone(), everything));
        // 7 beats 6, that beats 5 and so on
        let q = 70;
        let mut chain = vec![0.0; q * q];
        for a in 1..q {
            (chain[a * q + a - 1], chain[(a - 1) * q + a]) = (1.0, -1.0);
        }
        let part = solved(&chain, q);
        let order: Vec<usize> = (0..q).rev().collect();
        assert_eq!((part.order, part.winners, part.proven), (order, vec![q - 1], true));
    }

    #[test]
    fn a_piece_waits_for_what_beats_its_first_item() {
        // 0 > 1 > 2 > 0, where only 0 may come first, and 3 > 0; nothing else is decided
        let mut margins = vec![0.0; 16];
        for (a, b, size) in [(0, 1, 3.0), (1, 2, 3.0), (2, 0, 1.0), (3, 0, 1.0)] {
            (margins[a * 4 + b], margins[b * 4 + a]) = (size, -size);
        }
        let part = solved(&margins, 4);
        assert_eq!((part.order, part.winners, part.excess), (vec![3, 0, 1, 2], vec![3], 1.0));
    }
}
