//! Matching of arrivals to items with limited room, online and in hindsight, and position auctions.
//!
//! [`Matcher`] takes arrivals one by one or in bulk by one of the [`RULES`]; its state is a value that
//! can be saved and resumed to the bit.

mod bound;
mod checks;
mod choose;
mod discount;
mod items;
mod matcher;
mod numbers;
pub mod offline;
mod options;
mod pending;
pub mod positions;
mod recent;
mod rows;
mod rules;
mod snapshot;

pub use bound::needs_arrivals;
pub use matcher::{Counts, Decision, Matcher};
pub use options::{Late, Options, Score, Seeds};
pub use rows::{Row, Rows, check_boundaries};
pub use rules::{RULES, Reads, Rule, find};
