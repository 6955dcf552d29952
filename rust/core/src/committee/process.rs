//! Rules that choose one item after another, with a state of their own.

use std::collections::BTreeMap;

use super::bounds::{Bounds, Room};
use super::outcome::{Committee, Options, Step};
use crate::Result;

/// A rule as a sequence of choices.
pub(super) trait Process {
    /// What is remembered between choices.
    type State: Clone;
    /// What of a state decides all later choices, beside the members.
    type Key: Ord;

    fn start(&self) -> Self::State;

    /// All items tied for the next choice among those that `allowed` admits, sorted; none when the rule
    /// is done.
    fn choices(
        &self,
        state: &mut Self::State,
        members: &[usize],
        allowed: &dyn Fn(usize) -> bool,
    ) -> Result<Vec<usize>>;

    /// Makes a choice and returns its price or gain.
    fn choose(&self, state: &mut Self::State, item: usize) -> f64;

    fn key(&self, state: &mut Self::State) -> Self::Key;
}

/// Runs a process; items that would make the bounds unattainable are passed over.
pub(super) fn run<P: Process>(
    process: &P,
    bounds: &Bounds,
    options: &Options<'_>,
) -> Result<Committee> {
    let mut state = process.start();
    let mut room = bounds.open();
    let (mut members, mut steps) = (Vec::new(), Vec::new());
    while members.len() < bounds.size() {
        options.stop.check()?;
        let choices = process.choices(&mut state, &members, &|item| bounds.fits(&room, item))?;
        let Some(item) = choices.first().copied() else { break };
        steps.push(Step { item, gain: process.choose(&mut state, item) });
        bounds.take(&mut room, item);
        members.push(item);
    }
    let (tied, complete) =
        if options.resolute { (Vec::new(), true) } else { branches(process, bounds, options)? };
    Ok(Committee {
        members,
        value: None,
        upper_bound: None,
        optimal: false,
        steps,
        tied,
        complete,
        method: "sequential",
    })
}

type Level<P> = BTreeMap<(Vec<usize>, <P as Process>::Key), (<P as Process>::State, Room)>;

/// Every committee that some way of breaking ties leads to.
fn branches<P: Process>(
    process: &P,
    bounds: &Bounds,
    options: &Options<'_>,
) -> Result<(Vec<Vec<usize>>, bool)> {
    let mut complete = true;
    let mut done = Vec::new();
    let mut start = process.start();
    let key = process.key(&mut start);
    let mut level: Level<P> = BTreeMap::from([((Vec::new(), key), (start, bounds.open()))]);
    while !level.is_empty() {
        let mut next: Level<P> = BTreeMap::new();
        for ((members, _), (mut state, room)) in level {
            options.stop.check()?;
            let choices = if members.len() < bounds.size() {
                process.choices(&mut state, &members, &|item| bounds.fits(&room, item))?
            } else {
                Vec::new()
            };
            if choices.is_empty() {
                done.push(members);
                continue;
            }
            for item in choices {
                if next.len() >= options.cap {
                    complete = false;
                    break;
                }
                let (mut state, mut room) = (state.clone(), room.clone());
                process.choose(&mut state, item);
                bounds.take(&mut room, item);
                let mut set = members.clone();
                set.insert(set.partition_point(|other| *other < item), item);
                let key = process.key(&mut state);
                next.entry((set, key)).or_insert((state, room));
            }
        }
        level = next;
    }
    done.sort_unstable();
    done.dedup();
    Ok((done, complete))
}
