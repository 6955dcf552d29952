//! Stable voting: the winner of the strongest match that survives without its loser.

use std::collections::HashMap;

use super::bits::ones;
use super::options::Options;
use super::outcome::Outcome;
use super::rules::{Rule, Run};
use super::support::Support;
use crate::{Error, Result, Stop};

const LAWS: &[&str] = &["anonymous", "neutral", "homogeneous", "condorcet", "smith"];

/// The rules of this file.
pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "stable_voting",
        source: "Holliday and Pacuit 2023, Stable Voting, definition 2",
        laws: LAWS,
        options: &["cap"],
        run: Run::Support(|support, options, stop| run(support, options, stop, true)),
    },
    Rule {
        name: "simple_stable_voting",
        source: "Holliday and Pacuit 2023, Stable Voting, definition 1",
        laws: LAWS,
        options: &["cap"],
        run: Run::Support(|support, options, stop| run(support, options, stop, false)),
    },
];

fn run(support: &Support, options: &Options, stop: Stop<'_>, split: bool) -> Result<Outcome> {
    let m = support.items();
    if m > 64 {
        return Err(Error::range("profile", "at most 64 items for stable voting", m));
    }
    let margins = support.margins();
    let mut matches: Vec<(usize, usize)> =
        (0..m).flat_map(|a| (0..m).filter(move |b| *b != a).map(move |b| (a, b))).collect();
    matches.sort_by(|x, y| margins[y.0 * m + y.1].total_cmp(&margins[x.0 * m + x.1]));
    let cap = options.count("cap", 1 << 21, 1, 1 << 50)?;
    let mut search =
        Search { m, margins: &margins, matches, split, cap, stop, memo: HashMap::new() };
    let winners = search.winners(u64::MAX >> (64 - m))?;
    Ok(Outcome::chosen(&ones(winners).collect::<Vec<_>>(), m))
}

struct Search<'a> {
    m: usize,
    margins: &'a [f64],
    matches: Vec<(usize, usize)>,
    split: bool,
    cap: usize,
    stop: Stop<'a>,
    memo: HashMap<u64, u64>,
}

impl Search<'_> {
    /// Winners among the items of a set.
    fn winners(&mut self, live: u64) -> Result<u64> {
        if live.is_power_of_two() {
            return Ok(live);
        }
        if let Some(known) = self.memo.get(&live) {
            return Ok(*known);
        }
        if self.memo.len() >= self.cap {
            let what = format!("cap: stable voting needs more than {} sets of items", self.cap);
            return Err(Error::Infeasible { what });
        }
        self.stop.check()?;
        let able = if self.split { self.undefeated(live) } else { live };
        let (mut won, mut level) = (0, f64::NEG_INFINITY);
        if able.is_power_of_two() {
            won = able;
        }
        for i in 0..self.matches.len() {
            let (a, b) = self.matches[i];
            let margin = self.margins[a * self.m + b];
            if won != 0 && margin != level {
                break;
            }
            let plays = able >> a & 1 == 1 && live >> b & 1 == 1 && won >> a & 1 == 0;
            if plays && self.winners(live & !(1 << b))? >> a & 1 == 1 {
                won |= 1 << a;
                level = margin;
            }
        }
        self.memo.insert(live, won);
        Ok(won)
    }

    /// Winners of Split Cycle among the items of a set.
    fn undefeated(&self, live: u64) -> u64 {
        let items: Vec<usize> = ones(live).collect();
        let q = items.len();
        let margin = |i: usize, j: usize| self.margins[items[i] * self.m + items[j]];
        let mut paths: Vec<f64> = (0..q * q).map(|at| margin(at / q, at % q).max(0.0)).collect();
        for k in 0..q {
            for i in (0..q).filter(|i| *i != k) {
                let reach = paths[i * q + k];
                for j in 0..q {
                    paths[i * q + j] = paths[i * q + j].max(reach.min(paths[k * q + j]));
                }
            }
        }
        (0..q)
            .filter(|j| (0..q).all(|i| margin(i, *j) <= 0.0 || margin(i, *j) <= paths[j * q + i]))
            .fold(0, |set, j| set | 1 << items[j])
    }
}
