//! Fusion of one query: number the documents, fold their values, sort.

use super::Runs;
use super::condorcet;
use super::methods::{Entry, Fold, Fuser, Kind, Params};
use super::norms::Norm;
use super::numbering::{Known, Table};
use super::sorting::{Sorter, key, score};
use crate::wide::wide;
use crate::{Error, Result};

/// What is the same for all queries.
pub(super) struct Plan<'a> {
    pub(super) fuser: &'static Fuser,
    pub(super) norm: &'static Norm,
    pub(super) weights: &'a [f64],
    pub(super) params: Params,
}

impl Plan<'_> {
    /// Weights and parameters.
    ///
    /// # Errors
    /// [`Error::Shape`] or [`Error::Range`].
    pub(super) fn check(&self, runs: usize) -> Result<()> {
        if self.weights.len() != runs {
            return Err(Error::length("weights", runs, self.weights.len()));
        }
        if let Some(w) = self.weights.iter().find(|w| !w.is_finite() || **w < 0.0) {
            return Err(Error::range("weights", "finite numbers at or above 0", w));
        }
        if self.weights.iter().sum::<f64>() <= 0.0 {
            return Err(Error::range("weights", "a weight above 0", "none"));
        }
        let uneven = self.weights.iter().any(|w| (w - 1.0).abs() > 0.0);
        if uneven && !self.fuser.laws.contains(&"weights") {
            let expected = format!("no weights for method {:?}", self.fuser.name);
            return Err(Error::range("weights", &expected, format!("{:?}", self.weights)));
        }
        let Params { k, phi, gamma, sigma, .. } = self.params;
        if !k.is_finite() || k < 0.0 {
            return Err(Error::range("k", "a number at or above 0", k));
        }
        if !(phi > 0.0 && phi < 1.0) {
            return Err(Error::range("phi", "a number in (0, 1)", phi));
        }
        if !gamma.is_finite() {
            return Err(Error::range("gamma", "a finite number", gamma));
        }
        if !(sigma > 0.0 && sigma.is_finite()) {
            return Err(Error::range("sigma", "a number above 0", sigma));
        }
        Ok(())
    }
}

/// Buffers that are used again from query to query.
#[derive(Debug, Default)]
pub(super) struct Query {
    /// Slot of each entry, run after run, each run from its best document to its worst.
    slots: Vec<u32>,
    /// Score of each entry in the same order.
    values: Vec<f64>,
    /// Where each run's entries end.
    ends: Vec<usize>,
    known: Known,
    table: Table,
    /// Whether a run has the document of each slot.
    present: Vec<bool>,
    order: Vec<u32>,
    /// What each place of a run is worth to methods that read ranks alone.
    points: Vec<f64>,
    keys: Vec<u128>,
    sorter: Sorter,
}

impl Query {
    /// Writes the fused ranking of query `q` to the front of `docs` and `scores`; returns its length.
    pub(super) fn fuse(
        &mut self,
        runs: &Runs<'_>,
        q: usize,
        plan: &Plan<'_>,
        docs: &mut [u32],
        scores: &mut [f64],
    ) -> Result<usize> {
        self.number(runs, q)?;
        let fused = match plan.fuser.kind {
            Kind::Condorcet => condorcet::scores(
                &self.slots,
                &self.ends,
                self.known.docs(),
                plan.weights,
                plan.params.sort,
            ),
            Kind::Score { .. } => self.fold(plan)?,
        };
        self.keys.clear();
        self.keys.extend(fused.iter().zip(self.known.docs()).map(|(score, doc)| key(*score, *doc)));
        self.sorter.sort(&mut self.keys, &fused);
        for (key, (d, s)) in self.keys.iter().zip(docs.iter_mut().zip(scores)) {
            #[allow(clippy::cast_possible_truncation, reason = "the low half is the document")]
            {
                *d = *key as u32;
            }
            *s = score(*key);
        }
        Ok(self.keys.len())
    }

    /// Sorts each run and gives every document of the query a slot.
    fn number(&mut self, runs: &Runs<'_>, q: usize) -> Result<()> {
        self.slots.clear();
        self.values.clear();
        self.ends.clear();
        let entries = (0..runs.count()).map(|r| runs.of(r, q).0.len()).sum();
        let largest = (0..runs.count()).map(|r| largest(runs.of(r, q).0));
        self.table.clear(entries, largest.max().unwrap_or(0));
        self.known.clear(entries);
        self.slots.reserve(entries);
        self.values.reserve(entries);
        for r in 0..runs.count() {
            let (docs, scores) = runs.of(r, q);
            let twice = if falls(docs, scores) {
                self.values.extend_from_slice(scores);
                self.number_run(docs.iter().copied(), r)
            } else {
                let mut order = std::mem::take(&mut self.order);
                order.clear();
                order.extend((0..).take(docs.len()));
                order.sort_unstable_by(|a, b| {
                    let (a, b) = (*a as usize, *b as usize);
                    scores[b].total_cmp(&scores[a]).then(docs[a].cmp(&docs[b]))
                });
                self.values.extend(order.iter().map(|at| scores[*at as usize]));
                let twice = self.number_run(order.iter().map(|at| docs[*at as usize]), r);
                self.order = order;
                twice
            };
            if let Some(doc) = twice {
                let got = format!("document {doc} twice for query {q} in run {r}");
                return Err(Error::range("runs", "each document once per query", got));
            }
            self.ends.push(self.slots.len());
        }
        Ok(())
    }

    /// Numbers the documents of a run; returns one that it has twice.
    fn number_run(&mut self, docs: impl Iterator<Item = u32>, r: usize) -> Option<u32> {
        let run = u32::try_from(r + 1).unwrap_or(u32::MAX);
        self.table.number(docs, run, &mut self.known, &mut self.slots)
    }

    /// One score per slot.
    fn fold(&mut self, plan: &Plan<'_>) -> Result<Vec<f64>> {
        let Kind::Score { value, fold, finish, missing } = plan.fuser.kind else {
            return Ok(Vec::new());
        };
        let (union, params) = (self.known.docs().len(), &plan.params);
        let mut lists = Lists::new(fold, union, self.ends.len());
        lists.counted = finish.is_some();
        let by_place = plan.fuser.laws.contains(&"ranks") && fold == Fold::Sum;
        if by_place {
            self.weigh_places(|entry| value(entry, params));
        }
        let mut begin = 0;
        for (r, end) in self.ends.iter().copied().enumerate() {
            let (ranked, weight) = (end - begin, plan.weights[r]);
            let (slots, scores) = (&self.slots[begin..end], &mut self.values[begin..end]);
            (plan.norm.apply)(scores, union)?;
            let absent = match (missing, plan.norm.missing) {
                (Some(f), _) => Some(f(ranked as f64, union as f64)),
                // Ranks are read alone: what the norm says of absent documents is not.
                (None, Some(f)) if !plan.fuser.laws.contains(&"ranks") => {
                    let entry = Entry { score: f(ranked, union), rank: 0.0, union: union as f64 };
                    Some(value(entry, params))
                }
                _ => None,
            };
            if by_place {
                lists.add(slots, &self.points, weight);
            } else {
                for (i, (slot, score)) in slots.iter().zip(scores.iter()).enumerate() {
                    let entry = Entry { score: *score, rank: (i + 1) as f64, union: union as f64 };
                    lists.push(*slot as usize, weight * value(entry, params));
                }
            }
            if let Some(absent) = absent {
                self.present.clear();
                self.present.resize(union, false);
                for slot in slots {
                    self.present[*slot as usize] = true;
                }
                for slot in (0..union).filter(|slot| !self.present[*slot]) {
                    lists.push(slot, weight * absent);
                }
            }
            begin = end;
        }
        Ok(match finish {
            Some(finish) => lists.finish(|total, count| finish(total, count, params)),
            None => lists.finish(|total, _| total),
        })
    }

    /// The worth of every place up to the last of the longest run.
    fn weigh_places(&mut self, value: impl Fn(Entry) -> f64) {
        let starts = std::iter::once(&0).chain(&self.ends);
        let longest = starts.zip(&self.ends).map(|(start, end)| end - start).max().unwrap_or(0);
        let union = self.known.docs().len() as f64;
        self.points.clear();
        self.points
            .extend((0..longest).map(|i| value(Entry { score: 0.0, rank: (i + 1) as f64, union })));
    }
}

/// Whether documents stand by falling score, equal ones by rising number.
fn falls(docs: &[u32], scores: &[f64]) -> bool {
    let tied = |i: usize| scores[i - 1].total_cmp(&scores[i]).is_eq() && docs[i - 1] < docs[i];
    let rest = scores.get(1..).unwrap_or(&[]);
    rises_nowhere(scores, rest) || (1..docs.len()).all(|i| scores[i - 1] > scores[i] || tied(i))
}

wide! {
    /// Whether every score is above the next; no early end, so that comparisons become vector instructions.
    fn rises_nowhere(scores: &[f64], next: &[f64]) -> bool {
        let mut rises = 0_u64;
        for (score, next) in scores.iter().zip(next) {
            rises |= u64::from(score <= next);
        }
        rises == 0
    }
}

wide! {
    fn largest(docs: &[u32]) -> u32 {
        let mut most = 0;
        for doc in docs {
            most = most.max(*doc);
        }
        most
    }
}

/// What the documents have collected so far.
struct Lists {
    fold: Fold,
    total: Vec<f64>,
    count: Vec<u32>,
    /// Whether sums need their counts.
    counted: bool,
    /// The values of each document, room for all runs, for the median.
    all: Vec<f64>,
    runs: usize,
}

impl Lists {
    fn new(fold: Fold, union: usize, runs: usize) -> Self {
        let start = match fold {
            Fold::Sum | Fold::Median => 0.0,
            Fold::Min => f64::INFINITY,
            Fold::Max => f64::NEG_INFINITY,
        };
        let all = if fold == Fold::Median { vec![0.0; union * runs] } else { Vec::new() };
        let (total, count) = (vec![start; union], vec![0; union]);
        Self { fold, total, count, counted: true, all, runs }
    }

    fn push(&mut self, slot: usize, value: f64) {
        let total = &mut self.total[slot];
        match self.fold {
            Fold::Sum => *total += value,
            Fold::Min => *total = total.min(value),
            Fold::Max => *total = total.max(value),
            Fold::Median => self.all[slot * self.runs + self.count[slot] as usize] = value,
        }
        self.count[slot] += 1;
    }

    /// Adds what the places of one run are worth, for [`Fold::Sum`].
    fn add(&mut self, slots: &[u32], points: &[f64], weight: f64) {
        for (slot, points) in slots.iter().zip(points) {
            self.total[*slot as usize] += weight * points;
        }
        if self.counted {
            for slot in slots {
                self.count[*slot as usize] += 1;
            }
        }
    }

    fn finish(mut self, f: impl Fn(f64, f64) -> f64) -> Vec<f64> {
        if self.fold == Fold::Median {
            for (slot, total) in self.total.iter_mut().enumerate() {
                let count = self.count[slot] as usize;
                let values = &mut self.all[slot * self.runs..slot * self.runs + count];
                values.sort_unstable_by(f64::total_cmp);
                *total = f64::midpoint(values[(count - 1) / 2], values[count / 2]);
            }
        }
        for (total, count) in self.total.iter_mut().zip(&self.count) {
            *total = f(*total, f64::from(*count));
        }
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::super::{FUSERS, FuseOptions, Fused, NORMS, Params, Run, Runs, fuse};
    use crate::{Error, Result, Stop};

    const STARTS: &[usize] = &[0, 3, 4];

    fn runs() -> Runs<'static> {
        let first = Run { starts: STARTS, docs: &[7, 5, 9, 1], scores: &[3.0, 1.0, 2.0, 1.0] };
        let second = Run { starts: &[0, 2, 3], docs: &[9, 4, 1], scores: &[0.9, 0.4, 0.5] };
        Runs::new(vec![first, second]).expect("valid")
    }

    fn run(method: &str, norm: &str, weights: &[f64]) -> Result<Fused> {
        let params = Params::default();
        let options =
            FuseOptions { method, norm, weights, params, threads: None, stop: Stop::never() };
        fuse(&runs(), &options)
    }

    #[test]
    fn methods_give_the_scores_worked_by_hand() {
        let got = run("rrf", "none", &[1.0, 1.0]).expect("valid");
        assert_eq!((got.starts, got.docs), (vec![0, 4, 5], vec![9, 7, 4, 5, 1]));
        assert!((got.scores[0] - (1.0 / 62.0 + 1.0 / 61.0)).abs() < 1e-15);
        let got = run("bordafuse", "none", &[1.0, 1.0]).expect("valid");
        assert_eq!(got.docs, [9, 7, 4, 5, 1]);
        assert_eq!(got.scores, [3.0 + 4.0, 4.0 + 1.5, 1.0 + 3.0, 2.0 + 1.5, 2.0]);
        let got = run("comb_sum", "min_max", &[1.0, 2.0]).expect("valid");
        assert_eq!(
            (&got.docs[..4], &got.scores[..4]),
            (&[9, 7, 4, 5][..], &[2.5, 1.0, 0.0, 0.0][..])
        );
        let got = run("comb_med", "none", &[1.0, 1.0]).expect("valid");
        assert_eq!(got.scores, [3.0, 1.45, 1.0, 0.4, 0.75]);
        let got = run("comb_sum", "borda", &[1.0, 1.0]).expect("valid");
        assert_eq!(got.docs, [9, 7, 4, 5, 1]);
        assert!((got.scores[1] - (1.0 + 0.375)).abs() < 1e-15);
    }

    #[test]
    fn documents_far_apart_and_near_zero_are_told_apart() {
        let runs = |docs: &[u32]| {
            let scores: Vec<f64> = (0..docs.len()).map(|i| -(i as f64)).collect();
            let starts = [0, docs.len()];
            let run = Run { starts: &starts, docs, scores: &scores };
            let params = Params::default();
            let (weights, stop) = (&[1.0, 1.0], Stop::never());
            let (method, norm) = ("rrf", "none");
            let options = FuseOptions { method, norm, weights, params, threads: None, stop };
            fuse(&Runs::new(vec![run, run]).expect("valid"), &options).expect("valid").docs
        };
        let near: Vec<u32> = (0..300).rev().collect();
        assert_eq!(runs(&near), near);
        let far: Vec<u32> = (0..300).map(|i| u32::MAX - i * 4099).collect();
        assert_eq!(runs(&far), far);
    }

    #[test]
    fn every_method_and_norm_runs_and_threads_change_nothing() {
        for fuser in FUSERS {
            for norm in NORMS {
                let got = run(fuser.name, norm.name, &[1.0, 1.0]).expect("valid");
                assert_eq!(got.starts, [0, 4, 5], "{} {}", fuser.name, norm.name);
                assert!(got.scores.iter().all(|s| s.is_finite()));
                assert!(got.scores[..4].windows(2).all(|pair| pair[0] >= pair[1]));
            }
        }
    }

    #[test]
    fn wrong_input_is_named() {
        assert!(matches!(run("x", "none", &[1.0, 1.0]), Err(Error::UnknownName { .. })));
        assert!(matches!(run("rrf", "x", &[1.0, 1.0]), Err(Error::UnknownName { .. })));
        assert!(run("rrf", "none", &[1.0]).is_err());
        assert!(run("rrf", "none", &[1.0, -1.0]).is_err());
        assert!(run("comb_max", "none", &[1.0, 2.0]).is_err());
        let twice = Run { starts: &[0, 2], docs: &[3, 3], scores: &[1.0, 0.5] };
        let weights = &[1.0];
        let params = Params::default();
        let (method, norm, stop) = ("rrf", "none", Stop::never());
        let options = FuseOptions { method, norm, weights, params, threads: None, stop };
        let error =
            fuse(&Runs::new(vec![twice]).expect("shapes fit"), &options).expect_err("twice");
        assert!(error.to_string().contains("document 3 twice for query 0 in run 0"), "{error}");
        let low = Run { starts: &[0, 1], docs: &[3], scores: &[-1.0] };
        let options = FuseOptions { norm: "max", ..options };
        assert!(fuse(&Runs::new(vec![low]).expect("shapes fit"), &options).is_err());
        for (starts, docs, scores) in [
            (&[0, 2][..], &[1][..], &[1.0][..]),
            (&[1, 1], &[1], &[1.0]),
            (&[0, 1], &[1], &[]),
            (&[0, 1], &[1], &[f64::NAN]),
        ] {
            assert!(Runs::new(vec![Run { starts, docs, scores }]).is_err());
        }
        assert!(Runs::new(vec![]).is_err());
    }
}
