//! The table of rules.
//!
//! A rule is a row: what it reads, how it scores, and four small functions over one item. The loop
//! over the edges of an arrival is shared, see `choose`.

pub(super) mod averaging;
pub(super) mod balance;
pub(super) mod prices;
pub(super) mod ranked;
pub(super) mod stochastic;
pub(super) mod threshold;

use super::items::Items;
use super::options::Plan;
use crate::{Error, Result};

/// What the number of an edge means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// Edges carry no number.
    Nothing,
    /// The chance of success of an attempt, in `(0, 1]`.
    Probability,
    /// What the item pays, at or above 0.
    Bid,
    /// What the match is worth, at or above 0.
    Weight,
}

/// How scores arise; the largest wins, on equal scores the smallest item number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kernel {
    /// `(weight * value) * factor`, above 0.
    Product,
    /// `weight * value - factor`, above 0.
    Difference,
    /// The same, at or above 0.
    AtLeastPrice,
    /// `weight * value - size * price` with the price of the moment, above 0.
    MovingPrice,
}

/// What a rule tabulates per distinct capacity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    None,
    /// The score function of stochastic balance.
    Discount,
    /// The factor of balance by units used, for capacities up to [`MOST_TABULATED`].
    Units,
}

/// Above this capacity the factor of balance is computed when it is needed.
pub(super) const MOST_TABULATED: f64 = 1024.0;

/// An edge that was chosen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Edge {
    pub(super) item: usize,
    pub(super) value: f64,
    pub(super) size: f64,
}

/// One row of the table.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "independent properties, read one by one")]
pub struct Rule {
    /// Name by which it is chosen.
    pub name: &'static str,
    /// Where it comes from.
    pub source: &'static str,
    /// Properties that the tests check.
    pub laws: &'static [&'static str],
    /// What the number of an edge means.
    pub reads: Reads,
    /// Whether items have budgets of money instead of whole capacities.
    pub has_budgets: bool,
    /// Whether items have weights.
    pub has_weights: bool,
    /// Whether a match may fail.
    pub is_stochastic: bool,
    /// Options it knows.
    pub options: &'static [&'static str],
    pub(super) seeds_per_unit: bool,
    /// What is tabulated per distinct capacity.
    pub(super) table: Table,
    pub(super) kernel: Kernel,
    /// Prepares a new item.
    pub(super) start: fn(&Plan, &mut Items, usize),
    /// The factor or price of an item from its state.
    pub(super) factor: fn(&Plan, &Items, usize) -> f64,
    /// Records a sure match, or the success of an attempt; returns what it earned.
    pub(super) earn: fn(&Plan, &mut Items, Edge, u64) -> f64,
    /// Dual prices of the rule; `None` where they may fall along a run, or where there are none.
    pub(super) dual: Option<Dual>,
}

/// Prices that only rise, so that prices at the end and profits along the way bound the optimum.
#[derive(Debug)]
pub(super) struct Dual {
    /// Price of a unit of the item.
    pub(super) price: fn(&Plan, &Items, usize) -> f64,
    /// An arrival's profit at these prices is at most this times its score.
    pub(super) scale: fn(&Plan, &Items) -> f64,
}

/// Every rule, in the order of the documentation.
pub const RULES: &[&Rule] = &[
    &ranked::RANKING,
    &ranked::PERTURBED_GREEDY,
    &balance::BALANCE,
    &balance::BUDGET_BALANCE,
    &averaging::EXPONENTIAL_AVERAGING,
    &threshold::THRESHOLD,
    &prices::DUAL_PRICES,
    &stochastic::STOCHASTIC_BALANCE,
    &stochastic::STOCHASTIC_PERTURBED_GREEDY,
    &balance::GREEDY,
];

/// The row of a rule.
///
/// # Errors
/// [`Error::UnknownName`].
pub fn find(name: &str) -> Result<&'static Rule> {
    RULES.iter().copied().find(|rule| rule.name == name).ok_or_else(|| Error::UnknownName {
        kind: "matching rule",
        name: name.to_owned(),
        known: RULES.iter().map(|rule| rule.name).collect(),
    })
}

pub(super) fn nothing_to_prepare(_: &Plan, _: &mut Items, _: usize) {}

/// One unit more of the item's capacity is used.
pub(super) fn use_unit(plan: &Plan, items: &mut Items, edge: Edge, _: u64) -> f64 {
    items.state[edge.item].used += 1.0;
    items.refresh(plan, edge.item);
    items.terms[edge.item].weight
}
