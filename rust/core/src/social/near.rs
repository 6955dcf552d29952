//! How far items are from beating all others: voters to leave out, or exchanges on ballots.
//!
//! Both numbers are NP-hard. They are found by branch and bound over kinds of ballots, exactly or not at
//! all: a search that needs more than `cap` nodes, or more time than there is, is an error.

use std::collections::BTreeMap;

use super::options::Options;
use super::outcome::Outcome;
use super::profile::{Profile, Unranked};
use super::rules::{Rule, Run};
use crate::{Error, Result, Stop};

const LAWS: &[&str] = &["anonymous", "neutral", "condorcet"];

/// The rules of this file.
pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "young",
        source: "Young 1977: the fewest voters to leave out until an item loses to no other",
        laws: LAWS,
        options: &["variant", "cap"],
        run: Run::Ballots(young),
    },
    Rule {
        name: "dodgson",
        source: "Dodgson 1876: the fewest exchanges of neighbours until an item beats all others",
        laws: LAWS,
        options: &["cap"],
        run: Run::Ballots(dodgson),
    },
];

/// The most numbers that a search remembers: 128 MiB.
const REMEMBERED: usize = 1 << 24;

/// Nodes that a search has left.
struct Nodes<'a> {
    left: usize,
    cap: usize,
    stop: Stop<'a>,
}

impl Nodes<'_> {
    fn next(&mut self) -> Result<()> {
        // with many kinds of ballots one node may take milliseconds
        if self.stop.expired() {
            let done = self.cap - self.left;
            let what = format!("time_limit: the search was not over after {done} nodes");
            return Err(Error::Infeasible { what });
        }
        self.stop.check()?;
        self.left = self.left.checked_sub(1).ok_or_else(|| Error::Infeasible {
            what: format!("cap: the search needs more than {} nodes", self.cap),
        })?;
        Ok(())
    }
}

/// `(n, m)` places with ties; items that a ballot leaves out come last or, if ignored, nowhere.
struct Ranked {
    places: Vec<Vec<usize>>,
    weights: Vec<i64>,
    m: usize,
}

const NOWHERE: usize = usize::MAX;

impl Ranked {
    fn new(profile: &Profile) -> Result<Self> {
        let (m, weights) = (profile.items(), profile.weights());
        if !weights.is_exact() {
            return Err(Error::range("weights", "whole numbers, for voters are counted", "others"));
        }
        let out = if profile.unranked() == Unranked::Ignore { NOWHERE } else { m };
        let lists = profile.to_lists();
        let place = |v: usize| {
            let mut places = vec![out; m];
            for (b, bucket) in lists.buckets(v).enumerate() {
                for item in bucket {
                    places[*item as usize] = b;
                }
            }
            places
        };
        #[allow(clippy::cast_possible_truncation, reason = "whole numbers below 2^53")]
        let weights = (0..profile.len()).map(|v| weights.get(v) as i64).collect();
        Ok(Self { places: (0..profile.len()).map(place).collect(), weights, m })
    }

    /// 1 where a ballot ranks `a` above `b`, -1 where below, 0 where it does neither.
    fn sign(&self, v: usize, a: usize, b: usize) -> i64 {
        let (x, y) = (self.places[v][a], self.places[v][b]);
        if x == NOWHERE || y == NOWHERE {
            return 0;
        }
        i64::from(x < y) - i64::from(y < x)
    }
}

fn young(profile: &Profile, options: &Options, stop: Stop<'_>) -> Result<Outcome> {
    let goal = i64::from(options.choice("variant", &["weak", "strict"])? == "strict");
    let cap = options.count("cap", 500_000, 1, 1 << 40)?;
    let ranked = Ranked::new(profile)?;
    let total: i64 = ranked.weights.iter().sum();
    let mut nodes = Nodes { left: cap, cap, stop };
    let mut scores = Vec::with_capacity(ranked.m);
    for a in 0..ranked.m {
        let others: Vec<usize> = (0..ranked.m).filter(|b| *b != a).collect();
        let mut kinds: BTreeMap<Vec<i64>, i64> = BTreeMap::new();
        let mut margins = vec![0; others.len()];
        for (v, weight) in ranked.weights.iter().enumerate() {
            stop.check()?;
            let signs: Vec<i64> = others.iter().map(|b| ranked.sign(v, a, *b)).collect();
            margins.iter_mut().zip(&signs).for_each(|(margin, sign)| *margin += weight * sign);
            *kinds.entry(signs).or_default() += weight;
        }
        // Nobody who ranks nothing above the item is ever left out.
        let mut kinds: Vec<(Vec<i64>, i64)> =
            kinds.into_iter().filter(|(signs, w)| *w > 0 && signs.contains(&-1)).collect();
        kinds.sort_by_key(|(signs, _)| signs.iter().sum::<i64>());
        // Without a way, every voter is left out.
        let mut search = Leaving { kinds, goal, best: total, seen: BTreeMap::new() };
        search.go(0, &mut margins, 0, &mut nodes)?;
        scores.push(0.0 - search.best as f64);
    }
    Ok(Outcome::scored(scores, true))
}

struct Leaving {
    /// Signs against the others, and how many voters have them.
    kinds: Vec<(Vec<i64>, i64)>,
    /// The least margin over each of the others.
    goal: i64,
    best: i64,
    /// The fewest left out before with the same margins and kinds to go.
    seen: BTreeMap<(usize, Vec<i64>), i64>,
}

impl Leaving {
    fn go(
        &mut self,
        at: usize,
        margins: &mut [i64],
        out: i64,
        nodes: &mut Nodes<'_>,
    ) -> Result<()> {
        nodes.next()?;
        let needs = || margins.iter().map(|margin| (self.goal - margin).max(0));
        let most = needs().max().unwrap_or(0);
        if most == 0 {
            self.best = self.best.min(out);
            return Ok(());
        }
        if out + most >= self.best || at == self.kinds.len() {
            return Ok(());
        }
        // Every voter who leaves helps against few of the others; against each, enough must be left.
        let helps = |signs: &[i64]| -> i64 {
            signs.iter().zip(needs()).map(|(sign, need)| i64::from(*sign < 0 && need > 0)).sum()
        };
        let rest = &self.kinds[at..];
        let widest = rest.iter().map(|(signs, _)| helps(signs)).max().unwrap_or(0);
        let sum: i64 = needs().sum();
        let reachable = needs().enumerate().all(|(b, need)| {
            rest.iter().filter(|(signs, _)| signs[b] < 0).map(|(_, w)| w).sum::<i64>() >= need
        });
        if !reachable || out + (sum + widest - 1) / widest.max(1) >= self.best {
            return Ok(());
        }
        let room = self.seen.len() * margins.len() < REMEMBERED;
        match self.seen.get_mut(&(at, margins.to_vec())) {
            Some(before) if *before <= out => return Ok(()),
            Some(before) => *before = out,
            None if room => {
                self.seen.insert((at, margins.to_vec()), out);
            }
            None => {}
        }
        let (signs, count) = self.kinds[at].clone();
        let most = count.min(self.best - out);
        let shift = |margins: &mut [i64], by: i64| {
            margins.iter_mut().zip(&signs).for_each(|(margin, sign)| *margin -= by * sign);
        };
        for leaving in (0..=most).rev() {
            shift(margins, leaving);
            let done = self.go(at + 1, margins, out + leaving, nodes);
            shift(margins, -leaving);
            done?;
        }
        Ok(())
    }
}

fn dodgson(profile: &Profile, options: &Options, stop: Stop<'_>) -> Result<Outcome> {
    let cap = options.count("cap", 500_000, 1, 1 << 40)?;
    if profile.rows().is_none() {
        let got = "partial or weak ballots";
        return Err(Error::range("profile", "full strict rankings", got));
    }
    let ranked = Ranked::new(profile)?;
    let mut nodes = Nodes { left: cap, cap, stop };
    let mut scores = Vec::with_capacity(ranked.m);
    for a in 0..ranked.m {
        let margin = |b: usize| -> i64 {
            ranked.weights.iter().enumerate().map(|(v, w)| w * ranked.sign(v, a, b)).sum()
        };
        // Votes that the item still needs against each other one, itself left out.
        let need = |b: usize| if b == a { 0 } else { ((-margin(b)).div_euclid(2) + 1).max(0) };
        let mut needs: Vec<i64> = (0..ranked.m).map(need).collect();
        let mut kinds: BTreeMap<Vec<(i64, usize)>, i64> = BTreeMap::new();
        for (v, weight) in ranked.weights.iter().enumerate() {
            stop.check()?;
            let own = ranked.places[v][a];
            let above = |b: &usize| ranked.places[v][*b] < own && needs[*b] > 0;
            let mut lifts: Vec<(i64, usize)> = (0..ranked.m)
                .filter(above)
                .map(|b| (i64::try_from(own - ranked.places[v][b]).unwrap_or(i64::MAX), b))
                .collect();
            lifts.sort_unstable();
            *kinds.entry(lifts).or_default() += weight;
        }
        let kinds = kinds.into_iter().filter(|(lifts, w)| *w > 0 && !lifts.is_empty());
        let mut kinds: Vec<(Vec<(i64, usize)>, i64)> = kinds.collect();
        // Ballots on which an exchange gains most come first.
        kinds.sort_by(|(a, _), (b, _)| {
            // the cost of all lifts over their number, without a division
            let cost = |own: &[(i64, usize)], other: &[(i64, usize)]| {
                i128::from(own[own.len() - 1].0) * other.len() as i128
            };
            cost(a, b).cmp(&cost(b, a)).then(a.cmp(b))
        });
        let mut search = Lifting { kinds, best: i64::MAX / 2, seen: BTreeMap::new() };
        search.go((0, 0, 0), &mut needs, 0, &mut nodes)?;
        scores.push(0.0 - search.best as f64);
    }
    Ok(Outcome::scored(scores, true))
}

struct Lifting {
    /// Items above with how far up they are, nearest first, and how many ballots are so.
    kinds: Vec<(Vec<(i64, usize)>, i64)>,
    best: i64,
    seen: BTreeMap<(Turn, Vec<i64>), i64>,
}

/// A kind, how many of its farther lifts are decided, and how many of its ballots are used.
type Turn = (usize, usize, i64);

impl Lifting {
    fn go(&mut self, at: Turn, needs: &mut [i64], cost: i64, nodes: &mut Nodes<'_>) -> Result<()> {
        nodes.next()?;
        let (kind, decided, used) = at;
        // Each exchange gains a vote against one other item at most.
        let sum: i64 = needs.iter().map(|need| (*need).max(0)).sum();
        if sum == 0 {
            self.best = self.best.min(cost);
            return Ok(());
        }
        if kind == self.kinds.len() || cost + sum.max(self.dearest(at, needs)) >= self.best {
            return Ok(());
        }
        let key: Vec<i64> = needs.iter().map(|need| (*need).max(0)).collect();
        let room = self.seen.len() * key.len() < REMEMBERED;
        match self.seen.get_mut(&(at, key.clone())) {
            Some(before) if *before <= cost => return Ok(()),
            Some(before) => *before = cost,
            None if room => {
                self.seen.insert((at, key), cost);
            }
            None => {}
        }
        let (lifts, count) = self.kinds[kind].clone();
        if decided == lifts.len() || used == count {
            return self.go((kind + 1, 0, 0), needs, cost, nodes);
        }
        let level = lifts.len() - decided;
        let (height, _) = lifts[level - 1];
        let gained = &lifts[..level];
        let most = gained.iter().map(|(_, b)| needs[*b].max(0)).max().unwrap_or(0);
        for lifted in (0..=most.min(count - used)).rev() {
            for (_, b) in gained {
                needs[*b] -= lifted;
            }
            let next = (kind, decided + 1, used + lifted);
            let done = self.go(next, needs, cost + lifted * height, nodes);
            for (_, b) in gained {
                needs[*b] += lifted;
            }
            done?;
        }
        Ok(())
    }

    /// The most that the votes against one item alone cost on the ballots that are left.
    fn dearest(&self, (kind, decided, used): Turn, needs: &[i64]) -> i64 {
        let alone = |(b, need): (usize, &i64)| {
            let mut offers: Vec<(i64, i64)> = Vec::new();
            for (k, (lifts, count)) in self.kinds.iter().enumerate().skip(kind) {
                let (open, left) = if k == kind {
                    (lifts.len() - decided, count - used)
                } else {
                    (lifts.len(), *count)
                };
                let found = lifts[..open].iter().find(|(_, item)| *item == b);
                offers.extend(found.map(|(height, _)| (*height, left)));
            }
            offers.sort_unstable();
            let (mut need, mut cost) = (*need, 0_i64);
            for (height, left) in offers {
                let taken = need.min(left);
                cost += taken * height;
                need -= taken;
            }
            if need > 0 { i64::MAX / 2 } else { cost }
        };
        needs.iter().enumerate().filter(|(_, need)| **need > 0).map(alone).max().unwrap_or(0)
    }
}
