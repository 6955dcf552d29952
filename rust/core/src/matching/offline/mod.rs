//! Optima in hindsight, each with a certificate.

mod auction;
mod candidates;
mod dense;
mod heap;
mod repair;
mod scaling;
mod search;
mod solver;
mod sparse;
mod stream;
mod vertex;

pub use dense::{Assignment, Cost, Matrix, assignment};
pub use sparse::{BMatching, hindsight, max_weight_b_matching};
pub use vertex::{max_matching, vertex_weighted};

#[allow(clippy::cast_possible_truncation, reason = "sizes are checked before anything is solved")]
fn narrow(index: usize) -> u32 {
    index as u32
}
