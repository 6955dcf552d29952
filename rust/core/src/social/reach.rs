//! Which items lead to which, while edges are added one by one.

use super::bits::{Bits, ones};

/// The transitive closure of the edges so far; every item reaches itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Reach {
    above: Bits,
    below: Bits,
}

impl Reach {
    pub(crate) fn new(items: usize) -> Self {
        let own = Bits::of(items, |a, b| a == b);
        Self { above: own.clone(), below: own }
    }

    #[inline]
    pub(crate) fn has(&self, a: usize, b: usize) -> bool {
        self.below.has(a, b)
    }

    /// What reaches each item.
    pub(crate) fn above(&self) -> &Bits {
        &self.above
    }

    /// What each item reaches.
    pub(crate) fn below(&self) -> &Bits {
        &self.below
    }

    /// Adds an edge and what follows from it; calls `grown` with every item that reaches more.
    ///
    /// Only items that did not reach `b` gain anything, so all edges together join a row at most once
    /// per pair of items: `O(items^3 / 64)` at worst, and far less when cycles arise early.
    pub(crate) fn add(&mut self, a: usize, b: usize, mut grown: impl FnMut(usize)) {
        if self.below.has(a, b) {
            return;
        }
        let Self { above, below } = self;
        for (word, (of_a, of_b)) in above.row(a).iter().zip(above.row(b)).enumerate() {
            for x in ones(of_a & !of_b).map(|bit| word * 64 + bit) {
                grown(x);
                if x != a {
                    below.join_own(x, b); // row a is read below
                }
            }
        }
        for (word, (of_b, of_a)) in below.row(b).iter().zip(below.row(a)).enumerate() {
            for y in ones(of_b & !of_a) {
                above.join_own(word * 64 + y, a);
            }
        }
        self.below.join_own(a, b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn added_edges_close_as_all_of_them_at_once() {
        for m in [1, 2, 63, 64, 65, 130] {
            let mut stream = crate::rng::Stream::new(m as u64, 0);
            let (mut reach, mut edges) = (Reach::new(m), Bits::of(m, |a, b| a == b));
            for _ in 0..m {
                let (a, b) = (stream.below(m), stream.below(m));
                let before = reach.clone();
                let mut grown = Vec::new();
                reach.add(a, b, |x| grown.push(x));
                grown.sort_unstable();
                edges.set(a, b);
                edges.close(m);
                assert_eq!(reach.below, edges);
                assert!((0..m).all(|x| (0..m).all(|y| reach.above.has(y, x) == edges.has(x, y))));
                let more = |x: &usize| before.below.row(*x) != reach.below.row(*x);
                assert_eq!(grown, (0..m).filter(more).collect::<Vec<_>>());
            }
        }
    }
}
