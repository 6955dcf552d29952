//! Maximin support: the member whom the fewest votes support, when voters share their votes among their
//! members as evenly as can be, has as many as possible.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::bounds::Bounds;
use super::outcome::{Committee, Options};
use super::process::{Process, run};
use super::rules::{Params, Profile, Run};
use super::views::Approvals;
use super::worths::by_approvals::sets;
use crate::Result;

pub(super) const SUPPORT: Run = Run::Own { elect, score: Some(score) };

/// Adds the item with which the least supported member has most, one after another.
///
/// Source: Sanchez-Fernandez, Fernandez, Fisteus and Brill 2022.
fn elect(
    profile: &Profile<'_>,
    bounds: &Bounds,
    _params: &Params<'_>,
    options: &Options<'_>,
) -> Result<Committee> {
    let mut found = run(&Maximin { approvals: sets(profile)? }, bounds, options)?;
    found.value = Some(score(profile, &found.members)?);
    Ok(found)
}

fn score(profile: &Profile<'_>, members: &[usize]) -> Result<f64> {
    let approvals = sets(profile)?;
    if members.is_empty() {
        return Ok(0.0);
    }
    let Share { votes, members } = support(approvals, members);
    Ok(approvals.weights.unit.value(i128::try_from(votes).unwrap_or(i128::MAX)) / members as f64)
}

/// Votes per member.
#[derive(Debug, Clone, Copy)]
struct Share {
    votes: u128,
    members: u128,
}

impl Share {
    fn cmp(self, other: Self) -> Ordering {
        (self.votes * other.members).cmp(&(other.votes * self.members))
    }
}

struct Maximin<'a> {
    approvals: &'a Approvals,
}

impl Process for Maximin<'_> {
    type State = Vec<usize>;
    type Key = ();

    fn start(&self) -> Vec<usize> {
        Vec::new()
    }

    fn choices(
        &self,
        state: &mut Vec<usize>,
        _members: &[usize],
        allowed: &dyn Fn(usize) -> bool,
    ) -> Result<Vec<usize>> {
        let votes = |item: usize| {
            let voters = self.approvals.by_item.get(item).iter();
            voters.map(|v| u128::from(self.approvals.weights.units[*v as usize])).sum::<u128>()
        };
        // No item has more than all its own votes, so the rest need not be looked at.
        let mut open: Vec<(u128, usize)> = (0..self.approvals.items())
            .filter(|item| allowed(*item))
            .map(|item| (votes(item), item))
            .collect();
        open.sort_unstable_by_key(|(votes, item)| (std::cmp::Reverse(*votes), *item));
        let (mut best, mut tied): (Option<Share>, Vec<usize>) = (None, Vec::new());
        for (votes, item) in open {
            if best.is_some_and(|best| Share { votes, members: 1 }.cmp(best).is_lt()) {
                break;
            }
            state.push(item);
            let share = support(self.approvals, state);
            state.pop();
            match best.map_or(Ordering::Greater, |best| share.cmp(best)) {
                Ordering::Greater => (best, tied) = (Some(share), vec![item]),
                Ordering::Equal => tied.push(item),
                Ordering::Less => {}
            }
        }
        tied.sort_unstable();
        Ok(tied)
    }

    fn choose(&self, state: &mut Vec<usize>, item: usize) -> f64 {
        state.push(item);
        let Share { votes, members } = support(self.approvals, state);
        let unit = self.approvals.weights.unit;
        unit.value(i128::try_from(votes).unwrap_or(i128::MAX)) / members as f64
    }

    fn key(&self, _: &mut Vec<usize>) {}
}

/// The votes per member of the worst supported of all sets of members: the least support under the best
/// way to share votes.
///
/// Starting from all members, a cut finds a set with fewer votes per member until none has.
fn support(approvals: &Approvals, members: &[usize]) -> Share {
    let mut kinds: BTreeMap<Vec<usize>, u128> = BTreeMap::new();
    let mut of: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (at, member) in members.iter().enumerate() {
        for voter in approvals.by_item.get(*member) {
            of.entry(*voter).or_default().push(at);
        }
    }
    for (voter, kind) in of {
        *kinds.entry(kind).or_default() += u128::from(approvals.weights.units[voter as usize]);
    }
    let share = |inside: &[bool]| {
        let theirs = kinds.iter().filter(|(kind, _)| kind.iter().any(|at| inside[*at]));
        Share {
            votes: theirs.map(|(_, votes)| votes).sum(),
            members: inside.iter().filter(|x| **x).count() as u128,
        }
    };
    let mut worst = share(&vec![true; members.len()]);
    while let Some(inside) = Flow::new(members.len(), &kinds, worst).lacking() {
        worst = share(&inside);
    }
    worst
}

/// A flow from members, who each ask for the same share, over kinds of voters.
struct Flow<'a> {
    kinds: Vec<(&'a [usize], u128)>,
    /// What each member still asks for.
    asks: Vec<u128>,
    /// Votes of each kind that are not given yet.
    free: Vec<u128>,
    /// What each kind gives to each of its members.
    given: Vec<Vec<u128>>,
}

impl<'a> Flow<'a> {
    /// Amounts are multiplied by the members of the share, so that all are whole.
    fn new(members: usize, kinds: &'a BTreeMap<Vec<usize>, u128>, share: Share) -> Self {
        let kinds: Vec<(&[usize], u128)> =
            kinds.iter().map(|(kind, votes)| (kind.as_slice(), votes * share.members)).collect();
        Self {
            asks: vec![share.votes; members],
            free: kinds.iter().map(|(_, votes)| *votes).collect(),
            given: kinds.iter().map(|(kind, _)| vec![0; kind.len()]).collect(),
            kinds,
        }
    }

    /// The members who cannot all be given what they ask for, if there are any.
    fn lacking(mut self) -> Option<Vec<bool>> {
        for member in 0..self.asks.len() {
            while self.asks[member] > 0 {
                if let Some(reached) = self.augment(member) {
                    return Some(reached);
                }
            }
        }
        None
    }

    /// Gives a member more along a shortest chain of exchanges, or tells whom all chains reach in vain.
    fn augment(&mut self, start: usize) -> Option<Vec<bool>> {
        let mut reached = vec![false; self.asks.len()];
        let mut from: Vec<Option<usize>> = vec![None; self.kinds.len()]; // the member behind a kind
        let mut back: Vec<Option<usize>> = vec![None; self.asks.len()]; // the kind behind a member
        reached[start] = true;
        let mut queue = std::collections::VecDeque::from([start]);
        while let Some(member) = queue.pop_front() {
            for k in 0..self.kinds.len() {
                if from[k].is_some() || !self.kinds[k].0.contains(&member) {
                    continue;
                }
                from[k] = Some(member);
                if self.free[k] > 0 {
                    self.push(start, k, &from, &back);
                    return None;
                }
                for (slot, other) in self.kinds[k].0.iter().enumerate() {
                    if self.given[k][slot] > 0 && !reached[*other] {
                        (reached[*other], back[*other]) = (true, Some(k));
                        queue.push_back(*other);
                    }
                }
            }
        }
        Some(reached)
    }

    /// Pushes as much as a chain that ends at a kind holds.
    fn push(&mut self, start: usize, last: usize, from: &[Option<usize>], back: &[Option<usize>]) {
        // Links: a kind gives more to a member, who gives back what another kind gave.
        let mut links = Vec::new();
        let (mut kind, mut most) = (last, self.free[last].min(self.asks[start]));
        while let Some(member) = from[kind] {
            links.push((kind, member, true));
            let Some(before) = back[member].filter(|_| member != start) else { break };
            most = most.min(self.given[before][self.slot(before, member)]);
            links.push((before, member, false));
            kind = before;
        }
        self.free[last] -= most;
        self.asks[start] -= most;
        for (kind, member, more) in links {
            let slot = self.slot(kind, member);
            let cell = &mut self.given[kind][slot];
            *cell = if more { *cell + most } else { *cell - most };
        }
    }

    fn slot(&self, kind: usize, member: usize) -> usize {
        self.kinds[kind].0.iter().position(|at| *at == member).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::amount::Weights;
    use super::super::views::Lists;
    use super::*;
    use crate::rng::Stream;

    #[test]
    fn the_least_support_is_that_of_the_worst_set() {
        let mut stream = Stream::new(0, 0);
        for case in 0..300_u32 {
            let (n, m) = (1 + case % 9, 1 + case % 5); // few enough for every set
            let sets: Vec<Vec<u32>> =
                (0..n).map(|_| (0..m).filter(|_| stream.uniform() < 0.5).collect()).collect();
            let weights: Vec<f64> = (0..n).map(|_| 1.0 + stream.below(4) as f64).collect();
            let starts = std::iter::once(0)
                .chain(sets.iter().scan(0, |sum, set| {
                    *sum += set.len();
                    Some(*sum)
                }))
                .collect();
            let lists = Lists::new(starts, sets.concat(), m as usize).expect("valid");
            let approvals =
                Approvals::new(lists, m as usize, Weights::new(&weights).expect("valid"))
                    .expect("valid");
            let unit = approvals.weights.unit;
            let members: Vec<usize> = (0..m as usize).collect();
            let found = support(&approvals, &members);
            let found =
                unit.value(i128::try_from(found.votes).expect("few votes")) / found.members as f64;
            let share = |inside: u32| {
                let theirs = sets
                    .iter()
                    .zip(&weights)
                    .filter(|(set, _)| set.iter().any(|c| inside >> c & 1 == 1));
                theirs.map(|(_, w)| w).sum::<f64>() / f64::from(inside.count_ones())
            };
            let least = (1..1_u32 << m).map(share).fold(f64::INFINITY, f64::min);
            assert!((found - least).abs() < 1e-9, "case {case}: {found} {least}");
        }
    }
}
