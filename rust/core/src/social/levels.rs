//! Majorities in levels of equal strength.

use super::options::Options;
use super::support::Support;
use crate::{Result, Stop};

/// A majority of the first item over the second.
pub(crate) type Win = (u32, u32);

/// Majorities, the strongest first.
pub(crate) struct Levels {
    wins: Vec<Win>,
    /// Where each level ends among the wins.
    ends: Vec<usize>,
    strengths: Vec<f64>,
}

/// Whole strengths below this are sorted by counting; most margins are.
const COUNTED: f64 = 1e6;

impl Levels {
    pub(crate) fn new(support: &Support, options: &Options, stop: Stop<'_>) -> Result<Self> {
        let strength = options.choice("strength", &["margins", "winning", "ratio"])?;
        let sizes = sizes(support, strength);
        stop.check()?;
        if strength != "ratio" && support.is_exact() && support.total() < COUNTED {
            counted(&sizes, support.items(), stop)
        } else {
            sorted(&sizes, support.items(), stop)
        }
    }

    /// Every level with its strength, the strongest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[Win], f64)> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let levels = starts.zip(&self.ends).map(|(start, end)| &self.wins[start..*end]);
        levels.zip(self.strengths.iter().copied())
    }
}

/// The strength of every majority in a matrix, 0 where there is none.
fn sizes(support: &Support, strength: &str) -> Vec<f64> {
    let (m, mut sizes, values) = (support.items(), support.margins(), support.values());
    match strength {
        "winning" => {
            let pairs = sizes.iter_mut().zip(values);
            pairs.for_each(|(size, value)| *size = if *size > 0.0 { *value } else { 0.0 });
        }
        "ratio" => {
            for (at, size) in sizes.iter_mut().enumerate() {
                // no votes against: infinite
                let ratio = || values[at] / values[at % m * m + at / m];
                *size = if *size > 0.0 { ratio() } else { 0.0 };
            }
        }
        _ => sizes.iter_mut().for_each(|size| *size = size.max(0.0)),
    }
    sizes
}

/// Whole strengths, sorted by counting how often each occurs.
fn counted(sizes: &[f64], m: usize, stop: Stop<'_>) -> Result<Levels> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and whole")]
    let whole = |size: f64| size as usize;
    let mut counts: Vec<usize> = Vec::new();
    for row in sizes.chunks_exact(m) {
        stop.check()?;
        let most = whole(row.iter().copied().fold(0.0, f64::max));
        counts.resize(counts.len().max(most + 1), 0);
        for size in row {
            counts[whole(*size)] += 1;
        }
    }
    let (mut ends, mut strengths) = (Vec::new(), Vec::new());
    let mut next = 0;
    // From here the count of a size is the place of the next win of that size.
    for (size, count) in counts.iter_mut().enumerate().skip(1).rev().filter(|(_, c)| **c > 0) {
        next += std::mem::replace(count, next);
        ends.push(next);
        strengths.push(size as f64);
    }
    let mut wins = vec![(0, 0); next + 1]; // what is no majority goes to the last place
    counts[0] = next;
    for (a, row) in (0_u32..).zip(sizes.chunks_exact(m)) {
        stop.check()?;
        for (b, size) in (0_u32..).zip(row) {
            let size = whole(*size);
            wins[counts[size]] = (a, b);
            counts[size] += usize::from(size > 0);
        }
    }
    wins.truncate(next);
    Ok(Levels { wins, ends, strengths })
}

/// Any strengths, sorted by comparisons.
fn sorted(sizes: &[f64], m: usize, stop: Stop<'_>) -> Result<Levels> {
    let mut found: Vec<(f64, Win)> = Vec::new();
    for (a, row) in (0_u32..).zip(sizes.chunks_exact(m)) {
        stop.check()?;
        found.extend(
            (0..).zip(row).filter(|(_, size)| **size > 0.0).map(|(b, size)| (*size, (a, b))),
        );
    }
    found.sort_unstable_by(|x, y| y.0.total_cmp(&x.0));
    let levels = || found.chunk_by(|x, y| x.0 == y.0);
    let mut end = 0;
    let ends = levels().map(|level| {
        end += level.len();
        end
    });
    Ok(Levels {
        ends: ends.collect(),
        strengths: levels().map(|level| level[0].0).collect(),
        wins: found.iter().map(|(_, win)| *win).collect(),
    })
}
