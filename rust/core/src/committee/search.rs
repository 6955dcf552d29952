//! Swaps and branch and bound.

use std::cmp::Reverse;

use super::amount::{Amount, Unit};
use super::bounds::{Bounds, Room};
use super::greedy::{branches, completion, lazy, plain, stochastic};
use super::objective::{Objective, gains};
use super::outcome::{Committee, DEPTH, Found, Method, Options, check_depth};
use super::worths::{Built, with};
use crate::Result;

/// Committees times steps per gain below which `auto` is exact.
const EXACT_WORK: f64 = 3e6;
/// Steps of one pass of swaps below which `auto` improves the greedy committee.
const SWAP_WORK: f64 = 2e8;

/// The committee that `options.method` finds for the objective of a rule.
pub(super) fn optimise(
    built: &Built<'_>,
    bounds: &Bounds,
    options: &Options<'_>,
) -> Result<Committee> {
    with!(built, objective => maximise(objective, bounds, options))
}

/// What members are worth.
pub(super) fn value(built: &Built<'_>, members: &[usize]) -> f64 {
    with!(built, objective => {
        objective.unit().value(objective.state_of(members.iter().copied()).1)
    })
}

fn maximise<O: Objective>(
    objective: &O,
    bounds: &Bounds,
    options: &Options<'_>,
) -> Result<Committee> {
    let method = match options.method {
        Method::Auto => choose(objective, bounds, options),
        given => given,
    };
    let greedy = || match (options.method, objective.cost() > 4) {
        (Method::Stochastic, _) => stochastic(objective, bounds, options),
        (Method::Plain, _) | (_, false) => plain(objective, bounds, options),
        _ => lazy(objective, bounds, options),
    };
    let mut found = greedy()?;
    match method {
        Method::Stochastic | Method::SinglePeaked => {}
        Method::Auto | Method::Greedy | Method::Plain => {
            if !options.resolute {
                (found.tied, found.complete) = branches(objective, bounds, options)?;
            }
        }
        Method::Swap => swap(objective, bounds, &mut found, options)?,
        Method::Exact => {
            if !found.optimal {
                swap(objective, bounds, &mut found, options)?;
            }
            if !found.optimal || !options.resolute {
                exact(objective, bounds, &mut found, options)?;
            }
            found.method = "exact";
        }
    }
    Ok(found.finish(objective.unit()))
}

fn choose<O: Objective>(objective: &O, bounds: &Bounds, options: &Options<'_>) -> Method {
    let (m, k, cost) = (bounds.items(), bounds.size(), objective.cost() as f64);
    let committees: f64 = (0..k.min(m - k)).map(|i| (m - i) as f64 / (i + 1) as f64).product();
    let solved = objective.is_modular() && bounds.is_matroid() && options.resolute;
    if solved || (k <= DEPTH && committees * cost <= EXACT_WORK) {
        Method::Exact
    } else if options.resolute && k as f64 * m as f64 * cost <= SWAP_WORK {
        Method::Swap
    } else {
        Method::Greedy
    }
}

/// Exchanges one member for the best outsider as long as the value grows.
///
/// Where every voter counts their best member, the second best is remembered, so that a member is taken
/// away and every exchange for it evaluated by one look at each voter.
///
/// Source: Nemhauser, Wolsey and Fisher 1978, section 5 (interchange heuristic).
fn swap<O: Objective>(
    objective: &O,
    bounds: &Bounds,
    found: &mut Found,
    options: &Options<'_>,
) -> Result<()> {
    let unit = objective.unit();
    let mut quiet = 0; // members in a row that could not be exchanged
    let mut position = 0;
    let mut memory = objective.remember(&found.members);
    found.method = "swap";
    while quiet < found.members.len() && !found.optimal {
        if options.stop.expired() {
            found.complete = false;
            break;
        }
        let mut others = found.members.clone();
        let old = others.remove(position);
        let Some(room) = bounds.room_of(&others) else { break };
        let (state, value) = objective.without(&memory, &found.members, position);
        let fits: Vec<usize> = (0..objective.items())
            .filter(|item| *item != old && bounds.fits(&room, *item))
            .collect();
        let gains = gains(objective, &state, &fits, options.threads, options.stop)?;
        let best =
            fits.iter().zip(&gains).max_by_key(|(item, gain)| (unit.key(**gain), Reverse(**item)));
        quiet += 1;
        if let Some((item, gain)) = best
            && unit.key(value + gain) > unit.key(found.value)
        {
            found.members[position] = *item;
            found.value = value + gain;
            memory = objective.remember(&found.members);
            quiet = 0;
        }
        position = (position + 1) % found.members.len();
    }
    refresh(objective, found);
    Ok(())
}

/// Gains in the order of the members.
fn refresh<O: Objective>(objective: &O, found: &mut Found) {
    let mut state = objective.empty();
    found.gains.clear();
    for item in &found.members {
        found.gains.push(objective.gain(&state, *item));
        objective.add(&mut state, *item);
    }
}

/// The value of a full committee; `None` when time was over before it was known.
type Leaf<'a> = &'a dyn Fn(&[usize]) -> Result<Option<Amount>>;

/// The best committee, starting from a good one; all best ones unless `resolute`.
fn exact<O: Objective>(
    objective: &O,
    bounds: &Bounds,
    found: &mut Found,
    options: &Options<'_>,
) -> Result<()> {
    branch_and_bound(objective, bounds, found, options, None)
}

/// The same for a value that is at most the objective's.
pub(super) fn exact_by<O: Objective>(
    objective: &O,
    bounds: &Bounds,
    found: &mut Found,
    options: &Options<'_>,
    value: Leaf<'_>,
) -> Result<()> {
    branch_and_bound(objective, bounds, found, options, Some(value))
}

fn branch_and_bound<O: Objective>(
    objective: &O,
    bounds: &Bounds,
    found: &mut Found,
    options: &Options<'_>,
    leaf: Option<Leaf<'_>>,
) -> Result<()> {
    check_depth(bounds.size())?;
    let mut tree = Tree {
        objective,
        leaf,
        bounds,
        options,
        unit: objective.unit(),
        best: found.value,
        members: None,
        tied: Vec::new(),
        expired: false,
        full: false,
        open: Amount::MIN,
    };
    let items = if options.resolute && leaf.is_none() {
        candidates(objective, bounds, options)?
    } else {
        (0..objective.items()).collect()
    };
    let mut chosen = Vec::with_capacity(bounds.size());
    let start = Node { state: &objective.empty(), value: 0, room: &bounds.open() };
    tree.descend(&start, &items, &mut chosen)?;
    let proven = if tree.expired { tree.open.max(tree.best) } else { tree.best };
    found.upper = found.upper.min(proven);
    found.complete = !tree.expired && !tree.full;
    found.value = tree.best;
    if !options.resolute {
        tree.tied.sort_unstable();
        if let Some(first) = tree.tied.first().filter(|_| !tree.expired) {
            tree.members = Some(first.clone());
        }
        found.tied = tree.tied;
    }
    if let Some(members) = tree.members {
        found.members = members;
        refresh(objective, found);
    }
    found.optimal = !tree.expired;
    Ok(())
}

/// Items among which there is a best committee.
///
/// Where as many items as there are seats are at least as good for everybody and count alike for every
/// bound, one of them is free to take the place.
fn candidates<O: Objective>(
    objective: &O,
    bounds: &Bounds,
    options: &Options<'_>,
) -> Result<Vec<usize>> {
    let mut kept = Vec::with_capacity(objective.items());
    for item in 0..objective.items() {
        options.stop.check()?;
        // of equal items the first is the better one, lest they rule each other out
        let better = (0..objective.items()).filter(|other| {
            *other != item
                && bounds.kind_of(*other) == bounds.kind_of(item)
                && objective.dominates(*other, item)
                && (*other < item || !objective.dominates(item, *other))
        });
        if better.take(bounds.size()).count() < bounds.size() {
            kept.push(item);
        }
    }
    Ok(kept)
}

/// Depth-first search over members in order of their gains.
struct Tree<'a, O: Objective> {
    objective: &'a O,
    /// The value of a full committee, where it is not the objective's.
    leaf: Option<Leaf<'a>>,
    bounds: &'a Bounds,
    options: &'a Options<'a>,
    unit: Unit,
    best: Amount,
    members: Option<Vec<usize>>,
    tied: Vec<Vec<usize>>,
    expired: bool,
    full: bool,
    /// Bound of what was not searched when time was over.
    open: Amount,
}

struct Node<'a, S> {
    state: &'a S,
    value: Amount,
    room: &'a Room,
}

impl<O: Objective> Tree<'_, O> {
    /// Searches completions of `chosen` by `items`.
    fn descend(
        &mut self,
        node: &Node<'_, O::State>,
        items: &[usize],
        chosen: &mut Vec<usize>,
    ) -> Result<()> {
        let left = self.bounds.size() - chosen.len();
        if left == 0 {
            return self.meet(node.value, chosen);
        }
        self.options.stop.check()?;
        let fits: Vec<usize> =
            items.iter().copied().filter(|item| self.bounds.fits(node.room, *item)).collect();
        let threads = Some(1).filter(|_| !chosen.is_empty()).or(self.options.threads);
        let gains = gains(self.objective, node.state, &fits, threads, self.options.stop)?;
        let mut ranked: Vec<(usize, Amount)> = fits.into_iter().zip(gains).collect();
        ranked.sort_unstable_by_key(|(item, gain)| (Reverse(*gain), *item));
        if !self.bounds.is_free()
            && !self.is_open(node.value + completion(self.bounds, node.room, ranked.clone()))
        {
            return Ok(());
        }
        let mut window: Amount = ranked.iter().take(left).map(|(_, gain)| gain).sum();
        let order: Vec<usize> = ranked.iter().map(|(item, _)| *item).collect();
        for (index, (item, gain)) in ranked.iter().enumerate() {
            let bound = node.value + window;
            if index + left > ranked.len() || !self.is_open(bound) {
                break;
            }
            if self.expired || self.options.stop.expired() {
                self.expired = true;
                self.open = self.open.max(bound);
                break;
            }
            chosen.push(*item);
            if left == 1 {
                self.meet(node.value + gain, chosen)?;
            } else {
                let (mut state, mut room) = (node.state.clone(), node.room.clone());
                self.objective.add(&mut state, *item);
                self.bounds.take(&mut room, *item);
                let child = Node { state: &state, value: node.value + gain, room: &room };
                self.descend(&child, &order[index + 1..], chosen)?;
            }
            chosen.pop();
            window -= gain;
            window += ranked.get(index + left).map_or(0, |(_, gain)| *gain);
        }
        Ok(())
    }

    /// Whether a bound leaves hope for a better committee, or for a tied one that is wanted.
    fn is_open(&self, bound: Amount) -> bool {
        let (bound, best) = (self.unit.key(bound), self.unit.key(self.best));
        bound > best || (bound == best && !self.options.resolute && !self.full)
    }

    /// Takes note of a full committee.
    fn meet(&mut self, bound: Amount, chosen: &[usize]) -> Result<()> {
        let Some(value) = self.leaf.map_or(Ok(Some(bound)), |leaf| leaf(chosen))? else {
            self.expired = true;
            self.open = self.open.max(bound);
            return Ok(());
        };
        let (key, best) = (self.unit.key(value), self.unit.key(self.best));
        if key > best {
            self.best = value;
            self.members = Some(chosen.to_vec());
            self.tied.clear();
            self.full = false;
        }
        if key >= best && !self.options.resolute {
            if self.tied.len() < self.options.cap {
                let mut sorted = chosen.to_vec();
                sorted.sort_unstable();
                self.tied.push(sorted);
            } else {
                self.full = true;
            }
        }
        Ok(())
    }
}
