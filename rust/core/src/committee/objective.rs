//! What a committee is worth, for rules that add up marginal gains.

use super::amount::{Amount, Unit};
use crate::{Result, Stop, parallel};

/// A monotone set function over items `0..items`, with gains that never grow as the committee does.
pub(crate) trait Objective: Sync {
    /// What has to be remembered of a committee to tell gains.
    type State: Clone + Send + Sync;

    /// What may be remembered of a committee to take single members away.
    type Memory: Default;

    fn items(&self) -> usize;

    fn unit(&self) -> Unit;

    /// The state of the empty committee, whose value is 0.
    fn empty(&self) -> Self::State;

    /// How much an item would add.
    fn gain(&self, state: &Self::State, item: usize) -> Amount;

    /// Adds an item.
    fn add(&self, state: &mut Self::State, item: usize);

    /// Roughly how many elementary steps one gain takes; lazy evaluation pays when it is more than a few.
    fn cost(&self) -> usize;

    /// Whether gains do not depend on the committee.
    fn is_modular(&self) -> bool {
        false
    }

    /// Whether one item is worth to every voter at least what another is; `false` where that is not known.
    fn dominates(&self, _better: usize, _worse: usize) -> bool {
        false
    }

    /// The state of a committee, and its value.
    fn state_of(&self, members: impl IntoIterator<Item = usize>) -> (Self::State, Amount) {
        let mut state = self.empty();
        let mut value = 0;
        for item in members {
            value += self.gain(&state, item);
            self.add(&mut state, item);
        }
        (state, value)
    }

    /// What [`Objective::without`] reads of a committee.
    fn remember(&self, _members: &[usize]) -> Self::Memory {
        Self::Memory::default()
    }

    /// The state and the value of a committee without the member at `position`.
    fn without(
        &self,
        _memory: &Self::Memory,
        members: &[usize],
        position: usize,
    ) -> (Self::State, Amount) {
        let others = members.iter().enumerate().filter(|(at, _)| *at != position);
        self.state_of(others.map(|(_, item)| *item))
    }
}

/// Work below which starting tasks costs more than it saves, in elementary steps.
const SERIAL: usize = 1 << 18;
/// Elementary steps between two looks at the clock: a few gains may take less time than a look.
const LOOK: usize = 1 << 12;

/// Gains of many items in the order given.
pub(super) fn gains<O: Objective>(
    objective: &O,
    state: &O::State,
    items: &[usize],
    threads: Option<usize>,
    stop: Stop<'_>,
) -> Result<Vec<Amount>> {
    let work = items.len() * objective.cost();
    let threads = if work < SERIAL { Some(1) } else { threads };
    let looks = (LOOK / objective.cost().max(1)).max(1);
    let rows = parallel::map(items.len(), threads, |index| {
        let check = if index % looks == 0 { stop.check() } else { Ok(()) };
        check.map(|()| objective.gain(state, items[index]))
    });
    rows.into_iter().collect()
}

/// Scores that do not depend on who else is in the committee.
#[derive(Debug, Clone)]
pub(crate) struct Modular {
    pub(crate) scores: Vec<Amount>,
    pub(crate) unit: Unit,
}

impl Objective for Modular {
    type State = ();
    type Memory = ();

    fn items(&self) -> usize {
        self.scores.len()
    }

    fn unit(&self) -> Unit {
        self.unit
    }

    fn empty(&self) -> Self::State {}

    fn gain(&self, (): &(), item: usize) -> Amount {
        self.scores[item]
    }

    fn add(&self, (): &mut (), _item: usize) {}

    fn cost(&self) -> usize {
        1
    }

    fn is_modular(&self) -> bool {
        true
    }

    fn dominates(&self, better: usize, worse: usize) -> bool {
        self.scores[better] >= self.scores[worse]
    }
}
