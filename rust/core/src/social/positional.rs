//! Positional rules: points for places.

use super::cells::{Cell, Cells};
use super::lists::Lists;
use super::options::Options;
use super::outcome::Outcome;
use super::profile::{Ballots, Profile, Unranked};
use super::rules::{Rule, Run};
use super::weights::Weights;
use crate::{Error, Result, Stop, parallel};

const LAWS: &[&str] = &["anonymous", "neutral", "homogeneous", "monotone", "reinforcing"];

/// The rules of this file.
pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "plurality",
        source: "First places count one point",
        laws: LAWS,
        options: &["tie_points"],
        run: Run::Ballots(|p, o, s| run(p, o, s, &|m| (0..m).map(|r| bit(r == 0)).collect())),
    },
    Rule {
        name: "veto",
        source: "Last places cost one point; also called anti-plurality",
        laws: LAWS,
        options: &["tie_points"],
        run: Run::Ballots(|p, o, s| run(p, o, s, &|m| (1..=m).map(|r| -bit(r == m)).collect())),
    },
    Rule {
        name: "t_approval",
        source: "The first t places count one point each",
        laws: LAWS,
        options: &["tie_points", "t"],
        run: Run::Ballots(t_approval),
    },
    Rule {
        name: "borda",
        source: "Borda 1784; weak orders: Terzopoulou and Endriss 2021",
        laws: LAWS,
        options: &["tie_points", "variant"],
        run: Run::Ballots(borda),
    },
    Rule {
        name: "dowdall",
        source: "Place r counts 1/r points, as in Nauru; Fraenkel and Grofman 2014",
        laws: LAWS,
        options: &["tie_points"],
        run: Run::Ballots(|p, o, s| run(p, o, s, &|m| (1..=m).map(|r| 1.0 / r as f64).collect())),
    },
    Rule {
        name: "exponential",
        source: "Place r counts base^(1-r) points",
        laws: LAWS,
        options: &["tie_points", "base"],
        run: Run::Ballots(|p, o, s| {
            let base = o.number("base", 2.0, 1.0, 1e6)?;
            run(p, o, s, &|m| (0..m).map(|r| libm::pow(base, -(r as f64))).collect())
        }),
    },
    Rule {
        name: "formula_one",
        source: "Points of Formula One since 2010: 25, 18, 15, 12, 10, 8, 6, 4, 2, 1",
        laws: LAWS,
        options: &["tie_points"],
        run: Run::Ballots(|p, o, s| {
            run(p, o, s, &|m| padded(&[25.0, 18.0, 15.0, 12.0, 10.0, 8.0, 6.0, 4.0, 2.0, 1.0], m))
        }),
    },
    Rule {
        name: "eurovision",
        source: "Points of the Eurovision Song Contest since 1975: 12, 10, 8, 7, ..., 1",
        laws: LAWS,
        options: &["tie_points"],
        run: Run::Ballots(|p, o, s| {
            run(p, o, s, &|m| padded(&[12.0, 10.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0], m))
        }),
    },
    Rule {
        name: "positional",
        source: "Points for places as given; Young 1975",
        laws: LAWS,
        options: &["tie_points", "vector", "allow_nonmonotone"],
        run: Run::Ballots(custom),
    },
];

fn bit(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}

fn padded(points: &[f64], items: usize) -> Vec<f64> {
    (0..items).map(|r| points.get(r).copied().unwrap_or(0.0)).collect()
}

fn t_approval(profile: &Profile, options: &Options, stop: Stop<'_>) -> Result<Outcome> {
    let t = options.count("t", 1, 1, profile.items())?;
    run(profile, options, stop, &|m| (0..m).map(|r| bit(r < t)).collect())
}

fn custom(profile: &Profile, options: &Options, stop: Stop<'_>) -> Result<Outcome> {
    let m = profile.items();
    let Some(vector) = options.numbers("vector")? else {
        return Err(Error::range("vector", "one number per place", "nothing"));
    };
    if vector.len() != m {
        return Err(Error::length("vector", m, vector.len()));
    }
    let rises = vector.windows(2).position(|pair| pair[0] < pair[1]);
    if let Some(place) =
        rises.filter(|_| !options.flag("allow_nonmonotone", false).unwrap_or(false))
    {
        let got = format!("a rise after place {place}");
        return Err(Error::range("vector", "points that do not rise", got));
    }
    options.flag("allow_nonmonotone", false)?;
    run(profile, options, stop, &|_| vector.to_vec())
}

fn borda(profile: &Profile, options: &Options, _: Stop<'_>) -> Result<Outcome> {
    let known = ["standard", "one_based", "symmetric", "domination", "nondomination"];
    let variant = options.choice("variant", &known)?;
    let points = options.choice("tie_points", &["mean", "high", "low"])?;
    let (m, total) = (profile.items() as f64, profile.weights().total());
    let exact = profile.weights().is_exact() && total * m * 2.0 < 9e15;
    let scores = match profile.ballots() {
        Ballots::Full(rows) => {
            let sums = match &rows.places {
                Cells::U8(places) => place_sums(places, profile.weights(), options.threads),
                Cells::U16(places) => place_sums(places, profile.weights(), options.threads),
            };
            sums.into_iter().map(|sum| total * (m - 1.0) - sum).collect()
        }
        Ballots::Lists(lists) => {
            let count = match (variant, points) {
                ("symmetric", _) => 0.5,
                ("domination", _) | (_, "low") => 0.0,
                ("nondomination", _) | (_, "high") => 1.0,
                _ => 0.5,
            };
            below(profile, lists, count)
        }
    };
    Ok(Outcome::scored(shifted(scores, profile, variant), exact))
}

/// Moves sums of `#below + count * #tied` to the scale of a variant.
fn shifted(scores: Vec<f64>, profile: &Profile, variant: &str) -> Vec<f64> {
    let (m, total) = (profile.items() as f64, profile.weights().total());
    // Where unranked items are ignored, a ballot ranks only some of the other items.
    let others = if profile.unranked() == Unranked::Ignore { ranked_others(profile) } else { None };
    let others = |item: usize| others.as_ref().map_or(total * (m - 1.0), |o| o[item]);
    scores
        .into_iter()
        .enumerate()
        .map(|(item, score)| match variant {
            "one_based" => score + total,
            "symmetric" => 2.0 * score - others(item),
            "nondomination" => score - others(item),
            _ => score,
        })
        .collect()
}

/// Per item, the weighted number of other items on the ballots that rank it.
fn ranked_others(profile: &Profile) -> Option<Vec<f64>> {
    let Ballots::Lists(lists) = profile.ballots() else { return None };
    let mut out = vec![0.0; profile.items()];
    for v in 0..lists.len() {
        let ballot = lists.ballot(v);
        let more = profile.weights().get(v) * (ballot.len() as f64 - 1.0);
        for item in ballot {
            out[*item as usize] += more;
        }
    }
    Some(out)
}

/// Per item, the weighted sum of its places; one column each.
fn place_sums<C: Cell>(places: &[C], weights: &Weights, threads: Option<usize>) -> Vec<f64> {
    let n = weights.len();
    let threads = if places.len() < 400_000 { Some(1) } else { threads };
    parallel::map(places.len() / n, threads, |item| {
        let column = &places[item * n..(item + 1) * n];
        match weights.values() {
            None => column
                .chunks(1 << 15)
                .map(|part| f64::from(part.iter().map(|c| c.wide()).sum::<u32>()))
                .sum(),
            Some(weights) => column.iter().zip(weights).map(|(c, w)| f64::from(c.wide()) * w).sum(),
        }
    })
}

/// Per item, the weighted sum of items below it plus `count` times the items tied with it.
fn below(profile: &Profile, lists: &Lists, count: f64) -> Vec<f64> {
    let mut out = vec![0.0; profile.items()];
    let mut shared = 0.0; // what every item gets from the ballots that leave it out
    let ignore = profile.unranked() == Unranked::Ignore;
    let rest_count = if profile.unranked() == Unranked::Average { 0.5 } else { count };
    for v in 0..lists.len() {
        let weight = profile.weights().get(v);
        let ranked = lists.ballot(v).len();
        let rest = if ignore { 0 } else { profile.items() - ranked };
        let mut left = ranked + rest;
        let unranked = weight * rest_count * (rest as f64 - 1.0).max(0.0);
        shared += unranked;
        for bucket in lists.buckets(v) {
            left -= bucket.len();
            let points = weight * (left as f64 + count * (bucket.len() as f64 - 1.0));
            for item in bucket {
                out[*item as usize] += points - unranked;
            }
        }
    }
    for score in &mut out {
        *score += shared;
    }
    out
}

/// Scores of a vector of points on any ballots.
fn run(
    profile: &Profile,
    options: &Options,
    stop: Stop<'_>,
    vector: &dyn Fn(usize) -> Vec<f64>,
) -> Result<Outcome> {
    let vector = vector(profile.items());
    let points = options.choice("tie_points", &["mean", "high", "low"])?;
    let whole = vector.iter().all(|s| s.fract() == 0.0);
    let most = vector.iter().fold(0.0_f64, |most, s| most.max(s.abs()));
    let sums_exact = profile.weights().total() * most < 9e15;
    let exact = profile.weights().is_exact() && whole && profile.rows().is_some() && sums_exact;
    let scores = match profile.ballots() {
        Ballots::Full(_) => {
            let (m, counts) = (profile.items(), profile.histogram(options.threads, stop)?);
            counts.chunks(m).map(|row| row.iter().zip(&vector).map(|(h, s)| h * s).sum()).collect()
        }
        Ballots::Lists(lists) => listed(profile, lists, &vector, points),
    };
    Ok(Outcome::scored(scores, exact))
}

fn listed(profile: &Profile, lists: &Lists, vector: &[f64], points: &str) -> Vec<f64> {
    let m = profile.items();
    let mut prefix = vec![0.0; m + 1];
    (0..m).for_each(|r| prefix[r + 1] = prefix[r] + vector[r]);
    let mean = |from: usize, to: usize| (prefix[to] - prefix[from]) / (to - from) as f64;
    let share = |from: usize, to: usize| match points {
        "high" => vector[from],
        "low" => vector[to - 1],
        _ => mean(from, to),
    };
    let mut out = vec![0.0; m];
    let mut shared = 0.0; // what every item gets from the ballots that leave it out
    for v in 0..lists.len() {
        let (weight, ranked) = (profile.weights().get(v), lists.ballot(v).len());
        let unranked = match profile.unranked() {
            Unranked::Last if ranked < m => weight * share(ranked, m),
            Unranked::Average if ranked < m => weight * mean(ranked, m),
            _ => 0.0,
        };
        shared += unranked;
        let mut place = 0;
        for bucket in lists.buckets(v) {
            let gain = weight * share(place, place + bucket.len());
            for item in bucket {
                out[*item as usize] += gain - unranked;
            }
            place += bucket.len();
        }
    }
    for score in &mut out {
        *score += shared;
    }
    out
}

/// `H[c][r]`, the weight of the ballots that put item `c` at place `r`; full rankings only.
pub(crate) fn histogram<C: Cell>(
    places: &[C],
    weights: &Weights,
    threads: Option<usize>,
    stop: Stop<'_>,
) -> Result<Vec<f64>> {
    let n = weights.len();
    let m = places.len() / n;
    let threads = if places.len() < 100_000 { Some(1) } else { threads };
    let rows = parallel::map(m, threads, |item| -> Result<Vec<f64>> {
        stop.check()?;
        let column = &places[item * n..(item + 1) * n];
        let mut row = vec![0.0; m];
        if let Some(weights) = weights.values() {
            column.iter().zip(weights).for_each(|(c, w)| row[(*c).into()] += w);
            return Ok(row);
        }
        let mut counts = vec![[0_u32; 4]; m]; // four, so that equal places in a row do not wait
        let fours = column.chunks_exact(4);
        fours.remainder().iter().for_each(|c| counts[(*c).into()][0] += 1);
        for four in fours {
            (0..4).for_each(|lane| counts[four[lane].into()][lane] += 1);
        }
        row.iter_mut().zip(counts).for_each(|(h, c)| *h = c.iter().map(|c| f64::from(*c)).sum());
        Ok(row)
    });
    rows.into_iter().collect::<Result<Vec<_>>>().map(|rows| rows.concat())
}
