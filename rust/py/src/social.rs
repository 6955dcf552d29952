//! Ballots of `gustibus_core::social`, held for Python.

#![allow(
    clippy::needless_pass_by_value,
    clippy::too_many_arguments,
    reason = "arguments of Python functions arrive by value, in one flat call"
)]

use std::sync::Arc;

use gustibus_core::social::{Ballots as Stored, Cells, Compact, Id, Lists, Profile, Unranked};
use gustibus_core::{Error, Result};
use numpy::{Element, PyUntypedArrayMethods};
use pyo3::prelude::*;

use crate::arrays::{ArrayDyn, FlagsDyn, give};
use crate::errors::to_python;
use crate::running::{detached, interruptible};

/// Checked ballots and what was computed from them.
#[pyclass(frozen, module = "gustibus._core")]
pub(crate) struct Ballots {
    pub(crate) profile: Arc<Profile>,
}

/// Calls a generic function with an integer array of any width.
macro_rules! with_integers {
    ($array:expr, $name:expr, $f:expr) => {{
        let array: &Bound<'_, PyAny> = $array;
        if let Ok(a) = array.extract::<ArrayDyn<'_, i64>>() {
            $f(&a)
        } else if let Ok(a) = array.extract::<ArrayDyn<'_, i32>>() {
            $f(&a)
        } else if let Ok(a) = array.extract::<ArrayDyn<'_, u8>>() {
            $f(&a)
        } else if let Ok(a) = array.extract::<ArrayDyn<'_, u16>>() {
            $f(&a)
        } else if let Ok(a) = array.extract::<ArrayDyn<'_, u32>>() {
            $f(&a)
        } else if let Ok(a) = array.extract::<ArrayDyn<'_, i16>>() {
            $f(&a)
        } else if let Ok(a) = array.extract::<ArrayDyn<'_, i8>>() {
            $f(&a)
        } else if let Ok(a) = array.extract::<ArrayDyn<'_, u64>>() {
            $f(&a)
        } else {
            let got = array.get_type().name()?.to_string();
            Err(to_python(&Error::range($name, "an array of integers", got)))
        }
    }};
}

#[pymethods]
impl Ballots {
    /// Full strict rankings `(n, m)` of ids from 0.
    ///
    /// The lock is held while the numbers are checked and narrowed, because other threads may write
    /// to the array: about 0.1 seconds for a million rankings of 50 items.
    #[staticmethod]
    #[pyo3(signature = (rankings, weights, compact, threads))]
    fn full(
        rankings: &Bound<'_, PyAny>,
        weights: Option<ArrayDyn<'_, f64>>,
        compact: &str,
        threads: Option<usize>,
    ) -> PyResult<Self> {
        let weights = weights.map(|w| w.as_array().iter().copied().collect());
        let compact = parse_compact(compact)?;
        with_integers!(rankings, "rankings", |a| full(a, weights, compact, threads))
    }

    /// Lists of ids from 0 with the ends of their buckets.
    #[staticmethod]
    #[pyo3(signature = (starts, items, ends, n_items, weights, unranked, compact))]
    fn lists(
        starts: ArrayDyn<'_, i64>,
        items: &Bound<'_, PyAny>,
        ends: Option<FlagsDyn<'_>>,
        n_items: usize,
        weights: Option<ArrayDyn<'_, f64>>,
        unranked: &str,
        compact: &str,
    ) -> PyResult<Self> {
        let starts = crate::arrays::copy_starts(&starts)?;
        let ends = ends.map(|ends| ends.all());
        let weights = weights.map(|w| w.as_array().iter().copied().collect());
        let (unranked, compact) = (parse_unranked(unranked)?, parse_compact(compact)?);
        let lists = with_integers!(items, "rankings", |a| lists(a, starts, ends, n_items))?;
        Profile::lists(lists, n_items, weights, unranked, compact)
            .map(|profile| Self { profile: Arc::new(profile) })
            .map_err(|error| to_python(&error))
    }

    /// Number of items.
    #[getter]
    fn n_items(&self) -> usize {
        self.profile.items()
    }

    /// Number of ballots that are stored.
    #[getter]
    fn n_ballots(&self) -> usize {
        self.profile.len()
    }

    /// Whether every ballot orders all items without ties.
    #[getter]
    fn is_full(&self) -> bool {
        self.profile.rows().is_some()
    }

    /// Whether no ballot ties two items.
    #[getter]
    fn is_strict(&self) -> bool {
        match self.profile.ballots() {
            Stored::Full(_) => true,
            Stored::Lists(lists) => lists.is_strict(),
        }
    }

    /// Whether all weights are integers whose sums are exact.
    #[getter]
    fn is_exact(&self) -> bool {
        self.profile.weights().is_exact()
    }

    /// What unranked items mean.
    #[getter]
    fn unranked(&self) -> &'static str {
        match self.profile.unranked() {
            Unranked::Last => "last",
            Unranked::Ignore => "ignore",
            Unranked::Average => "average",
        }
    }

    /// Sum of the weights.
    #[getter]
    fn total(&self) -> f64 {
        self.profile.weights().total()
    }

    /// `(n,)` weights.
    fn weights<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let weights = self.profile.weights();
        let values = (0..weights.len()).map(|v| weights.get(v)).collect();
        give(py, values, [weights.len()])
    }

    /// `(n, m)` items by ballot and place, or `None` when a ballot is partial or weak.
    fn order<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let shape = [self.profile.len(), self.profile.items()];
        let rows = self.profile.rows();
        rows.map(|rows| give_cells(py, &rows.order, shape)).transpose()
    }

    /// `(m, n)` places by item and ballot, or `None` when a ballot is partial or weak.
    fn places<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let shape = [self.profile.items(), self.profile.len()];
        let rows = self.profile.rows();
        rows.map(|rows| give_cells(py, &rows.places, shape)).transpose()
    }

    /// `(m, m)` weight of the ballots that rank one item above another, counted once.
    #[pyo3(signature = (threads))]
    fn support<'py>(&self, py: Python<'py>, threads: Option<usize>) -> PyResult<Bound<'py, PyAny>> {
        let (profile, m) = (&self.profile, self.profile.items());
        let values = interruptible(py, None, |stop| {
            profile.support(threads, stop).map(|support| support.values().to_vec())
        })?;
        give(py, values, [m, m])
    }

    /// `(m, m)` weight of the ballots that put an item at a place, counted once.
    #[pyo3(signature = (threads))]
    fn histogram<'py>(
        &self,
        py: Python<'py>,
        threads: Option<usize>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (profile, m) = (&self.profile, self.profile.items());
        let values =
            interruptible(py, None, |stop| profile.histogram(threads, stop).map(<[f64]>::to_vec))?;
        give(py, values, [m, m])
    }

    /// Starts `(n + 1,)`, items and ends of buckets of all ballots.
    fn to_lists<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let profile = Arc::clone(&self.profile);
        let lists = detached(py, move || Ok(profile.to_lists()))?;
        let starts: Vec<i64> =
            lists.starts.iter().map(|s| i64::try_from(*s).unwrap_or(i64::MAX)).collect();
        let (n, length) = (starts.len(), lists.items.len());
        let out = (
            give(py, starts, [n])?,
            give(py, lists.items, [length])?,
            give(py, lists.ends, [length])?,
        );
        Ok(out.into_pyobject(py)?.into_any())
    }
}

fn full<T: Id + Element>(
    array: &ArrayDyn<'_, T>,
    weights: Option<Vec<f64>>,
    compact: Compact,
    threads: Option<usize>,
) -> PyResult<Ballots> {
    let build = || -> Result<Profile> {
        let &[n, m] = array.shape() else {
            let got = format!("{:?}", array.shape());
            return Err(Error::Shape { name: "rankings", expected: "(n, m)".to_owned(), got });
        };
        if n == 0 || m == 0 {
            let got = format!("shape ({n}, {m})");
            return Err(Error::range("rankings", "at least one ballot and one item", got));
        }
        if let Ok(rows) = array.as_slice() {
            return Profile::full(rows, m, weights, compact, threads);
        }
        let rows: Vec<T> = array.as_array().iter().copied().collect();
        Profile::full(&rows, m, weights, compact, threads)
    };
    build().map(|p| Ballots { profile: Arc::new(p) }).map_err(|error| to_python(&error))
}

fn lists<T: Id + Element>(
    array: &ArrayDyn<'_, T>,
    starts: Vec<usize>,
    ends: Option<Vec<bool>>,
    items: usize,
) -> PyResult<Lists> {
    let ids: Vec<T> = array.as_array().iter().copied().collect();
    Lists::new(starts, &ids, ends, items).map_err(|error| to_python(&error))
}

fn give_cells<'py>(
    py: Python<'py>,
    cells: &Cells,
    shape: [usize; 2],
) -> PyResult<Bound<'py, PyAny>> {
    match cells {
        Cells::U8(cells) => give(py, cells.clone(), shape),
        Cells::U16(cells) => give(py, cells.clone(), shape),
    }
}

fn parse_compact(name: &str) -> PyResult<Compact> {
    match name {
        "auto" => Ok(Compact::Auto),
        "always" => Ok(Compact::Always),
        "never" => Ok(Compact::Never),
        other => Err(to_python(&Error::range("compact", "auto, always or never", other))),
    }
}

fn parse_unranked(name: &str) -> PyResult<Unranked> {
    match name {
        "last" => Ok(Unranked::Last),
        "ignore" => Ok(Unranked::Ignore),
        "average" => Ok(Unranked::Average),
        other => Err(to_python(&Error::range("unranked", "last, ignore or average", other))),
    }
}
