//! Maximin support: the member whom the fewest votes support, when voters share their votes among their
//! members as evenly as can be, has as many as possible.

use std::cmp::Ordering;

use super::bounds::Bounds;
use super::outcome::{Committee, Options};
use super::process::{Process, run};
use super::rules::{Params, Profile, Run};
use super::views::Approvals;
use super::worths::by_approvals::sets;
use crate::{Result, Stop};

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
    let maximin = Maximin { approvals: sets(profile)?, stop: options.stop };
    let mut found = run(&maximin, bounds, options)?;
    found.value = Some(found.steps.last().map_or(0.0, |step| step.gain));
    Ok(found)
}

fn score(profile: &Profile<'_>, members: &[usize]) -> Result<f64> {
    let approvals = sets(profile)?;
    let maximin = Maximin { approvals, stop: Stop::never() };
    Ok(maximin.support(members)?.map_or(0.0, |share| share.value(approvals)))
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

    fn least(self, other: Self) -> Self {
        if other.cmp(self).is_lt() { other } else { self }
    }

    fn value(self, approvals: &Approvals) -> f64 {
        let votes = i128::try_from(self.votes).unwrap_or(i128::MAX);
        approvals.weights.unit.value(votes) / self.members as f64
    }
}

struct Maximin<'a> {
    approvals: &'a Approvals,
    stop: Stop<'a>,
}

/// A committee in the making.
#[derive(Clone)]
struct Electing {
    members: usize,
    /// What the least supported member has; `None` without members.
    share: Option<Share>,
    /// The kind of each voter: those who approve the same members are of one.
    kind: Vec<usize>,
    kinds: Vec<Kind>,
    /// What the least supported member can have at most with each item: it only falls.
    most: Vec<Share>,
}

#[derive(Debug, Clone, Default)]
struct Kind {
    /// Places of the members in the order of their election.
    members: Vec<usize>,
    votes: u128,
}

impl Maximin<'_> {
    /// What the least supported of members has; `None` without any.
    fn support(&self, members: &[usize]) -> Result<Option<Share>> {
        let mut state = self.start();
        for item in members {
            self.add(&mut state, *item);
        }
        if members.is_empty() {
            return Ok(None);
        }
        let kinds: Vec<(&[usize], u128)> =
            state.kinds.iter().map(|kind| (kind.members.as_slice(), kind.votes)).collect();
        let graph = Graph::new(members.len(), &kinds);
        Ok(Some(graph.least(graph.all(), self.stop)?))
    }

    /// Splits kinds into those who approve an item and those who do not.
    fn add(&self, state: &mut Electing, item: usize) {
        let place = state.members;
        state.members += 1;
        let mut split = vec![usize::MAX; state.kinds.len()];
        for voter in self.approvals.by_item.get(item) {
            let voter = *voter as usize;
            let votes = u128::from(self.approvals.weights.units[voter]);
            let old = state.kind[voter];
            if split[old] == usize::MAX {
                split[old] = state.kinds.len();
                let mut members = state.kinds[old].members.clone();
                members.push(place);
                state.kinds.push(Kind { members, votes: 0 });
            }
            state.kind[voter] = split[old];
            state.kinds[old].votes -= votes;
            state.kinds[split[old]].votes += votes;
        }
    }

    /// The votes of each kind that approve an item, where any do.
    fn votes(&self, state: &Electing, item: usize, of: &mut [u128]) {
        of.fill(0);
        for voter in self.approvals.by_item.get(item) {
            let votes = self.approvals.weights.units[*voter as usize];
            of[state.kind[*voter as usize]] += u128::from(votes);
        }
    }
}

impl Process for Maximin<'_> {
    type State = Electing;
    type Key = ();

    fn start(&self) -> Electing {
        let units = &self.approvals.weights.units;
        let votes = |voter: &u32| u128::from(units[*voter as usize]);
        let most = self.approvals.by_item.iter().map(|list| list.iter().map(votes).sum());
        Electing {
            members: 0,
            share: None,
            kind: vec![0; units.len()],
            kinds: vec![Kind {
                members: Vec::new(),
                votes: units.iter().map(|units| u128::from(*units)).sum(),
            }],
            most: most.map(|votes| Share { votes, members: 1 }).collect(),
        }
    }

    fn choices(
        &self,
        state: &mut Electing,
        _members: &[usize],
        allowed: &dyn Fn(usize) -> bool,
    ) -> Result<Vec<usize>> {
        let size = state.members as u128 + 1;
        let represented = |kind: &&Kind| !kind.members.is_empty();
        let covered: u128 = state.kinds.iter().filter(represented).map(|kind| kind.votes).sum();
        let mut open: Vec<usize> =
            (0..self.approvals.items()).filter(|item| allowed(*item)).collect();
        for item in &open {
            let voters = self.approvals.by_item.get(*item).iter().map(|voter| *voter as usize);
            let new = voters.filter(|voter| state.kinds[state.kind[*voter]].members.is_empty());
            let votes = new.map(|voter| u128::from(self.approvals.weights.units[voter]));
            let all = Share { votes: covered + votes.sum::<u128>(), members: size };
            state.most[*item] = state.most[*item].least(all);
        }
        open.sort_by(|a, b| state.most[*b].cmp(state.most[*a]));
        let (mut best, mut tied): (Option<Share>, Vec<usize>) = (None, Vec::new());
        let mut of = vec![0; state.kinds.len()];
        for item in open {
            self.stop.check()?;
            let most = state.most[item];
            if best.is_some_and(|best| most.cmp(best).is_lt()) {
                break;
            }
            self.votes(state, item, &mut of);
            let graph = Graph::with(&state.kinds, state.members, &of);
            // Most items have less than the best so far, which one cut tells.
            let cut = best.map_or(Ok(None), |best| graph.cut(best, self.stop))?;
            let share = match cut {
                Some(less) => less,
                None => graph.least(graph.all().least(most), self.stop)?,
            };
            state.most[item] = most.least(share);
            match best.map_or(Ordering::Greater, |best| share.cmp(best)) {
                Ordering::Greater => (best, tied) = (Some(share), vec![item]),
                Ordering::Equal => tied.push(item),
                Ordering::Less => {}
            }
        }
        state.share = best;
        tied.sort_unstable();
        Ok(tied)
    }

    fn choose(&self, state: &mut Electing, item: usize) -> f64 {
        self.add(state, item);
        state.share.map_or(0.0, |share| share.value(self.approvals))
    }

    fn key(&self, _: &mut Electing) {}
}

/// Members and the kinds of voters who approve them.
struct Graph {
    members: usize,
    votes: Vec<u128>,
    /// Where the slots of each kind begin, and the member of each slot.
    starts: Vec<usize>,
    member: Vec<usize>,
    kind: Vec<usize>,
    /// Where the slots of each member begin, and which they are.
    begins: Vec<usize>,
    slots: Vec<usize>,
}

impl Graph {
    fn new(members: usize, kinds: &[(&[usize], u128)]) -> Self {
        let mut graph = Self::empty(members);
        for (kind, votes) in kinds.iter().filter(|(kind, votes)| !kind.is_empty() && *votes > 0) {
            graph.push(kind, None, *votes);
        }
        graph.finish()
    }

    /// One more member, whom `of` the votes of each kind approve.
    fn with(kinds: &[Kind], members: usize, of: &[u128]) -> Self {
        let mut graph = Self::empty(members + 1);
        for (kind, votes) in kinds.iter().zip(of) {
            if kind.votes > *votes && !kind.members.is_empty() {
                graph.push(&kind.members, None, kind.votes - votes);
            }
            if *votes > 0 {
                graph.push(&kind.members, Some(members), *votes);
            }
        }
        graph.finish()
    }

    fn empty(members: usize) -> Self {
        Self {
            members,
            votes: Vec::new(),
            starts: vec![0],
            member: Vec::new(),
            kind: Vec::new(),
            begins: Vec::new(),
            slots: Vec::new(),
        }
    }

    fn push(&mut self, members: &[usize], last: Option<usize>, votes: u128) {
        self.member.extend(members.iter().copied().chain(last));
        self.kind.resize(self.member.len(), self.votes.len());
        self.starts.push(self.member.len());
        self.votes.push(votes);
    }

    fn finish(mut self) -> Self {
        self.begins = vec![0; self.members + 1];
        for member in &self.member {
            self.begins[member + 1] += 1;
        }
        for member in 0..self.members {
            self.begins[member + 1] += self.begins[member];
        }
        let mut next = self.begins.clone();
        self.slots = vec![0; self.member.len()];
        for (slot, member) in self.member.iter().enumerate() {
            self.slots[next[*member]] = slot;
            next[*member] += 1;
        }
        self
    }

    /// Votes per member of all together.
    fn all(&self) -> Share {
        Share { votes: self.votes.iter().sum(), members: self.members as u128 }
    }

    /// The votes per member of the worst supported of all sets of members, known to be at most `share`:
    /// the least support under the best way to share votes.
    ///
    /// A cut finds a set with fewer votes per member, until none has.
    fn least(&self, mut share: Share, stop: Stop<'_>) -> Result<Share> {
        while let Some(less) = self.cut(share, stop)? {
            share = less;
        }
        Ok(share)
    }

    /// The votes per member of a set that has fewer than a share, if there is one.
    fn cut(&self, share: Share, stop: Stop<'_>) -> Result<Option<Share>> {
        let Some(inside) = Flow::new(self, share).lacking(stop)? else { return Ok(None) };
        let theirs = |kind: &usize| {
            self.member[self.starts[*kind]..self.starts[kind + 1]].iter().any(|at| inside[*at])
        };
        Ok(Some(Share {
            votes: (0..self.votes.len()).filter(theirs).map(|kind| self.votes[kind]).sum(),
            members: inside.iter().filter(|x| **x).count() as u128,
        }))
    }
}

/// A flow from members, who each ask for the same share, to kinds of voters.
///
/// Source: Dinic 1970: along shortest chains of exchanges, all of one length together.
struct Flow<'a> {
    graph: &'a Graph,
    /// What each member still asks for.
    asks: Vec<u128>,
    /// Votes of each kind that are not given yet.
    free: Vec<u128>,
    /// What the kind of each slot gives to its member.
    given: Vec<u128>,
    /// How many exchanges away a member is from one who asks, and a kind; `FAR` for those not reached.
    level: Vec<usize>,
    reach: Vec<usize>,
    /// The first slot of each member, and of each kind, that may still lead on.
    ask_next: Vec<usize>,
    give_next: Vec<usize>,
}

const FAR: usize = usize::MAX;

impl<'a> Flow<'a> {
    /// Amounts are multiplied by the members of the share, so that all are whole.
    fn new(graph: &'a Graph, share: Share) -> Self {
        Self {
            asks: vec![share.votes; graph.members],
            free: graph.votes.iter().map(|votes| votes * share.members).collect(),
            given: vec![0; graph.member.len()],
            level: vec![FAR; graph.members],
            reach: vec![FAR; graph.votes.len()],
            ask_next: Vec::new(),
            give_next: Vec::new(),
            graph,
        }
    }

    /// Members who cannot all be given what they ask for, if there are any.
    fn lacking(mut self, stop: Stop<'_>) -> Result<Option<Vec<bool>>> {
        loop {
            stop.check()?;
            if !self.measure() {
                let lack = self.asks.iter().any(|asks| *asks > 0);
                return Ok(lack.then(|| self.level.iter().map(|level| *level != FAR).collect()));
            }
            self.ask_next.clone_from(&self.graph.begins);
            self.give_next.clone_from(&self.graph.starts);
            for member in 0..self.graph.members {
                self.serve(member);
            }
        }
    }

    /// Finds how far everybody is from those who ask; whether votes that are free can be reached.
    fn measure(&mut self) -> bool {
        let graph = self.graph;
        self.level.fill(FAR);
        self.reach.fill(FAR);
        let mut front: Vec<usize> = (0..graph.members).filter(|at| self.asks[*at] > 0).collect();
        for at in &front {
            self.level[*at] = 0;
        }
        let (mut distance, mut found) = (0, false);
        while !front.is_empty() && !found {
            let mut next = Vec::new();
            for member in front {
                for slot in &graph.slots[graph.begins[member]..graph.begins[member + 1]] {
                    let kind = graph.kind[*slot];
                    if self.reach[kind] != FAR {
                        continue;
                    }
                    self.reach[kind] = distance;
                    found |= self.free[kind] > 0;
                    for back in graph.starts[kind]..graph.starts[kind + 1] {
                        let other = graph.member[back];
                        if self.given[back] > 0 && self.level[other] == FAR {
                            self.level[other] = distance + 1;
                            next.push(other);
                        }
                    }
                }
            }
            (front, distance) = (next, distance + 1);
        }
        found
    }

    /// Gives a member all that shortest chains of exchanges hold.
    fn serve(&mut self, start: usize) {
        // Links: a slot that gives more to a member, and one of the same kind that gives less to the next.
        let mut chain: Vec<(usize, usize)> = Vec::new();
        let mut at = start;
        while self.asks[start] > 0 {
            if let Some((more, less)) = self.advance(at) {
                let Some(less) = less else {
                    self.push(start, more, &chain);
                    chain.clear();
                    at = start;
                    continue;
                };
                chain.push((more, less));
                at = self.graph.member[less];
            } else if let Some((more, less)) = chain.pop() {
                self.give_next[self.graph.kind[less]] += 1;
                at = self.graph.member[more];
            } else {
                return;
            }
        }
    }

    /// The next slot by which a member may get more, and that by which another of its kind then gets less,
    /// unless the kind has votes that are free.
    fn advance(&mut self, member: usize) -> Option<(usize, Option<usize>)> {
        let graph = self.graph;
        while self.ask_next[member] < graph.begins[member + 1] {
            let more = graph.slots[self.ask_next[member]];
            let kind = graph.kind[more];
            if self.reach[kind] == self.level[member] {
                if self.free[kind] > 0 {
                    return Some((more, None));
                }
                while self.give_next[kind] < graph.starts[kind + 1] {
                    let less = self.give_next[kind];
                    let level = self.level[graph.member[less]];
                    if self.given[less] > 0 && level != FAR && level == self.level[member] + 1 {
                        return Some((more, Some(less)));
                    }
                    self.give_next[kind] += 1;
                }
            }
            self.ask_next[member] += 1;
        }
        None
    }

    /// Pushes as much as a chain that ends at free votes holds.
    fn push(&mut self, start: usize, last: usize, chain: &[(usize, usize)]) {
        let kind = self.graph.kind[last];
        let held = chain.iter().map(|(_, less)| self.given[*less]).min().unwrap_or(u128::MAX);
        let most = self.free[kind].min(self.asks[start]).min(held);
        for (more, less) in chain {
            self.given[*more] += most;
            self.given[*less] -= most;
        }
        self.given[last] += most;
        self.free[kind] -= most;
        self.asks[start] -= most;
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
            let maximin = Maximin { approvals: &approvals, stop: Stop::never() };
            let found = maximin.support(&members).expect("no limit").expect("members");
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
