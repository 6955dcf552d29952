//! Laws of fair re-ranking, fusion and bias, on random instances.

use gustibus_core::Stop;
use gustibus_core::bias::{Bias, Swapping, bias_all};
use gustibus_core::fair::{
    Bounds, Groups, RERANKERS, RerankOptions, closest, parity, repair, rerank,
};
use gustibus_core::fusion::{FUSERS, FuseOptions, Fused, NORMS, Params, Run, Runs, fuse};
use proptest::prelude::*;

fn kendall(a: &[usize], b: &[usize]) -> usize {
    let place = |item: &usize| b.iter().position(|x| x == item).expect("a permutation");
    (0..a.len()).map(|i| a[i + 1..].iter().filter(|y| place(y) < place(&a[i])).count()).sum()
}

fn permutations(m: usize) -> Vec<Vec<usize>> {
    if m == 0 {
        return vec![Vec::new()];
    }
    let shorter = permutations(m - 1);
    let insert = |p: &Vec<usize>, at: usize| {
        let mut p = p.clone();
        p.insert(at, m - 1);
        p
    };
    shorter.iter().flat_map(|p| (0..m).map(move |at| insert(p, at))).collect()
}

fn order_of(keys: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..keys.len()).collect();
    order.sort_by(|a, b| keys[*b].total_cmp(&keys[*a]));
    order
}

prop_compose! {
    fn instance()(m in 2_usize..7)(
        labels in prop::collection::vec(0_u32..3, m),
        keys in prop::collection::vec(0.0_f64..1.0, m),
        lower in prop::collection::vec(0_usize..3, 3 * m),
        room in prop::collection::vec(0_usize..4, 3 * m),
    ) -> (Vec<u32>, Vec<usize>, Vec<usize>, Vec<usize>) {
        let upper = lower.iter().zip(&room).map(|(l, r)| l + r).collect();
        (labels, order_of(&keys), lower, upper)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_closest_ranking_is_that_of_brute_force((labels, order, lower, upper) in instance()) {
        let groups = Groups::new(&labels, 3).expect("labels are below 3");
        let Ok(bounds) = Bounds::new(3, lower, upper) else { return Ok(()) };
        let best = permutations(order.len())
            .into_iter()
            .filter(|ranking| bounds.hold(ranking, groups))
            .map(|ranking| kendall(&ranking, &order))
            .min();
        let found = closest(&order, groups, &bounds, Stop::never());
        prop_assert!(found.as_ref().map_or(true, |ranking| bounds.hold(ranking, groups)));
        prop_assert_eq!(found.ok().map(|ranking| kendall(&ranking, &order)), best);
    }

    #[test]
    fn rerankers_keep_their_laws(
        labels in prop::collection::vec(0_u32..3, 3..40),
        seed in 0_u64..1000,
        skew in 0.0_f64..1.0,
    ) {
        let m = labels.len();
        let labels: Vec<u32> = (0..3).chain(labels).take(m).collect();
        let groups = Groups::new(&labels, 3).expect("valid");
        let scores: Vec<f64> = (0..m)
            .map(|i| gustibus_core::rng::uniform(seed, 0, i as u64) - skew * f64::from(labels[i]))
            .collect();
        let shares: Vec<f64> = groups.sizes().iter().map(|s| *s as f64 / m as f64).collect();
        let bounds = Bounds::from_shares(&shares, m).expect("valid");
        let free = Bounds::new(3, vec![0; 3 * m], vec![m; 3 * m]).expect("valid");
        let by_score = order_of(&scores);
        for row in RERANKERS {
            let run = |bounds, epsilon| {
                let options = RerankOptions {
                    k: m, shares: &shares, bounds, alpha: 0.1, adjust: false, parity: false,
                    epsilon, seed, stop: Stop::never(),
                };
                rerank(row.name, &scores, groups, &options)
            };
            let Ok(done) = run(None, 0.3) else {
                prop_assert_eq!(row.name, "fa_ir"); // the tree may ask for more than there are
                continue;
            };
            let mut items = done.order.clone();
            items.sort_unstable();
            prop_assert!(items.into_iter().eq(0..m), "{}", row.name);
            if row.laws.contains(&"group_order") {
                for g in 0..3 {
                    let of = |order: &[usize]| -> Vec<usize> {
                        order.iter().copied().filter(|i| labels[*i] == g).collect()
                    };
                    prop_assert_eq!(of(&done.order), of(&by_score), "{}", row.name);
                }
            }
            let counts = |i: usize, g: usize| {
                done.order[..i].iter().filter(|item| labels[**item] as usize == g).count()
            };
            if row.laws.contains(&"lower") {
                for i in 1..=m {
                    for g in 0..3 {
                        prop_assert!(counts(i, g) >= done.lower[(i - 1) * 3 + g], "{}", row.name);
                    }
                }
            }
            if row.laws.contains(&"share") {
                for i in 1..=m {
                    for g in 0..3 {
                        prop_assert!(counts(i, g) >= bounds.lower(i, g), "{} {i} {g}", row.name);
                    }
                }
            }
            if row.laws.contains(&"identity") {
                let done = run(Some(&free), 0.0).expect("nothing is bounded");
                prop_assert_eq!(&done.order, &by_score, "{}", row.name);
            }
        }
    }

    #[test]
    fn repaired_rankings_have_the_gap_that_they_report(
        labels in prop::collection::vec((0_u32..3, 0_u32..2), 4..30),
        delta in 0.0_f64..0.5,
    ) {
        let (a, b): (Vec<u32>, Vec<u32>) = labels.into_iter().unzip();
        let attributes = [Groups::new(&a, 3).expect("valid"), Groups::new(&b, 2).expect("valid")];
        let order: Vec<usize> = (0..a.len()).collect();
        let gap = |order: &[usize]| {
            attributes.iter().map(|g| parity(order, *g).expect("valid").gap).fold(0.0, f64::max)
        };
        let done = repair(&order, &attributes, delta, Stop::never()).expect("valid");
        prop_assert!((gap(&done.order) - done.gap).abs() < 1e-12);
        prop_assert_eq!(done.converged, done.gap <= delta + 1e-12);
        prop_assert!(done.swaps > 0 || done.order == order);
    }

    #[test]
    fn swaps_with_current_weights_only_help_the_advantaged(
        labels in prop::collection::vec(0_u32..2, 2..20),
        seed in 0_u64..1000,
        strength in 0.0_f64..1.0,
    ) {
        let groups = Groups::new(&labels, 2).expect("valid");
        let m = labels.len();
        let mut latent: Vec<u32> = (0..).take(m).collect();
        gustibus_core::rng::Stream::new(seed, 9).shuffle(&mut latent);
        let ahead = |ballot: &[u32]| -> usize {
            (0..m)
                .map(|i| {
                    let g = labels[ballot[i] as usize];
                    ballot[..i].iter().filter(|b| labels[**b as usize] > g).count()
                })
                .sum()
        };
        let place = |ballot: &[u32], item: u32| ballot.iter().position(|x| *x == item);
        let mut last = ahead(&latent);
        for share in [0.0, strength, 1.0] {
            let mut biased = latent.clone();
            let swapping =
                Swapping { phi: 0.5, strength: share, current: true, keep_group_order: true };
            bias_all(&Bias::Swapping(swapping), &mut biased, groups, seed, Stop::never())
                .expect("valid");
            let mut sorted = biased.clone();
            sorted.sort_unstable();
            prop_assert!(sorted.iter().zip(0..).all(|(a, b)| *a == b));
            prop_assert!(share > 0.0 || biased == latent);
            let now = ahead(&biased);
            prop_assert!(now <= last);
            last = now;
            for (i, a) in latent.iter().enumerate() {
                for b in &latent[i + 1..] {
                    // An item keeps ahead of what it was ahead of, unless it is less advantaged.
                    if labels[*a as usize] <= labels[*b as usize] {
                        prop_assert!(place(&biased, *a) < place(&biased, *b));
                    }
                }
            }
        }
        prop_assert_eq!(last, 0);
    }
}

fn run_of(lists: &[Vec<f64>]) -> (Vec<usize>, Vec<u32>, Vec<f64>) {
    let mut starts = vec![0];
    let (mut docs, mut scores) = (Vec::new(), Vec::new());
    for list in lists {
        for (doc, score) in (0..).zip(list).filter(|(_, score)| **score > 0.2) {
            docs.push(doc);
            scores.push(*score);
        }
        starts.push(docs.len());
    }
    (starts, docs, scores)
}

fn fused(owned: &[(Vec<usize>, Vec<u32>, Vec<f64>)], method: &str, norm: &str) -> Fused {
    let runs = owned.iter().map(|(starts, docs, scores)| Run { starts, docs, scores }).collect();
    let weights = vec![1.0; owned.len()];
    let options = FuseOptions {
        method,
        norm,
        weights: &weights,
        params: Params::default(),
        threads: None,
        stop: Stop::never(),
    };
    fuse(&Runs::new(runs).expect("valid"), &options).expect("valid")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn methods_of_ranks_ignore_rising_transforms_and_respect_unanimity(
        scores in prop::collection::vec(prop::collection::vec(prop::collection::vec(0.0_f64..1.0, 12), 3), 2..5),
    ) {
        let given: Vec<_> = scores.iter().map(|lists| run_of(lists)).collect();
        let mut raised = given.clone();
        for (_, _, scores) in &mut raised {
            for s in scores {
                *s = s.exp() * 5.0 - 1.0;
            }
        }
        let mut topped = given.clone();
        for (starts, docs, scores) in &mut topped {
            for q in 0..3 {
                // Document 99 first in every run of every query.
                let at = starts[q];
                docs.insert(at, 99);
                scores.insert(at, 2.0);
                starts[q + 1..].iter_mut().for_each(|s| *s += 1);
            }
        }
        for row in FUSERS {
            if row.laws.contains(&"ranks") {
                prop_assert_eq!(fused(&given, row.name, "none"), fused(&raised, row.name, "none"));
            }
            if row.laws.contains(&"unanimous") {
                let got = fused(&topped, row.name, "none");
                for q in 0..3 {
                    prop_assert_eq!(got.docs[got.starts[q]], 99, "{}", row.name);
                }
            }
        }
        for norm in NORMS.iter().filter(|norm| norm.laws.contains(&"increasing")) {
            let (a, b) = (fused(&given, "comb_sum", norm.name), fused(&raised, "comb_sum", norm.name));
            prop_assert_eq!(a, b);
        }
    }
}
