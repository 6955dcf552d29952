//! Sequential Phragmen: voters earn money at equal rates, and an item is bought when its supporters hold
//! its price.

use super::bounds::Bounds;
use super::outcome::{Committee, Options};
use super::process::run;
use super::rules::{Params, Profile, Run};
use super::shares::{Completion, Shares};
use super::worths::by_approvals::sets;
use crate::Result;

pub(super) const SEQUENTIAL: Run = Run::Own { elect: sequential, score: None };

/// A supporter's load becomes `(1 + loads of all supporters) / number of supporters`; the item with the
/// smallest is chosen.
///
/// Source: Phragmen 1899; Brill et al. 2017, section 3.
fn sequential(
    profile: &Profile<'_>,
    bounds: &Bounds,
    _params: &Params<'_>,
    options: &Options<'_>,
) -> Result<Committee> {
    let approvals = sets(profile)?;
    run(&Shares { approvals, money: None, completion: Completion::Phragmen }, bounds, options)
}
