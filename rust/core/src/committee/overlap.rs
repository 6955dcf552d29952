//! Bounds on groups that overlap: items of the same groups form a type, and committees are counts of
//! types.
//!
//! Whether counts can be completed is decided by search, since the question is hard in general; a
//! handful of attributes with a handful of values takes microseconds.

use std::collections::BTreeMap;

use super::bounds::{Group, names};
use super::outcome::DEPTH;
use crate::{Error, Result};

/// Most steps of one search.
const STEPS: usize = 5_000_000;

#[derive(Debug, Clone)]
pub(super) struct Overlap {
    kind: Vec<usize>,
    size: Vec<usize>,
    /// Groups of every type.
    groups: Vec<Vec<usize>>,
    lower: Vec<usize>,
    upper: Vec<usize>,
    /// Per group, how many items the types from this one on have: `rest[t][g]`.
    rest: Vec<Vec<usize>>,
    k: usize,
    plan: Vec<usize>,
}

impl Overlap {
    pub(super) fn new(m: usize, k: usize, groups: &[Group]) -> Result<Self> {
        let mut of_item = vec![Vec::new(); m];
        for (g, group) in groups.iter().enumerate() {
            for item in &group.members {
                of_item[*item].push(g);
            }
        }
        let mut index = BTreeMap::new();
        let mut types: Vec<Vec<usize>> = Vec::new();
        let mut size = Vec::new();
        let mut kind = Vec::with_capacity(m);
        for signature in of_item {
            let t = *index.entry(signature.clone()).or_insert_with(|| {
                types.push(signature);
                size.push(0);
                types.len() - 1
            });
            size[t] += 1;
            kind.push(t);
        }
        if types.len() > DEPTH {
            return Err(too_many(groups));
        }
        let mut rest = vec![vec![0; groups.len()]; types.len() + 1];
        for t in (0..types.len()).rev() {
            let (earlier, later) = rest.split_at_mut(t + 1);
            earlier[t].clone_from(&later[0]);
            types[t].iter().for_each(|g| rest[t][*g] += size[t]);
        }
        let lower = groups.iter().map(|g| g.lower).collect();
        let upper = groups.iter().map(|g| g.upper).collect();
        let mut this = Self { kind, size, groups: types, lower, upper, rest, k, plan: Vec::new() };
        let none = vec![0; this.size.len()];
        this.plan = match this.complete(&none) {
            Search::Found(plan) => plan,
            Search::None => {
                let names = names(groups.iter());
                let what = format!("no committee of {k} meets the bounds of {names} together");
                return Err(Error::Infeasible { what });
            }
            Search::TooLong => {
                return Err(too_many(groups));
            }
        };
        Ok(this)
    }

    pub(super) fn kind_of(&self, item: usize) -> usize {
        self.kind[item]
    }

    pub(super) fn types(&self) -> usize {
        self.size.len()
    }

    pub(super) fn first_plan(&self) -> Vec<usize> {
        self.plan.clone()
    }

    pub(super) fn fits(&self, counts: &[usize], plan: &[usize], item: usize) -> bool {
        let t = self.kind[item];
        plan[t] > counts[t] || matches!(self.with(counts, t), Search::Found(_))
    }

    pub(super) fn take(&self, counts: &mut [usize], plan: &mut Vec<usize>, item: usize) {
        let t = self.kind[item];
        if plan[t] <= counts[t]
            && let Search::Found(found) = self.with(counts, t)
        {
            *plan = found;
        }
        counts[t] += 1;
    }

    fn with(&self, counts: &[usize], t: usize) -> Search {
        let mut more = counts.to_vec();
        more[t] += 1;
        if more[t] > self.size[t] { Search::None } else { self.complete(&more) }
    }

    /// Counts of a full committee at or above `have`.
    fn complete(&self, have: &[usize]) -> Search {
        let mut need = self.lower.clone();
        let mut can = self.upper.clone();
        let mut least = 0;
        for (t, count) in have.iter().enumerate() {
            least += count;
            for g in &self.groups[t] {
                if *count > can[*g] {
                    return Search::None;
                }
                can[*g] -= count;
                need[*g] = need[*g].saturating_sub(*count);
            }
        }
        if least > self.k {
            return Search::None;
        }
        let mut search = State { have, need, can, extra: vec![0; have.len()], steps: 0 };
        match self.descend(&mut search, 0, self.k - least) {
            Some(true) => {
                Search::Found(have.iter().zip(search.extra).map(|(h, e)| h + e).collect())
            }
            Some(false) => Search::None,
            None => Search::TooLong,
        }
    }

    /// Fills types from `t` on with `left` more members; `None` when the search is too long.
    fn descend(&self, s: &mut State<'_>, t: usize, left: usize) -> Option<bool> {
        s.steps += 1;
        if s.steps > STEPS {
            return None;
        }
        if t == self.size.len() {
            return Some(left == 0 && s.need.iter().all(|n| *n == 0));
        }
        let taken_later = |g: usize| -> usize {
            (t..self.size.len()).filter(|u| self.groups[*u].contains(&g)).map(|u| s.have[u]).sum()
        };
        let open: usize = (t..self.size.len()).map(|u| self.size[u] - s.have[u]).sum();
        let short = (0..s.need.len()).any(|g| {
            s.need[g] > left.min(s.can[g]) || s.need[g] > self.rest[t][g] - taken_later(g)
        });
        if short || open < left {
            return Some(false);
        }
        let room = self.groups[t].iter().map(|g| s.can[*g]).min().unwrap_or(usize::MAX);
        let most = room.min(self.size[t] - s.have[t]).min(left);
        for extra in (0..=most).rev() {
            let before: Vec<usize> = self.groups[t].iter().map(|g| s.need[*g]).collect();
            for g in &self.groups[t] {
                s.can[*g] -= extra;
                s.need[*g] = s.need[*g].saturating_sub(extra);
            }
            s.extra[t] = extra;
            let found = self.descend(s, t + 1, left - extra)?;
            if found {
                return Some(true);
            }
            for (g, need) in self.groups[t].iter().zip(before) {
                s.can[*g] += extra;
                s.need[*g] = need;
            }
        }
        s.extra[t] = 0;
        Some(false)
    }
}

fn too_many(groups: &[Group]) -> Error {
    let names = names(groups.iter());
    let what = format!("the bounds of {names} overlap in too many ways to search; use method milp");
    Error::Infeasible { what }
}

enum Search {
    Found(Vec<usize>),
    None,
    TooLong,
}

struct State<'a> {
    have: &'a [usize],
    need: Vec<usize>,
    can: Vec<usize>,
    extra: Vec<usize>,
    steps: usize,
}
