//! Properties of matching on random instances.

use gustibus_core::Stop;
use gustibus_core::matching::offline::{BMatching, Matrix, assignment, hindsight};
use gustibus_core::matching::offline::{max_matching, max_weight_b_matching, vertex_weighted};
use gustibus_core::matching::positions::{Slate, cascade, cascade_fixed, cascade_half, mnl};
use gustibus_core::matching::{Matcher, Options, RULES, Reads, Rows};
use proptest::prelude::*;

/// Rows over `n` items with whole-number weights, and capacities.
#[derive(Debug, Clone)]
struct Instance {
    capacity: Vec<f64>,
    indptr: Vec<i64>,
    items: Vec<u32>,
    weights: Vec<f64>,
}

fn instance() -> impl Strategy<Value = Instance> {
    (1_usize..9, 0_usize..25).prop_flat_map(|(n, m)| {
        let capacity = prop::collection::vec((0_u8..4).prop_map(f64::from), n);
        let row = prop::collection::vec((any::<bool>(), 1_u8..20), n);
        (capacity, prop::collection::vec(row, m)).prop_map(|(capacity, rows)| {
            let (mut indptr, mut items, mut weights) = (vec![0], vec![], vec![]);
            for row in rows {
                for (u, (_, weight)) in (0..).zip(row).filter(|(_, (is_edge, _))| *is_edge) {
                    items.push(u);
                    weights.push(f64::from(weight) / 8.0);
                }
                indptr.push(i64::try_from(items.len()).expect("small"));
            }
            Instance { capacity, indptr, items, weights }
        })
    })
}

impl Instance {
    fn rows(&self, weights: bool) -> Rows<'_> {
        let weights = weights.then_some(self.weights.as_slice());
        Rows::new(self.capacity.len(), &self.indptr, &self.items, weights).expect("valid")
    }

    /// The matching is feasible and its prices prove it.
    fn check(&self, matching: &BMatching, weight: impl Fn(usize, u32) -> f64) {
        let mut used = vec![0.0; self.capacity.len()];
        let mut value = 0.0;
        for v in 0..self.indptr.len() - 1 {
            let edges = usize::try_from(self.indptr[v]).expect("positive")
                ..usize::try_from(self.indptr[v + 1]).expect("positive");
            let mut is_matched = false;
            for e in edges {
                let (u, item) = (self.items[e], self.items[e] as usize);
                let slack = matching.price[item] + matching.profit[v] - weight(e, u);
                assert!(slack >= -1e-9, "edge {e} has slack {slack}");
                if usize::try_from(matching.item_of[v]) == Ok(item) {
                    assert!(slack <= 1e-9);
                    used[item] += 1.0;
                    value += weight(e, u);
                    is_matched = true;
                }
            }
            assert!(is_matched == (matching.item_of[v] >= 0));
            assert!(is_matched || matching.profit[v] <= 1e-9);
        }
        for (u, used) in used.iter().enumerate() {
            assert!(*used <= self.capacity[u]);
            assert!(*used >= self.capacity[u] || matching.price[u] <= 1e-9);
        }
        let held: f64 = self.capacity.iter().zip(&matching.price).map(|(c, p)| c * p).sum();
        let dual = held + matching.profit.iter().sum::<f64>();
        assert!((value - dual).abs() < 1e-9 && (value - matching.value).abs() < 1e-9);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn b_matchings_are_certified(instance in instance()) {
        let (rows, plain) = (instance.rows(true), instance.rows(false));
        let capacity = &instance.capacity;
        let bulk = max_weight_b_matching(&rows, capacity, Stop::never()).expect("valid");
        instance.check(&bulk, |e, _| instance.weights[e]);
        let (values, last) = hindsight(&rows, capacity, Stop::never()).expect("valid");
        instance.check(&last, |e, _| instance.weights[e]);
        prop_assert!((last.value - bulk.value).abs() < 1e-9);
        prop_assert!(values.windows(2).all(|pair| pair[0] <= pair[1]));
        let weight: Vec<f64> = (0..capacity.len()).map(|u| (u % 3) as f64).collect();
        let by_item = vertex_weighted(&plain, capacity, &weight, Stop::never()).expect("valid");
        instance.check(&by_item, |_, u| weight[u as usize]);
        let count = max_matching(&plain, capacity, Stop::never()).expect("valid");
        instance.check(&count, |_, _| 1.0);
    }

    #[test]
    fn assignments_are_certified(
        n in 1_usize..20, m in 1_usize..20, spread in 1_u32..2000, seed in any::<u64>(),
    ) {
        let mut stream = gustibus_core::rng::Stream::new(seed, 0);
        let cost: Vec<f64> = (0..n * m).map(|_| stream.below(spread as usize) as f64).collect();
        let matrix = Matrix::new(n, m, &cost).expect("valid");
        let found = assignment(&matrix, Stop::never()).expect("nothing is forbidden");
        let slack = |i: usize, j: usize| cost[i * m + j] - found.u[i] - found.v[j];
        for i in 0..n {
            prop_assert!((0..m).all(|j| slack(i, j) >= -1e-9));
            if let Ok(j) = usize::try_from(found.column_of[i]) {
                prop_assert!(slack(i, j).abs() < 1e-9);
            }
        }
        let dual = found.u.iter().chain(&found.v).sum::<f64>();
        prop_assert!((found.cost - dual).abs() < 1e-8);
        prop_assert_eq!(found.column_of.iter().filter(|j| **j >= 0).count(), n.min(m));
    }

    #[test]
    fn every_rule_is_feasible_and_resumes(instance in instance(), seed in any::<u64>(), cut in 0.0..1.0) {
        let mut instance = instance;
        instance.capacity[0] += 1.0;
        for rule in RULES {
            let chances: Vec<f64> = instance.weights.iter().map(|w| w / 3.0).collect();
            let values = match rule.reads {
                Reads::Nothing => None,
                Reads::Probability => Some(chances.as_slice()),
                Reads::Bid | Reads::Weight => Some(instance.weights.as_slice()),
            };
            let rows = Rows::new(instance.capacity.len(), &instance.indptr, &instance.items, values).expect("valid");
            let range = rule.options.contains(&"range").then_some((0.125, 3.0));
            let horizon = rule.options.contains(&"horizon").then_some(20.0);
            let options = Options { range, horizon, ..Options::default() };
            let fresh = || Matcher::new(rule.name, options, seed, &instance.capacity, None).expect("valid");
            let (mut whole, mut parts) = (fresh(), fresh());
            let decisions = whole.arrive_many(&rows, None).expect("valid");
            let (limit, used, ..) = whole.item_columns();
            prop_assert!(limit.iter().zip(&used).all(|(limit, used)| used <= limit));
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a length")]
            let cut = (cut * rows.len() as f64) as usize;
            for (v, decision) in decisions.iter().enumerate() {
                if v == cut {
                    parts = Matcher::resume(&parts.snapshot()).expect("unaltered");
                }
                let made = parts.arrive(rows.row(v), None, None).expect("valid");
                if let Some(attempt) = made.attempt {
                    parts.draw(attempt).expect("waits");
                }
                prop_assert_eq!(made.item.map_or(-1, |u| i32::try_from(u).expect("small")), *decision);
            }
            prop_assert_eq!(whole.snapshot(), parts.snapshot());
        }
    }

    #[test]
    fn slates_are_ordered_by_value(n in 1_usize..7, m in 1_usize..6, seed in any::<u64>()) {
        let mut stream = gustibus_core::rng::Stream::new(seed, 0);
        let p: Vec<f64> = (0..n * m).map(|_| 0.98 * stream.uniform()).collect();
        let phi: Vec<f64> = (0..n).map(|_| stream.normal()).collect();
        let slate = Slate::new(n, m, &p, m).expect("valid");
        let free = cascade(&slate, &phi, Stop::never()).expect("valid").value;
        let fixed = cascade_fixed(&slate, &phi, Stop::never()).expect("valid").value;
        let half = cascade_half(&slate, &phi, Stop::never()).expect("valid").value;
        prop_assert!(free >= fixed - 1e-12 && fixed >= half - 1e-12 && half >= free / 2.0 - 1e-12);
        let logit = mnl(&slate, &phi, 0.0, Stop::never()).expect("valid");
        prop_assert!(logit.pairs.iter().all(|(i, _)| phi[*i] >= logit.value - 1e-9));
    }
}
