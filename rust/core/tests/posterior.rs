//! Properties of the posterior on random problems.

use gustibus_core::posterior::{
    Answering, Belief, Labels, Method, PlaceOptions, Placement, Pool, Prior, Rows, Rule, acquire,
    place,
};
use proptest::prelude::*;

const OPTIONS: PlaceOptions = PlaceOptions {
    method: Method::Laplace,
    max_iter: 500,
    tolerance: 1e-9,
    covariance: true,
    threads: Some(1),
};

/// Rows of one person with `k` dimensions, targets and an answering model.
#[derive(Debug, Clone)]
struct Problem {
    k: usize,
    delta: Vec<f64>,
    target: Vec<f64>,
    lapse: f64,
    tie: f64,
}

fn problem(scale: f64) -> impl Strategy<Value = Problem> {
    (1_usize..7, 0_usize..12).prop_flat_map(move |(k, n)| {
        let delta = prop::collection::vec(-scale..scale, n * k);
        let target = prop::collection::vec((0_u8..=4).prop_map(|t| f64::from(t) / 4.0), n);
        let lapse = prop_oneof![Just(0.0), 0.0..0.3];
        let tie = prop_oneof![Just(0.0), 0.0..1.5];
        (delta, target, lapse, tie).prop_map(move |(delta, target, lapse, tie)| Problem {
            k,
            delta,
            target,
            lapse,
            tie,
        })
    })
}

fn standard(k: usize) -> Prior {
    let mut covariance = vec![0.0; k * k];
    (0..k).for_each(|i| covariance[i * k + i] = 1.0 + i as f64);
    Prior::new(k, vec![1.0], vec![0.2; k], covariance).expect("positive definite")
}

fn solve(problem: &Problem, copies: usize, threads: Option<usize>) -> Placement {
    let n = problem.target.len();
    let (delta, target) = (problem.delta.repeat(copies), problem.target.repeat(copies));
    let starts: Vec<usize> = (0..=copies).map(|p| p * n).collect();
    let (offset, weight) = (vec![0.1; n * copies], vec![1.0; n * copies]);
    let labels = Labels::new(&target, &weight, &starts).expect("valid");
    let rows = Rows::new(&delta, &offset, labels, problem.k).expect("valid");
    let answering = Answering::new(problem.lapse, problem.tie).expect("in range");
    let options = PlaceOptions { threads, ..OPTIONS };
    place(rows, &standard(problem.k), answering, options).expect("valid")
}

/// Rows that curve the other way make a step of Newton's method, which takes them for flat, too short.
#[test]
fn lapses_and_ties_do_not_make_it_creep() {
    #[rustfmt::skip]
    let delta = [
        1.78, -1.06, -1.05, -3.06, 2.04, 2.19, 3.09, -1.97, 3.13, 3.73, -3.51, 2.82, 3.81, 3.98,
        -2.86, 3.73, 2.31, 3.56, 3.63, -3.67, 3.49, 3.97, 1.78, -2.50, 1.04, -0.38, -0.54, 2.19,
        -2.04, 2.81, 3.81, -2.83, -1.07, 3.23, 1.18, 3.31, 0.93, 1.97, -2.40, 3.72,
    ];
    let target = vec![0.25, 0.25, 0.75, 0.0, 1.0, 0.5, 1.0, 0.25, 0.25, 0.75];
    for (lapse, tie) in [(0.155, 1.22), (0.05, 0.0), (0.3, 0.5)] {
        let problem = Problem { k: 4, delta: delta.to_vec(), target: target.clone(), lapse, tie };
        let got = solve(&problem, 1, Some(1));
        assert!(got.converged[0] && got.iterations[0] < 40, "{lapse} {tie}: {:?}", got.iterations);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn posteriors_are_finite_shrink_the_prior_and_converge(problem in problem(4.0)) {
        let (k, got) = (problem.k, solve(&problem, 1, Some(1)));
        prop_assert!(got.modes.iter().chain(&got.covariances).all(|x| x.is_finite()));
        for i in 0..k {
            let variance = got.covariances[i * k + i];
            prop_assert!(variance > 0.0 && variance <= 1.0 + i as f64 + 1e-12);
            for j in 0..i {
                let (a, b) = (got.covariances[i * k + j], got.covariances[j * k + i]);
                prop_assert!(a.to_bits() == b.to_bits());
            }
        }
        prop_assert!(got.converged[0]);
        prop_assert!(got.gradients[0] < 1e-6);
    }

    #[test]
    fn huge_rows_stay_finite(problem in problem(1e6)) {
        let got = solve(&problem, 1, Some(1));
        prop_assert!(got.modes.iter().chain(&got.covariances).all(|x| x.is_finite()));
        prop_assert!(got.log_evidence[0].is_finite());
    }

    #[test]
    fn nobody_depends_on_others_or_on_threads(problem in problem(4.0)) {
        let (alone, many) = (solve(&problem, 1, Some(1)), solve(&problem, 40, Some(2)));
        let size = alone.covariances.len();
        for p in 0..40 {
            prop_assert_eq!(&alone.modes[..], &many.modes[p * problem.k..(p + 1) * problem.k]);
            prop_assert_eq!(&alone.covariances[..], &many.covariances[p * size..(p + 1) * size]);
        }
    }

    #[test]
    fn questions_are_worth_something_but_no_more_than_an_answer_can_say(problem in problem(4.0)) {
        let got = solve(&problem, 1, Some(1));
        let offset = vec![0.0; problem.target.len()];
        let pool = Pool::new(problem.k, &problem.delta, &offset, None).expect("valid");
        let belief =
            Belief::new(problem.k, &[1.0], &got.modes, &got.covariances).expect("valid");
        let answering = Answering::new(problem.lapse, problem.tie).expect("in range");
        let value = |rule| acquire(rule, pool, belief, answering, Some(1)).expect("valid");
        prop_assert!(value(Rule::Information).iter().all(|v| (0.0..=3.0_f64.ln()).contains(v)));
        prop_assert!(value(Rule::DOptimal).iter().all(|v| *v >= 0.0));
        prop_assert!(value(Rule::Eubo).iter().all(|v| *v >= 0.0));
    }
}
