//! What groups decide: ballots, the counts that every rule rests on, and the rules.
//!
//! A [`Profile`] holds ballots over `m` items; items and ballots are numbered from 0, places from 0
//! for the best. Integer weights stay exact in every count below `2^53`.

#![allow(clippy::float_cmp, reason = "sums of integers are exact, and a tie has to be a tie")]
#![allow(clippy::unnecessary_wraps, reason = "rules of a table have one signature")]

mod axis;
mod bits;
mod borda_rounds;
mod cells;
mod compact;
mod condorcet;
mod counting;
mod covering;
mod cultures;
mod dispersion;
mod distances;
mod drawing;
mod elimination;
mod games;
mod kemeny;
mod levels;
mod lists;
mod locking;
mod meek;
mod near;
mod options;
mod outcome;
mod paths;
mod positional;
mod profile;
mod proportional;
mod reach;
mod rows;
mod rules;
mod stable;
mod support;
mod tally;
mod walks;
mod weights;

pub use axis::axis;
pub(crate) use axis::axis_by;
pub use cells::{Cell, Cells};
pub use compact::Compact;
pub use cultures::{Culture, sample, sample_until};
pub use dispersion::{expected_distance, phi_of_norm};
pub use distances::{Metric, distances};
pub use lists::Lists;
pub use options::{Options, Value};
pub use outcome::{Fact, Outcome};
pub use profile::{Ballots, Profile, Unranked};
pub use rows::{Id, Rows};
pub use rules::{Rule, Subject, decide, rules};
pub use support::Support;
pub use weights::Weights;
