//! Rows of edges as numpy arrays.

use gustibus_core::Error;
use numpy::{Element, PyUntypedArrayMethods};
use pyo3::prelude::*;
use std::ops::Range;

use crate::arrays::Array1;
use crate::errors::to_python;

type Any<'py> = Bound<'py, PyAny>;

/// Item numbers in one of the types that callers have.
pub(super) enum ItemColumn<'py> {
    I64(Array1<'py, i64>),
    U32(Array1<'py, u32>),
    I32(Array1<'py, i32>),
}

impl<'py> ItemColumn<'py> {
    /// Takes `int64`, `uint32` and `int32`; the Python side converts anything else.
    pub(super) fn new(name: &'static str, array: &Any<'py>) -> PyResult<Self> {
        if let Ok(array) = array.extract() {
            return Ok(Self::I64(array));
        }
        if let Ok(array) = array.extract() {
            return Ok(Self::U32(array));
        }
        array.extract().map(Self::I32).map_err(|_| wrong_array(name, "whole numbers", array))
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::I64(array) => array.len(),
            Self::U32(array) => array.len(),
            Self::I32(array) => array.len(),
        }
    }

    /// Replaces what `into` holds by a part of the numbers.
    pub(super) fn copy(&self, part: Range<usize>, into: &mut Vec<u32>) -> PyResult<()> {
        into.clear();
        match self {
            Self::I64(array) => convert(array, part, into),
            Self::U32(array) => convert(array, part, into),
            Self::I32(array) => convert(array, part, into),
        }
    }
}

/// Numbers in one of the types that callers have.
pub(super) enum Column<'py> {
    F64(Array1<'py, f64>),
    F32(Array1<'py, f32>),
}

impl<'py> Column<'py> {
    /// Takes `float64` and `float32`; the Python side converts anything else.
    pub(super) fn new(name: &'static str, array: &Any<'py>) -> PyResult<Self> {
        if let Ok(array) = array.extract() {
            return Ok(Self::F64(array));
        }
        array.extract().map(Self::F32).map_err(|_| wrong_array(name, "numbers", array))
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::F64(array) => array.len(),
            Self::F32(array) => array.len(),
        }
    }

    /// Replaces what `into` holds by a part of the numbers.
    pub(super) fn copy(&self, part: Range<usize>, into: &mut Vec<f64>) {
        into.clear();
        match self {
            Self::F64(array) => {
                if let Ok(slice) = array.as_slice() {
                    into.extend_from_slice(&slice[part]);
                } else {
                    let view = array.as_array();
                    into.extend(part.map(|e| view[e]));
                }
            }
            Self::F32(array) => {
                let view = array.as_array();
                into.extend(part.map(|e| f64::from(view[e])));
            }
        }
    }
}

/// A type of item numbers, which become 32 bits wide.
trait Item: Element + Copy + ToString {
    /// The low 32 bits, and 0 exactly for numbers that are no wider.
    fn split(self) -> (u32, u32);
}

impl Item for u32 {
    fn split(self) -> (u32, u32) {
        (self, 0)
    }
}

#[allow(clippy::cast_sign_loss, reason = "the sign is reported apart")]
impl Item for i32 {
    fn split(self) -> (u32, u32) {
        (self as u32, self as u32 >> 31)
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "reported apart")]
impl Item for i64 {
    fn split(self) -> (u32, u32) {
        (self as u32, (self as u64 >> 32) as u32)
    }
}

fn convert<T: Item>(
    array: &Array1<'_, T>,
    part: Range<usize>,
    into: &mut Vec<u32>,
) -> PyResult<()> {
    let mut wide = 0;
    if let Ok(slice) = array.as_slice() {
        // two plain loops, which the compiler turns into vector code
        wide = slice[part.clone()].iter().fold(0, |wide, x| wide | x.split().1);
        into.extend(slice[part].iter().map(|x| x.split().0));
    } else {
        let view = array.as_array();
        into.extend(part.map(|e| {
            let (low, high) = view[e].split();
            wide |= high;
            low
        }));
    }
    if wide == 0 {
        return Ok(());
    }
    let bad = array.as_array().iter().find(|x| x.split().1 != 0).map(ToString::to_string);
    let expected = "item numbers from 0 to 2^32";
    Err(to_python(&Error::range("items", expected, bad.unwrap_or_default())))
}

/// Replaces what `into` holds by item numbers.
pub(super) fn fill_items(array: &Any<'_>, into: &mut Vec<u32>) -> PyResult<()> {
    let column = ItemColumn::new("items", array)?;
    column.copy(0..column.len(), into)
}

/// Replaces what `into` holds by numbers.
pub(super) fn fill_numbers(
    name: &'static str,
    array: &Any<'_>,
    into: &mut Vec<f64>,
) -> PyResult<()> {
    let column = Column::new(name, array)?;
    column.copy(0..column.len(), into);
    Ok(())
}

fn wrong_array(name: &'static str, what: &str, array: &Any<'_>) -> PyErr {
    let kind =
        array.get_type().name().map_or_else(|_| "object".to_owned(), |name| name.to_string());
    let attribute = |key| array.getattr(key).map(|x| x.to_string());
    let got = match (attribute("dtype"), attribute("shape")) {
        (Ok(dtype), Ok(shape)) => format!("{dtype} of shape {shape}"),
        _ => kind,
    };
    to_python(&Error::Range { name, expected: format!("one dimension of {what}"), got })
}

/// Rows of edges, copied.
pub(super) struct OwnedRows {
    pub(super) indptr: Vec<i64>,
    pub(super) items: Vec<u32>,
    pub(super) values: Option<Vec<f64>>,
    pub(super) sizes: Option<Vec<f64>>,
}

impl OwnedRows {
    /// Copying 20 edges of an arrival takes about 10 nanoseconds.
    pub(super) fn copy(
        indptr: &Array1<'_, i64>,
        items: &Any<'_>,
        values: Option<&Any<'_>>,
        sizes: Option<&Any<'_>>,
    ) -> PyResult<Self> {
        let mut owned = Self { indptr: Vec::new(), items: Vec::new(), values: None, sizes: None };
        owned.indptr.extend(indptr.as_array().iter());
        fill_items(items, &mut owned.items)?;
        owned.values = values.map(|values| copy_numbers("values", values)).transpose()?;
        owned.sizes = sizes.map(|sizes| copy_numbers("sizes", sizes)).transpose()?;
        Ok(owned)
    }

    pub(super) fn rows(
        &self,
        n: usize,
    ) -> gustibus_core::Result<gustibus_core::matching::Rows<'_>> {
        let values = self.values.as_deref();
        gustibus_core::matching::Rows::new(n, &self.indptr, &self.items, values)?
            .with_sizes(self.sizes.as_deref())
    }
}

pub(super) fn copy_numbers(name: &'static str, array: &Any<'_>) -> PyResult<Vec<f64>> {
    let mut numbers = Vec::new();
    fill_numbers(name, array, &mut numbers)?;
    Ok(numbers)
}
