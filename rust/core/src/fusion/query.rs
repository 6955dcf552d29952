//! Fusion of one query: number the documents, fold their values, sort.

use super::Runs;
use super::condorcet;
use super::methods::{Entry, Fold, Fuser, Kind, Params};
use super::norms::Norm;
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
    /// Document of each slot.
    docs: Vec<u32>,
    /// The last run that had the document, plus one.
    last: Vec<usize>,
    table: Table,
    order: Vec<u32>,
    keys: Vec<u128>,
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
                &self.docs,
                plan.weights,
                plan.params.sort,
            ),
            Kind::Score { .. } => self.fold(plan)?,
        };
        self.keys.clear();
        self.keys.extend(fused.iter().zip(&self.docs).map(|(score, doc)| key(*score, *doc)));
        self.keys.sort_unstable();
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
        self.docs.clear();
        self.last.clear();
        let entries = (0..runs.count()).map(|r| runs.of(r, q).0.len()).sum();
        self.table.clear(entries);
        self.slots.reserve(entries);
        self.values.reserve(entries);
        for r in 0..runs.count() {
            let (docs, scores) = runs.of(r, q);
            let sorted = (1..docs.len()).all(|i| {
                scores[i - 1] > scores[i]
                    || (scores[i - 1].total_cmp(&scores[i]).is_eq() && docs[i - 1] < docs[i])
            });
            if !sorted {
                self.order.clear();
                self.order.extend((0..).take(docs.len()));
                self.order.sort_unstable_by(|a, b| {
                    let (a, b) = (*a as usize, *b as usize);
                    scores[b].total_cmp(&scores[a]).then(docs[a].cmp(&docs[b]))
                });
            }
            for place in 0..docs.len() {
                let at = if sorted { place } else { self.order[place] as usize };
                let slot = self.table.slot(docs[at], &mut self.docs);
                if slot == self.last.len() {
                    self.last.push(0);
                }
                if std::mem::replace(&mut self.last[slot], r + 1) == r + 1 {
                    let got = format!("document {} twice for query {q} in run {r}", docs[at]);
                    return Err(Error::range("runs", "each document once per query", got));
                }
                #[allow(
                    clippy::cast_possible_truncation,
                    reason = "slots are fewer than documents"
                )]
                self.slots.push(slot as u32);
                self.values.push(scores[at]);
            }
            self.ends.push(self.slots.len());
        }
        Ok(())
    }

    /// One score per slot.
    fn fold(&mut self, plan: &Plan<'_>) -> Result<Vec<f64>> {
        let Kind::Score { value, fold, finish, missing } = plan.fuser.kind else {
            return Ok(Vec::new());
        };
        let (union, params) = (self.docs.len(), &plan.params);
        let mut lists = Lists::new(fold, union, self.ends.len());
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
            for (i, (slot, score)) in slots.iter().zip(scores.iter()).enumerate() {
                let entry = Entry { score: *score, rank: (i + 1) as f64, union: union as f64 };
                lists.push(*slot as usize, weight * value(entry, params));
            }
            if let Some(absent) = absent {
                self.last.fill(0);
                for slot in slots {
                    self.last[*slot as usize] = 1;
                }
                for slot in (0..union).filter(|slot| self.last[*slot] == 0) {
                    lists.push(slot, weight * absent);
                }
            }
            begin = end;
        }
        Ok(lists.finish(|total, count| finish(total, count, params)))
    }
}

/// A number that rises as the score falls and then as the document rises: one comparison sorts both.
fn key(score: f64, doc: u32) -> u128 {
    let bits = score.to_bits();
    // Negative numbers fall as their bits rise: turn them around, and put the positive ones above.
    let rising = if bits >> 63 == 0 { bits | (1 << 63) } else { !bits };
    (u128::from(!rising) << 32) | u128::from(doc)
}

/// The score of a [`key`].
fn score(key: u128) -> f64 {
    #[allow(clippy::cast_possible_truncation, reason = "64 bits are left")]
    let rising = !((key >> 32) as u64);
    f64::from_bits(if rising >> 63 == 1 { rising & !(1 << 63) } else { !rising })
}

/// What the documents have collected so far.
struct Lists {
    fold: Fold,
    total: Vec<f64>,
    count: Vec<usize>,
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
        Self { fold, total: vec![start; union], count: vec![0; union], all, runs }
    }

    fn push(&mut self, slot: usize, value: f64) {
        let total = &mut self.total[slot];
        match self.fold {
            Fold::Sum => *total += value,
            Fold::Min => *total = total.min(value),
            Fold::Max => *total = total.max(value),
            Fold::Median => self.all[slot * self.runs + self.count[slot]] = value,
        }
        self.count[slot] += 1;
    }

    fn finish(mut self, f: impl Fn(f64, f64) -> f64) -> Vec<f64> {
        if self.fold == Fold::Median {
            for (slot, total) in self.total.iter_mut().enumerate() {
                let count = self.count[slot];
                let values = &mut self.all[slot * self.runs..slot * self.runs + count];
                values.sort_unstable_by(f64::total_cmp);
                *total = f64::midpoint(values[(count - 1) / 2], values[count / 2]);
            }
        }
        self.total.iter().zip(&self.count).map(|(total, count)| f(*total, *count as f64)).collect()
    }
}

/// Open addressing from a document to its slot; a cell holds the slot plus one.
#[derive(Debug, Default)]
struct Table {
    cells: Vec<u32>,
    shift: u32,
}

impl Table {
    /// Room for `entries` documents at a load of at most one half.
    fn clear(&mut self, entries: usize) {
        let size = (2 * entries).next_power_of_two().max(16);
        self.shift = 64 - size.trailing_zeros();
        self.cells.clear();
        self.cells.resize(size, 0);
    }

    /// The slot of a document, a new one at its first sight.
    fn slot(&mut self, doc: u32, docs: &mut Vec<u32>) -> usize {
        let mask = self.cells.len() - 1;
        // The high bits of a product with an odd number spread runs of neighbouring ids.
        #[allow(clippy::cast_possible_truncation, reason = "shifted down to the size of the table")]
        let mut at = (u64::from(doc).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> self.shift) as usize;
        loop {
            let cell = self.cells[at];
            if cell == 0 {
                docs.push(doc);
                #[allow(clippy::cast_possible_truncation, reason = "documents are u32")]
                {
                    self.cells[at] = docs.len() as u32;
                }
                return docs.len() - 1;
            }
            if docs[cell as usize - 1] == doc {
                return cell as usize - 1;
            }
            at = (at + 1) & mask;
        }
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
    fn keys_sort_by_score_and_document_and_give_the_score_back() {
        let scores = [f64::MAX, 3.5, 1e-300, 0.0, -0.0, -1e-300, -2.0, f64::MIN];
        let keys: Vec<u128> = scores.iter().map(|s| super::key(*s, 7)).collect();
        assert!(keys.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(super::key(1.0, 3) < super::key(1.0, u32::MAX));
        for (key, expected) in keys.iter().zip(scores) {
            assert_eq!(super::score(*key).to_bits(), expected.to_bits());
        }
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
