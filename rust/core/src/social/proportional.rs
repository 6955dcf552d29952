//! Single transferable votes: several seats, surpluses and eliminations handed on.

use super::meek;
use super::options::Options;
use super::outcome::{Fact, Outcome};
use super::profile::Profile;
use super::rules::{Rule, Run};
use crate::rng::Stream;
use crate::{Error, Result, Stop};

/// The rules of this file, and of Meek's kind.
pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "stv",
        source: "Tideman 1995; weighted inclusive Gregory and rounding: Scottish Statutory \
                 Instrument 2007/42",
        laws: &["anonymous"],
        options: &["seats", "quota", "transfer", "decimals", "order", "seed"],
        run: Run::Ballots(stv),
    },
    meek::MEEK,
    meek::WARREN,
];

/// A share of a ballot at one item.
#[derive(Debug, Clone, Copy)]
struct Paper {
    ballot: u32,
    bucket: u32,
    /// In units of the smallest fraction, for each of `weight` equal papers.
    value: i128,
    weight: i128,
}

struct Count<'a> {
    buckets: &'a [Vec<Vec<usize>>],
    strict: bool,
    live: Vec<bool>,
    piles: Vec<Vec<Paper>>,
    /// Where the last parcel starts on each pile.
    parcels: Vec<usize>,
    votes: Vec<i128>,
    exhausted: i128,
}

impl Count<'_> {
    /// Hands a paper to the best live items from a bucket on; it is split equally among tied ones.
    fn hand(&mut self, paper: Paper) {
        let ballot = &self.buckets[paper.ballot as usize];
        for (number, bucket) in (paper.bucket..).zip(&ballot[paper.bucket as usize..]) {
            let live: Vec<usize> = bucket.iter().copied().filter(|i| self.live[*i]).collect();
            if !live.is_empty() {
                let value = paper.value / live.len() as i128;
                for item in live {
                    self.votes[item] += value * paper.weight;
                    self.piles[item].push(Paper { bucket: number, value, ..paper });
                }
                return;
            }
        }
        self.exhausted += paper.value * paper.weight;
    }

    /// Joins the shares of one ballot that came to an item along different ways; on ballots with
    /// ties there would otherwise be more of them with every item that leaves.
    fn join(&mut self) {
        for pile in &mut self.piles {
            pile.sort_by_key(|paper| (paper.ballot, paper.bucket));
            pile.dedup_by(|paper, kept| {
                let same = (paper.ballot, paper.bucket) == (kept.ballot, kept.bucket);
                if same {
                    kept.value += paper.value;
                }
                same
            });
        }
    }

    fn transfer(&mut self, papers: Vec<Paper>) {
        if !self.strict {
            self.join();
        }
        self.parcels = self.piles.iter().map(Vec::len).collect();
        papers.into_iter().filter(|paper| paper.value > 0).for_each(|paper| self.hand(paper));
    }
}

fn stv(profile: &Profile, options: &Options, stop: Stop<'_>) -> Result<Outcome> {
    let m = profile.items();
    let seats = seats(options, m)?;
    let decimals = options.count("decimals", 9, 0, 9)?;
    let transfer =
        options.choice("transfer", &["weighted", "inclusive", "last_parcel", "random"])?;
    let order = options.order(m)?;
    let unit = 10_i128.pow(u32::try_from(decimals).unwrap_or(9));
    let lists = profile.to_lists();
    let buckets: Vec<Vec<Vec<usize>>> = (0..lists.len())
        .map(|v| lists.buckets(v).map(|b| b.iter().map(|i| *i as usize).collect()).collect())
        .collect();
    let papers = papers(profile, unit);
    let total: i128 = papers.iter().map(|paper| paper.value * paper.weight).sum();
    let quota = quota(options, total, seats, unit)?;
    let mut count = Count {
        buckets: &buckets,
        strict: lists.is_strict(),
        live: vec![true; m],
        piles: vec![Vec::new(); m],
        parcels: vec![0; m],
        votes: vec![0; m],
        exhausted: 0,
    };
    for paper in papers {
        count.hand(paper);
    }
    let mut rounds = Rounds::new(m, seats, &order, unit);
    let mut stream = Stream::new(options.seed()?, 1);
    let mut pending: Vec<usize> = Vec::new(); // elected, with a surplus not handed on yet
    while rounds.elected.len() < seats {
        stop.check()?;
        rounds.note(&count.votes);
        for item in rounds.over(&count, quota) {
            rounds.elect(item);
            count.live[item] = false; // no further papers
            pending.push(item);
        }
        if rounds.elected.len() >= seats {
            break;
        }
        let hopeful: Vec<usize> = order.iter().copied().filter(|i| count.live[*i]).collect();
        if hopeful.len() + rounds.elected.len() <= seats {
            let mut rest = hopeful;
            rest.sort_by(|a, b| count.votes[*b].cmp(&count.votes[*a]));
            for item in rest {
                rounds.elect(item);
            }
            break;
        }
        if let Some(item) = rounds.largest(&mut pending, &count.votes) {
            let moved = surplus(&mut count, item, quota, transfer, &mut stream);
            count.transfer(moved);
        } else if let Some(item) = rounds.lowest(&hopeful, &count.votes) {
            rounds.dropped.push(item);
            count.live[item] = false;
            let pile = std::mem::take(&mut count.piles[item]);
            count.votes[item] = 0;
            count.transfer(pile);
        }
    }
    let scale = unit as f64;
    let outcome = rounds.outcome(m, &count.votes);
    let exhausted = count.exhausted as f64 / scale;
    Ok(outcome
        .with("quota", Fact::Number(quota as f64 / scale))
        .with("exhausted", Fact::Number(exhausted)))
}

pub(crate) fn seats(options: &Options, m: usize) -> Result<usize> {
    options.count("seats", 1, 1, m)
}

/// One paper per ballot; weights that are no integers go into the value.
fn papers(profile: &Profile, unit: i128) -> Vec<Paper> {
    let exact = profile.weights().is_exact();
    let paper = |v: usize| {
        let weight = profile.weights().get(v);
        #[allow(clippy::cast_possible_truncation, reason = "rounded to the smallest fraction")]
        let (value, weight) = if exact {
            (unit, weight as i128)
        } else {
            ((weight * unit as f64).round() as i128, 1)
        };
        Paper { ballot: u32::try_from(v).unwrap_or(u32::MAX), bucket: 0, value, weight }
    };
    (0..profile.len()).map(paper).collect()
}

fn quota(options: &Options, total: i128, seats: usize, unit: i128) -> Result<i128> {
    let seats = seats as i128;
    Ok(match options.choice("quota", &["droop", "exact_droop", "hare"])? {
        "droop" => (total / (unit * (seats + 1)) + 1) * unit,
        // The least number of units above the share, so that no more items than seats can reach it.
        "exact_droop" => total / (seats + 1) + 1,
        _ => total / seats + i128::from(total % seats != 0),
    })
}

/// Takes an elected item's surplus off its pile.
fn surplus(
    count: &mut Count<'_>,
    item: usize,
    quota: i128,
    transfer: &str,
    stream: &mut Stream,
) -> Vec<Paper> {
    let (votes, surplus) = (count.votes[item], count.votes[item] - quota);
    let mut pile = std::mem::take(&mut count.piles[item]);
    count.votes[item] = quota;
    let papers: i128 = pile.iter().map(|paper| paper.weight).sum();
    match transfer {
        "weighted" => {
            for paper in &mut pile {
                paper.value = paper.value * surplus / votes;
            }
        }
        "inclusive" => {
            for paper in &mut pile {
                paper.value = paper.value.min(surplus / papers);
            }
        }
        "last_parcel" => {
            let mut parcel = pile.split_off(count.parcels[item].min(pile.len()));
            if parcel.is_empty() {
                parcel = std::mem::take(&mut pile);
            }
            pile = parcel;
            let papers: i128 = pile.iter().map(|paper| paper.weight).sum();
            for paper in &mut pile {
                paper.value = paper.value.min(surplus / papers);
            }
        }
        _ => {
            stream.shuffle(&mut pile);
            let mut left = surplus;
            for paper in &mut pile {
                let whole = paper.value * paper.weight;
                if whole > left {
                    paper.value = left / paper.weight;
                    left = 0;
                } else {
                    left -= whole;
                }
            }
        }
    }
    pile
}

/// What happened so far: tallies of every stage, who is in and who is out.
struct Rounds<'a> {
    history: Vec<Vec<i128>>,
    elected: Vec<usize>,
    dropped: Vec<usize>,
    seats: usize,
    order: &'a [usize],
    unit: i128,
}

impl<'a> Rounds<'a> {
    fn new(_: usize, seats: usize, order: &'a [usize], unit: i128) -> Self {
        let (history, elected, dropped) = (Vec::new(), Vec::new(), Vec::new());
        Self { history, elected, dropped, seats, order, unit }
    }

    fn note(&mut self, votes: &[i128]) {
        self.history.push(votes.to_vec());
    }

    fn elect(&mut self, item: usize) {
        if self.elected.len() < self.seats {
            self.elected.push(item);
        }
    }

    /// The latest earlier stage at which two items differed decides, then the order.
    fn earlier(&self, a: usize, b: usize) -> std::cmp::Ordering {
        let stages = self.history.iter().rev().map(|votes| votes[a].cmp(&votes[b]));
        let place = |item: usize| self.order.iter().position(|x| *x == item);
        stages.into_iter().find(|o| o.is_ne()).unwrap_or_else(|| place(b).cmp(&place(a)))
    }

    /// Hopeful items that reach the quota, the one with most votes first.
    fn over(&self, count: &Count<'_>, quota: i128) -> Vec<usize> {
        let mut over: Vec<usize> = (0..count.live.len())
            .filter(|item| count.live[*item] && count.votes[*item] >= quota)
            .collect();
        over.sort_by(|a, b| {
            count.votes[*b].cmp(&count.votes[*a]).then_with(|| self.earlier(*b, *a))
        });
        over
    }

    fn largest(&self, pending: &mut Vec<usize>, votes: &[i128]) -> Option<usize> {
        let best = (0..pending.len()).max_by(|i, j| {
            let (a, b) = (pending[*i], pending[*j]);
            votes[a].cmp(&votes[b]).then_with(|| self.earlier(a, b))
        })?;
        Some(pending.remove(best))
    }

    fn lowest(&self, hopeful: &[usize], votes: &[i128]) -> Option<usize> {
        hopeful
            .iter()
            .copied()
            .min_by(|a, b| votes[*a].cmp(&votes[*b]).then_with(|| self.earlier(*a, *b)))
    }

    fn outcome(self, m: usize, votes: &[i128]) -> Outcome {
        let mut rest: Vec<usize> = (0..m)
            .filter(|item| !self.elected.contains(item) && !self.dropped.contains(item))
            .collect();
        rest.sort_by(|a, b| votes[*b].cmp(&votes[*a]));
        let mut order = self.elected.clone();
        order.extend(rest);
        order.extend(self.dropped.iter().rev());
        let mut outcome = Outcome::ordered(&order);
        outcome.winners.clone_from(&self.elected);
        outcome.winners.sort_unstable();
        let scale = self.unit as f64;
        let stages = self.history.iter().flatten().map(|votes| *votes as f64 / scale).collect();
        outcome
            .with("elected", Fact::Items(self.elected))
            .with("dropped", Fact::Items(self.dropped))
            .with("tallies", Fact::Matrix(stages, m))
    }
}

/// [`Error::Range`] for ballots with ties.
pub(crate) fn strict_only(profile: &Profile, rule: &str) -> Result<super::lists::Lists> {
    let lists = profile.to_lists();
    if lists.is_strict() {
        return Ok(lists);
    }
    let expected = format!("ballots without ties for {rule}");
    Err(Error::range("profile", &expected, "tied items"))
}
