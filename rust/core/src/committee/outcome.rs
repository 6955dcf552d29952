//! What rules are asked and what they answer.

use super::amount::{Amount, Unit};
use crate::{Error, Result, Stop};

/// Most members for searches that descend one level per member: a thread's stack is bounded.
pub(super) const DEPTH: usize = 512;

/// Refuses committees that are too large for searches that descend one level per member.
pub(super) fn check_depth(k: usize) -> Result<()> {
    if k <= DEPTH {
        return Ok(());
    }
    let expected = format!("at most {DEPTH} members for exact search (use milp)");
    Err(Error::range("k", &expected, k))
}

/// How to look for a committee.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Exact where that is cheap, else greedy and swaps.
    Auto,
    /// One member at a time, gains evaluated lazily.
    Greedy,
    /// The same, all gains evaluated in every round.
    Plain,
    /// Greedy, then exchanges of one member as long as they help.
    Swap,
    /// Branch and bound.
    Exact,
    /// Greedy among a random sample in each round.
    Stochastic,
    /// Along the axis of single-peaked rankings; for Chamberlin and Courant's rule.
    SinglePeaked,
}

/// How stochastic greedy samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// The share of the value that may be lost beyond greedy's, in expectation; above 0 and below 1.
    pub epsilon: f64,
    /// Of the samples.
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { epsilon: 0.1, seed: 0 }
    }
}

/// Options of all rules.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// How to search.
    pub method: Method,
    /// Whether one committee is enough; otherwise all tied ones are listed, up to `cap`.
    pub resolute: bool,
    /// Most committees to list.
    pub cap: usize,
    /// Number of threads, all by default.
    pub threads: Option<usize>,
    /// When to give up.
    pub stop: Stop<'a>,
    /// How stochastic greedy samples.
    pub sampling: Sampling,
}

/// One decision of a sequential rule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// The item that was added, or taken out by reverse rules.
    pub item: usize,
    /// The gain, or the price of rules that buy.
    pub gain: f64,
}

/// A committee and how good it is known to be.
#[derive(Debug, Clone, PartialEq)]
pub struct Committee {
    /// Members in the order in which they were chosen.
    pub members: Vec<usize>,
    /// What the rule maximises (or minimises); NaN-free; `None` for rules that maximise nothing.
    pub value: Option<f64>,
    /// No committee within the bounds is better than this.
    pub upper_bound: Option<f64>,
    /// Whether `members` is known to be best.
    pub optimal: bool,
    /// How it was found.
    pub steps: Vec<Step>,
    /// All tied committees when they were asked for, each sorted.
    pub tied: Vec<Vec<usize>>,
    /// Whether nothing was cut short by `cap` or the time limit.
    pub complete: bool,
    /// What was done: `greedy`, `swap`, `exact` or `sequential`.
    pub method: &'static str,
}

/// A committee of an objective, in units.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) members: Vec<usize>,
    pub(super) value: Amount,
    pub(super) upper: Amount,
    pub(super) gains: Vec<Amount>,
    pub(super) tied: Vec<Vec<usize>>,
    pub(super) complete: bool,
    pub(super) optimal: bool,
    pub(super) method: &'static str,
}

impl Found {
    pub(super) fn finish(self, unit: Unit) -> Committee {
        let steps = self.members.iter().zip(&self.gains);
        Committee {
            steps: steps
                .map(|(item, gain)| Step { item: *item, gain: unit.value(*gain) })
                .collect(),
            value: Some(unit.value(self.value)),
            upper_bound: Some(unit.value(self.upper.max(self.value))),
            optimal: self.optimal || unit.key(self.upper) <= unit.key(self.value),
            tied: self.tied,
            complete: self.complete,
            method: self.method,
            members: self.members,
        }
    }
}
