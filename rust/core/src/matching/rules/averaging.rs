//! Exponential averaging: an item may drop what it holds for something better.

use super::super::items::Items;
use super::super::numbers::power;
use super::super::options::Plan;
use super::{Dual, Edge, Kernel, Reads, Rule, Table, nothing_to_prepare};

pub(super) static EXPONENTIAL_AVERAGING: Rule = Rule {
    name: "exponential_averaging",
    source: "Feldman, Korula, Mirrokni, Muthukrishnan and Pal 2009",
    laws: &["feasible", "certificate", "greedy at capacity one"],
    reads: Reads::Weight,
    has_budgets: false,
    has_weights: true,
    is_stochastic: false,
    options: &[],
    seeds_per_unit: false,
    table: Table::None,
    kernel: Kernel::Difference,
    start: nothing_to_prepare,
    factor: |_, items, u| average(&items.kept[u], items.state[u].limit),
    earn: keep,
    dual: Some(Dual {
        price: |_, items, u| if items.state[u].limit > 0.0 { items.terms[u].factor } else { 0.0 },
        scale: |_, _| 1.0,
    }),
};

/// `sum_j kept[j] q^j / (b (q^b - 1))` with `q = 1 + 1/b`: the small weights count most.
fn average(kept: &[f64], limit: f64) -> f64 {
    if limit <= 0.0 {
        return f64::INFINITY;
    }
    let q = 1.0 + 1.0 / limit;
    let sum = kept.iter().rev().fold(0.0, |sum, weight| sum * q + weight);
    sum / (limit * (power(q, whole(limit)) - 1.0))
}

/// Takes the weight in, drops the smallest if there are too many; earns the difference.
fn keep(plan: &Plan, items: &mut Items, edge: Edge, _: u64) -> f64 {
    let u = edge.item;
    let weight = items.terms[u].weight * edge.value;
    let kept = &mut items.kept[u];
    let place = kept.partition_point(|other| *other >= weight);
    let is_full = kept.len() as f64 >= items.state[u].limit;
    let dropped = if is_full { kept.pop().unwrap_or(0.0) } else { 0.0 };
    kept.insert(place.min(kept.len()), weight);
    items.state[u].used = kept.len() as f64;
    items.refresh(plan, u);
    weight - dropped
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a capacity, checked to be a whole number"
)]
fn whole(limit: f64) -> u64 {
    limit as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_unit_is_priced_at_what_it_holds() {
        assert!((average(&[3.7], 1.0) - 3.7).abs() < 1e-300);
        // q = 3/2: (4 + 2 * 3/2) / (2 * 5/4)
        assert!((average(&[4.0, 2.0], 2.0) - 2.8).abs() < 1e-15);
        assert!(average(&[], 2.0) == 0.0 && average(&[], 0.0).is_infinite());
    }
}
