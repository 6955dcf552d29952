//! Arrivals as they come: one row of edges, or many rows in compressed form.

use crate::{Error, Result};

/// One arrival: the items it may go to, each with a value where the rule reads one.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// Item numbers, each once, in any order.
    pub items: &'a [u32],
    /// A probability, bid or weight per edge; 1 where absent.
    pub values: Option<&'a [f64]>,
    /// What a match takes from the item's budget, per edge; 1 where absent.
    pub sizes: Option<&'a [f64]>,
}

impl Row<'_> {
    /// Value of an edge.
    pub(super) fn value(&self, edge: usize) -> f64 {
        self.values.map_or(1.0, |values| values[edge])
    }

    /// Size of an edge.
    pub(super) fn size(&self, edge: usize) -> f64 {
        self.sizes.map_or(1.0, |sizes| sizes[edge])
    }

    /// Place of an item in the row.
    pub(super) fn edge_of(&self, item: u32) -> Option<usize> {
        self.items.iter().position(|u| *u == item)
    }
}

/// Many arrivals in order; row `v` owns edges `indptr[v]` up to `indptr[v + 1]`.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    n: usize,
    indptr: &'a [i64],
    items: &'a [u32],
    values: Option<&'a [f64]>,
    sizes: Option<&'a [f64]>,
}

impl<'a> Rows<'a> {
    /// Checked rows over `n` items.
    ///
    /// # Errors
    /// [`Error::Range`] when `indptr` does not rise from 0 to the number of edges, an item is no item
    /// or stands twice in a row; [`Error::Shape`] and [`Error::NotFinite`] for the values.
    pub fn new(
        n: usize,
        indptr: &'a [i64],
        items: &'a [u32],
        values: Option<&'a [f64]>,
    ) -> Result<Self> {
        check_values("values", items.len(), values)?;
        check_boundaries(indptr, items.len())?;
        let rows = Self { n, indptr, items, values, sizes: None };
        check_range(n, items)?;
        // rows in rising order, the usual case, are seen in one sweep over all edges
        let within = count_falls(items);
        let starts = indptr.windows(2).filter(|pair| pair[0] < pair[1]).map(|pair| pair[0]);
        let between = starts.filter(|start| *start > 0 && rows.falls_before(*start)).count();
        if within > between {
            let mut marks = Marks::new(n);
            (0..rows.len()).try_for_each(|v| check_once(n, rows.row(v).items, &mut marks))?;
        }
        Ok(rows)
    }

    /// The same rows with what each match takes from a budget.
    ///
    /// # Errors
    /// [`Error::Shape`] and [`Error::NotFinite`].
    pub fn with_sizes(self, sizes: Option<&'a [f64]>) -> Result<Self> {
        check_values("sizes", self.items.len(), sizes)?;
        Ok(Self { sizes, ..self })
    }

    /// Number of arrivals.
    #[must_use]
    pub fn len(&self) -> usize {
        self.indptr.len() - 1
    }

    /// Whether nobody arrives.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of items.
    #[must_use]
    pub fn n(&self) -> usize {
        self.n
    }

    /// Number of edges.
    #[must_use]
    pub fn edge_count(&self) -> usize {
        self.items.len()
    }

    /// Whether the first item of the row that starts at an edge is at most the item before it.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to lie between 1 and the number of edges"
    )]
    fn falls_before(&self, start: i64) -> bool {
        self.items[start as usize - 1] >= self.items[start as usize]
    }

    /// Row `v`.
    #[must_use]
    pub fn row(&self, v: usize) -> Row<'a> {
        let range = self.range(v);
        Row {
            items: &self.items[range.clone()],
            values: self.values.map(|values| &values[range.clone()]),
            sizes: self.sizes.map(|sizes| &sizes[range]),
        }
    }

    pub(super) fn all(&self) -> Row<'a> {
        Row { items: self.items, values: self.values, sizes: self.sizes }
    }

    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to lie between 0 and the number of edges"
    )]
    fn range(&self, v: usize) -> std::ops::Range<usize> {
        self.indptr[v] as usize..self.indptr[v + 1] as usize
    }
}

/// Boundaries of rows rise from 0 to the number of edges.
///
/// # Errors
/// [`Error::Range`].
pub fn check_boundaries(indptr: &[i64], edges: usize) -> Result<()> {
    let expected = || format!("numbers rising from 0 to {edges}, the number of edges");
    let wrong = |got: String| Error::Range { name: "indptr", expected: expected(), got };
    let (Some(first), Some(last)) = (indptr.first(), indptr.last()) else {
        return Err(wrong("no numbers".to_owned()));
    };
    if *first != 0 {
        return Err(wrong(format!("{first} at position 0")));
    }
    if let Some(v) = indptr.windows(2).position(|pair| pair[1] < pair[0]) {
        return Err(wrong(format!("{} after {} at position {}", indptr[v + 1], indptr[v], v + 1)));
    }
    if usize::try_from(*last) != Ok(edges) {
        return Err(wrong(format!("{last} at the end")));
    }
    Ok(())
}

/// Finite, and one per edge.
pub(super) fn check_values(name: &'static str, edges: usize, values: Option<&[f64]>) -> Result<()> {
    let Some(values) = values else { return Ok(()) };
    if values.len() != edges {
        return Err(Error::length(name, edges, values.len()));
    }
    match values.iter().position(|x| !x.is_finite()) {
        Some(index) => Err(Error::NotFinite { name, index }),
        None => Ok(()),
    }
}

/// Which items were seen in the current row; emptied by raising a number.
#[derive(Debug, Clone, Default)]
pub(super) struct Marks {
    stamps: Vec<u32>,
    now: u32,
}

impl Marks {
    fn new(n: usize) -> Self {
        Self { stamps: vec![0; n], now: 0 }
    }

    /// The first item that stands twice.
    fn repeated(&mut self, n: usize, items: &[u32]) -> Option<u32> {
        self.stamps.resize(n, 0);
        if self.now == u32::MAX {
            self.stamps.fill(0);
            self.now = 0;
        }
        self.now += 1;
        items
            .iter()
            .copied()
            .find(|u| std::mem::replace(&mut self.stamps[*u as usize], self.now) == self.now)
    }
}

/// Items of a row exist and stand once.
pub(super) fn check_items(n: usize, items: &[u32], marks: &mut Marks) -> Result<()> {
    check_range(n, items)?;
    if count_falls(items) == 0 { Ok(()) } else { check_once(n, items, marks) }
}

fn check_range(n: usize, items: &[u32]) -> Result<()> {
    let limit = u32::try_from(n).unwrap_or(u32::MAX);
    // counted in 32 bits, which fills a vector register; the largest count is a part's length
    if items.iter().fold(0_u32, |count, u| count.wrapping_add(u32::from(*u >= limit))) == 0 {
        return Ok(());
    }
    let largest = items.iter().copied().max().unwrap_or(0);
    Err(Error::Range {
        name: "items",
        expected: format!("item numbers below {n}"),
        got: largest.to_string(),
    })
}

/// Neighbours that do not rise.
fn count_falls(items: &[u32]) -> usize {
    let next = items.iter().skip(1);
    let count =
        items.iter().zip(next).fold(0_u32, |count, (u, v)| count.wrapping_add(u32::from(u >= v)));
    count as usize
}

fn check_once(n: usize, items: &[u32], marks: &mut Marks) -> Result<()> {
    match marks.repeated(n, items) {
        Some(item) => {
            Err(Error::range("items", "every item once in a row", format!("item {item} twice")))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_rows_are_named() {
        let text = |indptr: &[i64], items: &[u32], values: Option<&[f64]>| {
            Rows::new(3, indptr, items, values).map(|_| ()).expect_err("wrong").to_string()
        };
        assert!(text(&[], &[], None).starts_with("indptr: expected numbers rising from 0 to 0"));
        assert!(text(&[1, 2], &[0, 1], None).contains("1 at position 0"));
        assert!(text(&[0, 2, 1], &[0], None).contains("1 after 2 at position 2"));
        assert!(text(&[0, 1], &[0, 1], None).contains("1 at the end"));
        assert!(text(&[0, 1], &[3], None).contains("items: expected item numbers below 3, got 3"));
        assert!(text(&[0, 2], &[2, 2], None).contains("item 2 twice"));
        assert!(text(&[0, 3], &[2, 0, 2], None).contains("item 2 twice"));
        assert!(text(&[0, 1], &[2], Some(&[f64::NAN])).starts_with("values: expected finite"));
        assert!(text(&[0, 1], &[2], Some(&[])).contains("expected shape (1,)"));
    }

    #[test]
    fn the_same_item_may_stand_in_two_rows() {
        let rows = Rows::new(3, &[0, 2, 2, 4], &[2, 1, 1, 2], None).expect("valid");
        assert_eq!((rows.len(), rows.row(0).items, rows.row(1).items.len()), (3, &[2, 1][..], 0));
    }
}
