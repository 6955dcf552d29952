//! Meek's and Warren's counts: elected items keep just what they need of every ballot.

use super::lists::Lists;
use super::options::Options;
use super::outcome::{Fact, Outcome};
use super::profile::Profile;
use super::proportional::{seats, strict_only};
use super::rules::{Rule, Run};
use crate::{Result, Stop};

/// Votes this close to the quota, relative to it, reach it.
const CLOSE: f64 = 1e-9;
/// Most sweeps of one stage; a dozen to a hundred are usual.
const SWEEPS: usize = 10_000;

pub(crate) const MEEK: Rule = Rule {
    name: "meek",
    source: "Meek 1969; Hill, Wichmann and Woodall 1987",
    laws: &["anonymous", "homogeneous"],
    options: &["seats", "order", "seed"],
    run: Run::Ballots(|profile, options, stop| run(profile, options, stop, Kind::Meek)),
};

pub(crate) const WARREN: Rule = Rule {
    name: "warren",
    source: "Warren 1994; Hill and Warren 2005",
    laws: &["anonymous", "homogeneous"],
    options: &["seats", "order", "seed"],
    run: Run::Ballots(|profile, options, stop| run(profile, options, stop, Kind::Warren)),
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// An item keeps a share of what reaches it.
    Meek,
    /// An item takes the same price from each ballot that can still pay it.
    Warren,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Hopeful,
    Elected,
    Excluded,
}

/// Votes of items, and the weight that runs off the ends of ballots.
fn distribute(lists: &Lists, profile: &Profile, keep: &[f64], kind: Kind) -> (Vec<f64>, f64) {
    let mut votes = vec![0.0; keep.len()];
    let mut exhausted = 0.0;
    for v in 0..lists.len() {
        let (weight, mut left) = (profile.weights().get(v), 1.0);
        for item in lists.ballot(v) {
            let factor = keep[*item as usize];
            let kept = if kind == Kind::Meek { left * factor } else { factor.min(left) };
            votes[*item as usize] += weight * kept;
            left -= kept;
            if left <= 0.0 {
                break;
            }
        }
        exhausted += weight * left.max(0.0);
    }
    (votes, exhausted)
}

fn run(profile: &Profile, options: &Options, stop: Stop<'_>, kind: Kind) -> Result<Outcome> {
    let m = profile.items();
    let seats = seats(options, m)?;
    let name = if kind == Kind::Meek { "meek" } else { "warren" };
    let lists = strict_only(profile, name)?;
    let order = options.order(m)?;
    let mut count = Stage {
        keep: vec![1.0; m],
        state: vec![State::Hopeful; m],
        votes: vec![0.0; m],
        quota: 0.0,
    };
    let (mut elected, mut dropped) = (Vec::new(), Vec::new());
    while elected.len() < seats {
        let hopeful: Vec<usize> =
            order.iter().copied().filter(|i| count.state[*i] == State::Hopeful).collect();
        if hopeful.len() + elected.len() <= seats {
            let mut rest = hopeful;
            rest.sort_by(|a, b| count.votes[*b].total_cmp(&count.votes[*a]));
            elected.extend(rest);
            break;
        }
        count.settle(&lists, profile, seats, kind, stop)?;
        let mut over: Vec<usize> = hopeful.iter().copied().filter(|i| count.reaches(*i)).collect();
        over.sort_by(|a, b| count.votes[*b].total_cmp(&count.votes[*a]));
        over.truncate(seats - elected.len());
        if over.is_empty() {
            // Of equals the last in the order goes.
            let lowest = hopeful.iter().rev().copied().min_by(|a, b| {
                let close = CLOSE * count.quota;
                let (a, b) = (count.votes[*a], count.votes[*b]);
                if (a - b).abs() <= close { std::cmp::Ordering::Equal } else { a.total_cmp(&b) }
            });
            if let Some(item) = lowest {
                count.state[item] = State::Excluded;
                count.keep[item] = 0.0;
                dropped.push(item);
            }
        }
        for item in over {
            count.state[item] = State::Elected;
            elected.push(item);
        }
    }
    let mut rest: Vec<usize> =
        (0..m).filter(|i| !elected.contains(i) && !dropped.contains(i)).collect();
    rest.sort_by(|a, b| count.votes[*b].total_cmp(&count.votes[*a]));
    let whole: Vec<usize> =
        elected.iter().copied().chain(rest).chain(dropped.iter().rev().copied()).collect();
    let mut outcome = Outcome::ordered(&whole);
    outcome.winners.clone_from(&elected);
    outcome.winners.sort_unstable();
    Ok(outcome
        .with("elected", Fact::Items(elected))
        .with("dropped", Fact::Items(dropped))
        .with("quota", Fact::Number(count.quota))
        .with("votes", Fact::Numbers(count.votes))
        .with("keep", Fact::Numbers(count.keep)))
}

struct Stage {
    keep: Vec<f64>,
    state: Vec<State>,
    votes: Vec<f64>,
    quota: f64,
}

impl Stage {
    fn reaches(&self, item: usize) -> bool {
        self.votes[item] >= self.quota * (1.0 - CLOSE)
    }

    /// Lowers what elected items keep until each has the quota and no more.
    fn settle(
        &mut self,
        lists: &Lists,
        profile: &Profile,
        seats: usize,
        kind: Kind,
        stop: Stop<'_>,
    ) -> Result<()> {
        for _ in 0..SWEEPS {
            stop.check()?;
            let exhausted;
            (self.votes, exhausted) = distribute(lists, profile, &self.keep, kind);
            self.quota = (profile.weights().total() - exhausted) / (seats + 1) as f64;
            let elected = |i: &usize| self.state[*i] == State::Elected;
            let off = |i: usize| (self.votes[i] - self.quota).abs() > CLOSE * self.quota;
            let mut moved = false;
            for item in (0..self.keep.len()).filter(elected).filter(|i| off(*i)).collect::<Vec<_>>()
            {
                self.keep[item] = (self.keep[item] * self.quota / self.votes[item]).min(1.0);
                moved = true;
            }
            if !moved {
                break;
            }
        }
        Ok(())
    }
}
