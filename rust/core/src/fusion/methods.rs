//! The table of fusion methods.

use crate::{Error, Result};

/// Parameters; each method reads its own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Params {
    /// Added to ranks by `rrf`, at least 0.
    pub k: f64,
    /// Persistence of `rbc`, in `(0, 1)`.
    pub phi: f64,
    /// Power of the count in `comb_gmnz`.
    pub gamma: f64,
    /// Added to the count in `logn_isr`, above 0.
    pub sigma: f64,
    /// Whether `condorcet` sorts by majorities instead of counting them.
    pub sort: bool,
}

impl Default for Params {
    fn default() -> Self {
        Self { k: 60.0, phi: 0.8, gamma: 1.0, sigma: 0.01, sort: false }
    }
}

/// A document in a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    /// Normalised score.
    pub(super) score: f64,
    /// Rank from 1.
    pub(super) rank: f64,
    /// Documents in any run.
    pub(super) union: f64,
}

/// How a document's values from several runs come together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fold {
    Sum,
    Min,
    Max,
    Median,
}

/// The two kinds of method.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// A value per entry, folded over runs, finished with the number of runs that have the document.
    Score {
        value: fn(Entry, &Params) -> f64,
        fold: Fold,
        finish: Option<Finish>,
        /// What a document gets that a run lacks, from the run's length and that of the union.
        missing: Option<fn(f64, f64) -> f64>,
    },
    /// Majorities between documents.
    Condorcet,
}

/// The score from what was folded and the number of runs.
pub(super) type Finish = fn(f64, f64, &Params) -> f64;

/// One method: a row of [`FUSERS`].
#[derive(Debug, Clone, Copy)]
pub struct Fuser {
    /// Its name.
    pub name: &'static str,
    /// Where it comes from.
    pub source: &'static str,
    /// What its tests check: `ranks` reads ranks alone, `unanimous` keeps a document that is first
    /// everywhere first, `weights` takes weights of runs.
    pub laws: &'static [&'static str],
    pub(super) kind: Kind,
}

const fn scores(fold: Fold, finish: Option<Finish>) -> Kind {
    Kind::Score { value: |entry, _| entry.score, fold, finish, missing: None }
}

const fn ranks(value: fn(Entry, &Params) -> f64, finish: Option<Finish>) -> Kind {
    Kind::Score { value, fold: Fold::Sum, finish, missing: None }
}

/// What was folded is the score.
const PLAIN: Option<Finish> = None;
const INVERSE_SQUARE: fn(Entry, &Params) -> f64 = |entry, _| 1.0 / (entry.rank * entry.rank);

/// Every method of [`super::fuse`].
pub const FUSERS: &[Fuser] = &[
    Fuser {
        name: "bordafuse",
        source: "Aslam and Montague 2001",
        laws: &["ranks", "unanimous", "weights"],
        kind: Kind::Score {
            value: |entry, _| entry.union - entry.rank + 1.0,
            fold: Fold::Sum,
            finish: PLAIN,
            missing: Some(|ranked, union| 0.5 * (union - ranked + 1.0)),
        },
    },
    Fuser {
        name: "comb_anz",
        source: "Fox and Shaw 1994",
        laws: &["weights"],
        kind: scores(Fold::Sum, Some(|total, count, _| total / count)),
    },
    Fuser {
        name: "comb_gmnz",
        source: "Lee 1997",
        laws: &["weights"],
        kind: scores(
            Fold::Sum,
            Some(|total, count, params| total * libm::pow(count, params.gamma)),
        ),
    },
    Fuser {
        name: "comb_max",
        source: "Fox and Shaw 1994",
        laws: &[],
        kind: scores(Fold::Max, PLAIN),
    },
    Fuser {
        name: "comb_med",
        source: "Fox and Shaw 1994",
        laws: &[],
        kind: scores(Fold::Median, PLAIN),
    },
    Fuser {
        name: "comb_min",
        source: "Fox and Shaw 1994",
        laws: &[],
        kind: scores(Fold::Min, PLAIN),
    },
    Fuser {
        name: "comb_mnz",
        source: "Fox and Shaw 1994",
        laws: &["weights"],
        kind: scores(Fold::Sum, Some(|total, count, _| total * count)),
    },
    Fuser {
        name: "comb_sum",
        source: "Fox and Shaw 1994; with weights the weighted sum",
        laws: &["weights"],
        kind: scores(Fold::Sum, PLAIN),
    },
    Fuser {
        name: "condorcet",
        source: "Montague and Aslam 2002; Copeland's order unless sorted",
        laws: &["ranks", "unanimous", "weights"],
        kind: Kind::Condorcet,
    },
    Fuser {
        name: "isr",
        source: "Mourão, Martins and Magalhães 2015",
        laws: &["ranks", "unanimous", "weights"],
        kind: ranks(INVERSE_SQUARE, Some(|total, count, _| total * count)),
    },
    Fuser {
        name: "log_isr",
        source: "Mourão, Martins and Magalhães 2015",
        laws: &["ranks", "unanimous", "weights"],
        kind: ranks(INVERSE_SQUARE, Some(|total, count, _| total * libm::log(count))),
    },
    Fuser {
        name: "logn_isr",
        source: "Mourão, Martins and Magalhães 2015",
        laws: &["ranks", "unanimous", "weights"],
        kind: ranks(
            INVERSE_SQUARE,
            Some(|total, count, params| total * libm::log(count + params.sigma)),
        ),
    },
    Fuser {
        name: "rbc",
        source: "Bailey, Moffat, Scholer and Thomas 2017",
        laws: &["ranks", "unanimous", "weights"],
        kind: ranks(
            |entry, params| (1.0 - params.phi) * libm::pow(params.phi, entry.rank - 1.0),
            PLAIN,
        ),
    },
    Fuser {
        name: "rrf",
        source: "Cormack, Clarke and Büttcher 2009",
        laws: &["ranks", "unanimous", "weights"],
        kind: ranks(|entry, params| 1.0 / (params.k + entry.rank), PLAIN),
    },
];

pub(super) fn find(name: &str) -> Result<&'static Fuser> {
    FUSERS.iter().find(|row| row.name == name).ok_or_else(|| Error::UnknownName {
        kind: "method",
        name: name.to_owned(),
        known: FUSERS.iter().map(|row| row.name).collect(),
    })
}
