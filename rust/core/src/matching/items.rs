//! What a matcher knows of its items.
//!
//! The loop over edges reads `score`, or `terms` where edges have values; everything else about an item
//! lies together, as it is read and written when the item is chosen, and then whole.

use super::options::Plan;

/// One item, on one line of the cache.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct State {
    /// Capacity or budget.
    pub(super) limit: f64,
    /// Units or money used.
    pub(super) used: f64,
    /// Current seed of the item, or of its next unit.
    pub(super) seed: f64,
    /// Sum of the probabilities of all attempts.
    pub(super) load: f64,
    /// Attempts made.
    pub(super) tries: u64,
    /// Attempts without an outcome yet.
    pub(super) pending: u64,
    /// Arrivals seen when the price was last brought up to date.
    pub(super) touched: u64,
    /// Which table of the plan serves the item.
    pub(super) table: u32,
}

impl State {
    /// Units that neither a match nor a waiting attempt holds.
    pub(super) fn free(&self) -> f64 {
        self.limit - self.used - self.pending as f64
    }
}

/// What turns an edge's value into its score.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Terms {
    pub(super) weight: f64,
    /// Multiplier, 0 when the item takes nothing more; for rules that subtract a price the price,
    /// infinite when the item takes nothing more.
    pub(super) factor: f64,
}

/// All items.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Items {
    pub(super) state: Vec<State>,
    pub(super) terms: Vec<Terms>,
    /// `weight * factor`, the score of an edge without a value.
    pub(super) score: Vec<f64>,
    /// Weights that the item keeps, largest first.
    pub(super) kept: Vec<Vec<f64>>,
    /// Probabilities of the attempts without an outcome, with their numbers.
    pub(super) open: Vec<Vec<(u64, f64)>>,
}

impl Items {
    pub(super) fn len(&self) -> usize {
        self.state.len()
    }

    /// Appends one item that nobody was matched to.
    pub(super) fn push(&mut self, plan: &mut Plan, limit: f64, weight: f64, arrivals: u64) {
        let u = self.len();
        let table = plan.table_for(limit);
        self.state.push(State { limit, table, touched: arrivals, ..State::default() });
        self.terms.push(Terms { weight, factor: 0.0 });
        self.score.push(0.0);
        self.kept.push(Vec::new());
        self.open.push(Vec::new());
        (plan.rule.start)(plan, self, u);
        self.refresh(plan, u);
    }

    /// Brings the cached factor and score of an item up to date.
    #[inline]
    pub(super) fn refresh(&mut self, plan: &Plan, u: usize) {
        let factor = (plan.rule.factor)(plan, self, u);
        let terms = &mut self.terms[u];
        terms.factor = factor;
        self.score[u] = terms.weight * factor;
    }

    /// Units that neither a match nor a waiting attempt holds.
    pub(super) fn free(&self, u: usize) -> f64 {
        self.state[u].free()
    }

    /// One number of every item.
    pub(super) fn column<T>(&self, of: impl Fn(&State) -> T) -> Vec<T> {
        self.state.iter().map(of).collect()
    }
}
