//! The cascade model in fixed order: positions are read from the first to the last.

use super::cascade::{cascade, check_positions, pruned};
use super::{Placement, Slate};
use crate::{Result, Stop};

/// Positions up to which all assignments are searched.
const MOST_POSITIONS: usize = 10;

/// The slate of largest value when positions are read in order; exact, for at most 10 positions.
///
/// Positions are filled from the last to the first, which turns the value into a recursion
/// `V <- V + p (phi - V)`; branches end where the recursion that may use creatives again is not better.
///
/// # Errors
/// [`crate::Error::Range`] for more positions; [`crate::Error::Shape`] and [`crate::Error::NotFinite`]
/// for `phi`; [`crate::Error::Interrupted`].
pub fn cascade_fixed(slate: &Slate<'_>, phi: &[f64], stop: Stop<'_>) -> Result<Placement> {
    slate.check_phi(phi)?;
    check_positions(slate.m, MOST_POSITIONS)?;
    let positions: Vec<usize> = (0..slate.m).collect();
    let mut at: Vec<Vec<(usize, f64)>> = vec![Vec::new(); slate.m];
    for (i, places) in pruned(slate, phi, &positions) {
        for (_, j) in places {
            at[j].push((i, slate.p(i, j)));
        }
    }
    let best = cascade_half(slate, phi, stop)?;
    let mut search = Branches {
        phi,
        at,
        most: slate.most,
        stop,
        nodes: 0,
        path: Vec::new(),
        best: (best.value, best.pairs),
    };
    search.fill(slate.m, 0.0)?;
    Ok(Placement::read(slate, phi, search.best.1))
}

struct Branches<'a> {
    phi: &'a [f64],
    /// Creatives and their chances, by position.
    at: Vec<Vec<(usize, f64)>>,
    most: usize,
    stop: Stop<'a>,
    nodes: u64,
    path: Vec<(usize, usize)>,
    best: (f64, Vec<(usize, usize)>),
}

impl Branches<'_> {
    /// Positions below `j` are open, the others are worth `value`.
    fn fill(&mut self, j: usize, value: f64) -> Result<()> {
        self.nodes += 1;
        if self.nodes % 64 == 0 {
            self.stop.check()?;
        }
        if value > self.best.0 {
            self.best = (value, self.path.iter().rev().copied().collect());
        }
        if j == 0 || self.path.len() == self.most || self.relaxed(j, value) <= self.best.0 {
            return Ok(());
        }
        let used = |i: usize, path: &[(usize, usize)]| path.iter().any(|(k, _)| *k == i);
        let mut options: Vec<(usize, f64)> = self.at[j - 1]
            .iter()
            .filter(|(i, _)| self.phi[*i] > value && !used(*i, &self.path))
            .map(|(i, p)| (*i, value + p * (self.phi[*i] - value)))
            .collect();
        options.sort_by(|a, b| b.1.total_cmp(&a.1));
        // the j - 1 positions below use so many creatives at most: one of the best j is left over, and
        // putting it here would not hurt
        options.truncate(j);
        let may_skip = options.len() < j || self.path.len() + j > self.most;
        for (i, with) in options {
            self.path.push((i, j - 1));
            self.fill(j - 1, with)?;
            self.path.pop();
        }
        if may_skip { self.fill(j - 1, value) } else { Ok(()) }
    }

    /// The recursion that may show a creative at several positions.
    fn relaxed(&self, j: usize, value: f64) -> f64 {
        (0..j).rev().fold(value, |value, j| {
            let gains = self.at[j].iter().map(|(i, p)| p * (self.phi[*i] - value));
            value + gains.fold(0.0, f64::max)
        })
    }
}

/// At least half of the value in free order: its pairs, read by position, without those that are worth
/// less than what follows them. **Not truthful.**
///
/// # Errors
/// As [`cascade`].
///
/// Source: derived from the prophet inequality of Krengel and Sucheston 1978.
pub fn cascade_half(slate: &Slate<'_>, phi: &[f64], stop: Stop<'_>) -> Result<Placement> {
    let mut pairs = cascade(slate, phi, stop)?.pairs;
    pairs.sort_by_key(|(_, j)| *j);
    let (mut value, mut kept) = (0.0, Vec::new());
    for (i, j) in pairs.into_iter().rev() {
        if phi[i] > value {
            value += slate.p(i, j) * (phi[i] - value);
            kept.push((i, j));
        }
    }
    kept.reverse();
    Ok(Placement::read(slate, phi, kept))
}
