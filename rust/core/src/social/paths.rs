//! Widest paths, and the rules that compare them.

use super::bits::Bits;
use super::options::Options;
use super::outcome::{Fact, Outcome};
use super::rules::{Rule, Run};
use super::support::Support;
use crate::wide::wide;
use crate::{Result, Stop, parallel};

/// Intermediate items of one pass over the other rows.
const PIVOTS: usize = 32;

/// The rules of this file.
pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "schulze",
        source: "Schulze 2011, section 2; also called beat path",
        laws: &[
            "anonymous",
            "neutral",
            "homogeneous",
            "condorcet",
            "condorcet_loser",
            "smith",
            "monotone",
            "reversal",
            "clones",
            "within_split_cycle",
        ],
        options: &["strength", "paths"],
        run: Run::Support(schulze),
    },
    Rule {
        name: "split_cycle",
        source: "Holliday and Pacuit 2023, section 3",
        laws: &[
            "anonymous",
            "neutral",
            "homogeneous",
            "condorcet",
            "condorcet_loser",
            "smith",
            "monotone",
            "reversal",
            "clones",
            "within_split_cycle",
        ],
        options: &["strength", "paths"],
        run: Run::Support(split_cycle),
    },
];

/// Strengths of majorities as their ranks: 0 where there is none, larger is stronger.
struct Levels {
    ranks: Vec<usize>,
    strengths: Vec<f64>,
}

impl Levels {
    fn new(support: &Support, strength: &str) -> Self {
        let (m, margins) = (support.items(), support.margins());
        let size = |at: usize| {
            let (ab, ba) = (support.values()[at], support.values()[at % m * m + at / m]);
            match strength {
                "winning" => ab,
                "ratio" if ba == 0.0 => f64::INFINITY,
                "ratio" => ab / ba,
                _ => margins[at],
            }
        };
        let wins: Vec<usize> = (0..m * m).filter(|at| margins[*at] > 0.0).collect();
        let sizes: Vec<f64> = wins.iter().map(|at| size(*at)).collect();
        let (found, strengths) = ranked(&sizes);
        let mut ranks = vec![0; m * m];
        wins.iter().zip(found).for_each(|(at, rank)| ranks[*at] = rank);
        Self { ranks, strengths }
    }

    /// The rank of the strongest path between any two items.
    fn paths(&self, m: usize, threads: Option<usize>, stop: Stop<'_>) -> Result<Vec<usize>> {
        // Signed lanes: the oldest vector units have no unsigned minimum of two bytes.
        if let Ok(narrow) =
            self.ranks.iter().map(|r| i16::try_from(*r)).collect::<std::result::Result<Vec<_>, _>>()
        {
            let paths = widest(narrow, m, threads, stop)?;
            return Ok(paths.into_iter().map(|p| usize::try_from(p).unwrap_or(0)).collect());
        }
        let wide = self.ranks.iter().map(|r| i32::try_from(*r).unwrap_or(i32::MAX)).collect();
        let paths = widest(wide, m, threads, stop)?;
        Ok(paths.into_iter().map(|p| usize::try_from(p).unwrap_or(0)).collect())
    }

    fn strength(&self, rank: usize) -> f64 {
        if rank == 0 { 0.0 } else { self.strengths[rank - 1] }
    }
}

/// Whole sizes below this are ranked by looking them up; most margins are.
const LOOKED_UP: f64 = 1e6;

/// The rank of every size, above 0, among the different ones, from 1; and these by size.
fn ranked(sizes: &[f64]) -> (Vec<usize>, Vec<f64>) {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "looked at before")]
    let whole = |size: &f64| *size as usize;
    if sizes.iter().all(|size| size.fract() == 0.0 && *size < LOOKED_UP) {
        let mut ranks = vec![0; sizes.iter().map(whole).max().unwrap_or(0) + 1];
        for size in sizes {
            ranks[whole(size)] = 1;
        }
        let mut strengths = Vec::new();
        for (size, rank) in ranks.iter_mut().enumerate().filter(|(_, rank)| **rank > 0) {
            strengths.push(size as f64);
            *rank = strengths.len();
        }
        return (sizes.iter().map(|size| ranks[whole(size)]).collect(), strengths);
    }
    let mut strengths = sizes.to_vec();
    strengths.sort_unstable_by(f64::total_cmp);
    strengths.dedup();
    let rank = |size: &f64| strengths.partition_point(|s| s < size) + 1;
    (sizes.iter().map(rank).collect(), strengths)
}

/// A strength as a rank.
trait Rank: Copy + Ord + Default + Send + Sync {}

impl Rank for i16 {}
impl Rank for i32 {}

/// Floyd and Warshall's pass with maximum and minimum, a block of intermediate items at a time: the
/// rows of the block among themselves, then every other row through all of the block.
fn widest<T: Rank>(
    mut paths: Vec<T>,
    m: usize,
    threads: Option<usize>,
    stop: Stop<'_>,
) -> Result<Vec<T>> {
    let threads = if m < 128 { Some(1) } else { threads };
    for first in (0..m).step_by(PIVOTS) {
        stop.check()?;
        let last = (first + PIVOTS).min(m);
        let mut pivots = paths[first * m..last * m].to_vec();
        for k in 0..last - first {
            let through = pivots[k * m..(k + 1) * m].to_vec();
            for row in pivots.chunks_exact_mut(m) {
                widen(row, &through, row[first + k]);
            }
        }
        paths[first * m..last * m].copy_from_slice(&pivots);
        let chunks: Vec<(usize, &mut [T])> = paths.chunks_mut(PIVOTS * m).enumerate().collect();
        parallel::each(chunks, threads, |(chunk, rows)| {
            if chunk * PIVOTS != first {
                for row in rows.chunks_exact_mut(m) {
                    widen_all(row, &pivots, first);
                }
            }
        });
    }
    (0..m).for_each(|a| paths[a * m + a] = T::default());
    Ok(paths)
}

/// Pivots that a row goes through at once, so that it is read and written less often.
const AT_ONCE: usize = 4;

/// Takes the ways through all of a block of intermediate items, whose paths among themselves are done.
fn widen_all<T: Rank>(row: &mut [T], pivots: &[T], first: usize) {
    let m = row.len();
    let count = pivots.len() / m;
    // The ways to the pivots first: with them any order of the pivots leads to the same paths.
    for k in 0..count {
        let reach = row[first + k];
        widen(&mut row[first..first + count], &pivots[k * m + first..][..count], reach);
    }
    let mut groups = pivots.chunks_exact(AT_ONCE * m);
    for (group, through) in groups.by_ref().enumerate() {
        let at = first + AT_ONCE * group;
        let reach = [row[at], row[at + 1], row[at + 2], row[at + 3]];
        if reach != [T::default(); AT_ONCE] {
            widen_four(row, through, reach);
        }
    }
    for (k, through) in groups.remainder().chunks_exact(m).enumerate() {
        widen(row, through, row[first + count / AT_ONCE * AT_ONCE + k]);
    }
}

/// Takes the way through an intermediate item at `reach` wherever that is wider.
fn widen<T: Rank>(row: &mut [T], through: &[T], reach: T) {
    wide! {
        fn pass<T: Rank>(row: &mut [T], through: &[T], reach: T) {
            let n = row.len().min(through.len());
            let (row, through) = (&mut row[..n], &through[..n]);
            for v in 0..n {
                row[v] = row[v].max(reach.min(through[v]));
            }
        }
    }
    if reach > T::default() {
        pass(row, through, reach);
    }
}

wide! {
    /// Takes the ways through four intermediate items, whose rows `through` are.
    fn widen_four<T: Rank>(row: &mut [T], through: &[T], reach: [T; AT_ONCE]) {
        let m = row.len();
        let (a, rest) = through.split_at(m);
        let (b, rest) = rest.split_at(m);
        let (c, d) = rest.split_at(m);
        let d = &d[..m];
        for v in 0..m {
            let left = reach[0].min(a[v]).max(reach[1].min(b[v]));
            let right = reach[2].min(c[v]).max(reach[3].min(d[v]));
            row[v] = row[v].max(left.max(right));
        }
    }
}

fn schulze(support: &Support, options: &Options, stop: Stop<'_>) -> Result<Outcome> {
    let (m, levels) = (support.items(), read(support, options)?);
    let paths = levels.paths(m, options.threads, stop)?;
    let outcome = peel(m, |a, b| paths[a * m + b] > paths[b * m + a]);
    with_paths(outcome, &levels, &paths, m, options)
}

fn split_cycle(support: &Support, options: &Options, stop: Stop<'_>) -> Result<Outcome> {
    let (m, levels) = (support.items(), read(support, options)?);
    let paths = levels.paths(m, options.threads, stop)?;
    let defeats = |a: usize, b: usize| levels.ranks[a * m + b] > paths[b * m + a];
    with_paths(peel(m, defeats), &levels, &paths, m, options)
}

fn read(support: &Support, options: &Options) -> Result<Levels> {
    let strength = options.choice("strength", &["margins", "winning", "ratio"])?;
    Ok(Levels::new(support, strength))
}

fn with_paths(
    outcome: Outcome,
    levels: &Levels,
    paths: &[usize],
    m: usize,
    options: &Options,
) -> Result<Outcome> {
    if !options.flag("paths", false)? {
        return Ok(outcome);
    }
    let strengths = paths.iter().map(|rank| levels.strength(*rank)).collect();
    Ok(outcome.with("paths", Fact::Matrix(strengths, m)))
}

/// Items in layers: first those that nothing defeats, then those that only earlier ones defeat.
pub(crate) fn peel(m: usize, defeats: impl Fn(usize, usize) -> bool) -> Outcome {
    let mut defeaters = vec![0_usize; m];
    let below = Bits::of(m, defeats);
    let defeated: Vec<Vec<usize>> = (0..m).map(|a| below.items(a)).collect();
    defeated.iter().flatten().for_each(|b| defeaters[*b] += 1);
    let mut buckets = vec![m; m];
    let mut layer: Vec<usize> = (0..m).filter(|a| defeaters[*a] == 0).collect();
    let mut number = 0;
    while !layer.is_empty() {
        for a in &layer {
            buckets[*a] = number;
        }
        let mut next = Vec::new();
        for b in layer.iter().flat_map(|a| &defeated[*a]) {
            defeaters[*b] -= 1;
            if defeaters[*b] == 0 {
                next.push(*b);
            }
        }
        layer = next;
        number += 1;
    }
    for bucket in &mut buckets {
        *bucket = (*bucket).min(number);
    }
    Outcome::bucketed(buckets)
}
