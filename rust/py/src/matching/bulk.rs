//! Bulk arrivals, copied and taken in parts that stay in the cache.

use gustibus_core::{Error, Result, matching as core};
use pyo3::prelude::*;
use std::ops::Range;

use super::arrays::{Column, ItemColumn};
use crate::arrays::{Array1, Flags1};
use crate::errors::to_python;

type Any<'py> = Bound<'py, PyAny>;

/// Edges of a part: a copy of them takes a quarter of a megabyte.
const PART: i64 = 1 << 16;
/// Edges per item below which everything is copied and checked at once.
const EDGES_PER_ITEM: usize = 32;

/// The caller's arrays.
pub(super) struct Source<'a, 'py> {
    indptr: Vec<i64>,
    items: ItemColumn<'py>,
    values: Option<Column<'py>>,
    sizes: Option<Column<'py>>,
    coins: Option<&'a Flags1<'py>>,
}

impl<'a, 'py> Source<'a, 'py> {
    pub(super) fn new(
        indptr: &Array1<'py, i64>,
        items: &Any<'py>,
        values: Option<&Any<'py>>,
        sizes: Option<&Any<'py>>,
        coins: Option<&'a Flags1<'py>>,
    ) -> PyResult<Self> {
        Ok(Self {
            indptr: indptr.as_array().iter().copied().collect(),
            items: ItemColumn::new("items", items)?,
            values: values.map(|values| Column::new("values", values)).transpose()?,
            sizes: sizes.map(|sizes| Column::new("sizes", sizes)).transpose()?,
            coins,
        })
    }

    /// Number of arrivals.
    pub(super) fn len(&self) -> usize {
        self.indptr.len().saturating_sub(1)
    }

    /// Ranges of arrivals with few edges each; lengths and boundaries are checked as a whole.
    pub(super) fn parts(&self, n: usize) -> PyResult<Vec<Range<usize>>> {
        let edges = self.items.len();
        for (name, column) in [("values", &self.values), ("sizes", &self.sizes)] {
            let got = column.as_ref().map_or(edges, Column::len);
            if got != edges {
                return Err(to_python(&Error::length(name, edges, got)));
            }
        }
        let coins = self.coins.map_or(self.len(), Flags1::len);
        if coins != self.len() {
            return Err(to_python(&Error::length("coins", self.len(), coins)));
        }
        core::check_boundaries(&self.indptr, edges).map_err(|error| to_python(&error))?;
        // several parts need a copy of the state to go back to, which must cost less than they do
        if edges < EDGES_PER_ITEM * n || self.len() == 0 {
            return Ok(std::iter::once(0..self.len()).collect());
        }
        let (mut parts, mut first) = (Vec::new(), 0);
        while first < self.len() {
            let most = self.indptr[first] + PART;
            let last = first + self.indptr[first + 1..].partition_point(|end| *end <= most);
            let last = last.max(first + 1);
            parts.push(first..last);
            first = last;
        }
        Ok(parts)
    }

    /// Copies one part, with boundaries that start at 0.
    pub(super) fn copy(&self, part: Range<usize>, into: &mut Chunk) -> PyResult<()> {
        let start = self.indptr[part.start];
        let edges = index(start)..index(self.indptr[part.end]);
        into.indptr.clear();
        into.indptr.extend(self.indptr[part.start..=part.end].iter().map(|end| end - start));
        self.items.copy(edges.clone(), &mut into.items)?;
        fill(self.values.as_ref(), edges.clone(), &mut into.values);
        fill(self.sizes.as_ref(), edges, &mut into.sizes);
        into.coins = self.coins.map(|coins| coins.copy(part));
        Ok(())
    }
}

fn fill(column: Option<&Column<'_>>, edges: Range<usize>, into: &mut Option<Vec<f64>>) {
    match column {
        Some(column) => column.copy(edges, into.get_or_insert_default()),
        None => *into = None,
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to lie between 0 and the number of edges"
)]
fn index(boundary: i64) -> usize {
    boundary as usize
}

/// An owned part of the arrivals; its memory is used again.
#[derive(Default)]
pub(super) struct Chunk {
    indptr: Vec<i64>,
    items: Vec<u32>,
    values: Option<Vec<f64>>,
    sizes: Option<Vec<f64>>,
    coins: Option<Vec<bool>>,
}

impl Chunk {
    pub(super) fn take_by(&self, matcher: &mut core::Matcher) -> Result<Vec<i32>> {
        let values = self.values.as_deref();
        let rows = core::Rows::new(matcher.n(), &self.indptr, &self.items, values)?
            .with_sizes(self.sizes.as_deref())?;
        matcher.arrive_many(&rows, self.coins.as_deref())
    }
}
