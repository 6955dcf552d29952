//! `gustibus._core`: arrays in, arrays and tuples out; the library's Python front is
//! `gustibus.posterior`.

#![forbid(unsafe_code)]

mod arrays;
mod errors;
mod posterior;

use pyo3::prelude::*;

/// The compiled core of gustibus.
#[pymodule]
mod _core {
    #[pymodule_export]
    use super::posterior::{
        acquire, acquire_batch, fit_population, place, place_particles, place_simplex, predict,
    };
}
