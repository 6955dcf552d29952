//! Sums over ordered pairs of items that come one at a time, some of them often.

use super::cells::{Cell, Cells};

/// Up to this many items all ordered pairs have a sum of their own: 32 MiB.
const DENSE: usize = 2048;
/// Entries above which those of equal pairs are merged.
const ENTRIES: usize = 1 << 22;

/// What every item won against every other; every pair is summed in the order in which it came.
pub(super) enum Pairs {
    /// Wins `(m, m)`.
    Dense(Vec<f64>, usize),
    /// Pairs and weights, the first `merged` of them once each, and the number of items.
    Sparse { entries: Vec<(u64, f64)>, merged: usize, items: usize },
}

impl Pairs {
    pub(super) fn of(items: usize) -> Self {
        if items <= DENSE {
            Self::Dense(vec![0.0; items * items], items)
        } else {
            Self::Sparse { entries: Vec::new(), merged: 0, items }
        }
    }

    #[inline]
    pub(super) fn add(&mut self, winner: u32, loser: u32, weight: f64) {
        match self {
            Self::Dense(wins, m) => wins[winner as usize * *m + loser as usize] += weight,
            Self::Sparse { entries, .. } => entries.push((pair(winner, loser), weight)),
        }
    }

    /// Merges equal pairs once they may have become many.
    pub(super) fn tidy(&mut self) {
        if let Self::Sparse { entries, merged, .. } = self
            && entries.len() >= ENTRIES.max(2 * *merged)
        {
            merge(entries);
            *merged = entries.len();
        }
    }

    /// The cells of all pairs of which one won anything.
    pub(super) fn cells(self) -> Cells<f64> {
        let mut out = Cells { starts: vec![0], cells: vec![], ties: vec![], spread: vec![] };
        match self {
            Self::Dense(wins, m) => {
                for i in 0..m {
                    for (j, other) in (0..m).zip(0_u32..) {
                        let cell = Cell { other, wins: wins[i * m + j], losses: wins[j * m + i] };
                        out.cells.extend(Some(cell).filter(|c| c.wins + c.losses > 0.0));
                    }
                    out.starts.push(out.cells.len());
                }
            }
            Self::Sparse { mut entries, items, .. } => {
                merge(&mut entries);
                let lost = |(pair, weight): &(u64, f64)| (pair.rotate_left(32), 0.0, *weight);
                let mut sides: Vec<(u64, f64, f64)> = entries.iter().map(lost).collect();
                sides.extend(entries.iter().map(|(pair, weight)| (*pair, *weight, 0.0)));
                drop(entries);
                sides.sort_unstable_by_key(|(pair, _, _)| *pair);
                for side in sides.chunk_by(|x, y| x.0 == y.0) {
                    let (wins, losses) =
                        side.iter().fold((0.0, 0.0), |sums, s| (sums.0 + s.1, sums.1 + s.2));
                    let (item, other) = ((side[0].0 >> 32) as usize, side[0].0 & 0xFFFF_FFFF);
                    while out.starts.len() <= item {
                        out.starts.push(out.cells.len());
                    }
                    let other = u32::try_from(other).unwrap_or(u32::MAX);
                    out.cells.extend(
                        Some(Cell { other, wins, losses }).filter(|c| c.wins + c.losses > 0.0),
                    );
                }
                out.starts.resize(items + 1, out.cells.len());
            }
        }
        out
    }
}

fn pair(winner: u32, loser: u32) -> u64 {
    u64::from(winner) << 32 | u64::from(loser)
}

/// One entry per pair; a stable sort keeps the order in which weights are added.
fn merge(entries: &mut Vec<(u64, f64)>) {
    entries.sort_by_key(|(pair, _)| *pair);
    entries.dedup_by(|later, first| {
        let equal = later.0 == first.0;
        if equal {
            first.1 += later.1;
        }
        equal
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    #[test]
    fn dense_and_sparse_sums_are_the_same() {
        let mut stream = Stream::new(5, 0);
        let m = 40;
        let (mut dense, mut sparse) =
            (Pairs::of(m), Pairs::Sparse { entries: Vec::new(), merged: 0, items: m });
        let mut wins = vec![0.0; m * m];
        for step in 0..20_000 {
            // the last item is never met, and some weights are zero
            let a = stream.below(m - 1);
            let b = (a + 1 + stream.below(m - 2)) % (m - 1);
            let weight = stream.below(4) as f64 / 3.0;
            wins[a * m + b] += weight;
            let (winner, loser) =
                (u32::try_from(a).expect("small"), u32::try_from(b).expect("small"));
            dense.add(winner, loser, weight);
            sparse.add(winner, loser, weight);
            if let Pairs::Sparse { entries, .. } = &mut sparse
                && step % 1000 == 0
            {
                merge(entries);
            }
        }
        let (dense, sparse) = (dense.cells(), sparse.cells());
        assert_eq!(dense, sparse);
        assert_eq!(dense.items(), m);
        for i in 0..m {
            for cell in dense.row(i) {
                assert_eq!(cell.wins.to_bits(), wins[i * m + cell.other()].to_bits());
                assert_eq!(cell.losses.to_bits(), wins[cell.other() * m + i].to_bits());
            }
        }
    }
}
