//! Errors of the core as the exceptions of `gustibus.errors`.

use gustibus_core::Error;
use pyo3::PyErr;

mod python {
    #![allow(unreachable_pub, missing_docs, reason = "written by the macro")]
    pyo3::import_exception!(gustibus.errors, InputError);
    pyo3::import_exception!(gustibus.errors, NotFiniteError);
}

/// The exception for an error; every one is a `ValueError`.
pub(crate) fn to_python(error: &Error) -> PyErr {
    let message = error.to_string();
    match error {
        Error::NotFinite { .. } => python::NotFiniteError::new_err(message),
        _ => python::InputError::new_err(message),
    }
}
