//! Reverse sequential rules: all items are in, and the least missed is taken out.

use super::amount::Amount;
use super::bounds::Bounds;
use super::objective::Objective;
use super::outcome::{Committee, Options};
use super::process::{Process, run};
use super::rules::{Params, Profile, Run};
use super::thiele::{Thiele, harmonic};
use super::views::Approvals;
use super::worths::by_approvals::sets;
use crate::{Error, Result, Stop};

pub(super) const PAV: Run = Run::Own { elect: pav, score: None };

/// Takes out the item whose loss is smallest, the highest item among equals, until `k` are left.
///
/// Source: Thiele 1895; Lackner and Skowron 2023, section 2.3.
fn pav(
    profile: &Profile<'_>,
    bounds: &Bounds,
    _params: &Params<'_>,
    options: &Options<'_>,
) -> Result<Committee> {
    let approvals = sets(profile)?;
    if !bounds.is_matroid() {
        let what =
            "rule revseqpav: groups that overlap without one holding the other cannot be met";
        return Err(Error::Infeasible { what: what.to_owned() });
    }
    let largest = approvals.by_voter.iter().map(<[u32]>::len).max().unwrap_or(1);
    let factors = harmonic(largest, u128::from(approvals.weights.total));
    let thiele = Thiele::new(approvals, factors);
    let (m, k) = (bounds.items(), bounds.size());
    let reverse = Reverse { thiele: &thiele, approvals, bounds, stop: options.stop };
    let mut out = run(&reverse, &Bounds::free(m, m - k)?, options)?;
    let stays = |gone: &[usize]| (0..m).filter(|item| !gone.contains(item)).collect::<Vec<_>>();
    out.members = stays(&out.members);
    out.tied = out.tied.iter().map(|gone| stays(gone)).collect();
    out.tied.sort_unstable();
    let approved = thiele.approved(out.members.iter().copied());
    out.value = Some(thiele.unit().value(thiele.value_of(&approved)));
    Ok(out)
}

struct Reverse<'a> {
    thiele: &'a Thiele<'a>,
    approvals: &'a Approvals,
    bounds: &'a Bounds,
    stop: Stop<'a>,
}

#[derive(Clone)]
struct Remaining {
    /// How many of the items that are left each voter approves.
    approved: Vec<u32>,
    losses: Vec<Amount>,
    gone: Vec<bool>,
}

impl Reverse<'_> {
    /// Whether some committee within the bounds is left when `item` goes too.
    fn may_go(&self, gone: &[bool], item: usize) -> bool {
        let mut room = self.bounds.open();
        for other in (0..gone.len()).filter(|other| !gone[*other] && *other != item) {
            if self.bounds.fits(&room, other) {
                self.bounds.take(&mut room, other);
            }
        }
        room.size == self.bounds.size()
    }
}

impl Process for Reverse<'_> {
    type State = Remaining;
    type Key = ();

    fn start(&self) -> Remaining {
        // Counts are enough: scores of items to come, which nobody asks for here, take a look at every
        // pair of approvals of a ballot, for longer than the time limit.
        let m = self.bounds.items();
        let approved = self.thiele.approved(0..m);
        Remaining { losses: self.thiele.losses(&approved), approved, gone: vec![false; m] }
    }

    fn choices(
        &self,
        state: &mut Remaining,
        _members: &[usize],
        _allowed: &dyn Fn(usize) -> bool,
    ) -> Result<Vec<usize>> {
        let unit = self.thiele.unit();
        let mut order: Vec<usize> =
            (0..state.gone.len()).filter(|item| !state.gone[*item]).collect();
        order.sort_by_key(|item| (unit.key(state.losses[*item]), std::cmp::Reverse(*item)));
        let free = self.bounds.is_free();
        let mut choices = Vec::new();
        let mut least = None;
        for item in order {
            let key = unit.key(state.losses[item]);
            if least.is_some_and(|least| key != least) {
                break;
            }
            self.stop.check()?; // among bounds a look at one item is a look at all
            if free || self.may_go(&state.gone, item) {
                least = Some(key);
                choices.push(item);
            }
        }
        Ok(choices)
    }

    fn choose(&self, state: &mut Remaining, item: usize) -> f64 {
        let loss = self.thiele.unit().value(state.losses[item]);
        for voter in self.approvals.by_item.get(item) {
            state.approved[*voter as usize] -= 1;
        }
        state.losses = self.thiele.losses(&state.approved);
        state.gone[item] = true;
        loss
    }

    fn key(&self, _state: &mut Remaining) {}
}
