//! Elimination by Borda scores among the items that remain.

use super::condorcet::borda;
use super::options::Options;
use super::outcome::{Fact, Outcome, by_survival};
use super::rules::{Rule, Run};
use super::support::{Support, snap};
use crate::{Result, Stop};

const LAWS: &[&str] =
    &["anonymous", "neutral", "homogeneous", "condorcet", "condorcet_loser", "smith"];

/// The rules of this file.
pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "nanson",
        source: "Nanson 1882: drop all with a Borda score below the mean",
        laws: LAWS,
        options: &["variant"],
        run: Run::Support(|support, options, _| {
            let weak = options.choice("variant", &["strict", "weak"])? == "weak";
            let drops = |_: &[f64], score: f64| score < 0.0 || (weak && score == 0.0);
            Ok(eliminate(support, drops))
        }),
    },
    Rule {
        name: "baldwin",
        source: "Baldwin 1926: drop the lowest Borda score",
        laws: LAWS,
        options: &["tie", "order", "seed"],
        run: Run::Support(baldwin),
    },
];

fn lowest(scores: &[f64]) -> f64 {
    scores.iter().copied().fold(f64::INFINITY, f64::min)
}

fn baldwin(support: &Support, options: &Options, _: Stop<'_>) -> Result<Outcome> {
    if options.choice("tie", &["all", "order"])? == "all" {
        let drops = |live: &[f64], score: f64| score == lowest(live);
        return Ok(eliminate(support, drops));
    }
    let m = support.items();
    let mut scores = borda(support);
    let mut live = options.order(m)?;
    let mut rounds = Vec::new();
    while live.len() > 1 {
        let levels = levels(support, &live, &scores);
        let low = lowest(&levels);
        // The last in the order that breaks ties goes first.
        let at = levels.iter().rposition(|score| *score == low).unwrap_or(0);
        let gone = live.remove(at);
        leave(support, &live, &mut scores, &[gone]);
        rounds.push(vec![gone]);
    }
    let outcome = Outcome::bucketed(by_survival(&rounds, m));
    Ok(outcome.with("rounds", Fact::Lists(rounds)))
}

/// Scores of the live items, nearly equal ones made equal where weights are not exact.
fn levels(support: &Support, live: &[usize], scores: &[f64]) -> Vec<f64> {
    let mut levels: Vec<f64> = live.iter().map(|a| scores[*a]).collect();
    if !support.is_exact() {
        snap(&mut levels, 1e-12 * support.total() * live.len() as f64);
    }
    levels
}

fn leave(support: &Support, live: &[usize], scores: &mut [f64], gone: &[usize]) {
    for a in live {
        let lost: f64 = gone.iter().map(|b| support.get(*a, *b) - support.get(*b, *a)).sum();
        scores[*a] -= lost;
    }
}

/// Drops, round by round, the items whose symmetric score is to go, unless that is all of them.
fn eliminate(support: &Support, drops: impl Fn(&[f64], f64) -> bool) -> Outcome {
    let m = support.items();
    let mut scores = borda(support);
    let mut live: Vec<usize> = (0..m).collect();
    let mut rounds = Vec::new();
    loop {
        let levels = levels(support, &live, &scores);
        let goes: Vec<bool> = levels.iter().map(|level| drops(&levels, *level)).collect();
        let pick = |going: bool| -> Vec<usize> {
            live.iter().zip(&goes).filter(|(_, goes)| **goes == going).map(|(a, _)| *a).collect()
        };
        let (gone, kept) = (pick(true), pick(false));
        if gone.is_empty() || kept.is_empty() {
            break;
        }
        live = kept;
        leave(support, &live, &mut scores, &gone);
        rounds.push(gone);
    }
    let outcome = Outcome::bucketed(by_survival(&rounds, m));
    outcome.with("rounds", Fact::Lists(rounds))
}
