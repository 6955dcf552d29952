//! Dual prices: mirror descent on the price of every item, for arrivals that look alike over time.

use super::super::items::Items;
use super::super::options::Plan;
use super::{Edge, Kernel, Reads, Rule, Table, nothing_to_prepare};

pub(super) static DUAL_PRICES: Rule = Rule {
    name: "dual_prices",
    source: "Balseiro, Lu and Mirrokni 2023",
    laws: &["feasible"],
    reads: Reads::Weight,
    has_budgets: true,
    has_weights: true,
    is_stochastic: false,
    options: &["horizon", "step"],
    seeds_per_unit: false,
    table: Table::None,
    kernel: Kernel::MovingPrice,
    start: nothing_to_prepare,
    factor: |_, items, u| items.terms[u].factor,
    earn: consume,
    dual: None,
};

/// The price at an arrival: it fell since it was last brought up to date, as nothing was consumed.
pub(crate) fn current(plan: &Plan, items: &Items, u: usize, arrival: u64) -> f64 {
    let elapsed = (arrival - items.state[u].touched) as f64;
    (items.terms[u].factor - plan.eta * (items.state[u].limit / plan.horizon) * elapsed).max(0.0)
}

fn consume(plan: &Plan, items: &mut Items, edge: Edge, arrival: u64) -> f64 {
    let u = edge.item;
    let rate = items.state[u].limit / plan.horizon;
    let price = current(plan, items, u, arrival);
    items.terms[u].factor = (price - plan.eta * (rate - edge.size)).max(0.0);
    items.state[u].touched = arrival + 1;
    items.state[u].used += edge.size;
    items.terms[u].weight * edge.value
}
