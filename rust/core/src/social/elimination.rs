//! Rules that drop items round by round, or widen the circle of places that count.

use super::bits::ones;
use super::condorcet;
use super::covering::smith;
use super::options::Options;
use super::outcome::{Fact, Outcome, buckets_of, by_survival};
use super::profile::{Ballots, Profile};
use super::rules::{Rule, Run};
use super::support::snap;
use super::tally::{Tally, first_places, last_places};
use crate::{Error, Result, Stop};

const ROUNDS: &[&str] = &["tie", "order", "seed", "exit_on_majority", "cap"];

/// The rules of this file.
pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "instant_runoff",
        source: "Ware 1871: drop the item with the fewest first places; also called Hare",
        laws: &["anonymous", "neutral", "homogeneous", "condorcet_loser", "clones"],
        options: ROUNDS,
        run: Run::Ballots(|profile, options, stop| {
            instant_runoff(profile, vec![true; profile.items()], options, stop)
        }),
    },
    Rule {
        name: "smith_irv",
        source: "Green-Armytage 2011: instant runoff within the Smith set",
        laws: &["anonymous", "neutral", "homogeneous", "condorcet", "smith"],
        options: ROUNDS,
        run: Run::Ballots(|profile, options, stop| {
            let support = profile.support(options.threads, stop)?;
            let layers = smith(&support.margins(), profile.items());
            let live = layers.iter().map(|layer| *layer == 0).collect();
            instant_runoff(profile, live, options, stop)
        }),
    },
    Rule {
        name: "benham",
        source: "Green-Armytage 2011: instant runoff until one remaining item beats all others",
        laws: &["anonymous", "neutral", "homogeneous", "condorcet", "smith"],
        options: &[],
        run: Run::Ballots(benham),
    },
    Rule {
        name: "bottom_two_runoff",
        source: "Of the two with the fewest first places, drop the one that loses to the other",
        laws: &["anonymous", "homogeneous", "condorcet", "smith"],
        options: &["order", "seed"],
        run: Run::Ballots(bottom_two),
    },
    Rule {
        name: "coombs",
        source: "Coombs 1964: drop the item with the most last places",
        laws: &["anonymous", "neutral", "homogeneous"],
        options: &["exit_on_majority"],
        run: Run::Ballots(coombs),
    },
    Rule {
        name: "runoff",
        source: "The two with the most first places meet; every pair that ties allow",
        laws: &["anonymous", "neutral", "homogeneous"],
        options: &[],
        run: Run::Ballots(|profile, options, stop| two_rounds(profile, options, stop, false)),
    },
    Rule {
        name: "supplementary_vote",
        source: "As runoff, but a ballot's third and later items never count",
        laws: &["anonymous", "neutral", "homogeneous"],
        options: &[],
        run: Run::Ballots(|profile, options, stop| two_rounds(profile, options, stop, true)),
    },
    Rule {
        name: "bucklin",
        source: "Hoag and Hallett 1926: the first k places count, with the least k of a majority",
        laws: &["anonymous", "neutral", "homogeneous", "monotone"],
        options: &[],
        run: Run::Ballots(|profile, _, stop| bucklin(profile, stop, false)),
    },
    Rule {
        name: "simplified_bucklin",
        source: "As Bucklin, but all that reach a majority win",
        laws: &["anonymous", "neutral", "homogeneous", "monotone"],
        options: &[],
        run: Run::Ballots(|profile, _, stop| bucklin(profile, stop, true)),
    },
];

/// Votes with nearly equal ones made equal where they are not exact.
fn levels(profile: &Profile, votes: &[f64]) -> Vec<f64> {
    let mut out = votes.to_vec();
    if !profile.weights().is_exact() || profile.rows().is_none() {
        snap(&mut out, 1e-12 * profile.weights().total());
    }
    out
}

/// The live items at the least or the most votes.
fn extreme(live: &[usize], votes: &[f64], least: bool) -> Vec<usize> {
    let pick = if least { f64::min } else { f64::max };
    let level = live.iter().map(|item| votes[*item]).reduce(pick);
    live.iter().copied().filter(|item| Some(votes[*item]) == level).collect()
}

/// The item with more than half of the votes that still count.
fn majority(live: &[usize], votes: &[f64]) -> Option<usize> {
    let total: f64 = live.iter().map(|item| votes[*item]).sum();
    live.iter().copied().find(|item| votes[*item] * 2.0 > total * (1.0 + 1e-12))
}

/// A weak order: the last items standing by their votes, then those dropped, last first.
fn finish(live: &[usize], votes: &[f64], rounds: Vec<Vec<usize>>, m: usize) -> Outcome {
    let standing: Vec<f64> = live.iter().map(|item| votes[*item]).collect();
    let places = buckets_of(&standing);
    let shift = places.iter().max().copied().unwrap_or(0);
    let mut buckets = by_survival(&rounds, m);
    for bucket in &mut buckets {
        *bucket += shift;
    }
    live.iter().zip(places).for_each(|(item, place)| buckets[*item] = place);
    Outcome::bucketed(buckets).with("rounds", Fact::Lists(rounds))
}

fn instant_runoff(
    profile: &Profile,
    live: Vec<bool>,
    options: &Options,
    stop: Stop<'_>,
) -> Result<Outcome> {
    let m = profile.items();
    let exits = options.flag("exit_on_majority", true)?;
    let tie = options.choice("tie", &["all", "order", "put"])?;
    let order = options.order(m)?;
    if tie == "put" {
        return parallel_universes(profile, &live, options, stop);
    }
    let mut rank = vec![0; m];
    order.iter().enumerate().for_each(|(place, item)| rank[*item] = place);
    let outside: Vec<usize> = (0..m).filter(|item| !live[*item]).collect();
    let mut tally = Tally::new(profile, live, options.threads);
    let mut rounds: Vec<Vec<usize>> = if outside.is_empty() { Vec::new() } else { vec![outside] };
    loop {
        stop.check()?;
        let (live, votes) = (tally.live(), levels(profile, tally.votes()));
        if let Some(champion) = majority(&live, &votes).filter(|_| exits || live.len() == 1) {
            let mut outcome = finish(&live, &votes, rounds, m);
            outcome.winners = vec![champion];
            return Ok(outcome);
        }
        let mut gone = extreme(&live, &votes, true);
        if tie == "order" {
            gone.sort_by_key(|item| std::cmp::Reverse(rank[*item]));
            gone.truncate(1);
        }
        if gone.len() == live.len() {
            return Ok(finish(&live, &votes, rounds, m));
        }
        tally.drop(&gone);
        rounds.push(gone);
    }
}

/// The union of winners over all ways to drop one of the lowest at a time.
fn parallel_universes(
    profile: &Profile,
    live: &[bool],
    options: &Options,
    stop: Stop<'_>,
) -> Result<Outcome> {
    let m = profile.items();
    let cap = options.count("cap", 100_000, 1, 1 << 50)?;
    if m > 64 {
        return Err(Error::range("profile", "at most 64 items for tie='put'", m));
    }
    let mask = (0..m).filter(|item| live[*item]).fold(0_u64, |mask, item| mask | 1 << item);
    let mut seen = std::collections::HashSet::from([mask]);
    let mut pending = vec![mask];
    let mut won = 0_u64;
    while let Some(mask) = pending.pop() {
        stop.check()?;
        let flags: Vec<bool> = (0..m).map(|item| mask >> item & 1 == 1).collect();
        let items: Vec<usize> = ones(mask).collect();
        let votes = levels(profile, &first_places(profile, &flags));
        if let Some(champion) = majority(&items, &votes) {
            won |= 1 << champion;
            continue;
        }
        if items.len() == 1 {
            won |= mask;
            continue;
        }
        let none = items.iter().filter(|i| votes[**i] == 0.0).fold(0_u64, |set, i| set | 1 << i);
        let lowest = extreme(&items, &votes, true);
        // Items without first places can go at once: no ballot is handed on, whatever the order.
        let next: Vec<u64> = if none != 0 && none != mask {
            vec![mask & !none]
        } else {
            lowest.iter().map(|item| mask & !(1 << item)).collect()
        };
        for mask in next {
            if seen.insert(mask) {
                pending.push(mask);
            }
        }
        if seen.len() > cap {
            let what = format!("cap: ties need more than {cap} sets of items");
            return Err(Error::Infeasible { what });
        }
    }
    Ok(Outcome::chosen(&ones(won).collect::<Vec<_>>(), m))
}

fn benham(profile: &Profile, options: &Options, stop: Stop<'_>) -> Result<Outcome> {
    let m = profile.items();
    let margins = profile.support(options.threads, stop)?.margins();
    let mut tally = Tally::new(profile, vec![true; m], options.threads);
    let mut rounds = Vec::new();
    loop {
        stop.check()?;
        let (live, votes) = (tally.live(), levels(profile, tally.votes()));
        let champion = condorcet::winner(&margins, &live, m);
        let gone = extreme(&live, &votes, true);
        if champion.is_some() || gone.len() == live.len() {
            let votes: Vec<f64> = (0..m)
                .map(|i| if Some(i) == champion { f64::INFINITY } else { votes[i] })
                .collect();
            return Ok(finish(&live, &votes, rounds, m));
        }
        tally.drop(&gone);
        rounds.push(gone);
    }
}

fn bottom_two(profile: &Profile, options: &Options, stop: Stop<'_>) -> Result<Outcome> {
    let m = profile.items();
    let margins = profile.support(options.threads, stop)?.margins();
    let order = options.order(m)?;
    let mut tally = Tally::new(profile, vec![true; m], options.threads);
    let mut rounds = Vec::new();
    loop {
        stop.check()?;
        let votes = levels(profile, tally.votes());
        let mut live: Vec<usize> =
            order.iter().copied().filter(|item| tally.is_live(*item)).collect();
        live.sort_by(|a, b| votes[*b].total_cmp(&votes[*a]));
        let [.., better, worse] = live[..] else {
            return Ok(finish(&live, &votes, rounds, m));
        };
        let loser = if margins[worse * m + better] > 0.0 { better } else { worse };
        tally.drop(&[loser]);
        rounds.push(vec![loser]);
    }
}

fn coombs(profile: &Profile, options: &Options, stop: Stop<'_>) -> Result<Outcome> {
    let m = profile.items();
    let exits = options.flag("exit_on_majority", true)?;
    let mut flags = vec![true; m];
    let mut rounds = Vec::new();
    loop {
        let live: Vec<usize> = (0..m).filter(|item| flags[*item]).collect();
        let votes = levels(profile, &first_places(profile, &flags));
        if let Some(champion) = majority(&live, &votes).filter(|_| exits) {
            let mut outcome = finish(&live, &votes, rounds, m);
            outcome.winners = vec![champion];
            return Ok(outcome);
        }
        let last = levels(profile, &last_places(profile, &flags, stop)?);
        let gone = extreme(&live, &last, false);
        if gone.len() == live.len() {
            let level: Vec<f64> = vec![0.0; m];
            return Ok(finish(&live, &level, rounds, m));
        }
        for item in &gone {
            flags[*item] = false;
        }
        rounds.push(gone);
    }
}

fn two_rounds(
    profile: &Profile,
    options: &Options,
    stop: Stop<'_>,
    short: bool,
) -> Result<Outcome> {
    let m = profile.items();
    let everyone: Vec<usize> = (0..m).collect();
    let votes = levels(profile, &first_places(profile, &vec![true; m]));
    let first = extreme(&everyone, &votes, false);
    if m == 1 || (first.len() == 1 && majority(&everyone, &votes).is_some()) {
        return Ok(Outcome::scored(votes, true));
    }
    let pairs: Vec<(usize, usize)> = if first.len() > 1 {
        first.iter().flat_map(|a| first.iter().filter(move |b| a < *b).map(|b| (*a, *b))).collect()
    } else {
        let others: Vec<usize> = everyone.iter().copied().filter(|i| *i != first[0]).collect();
        extreme(&others, &votes, false).into_iter().map(|second| (first[0], second)).collect()
    };
    let margins = profile.support(options.threads, stop)?.margins();
    let mut won = vec![false; m];
    for (a, b) in pairs {
        let margin = if short { short_margin(profile, a, b) } else { margins[a * m + b] };
        won[a] |= margin >= 0.0;
        won[b] |= margin <= 0.0;
    }
    Ok(Outcome::chosen(&(0..m).filter(|item| won[*item]).collect::<Vec<_>>(), m))
}

/// The margin of `a` over `b` when only the first two places of a ballot count.
fn short_margin(profile: &Profile, a: usize, b: usize) -> f64 {
    let lists = profile.to_lists();
    let margin = |v: usize| {
        let mut place = 0;
        for bucket in lists.buckets(v) {
            let has = |item: usize| bucket.iter().any(|i| *i as usize == item);
            match (has(a), has(b)) {
                (true, false) => return 1.0,
                (false, true) => return -1.0,
                (true, true) => return 0.0,
                _ => place += bucket.len(),
            }
            if place >= 2 {
                return 0.0;
            }
        }
        0.0
    };
    let sum: f64 = (0..lists.len()).map(|v| profile.weights().get(v) * margin(v)).sum();
    if sum.abs() <= 1e-12 * profile.weights().total() { 0.0 } else { sum }
}

fn bucklin(profile: &Profile, stop: Stop<'_>, simplified: bool) -> Result<Outcome> {
    let m = profile.items();
    let half = profile.weights().total() / 2.0 * (1.0 + 1e-12);
    let places = place_weights(profile);
    let mut tallies = vec![0.0; m];
    let mut count = 0;
    for place in 0..m {
        stop.check()?;
        (0..m).for_each(|item| tallies[item] += places[item * m + place]);
        count = place + 1;
        if tallies.iter().any(|tally| *tally > half) {
            break;
        }
    }
    let reach = |tally: &f64| if simplified && *tally > half { f64::INFINITY } else { *tally };
    let levels = levels(profile, &tallies);
    let mut outcome = Outcome::bucketed(buckets_of(&levels.iter().map(reach).collect::<Vec<_>>()));
    outcome.scores = Some(tallies);
    Ok(outcome.with("places", Fact::Number(count as f64)))
}

/// `(m, m)`, the weight of the ballots on which a number of items stand above an item.
fn place_weights(profile: &Profile) -> Vec<f64> {
    let m = profile.items();
    let mut out = vec![0.0; m * m];
    match profile.ballots() {
        Ballots::Full(rows) => {
            for item in 0..m {
                for v in 0..profile.len() {
                    let place = rows.places.get(item * profile.len() + v);
                    out[item * m + place] += profile.weights().get(v);
                }
            }
        }
        Ballots::Lists(lists) => {
            for v in 0..lists.len() {
                let mut place = 0;
                for bucket in lists.buckets(v) {
                    let weight = profile.weights().get(v);
                    for item in bucket {
                        out[*item as usize * m + place] += weight;
                    }
                    place += bucket.len();
                }
            }
        }
    }
    out
}
