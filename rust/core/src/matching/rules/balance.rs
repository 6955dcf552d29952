//! Balance: prefer items that have much left, by units or by money; and greedy, the baseline.

use super::super::items::Items;
use super::super::options::Plan;
use super::{Dual, Edge, Kernel, Reads, Rule, Table, nothing_to_prepare, use_unit};

pub(super) static BALANCE: Rule = Rule {
    name: "balance",
    source: "Kalyanasundaram and Pruhs 2000; Aggarwal, Goel, Karande and Mehta 2011 for weights",
    laws: &["feasible", "never idle", "certificate", "weight scale"],
    reads: Reads::Nothing,
    has_budgets: false,
    has_weights: true,
    is_stochastic: false,
    options: &[],
    seeds_per_unit: false,
    table: Table::Units,
    kernel: Kernel::Product,
    start: nothing_to_prepare,
    factor: |plan, items, u| match plan.units_left(items.state[u].table, items.state[u].used) {
        Some(tabulated) => tabulated,
        None => units_left(items.state[u].used, items.state[u].limit),
    },
    earn: use_unit,
    dual: Some(Dual {
        price: |_, items, u| items.terms[u].weight * (1.0 - items.terms[u].factor),
        scale: |_, _| 1.0,
    }),
};

pub(super) static BUDGET_BALANCE: Rule = Rule {
    name: "budget_balance",
    source: "Mehta, Saberi, Vazirani and Vazirani 2007; Buchbinder, Jain and Naor 2007",
    laws: &["feasible", "certificate"],
    reads: Reads::Bid,
    has_budgets: true,
    has_weights: false,
    is_stochastic: false,
    options: &[],
    seeds_per_unit: false,
    table: Table::None,
    kernel: Kernel::Product,
    start: nothing_to_prepare,
    factor: |_, items, u| money_left(items.state[u].used, items.state[u].limit),
    earn: spend,
    // 1 - price = factor e / (e - 1)
    dual: Some(Dual {
        price: |_, items, u| 1.0 + items.terms[u].factor / libm::expm1(-1.0),
        scale: |_, _| -1.0 / libm::expm1(-1.0),
    }),
};

pub(super) static GREEDY: Rule = Rule {
    name: "greedy",
    source: "the baseline: the heaviest item or the largest edge weight that fits",
    laws: &["feasible", "never idle"],
    reads: Reads::Weight,
    has_budgets: false,
    has_weights: true,
    is_stochastic: false,
    options: &[],
    seeds_per_unit: false,
    table: Table::None,
    kernel: Kernel::Product,
    start: nothing_to_prepare,
    factor: |_, items, u| if items.state[u].used < items.state[u].limit { 1.0 } else { 0.0 },
    earn: |plan, items, edge, arrival| edge.value * use_unit(plan, items, edge, arrival),
    dual: None,
};

/// `(C - (1 + 1/b)^k) / (C - 1)` with `C = (1 + 1/b)^b`: 1 when nothing is used, 0 when all is.
pub(crate) fn units_left(used: f64, limit: f64) -> f64 {
    if used >= limit {
        return 0.0;
    }
    // divided by C above and below, so that both ends are exact for every capacity
    let rate = libm::log1p(1.0 / limit);
    libm::expm1((used - limit) * rate) / libm::expm1(-limit * rate)
}

/// `1 - e^(spent / budget - 1)`, 0 for a spent budget.
fn money_left(spent: f64, budget: f64) -> f64 {
    if spent >= budget { 0.0 } else { -libm::expm1(spent / budget - 1.0) }
}

/// Charges the bid, or what is left of the budget.
fn spend(plan: &Plan, items: &mut Items, edge: Edge, _: u64) -> f64 {
    let u = edge.item;
    let (spent, budget) = (items.state[u].used, items.state[u].limit);
    let charged = edge.value.min(budget - spent);
    items.state[u].used = if edge.value >= budget - spent { budget } else { spent + edge.value };
    items.refresh(plan, u);
    charged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_one_at_the_start_and_zero_at_the_end() {
        for b in [1.0, 2.0, 3.0, 10.0, 1000.0, 4e9] {
            assert!((units_left(0.0, b) - 1.0).abs() < 1e-300);
            assert!(units_left(b, b) == 0.0 && units_left(b - 1.0, b) > 0.0);
        }
        // C = 9/4 for b = 2: (9/4 - 3/2) / (5/4)
        assert!((units_left(1.0, 2.0) - 0.6).abs() < 1e-15);
        assert!((money_left(0.0, 5.0) - (1.0 - (-1.0_f64).exp())).abs() < 1e-15);
        assert!(money_left(5.0, 5.0) == 0.0 && money_left(0.0, 0.0) == 0.0);
    }
}
