//! The numerical core of gustibus, without Python: where a person's answers place them, and what
//! groups decide.
//!
//! Every function takes validated views, returns plain structs and gives the same bits for any
//! number of threads.

#![forbid(unsafe_code)]

pub mod bias;
pub mod committee;
mod error;
pub mod fair;
pub mod fusion;
pub mod json;
pub mod matching;
mod parallel;
pub mod posterior;
pub mod rng;
mod size;
pub mod social;
mod stop;
pub mod strength;
mod wide;

pub use error::{Error, Result};
pub use stop::Stop;
