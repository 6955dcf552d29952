//! Which items can be compared at all: strongly connected components of "has beaten".

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::cells::{Cells, Value};

/// Strongly connected components and what is known between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Components {
    /// Component of every item; a component that beat another has the lower number.
    pub of: Vec<u32>,
    /// How many there are.
    pub count: usize,
    /// Pairs `(a, b)` of components in which some item of `a` has beaten one of `b`; sorted, once each.
    pub arcs: Vec<(u32, u32)>,
}

impl Components {
    /// All items in one.
    pub(super) fn one(items: usize) -> Self {
        Self { of: vec![0; items], count: usize::from(items > 0), arcs: Vec::new() }
    }
}

/// Arcs `i -> j` stored by `i`: `arc(k)` is the end of the `k`-th arc, or `None` when it is not there.
pub(super) struct Digraph<'a, F> {
    /// Where the arcs of every item begin.
    pub(super) starts: &'a [usize],
    /// The end of an arc.
    pub(super) arc: F,
}

/// Components of the items, by wins and ties.
#[must_use]
pub fn components<T: Value>(cells: &Cells<T>) -> Components {
    let some = |x: f64, k: usize| x > 0.0 || cells.tie(k) > 0.0;
    let end = |k: usize| cells.cells[k].other();
    let beaten = |k: usize| some(cells.cells[k].wins.get(), k).then(|| end(k));
    let beaten_by = |k: usize| some(cells.cells[k].losses.get(), k).then(|| end(k));
    let forward = Digraph { starts: &cells.starts, arc: beaten };
    let backward = Digraph { starts: &cells.starts, arc: beaten_by };
    if forward.reaches_all() && backward.reaches_all() {
        return Components::one(cells.items());
    }
    forward.components()
}

impl<F: Fn(usize) -> Option<usize>> Digraph<'_, F> {
    fn items(&self) -> usize {
        self.starts.len() - 1
    }

    /// Whether every item can be reached from the first; stops as soon as all are.
    pub(super) fn reaches_all(&self) -> bool {
        let m = self.items();
        let mut seen = vec![false; m];
        let mut queue: Vec<usize> = (0..m.min(1)).collect();
        seen.iter_mut().take(1).for_each(|s| *s = true);
        let mut next = 0;
        while next < queue.len() && queue.len() < m {
            let item = queue[next];
            next += 1;
            for k in self.starts[item]..self.starts[item + 1] {
                if let Some(other) = (self.arc)(k).filter(|other| !seen[*other]) {
                    seen[other] = true;
                    queue.push(other);
                }
            }
        }
        queue.len() == m
    }

    /// Strongly connected components, sources first.
    ///
    /// Source: Tarjan 1972, with an explicit stack.
    pub(super) fn components(&self) -> Components {
        const NEW: u32 = u32::MAX;
        let m = self.items();
        let (mut index, mut low, mut of) = (vec![NEW; m], vec![0_u32; m], vec![NEW; m]);
        let (mut stack, mut calls): (Vec<usize>, Vec<(usize, usize)>) = (vec![], vec![]);
        let (mut visited, mut count) = (0_u32, 0_u32);
        for root in 0..m {
            if index[root] != NEW {
                continue;
            }
            calls.push((root, self.starts[root]));
            while let Some((item, arc)) = calls.pop() {
                if index[item] == NEW {
                    (index[item], low[item]) = (visited, visited);
                    visited += 1;
                    stack.push(item);
                }
                let mut descend = None;
                for k in arc..self.starts[item + 1] {
                    let Some(other) = (self.arc)(k) else { continue };
                    if index[other] == NEW {
                        descend = Some((other, k));
                        break;
                    }
                    if of[other] == NEW {
                        low[item] = low[item].min(low[other]);
                    }
                }
                if let Some((other, k)) = descend {
                    calls.push((item, k)); // looks at this arc again, for the low number of its end
                    calls.push((other, self.starts[other]));
                } else if low[item] == index[item] {
                    while let Some(member) = stack.pop() {
                        of[member] = count;
                        if member == item {
                            break;
                        }
                    }
                    count += 1;
                }
            }
        }
        self.ordered(of, count as usize)
    }

    /// Components numbered from the top; of those that may come next, the one with the first item does.
    fn ordered(&self, mut of: Vec<u32>, count: usize) -> Components {
        let arcs = self.arcs_between(&of);
        let mut first = vec![usize::MAX; count];
        for (item, c) in of.iter().enumerate().rev() {
            first[*c as usize] = item;
        }
        let mut above = vec![0_usize; count];
        for (_, below) in &arcs {
            above[*below as usize] += 1;
        }
        let mut open: BinaryHeap<_> =
            (0..count).filter(|c| above[*c] == 0).map(|c| (Reverse(first[c]), c)).collect();
        let (mut number, mut next) = (vec![0_u32; count], 0);
        while let Some((_, c)) = open.pop() {
            number[c] = next;
            next += 1;
            let from = arcs.partition_point(|(a, _)| (*a as usize) < c);
            for (_, below) in arcs[from..].iter().take_while(|(a, _)| *a as usize == c) {
                let below = *below as usize;
                above[below] -= 1;
                if above[below] == 0 {
                    open.push((Reverse(first[below]), below));
                }
            }
        }
        for c in &mut of {
            *c = number[*c as usize];
        }
        let renamed = |(a, b): &(u32, u32)| (number[*a as usize], number[*b as usize]);
        let mut arcs: Vec<_> = arcs.iter().map(renamed).collect();
        arcs.sort_unstable();
        Components { of, count, arcs }
    }

    fn arcs_between(&self, of: &[u32]) -> Vec<(u32, u32)> {
        let mut arcs = Vec::new();
        for i in 0..self.items() {
            for k in self.starts[i]..self.starts[i + 1] {
                let Some(other) = (self.arc)(k) else { continue };
                let arc = (of[i], of[other]);
                if arc.0 != arc.1 && arcs.last() != Some(&arc) {
                    arcs.push(arc);
                }
            }
        }
        arcs.sort_unstable();
        arcs.dedup();
        arcs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(m: usize, arcs: &[(usize, usize)]) -> (Vec<usize>, Vec<usize>) {
        let (mut starts, mut ends) = (vec![0], vec![]);
        for i in 0..m {
            ends.extend(arcs.iter().filter(|a| a.0 == i).map(|a| a.1));
            starts.push(ends.len());
        }
        (starts, ends)
    }

    fn found(m: usize, arcs: &[(usize, usize)]) -> Components {
        let (starts, ends) = graph(m, arcs);
        Digraph { starts: &starts, arc: |k| Some(ends[k]) }.components()
    }

    #[test]
    fn a_chain_of_components_is_numbered_from_the_top() {
        let got = found(5, &[(3, 4), (4, 3), (4, 0), (0, 1), (1, 0), (1, 2)]);
        assert_eq!((got.count, got.of), (3, vec![1, 1, 2, 0, 0]));
        assert_eq!(got.arcs, vec![(0, 1), (1, 2)]);
    }

    #[test]
    fn components_agree_with_mutual_reachability() {
        let mut stream = crate::rng::Stream::new(4, 0);
        for trial in 0..300 {
            let m = 1 + stream.below(8);
            let arcs: Vec<_> =
                (0..stream.below(14)).map(|_| (stream.below(m), stream.below(m))).collect();
            let mut reach = vec![vec![false; m]; m];
            (0..m).for_each(|i| reach[i][i] = true);
            for (a, b) in &arcs {
                reach[*a][*b] = true;
            }
            for k in 0..m {
                let through = reach[k].clone();
                for row in reach.iter_mut().filter(|row| row[k]) {
                    row.iter_mut().zip(&through).for_each(|(to, on)| *to |= on);
                }
            }
            let got = found(m, &arcs);
            for (i, row) in reach.iter().enumerate() {
                for (j, down) in row.iter().enumerate() {
                    let same = *down && reach[j][i];
                    assert_eq!(got.of[i] == got.of[j], same, "trial {trial}");
                    assert!(!down || got.of[i] <= got.of[j]);
                }
            }
            let (starts, ends) = graph(m, &arcs);
            let all = Digraph { starts: &starts, arc: |k| Some(ends[k]) }.reaches_all();
            assert_eq!(all, reach[0].iter().all(|r| *r));
        }
    }
}
