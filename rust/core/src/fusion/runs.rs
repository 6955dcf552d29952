//! What several systems returned for the same queries.

use crate::wide::wide;
use crate::{Error, Result};

/// One system's documents: those of query `q` are at `starts[q]..starts[q + 1]`, in any order.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// Where each query starts; one more than there are queries.
    pub starts: &'a [usize],
    /// Documents.
    pub docs: &'a [u32],
    /// Their scores, higher for better.
    pub scores: &'a [f64],
}

/// Runs over the same queries, checked.
#[derive(Debug, Clone)]
pub struct Runs<'a> {
    runs: Vec<Run<'a>>,
    queries: usize,
}

impl<'a> Runs<'a> {
    /// Checks the shapes and that scores are finite.
    ///
    /// # Errors
    /// [`Error::Range`], [`Error::Shape`] or [`Error::NotFinite`].
    pub fn new(runs: Vec<Run<'a>>) -> Result<Self> {
        let Some(first) = runs.first() else {
            return Err(Error::range("runs", "at least one run", "none"));
        };
        let queries = first.starts.len().saturating_sub(1);
        for run in &runs {
            if run.starts.len() != queries + 1 {
                return Err(Error::length("starts", queries + 1, run.starts.len()));
            }
            if run.scores.len() != run.docs.len() {
                return Err(Error::length("scores", run.docs.len(), run.scores.len()));
            }
            let rises = run.starts.windows(2).all(|pair| pair[0] <= pair[1]);
            let ends = (run.starts.first(), run.starts.last()) == (Some(&0), Some(&run.docs.len()));
            if !rises || !ends {
                let expected = format!("numbers rising from 0 to {}", run.docs.len());
                return Err(Error::range("starts", &expected, "others"));
            }
            if !all_finite(run.scores) {
                let index = run.scores.iter().position(|s| !s.is_finite()).unwrap_or(0);
                return Err(Error::NotFinite { name: "scores", index });
            }
        }
        Ok(Self { runs, queries })
    }

    /// Number of runs.
    #[must_use]
    pub fn count(&self) -> usize {
        self.runs.len()
    }

    /// Number of queries.
    #[must_use]
    pub fn queries(&self) -> usize {
        self.queries
    }

    /// Documents of all runs and queries together.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.runs.iter().map(|run| run.docs.len()).sum()
    }

    /// Documents and scores of a query in a run.
    #[must_use]
    pub fn of(&self, run: usize, query: usize) -> (&'a [u32], &'a [f64]) {
        let run = self.runs[run];
        let span = run.starts[query]..run.starts[query + 1];
        (&run.docs[span.clone()], &run.scores[span])
    }
}

wide! {
    /// No early end, so that comparisons become vector instructions.
    fn all_finite(scores: &[f64]) -> bool {
        let mut wrong = 0_u64;
        for score in scores {
            wrong |= u64::from(!score.is_finite());
        }
        wrong == 0
    }
}
