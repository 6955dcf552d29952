//! Greedy over the committees that can still be completed, plainly and lazily.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use super::amount::{Amount, Unit};
use super::bounds::{Bounds, Room};
use super::objective::{Objective, gains};
use super::outcome::{Found, Options, Sampling};
use crate::rng::Stream;
use crate::{Error, Result};

/// Adds the item with the largest gain until the committee is full; the lowest item among equals.
///
/// Free, it reaches `1 - 1/e` of the best value; over a matroid one half; for modular objectives the best.
///
/// Source: Nemhauser, Wolsey and Fisher 1978, section 4; Fisher, Nemhauser and Wolsey 1978, theorem 2.1.
pub(super) fn plain<O: Objective>(
    objective: &O,
    bounds: &Bounds,
    options: &Options<'_>,
) -> Result<Found> {
    let unit = objective.unit();
    let mut run = Run::new(objective, bounds);
    let mut left: Vec<usize> = (0..objective.items()).collect();
    while run.room.size < bounds.size() {
        left.retain(|item| bounds.fits(&run.room, *item));
        let gains = gains(objective, &run.state, &left, options.threads, options.stop)?;
        if run.members.is_empty() || run.members.len() == bounds.size() / 2 {
            run.cap(bounds, left.iter().copied().zip(gains.iter().copied()));
        }
        let best = left.iter().zip(&gains).max_by_key(|(item, g)| (unit.key(**g), Reverse(**item)));
        let Some((item, gain)) = best.map(|(item, gain)| (*item, *gain)) else { break };
        run.take(objective, bounds, item, gain);
    }
    let all: Vec<usize> = (0..objective.items()).collect();
    let last = gains(objective, &run.state, &all, options.threads, options.stop)?;
    let taken = &run.members;
    let last: Vec<(usize, Amount)> = all
        .into_iter()
        .zip(last)
        .map(|(item, gain)| (item, if taken.contains(&item) { 0 } else { gain }))
        .collect();
    let value = run.value;
    run.upper = run.upper.min(value + completion(bounds, &bounds.open(), last));
    Ok(run.finish(unit, objective.is_modular() && bounds.is_matroid()))
}

/// Greedy that looks at `m / k ln(1 / epsilon)` random items in each round: `m ln(1 / epsilon)` gains in all.
///
/// Free, it reaches `1 - 1/e - epsilon` of the best value in expectation.
///
/// Source: Mirzasoleiman et al. 2015, algorithm 1.
pub(super) fn stochastic<O: Objective>(
    objective: &O,
    bounds: &Bounds,
    options: &Options<'_>,
) -> Result<Found> {
    let Sampling { epsilon, seed } = options.sampling;
    if !(epsilon > 0.0 && epsilon < 1.0) {
        return Err(Error::range("epsilon", "a number above 0 and below 1", epsilon));
    }
    let (m, k, unit) = (objective.items(), bounds.size(), objective.unit());
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most m is used")]
    let share = (m as f64 / k.max(1) as f64 * -epsilon.ln()).ceil() as usize;
    let mut run = Run::new(objective, bounds);
    let mut left: Vec<usize> = (0..m).collect();
    while run.room.size < k {
        left.retain(|item| bounds.fits(&run.room, *item) && !run.members.contains(item));
        let (mut sample, mut stream) = (left.clone(), Stream::new(seed, run.members.len() as u64));
        let count = share.clamp(1, sample.len().max(1)).min(sample.len());
        for i in 0..count {
            let other = i + stream.below(sample.len() - i);
            sample.swap(i, other);
        }
        sample.truncate(count);
        let gains = gains(objective, &run.state, &sample, options.threads, options.stop)?;
        let tried = sample.iter().zip(&gains);
        let best = tried.max_by_key(|(item, gain)| (unit.key(**gain), Reverse(**item)));
        let Some((item, gain)) = best.map(|(item, gain)| (*item, *gain)) else { break };
        run.take(objective, bounds, item, gain);
    }
    let all: Vec<usize> = (0..m).collect();
    let last = gains(objective, &run.state, &all, options.threads, options.stop)?;
    let outside = |(item, gain)| (item, if run.members.contains(&item) { 0 } else { gain });
    let last: Vec<(usize, Amount)> = all.into_iter().zip(last).map(outside).collect();
    run.upper = run.value + completion(bounds, &bounds.open(), last);
    let mut found = run.finish(unit, false);
    found.method = "stochastic";
    Ok(found)
}

/// The same committee with far fewer gains evaluated: a gain that was computed for a smaller committee is
/// an upper bound now.
///
/// Source: Minoux 1978; Leskovec et al. 2007 (CELF).
pub(super) fn lazy<O: Objective>(
    objective: &O,
    bounds: &Bounds,
    options: &Options<'_>,
) -> Result<Found> {
    let unit = objective.unit();
    let mut run = Run::new(objective, bounds);
    let items: Vec<usize> =
        (0..objective.items()).filter(|item| bounds.fits(&run.room, *item)).collect();
    let first = gains(objective, &run.state, &items, options.threads, options.stop)?;
    run.cap(bounds, items.iter().copied().zip(first.iter().copied()));
    let entries = items.iter().zip(first);
    let mut heap: BinaryHeap<Bid> =
        entries.map(|(item, gain)| Bid::new(unit, *item, gain, 0)).collect();
    let mut refused = Vec::new();
    let mut fresh = 0;
    while run.room.size < bounds.size() {
        options.stop.check()?;
        let Some(bid) = heap.pop() else { break };
        if !bounds.fits(&run.room, bid.item.0) {
            refused.push(bid);
        } else if bid.round == run.members.len() {
            run.take(objective, bounds, bid.item.0, bid.gain);
            // Where laziness saved little it will again: all at once is done by all threads.
            if fresh * 2 > heap.len() && run.room.size < bounds.size() {
                let fits = |bid: &Bid| bounds.fits(&run.room, bid.item.0);
                let (open, closed): (Vec<Bid>, Vec<Bid>) = heap.into_iter().partition(fits);
                refused.extend(closed);
                (heap, fresh) = renewed(objective, &run, open, options)?;
            } else {
                fresh = 0;
            }
        } else {
            fresh += 1;
            let gain = objective.gain(&run.state, bid.item.0);
            heap.push(Bid::new(unit, bid.item.0, gain, run.members.len()));
        }
    }
    heap.extend(refused);
    let (rest, value) = (last_bound(objective, bounds, &run, heap, options)?, run.value);
    run.upper = run.upper.min(value + rest);
    Ok(run.finish(unit, objective.is_modular() && bounds.is_matroid()))
}

/// All bids evaluated anew, and how many of them would have been without this.
fn renewed<O: Objective>(
    objective: &O,
    run: &Run<O::State>,
    bids: Vec<Bid>,
    options: &Options<'_>,
) -> Result<(BinaryHeap<Bid>, usize)> {
    let (items, stale): (Vec<usize>, Vec<Amount>) =
        bids.into_iter().map(|bid| (bid.item.0, bid.gain)).unzip();
    let all = gains(objective, &run.state, &items, options.threads, options.stop)?;
    let unit = objective.unit();
    let best = all.iter().copied().max().unwrap_or(0);
    let needed = stale.iter().filter(|gain| **gain >= best).count();
    let bid = |(item, gain): (&usize, Amount)| Bid::new(unit, *item, gain, run.members.len());
    Ok((items.iter().zip(all).map(bid).collect(), needed))
}

/// The largest sum of gains at the full committee over sets within the bounds; members gain 0.
fn last_bound<O: Objective>(
    objective: &O,
    bounds: &Bounds,
    run: &Run<O::State>,
    mut heap: BinaryHeap<Bid>,
    options: &Options<'_>,
) -> Result<Amount> {
    let unit = objective.unit();
    let round = run.members.len();
    let mut open = bounds.open();
    let mut sum = 0;
    let relaxed = !bounds.is_matroid();
    heap.extend(run.members.iter().map(|item| Bid::new(unit, *item, 0, round)));
    while open.size < bounds.size() {
        options.stop.check()?;
        let Some(bid) = heap.pop() else { break };
        if !relaxed && !bounds.fits(&open, bid.item.0) {
            continue; // nor will it later: its gain need not be known
        }
        if bid.round == round {
            if relaxed {
                open.size += 1;
            } else {
                bounds.take(&mut open, bid.item.0);
            }
            sum += bid.gain;
        } else {
            let gain = objective.gain(&run.state, bid.item.0);
            heap.push(Bid::new(unit, bid.item.0, gain, round));
        }
    }
    Ok(sum)
}

/// The largest sum of gains over completions of a room.
pub(super) fn completion(bounds: &Bounds, room: &Room, mut gains: Vec<(usize, Amount)>) -> Amount {
    let left = bounds.size() - room.size;
    if bounds.is_free() && left < gains.len() && left > 0 {
        gains.select_nth_unstable_by_key(left - 1, |(_, gain)| Reverse(*gain));
        gains.truncate(left);
    } else {
        gains.sort_unstable_by_key(|(item, gain)| (Reverse(*gain), *item));
    }
    bounds.best_completion(room, gains.into_iter()).unwrap_or(0)
}

/// Every committee that some way of breaking ties leads to.
pub(super) fn branches<O: Objective>(
    objective: &O,
    bounds: &Bounds,
    options: &Options<'_>,
) -> Result<(Vec<Vec<usize>>, bool)> {
    let unit = objective.unit();
    let mut complete = true;
    let mut level = BTreeMap::from([(Vec::new(), (objective.empty(), bounds.open()))]);
    for _ in 0..bounds.size() {
        let mut next = BTreeMap::new();
        for (members, (state, room)) in level {
            let fits: Vec<usize> =
                (0..objective.items()).filter(|item| bounds.fits(&room, *item)).collect();
            let gains = gains(objective, &state, &fits, options.threads, options.stop)?;
            let best = gains.iter().map(|gain| unit.key(*gain)).max();
            for (item, _) in
                fits.iter().zip(&gains).filter(|(_, gain)| Some(unit.key(**gain)) == best)
            {
                let mut set: Vec<usize> = members.clone();
                set.insert(set.partition_point(|other| other < item), *item);
                if next.contains_key(&set) {
                    continue;
                }
                if next.len() >= options.cap {
                    complete = false;
                    break;
                }
                let (mut state, mut room) = (state.clone(), room.clone());
                objective.add(&mut state, *item);
                bounds.take(&mut room, *item);
                next.insert(set, (state, room));
            }
        }
        level = next;
    }
    Ok((level.into_keys().collect(), complete))
}

/// A gain in the queue: largest first, then lowest item.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Bid {
    key: Amount,
    item: Reverse<usize>,
    gain: Amount,
    round: usize,
}

impl Bid {
    fn new(unit: Unit, item: usize, gain: Amount, round: usize) -> Self {
        Self { key: unit.key(gain), item: Reverse(item), gain, round }
    }
}

/// A committee in the making.
struct Run<S> {
    state: S,
    room: Room,
    members: Vec<usize>,
    gains: Vec<Amount>,
    value: Amount,
    upper: Amount,
}

impl<S> Run<S> {
    fn new<O: Objective<State = S>>(objective: &O, bounds: &Bounds) -> Self {
        Self {
            state: objective.empty(),
            room: bounds.open(),
            members: Vec::with_capacity(bounds.size()),
            gains: Vec::with_capacity(bounds.size()),
            value: 0,
            upper: Amount::MAX,
        }
    }

    fn take<O: Objective<State = S>>(
        &mut self,
        objective: &O,
        bounds: &Bounds,
        item: usize,
        gain: Amount,
    ) {
        objective.add(&mut self.state, item);
        bounds.take(&mut self.room, item);
        self.members.push(item);
        self.gains.push(gain);
        self.value += gain;
    }

    /// Lowers the upper bound to value plus the best sum of gains of all that may be added.
    ///
    /// Only sound where the gains are of every item that a committee within the bounds may have.
    fn cap(&mut self, bounds: &Bounds, gains: impl Iterator<Item = (usize, Amount)>) {
        let mut all: Vec<(usize, Amount)> = gains.collect();
        if self.members.is_empty() || bounds.is_free() {
            all.extend(self.members.iter().map(|item| (*item, 0)));
            let most = completion(bounds, &bounds.open(), all);
            self.upper = self.upper.min(self.value + most);
        }
    }

    fn finish(self, unit: Unit, optimal: bool) -> Found {
        let upper = if optimal { self.value } else { self.upper.max(self.value) };
        debug_assert!(unit.key(upper) >= unit.key(self.value));
        Found {
            members: self.members,
            value: self.value,
            upper,
            gains: self.gains,
            tied: Vec::new(),
            complete: true,
            optimal,
            method: "greedy",
        }
    }
}
