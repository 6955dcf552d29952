//! Normalisations of the scores of one run for one query.

use crate::{Error, Result};

/// Smallest spread that scores are divided by.
const FLOOR: f64 = 1e-9;

/// One normalisation: a row of [`NORMS`].
#[derive(Debug, Clone, Copy)]
pub struct Norm {
    /// Its name.
    pub name: &'static str,
    /// Where it comes from.
    pub source: &'static str,
    /// What its tests check: `increasing` transforms do not matter, only `order` stays.
    pub laws: &'static [&'static str],
    /// Changes scores that fall along the slice; the number is that of documents in any run.
    pub(super) apply: fn(&mut [f64], usize) -> Result<()>,
    /// What a document gets that the run lacks, from the run's length and that of the union.
    pub(super) missing: Option<fn(usize, usize) -> f64>,
}

/// Every normalisation of scores.
pub const NORMS: &[Norm] = &[
    Norm {
        name: "borda",
        source: "Renda and Straccia 2003, Borda normalisation",
        laws: &["order", "increasing"],
        apply: |scores, union| {
            for (i, s) in scores.iter_mut().enumerate() {
                *s = 1.0 - i as f64 / union as f64;
            }
            Ok(())
        },
        missing: Some(|ranked, union| 0.5 - (ranked as f64 - 1.0) / (2.0 * union as f64)),
    },
    Norm {
        name: "max",
        source: "divided by the best score",
        laws: &["order"],
        apply: |scores, _| match scores.first() {
            Some(best) if *best <= 0.0 => {
                Err(Error::range("scores", "a best score above 0 for norm \"max\"", best))
            }
            best => {
                let best = best.copied().unwrap_or(1.0).max(FLOOR);
                for s in scores {
                    *s /= best;
                }
                Ok(())
            }
        },
        missing: None,
    },
    Norm {
        name: "min_max",
        source: "Lee 1997; equal scores become 0",
        laws: &["order"],
        apply: |scores, _| {
            let (high, low) = ends(scores);
            shift(scores, low, high - low);
            Ok(())
        },
        missing: None,
    },
    Norm {
        name: "none",
        source: "scores as they are",
        laws: &["order"],
        apply: |_, _| Ok(()),
        missing: None,
    },
    Norm {
        name: "rank",
        source: "Renda and Straccia 2003, rank normalisation",
        laws: &["order", "increasing"],
        apply: |scores, _| {
            let n = scores.len() as f64;
            for (i, s) in scores.iter_mut().enumerate() {
                *s = 1.0 - i as f64 / n;
            }
            Ok(())
        },
        missing: None,
    },
    Norm {
        name: "sum",
        source: "Montague and Aslam 2001, sum normalisation of scores less the smallest",
        laws: &["order"],
        apply: |scores, _| {
            let (_, low) = ends(scores);
            let total = scores.iter().map(|s| s - low).sum();
            shift(scores, low, total);
            Ok(())
        },
        missing: None,
    },
    Norm {
        name: "zmuv",
        source: "Montague and Aslam 2001, zero mean and unit variance",
        laws: &["order"],
        apply: |scores, _| {
            let n = scores.len().max(1) as f64;
            let mean = scores.iter().sum::<f64>() / n;
            let variance = scores.iter().map(|s| (s - mean) * (s - mean)).sum::<f64>() / n;
            shift(scores, mean, variance.sqrt());
            Ok(())
        },
        missing: None,
    },
];

pub(super) fn find(name: &str) -> Result<&'static Norm> {
    NORMS.iter().find(|row| row.name == name).ok_or_else(|| Error::UnknownName {
        kind: "norm",
        name: name.to_owned(),
        known: NORMS.iter().map(|row| row.name).collect(),
    })
}

/// Best and worst of scores that fall.
fn ends(scores: &[f64]) -> (f64, f64) {
    (scores.first().copied().unwrap_or(0.0), scores.last().copied().unwrap_or(0.0))
}

fn shift(scores: &mut [f64], by: f64, spread: f64) {
    let spread = spread.max(FLOOR);
    for s in scores {
        *s = (*s - by) / spread;
    }
}
