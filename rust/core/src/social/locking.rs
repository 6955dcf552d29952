//! Ranked pairs and river: majorities are locked in from the strongest unless they close a cycle.

use std::collections::HashSet;
use std::hash::Hash;

use super::options::Options;
use super::outcome::Outcome;
use super::reach::Reach;
use super::rules::{Rule, Run};
use super::support::Support;
use crate::{Error, Result, Stop};

/// The rules of this file.
pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "ranked_pairs",
        source: "Tideman 1987; ties: Zavist and Tideman 1989",
        laws: &[
            "anonymous",
            "homogeneous",
            "condorcet",
            "condorcet_loser",
            "smith",
            "monotone",
            "within_split_cycle",
        ],
        options: &["tie", "order", "seed", "cap"],
        run: Run::Support(ranked_pairs),
    },
    Rule {
        name: "river",
        source: "Heitzig 2004; Doering, Brill and Heitzig 2025",
        laws: &["anonymous", "homogeneous", "condorcet", "condorcet_loser", "smith"],
        options: &["tie", "order", "seed", "cap"],
        run: Run::Support(river),
    },
];

/// What became of an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Locking {
    Locked,
    Implied,
    Blocked,
}

/// Locked edges.
trait Locked: Clone + Eq + Hash {
    fn none(items: usize) -> Self;
    fn lock(&mut self, a: usize, b: usize) -> Locking;
    /// Whether nothing is locked above an item.
    fn is_source(&self, item: usize) -> bool;
}

impl Locked for Reach {
    fn none(items: usize) -> Self {
        Self::new(items)
    }

    fn lock(&mut self, a: usize, b: usize) -> Locking {
        if self.has(a, b) {
            return Locking::Implied;
        }
        if self.has(b, a) {
            return Locking::Blocked;
        }
        self.add(a, b, |_| ());
        Locking::Locked
    }

    fn is_source(&self, item: usize) -> bool {
        count(self.above().row(item)) == 1
    }
}

/// The one locked edge into each item.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Parents(Vec<usize>);

impl Locked for Parents {
    fn none(items: usize) -> Self {
        Self(vec![usize::MAX; items])
    }

    fn lock(&mut self, a: usize, b: usize) -> Locking {
        if self.0[b] == a {
            return Locking::Implied;
        }
        if self.0[b] != usize::MAX {
            return Locking::Blocked;
        }
        let mut root = a;
        while self.0[root] != usize::MAX {
            root = self.0[root];
        }
        if root == b {
            return Locking::Blocked;
        }
        self.0[b] = a;
        Locking::Locked
    }

    fn is_source(&self, item: usize) -> bool {
        self.0[item] == usize::MAX
    }
}

/// Pairs by falling margin, ties by the given order; pairs without a majority come last, in it.
fn sorted(margins: &[f64], m: usize, order: &[usize]) -> Vec<(usize, usize)> {
    let mut edges: Vec<(f64, u32, u32)> = Vec::with_capacity(m * m / 2);
    for (i, a) in (0_u32..).zip(order) {
        for (j, b) in (0_u32..).zip(order) {
            let margin = margins[a * m + b];
            if margin > 0.0 || (margin == 0.0 && i < j) {
                edges.push((margin, i, j));
            }
        }
    }
    edges.sort_unstable_by(|x, y| y.0.total_cmp(&x.0).then((x.1, x.2).cmp(&(y.1, y.2))));
    edges.into_iter().map(|(_, i, j)| (order[i as usize], order[j as usize])).collect()
}

fn ranked_pairs(support: &Support, options: &Options, stop: Stop<'_>) -> Result<Outcome> {
    let (m, margins) = (support.items(), support.margins());
    if options.choice("tie", &["order", "all"])? == "all" {
        return all::<Reach>(&margins, m, options, stop);
    }
    let mut locked = Reach::new(m);
    let order = options.order(m)?;
    for (i, (a, b)) in sorted(&margins, m, &order).into_iter().enumerate() {
        if i % 4096 == 0 {
            stop.check()?;
            let decided: usize = (0..m).map(|x| count(locked.below().row(x))).sum();
            if decided == m * (m + 1) / 2 {
                break;
            }
        }
        locked.lock(a, b);
    }
    let mut places: Vec<(usize, usize)> =
        (0..m).map(|x| (count(locked.above().row(x)), x)).collect();
    places.sort_unstable();
    Ok(Outcome::ordered(&places.into_iter().map(|(_, x)| x).collect::<Vec<_>>()))
}

fn count(row: &[u64]) -> usize {
    row.iter().map(|word| word.count_ones() as usize).sum()
}

fn river(support: &Support, options: &Options, stop: Stop<'_>) -> Result<Outcome> {
    let (m, margins) = (support.items(), support.margins());
    if options.choice("tie", &["order", "all"])? == "all" {
        return all::<Parents>(&margins, m, options, stop);
    }
    let mut locked = Parents::none(m);
    let order = options.order(m)?;
    for (a, b) in sorted(&margins, m, &order) {
        locked.lock(a, b);
    }
    let depth = |item: usize| {
        std::iter::successors(Some(item), |x| Some(locked.0[*x]).filter(|p| *p != usize::MAX))
            .count()
            - 1
    };
    Ok(Outcome::bucketed((0..m).map(depth).collect()))
}

/// The items that win for some way to break ties among equal majorities.
fn all<L: Locked>(margins: &[f64], m: usize, options: &Options, stop: Stop<'_>) -> Result<Outcome> {
    let cap = options.count("cap", 200_000, 1, 1 << 50)?;
    let rising: Vec<usize> = (0..m).collect();
    let mut edges = sorted(margins, m, &rising);
    edges.retain(|(a, b)| margins[a * m + b] > 0.0);
    let groups: Vec<&[(usize, usize)]> =
        edges.chunk_by(|x, y| margins[x.0 * m + x.1] == margins[y.0 * m + y.1]).collect();
    let mut won = vec![false; m];
    let mut seen: HashSet<(usize, L)> = HashSet::new();
    let mut pending = vec![(0, L::none(m))];
    while let Some((group, state)) = pending.pop() {
        stop.check()?;
        if seen.len() >= cap {
            let what = format!("cap: ties need more than {cap} states; break them by an order");
            return Err(Error::Infeasible { what });
        }
        let Some(edges) = groups.get(group) else {
            (0..m).for_each(|item| won[item] |= state.is_source(item));
            continue;
        };
        let mut joint = state.clone();
        let mut conflict = false;
        let mut open = Vec::new();
        for (a, b) in *edges {
            let mut alone = state.clone();
            if alone.lock(*a, *b) == Locking::Locked {
                open.push(alone);
                conflict |= joint.lock(*a, *b) == Locking::Blocked;
            }
        }
        // Edges that can all be locked together are, in whatever order.
        let next = if conflict {
            open.into_iter().map(|state| (group, state)).collect()
        } else {
            vec![(group + 1, joint)]
        };
        for state in next {
            if seen.insert(state.clone()) {
                pending.push(state);
            }
        }
    }
    Ok(Outcome::chosen(&(0..m).filter(|item| won[*item]).collect::<Vec<_>>(), m))
}
