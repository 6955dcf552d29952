//! JSON that decoders let pass.

use pyo3::prelude::*;

/// The first name that an object of a JSON text in UTF-8 holds twice, or `None`.
#[pyfunction]
pub(crate) fn repeated_name(text: &[u8]) -> Option<String> {
    let name = gustibus_core::json::repeated_name(text)?;
    Some(String::from_utf8_lossy(&name).into_owned())
}
