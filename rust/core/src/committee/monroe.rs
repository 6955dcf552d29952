//! Monroe's rule: every member represents an equal share of the voters.

use super::amount::{Amount, Unit, Weights};
use super::bounds::Bounds;
use super::cover::Cover;
use super::outcome::{Committee, Found, Options};
use super::process::{Process, run};
use super::rules::{Params, Profile, Run};
use super::search::exact_by;
use crate::{Error, Result, Stop};

pub(super) const EXACT: Run = Run::Own { elect: monroe, score: Some(score) };
pub(super) const GREEDY: Run = Run::Own { elect: greedy, score: Some(score) };

/// What voters get from items: Borda points, or 1 from approved ones.
struct Seats<'a> {
    profile: &'a Profile<'a>,
    weights: &'a Weights,
    m: usize,
}

impl<'a> Seats<'a> {
    fn new(profile: &'a Profile<'a>) -> Result<Self> {
        let weights = match profile {
            Profile::Places(places) => &places.weights,
            Profile::Approvals(approvals) => &approvals.weights,
            Profile::Utilities(_) => {
                return Err(Error::range("profile", "rankings or approvals", "utilities"));
            }
        };
        if weights.unit == Unit::ONE {
            Ok(Self { profile, weights, m: profile.items() })
        } else {
            Err(Error::range("weights", "whole numbers for Monroe's rule", "others"))
        }
    }

    fn worth(&self, item: usize, voter: usize) -> Amount {
        match self.profile {
            Profile::Places(places) => (self.m - 1 - places.place(item, voter)) as Amount,
            Profile::Approvals(approvals) => Amount::from(approvals.approves(voter, item)),
            Profile::Utilities(_) => 0,
        }
    }

    /// Worths times weights, `(m, n)`, an upper bound of which is Chamberlin-Courant.
    fn cover(&self) -> Cover<'static, u64> {
        let n = self.weights.units.len();
        let cells = (0..self.m).flat_map(|item| (0..n).map(move |voter| (item, voter)));
        let value = |(item, voter)| {
            u64::try_from(self.worth(item, voter)).unwrap_or(0) * self.weights.units[voter]
        };
        Cover::distances(cells.map(value).collect(), n, self.m, Unit::ONE)
    }

    /// The best total worth when every member represents `floor(W / k)` or one more of `W` voters; `None`
    /// when time is over before it is known.
    fn assign(&self, members: &[usize], stop: Stop<'_>) -> Result<Option<Amount>> {
        if members.is_empty() {
            return Ok(Some(0));
        }
        Assignment::new(self, members).solve(stop)
    }

    /// The same where it must be known.
    fn value(&self, members: &[usize], stop: Stop<'_>) -> Result<Amount> {
        self.assign(members, stop)?.ok_or_else(|| stop.over())
    }
}

fn score(profile: &Profile<'_>, members: &[usize]) -> Result<f64> {
    Ok(Seats::new(profile)?.value(members, Stop::never())? as f64)
}

/// The committee with the best balanced assignment, by branch and bound under Chamberlin-Courant.
///
/// Source: Monroe 1995; Procaccia, Rosenschein and Zohar 2008.
fn monroe(
    profile: &Profile<'_>,
    bounds: &Bounds,
    params: &Params<'_>,
    options: &Options<'_>,
) -> Result<Committee> {
    let seats = Seats::new(profile)?;
    let options = &Options { stop: options.stop.patient(), ..*options };
    let resolute = Options { resolute: true, ..*options };
    let start = greedy(profile, bounds, params, &resolute)?;
    let mut found = Found {
        value: seats.value(&start.members, options.stop)?,
        upper: Amount::MAX,
        gains: Vec::new(),
        tied: Vec::new(),
        complete: true,
        optimal: false,
        method: "exact",
        members: start.members,
    };
    let worth = |members: &[usize]| seats.assign(members, options.stop);
    exact_by(&seats.cover(), bounds, &mut found, options, &worth)?;
    found.gains.clear();
    Ok(found.finish(Unit::ONE))
}

/// Gives the item with the most support among voters not yet represented to its share of them.
///
/// Rankings: the share's total Borda points count. Approvals: the number of supporters, only whom an item
/// represents.
///
/// Source: Skowron, Faliszewski and Slinko 2015, algorithm A; Elkind et al. 2017.
fn greedy(
    profile: &Profile<'_>,
    bounds: &Bounds,
    _params: &Params<'_>,
    options: &Options<'_>,
) -> Result<Committee> {
    let seats = Seats::new(profile)?;
    let mut out =
        run(&Greedy { seats: &seats, k: bounds.size(), stop: options.stop }, bounds, options)?;
    out.value = Some(seats.value(&out.members, options.stop)? as f64);
    Ok(out)
}

struct Greedy<'a> {
    seats: &'a Seats<'a>,
    k: usize,
    stop: Stop<'a>,
}

#[derive(Clone)]
struct Unrepresented {
    left: Vec<u64>,
    turn: usize,
}

impl Greedy<'_> {
    fn share(&self, turn: usize) -> u64 {
        let (total, k) = (self.seats.weights.total, self.k as u64);
        total / k + u64::from((turn as u64) < total % k)
    }

    /// Voters whom the item would represent, how many of each, best first; and what that is worth.
    fn taken(&self, state: &Unrepresented, item: usize) -> (Vec<(usize, u64)>, Amount) {
        let ranked = matches!(self.seats.profile, Profile::Places(_));
        let mut voters: Vec<(Amount, usize)> = (0..state.left.len())
            .filter(|voter| state.left[*voter] > 0)
            .map(|voter| (self.seats.worth(item, voter), voter))
            .filter(|(worth, _)| ranked || *worth > 0)
            .collect();
        voters.sort_unstable_by_key(|(worth, voter)| (-worth, *voter));
        let all: u64 = voters.iter().map(|(_, voter)| state.left[*voter]).sum();
        let mut room = self.share(state.turn);
        let mut worth = 0;
        let mut taken = Vec::new();
        for (each, voter) in voters {
            let count = state.left[voter].min(room);
            room -= count;
            worth += each * Amount::from(count);
            if count > 0 {
                taken.push((voter, count));
            }
        }
        (taken, if ranked { worth } else { Amount::from(all) })
    }
}

impl Process for Greedy<'_> {
    type State = Unrepresented;
    type Key = Vec<u64>;

    fn start(&self) -> Unrepresented {
        Unrepresented { left: self.seats.weights.units.clone(), turn: 0 }
    }

    fn choices(
        &self,
        state: &mut Unrepresented,
        _members: &[usize],
        allowed: &dyn Fn(usize) -> bool,
    ) -> Result<Vec<usize>> {
        let open: Vec<usize> = (0..self.seats.m).filter(|item| allowed(*item)).collect();
        let worth = |item: &usize| self.stop.check().map(|()| self.taken(state, *item).1);
        let worths: Vec<Amount> = open.iter().map(worth).collect::<Result<_>>()?;
        let most = worths.iter().max().copied();
        let tied = open.into_iter().zip(worths).filter(|(_, worth)| Some(*worth) == most);
        Ok(tied.map(|(item, _)| item).collect())
    }

    fn choose(&self, state: &mut Unrepresented, item: usize) -> f64 {
        let (taken, worth) = self.taken(state, item);
        for (voter, count) in &taken {
            state.left[*voter] -= count;
        }
        state.turn += 1;
        worth as f64
    }

    fn key(&self, state: &mut Unrepresented) -> Vec<u64> {
        state.left.clone()
    }
}

/// A flow from voters to members by longest augmenting paths; the last node is the pool of places above
/// the even share, of which every member may take one.
struct Assignment<'a> {
    seats: &'a Seats<'a>,
    members: &'a [usize],
    /// How many of every voter each member represents, `(n, k)`.
    flow: Vec<u64>,
    /// Voters of whom a member represents any.
    holds: Vec<Vec<usize>>,
    /// The voter through whom a member is best relieved in favour of another, and what that adds, `(k, k)`.
    relief: Vec<Option<(Amount, usize)>>,
    even: Vec<u64>,
    extra: Vec<bool>,
    extras_left: u64,
}

impl<'a> Assignment<'a> {
    fn new(seats: &'a Seats<'a>, members: &'a [usize]) -> Self {
        let k = members.len();
        let total = seats.weights.total;
        Self {
            seats,
            members,
            flow: vec![0; seats.weights.units.len() * k],
            holds: vec![Vec::new(); k],
            relief: vec![None; k * k],
            even: vec![total / k as u64; k],
            extra: vec![false; k],
            extras_left: total % k as u64,
        }
    }

    fn solve(mut self, stop: Stop<'_>) -> Result<Option<Amount>> {
        let mut value = 0;
        for voter in 0..self.seats.weights.units.len() {
            let mut left = self.seats.weights.units[voter];
            while left > 0 {
                stop.check()?;
                if stop.expired() {
                    return Ok(None);
                }
                let (worth, path) = self.longest(voter);
                let Some(path) = path else { break };
                let amount = self.push(voter, &path, left);
                value += worth * Amount::from(amount);
                left -= amount;
            }
        }
        Ok(Some(value))
    }

    fn worth(&self, voter: usize, member: usize) -> Amount {
        self.seats.worth(self.members[member], voter)
    }

    /// A member represents more of a voter.
    fn give(&mut self, member: usize, voter: usize, amount: u64) {
        let k = self.members.len();
        let held = &mut self.flow[voter * k + member];
        let is_new = *held == 0 && amount > 0;
        *held += amount;
        if is_new {
            self.holds[member].push(voter);
            self.relieve(member, voter);
        }
    }

    /// A member represents less of a voter.
    fn take(&mut self, member: usize, voter: usize, amount: u64) {
        let k = self.members.len();
        let held = &mut self.flow[voter * k + member];
        *held -= amount;
        if *held == 0 && amount > 0 {
            self.holds[member].retain(|other| *other != voter);
            self.relief[member * k..(member + 1) * k].fill(None);
            for at in 0..self.holds[member].len() {
                self.relieve(member, self.holds[member][at]);
            }
        }
    }

    /// Notes what is gained where a voter of a member goes to another; the first voter among equals.
    fn relieve(&mut self, from: usize, voter: usize) {
        let k = self.members.len();
        let now = self.worth(voter, from);
        for to in 0..k {
            let more = self.worth(voter, to) - now;
            let best = &mut self.relief[from * k + to];
            if best.is_none_or(|(most, who)| more > most || (more == most && voter < who)) {
                *best = Some((more, voter));
            }
        }
    }

    /// The path of largest worth from a voter to a free place: members, and `k` for the pool.
    fn longest(&self, voter: usize) -> (Amount, Option<Vec<usize>>) {
        let k = self.members.len();
        let mut best: Vec<Option<Amount>> = (0..k).map(|j| Some(self.worth(voter, j))).collect();
        best.push(None);
        let mut before = vec![usize::MAX; k + 1];
        let mut arcs = Vec::new();
        for from in 0..k {
            for to in (0..k).filter(|to| *to != from) {
                if let Some((worth, _)) = self.relief[from * k + to] {
                    arcs.push((from, to, worth));
                }
            }
            if self.extra[from] {
                arcs.push((k, from, 0));
            } else {
                arcs.push((from, k, 0));
            }
        }
        for _ in 0..=k {
            let mut changed = false;
            for (from, to, worth) in &arcs {
                let Some(through) = best[*from].map(|b| b + worth) else { continue };
                if best[*to].is_none_or(|b| through > b) {
                    (best[*to], before[*to]) = (Some(through), *from);
                    changed = true;
                }
            }
            if !changed {
                break;
            }
        }
        let open = |node: &usize| {
            if *node == k { self.extras_left > 0 } else { self.even[*node] > 0 }
        };
        let end = (0..=k).filter(open).max_by_key(|node| (best[*node], std::cmp::Reverse(*node)));
        let Some((end, worth)) = end.and_then(|end| best[end].map(|b| (end, b))) else {
            return (0, None);
        };
        let mut path = vec![end];
        let mut node = end;
        while before[node] != usize::MAX {
            node = before[node];
            path.push(node);
        }
        path.reverse();
        (worth, Some(path))
    }

    /// Sends as much as the path holds.
    fn push(&mut self, voter: usize, path: &[usize], left: u64) -> u64 {
        let k = self.members.len();
        let end = path[path.len() - 1];
        let mut amount = left.min(if end == k { 1 } else { self.even[end] });
        let mut relieved = Vec::new();
        for pair in path.windows(2) {
            let (from, to) = (pair[0], pair[1]);
            if from == k || to == k {
                amount = amount.min(1);
            } else if let Some((_, who)) = self.relief[from * k + to] {
                amount = amount.min(self.flow[who * k + from]);
                relieved.push((who, from, to));
            }
        }
        self.give(path[0], voter, amount);
        for (who, from, to) in relieved {
            self.take(from, who, amount);
            self.give(to, who, amount);
        }
        for pair in path.windows(2) {
            if pair[1] == k {
                self.extra[pair[0]] = true;
            } else if pair[0] == k {
                self.extra[pair[1]] = false;
            }
        }
        if end == k {
            self.extras_left -= 1;
        } else {
            self.even[end] -= amount;
        }
        amount
    }
}
