//! Arrays in and out: inputs are copied, so that the interpreter lock can be released.

use gustibus_core::Error;
use std::ops::{Deref, Range};

use numpy::ndarray::{Dimension, Ix1, Ix2, IxDyn};
use numpy::{
    Element, IntoPyArray, PyArray, PyArrayMethods, PyReadonlyArray, PyUntypedArrayMethods,
};
use pyo3::Borrowed;
use pyo3::prelude::*;

use crate::errors::to_python;

/// An array that is read, its numbers where their type may lie.
///
/// numpy has arrays that are off that, such as columns of a packed record; a reference to a number
/// of theirs would be undefined behaviour, so that such an array is a copy.
pub(crate) struct Aligned<'py, T: Element, D: Dimension>(PyReadonlyArray<'py, T, D>);

pub(crate) type Array1<'py, T> = Aligned<'py, T, Ix1>;
pub(crate) type Array2<'py, T> = Aligned<'py, T, Ix2>;
pub(crate) type ArrayDyn<'py, T> = Aligned<'py, T, IxDyn>;

impl<'a, 'py, T: Element + 'a, D: Dimension + 'a> FromPyObject<'a, 'py> for Aligned<'py, T, D> {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let array: PyReadonlyArray<'py, T, D> = object.extract()?;
        if array.data().is_aligned() {
            return Ok(Self(array));
        }
        let copy = object.call_method0("copy")?;
        Ok(Self(copy.extract()?))
    }
}

impl<'py, T: Element, D: Dimension> Deref for Aligned<'py, T, D> {
    type Target = PyReadonlyArray<'py, T, D>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// Flags that are read.
///
/// A flag of numpy is a byte, and true where it is not 0; one of Rust is 0 or 1, and undefined
/// behaviour where it is something else.
pub(crate) struct Flags<'py, D: Dimension>(PyReadonlyArray<'py, u8, D>);

impl<'a, 'py, D: Dimension + 'a> FromPyObject<'a, 'py> for Flags<'py, D> {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let _: PyReadonlyArray<'py, bool, D> = object.extract()?;
        Ok(Self(object.call_method1("view", ("uint8",))?.extract()?))
    }
}

impl<D: Dimension> Flags<'_, D> {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Some of them, by their place in row-major order.
    pub(crate) fn copy(&self, places: Range<usize>) -> Vec<bool> {
        if let Ok(bytes) = self.0.as_slice() {
            return bytes[places].iter().map(|byte| *byte != 0).collect();
        }
        let bytes = self.0.as_array();
        bytes.iter().skip(places.start).take(places.len()).map(|byte| *byte != 0).collect()
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<bool> {
        self.copy(0..self.len())
    }
}

pub(crate) type Flags1<'py> = Flags<'py, Ix1>;
pub(crate) type FlagsDyn<'py> = Flags<'py, IxDyn>;

/// An argument as it comes.
pub(crate) type Input<'py> = ArrayDyn<'py, f64>;

/// An owned copy in row-major order.
pub(crate) struct Owned {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f64>,
}

/// Copies an array with `dims` dimensions; other numbers of dimensions are errors that name `letters`.
///
/// Copying 20,000 pairs of 32 dimensions takes about a millisecond.
pub(crate) fn copy(
    name: &'static str,
    array: &Input<'_>,
    dims: usize,
    letters: &str,
) -> PyResult<Owned> {
    let shape = array.shape().to_vec();
    if shape.len() != dims {
        let got = describe(&shape);
        return Err(to_python(&Error::Shape { name, expected: letters.to_owned(), got }));
    }
    let values = match array.as_slice() {
        Ok(slice) => slice.to_vec(),
        Err(_) => array.as_array().iter().copied().collect(),
    };
    Ok(Owned { shape, values })
}

/// Copies person boundaries.
pub(crate) fn copy_starts(starts: &ArrayDyn<'_, i64>) -> PyResult<Vec<usize>> {
    let wrong = |got: String| {
        to_python(&Error::range("starts", "numbers rising from 0 in one dimension", got))
    };
    if starts.shape().len() != 1 {
        return Err(wrong(format!("shape {}", describe(starts.shape()))));
    }
    let values = starts.as_array();
    values.iter().map(|s| usize::try_from(*s).map_err(|_| wrong(s.to_string()))).collect()
}

/// A shape as Python writes it.
fn describe(shape: &[usize]) -> String {
    let sizes: Vec<String> = shape.iter().map(ToString::to_string).collect();
    match sizes.as_slice() {
        [one] => format!("({one},)"),
        many => format!("({})", many.join(", ")),
    }
}

/// Moves numbers into an array of a shape they fill.
pub(crate) fn give<'py, T: Element, const N: usize>(
    py: Python<'py>,
    values: Vec<T>,
    shape: [usize; N],
) -> PyResult<Bound<'py, PyAny>> {
    let flat: Bound<'py, PyArray<T, Ix1>> = values.into_pyarray(py);
    Ok(flat.reshape(shape.as_slice())?.into_any())
}
