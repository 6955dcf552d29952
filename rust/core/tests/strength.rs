//! Laws of strength models on random comparisons and rankings.

use gustibus_core::Stop;
use gustibus_core::strength::{
    A, B, Chain, Disconnected, Fit, Fitted, Ids, Method, Options, Prior, Rankings, Rows, TIE,
    Table, Tolerance, Trust, bootstrap, covariance, fit, fit_rankings, fit_ties, reduce,
    stationary,
};
use proptest::prelude::*;

const OPTIONS: Options = Options {
    method: Method::Newton,
    tie: 0.5,
    prior: Prior { l2: 0.0, opponent: 0.0, gamma: 0.0 },
    disconnected: Disconnected::Regularise,
    tolerance: Tolerance { gradient: 1e-11, iterations: 50_000 },
    threads: Some(1),
};

type Row = (u32, u32, u8, f64);

/// Rows over `m` items, most of them enough to connect these.
fn rows() -> impl Strategy<Value = (usize, Vec<Row>)> {
    (2_u32..7).prop_flat_map(|m| {
        let row = (0..m, 1..m, 0_u8..=2, 0_u8..4)
            .prop_map(move |(a, gap, end, w)| (a, (a + gap) % m, end, f64::from(w) / 2.0 + 0.5));
        prop::collection::vec(row, 1..40).prop_map(move |rows| (m as usize, rows))
    })
}

fn table(m: usize, rows: &[Row], weighted: bool) -> Table {
    let a: Vec<u32> = rows.iter().map(|r| r.0).collect();
    let b: Vec<u32> = rows.iter().map(|r| r.1).collect();
    let ends: Vec<u8> = rows.iter().map(|r| r.2).collect();
    let weights: Vec<f64> = rows.iter().map(|r| r.3).collect();
    let rows = Rows {
        a: Ids::U32(&a),
        b: Ids::U32(&b),
        outcomes: Some(&ends),
        weights: weighted.then_some(&weights),
    };
    reduce(rows, Some(m), Some(1)).expect("valid rows")
}

fn solve(table: &Table, options: Options) -> Fit {
    fit(table, None, options, Stop::never()).expect("valid options")
}

fn gap(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn every_way_converges_to_finite_numbers((m, rows) in rows()) {
        let table = table(m, &rows, true);
        for disconnected in [Disconnected::Regularise, Disconnected::Components] {
            let got = solve(&table, Options { disconnected, ..OPTIONS });
            prop_assert!(got.converged);
            prop_assert!(got.theta.iter().all(|t| t.is_finite()));
            prop_assert!(got.log_likelihood.is_finite());
            prop_assert_eq!(got.regularised > 0.0, got.components.count > 1
                && disconnected == Disconnected::Regularise);
        }
        let refused = fit(&table, None, Options { disconnected: Disconnected::Refuse, ..OPTIONS }, Stop::never());
        prop_assert_eq!(refused.is_err(), table.components().count > 1);
    }

    #[test]
    fn methods_and_chains_agree((m, rows) in rows()) {
        let table = table(m, &rows, true);
        let options = Options { disconnected: Disconnected::Components, ..OPTIONS };
        let newton = solve(&table, options);
        for method in [Method::Newman, Method::Mm] {
            let other = solve(&table, Options { method, ..options });
            prop_assert!(other.converged);
            prop_assert!(gap(&newton.theta, &other.theta) < 1e-6);
        }
        let chain = stationary(&table, Chain::Ilsr, 0.0, options, Stop::never()).expect("valid");
        prop_assert!(gap(&newton.theta, &chain.theta) < 1e-6);
    }

    #[test]
    fn swapping_negates_and_splitting_rows_changes_nothing((m, rows) in rows()) {
        let theta = solve(&table(m, &rows, true), OPTIONS).theta;
        let swapped: Vec<Row> = rows.iter().map(|(a, b, end, w)| (*b, *a, *end, *w)).collect();
        let negated: Vec<f64> = solve(&table(m, &swapped, true), OPTIONS).theta;
        prop_assert!(gap(&theta, &negated.iter().map(|t| -t).collect::<Vec<_>>()) < 1e-7);
        let other_way: Vec<Row> = rows
            .iter()
            .map(|(a, b, end, w)| (*b, *a, if *end == TIE { TIE } else { A + B - end }, *w))
            .collect();
        prop_assert!(gap(&theta, &solve(&table(m, &other_way, true), OPTIONS).theta) < 1e-12);
        let halves: Vec<Row> = rows.iter().chain(&rows).map(|r| (r.0, r.1, r.2, r.3 / 2.0)).collect();
        prop_assert!(gap(&theta, &solve(&table(m, &halves, true), OPTIONS).theta) < 1e-7);
    }

    #[test]
    fn a_tie_is_half_a_row_each_way((m, rows) in rows()) {
        let split: Vec<Row> = rows
            .iter()
            .flat_map(|(a, b, end, w)| match *end {
                TIE => vec![(*a, *b, A, w / 2.0), (*a, *b, B, w / 2.0)],
                _ => vec![(*a, *b, *end, *w)],
            })
            .collect();
        let (whole, halves) = (table(m, &rows, true), table(m, &split, true));
        prop_assert!(gap(&solve(&whole, OPTIONS).theta, &solve(&halves, OPTIONS).theta) < 1e-9);
    }

    #[test]
    fn rankings_of_two_are_comparisons((m, rows) in rows()) {
        let decided: Vec<Row> = rows.iter().filter(|r| r.2 != TIE).copied().collect();
        let items: Vec<u32> =
            decided.iter().flat_map(|r| if r.2 == A { [r.0, r.1] } else { [r.1, r.0] }).collect();
        let starts: Vec<usize> = (0..=decided.len()).map(|r| 2 * r).collect();
        let weights: Vec<f64> = decided.iter().map(|r| r.3).collect();
        let rankings = Rankings::new(Ids::U32(&items), &starts, None, Some(&weights), m).expect("valid");
        let pairs = fit_rankings(&rankings, None, OPTIONS, Stop::never()).expect("valid");
        let fit = solve(&table(m, &decided, true), OPTIONS);
        prop_assert_eq!(&pairs.components.of, &fit.components.of);
        prop_assert!(pairs.converged);
        prop_assert!(gap(&pairs.theta, &fit.theta) < 1e-6);
    }

    #[test]
    fn models_with_ties_are_finite((m, rows) in rows()) {
        let table = table(m, &rows, true);
        prop_assume!(rows.iter().any(|r| r.2 != TIE));
        for model in ["davidson", "rao_kupper"] {
            let (fit, parameter) = fit_ties(&table, model, None, OPTIONS, Stop::never()).expect("decided");
            prop_assert!(fit.converged, "{model} {fit:?}");
            prop_assert!(fit.theta.iter().all(|t| t.is_finite()) && parameter.is_finite());
        }
    }

    #[test]
    fn doubt_is_finite_and_does_not_depend_on_threads((m, rows) in rows()) {
        let table = table(m, &rows, false);
        let fit = solve(&table, OPTIONS);
        let prior = Prior { opponent: fit.regularised, ..OPTIONS.prior };
        let component = vec![0; m];
        let fitted = Fitted { theta: &fit.theta, component: &component, tie: 0.5, prior };
        for trust in [Trust::Sandwich, Trust::Model] {
            let one = covariance(&table, fitted, trust, (1, Some(1)), Stop::never()).expect("valid");
            prop_assert!(one.variances.iter().all(|v| v.is_finite() && *v >= 0.0));
            let two = covariance(&table, fitted, trust, (1, Some(2)), Stop::never()).expect("valid");
            prop_assert_eq!(one, two);
        }
        let one = bootstrap(&table, fitted, 20, (7, Some(1)), Stop::never()).expect("valid");
        let two = bootstrap(&table, fitted, 20, (7, Some(3)), Stop::never()).expect("valid");
        let bits = |x: &[f64]| x.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        prop_assert_eq!(bits(&one.replicates), bits(&two.replicates));
        let missing = one.replicates.iter().filter(|v| v.is_nan()).count();
        prop_assert_eq!(i64::try_from(missing).expect("few"), one.degenerate.iter().sum::<i64>());
        prop_assert!(one.replicates.iter().all(|v| !v.is_infinite()));
    }
}
