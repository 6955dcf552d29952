//! Orders near the best one: the best of the ballots, and sorting by insertion again and again.

use super::super::condorcet::borda;
use super::super::options::Options;
use super::super::outcome::{Fact, Outcome};
use super::super::profile::{Ballots, Profile};
use super::super::rules::{Rule, Run};
use super::super::support::Support;
use super::{CYCLES, least, local, search, tolerance};
use crate::{Result, Stop, parallel};

/// Ballots that one task looks at.
const CHUNK: usize = 1024;

/// The rules of this file.
pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "pick_a_perm",
        source: "Ailon, Charikar and Newman 2008, section 1: the best of the ballots",
        laws: &["anonymous", "homogeneous"],
        options: &[],
        run: Run::Ballots(pick_a_perm),
    },
    Rule {
        name: "chanas",
        source: "Chanas and Kobylanski 1996",
        laws: &["anonymous", "homogeneous"],
        options: &[],
        run: Run::Support(chanas),
    },
];

/// The ballot with the least total distance, the lexicographically first of several; ties within a
/// ballot, its unranked items among them, are ordered as by Borda's rule.
fn pick_a_perm(profile: &Profile, options: &Options, stop: Stop<'_>) -> Result<Outcome> {
    let support = profile.support(options.threads, stop)?;
    let (m, n, margins) = (support.items(), profile.len(), support.margins());
    let rank = ranks(support);
    let threads = if n * m * m < 200_000 { Some(1) } else { options.threads };
    let found = parallel::map(n.div_ceil(CHUNK), threads, |chunk| {
        let mut best: Option<(f64, Vec<usize>)> = None;
        for v in chunk * CHUNK..((chunk + 1) * CHUNK).min(n) {
            stop.check()?;
            let order = order_of(profile, v, &rank);
            best = better(best, (local::excess(&margins, m, &order), order));
        }
        Ok(best)
    });
    let mut best = None;
    for part in found {
        if let Some(candidate) = part? {
            best = better(best, candidate);
        }
    }
    let order = best.map_or_else(|| by_rank(&rank), |(_, order)| order);
    Ok(certified(support, &order))
}

type Ranked = (f64, Vec<usize>);

fn better(best: Option<Ranked>, candidate: Ranked) -> Option<Ranked> {
    match best {
        Some(best) if best.0.total_cmp(&candidate.0).then(best.1.cmp(&candidate.1)).is_le() => {
            Some(best)
        }
        _ => Some(candidate),
    }
}

/// The place of every item in Borda's order.
fn ranks(support: &Support) -> Vec<usize> {
    let scores = borda(support);
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    let mut rank = vec![0; order.len()];
    order.iter().enumerate().for_each(|(place, item)| rank[*item] = place);
    rank
}

fn by_rank(rank: &[usize]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rank.len()).collect();
    order.sort_by_key(|item| rank[*item]);
    order
}

/// A ballot as a strict order of all items.
fn order_of(profile: &Profile, v: usize, rank: &[usize]) -> Vec<usize> {
    let m = rank.len();
    match profile.ballots() {
        Ballots::Full(rows) => (v * m..(v + 1) * m).map(|at| rows.order.get(at)).collect(),
        Ballots::Lists(lists) => {
            let mut bucket = vec![usize::MAX; m];
            for (b, items) in lists.buckets(v).enumerate() {
                for item in items {
                    bucket[*item as usize] = b;
                }
            }
            let mut order: Vec<usize> = (0..m).collect();
            order.sort_by_key(|item| (bucket[*item], rank[*item]));
            order
        }
    }
}

/// Sorts by insertion until nothing improves, reverses, and sorts again, as long as that is better.
fn chanas(support: &Support, _: &Options, stop: Stop<'_>) -> Result<Outcome> {
    let (m, margins) = (support.items(), support.margins());
    let slack = tolerance(support);
    let settled = |mut order: Vec<usize>| -> Result<(f64, Vec<usize>)> {
        let mut cost = local::excess(&margins, m, &order);
        loop {
            stop.check()?;
            let next = inserted(&margins, m, &order, slack);
            let after = local::excess(&margins, m, &next);
            if after >= cost - slack {
                return Ok((cost, order));
            }
            (cost, order) = (after, next);
        }
    };
    let (mut cost, mut order) = settled(by_rank(&ranks(support)))?;
    loop {
        let mut reversed = order.clone();
        reversed.reverse();
        let (after, next) = settled(inserted(&margins, m, &reversed, slack))?;
        if after >= cost - slack {
            return Ok(certified(support, &order));
        }
        (cost, order) = (after, next);
    }
}

/// Puts one item after the other where it disagrees least with those that stand already.
fn inserted(margins: &[f64], m: usize, order: &[usize], tolerance: f64) -> Vec<usize> {
    let mut out: Vec<usize> = Vec::with_capacity(m);
    for x in order {
        let row = &margins[x * m..(x + 1) * m];
        let (mut best, mut target, mut change) = (-tolerance, out.len(), 0.0);
        for (place, y) in out.iter().enumerate().rev() {
            change -= row[*y];
            if change < best {
                (best, target) = (change, place);
            }
        }
        out.insert(target, *x);
    }
    out
}

/// An order with its distance from the ballots and what is known about the least.
fn certified(support: &Support, order: &[usize]) -> Outcome {
    let (m, margins) = (support.items(), support.margins());
    let least = least(support, &margins);
    let excess = local::excess(&margins, m, order);
    let cycles = if m <= CYCLES { search::cycle_bound(&margins, m) } else { 0.0 };
    let proven = excess <= cycles + tolerance(support);
    let value = least + excess;
    let bound = if proven { value } else { least + cycles };
    let gap = if value > bound { value / bound - 1.0 } else { 0.0 };
    Outcome::ordered(order)
        .with("value", Fact::Number(value))
        .with("lower_bound", Fact::Number(bound))
        .with("gap", Fact::Number(gap))
        .with("optimal", Fact::Flag(proven))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn insertion_finds_the_order_of_an_acyclic_majority() {
        // 3 > 1 > 0 > 2, each by one vote
        let order = [3, 1, 0, 2];
        let mut margins = vec![0.0; 16];
        for (i, a) in order.iter().enumerate() {
            for b in &order[i + 1..] {
                margins[a * 4 + b] = 1.0;
                margins[b * 4 + a] = -1.0;
            }
        }
        assert_eq!(inserted(&margins, 4, &[0, 1, 2, 3], 0.0), order);
        let wins = margins.iter().map(|x| x.max(0.0)).collect();
        let support = Support::new(wins, 4).expect("valid");
        let found = chanas(&support, &Options::default(), Stop::never()).expect("valid");
        assert_eq!((found.winners, found.buckets), (vec![3], vec![2, 1, 3, 0]));
    }
}
