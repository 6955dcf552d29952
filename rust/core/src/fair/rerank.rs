//! The table of re-rankers.

use super::bounds::check_shares;
use super::closest::closest;
use super::det::{Choice, const_sort, greedy};
use super::groups::{Queues, by_score};
use super::{Bounds, Groups, table, tree};
use crate::rng::Stream;
use crate::{Error, Result, Stop};

/// What a re-ranker may use; each reads what it needs.
#[derive(Debug, Clone, Copy)]
pub struct RerankOptions<'a> {
    /// How many places to fill.
    pub k: usize,
    /// Target share of each group; for `fa_ir` those of the protected groups, from group 1 on.
    pub shares: &'a [f64],
    /// Bounds of prefixes, instead of those of the shares.
    pub bounds: Option<&'a Bounds>,
    /// Significance of `fa_ir`.
    pub alpha: f64,
    /// Whether `fa_ir` corrects its significance for the many prefixes.
    pub adjust: bool,
    /// Whether to do as published where that breaks a promise.
    pub parity: bool,
    /// Probability of an exchange at each place, for `epsilon_greedy`.
    pub epsilon: f64,
    /// Seed of the methods that draw.
    pub seed: u64,
    /// When to give up.
    pub stop: Stop<'a>,
}

/// A re-ranking and the bounds that it promises.
#[derive(Debug, Clone, PartialEq)]
pub struct Reranked {
    /// Items, best place first.
    pub order: Vec<usize>,
    /// Least number of items of each group in every prefix, row by row; empty where none is promised.
    pub lower: Vec<usize>,
    /// The significance that `fa_ir` used; 0 for the others.
    pub alpha: f64,
    /// The failure probability of the table of `fa_ir`; 0 for the others.
    pub failure: f64,
}

/// Items by score and their groups.
struct Input<'a> {
    order: Vec<usize>,
    groups: Groups<'a>,
}

impl Input<'_> {
    fn queues(&self) -> Queues {
        Queues::new(&self.order, self.groups)
    }

    /// A ranking given by places in the order of scores.
    fn items(&self, places: &[usize]) -> Vec<usize> {
        places.iter().map(|place| self.order[*place]).collect()
    }
}

/// One method: a row of [`RERANKERS`].
#[derive(Debug, Clone, Copy)]
pub struct Reranker {
    /// Its name.
    pub name: &'static str,
    /// Where it comes from.
    pub source: &'static str,
    /// What its tests check: `group_order`, `lower`, `share` (floors of the shares), `identity`.
    pub laws: &'static [&'static str],
    run: fn(&Input<'_>, &RerankOptions<'_>) -> Result<Reranked>,
}

/// Every method of [`rerank`].
pub const RERANKERS: &[Reranker] = &[
    Reranker {
        name: "closest",
        source: "Chakraborty, Das, Khan and Subramanian 2022",
        laws: &["group_order", "lower", "share", "identity"],
        run: run_closest,
    },
    Reranker {
        name: "det_cons",
        source: "Geyik, Ambler and Kenthapadi 2019, algorithm 2",
        laws: &["group_order"],
        run: |input, options| run_det(input, options, Choice::Conservative),
    },
    Reranker {
        name: "det_const_sort",
        source: "Geyik, Ambler and Kenthapadi 2019, algorithm 3",
        laws: &["group_order", "share"],
        run: run_const_sort,
    },
    Reranker {
        name: "det_greedy",
        source: "Geyik, Ambler and Kenthapadi 2019, algorithm 1",
        laws: &["group_order"],
        run: |input, options| run_det(input, options, Choice::Greedy),
    },
    Reranker {
        name: "det_relaxed",
        source: "Geyik, Ambler and Kenthapadi 2019, algorithm 2",
        laws: &["group_order"],
        run: |input, options| run_det(input, options, Choice::Relaxed),
    },
    Reranker {
        name: "epsilon_greedy",
        source: "Feng and Shah 2022, section 4",
        laws: &["identity"],
        run: run_epsilon,
    },
    Reranker {
        name: "fa_ir",
        source: "Zehlike et al. 2017; Zehlike et al. 2022",
        laws: &["group_order", "lower"],
        run: run_fa_ir,
    },
    Reranker {
        name: "quota_merge",
        source: "Celis, Straszak and Vishnoi 2018, bounds at the last place",
        laws: &["group_order", "identity"],
        run: run_quota_merge,
    },
    Reranker {
        name: "round_robin",
        source: "groups take turns, the group of the better head first",
        laws: &["group_order"],
        run: run_round_robin,
    },
];

/// The best `k` items in an order that is fair to the groups.
///
/// Scores are higher for better items, ties go to the lower index.
///
/// # Errors
/// [`Error::UnknownName`], [`Error::Range`] and [`Error::Shape`] for wrong arguments,
/// [`Error::Infeasible`] when the bounds cannot be met with these items.
pub fn rerank(
    name: &str,
    scores: &[f64],
    groups: Groups<'_>,
    options: &RerankOptions<'_>,
) -> Result<Reranked> {
    let row = RERANKERS.iter().find(|row| row.name == name).ok_or_else(|| Error::UnknownName {
        kind: "method",
        name: name.to_owned(),
        known: RERANKERS.iter().map(|row| row.name).collect(),
    })?;
    if scores.len() != groups.items() {
        return Err(Error::length("scores", groups.items(), scores.len()));
    }
    if options.k == 0 || options.k > scores.len() {
        return Err(Error::range("k", &format!("1 to the {} items", scores.len()), options.k));
    }
    check_shares(options.shares)?;
    if options.shares.len() != groups.count() {
        return Err(Error::length("shares", groups.count(), options.shares.len()));
    }
    if !(0.0..=1.0).contains(&options.epsilon) {
        return Err(Error::range("epsilon", "a number in [0, 1]", options.epsilon));
    }
    if let Some(bounds) = options.bounds {
        if bounds.groups() != groups.count() || bounds.prefixes() != options.k {
            let expected = format!("({}, {})", options.k, groups.count());
            let got = format!("({}, {})", bounds.prefixes(), bounds.groups());
            return Err(Error::Shape { name: "bounds", expected, got });
        }
    }
    (row.run)(&Input { order: by_score(scores)?, groups }, options)
}

fn plain(order: Vec<usize>) -> Reranked {
    Reranked { order, lower: Vec::new(), alpha: 0.0, failure: 0.0 }
}

fn run_closest(input: &Input<'_>, options: &RerankOptions<'_>) -> Result<Reranked> {
    let made = match options.bounds {
        Some(_) => None,
        None => Some(Bounds::from_shares(options.shares, options.k)?),
    };
    let Some(bounds) = options.bounds.or(made.as_ref()) else { return Ok(plain(Vec::new())) };
    let mut order = closest(&input.order, input.groups, bounds, options.stop)?;
    order.truncate(options.k);
    Ok(Reranked { lower: bounds.lower_table().to_vec(), ..plain(order) })
}

#[allow(clippy::unnecessary_wraps, reason = "the signature of the table")]
fn run_det(input: &Input<'_>, options: &RerankOptions<'_>, choice: Choice) -> Result<Reranked> {
    let places = greedy(&mut input.queues(), options.shares, options.k, choice);
    Ok(plain(input.items(&places)))
}

fn run_const_sort(input: &Input<'_>, options: &RerankOptions<'_>) -> Result<Reranked> {
    let (k, parity) = (options.k, options.parity);
    let places = const_sort(&mut input.queues(), options.shares, k, parity, options.stop)?;
    Ok(plain(input.items(&places)))
}

/// Two queues and a table, or several queues and a tree.
fn run_fa_ir(input: &Input<'_>, options: &RerankOptions<'_>) -> Result<Reranked> {
    let (k, groups) = (options.k, input.groups.count());
    if groups < 2 {
        return Err(Error::range("groups", "an unprotected and a protected group", groups));
    }
    if let [_, p] = options.shares {
        let table = table(k, *p, options.alpha, options.adjust, options.parity, options.stop)?;
        let enough = |i: usize, have: &[usize]| {
            (have[0] >= table.minimum[i - 1]).then(|| vec![table.minimum[i - 1]])
        };
        let (order, lower) = fill(input, k, enough)?;
        return Ok(Reranked { order, lower, alpha: table.alpha, failure: table.failure });
    }
    let tree = tree(k, &options.shares[1..], options.alpha, options.adjust, options.stop)?;
    let (order, lower) = fill(input, k, |i, have| tree.passed(i, have).map(<[usize]>::to_vec))?;
    Ok(Reranked { order, lower, alpha: tree.alpha, failure: tree.failure })
}

/// The best head after which the counts of the protected groups pass, place by place.
///
/// Returns the ranking and, per prefix, the counts that it was held to (0 for the unprotected).
fn fill(
    input: &Input<'_>,
    k: usize,
    passed: impl Fn(usize, &[usize]) -> Option<Vec<usize>>,
) -> Result<(Vec<usize>, Vec<usize>)> {
    let mut queues = input.queues();
    let mut have = vec![0; input.groups.count() - 1];
    let (mut places, mut lower) = (Vec::with_capacity(k), Vec::new());
    for i in 1..=k {
        let with = |g: usize| {
            let mut have = have.clone();
            if g > 0 {
                have[g - 1] += 1;
            }
            passed(i, &have)
        };
        let Some(g) = queues.best(|g| with(g).is_some()) else {
            let what = format!(
                "k: the first {i} places need more protected items than there are left; \
                 placed so far: {have:?}"
            );
            return Err(Error::Infeasible { what });
        };
        lower.push(0);
        lower.extend(with(g).unwrap_or_default());
        if g > 0 {
            have[g - 1] += 1;
        }
        places.extend(queues.take(g));
    }
    Ok((input.items(&places), lower))
}

#[allow(clippy::unnecessary_wraps, reason = "the signature of the table")]
fn run_epsilon(input: &Input<'_>, options: &RerankOptions<'_>) -> Result<Reranked> {
    let mut order = input.order.clone();
    let mut stream = Stream::new(options.seed, 0);
    for place in 0..options.k.min(order.len() - 1) {
        if stream.uniform() < options.epsilon {
            let other = place + 1 + stream.below(order.len() - place - 1);
            order.swap(place, other);
        }
    }
    order.truncate(options.k);
    Ok(plain(order))
}

fn run_round_robin(input: &Input<'_>, options: &RerankOptions<'_>) -> Result<Reranked> {
    let mut queues = input.queues();
    let mut turn: Vec<(usize, usize)> =
        (0..input.groups.count()).filter_map(|g| queues.head(g).map(|head| (head, g))).collect();
    turn.sort_unstable();
    let mut places = Vec::with_capacity(options.k);
    while places.len() < options.k {
        options.stop.check()?;
        for (_, g) in &turn {
            places.extend(queues.take(*g));
        }
    }
    places.truncate(options.k);
    Ok(plain(input.items(&places)))
}

/// The best `k` items within the bounds of the last place, in the order of their scores.
fn run_quota_merge(input: &Input<'_>, options: &RerankOptions<'_>) -> Result<Reranked> {
    let k = options.k;
    let made = match options.bounds {
        Some(_) => None,
        None => Some(Bounds::from_shares(options.shares, k)?),
    };
    let Some(bounds) = options.bounds.or(made.as_ref()) else { return Ok(plain(Vec::new())) };
    let p = bounds.groups();
    let (mut lower, mut upper) = (vec![0; k * p], vec![k; k * p]);
    lower[(k - 1) * p..].copy_from_slice(&bounds.lower_table()[(k - 1) * p..]);
    for g in 0..p {
        upper[(k - 1) * p + g] = bounds.upper(k, g);
    }
    let last = Bounds::new(p, lower, upper)?;
    let mut chosen = closest(&input.order, input.groups, &last, options.stop)?;
    chosen.truncate(k);
    let keep: Vec<bool> = chosen.iter().fold(vec![false; input.order.len()], |mut keep, item| {
        keep[*item] = true;
        keep
    });
    Ok(plain(input.order.iter().copied().filter(|item| keep[*item]).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(k: usize, shares: &[f64]) -> RerankOptions<'_> {
        RerankOptions {
            k,
            shares,
            bounds: None,
            alpha: 0.1,
            adjust: false,
            parity: false,
            epsilon: 0.0,
            seed: 0,
            stop: Stop::never(),
        }
    }

    #[test]
    fn fa_ir_takes_a_protected_item_when_the_prefix_would_miss() {
        let labels = [0, 0, 0, 0, 1, 1];
        let groups = Groups::new(&labels, 2).expect("valid");
        let scores = [6.0, 5.0, 4.0, 3.0, 2.0, 1.0];
        let got = rerank("fa_ir", &scores, groups, &options(6, &[0.5, 0.5])).expect("feasible");
        // alpha 0.1, p 1/2: M = 0, 0, 0, 1, 1, 1.
        assert_eq!(got.order, [0, 1, 2, 4, 3, 5]);
        assert_eq!(got.lower, [0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 1]);
        let none = Groups::new(&[0; 6], 2).expect("valid");
        let error = rerank("fa_ir", &scores, none, &options(6, &[0.5, 0.5])).expect_err("none");
        assert!(matches!(error, Error::Infeasible { .. }));
    }

    #[test]
    fn quotas_hold_at_the_last_place_and_scores_order_the_rest() {
        let labels = [0, 0, 0, 1, 1, 1];
        let groups = Groups::new(&labels, 2).expect("valid");
        let scores = [6.0, 5.0, 4.0, 3.0, 2.0, 1.0];
        let shares = [0.5, 0.5];
        let got = rerank("quota_merge", &scores, groups, &options(4, &shares)).expect("feasible");
        assert_eq!(got.order, [0, 1, 3, 4]);
        let turns = rerank("round_robin", &scores, groups, &options(5, &shares)).expect("valid");
        assert_eq!(turns.order, [0, 3, 1, 4, 2]);
    }

    #[test]
    fn every_row_gives_distinct_items_and_an_unknown_name_lists_them() {
        let labels = [0, 1, 2, 0, 1, 2, 0, 0];
        let groups = Groups::new(&labels, 3).expect("valid");
        let scores = [0.3, 0.8, 0.1, 0.8, 0.5, 0.9, 0.2, 0.7];
        for row in RERANKERS {
            let shares = [0.5, 0.25, 0.25];
            let got = rerank(row.name, &scores, groups, &options(6, &shares)).expect(row.name);
            let mut items = got.order.clone();
            items.sort_unstable();
            items.dedup();
            assert_eq!((items.len(), got.order.len()), (6, 6), "{}", row.name);
        }
        let error = rerank("x", &scores, groups, &options(6, &[0.5, 0.25, 0.25]));
        assert!(matches!(error, Err(Error::UnknownName { .. })));
    }
}
