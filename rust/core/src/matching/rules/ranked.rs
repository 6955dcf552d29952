//! Ranking and perturbed greedy: a random seed per item, or per unit, decides who goes first.

use super::super::items::Items;
use super::super::options::{Plan, Seeds};
use super::{Edge, Kernel, Reads, Rule, Table};
use crate::rng;

/// Stream of the seeds of items.
const ITEM_SEEDS: u64 = 0;
/// Stream of the further seeds of an item's units.
const UNIT_SEEDS: u64 = 3;
/// Units of one item that the stream of seeds has room for.
pub(crate) const MOST_UNITS: f64 = 16_777_216.0;

pub(super) static RANKING: Rule = Rule {
    name: "ranking",
    source: "Karp, Vazirani and Vazirani 1990; Albers and Schubert 2024 for capacities",
    laws: &["feasible", "never idle", "half", "one arrival less moves one item"],
    reads: Reads::Nothing,
    has_budgets: false,
    has_weights: false,
    is_stochastic: false,
    options: &["seeds"],
    seeds_per_unit: false,
    table: Table::None,
    kernel: Kernel::Product,
    start: draw_first,
    factor: |_, items, u| if items.free(u) > 0.0 { 1.0 - items.state[u].seed } else { 0.0 },
    earn: use_seeded_unit,
    dual: None,
};

pub(super) static PERTURBED_GREEDY: Rule = Rule {
    name: "perturbed_greedy",
    source: "Aggarwal, Goel, Karande and Mehta 2011",
    laws: &["feasible", "never idle", "weight scale", "ranking at equal weights"],
    reads: Reads::Nothing,
    has_budgets: false,
    has_weights: true,
    is_stochastic: false,
    options: &["seeds"],
    seeds_per_unit: true,
    table: Table::None,
    kernel: Kernel::Product,
    start: draw_first,
    factor: perturbation,
    earn: use_seeded_unit,
    dual: None,
};

/// `1 - e^(y - 1)`, or 0 for a full item; `expm1` keeps it above 0 for every seed.
pub(super) fn perturbation(_: &Plan, items: &Items, u: usize) -> f64 {
    if items.free(u) > 0.0 { -libm::expm1(items.state[u].seed - 1.0) } else { 0.0 }
}

/// The seed of the item, or of its first unit; an item of one unit has one seed either way.
pub(super) fn draw_first(plan: &Plan, items: &mut Items, u: usize) {
    if plan.seeds == Seeds::Unit && items.state[u].limit > 1.0 {
        draw_next(plan, items, u);
    } else {
        items.state[u].seed = rng::uniform(plan.seed, ITEM_SEEDS, u as u64);
    }
}

pub(super) fn use_seeded_unit(plan: &Plan, items: &mut Items, edge: Edge, _: u64) -> f64 {
    let u = edge.item;
    items.state[u].used += 1.0;
    if plan.seeds == Seeds::Unit
        && items.state[u].limit > 1.0
        && items.state[u].used < items.state[u].limit
    {
        draw_next(plan, items, u);
    }
    items.refresh(plan, u);
    items.terms[u].weight
}

/// The next smallest of as many uniforms as the item has units: with `r` left,
/// `1 - y` shrinks by the r-th root of a uniform.
fn draw_next(plan: &Plan, items: &mut Items, u: usize) {
    let (unit, left) = (items.state[u].used, items.state[u].limit - items.state[u].used);
    let index = (u as u64) << 24 | whole(unit);
    let uniform = rng::uniform(plan.seed, UNIT_SEEDS, index);
    items.state[u].seed =
        1.0 - (1.0 - items.state[u].seed) * libm::exp(libm::log1p(-uniform) / left);
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of units, checked to be below 2^24"
)]
fn whole(units: f64) -> u64 {
    units as u64
}
