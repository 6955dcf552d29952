//! Decisions of recent arrivals by name, so that a retry gets the same answer.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::matcher::Decision;

/// A bounded map that forgets the oldest first.
#[derive(Debug, Clone, Default)]
pub(super) struct Recent {
    most: usize,
    order: VecDeque<Arc<str>>,
    decisions: HashMap<Arc<str>, Decision>,
}

impl Recent {
    pub(super) fn new(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    pub(super) fn get(&self, name: &str) -> Option<Decision> {
        self.decisions.get(name).copied()
    }

    pub(super) fn insert(&mut self, name: &str, decision: Decision) {
        if self.most == 0 {
            return;
        }
        if self.order.len() == self.most {
            if let Some(oldest) = self.order.pop_front() {
                self.decisions.remove(&oldest);
            }
        }
        let name: Arc<str> = name.into();
        self.order.push_back(Arc::clone(&name));
        self.decisions.insert(name, decision);
    }

    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// From the oldest to the newest.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, Decision)> {
        self.order.iter().filter_map(|name| Some((&**name, *self.decisions.get(name)?)))
    }
}
