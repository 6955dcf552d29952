//! Rules that look at head-to-head majorities item by item.

use super::options::Options;
use super::outcome::Outcome;
use super::rules::{Rule, Run};
use super::support::Support;
use crate::{Result, Stop};

/// The rules of this file.
pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "condorcet_winner",
        source: "Condorcet 1785: the item that beats all others; none when there is none",
        laws: &["anonymous", "neutral", "homogeneous", "condorcet"],
        options: &[],
        run: Run::Support(|s, _, _| Ok(beating(s, |margin| margin > 0.0))),
    },
    Rule {
        name: "weak_condorcet_winner",
        source: "The items that lose to no other",
        laws: &["anonymous", "neutral", "homogeneous", "condorcet"],
        options: &[],
        run: Run::Support(|s, _, _| Ok(beating(s, |margin| margin >= 0.0))),
    },
    Rule {
        name: "condorcet_loser",
        source: "The item that loses to all others; none when there is none",
        laws: &["anonymous", "neutral", "homogeneous"],
        options: &[],
        run: Run::Support(|s, _, _| {
            let mut outcome = beating(s, |margin| margin < 0.0);
            if !outcome.winners.is_empty() && outcome.buckets.len() > 1 {
                outcome.buckets.iter_mut().for_each(|bucket| *bucket = 1 - *bucket);
            }
            Ok(outcome)
        }),
    },
    Rule {
        name: "copeland",
        source: "Copeland 1951; Llull 1299 when a tie counts like a win",
        laws: &[
            "anonymous",
            "neutral",
            "homogeneous",
            "condorcet",
            "smith",
            "monotone",
            "reversal",
        ],
        options: &["t"],
        run: Run::Support(copeland),
    },
    Rule {
        name: "minimax",
        source: "Simpson 1969; Kramer 1977",
        laws: &["anonymous", "neutral", "homogeneous", "condorcet", "monotone"],
        options: &["strength"],
        run: Run::Support(minimax),
    },
    Rule {
        name: "black",
        source: "Black 1958: the Condorcet winner, else the Borda winners",
        laws: &["anonymous", "neutral", "homogeneous", "condorcet", "condorcet_loser"],
        options: &[],
        run: Run::Support(black),
    },
];

/// The items whose margins over all others pass a test.
fn beating(support: &Support, passes: impl Fn(f64) -> bool) -> Outcome {
    let (m, margins) = (support.items(), support.margins());
    let winners: Vec<usize> =
        (0..m).filter(|a| (0..m).filter(|b| b != a).all(|b| passes(margins[a * m + b]))).collect();
    Outcome::chosen(&winners, m)
}

/// The item that beats all others: the survivor of a knockout, checked.
pub(crate) fn winner(margins: &[f64], items: &[usize], m: usize) -> Option<usize> {
    let champion =
        items.iter().copied().reduce(|a, b| if margins[a * m + b] > 0.0 { a } else { b })?;
    items.iter().all(|b| *b == champion || margins[champion * m + b] > 0.0).then_some(champion)
}

fn copeland(support: &Support, options: &Options, _: Stop<'_>) -> Result<Outcome> {
    let (m, margins) = (support.items(), support.margins());
    let t = options.number("t", -1.0, 0.0, 1.0)?;
    let score = |a: usize| {
        let others = || (0..m).filter(|b| *b != a).map(|b| margins[a * m + b]);
        let wins = others().filter(|margin| *margin > 0.0).count() as f64;
        let ties = others().filter(|margin| *margin == 0.0).count() as f64;
        // Wins minus losses unless a value for ties is given.
        if t < 0.0 { 2.0 * wins + ties - (m - 1) as f64 } else { wins + t * ties }
    };
    Ok(Outcome::scored((0..m).map(score).collect(), t < 0.0))
}

fn minimax(support: &Support, options: &Options, _: Stop<'_>) -> Result<Outcome> {
    let strength = options.choice("strength", &["margins", "winning", "opposition"])?;
    let (m, margins) = (support.items(), support.margins());
    let loss = |a: usize, b: usize| match strength {
        "margins" => margins[b * m + a],
        "winning" if margins[b * m + a] <= 0.0 => 0.0,
        _ => support.get(b, a),
    };
    let worst = |a: usize| (0..m).filter(|b| *b != a).map(|b| loss(a, b)).reduce(f64::max);
    let scores = (0..m).map(|a| 0.0 - worst(a).unwrap_or(0.0)).collect();
    Ok(Outcome::scored(scores, support.is_exact()))
}

fn black(support: &Support, _: &Options, _: Stop<'_>) -> Result<Outcome> {
    let (m, margins) = (support.items(), support.margins());
    let scores = borda(support);
    let everyone: Vec<usize> = (0..m).collect();
    let mut outcome = Outcome::scored(scores, support.is_exact());
    if let Some(champion) = winner(&margins, &everyone, m) {
        let own = outcome.buckets[champion];
        let alone = outcome.buckets.iter().filter(|b| **b == own).count() == 1;
        for bucket in &mut outcome.buckets {
            *bucket += usize::from(*bucket < own || !alone);
        }
        outcome.buckets[champion] = 0;
        outcome.winners = vec![champion];
    }
    Ok(outcome)
}

/// Symmetric Borda scores: the sums of margins.
pub(crate) fn borda(support: &Support) -> Vec<f64> {
    let m = support.items();
    let row = |a: usize| support.values()[a * m..(a + 1) * m].iter().sum::<f64>();
    let mut scores: Vec<f64> = (0..m).map(row).collect();
    for below in support.values().chunks_exact(m) {
        scores.iter_mut().zip(below).for_each(|(score, lost)| *score -= lost);
    }
    scores
}
