//! The numerical core of gustibus, without Python: where a person's answers place them.
//!
//! Every function takes validated views, returns plain structs and gives the same bits for any
//! number of threads.

#![forbid(unsafe_code)]

mod error;
pub mod posterior;

pub use error::{Error, Result};
