//! Rankings in which items may share a place.

use super::connect::{Components, Digraph};
use super::ids::Ids;
use super::rankings::Rankings;
use crate::{Error, Result};

/// The most items that may share a place: sums over their subsets stay within doubles.
pub(super) const MOST_TIED: usize = 32;

/// Rankings best first whose places hold one item or more; validated.
#[derive(Debug, Clone, PartialEq)]
pub struct TiedRankings {
    /// The same without places; rankings that say nothing are dropped.
    pub(super) flat: Rankings,
    /// Whether an item is the last of its place.
    pub(super) ends: Vec<bool>,
}

impl TiedRankings {
    /// Checks rankings of items `0..count`; `ends` says for every item whether its place ends with it.
    ///
    /// # Errors
    /// As for [`Rankings::new`]; [`Error::Range`] for more than [`MOST_TIED`] items that share a place.
    pub fn new(
        items: Ids<'_>,
        starts: &[usize],
        ends: &[bool],
        weights: Option<&[f64]>,
        count: usize,
    ) -> Result<Self> {
        if ends.len() != items.len() {
            return Err(Error::length("ends", items.len(), ends.len()));
        }
        let flat = Rankings::new(items, starts, None, weights, count)?;
        let mut kept = Vec::with_capacity(flat.items.len());
        for (r, bounds) in starts.windows(2).enumerate() {
            let row = &ends[bounds[0]..bounds[1]];
            if row.last() == Some(&false) {
                let got = format!("an open place at the end of ranking {r}");
                return Err(Error::range("ends", "places that end within their ranking", got));
            }
            if row.len() > 1 && weights.is_none_or(|w| w[r] > 0.0) {
                kept.extend_from_slice(row);
            }
        }
        let out = Self { flat, ends: kept };
        match out.sizes().last() {
            Some(most) if *most > MOST_TIED => {
                Err(Error::range("rankings", "at most 32 items that share a place", most))
            }
            _ => Ok(out),
        }
    }

    /// Items of a ranking, where places end, and its weight.
    pub(super) fn row(&self, r: usize) -> (&[u32], &[bool], f64) {
        let (row, _, weight) = self.flat.row(r);
        (row, &self.ends[self.flat.starts[r]..self.flat.starts[r + 1]], weight)
    }

    /// Numbers of items that share a place somewhere with others left to choose from, from 1 on.
    pub(super) fn sizes(&self) -> Vec<usize> {
        let mut sizes = vec![1];
        self.each_stage(|size, _, _| sizes.push(size));
        sizes.sort_unstable();
        sizes.dedup();
        sizes
    }

    /// Calls `f` with the size of every choice that was not certain, how many items were left, and the weight.
    pub(super) fn each_stage(&self, mut f: impl FnMut(usize, usize, f64)) {
        for r in 0..self.flat.rankings() {
            let (row, ends, weight) = self.row(r);
            for place in places(ends).filter(|place| row.len() - place.start > 1) {
                f(place.len(), row.len() - place.start, weight);
            }
        }
    }

    /// Components of the items by who was chosen before whom, or together with whom.
    pub(super) fn components(&self) -> Components {
        let mut arcs = Vec::with_capacity(2 * self.ends.len());
        for r in 0..self.flat.rankings() {
            let (row, ends, _) = self.row(r);
            let mut before = None;
            for place in places(ends) {
                let first = row[place.start];
                if let Some(previous) = before.replace(first) {
                    arcs.push((previous, first));
                }
                // a round through all who share the place
                let items = &row[place];
                arcs.extend(items.windows(2).map(|w| (w[0], w[1])));
                arcs.extend(items.last().filter(|last| **last != first).map(|last| (*last, first)));
            }
        }
        arcs.sort_unstable();
        let count = self.flat.items();
        let starts: Vec<usize> =
            (0..=count).map(|i| arcs.partition_point(|arc| (arc.0 as usize) < i)).collect();
        Digraph { starts: &starts, arc: |k: usize| Some(arcs[k].1 as usize) }.components()
    }

    /// Every ranking cut to the items of one component at a time.
    pub(super) fn within(&self, of: &[u32], components: usize) -> Self {
        let mut flat = Rankings { count: self.flat.count, starts: vec![0], ..Rankings::default() };
        let mut kept = Vec::with_capacity(self.ends.len());
        let mut groups: Vec<Vec<(u32, bool)>> = vec![Vec::new(); components];
        for r in 0..self.flat.rankings() {
            let (row, ends, weight) = self.row(r);
            let mut present = Vec::new();
            for (item, end) in row.iter().zip(ends) {
                let group = of[*item as usize] as usize;
                if groups[group].is_empty() {
                    present.push(group);
                }
                groups[group].push((*item, *end));
            }
            for group in present {
                let cut = std::mem::take(&mut groups[group]);
                if cut.len() > 1 {
                    flat.items.extend(cut.iter().map(|(item, _)| item));
                    flat.starts.push(flat.items.len());
                    flat.stages.push(u32::try_from(cut.len() - 1).unwrap_or(u32::MAX));
                    flat.weights.push(weight);
                    kept.extend(cut.iter().map(|(_, end)| end));
                }
            }
        }
        Self { flat, ends: kept }
    }
}

/// Where the places of a ranking begin and end.
pub(super) fn places(ends: &[bool]) -> impl Iterator<Item = std::ops::Range<usize>> + '_ {
    let mut start = 0;
    ends.iter().enumerate().filter(|(_, end)| **end).map(move |(last, _)| {
        let place = start..last + 1;
        start = last + 1;
        place
    })
}
