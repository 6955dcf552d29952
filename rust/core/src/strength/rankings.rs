//! Rankings in flat arrays, for models of choice.

use super::cells::Cells;
use super::connect::{Components, Digraph};
use super::ids::{Id, Ids, outside, with_ids};
use super::pairs::Pairs;
use crate::{Error, Result, Stop, size};

/// Rankings best first; validated.
///
/// Ranking `r` holds `items[starts[r]..starts[r + 1]]`; the first `chosen[r]` of them were chosen in this
/// order, each from what was left, and the rest is known only to have been available.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rankings {
    pub(super) count: usize,
    pub(super) items: Vec<u32>,
    pub(super) starts: Vec<usize>,
    pub(super) stages: Vec<u32>,
    pub(super) weights: Vec<f64>,
}

impl Rankings {
    /// Checks rankings of items `0..count`.
    ///
    /// `chosen` of `None` means that all are ranked; `weights` of `None` that all count 1. The last choice is
    /// certain where nothing else is left. Rankings of weight 0 and those without a choice are dropped.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::Range`] for numbers that are no items, an item twice in a ranking, starts
    /// that do not rise, more chosen than there are, weights out of range.
    pub fn new(
        items: Ids<'_>,
        starts: &[usize],
        chosen: Option<&[u32]>,
        weights: Option<&[f64]>,
        count: usize,
    ) -> Result<Self> {
        let n = starts.len().saturating_sub(1);
        let rising = starts.first() == Some(&0)
            && starts.last() == Some(&items.len())
            && starts.windows(2).all(|w| w[0] <= w[1]);
        if !rising {
            return Err(Error::range(
                "starts",
                "numbers rising from 0 to the number of items",
                "others",
            ));
        }
        for (name, length) in
            [("chosen", chosen.map(<[u32]>::len)), ("weights", weights.map(<[f64]>::len))]
        {
            if length.is_some_and(|length| length != n) {
                return Err(Error::length(name, n, length.unwrap_or(0)));
            }
        }
        if let Some(index) = weights.and_then(|w| w.iter().position(|w| !w.is_finite())) {
            return Err(Error::NotFinite { name: "weights", index });
        }
        if let Some(w) = weights.and_then(|w| w.iter().find(|w| **w < 0.0)) {
            return Err(Error::range("weights", "numbers of at least 0", w));
        }
        with_ids!(items, ids => Self::collect(ids, starts, chosen, weights, count))
    }

    fn collect<I: Id>(
        ids: &[I],
        starts: &[usize],
        chosen: Option<&[u32]>,
        weights: Option<&[f64]>,
        count: usize,
    ) -> Result<Self> {
        let n = starts.len() - 1;
        let mut seen = vec![usize::MAX; size::count("items", count)?];
        let mut out = Self {
            count,
            items: Vec::with_capacity(ids.len()),
            starts: Vec::with_capacity(n + 1),
            stages: Vec::with_capacity(n),
            weights: Vec::with_capacity(n),
        };
        out.starts.push(0);
        for r in 0..n {
            let row = &ids[starts[r]..starts[r + 1]];
            for id in row {
                match seen.get_mut(id.id() as usize) {
                    None => return Err(outside("rankings", ids, count)),
                    Some(last) if *last == r => {
                        let got = format!("item {id} twice in ranking {r}");
                        return Err(Error::range("rankings", "no item twice in a ranking", got));
                    }
                    Some(last) => *last = r,
                }
            }
            let chosen = chosen.map_or(row.len(), |c| c[r] as usize);
            if chosen > row.len() {
                let got = format!("{chosen} of {} in ranking {r}", row.len());
                return Err(Error::range("chosen", "at most the length of every ranking", got));
            }
            let (stages, weight) =
                (chosen.min(row.len().saturating_sub(1)), weights.map_or(1.0, |w| w[r]));
            if stages > 0 && weight > 0.0 {
                out.items.extend(row.iter().map(|id| id.id()));
                out.starts.push(out.items.len());
                out.stages.push(u32::try_from(stages).unwrap_or(u32::MAX));
                out.weights.push(weight);
            }
        }
        Ok(out)
    }

    /// Number of items.
    #[must_use]
    pub fn items(&self) -> usize {
        self.count
    }

    /// Number of rankings with a choice.
    #[must_use]
    pub fn rankings(&self) -> usize {
        self.weights.len()
    }

    pub(super) fn row(&self, r: usize) -> (&[u32], usize, f64) {
        let row = &self.items[self.starts[r]..self.starts[r + 1]];
        (row, self.stages[r] as usize, self.weights[r])
    }

    /// Components of the items by who was chosen before whom.
    #[must_use]
    pub fn components(&self) -> Components {
        if self.reaches_all(true) && self.reaches_all(false) {
            return Components::one(self.count);
        }
        // a chain through the chosen, and from the last of them to every other, reaches the same
        let mut starts = vec![0; self.count + 1];
        let arcs = |f: &mut dyn FnMut(u32, u32)| {
            for r in 0..self.rankings() {
                let (row, stages, _) = self.row(r);
                row[..stages].windows(2).for_each(|w| f(w[0], w[1]));
                row[stages..].iter().for_each(|last| f(row[stages - 1], *last));
            }
        };
        arcs(&mut |a, _| starts[a as usize + 1] += 1);
        for i in 0..self.count {
            starts[i + 1] += starts[i];
        }
        let mut ends = vec![0; starts[self.count]];
        let mut next = starts.clone();
        arcs(&mut |a, b| {
            ends[next[a as usize]] = b as usize;
            next[a as usize] += 1;
        });
        Digraph { starts: &starts, arc: |k: usize| Some(ends[k]) }.components()
    }

    /// Whether some item reaches all others downwards, or all reach it; a few passes over the rankings, and
    /// `false` when these do not settle it.
    fn reaches_all(&self, down: bool) -> bool {
        const PASSES: usize = 8;
        let mut seen = vec![false; self.count];
        seen.iter_mut().take(1).for_each(|s| *s = true);
        for _ in 0..PASSES {
            for r in 0..self.rankings() {
                let (row, stages, _) = self.row(r);
                let (chosen, rest) = row.split_at(stages);
                if down {
                    let mut on = false;
                    for item in chosen {
                        on |= seen[*item as usize];
                        seen[*item as usize] = on;
                    }
                    for item in rest {
                        seen[*item as usize] |= on;
                    }
                } else {
                    let mut on = rest.iter().any(|item| seen[*item as usize]);
                    for item in chosen.iter().rev() {
                        on |= seen[*item as usize];
                        seen[*item as usize] = on;
                    }
                }
            }
            if seen.iter().all(|s| *s) {
                return true;
            }
        }
        false
    }

    /// Every ranking cut to the items of one component at a time.
    pub(super) fn within(&self, of: &[u32], components: usize) -> Self {
        let mut out = Self {
            items: vec![],
            starts: vec![0],
            stages: vec![],
            weights: vec![],
            count: self.count,
        };
        let mut groups: Vec<Vec<u32>> = vec![Vec::new(); components];
        let mut chosen = vec![0_usize; components];
        for r in 0..self.rankings() {
            let (row, stages, weight) = self.row(r);
            let mut present: Vec<usize> = Vec::new();
            for (place, item) in row.iter().enumerate() {
                let group = of[*item as usize] as usize;
                if groups[group].is_empty() {
                    present.push(group);
                }
                groups[group].push(*item);
                chosen[group] += usize::from(place < stages);
            }
            for group in present {
                let stages = chosen[group].min(groups[group].len() - 1);
                if stages > 0 {
                    out.items.append(&mut groups[group]);
                    out.starts.push(out.items.len());
                    out.stages.push(u32::try_from(stages).unwrap_or(u32::MAX));
                    out.weights.push(weight);
                }
                groups[group].clear();
                chosen[group] = 0;
            }
        }
        out
    }

    /// The rankings that were drawn at all, with other weights.
    pub(super) fn reweighted(&self, counts: &[u32]) -> Self {
        let mut out = Self {
            items: Vec::with_capacity(self.items.len()),
            starts: vec![0],
            stages: vec![],
            weights: vec![],
            count: self.count,
        };
        for (r, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            out.items.extend(&self.items[self.starts[r]..self.starts[r + 1]]);
            out.starts.push(out.items.len());
            out.stages.push(self.stages[r]);
            out.weights.push(f64::from(*count));
        }
        out
    }

    /// Comparisons that the rankings contain: of every chosen item with every one left, or with the next.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    ///
    /// Source: Azari Soufiani, Parkes and Xia 2014 (full and adjacent breaking).
    pub fn broken(&self, adjacent: bool, stop: Stop<'_>) -> Result<Cells<f64>> {
        let mut pairs = Pairs::of(self.count);
        for r in 0..self.rankings() {
            let (row, stages, weight) = self.row(r);
            for place in 0..stages {
                stop.check()?;
                let end = if adjacent && place + 1 < stages { place + 2 } else { row.len() };
                for other in &row[place + 1..end] {
                    pairs.add(row[place], *other, weight);
                }
            }
            pairs.tidy();
        }
        Ok(pairs.cells())
    }
}
