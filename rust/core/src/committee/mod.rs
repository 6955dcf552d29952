//! Committees: rules that choose `k` items for voters with rankings, approvals or utilities, under
//! bounds on groups.
//!
//! A rule is a row of [`RULES`]. Scores are whole numbers, so that ties are exact and
//! results do not depend on the number of threads.

mod amount;
mod bounds;
mod checks;
mod cover;
mod egalitarian;
mod greedy;
mod ledger;
mod levels;
mod maximin;
mod monroe;
mod objective;
mod outcome;
mod overlap;
mod owa;
mod phragmen;
mod process;
mod reverse;
mod rules;
mod scores;
mod search;
mod shares;
mod shares_utilities;
mod single_peaked;
mod thiele;
mod views;
mod worths;

pub use amount::Weights;
pub use bounds::{Bounds, Group};
pub use checks::{Verdict, Witness, check};
pub use outcome::{Committee, Method, Options, Sampling, Step};
pub use rules::{Params, Profile, RULES, Rule, elect, score};
pub use views::{Approvals, Cells, Lists, Places, Utilities};
