//! Weak orders that disagree least with partial and weak ballots.

use super::super::options::Options;
use super::super::outcome::{Fact, Outcome};
use super::super::profile::{Ballots, Profile};
use super::super::rules::{Rule, Run};
use crate::rng::Stream;
use crate::{Error, Result, Stop, parallel, size};

/// Up to so many items every weak order is weighed.
const EXACT: usize = 14;
/// Ballots that one task counts.
const CHUNK: usize = 4096;
const NOWHERE: usize = usize::MAX;

pub(crate) const RULE: Rule = Rule {
    name: "weak_kemeny",
    source: "Fagin et al. 2004; Brancotte et al. 2015; Andrieu et al. 2021",
    laws: &["anonymous"],
    options: &["scheme", "p", "before", "tied", "method", "kicks", "seed"],
    run: Run::Ballots(weak_kemeny),
};

/// What a pair costs, by how a ballot treats it: `a` above `b`, below, tied; only `a` ranked, only `b`,
/// neither.
struct Scheme {
    /// Where `a` comes before `b`.
    before: [f64; 6],
    /// Where both share a bucket.
    tied: [f64; 6],
}

impl Scheme {
    fn new(options: &Options) -> Result<Self> {
        let p = options.number("p", 0.5, 0.0, 1.0)?;
        let known = ["unifying", "induced", "pseudo_distance"];
        let (before, tied) = match options.choice("scheme", &known)? {
            "unifying" => ([0.0, 1.0, p, 0.0, 1.0, p], [p, p, 0.0, p, p, 0.0]),
            "induced" => ([0.0, 1.0, p, 0.0, 0.0, 0.0], [p, p, 0.0, 0.0, 0.0, 0.0]),
            _ => ([0.0, 1.0, p, 0.0, 1.0, 0.0], [p, p, 0.0, p, p, 0.0]),
        };
        let before = six(options, "before", before)?;
        let tied = six(options, "tied", tied)?;
        if tied[0] != tied[1] || tied[3] != tied[4] {
            let expected = "equal numbers for both orders, ranked or half ranked";
            return Err(Error::range("tied", expected, format!("{tied:?}")));
        }
        Ok(Self { before, tied })
    }
}

fn six(options: &Options, name: &'static str, default: [f64; 6]) -> Result<[f64; 6]> {
    let Some(numbers) = options.numbers(name)? else { return Ok(default) };
    <[f64; 6]>::try_from(numbers)
        .ok()
        .filter(|six| six.iter().all(|x| (0.0..=1e9).contains(x)))
        .ok_or_else(|| {
            Error::range(name, "six costs from 0 to 1e9", format!("{} numbers", numbers.len()))
        })
}

/// `(m, m)`, costs of placing an item before another, and of tying them.
struct Costs {
    m: usize,
    before: Vec<f64>,
    tied: Vec<f64>,
    /// Differences below this count as none.
    tolerance: f64,
}

impl Costs {
    fn count(
        profile: &Profile,
        scheme: &Scheme,
        threads: Option<usize>,
        stop: Stop<'_>,
    ) -> Result<Self> {
        let (m, n) = (size::square("profile", profile.items())?, profile.len());
        let threads = if n * m * m < 200_000 { Some(1) } else { threads };
        let parts = parallel::map(n.div_ceil(CHUNK), threads, |chunk| -> Result<_> {
            let (mut before, mut tied) = (vec![0.0; m * m], vec![0.0; m * m]);
            for v in chunk * CHUNK..((chunk + 1) * CHUNK).min(n) {
                stop.check()?;
                let (weight, places) = (profile.weights().get(v), places(profile, v));
                for a in 0..m {
                    for b in a + 1..m {
                        let kind = kind(places[a], places[b]);
                        before[a * m + b] += weight * scheme.before[kind];
                        before[b * m + a] += weight * scheme.before[[1, 0, 2, 4, 3, 5][kind]];
                        tied[a * m + b] += weight * scheme.tied[kind];
                    }
                }
            }
            Ok((before, tied))
        });
        let mut out = Self { m, before: vec![0.0; m * m], tied: vec![0.0; m * m], tolerance: 0.0 };
        for part in parts {
            let (before, tied) = part?;
            out.before.iter_mut().zip(before).for_each(|(sum, more)| *sum += more);
            out.tied.iter_mut().zip(tied).for_each(|(sum, more)| *sum += more);
        }
        for a in 0..m {
            (0..a).for_each(|b| out.tied[a * m + b] = out.tied[b * m + a]);
        }
        out.tolerance = 1e-12 * (1.0 + out.before.iter().fold(0.0, |most: f64, x| most.max(*x)));
        Ok(out)
    }

    /// No weak order costs less.
    fn bound(&self) -> f64 {
        let pairs = (0..self.m).flat_map(|a| (0..a).map(move |b| (a * self.m + b, b * self.m + a)));
        pairs.map(|(ab, ba)| self.before[ab].min(self.before[ba]).min(self.tied[ab])).sum()
    }

    fn total(&self, buckets: &[usize]) -> f64 {
        let mut sum = 0.0;
        for a in 0..self.m {
            for b in 0..self.m {
                sum += match buckets[a].cmp(&buckets[b]) {
                    std::cmp::Ordering::Less => self.before[a * self.m + b],
                    std::cmp::Ordering::Equal if a < b => self.tied[a * self.m + b],
                    _ => 0.0,
                };
            }
        }
        sum
    }
}

fn kind(a: usize, b: usize) -> usize {
    match (a, b) {
        (NOWHERE, NOWHERE) => 5,
        (_, NOWHERE) => 3,
        (NOWHERE, _) => 4,
        _ if a < b => 0,
        _ if a > b => 1,
        _ => 2,
    }
}

/// The bucket of each item on a ballot.
fn places(profile: &Profile, v: usize) -> Vec<usize> {
    let mut places = vec![NOWHERE; profile.items()];
    match profile.ballots() {
        Ballots::Full(rows) => {
            let m = places.len();
            (0..m).for_each(|place| places[rows.order.get(v * m + place)] = place);
        }
        Ballots::Lists(lists) => {
            for (b, bucket) in lists.buckets(v).enumerate() {
                for item in bucket {
                    places[*item as usize] = b;
                }
            }
        }
    }
    places
}

fn weak_kemeny(profile: &Profile, options: &Options, stop: Stop<'_>) -> Result<Outcome> {
    let stop = stop.patient();
    let scheme = Scheme::new(options)?;
    let method = options.choice("method", &["auto", "exact", "local"])?;
    let kicks = options.count("kicks", 50, 0, 1 << 40)?;
    let seed = options.seed()?;
    let m = profile.items();
    if method == "exact" && m > EXACT {
        return Err(Error::range("method", "exact for at most 14 items", m));
    }
    let costs = Costs::count(profile, &scheme, options.threads, stop)?;
    let exact = method == "exact" || (method == "auto" && m <= EXACT);
    let buckets = if exact { weighed(&costs, stop)? } else { searched(&costs, kicks, seed, stop)? };
    let (value, least) = (costs.total(&buckets), costs.bound());
    let proven = exact || value <= least + costs.tolerance;
    let bound = if proven { value } else { least };
    let gap = if value > bound { value / bound - 1.0 } else { 0.0 };
    Ok(Outcome::bucketed(buckets)
        .with("value", Fact::Number(value))
        .with("lower_bound", Fact::Number(bound))
        .with("gap", Fact::Number(gap))
        .with("optimal", Fact::Flag(proven)))
}

/// The best weak order of every set of first items, by its last bucket: `3^m` steps.
fn weighed(costs: &Costs, stop: Stop<'_>) -> Result<Vec<usize>> {
    let m = costs.m;
    let full = (1_usize << m) - 1;
    let mut inner = vec![0.0; full + 1];
    let mut after = vec![0.0; m << m]; // of placing an item behind a set
    for set in 1..=full {
        let (low, rest) = (set.trailing_zeros() as usize, set & (set - 1));
        let others = (0..m).filter(|b| rest >> b & 1 == 1);
        inner[set] = inner[rest] + others.map(|b| costs.tied[low * m + b]).sum::<f64>();
        for b in 0..m {
            after[set * m + b] = after[rest * m + b] + costs.before[low * m + b];
        }
    }
    let mut best = vec![f64::INFINITY; full + 1];
    let mut last = vec![0; full + 1];
    best[0] = 0.0;
    for set in 1..=full {
        if set % 256 == 0 {
            stop.check()?;
        }
        let mut bucket = set;
        while bucket > 0 {
            let front = set ^ bucket;
            let mut cost = best[front] + inner[bucket];
            let mut left = bucket;
            while left > 0 && cost < best[set] {
                cost += after[front * m + left.trailing_zeros() as usize];
                left &= left - 1;
            }
            if cost < best[set] - costs.tolerance {
                (best[set], last[set]) = (cost, bucket);
            }
            bucket = (bucket - 1) & set;
        }
    }
    let (mut buckets, mut set, mut number) = (vec![0; m], full, m);
    while set > 0 {
        (0..m).filter(|a| last[set] >> a & 1 == 1).for_each(|a| buckets[a] = number);
        (set, number) = (set ^ last[set], number - 1);
    }
    Ok(tidy(&buckets))
}

/// Buckets numbered from 0 without gaps.
fn tidy(buckets: &[usize]) -> Vec<usize> {
    let mut used = buckets.to_vec();
    used.sort_unstable();
    used.dedup();
    buckets.iter().map(|b| used.partition_point(|u| u < b)).collect()
}

/// Moves of single items, into a bucket or between two, then a kick, then moves again.
fn searched(costs: &Costs, kicks: usize, seed: u64, stop: Stop<'_>) -> Result<Vec<usize>> {
    let m = costs.m;
    let lead = |a: usize| -> f64 {
        (0..m).map(|b| costs.before[b * m + a] - costs.before[a * m + b]).sum()
    };
    let mut order: Vec<usize> = (0..m).collect();
    order.sort_by(|a, b| lead(*b).total_cmp(&lead(*a)));
    let mut best = vec![0; m];
    order.iter().enumerate().for_each(|(place, item)| best[*item] = place);
    let mut least = descend(costs, &mut best, stop)?;
    let mut stream = Stream::new(seed, 0);
    for _ in 0..kicks {
        if m < 2 || stop.expired() {
            break;
        }
        let mut next: Vec<usize> = best.iter().map(|b| 2 * b + 1).collect();
        for _ in 0..(m / 20).max(2) {
            next[stream.below(m)] = stream.below(2 * m + 2);
        }
        next = tidy(&next);
        let cost = descend(costs, &mut next, stop)?;
        if cost < least - costs.tolerance {
            (least, best) = (cost, next);
        }
    }
    Ok(best)
}

fn descend(costs: &Costs, buckets: &mut Vec<usize>, stop: Stop<'_>) -> Result<f64> {
    let m = costs.m;
    let mut quiet = 0;
    for x in (0..m).cycle() {
        if quiet == m {
            break;
        }
        if x == 0 {
            stop.check()?;
            if stop.expired() {
                break;
            }
        }
        quiet += 1;
        // Costs of x against each bucket: behind it, in it, before it.
        let count = buckets.iter().max().map_or(0, |last| last + 1);
        let mut against = vec![[0.0; 3]; count];
        for y in (0..m).filter(|y| *y != x) {
            let cell = &mut against[buckets[y]];
            cell[0] += costs.before[y * m + x];
            cell[1] += costs.tied[x * m + y];
            cell[2] += costs.before[x * m + y];
        }
        let mut cost: f64 = against.iter().map(|cell| cell[2]).sum(); // before all
        let own = buckets[x];
        let alone = buckets.iter().filter(|b| **b == own).count() == 1;
        let here = |b: usize, cell: &[f64; 3], cost: f64| {
            if b == own { Some(cost - cell[2] + cell[1]) } else { None }
        };
        let (mut least, mut target) = (cost, 0); // even: a gap, odd: a bucket
        let mut now = cost;
        for (b, cell) in against.iter().enumerate() {
            now = here(b, cell, cost).unwrap_or(now);
            if cost - cell[2] + cell[1] < least {
                (least, target) = (cost - cell[2] + cell[1], 2 * b + 1);
            }
            cost += cell[0] - cell[2];
            if cost < least {
                (least, target) = (cost, 2 * b + 2);
            }
        }
        if least < now - costs.tolerance && !(alone && target == 2 * own + 1) {
            let mut moved: Vec<usize> = buckets.iter().map(|b| 2 * b + 1).collect();
            moved[x] = target;
            *buckets = tidy(&moved);
            quiet = 0;
        }
    }
    Ok(costs.total(buckets))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn costs(m: usize, seed: u64) -> Costs {
        let mut stream = Stream::new(seed, 0);
        let before = (0..m * m).map(|_| stream.below(9) as f64).collect();
        let mut tied: Vec<f64> = (0..m * m).map(|_| stream.below(5) as f64).collect();
        for a in 0..m {
            (0..a).for_each(|b| tied[a * m + b] = tied[b * m + a]);
        }
        Costs { m, before, tied, tolerance: 1e-12 }
    }

    #[test]
    fn no_weak_order_costs_less_than_the_one_found() {
        for seed in 0..20 {
            let costs = costs(4, seed);
            let best = weighed(&costs, Stop::never()).expect("not stopped");
            let all = (0..256).map(|code| [code & 3, code >> 2 & 3, code >> 4 & 3, code >> 6]);
            let least = all.map(|buckets| costs.total(&buckets)).fold(f64::INFINITY, f64::min);
            assert_eq!(costs.total(&best), least, "seed {seed}");
            let near = searched(&costs, 20, 0, Stop::never()).expect("not stopped");
            assert!(costs.total(&near) >= least && costs.bound() <= least);
        }
    }
}
