//! Properties of ballots and rules on random profiles.

#![allow(clippy::float_cmp, reason = "sums of integers are exact, and a tie has to be a tie")]

use gustibus_core::Stop;
use gustibus_core::social::{
    Compact, Lists, Metric, Options, Outcome, Profile, Subject, Support, Unranked, Value, decide,
    distances, rules,
};
use proptest::prelude::*;

/// Ballots as buckets of items, with integer weights.
#[derive(Debug, Clone)]
struct Votes {
    items: usize,
    ballots: Vec<Vec<(u32, bool)>>,
    weights: Vec<f64>,
}

fn votes(strict: bool, partial: bool) -> impl Strategy<Value = Votes> {
    (1_usize..7, 1_usize..9).prop_flat_map(move |(items, n)| {
        let order =
            Just((0..u32::try_from(items).expect("few")).collect::<Vec<_>>()).prop_shuffle();
        let length = if partial { 0..=items } else { items..=items };
        let ballot = (order, prop::collection::vec(any::<bool>(), items), length).prop_map(
            move |(order, ends, length)| {
                order.into_iter().zip(ends).map(|(i, e)| (i, e || strict)).take(length).collect()
            },
        );
        let weights = prop::collection::vec((1_u8..5).prop_map(f64::from), n);
        (prop::collection::vec(ballot, n), weights).prop_map(move |(ballots, weights)| Votes {
            items,
            ballots,
            weights,
        })
    })
}

fn build(votes: &Votes, compact: Compact) -> Profile {
    let mut starts = vec![0];
    let (mut ids, mut ends) = (Vec::new(), Vec::new());
    for ballot in &votes.ballots {
        ids.extend(ballot.iter().map(|x| x.0));
        ends.extend(ballot.iter().map(|x| x.1));
        starts.push(ids.len());
    }
    let lists = Lists::new(starts, &ids, Some(ends), votes.items).expect("valid");
    let weights = Some(votes.weights.clone());
    Profile::lists(lists, votes.items, weights, Unranked::Last, compact).expect("valid")
}

fn options(name: &str, items: usize) -> Vec<(String, Value)> {
    let vector = (0..items).rev().map(|r| r as f64).collect();
    match name {
        "positional" => vec![("vector".to_owned(), Value::Numbers(vector))],
        _ => Vec::new(),
    }
}

fn run(name: &str, profile: &Profile, threads: usize) -> gustibus_core::Result<Outcome> {
    let options = Options::new(options(name, profile.items()), Some(threads));
    decide(name, Subject::Profile(profile), &options, Stop::never())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_rule_gives_winners_and_a_weak_order(votes in votes(false, true)) {
        let profile = build(&votes, Compact::Never);
        for rule in rules() {
            let Ok(outcome) = run(rule.name, &profile, 1) else {
                // the first two refuse ties, the last ballots that leave items out
                prop_assert!(matches!(rule.name, "meek" | "warren" | "dodgson"), "{}", rule.name);
                continue;
            };
            prop_assert_eq!(outcome.buckets.len(), votes.items);
            prop_assert!(outcome.winners.windows(2).all(|w| w[0] < w[1]));
            let most = *outcome.buckets.iter().max().expect("an item");
            prop_assert!((0..=most).all(|b| outcome.buckets.contains(&b)), "{}", rule.name);
            if !rule.name.contains("condorcet_") {
                prop_assert!(!outcome.winners.is_empty(), "{}", rule.name);
            }
        }
    }

    #[test]
    fn merging_ballots_and_threads_change_nothing(votes in votes(false, true)) {
        let (plain, merged) = (build(&votes, Compact::Never), build(&votes, Compact::Always));
        prop_assert!(merged.len() <= plain.len());
        prop_assert_eq!(merged.weights().total(), plain.weights().total());
        for rule in rules() {
            let expected = run(rule.name, &plain, 1);
            prop_assert_eq!(&expected, &run(rule.name, &plain, 3), "{}", rule.name);
            if rule.laws.contains(&"anonymous") && expected.is_ok() && rule.name != "stv" {
                let (merged, plain) = (run(rule.name, &merged, 1), expected);
                let buckets = |outcome: &gustibus_core::Result<Outcome>| {
                    outcome.as_ref().map(|o| (o.winners.clone(), o.buckets.clone())).ok()
                };
                prop_assert_eq!(buckets(&merged), buckets(&plain), "{}", rule.name);
            }
        }
    }

    #[test]
    fn support_splits_the_weight_of_every_pair(votes in votes(true, false)) {
        let profile = build(&votes, Compact::Never);
        let support = profile.support(None, Stop::never()).expect("runs");
        let m = votes.items;
        for (a, b) in (0..m).flat_map(|a| (0..a).map(move |b| (a, b))) {
            prop_assert_eq!(support.get(a, b) + support.get(b, a), support.total());
        }
        let borda = run("borda", &profile, 1).expect("runs").scores.expect("scores");
        for (a, score) in borda.iter().enumerate() {
            prop_assert_eq!((0..m).map(|b| support.get(a, b)).sum::<f64>(), *score);
        }
        let counts = profile.histogram(None, Stop::never()).expect("full");
        let first: Vec<f64> = counts.chunks(m).map(|row| row[0]).collect();
        prop_assert_eq!(run("plurality", &profile, 1).expect("runs").scores, Some(first));
    }

    #[test]
    fn the_cost_of_a_consensus_is_the_sum_of_its_distances(votes in votes(true, false)) {
        let profile = build(&votes, Compact::Always);
        let outcome = run("kemeny", &profile, 1).expect("runs");
        let away = distances(&profile, &outcome.buckets, Metric::Kendall { penalty: 0.5 }, None,
            Stop::never()).expect("runs");
        let total: f64 = away.iter().enumerate().map(|(v, d)| profile.weights().get(v) * d).sum();
        let value = outcome.facts.iter().find(|fact| fact.0 == "value").map(|fact| fact.1.clone());
        prop_assert_eq!(value, Some(gustibus_core::social::Fact::Number(total)));
    }

    #[test]
    fn a_matrix_decides_like_the_ballots_behind_it(votes in votes(false, true)) {
        let profile = build(&votes, Compact::Never);
        let counted = profile.support(None, Stop::never()).expect("runs");
        let given = Support::new(counted.values().to_vec(), votes.items).expect("valid");
        for name in ["schulze", "ranked_pairs", "kemeny", "nanson", "smith_set", "banks"] {
            let options = Options::default();
            let from_matrix = decide(name, Subject::Support(&given), &options, Stop::never());
            prop_assert_eq!(from_matrix.expect("runs"), run(name, &profile, 1).expect("runs"));
        }
    }
}
