//! Who stands first, or last, among the items that remain.

use super::cells::{Cell, Cells};
use super::lists::Lists;
use super::profile::{Ballots, Profile};
use crate::{Result, Stop};

/// First places among live items, kept up to date as items leave.
///
/// On strict ballots every ballot keeps a cursor that only moves on, and only the ballots of an item
/// that leaves are touched: all rounds together cost no more than the ballots' length. On weak ones a
/// ballot's weight is shared equally by the live items of its best live bucket, and counted anew.
pub(crate) struct Tally<'a> {
    profile: &'a Profile,
    live: Vec<bool>,
    votes: Vec<f64>,
    cursors: Vec<u16>,
    piles: Vec<Vec<u32>>,
}

impl<'a> Tally<'a> {
    pub(crate) fn new(profile: &'a Profile, live: Vec<bool>) -> Self {
        let m = profile.items();
        let piles = vec![Vec::new(); m];
        let mut tally = Self { profile, live, votes: vec![0.0; m], cursors: Vec::new(), piles };
        if let Some(rows) = profile.rows() {
            tally.cursors = vec![0; profile.len()];
            let everyone: Vec<u32> =
                (0..u32::try_from(profile.len()).unwrap_or(u32::MAX)).collect();
            match &rows.order {
                Cells::U8(order) => tally.deal(order, &everyone),
                Cells::U16(order) => tally.deal(order, &everyone),
            }
        } else {
            tally.votes = first_places(profile, &tally.live);
        }
        tally
    }

    /// Moves ballots on to their best live item.
    fn deal<C: Cell>(&mut self, order: &[C], ballots: &[u32]) {
        let Self { profile, live, votes, cursors, piles } = self;
        let (m, weights) = (profile.items(), profile.weights().values());
        for &ballot in ballots {
            let v = ballot as usize;
            let (row, first) = (&order[v * m..(v + 1) * m], usize::from(cursors[v]));
            let further = row[first..].iter().position(|item| live[(*item).into()]);
            cursors[v] = u16::of(further.map_or(m, |further| first + further));
            if let Some(further) = further {
                let item: usize = row[first + further].into();
                votes[item] += weights.map_or(1.0, |weights| weights[v]);
                piles[item].push(ballot);
            }
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
            self.votes[*item] = 0.0;
        }
        let Some(rows) = self.profile.rows() else {
            self.votes = first_places(self.profile, &self.live);
            return;
        };
        for item in gone {
            let pile = std::mem::take(&mut self.piles[*item]);
            match &rows.order {
                Cells::U8(order) => self.deal(order, &pile),
                Cells::U16(order) => self.deal(order, &pile),
            }
        }
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
