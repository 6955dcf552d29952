//! Rules for matches that succeed with a probability.

use super::super::discount::FLOOR;
use super::super::items::Items;
use super::super::numbers::scaled_exponential_integral;
use super::super::options::{Late, Plan, Score};
use super::ranked::{draw_first, perturbation, use_seeded_unit};
use super::{Dual, Kernel, Reads, Rule, Table, nothing_to_prepare, use_unit};

pub(super) static STOCHASTIC_BALANCE: Rule = Rule {
    name: "stochastic_balance",
    source: "Mehta and Panigrahi 2012; Huang and Zhang 2020; Goyal and Udwani 2023",
    laws: &["feasible", "never idle", "weight scale", "least load at equal chances"],
    reads: Reads::Probability,
    has_budgets: false,
    has_weights: true,
    is_stochastic: true,
    options: &["score", "late"],
    seeds_per_unit: false,
    table: Table::Discount,
    kernel: Kernel::Product,
    start: nothing_to_prepare,
    factor: |plan, items, u| if is_open(plan, items, u) { discount(plan, items, u) } else { 0.0 },
    earn: use_unit,
    dual: Some(Dual { price: full_or_discounted, scale: inverse_of_least_fresh }),
};

pub(super) static STOCHASTIC_PERTURBED_GREEDY: Rule = Rule {
    name: "stochastic_perturbed_greedy",
    source: "Goyal and Udwani 2023",
    laws: &["feasible", "never idle", "weight scale", "perturbed greedy at sure success"],
    reads: Reads::Probability,
    has_budgets: false,
    has_weights: true,
    is_stochastic: true,
    options: &["seeds", "late"],
    seeds_per_unit: true,
    table: Table::None,
    kernel: Kernel::Product,
    start: draw_first,
    factor: |plan, items, u| match plan.late {
        Late::Overbook(_) if items.state[u].used < items.state[u].limit => {
            -libm::expm1(items.state[u].seed - 1.0)
        }
        _ => perturbation(plan, items, u),
    },
    earn: use_seeded_unit,
    dual: None,
};

/// Whether attempts may be made; overbooked items are judged edge by edge in `choose`.
fn is_open(plan: &Plan, items: &Items, u: usize) -> bool {
    match plan.late {
        Late::Overbook(_) => items.state[u].used < items.state[u].limit,
        _ => items.free(u) > 0.0,
    }
}

/// What the score function leaves of an item at its load.
pub(crate) fn discount(plan: &Plan, items: &Items, u: usize) -> f64 {
    let x = items.state[u].load / items.state[u].limit;
    match plan.options.score {
        Some(Score::Gompertz) => scaled_exponential_integral(1.0 + x).max(FLOOR),
        _ => plan.discount(items.state[u].table).at(x),
    }
}

/// The same of an item nobody tried.
pub(crate) fn fresh_discount(plan: &Plan, items: &Items, u: usize) -> f64 {
    match plan.options.score {
        Some(Score::Gompertz) => scaled_exponential_integral(1.0),
        _ => plan.discount(items.state[u].table).at(0.0),
    }
}

/// Scores hold discounts, profits their ratio to a fresh item's discount.
fn inverse_of_least_fresh(plan: &Plan, items: &Items) -> f64 {
    let open = (0..items.len()).filter(|u| items.state[*u].limit > 0.0);
    1.0 / open.map(|u| fresh_discount(plan, items, u)).fold(1.0, f64::min)
}

/// A full item's unit is worth its weight; before that, what the load took from the score.
fn full_or_discounted(plan: &Plan, items: &Items, u: usize) -> f64 {
    if items.state[u].limit <= 0.0 {
        return 0.0;
    }
    if items.state[u].used >= items.state[u].limit {
        return items.terms[u].weight;
    }
    items.terms[u].weight * (1.0 - discount(plan, items, u) / fresh_discount(plan, items, u))
}
