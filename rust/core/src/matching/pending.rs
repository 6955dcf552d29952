//! Attempts that wait for their outcome.

use std::collections::BTreeMap;

use crate::{Error, Result};

/// What is known of an attempt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pending {
    pub(super) item: usize,
    pub(super) chance: f64,
    pub(super) arrival: u64,
    pub(super) deadline: f64,
}

/// By number of the attempt. The newest is kept apart, so that instant outcomes touch no tree.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Attempts {
    older: BTreeMap<u64, Pending>,
    newest: Option<(u64, Pending)>,
}

impl Attempts {
    pub(super) fn len(&self) -> usize {
        self.older.len() + usize::from(self.newest.is_some())
    }

    pub(super) fn first(&self) -> Option<u64> {
        let oldest = self.older.first_key_value().map(|(number, _)| *number);
        oldest.or(self.newest.map(|(number, _)| number))
    }

    /// In order of their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, Pending)> {
        self.older.iter().map(|(number, pending)| (*number, *pending)).chain(self.newest)
    }

    pub(super) fn insert(&mut self, number: u64, pending: Pending) {
        if let Some((number, pending)) = self.newest.replace((number, pending)) {
            self.older.insert(number, pending);
        }
    }

    /// Takes an attempt out; `made` is how many there ever were.
    pub(super) fn remove(&mut self, number: u64, made: u64) -> Result<Pending> {
        if let Some((_, pending)) = self.newest.take_if(|(newest, _)| *newest == number) {
            return Ok(pending);
        }
        self.older.remove(&number).ok_or_else(|| {
            let what = if number < made { "has its outcome or expired" } else { "was never made" };
            Error::range(
                "attempt",
                "one that waits for its outcome",
                format!("{number}, which {what}"),
            )
        })
    }

    /// Takes out the attempts whose deadline is before `now`.
    pub(super) fn take_due(&mut self, now: f64) -> Vec<(u64, Pending)> {
        let due: Vec<_> = self.iter().filter(|(_, pending)| pending.deadline < now).collect();
        for (number, _) in &due {
            self.older.remove(number);
        }
        self.newest.take_if(|(_, pending)| pending.deadline < now);
        due
    }
}
