//! Rules about the worst-off voter: every voter demands some members of a set, and the level of demands is
//! raised as far as a committee can meet them.

use super::bounds::{Bounds, Room};
use super::outcome::{Committee, Options, check_depth};
use super::rules::{Params, Profile, Run};
use super::worths::by_approvals::sets;
use crate::{Error, Result};

pub(super) const COVER: Run = Run::Own { elect: cover, score: Some(cover_score) };
pub(super) const MINIMAX: Run = Run::Own { elect: minimax, score: Some(minimax_score) };

/// What voters demand at a level: at least `need` members of `from`.
struct Demand {
    need: usize,
    from: Vec<usize>,
}

/// A rule as demands that grow with a level from 0.
struct Levels<'a> {
    /// Demands at a level.
    at: &'a dyn Fn(usize) -> Vec<Demand>,
    /// The level that a committee reaches.
    reached: &'a dyn Fn(&[usize]) -> usize,
    /// The highest level.
    top: usize,
    /// What a level is worth.
    value: &'a dyn Fn(usize) -> f64,
}

/// The best worst voter's best member, in Borda points or utility.
///
/// Source: Betzler, Slinko and Uhlmann 2013 (minimax Chamberlin-Courant).
fn cover(
    profile: &Profile<'_>,
    bounds: &Bounds,
    _params: &Params<'_>,
    options: &Options<'_>,
) -> Result<Committee> {
    let ranks = Ranks::new(profile)?;
    let at = |level: usize| {
        let from = |row: &Vec<usize>| (0..row.len()).filter(|c| row[*c] >= level).collect();
        ranks
            .rows
            .iter()
            .map(|row| Demand { need: usize::from(level > 0), from: from(row) })
            .collect()
    };
    let levels = Levels {
        at: &at,
        reached: &|members| ranks.reached(members),
        top: ranks.values.len().saturating_sub(1),
        value: &|level| ranks.values.get(level).copied().unwrap_or(0.0),
    };
    raise(&levels, bounds, options)
}

fn cover_score(profile: &Profile<'_>, members: &[usize]) -> Result<f64> {
    let ranks = Ranks::new(profile)?;
    Ok(ranks.values.get(ranks.reached(members)).copied().unwrap_or(0.0))
}

/// Utilities as ranks among all distinct ones; voters without weight are left out.
struct Ranks {
    rows: Vec<Vec<usize>>,
    values: Vec<f64>,
}

impl Ranks {
    fn new(profile: &Profile<'_>) -> Result<Self> {
        match profile {
            Profile::Places(places) => {
                let m = places.m;
                let voters = (0..places.voters()).filter(|voter| places.weights.units[*voter] > 0);
                let row = |voter| (0..m).map(|item| m - 1 - places.place(item, voter)).collect();
                Ok(Self {
                    rows: voters.map(row).collect(),
                    values: (0..m).map(|x| x as f64).collect(),
                })
            }
            Profile::Utilities(utilities) => {
                let n = utilities.voters();
                let mut values = utilities.plain.clone();
                values.push(0.0);
                values.sort_by(f64::total_cmp);
                values.dedup();
                let rank = |u: f64| values.partition_point(|x| *x < u);
                let voters = (0..n).filter(|voter| utilities.weights[*voter] > 0.0);
                let row = |voter: usize| {
                    (0..utilities.m).map(|item| rank(utilities.plain[item * n + voter])).collect()
                };
                Ok(Self { rows: voters.map(row).collect(), values: values.clone() })
            }
            Profile::Approvals(_) => {
                Err(Error::range("profile", "rankings or utilities", "approvals"))
            }
        }
    }

    fn reached(&self, members: &[usize]) -> usize {
        let best = |row: &Vec<usize>| members.iter().map(|c| row[*c]).max().unwrap_or(0);
        self.rows.iter().map(best).min().unwrap_or(0)
    }
}

/// The smallest largest Hamming distance between the committee and an approval set.
///
/// Source: Brams, Kilgour and Sanver 2007.
fn minimax(
    profile: &Profile<'_>,
    bounds: &Bounds,
    _params: &Params<'_>,
    options: &Options<'_>,
) -> Result<Committee> {
    let sets = sets(profile)?;
    let (m, k) = (bounds.items(), bounds.size());
    let voters = || (0..sets.voters()).filter(|voter| sets.weights.units[*voter] > 0);
    let largest = voters().map(|voter| sets.by_voter.get(voter).len() + k).max().unwrap_or(0);
    // Level L allows the distance largest - L.
    let at = |level: usize| {
        let demand = |voter: usize| {
            let set = sets.by_voter.get(voter);
            let need = (set.len() + k + level).saturating_sub(largest).div_ceil(2);
            Demand { need, from: set.iter().map(|item| *item as usize).collect() }
        };
        voters().map(demand).collect()
    };
    let reached = |members: &[usize]| {
        let mut is_in = vec![false; m];
        for item in members {
            is_in[*item] = true;
        }
        let distance = |voter: usize| {
            let set = sets.by_voter.get(voter);
            let both = set.iter().filter(|item| is_in[**item as usize]).count();
            set.len() + members.len() - 2 * both
        };
        largest - voters().map(distance).max().unwrap_or(largest)
    };
    let levels = Levels {
        at: &at,
        reached: &reached,
        top: largest,
        value: &|level| -((largest - level) as f64),
    };
    let mut out = raise(&levels, bounds, options)?;
    // Distances are reported as such, the smaller the better.
    out.value = out.value.map(|v| -v + 0.0);
    out.upper_bound = out.upper_bound.map(|v| -v + 0.0);
    Ok(out)
}

fn minimax_score(profile: &Profile<'_>, members: &[usize]) -> Result<f64> {
    let sets = sets(profile)?;
    let voters = (0..sets.voters()).filter(|voter| sets.weights.units[*voter] > 0);
    let distance = |voter: usize| {
        let both = members.iter().filter(|item| sets.approves(voter, **item)).count();
        sets.by_voter.get(voter).len() + members.len() - 2 * both
    };
    Ok(voters.map(distance).max().unwrap_or(0) as f64)
}

/// Binary search for the highest level that a committee reaches.
fn raise(levels: &Levels<'_>, bounds: &Bounds, options: &Options<'_>) -> Result<Committee> {
    let options = &Options { stop: options.stop.patient(), ..*options };
    check_depth(bounds.size())?;
    let mut members = Vec::new();
    let mut room = bounds.open();
    fill(bounds, &mut room, &mut members);
    let mut low = (levels.reached)(&members);
    let mut high = levels.top;
    let mut expired = false;
    while low < high && !expired {
        let middle = low + (high - low).div_ceil(2);
        let demands = (levels.at)(middle);
        let mut search = Search { demands: &demands, bounds, options, expired: false };
        let (mut chosen, mut banned) = (Vec::new(), vec![false; bounds.items()]);
        let mut left: Vec<usize> = demands.iter().map(|d| d.need).collect();
        if search.meet(&mut left, &bounds.open(), &mut chosen, &mut banned)? {
            low = (levels.reached)(&chosen).max(middle);
            members = chosen;
        } else if search.expired {
            expired = true;
        } else {
            high = middle - 1;
        }
    }
    let mut out = Committee {
        members,
        value: Some((levels.value)(low)),
        upper_bound: Some((levels.value)(high.max(low))),
        optimal: !expired,
        steps: Vec::new(),
        tied: Vec::new(),
        complete: !expired,
        method: "exact",
    };
    if !options.resolute && !expired {
        let all = All { reached: levels.reached, low, bounds, options };
        let mut chosen = Vec::new();
        out.complete = all.list(0, &bounds.open(), &mut chosen, &mut out.tied)?;
    }
    Ok(out)
}

/// Completes a committee with the lowest items that fit.
fn fill(bounds: &Bounds, room: &mut Room, members: &mut Vec<usize>) {
    for item in 0..bounds.items() {
        if room.size < bounds.size() && bounds.fits(room, item) {
            bounds.take(room, item);
            members.push(item);
        }
    }
}

struct Search<'a> {
    demands: &'a [Demand],
    bounds: &'a Bounds,
    options: &'a Options<'a>,
    expired: bool,
}

impl Search<'_> {
    /// Whether some completion of `chosen` meets all demands; `left` is what each voter still lacks.
    fn meet(
        &mut self,
        left: &mut [usize],
        room: &Room,
        chosen: &mut Vec<usize>,
        banned: &mut [bool],
    ) -> Result<bool> {
        self.options.stop.check()?;
        if self.options.stop.expired() {
            self.expired = true;
        }
        if self.expired {
            return Ok(false);
        }
        let seats = self.bounds.size() - room.size;
        let is_open = |item: &usize| !banned[*item] && self.bounds.fits(room, *item);
        let mut tightest: Option<(usize, Vec<usize>)> = None;
        for (demand, lack) in self.demands.iter().zip(left.iter()).filter(|(_, lack)| **lack > 0) {
            let open: Vec<usize> = demand.from.iter().copied().filter(is_open).collect();
            if *lack > seats || open.len() < *lack {
                return Ok(false);
            }
            let slack = open.len() - lack;
            if tightest.as_ref().is_none_or(|(best, _)| slack < *best) {
                tightest = Some((slack, open));
            }
        }
        let Some((_, open)) = tightest else {
            let mut room = room.clone();
            fill(self.bounds, &mut room, chosen);
            return Ok(true);
        };
        let mut tried = Vec::new();
        for item in open {
            let mut next = room.clone();
            self.bounds.take(&mut next, item);
            chosen.push(item);
            let met: Vec<usize> = (0..left.len())
                .filter(|v| left[*v] > 0 && self.demands[*v].from.binary_search(&item).is_ok())
                .collect();
            for v in &met {
                left[*v] -= 1;
            }
            if self.meet(left, &next, chosen, banned)? {
                return Ok(true);
            }
            if self.expired {
                return Ok(false); // what is left undone does not matter any more
            }
            for v in &met {
                left[*v] += 1;
            }
            chosen.pop();
            banned[item] = true;
            tried.push(item);
        }
        for item in &tried {
            banned[*item] = false;
        }
        Ok(false)
    }
}

/// Lists every committee that reaches a level.
struct All<'a> {
    reached: &'a dyn Fn(&[usize]) -> usize,
    low: usize,
    bounds: &'a Bounds,
    options: &'a Options<'a>,
}

impl All<'_> {
    fn list(
        &self,
        from: usize,
        room: &Room,
        chosen: &mut Vec<usize>,
        out: &mut Vec<Vec<usize>>,
    ) -> Result<bool> {
        self.options.stop.check()?;
        if self.options.stop.expired() {
            return Ok(false);
        }
        if room.size == self.bounds.size() {
            if (self.reached)(chosen) >= self.low {
                if out.len() >= self.options.cap {
                    return Ok(false);
                }
                out.push(chosen.clone());
            }
            return Ok(true);
        }
        for item in from..self.bounds.items() {
            if self.bounds.fits(room, item) {
                let mut next = room.clone();
                self.bounds.take(&mut next, item);
                chosen.push(item);
                let complete = self.list(item + 1, &next, chosen, out)?;
                chosen.pop();
                if !complete {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}
