//! Rank fusion: one ranking from several systems' rankings of the same queries.
//!
//! Methods are rows of [`FUSERS`], normalisations rows of [`NORMS`]. Documents are numbered per query
//! in a flat arena, queries are independent and run in parallel.

mod condorcet;
mod methods;
mod norms;
mod numbering;
mod query;
mod runs;
mod sorting;

pub use methods::{FUSERS, Fuser, Params};
pub use norms::{NORMS, Norm};
pub use runs::{Run, Runs};

use crate::{Error, Result, Stop, parallel};
use query::{Plan, Query};

/// Queries of one task; with 1000 entries each, some hundred microseconds.
const CHUNK: usize = 16;

/// The fused ranking of every query.
#[derive(Debug, Clone, PartialEq)]
pub struct Fused {
    /// Where the documents of each query start; one more than there are queries.
    pub starts: Vec<usize>,
    /// Documents by falling score, ties by rising number.
    pub docs: Vec<u32>,
    /// Their scores.
    pub scores: Vec<f64>,
}

/// How to fuse.
#[derive(Debug, Clone, Copy)]
pub struct FuseOptions<'a> {
    /// A row of [`FUSERS`].
    pub method: &'a str,
    /// A row of [`NORMS`].
    pub norm: &'a str,
    /// One weight per run.
    pub weights: &'a [f64],
    /// Parameters of the methods.
    pub params: Params,
    /// Threads; `None` for those of the process.
    pub threads: Option<usize>,
    /// When to give up.
    pub stop: Stop<'a>,
}

/// Fuses `runs` query by query.
///
/// # Errors
/// [`Error`] for a name in no table, a wrong argument, a document twice in one ranking, a
/// normalisation that is not defined for the scores, or when the caller gave up.
pub fn fuse(runs: &Runs<'_>, options: &FuseOptions<'_>) -> Result<Fused> {
    let plan = Plan {
        fuser: methods::find(options.method)?,
        norm: norms::find(options.norm)?,
        weights: options.weights,
        params: options.params,
    };
    plan.check(runs.count())?;
    // Rankings have at most as many documents as the runs: room for all, compacted at the end, costs
    // fewer pages of memory than growing and joining parts.
    let room: Vec<usize> = (0..runs.queries())
        .map(|q| (0..runs.count()).map(|r| runs.of(r, q).0.len()).sum())
        .collect();
    let mut docs = vec![0; runs.entries()];
    let mut scores = vec![0.0; runs.entries()];
    let mut lengths = vec![0; runs.queries()];
    let mut errors: Vec<Option<Error>> = vec![None; runs.queries().div_ceil(CHUNK)];
    let tasks = Task::split(&room, &mut docs, &mut scores, &mut lengths, &mut errors);
    let threads = if runs.entries() < 20_000 { Some(1) } else { options.threads };
    parallel::each(tasks, threads, |task| task.run(runs, &plan, options.stop));
    match errors.into_iter().flatten().next() {
        Some(error) => Err(error),
        None => Ok(compact(&room, &lengths, docs, scores)),
    }
}

/// Some queries and the room for their rankings.
struct Task<'a> {
    first: usize,
    docs: &'a mut [u32],
    scores: &'a mut [f64],
    lengths: &'a mut [usize],
    error: &'a mut Option<Error>,
}

impl<'a> Task<'a> {
    fn split(
        room: &[usize],
        mut docs: &'a mut [u32],
        mut scores: &'a mut [f64],
        lengths: &'a mut [usize],
        errors: &'a mut [Option<Error>],
    ) -> Vec<Self> {
        let mut tasks = Vec::with_capacity(errors.len());
        let parts = lengths.chunks_mut(CHUNK).zip(room.chunks(CHUNK)).zip(errors).enumerate();
        for (task, ((lengths, room), error)) in parts {
            let (mine, rest) = docs.split_at_mut(room.iter().sum());
            let (own, left) = scores.split_at_mut(mine.len());
            (docs, scores) = (rest, left);
            tasks.push(Self { first: task * CHUNK, docs: mine, scores: own, lengths, error });
        }
        tasks
    }

    fn run(mut self, runs: &Runs<'_>, plan: &Plan<'_>, stop: Stop<'_>) {
        *self.error = self.fill(runs, plan, stop).err();
    }

    /// Writes the rankings one after the other, without gaps within the task.
    fn fill(&mut self, runs: &Runs<'_>, plan: &Plan<'_>, stop: Stop<'_>) -> Result<()> {
        stop.check()?;
        let (mut query, mut at) = (Query::default(), 0);
        for (i, length) in self.lengths.iter_mut().enumerate() {
            *length = query.fuse(
                runs,
                self.first + i,
                plan,
                &mut self.docs[at..],
                &mut self.scores[at..],
            )?;
            at += *length;
        }
        Ok(())
    }
}

/// Closes the gaps between tasks.
fn compact(room: &[usize], lengths: &[usize], mut docs: Vec<u32>, mut scores: Vec<f64>) -> Fused {
    let mut starts = Vec::with_capacity(lengths.len() + 1);
    starts.push(0);
    let (mut from, mut to) = (0, 0);
    for (room, lengths) in room.chunks(CHUNK).zip(lengths.chunks(CHUNK)) {
        let total: usize = lengths.iter().sum();
        docs.copy_within(from..from + total, to);
        scores.copy_within(from..from + total, to);
        for length in lengths {
            to += length;
            starts.push(to);
        }
        from += room.iter().sum::<usize>();
    }
    docs.truncate(to);
    scores.truncate(to);
    Fused { starts, docs, scores }
}
