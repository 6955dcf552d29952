//! Who stands first, or last, among the items that remain.

use super::cells::{Cell, Cells};
use super::lists::Lists;
use super::profile::{Ballots, Profile};
use crate::{Result, Stop, parallel};

/// Ballots of a part: parts are worked on side by side, and do not depend on how many are.
const PART: usize = 1 << 16;

/// First places among live items, kept up to date as items leave.
///
/// On strict ballots every ballot keeps a cursor that only moves on, and only the ballots of an item
/// that leaves are touched: all rounds together cost no more than the ballots' length. On weak ones a
/// ballot's weight is shared equally by the live items of its best live bucket, and counted anew.
pub(crate) struct Tally<'a> {
    profile: &'a Profile,
    threads: Option<usize>,
    live: Vec<bool>,
    votes: Vec<f64>,
    parts: Vec<Part<'a>>,
}

/// Some strict ballots that stand together.
struct Part<'a> {
    orders: Orders<'a>,
    weights: Option<&'a [f64]>,
    votes: Vec<f64>,
    cursors: Vec<u16>,
    /// Ballots of this part by their best live item.
    piles: Vec<Vec<u32>>,
}

/// Items of ballots from the best to the worst, one ballot after the other.
enum Orders<'a> {
    U8(&'a [u8]),
    U16(&'a [u16]),
}

impl Part<'_> {
    /// Hands the ballots of items that left to the best live ones.
    fn hand_on(&mut self, gone: &[usize], live: &[bool]) {
        for item in gone {
            self.votes[*item] = 0.0;
            let pile = std::mem::take(&mut self.piles[*item]);
            self.deal(&pile, live);
        }
    }

    fn deal(&mut self, ballots: &[u32], live: &[bool]) {
        match self.orders {
            Orders::U8(order) => self.deal_of(order, ballots, live),
            Orders::U16(order) => self.deal_of(order, ballots, live),
        }
    }

    /// Moves ballots on to their best live item.
    fn deal_of<C: Cell>(&mut self, order: &[C], ballots: &[u32], live: &[bool]) {
        let m = live.len();
        for &ballot in ballots {
            let v = ballot as usize;
            let (row, first) = (&order[v * m..(v + 1) * m], usize::from(self.cursors[v]));
            let further = row[first..].iter().position(|item| live[(*item).into()]);
            self.cursors[v] = u16::of(further.map_or(m, |further| first + further));
            if let Some(further) = further {
                let item: usize = row[first + further].into();
                self.votes[item] += self.weights.map_or(1.0, |weights| weights[v]);
                self.piles[item].push(ballot);
            }
        }
    }
}

impl<'a> Tally<'a> {
    pub(crate) fn new(profile: &'a Profile, live: Vec<bool>, threads: Option<usize>) -> Self {
        let m = profile.items();
        let parts = profile.rows().map_or_else(Vec::new, |rows| {
            let stretch = |start: usize| start..(start + PART).min(profile.len());
            (0..profile.len())
                .step_by(PART)
                .map(stretch)
                .map(|ballots| {
                    let cells = ballots.start * m..ballots.end * m;
                    Part {
                        orders: match &rows.order {
                            Cells::U8(order) => Orders::U8(&order[cells]),
                            Cells::U16(order) => Orders::U16(&order[cells]),
                        },
                        weights: profile
                            .weights()
                            .values()
                            .map(|weights| &weights[ballots.clone()]),
                        votes: vec![0.0; m],
                        cursors: vec![0; ballots.len()],
                        piles: vec![Vec::new(); m],
                    }
                })
                .collect()
        });
        let mut tally = Self { profile, threads, live, votes: vec![0.0; m], parts };
        tally.each(|part, live| {
            let everyone: Vec<u32> = (0_u32..).take(part.cursors.len()).collect();
            part.deal(&everyone, live);
        });
        tally
    }

    /// Does something to every part, and counts anew.
    fn each(&mut self, work: impl Fn(&mut Part<'a>, &[bool]) + Sync + Send) {
        if self.profile.rows().is_none() {
            self.votes = first_places(self.profile, &self.live);
            return;
        }
        let Self { threads, live, parts, .. } = self;
        parallel::each(parts.iter_mut().collect(), *threads, |part| work(part, live));
        self.votes.fill(0.0);
        for part in &self.parts {
            self.votes.iter_mut().zip(&part.votes).for_each(|(all, some)| *all += some);
        }
    }

    /// Weights of first places, by item; 0 for items that left.
    pub(crate) fn votes(&self) -> &[f64] {
        &self.votes
    }

    pub(crate) fn is_live(&self, item: usize) -> bool {
        self.live[item]
    }

    /// Items that remain, rising.
    pub(crate) fn live(&self) -> Vec<usize> {
        (0..self.live.len()).filter(|item| self.live[*item]).collect()
    }

    /// Takes items out and hands their ballots on.
    pub(crate) fn drop(&mut self, gone: &[usize]) {
        for item in gone {
            self.live[*item] = false;
        }
        self.each(|part, live| part.hand_on(gone, live));
    }
}

/// Weights of first places among live items; tied ones share equally.
pub(crate) fn first_places(profile: &Profile, live: &[bool]) -> Vec<f64> {
    let mut votes = vec![0.0; profile.items()];
    match profile.ballots() {
        Ballots::Full(rows) => {
            let m = profile.items();
            for v in 0..profile.len() {
                let row = (0..m).map(|r| rows.order.get(v * m + r));
                if let Some(item) = row.into_iter().find(|item| live[*item]) {
                    votes[item] += profile.weights().get(v);
                }
            }
        }
        Ballots::Lists(lists) => {
            for v in 0..lists.len() {
                if let Some(best) = best_bucket(lists, v, live) {
                    let share = profile.weights().get(v) / best.len() as f64;
                    for item in best {
                        votes[item] += share;
                    }
                }
            }
        }
    }
    votes
}

/// The live items of the best bucket that has any.
pub(crate) fn best_bucket(lists: &Lists, ballot: usize, live: &[bool]) -> Option<Vec<usize>> {
    lists
        .buckets(ballot)
        .map(|bucket| {
            bucket.iter().map(|item| *item as usize).filter(|item| live[*item]).collect::<Vec<_>>()
        })
        .find(|bucket| !bucket.is_empty())
}

/// Weights of last places among live items; unranked ones share the last place.
pub(crate) fn last_places(profile: &Profile, live: &[bool], stop: Stop<'_>) -> Result<Vec<f64>> {
    stop.check()?;
    let mut votes = vec![0.0; profile.items()];
    match profile.ballots() {
        Ballots::Full(rows) => {
            let m = profile.items();
            for v in 0..profile.len() {
                let mut row = (0..m).rev().map(|r| rows.order.get(v * m + r));
                if let Some(item) = row.find(|item| live[*item]) {
                    votes[item] += profile.weights().get(v);
                }
            }
        }
        Ballots::Lists(lists) => {
            for v in 0..lists.len() {
                let mut ranked = vec![false; live.len()];
                lists.ballot(v).iter().for_each(|item| ranked[*item as usize] = true);
                let mut last: Vec<usize> =
                    (0..live.len()).filter(|item| live[*item] && !ranked[*item]).collect();
                if last.is_empty() {
                    let buckets: Vec<&[u32]> = lists.buckets(v).collect();
                    let lives = buckets.iter().rev().map(|bucket| {
                        bucket.iter().map(|i| *i as usize).filter(|i| live[*i]).collect::<Vec<_>>()
                    });
                    last = lives.into_iter().find(|bucket| !bucket.is_empty()).unwrap_or_default();
                }
                let share = profile.weights().get(v) / last.len().max(1) as f64;
                for item in last {
                    votes[item] += share;
                }
            }
        }
    }
    Ok(votes)
}
