//! What the items that are left cost at least, for one set of them after the other.

use super::ascent::LANES;
use super::dual::Dual;
use crate::wide::wide;

type Lanes = [i32; LANES];

/// The weights of a [`Dual`] by item: `(q, q, q)` as rows of lanes.
///
/// Row `(w, a)` holds for every `b` the weight of the cycle `a b w`, negative where it runs backwards.
pub(super) struct Cycles {
    q: usize,
    chunks: usize,
    step: f64,
    margins: Vec<Lanes>,
    weights: Vec<Lanes>,
}

impl Cycles {
    pub(super) fn new(dual: &Dual) -> Self {
        let q = dual.q;
        let chunks = q.div_ceil(LANES);
        let mut margins = vec![[0; LANES]; q * chunks];
        for (at, margin) in dual.margins.iter().enumerate() {
            margins[at / q * chunks + at % q / LANES][at % q % LANES] = *margin;
        }
        let mut weights = vec![[0; LANES]; q * q * chunks];
        let mut all = dual.weights.iter();
        for a in 0..q {
            for b in a + 1..q {
                for (c, z) in (b + 1..q).zip(&mut all) {
                    for (w, x, y) in [(c, a, b), (a, b, c), (b, c, a)] {
                        weights[(w * q + x) * chunks + y / LANES][y % LANES] = *z;
                        weights[(w * q + y) * chunks + x / LANES][x % LANES] = -*z;
                    }
                }
            }
        }
        Self { q, chunks, step: dual.step, margins, weights }
    }
}

/// What is known of the items left by one set of placed ones.
#[derive(Clone)]
struct Frame {
    /// The item placed last, in the order of falling numbers.
    item: usize,
    live: u64,
    /// -1 for live items.
    mask: Vec<Lanes>,
    /// `(q, q)`, margins less the weights of cycles of live items; of live rows alone.
    left: Vec<Lanes>,
    /// What each live item costs in front of the others, in steps, beyond the bound.
    penalties: Vec<Lanes>,
    /// The sizes of the margins of live items, less those of the weights of their cycles.
    sum: i64,
    /// Twice the bound, in steps.
    bound: i64,
}

/// Moves from set to set, each from what it shares with the one before.
#[derive(Clone)]
pub(super) struct Rest<'a> {
    cycles: &'a Cycles,
    /// Without any item placed, then one more placed in each.
    frames: Vec<Frame>,
    depth: usize,
}

impl<'a> Rest<'a> {
    pub(super) fn new(cycles: &'a Cycles) -> Self {
        let (q, chunks) = (cycles.q, cycles.chunks);
        let mut root = Frame {
            item: q,
            live: u64::MAX >> (64 - q),
            mask: vec![[0; LANES]; chunks],
            left: cycles.margins.clone(),
            penalties: vec![[0; LANES]; chunks],
            sum: 0,
            bound: 0,
        };
        (0..q).for_each(|b| root.mask[b / LANES][b % LANES] = -1);
        let mut weights = 0;
        for rows in cycles.weights.chunks_exact(q * chunks) {
            for (left, z) in root.left.iter_mut().flatten().zip(rows.iter().flatten()) {
                *left -= z;
                weights += i64::from(z.abs());
            }
        }
        // A pair is met twice, and three items are met six times.
        let sizes: i64 = cycles.margins.iter().flatten().map(|x| i64::from(x.abs())).sum();
        root.sum = sizes / 2 - weights / 6;
        for row in root.left.chunks_exact(chunks) {
            for (sum, x) in root.penalties.iter_mut().flatten().zip(row.iter().flatten()) {
                *sum += (*x).max(0);
            }
        }
        root.bound = root.sum - masked(&root.penalties, &root.mask);
        Self { cycles, frames: vec![root; q + 1], depth: 0 }
    }

    /// Moves to the items outside of a set; cheap from a set that has the same high items.
    pub(super) fn seek(&mut self, set: u64) {
        let whole = self.frames[0].live;
        while self.depth > 0 {
            let top = &self.frames[self.depth];
            // Items are placed from the highest on: this frame stays if the set has just those up to its own.
            if whole & !top.live == set & (u64::MAX << top.item) {
                break;
            }
            self.depth -= 1;
        }
        let mut more = set & self.frames[self.depth].live;
        while more != 0 {
            let item = 63 - more.leading_zeros() as usize;
            more &= !(1 << item);
            self.push(item);
        }
    }

    /// Places one of the items left.
    pub(super) fn push(&mut self, item: usize) {
        let (q, chunks) = (self.cycles.q, self.cycles.chunks);
        let (below, above) = self.frames.split_at_mut(self.depth + 1);
        let (old, new) = (&below[self.depth], &mut above[0]);
        self.depth += 1;
        (new.item, new.live) = (item, old.live & !(1 << item));
        // Lanes up to the last live item; what is behind is never read again.
        let lanes = (64 - new.live.leading_zeros() as usize).div_ceil(LANES);
        new.mask.copy_from_slice(&old.mask);
        new.mask[item / LANES][item % LANES] = 0;
        let weights = &self.cycles.weights[item * q * chunks..(item + 1) * q * chunks];
        let sizes = place(
            new.live,
            (lanes, chunks),
            &old.left,
            weights,
            &mut new.left,
            &mut new.penalties,
            &new.mask,
        );
        let margins = &self.cycles.margins[item * chunks..][..lanes];
        // A cycle with the item is met twice.
        new.sum = old.sum - masked(margins, &new.mask) + sizes / 2;
        new.bound = new.sum - masked(&new.penalties[..lanes], &new.mask);
    }

    /// Takes the item placed last back.
    pub(super) fn pop(&mut self) {
        self.depth -= 1;
    }

    /// What one step is worth.
    pub(super) fn step(&self) -> f64 {
        self.cycles.step
    }

    /// Twice the least that the items left cost, in steps.
    pub(super) fn bound(&self) -> i64 {
        self.frames[self.depth].bound
    }

    /// What an item costs in front of the others left, in steps, beyond the bound.
    pub(super) fn penalty(&self, item: usize) -> i64 {
        i64::from(self.frames[self.depth].penalties[item / LANES][item % LANES])
    }
}

/// The sum of the sizes of the numbers under a mask.
#[inline]
fn masked(row: &[Lanes], mask: &[Lanes]) -> i64 {
    let cells = row.iter().flatten().zip(mask.iter().flatten());
    cells.map(|(x, mask)| i64::from((x & mask).abs())).sum()
}

wide! {
    /// Adds the weights of an item that leaves to live rows, and what speaks against each item before
    /// others; returns the sum of the weights' sizes.
    ///
    /// What speaks against `a` before `b` speaks for `b` in its own row: columns are summed.
    fn place(
        live: u64,
        sizes: (usize, usize),
        left: &[Lanes],
        weights: &[Lanes],
        out: &mut [Lanes],
        penalties: &mut [Lanes],
        mask: &[Lanes],
    ) -> i64 {
        let (lanes, chunks) = sizes;
        let mut gone = 0;
        for k in 0..lanes {
            let (mut against, mut sums) = ([0_i32; LANES], [0_i32; LANES]);
            let mut rows = live;
            while rows != 0 {
                let at = rows.trailing_zeros() as usize * chunks + k;
                rows &= rows - 1;
                let (x, z) = (left[at], weights[at]);
                let mut new = [0_i32; LANES];
                for l in 0..LANES {
                    new[l] = x[l] + z[l];
                    against[l] += new[l].max(0);
                    sums[l] += z[l].abs();
                }
                out[at] = new;
            }
            penalties[k] = against;
            for l in 0..LANES {
                gone += i64::from(sums[l] & mask[k][l]);
            }
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::bits::ones;
    use super::super::dual::tests::{KINDS, margins};
    use super::super::dual::{Aim, ascend};
    use super::*;
    use crate::Stop;
    use crate::rng::Stream;

    /// Twice the bound of some items and the penalty of each, by definition.
    fn slow(dual: &Dual, live: u64) -> (i64, Vec<i64>) {
        let (q, mut all) = (dual.q, dual.weights.iter());
        let mut left: Vec<i64> = dual.margins.iter().map(|x| i64::from(*x)).collect();
        let mut bound = 0;
        for a in 0..q {
            for b in a + 1..q {
                for (c, z) in (b + 1..q).zip(&mut all) {
                    if [a, b, c].iter().all(|i| live >> i & 1 == 1) {
                        bound -= i64::from(z.abs());
                        for (x, y) in [(a, b), (b, c), (c, a)] {
                            left[x * q + y] -= i64::from(*z);
                            left[y * q + x] += i64::from(*z);
                        }
                    }
                }
            }
        }
        let mut penalties = vec![0; q];
        for a in ones(live) {
            for b in ones(live) {
                bound += i64::from(dual.margins[a * q + b].max(0)) - left[a * q + b].max(0);
                penalties[a] += (-left[a * q + b]).max(0);
            }
        }
        (bound, penalties)
    }

    #[test]
    fn sets_met_in_any_order_have_the_bounds_of_their_items() {
        for (q, kind) in [3, 8, 9, 17, 30].into_iter().zip(KINDS.iter().cycle()) {
            let margins = margins(q, kind, q);
            let aim = Aim::new(&margins, false, 1e9, 0.0);
            let dual = ascend(&margins, q, aim, 30, Stop::never()).expect("not stopped");
            let cycles = Cycles::new(&dual);
            let (mut rest, mut stream) = (Rest::new(&cycles), Stream::new(q as u64, 2));
            for _ in 0..100 {
                let set = stream.bits() & stream.bits() & (u64::MAX >> (64 - q));
                rest.seek(set);
                let live = !set & (u64::MAX >> (64 - q));
                let (bound, penalties) = slow(&dual, live);
                assert_eq!(rest.bound(), bound, "{q} {set:b}");
                ones(live)
                    .for_each(|a| assert_eq!(rest.penalty(a), penalties[a], "{q} {set:b} {a}"));
            }
            rest.seek(0);
            rest.push(0);
            rest.push(2);
            rest.pop();
            assert_eq!(rest.bound(), slow(&dual, !1 & (u64::MAX >> (64 - q))).0);
        }
    }
}
