//! Arrays in and out: inputs are copied, so that the interpreter lock can be released.

use gustibus_core::Error;
use numpy::{IntoPyArray, ndarray::Ix1};
use numpy::{PyArray, PyArrayMethods, PyReadonlyArrayDyn, PyUntypedArrayMethods};
use pyo3::prelude::*;

use crate::errors::to_python;

/// An argument as it comes.
pub(crate) type Input<'py> = PyReadonlyArrayDyn<'py, f64>;

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
pub(crate) fn copy_starts(starts: &PyReadonlyArrayDyn<'_, i64>) -> PyResult<Vec<usize>> {
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
pub(crate) fn give<'py, T: numpy::Element, const N: usize>(
    py: Python<'py>,
    values: Vec<T>,
    shape: [usize; N],
) -> PyResult<Bound<'py, PyAny>> {
    let flat: Bound<'py, PyArray<T, Ix1>> = values.into_pyarray(py);
    Ok(flat.reshape(shape.as_slice())?.into_any())
}
