//! Errors of the core as the exceptions of `gustibus.errors`.

use gustibus_core::Error;
use pyo3::PyErr;
use pyo3::exceptions::PyKeyboardInterrupt;

mod python {
    #![allow(unreachable_pub, missing_docs, reason = "written by the macro")]
    pyo3::import_exception!(gustibus.errors, InfeasibleError);
    pyo3::import_exception!(gustibus.errors, InputError);
    pyo3::import_exception!(gustibus.errors, NotFiniteError);
    pyo3::import_exception!(gustibus.errors, UnknownNameError);
}

/// The exception for an error; a wrong value is a `ValueError`, an unknown name a `LookupError`.
pub(crate) fn to_python(error: &Error) -> PyErr {
    let message = error.to_string();
    match error {
        Error::NotFinite { .. } => python::NotFiniteError::new_err(message),
        Error::UnknownName { .. } => python::UnknownNameError::new_err(message),
        Error::Infeasible { .. } => python::InfeasibleError::new_err(message),
        Error::Interrupted => PyKeyboardInterrupt::new_err(message),
        _ => python::InputError::new_err(message),
    }
}
