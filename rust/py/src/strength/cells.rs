//! Comparisons summed per pair.

use gustibus_core::Error;
use gustibus_core::strength as core;
use pyo3::prelude::*;

use super::{Column, rising, slice};
use crate::arrays::{Array1, ArrayDyn, copy, give};
use crate::errors::to_python;
use crate::running::detached;

/// Comparisons summed per pair of items.
#[pyclass(frozen, module = "gustibus._core")]
pub(crate) struct Cells {
    pub(super) table: core::Table,
}

type Arrays<'py> = (Array1<'py, i64>, Array1<'py, u32>, ArrayDyn<'py, f64>, ArrayDyn<'py, f64>);

#[pymethods]
impl Cells {
    /// Cells from what `arrays` gave.
    #[new]
    #[pyo3(signature = (starts, other, weights, spread, counts))]
    fn new(
        starts: Array1<'_, i64>,
        other: Array1<'_, u32>,
        weights: ArrayDyn<'_, f64>,
        spread: ArrayDyn<'_, f64>,
        counts: bool,
    ) -> PyResult<Self> {
        let arrays: Arrays<'_> = (starts, other, weights, spread);
        let table = if counts {
            core::Table::Counts(cells_of(&arrays)?)
        } else {
            core::Table::Weights(cells_of(&arrays)?)
        };
        Ok(Self { table })
    }

    fn __getnewargs__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.arrays(py)
    }

    /// Number of items.
    #[getter]
    fn items(&self) -> usize {
        self.table.items()
    }

    /// Number of pairs that were compared.
    #[getter]
    fn pairs(&self) -> usize {
        self.table.pairs()
    }

    /// Wins, losses and ties of every item, `(m, 3)`.
    fn totals<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let totals = self.table.totals();
        let rows = totals.len();
        give(py, totals.into_iter().flatten().collect::<Vec<f64>>(), [rows, 3])
    }

    /// Items that were compared at all, and the cells of these alone; `None` when all were.
    fn compact(&self, py: Python<'_>) -> PyResult<Option<(Py<PyAny>, Self)>> {
        let Some((used, table)) = py.detach(|| self.table.compact()) else { return Ok(None) };
        let length = used.len();
        Ok(Some((give(py, numbers(&used), [length])?.unbind(), Self { table })))
    }

    /// Row starts, other items, wins, losses and ties `(e, 3)`, rows and squares `(e, 6)` or `(0, 6)`, and
    /// whether the weights are counts.
    fn arrays<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match &self.table {
            core::Table::Counts(cells) => give_cells(py, cells, true),
            core::Table::Weights(cells) => give_cells(py, cells, false),
        }
    }
}

fn numbers(values: &[usize]) -> Vec<i64> {
    values.iter().map(|v| i64::try_from(*v).unwrap_or(i64::MAX)).collect()
}

fn give_cells<'py, T: core::Value>(
    py: Python<'py>,
    cells: &core::Cells<T>,
    counts: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let n = cells.cells.len();
    let other: Vec<u32> = cells.cells.iter().map(|c| c.other).collect();
    let ties = cells.ties.iter().map(|t| t.get()).chain(std::iter::repeat(0.0));
    let weights = cells.cells.iter().zip(ties).flat_map(|(c, t)| [c.wins.get(), c.losses.get(), t]);
    let spread = cells.spread.iter().flat_map(|s| s.rows.into_iter().chain(s.squares));
    let out = (
        give(py, numbers(&cells.starts), [cells.starts.len()])?,
        give(py, other, [n])?,
        give(py, weights.collect::<Vec<f64>>(), [n, 3])?,
        give(py, spread.collect::<Vec<f64>>(), [cells.spread.len(), 6])?,
        counts,
    );
    Ok(out.into_pyobject(py)?.into_any())
}

fn cells_of<T: core::Value>(
    (starts, other, weights, spread): &Arrays<'_>,
) -> PyResult<core::Cells<T>> {
    let starts = rising(starts)?;
    let other = slice("other", other)?;
    let weights = copy("weights", weights, 2, "(e, 3)")?;
    let spread = copy("spread", spread, 2, "(e, 6)")?;
    for (name, got, expected) in [
        ("weights", &weights.shape, vec![other.len(), 3]),
        ("spread", &spread.shape, vec![if spread.shape[0] == 0 { 0 } else { other.len() }, 6]),
    ] {
        if *got != expected {
            let (expected, got) = (format!("{expected:?}"), format!("{got:?}"));
            return Err(to_python(&Error::Shape { name, expected, got }));
        }
    }
    let triples = weights.values.chunks_exact(3);
    let cells = other.iter().zip(triples.clone()).map(|(other, w)| core::Cell {
        other: *other,
        wins: T::of(w[0]),
        losses: T::of(w[1]),
    });
    let tied = triples.clone().any(|w| w[2] > 0.0);
    let ties = if tied { triples.map(|w| T::of(w[2])).collect() } else { Vec::new() };
    let spread = spread
        .values
        .chunks_exact(6)
        .map(|s| core::Spread { rows: [s[0], s[1], s[2]], squares: [s[3], s[4], s[5]] });
    core::Cells::new(starts, cells.collect(), ties, spread.collect())
        .map_err(|error| to_python(&error))
}

/// Sums comparisons per pair.
#[pyfunction]
#[pyo3(signature = (a, b, outcomes, weights, items, threads))]
pub(crate) fn reduce_comparisons(
    py: Python<'_>,
    a: Column<'_>,
    b: Column<'_>,
    outcomes: Option<Array1<'_, u8>>,
    weights: Option<Array1<'_, f64>>,
    items: Option<usize>,
    threads: Option<usize>,
) -> PyResult<Cells> {
    let rows = core::Rows {
        a: a.ids("winners")?,
        b: b.ids("losers")?,
        outcomes: outcomes.as_ref().map(|o| slice("outcomes", o)).transpose()?,
        weights: weights.as_ref().map(|w| slice("weights", w)).transpose()?,
    };
    let table = detached(py, || core::reduce(rows, items, threads))?;
    Ok(Cells { table })
}
