//! Functions and the class of `gustibus_core::matching`.

#![allow(
    clippy::needless_pass_by_value,
    clippy::too_many_arguments,
    reason = "arguments of Python functions arrive by value, in one flat call"
)]

mod arrays;
mod bulk;
mod offline;
mod online;
mod positions;

pub(crate) use offline::{assignment, b_matching, hindsight};
pub(crate) use online::{Matcher, matching_rules};
pub(crate) use positions::{ironed_virtual_values, place_creatives, position_auction};
