//! The matcher: a value that holds the state of one run.

use super::choose::choose;
use super::items::Items;
use super::options::{Late, Options, Plan};
use super::pending::{Attempts, Pending};
use super::recent::Recent;
use super::rows::{Marks, Row, Rows};
use super::rules::{Edge, Rule, find};
use crate::{Error, Result, rng};

/// Stream of the coins of a simulator, by running number of the attempt.
const COINS: u64 = 1;

/// What happened to one arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// The item, if any takes the arrival.
    pub item: Option<u32>,
    /// Number of the attempt, for rules whose matches may fail.
    pub attempt: Option<u64>,
}

/// Totals of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Counts {
    /// Arrivals seen.
    pub arrivals: u64,
    /// Arrivals that an item took, attempts among them.
    pub matched: u64,
    /// What the matches are worth.
    pub value: f64,
    /// Sum of the profits of arrivals at the prices of their moment, for the running bound.
    pub(super) profit: f64,
    /// Matches that could fail.
    pub attempts: u64,
    /// Those that did not, overflow left out.
    pub successes: u64,
    /// Sum of their chances.
    pub expected: f64,
    /// Coins that were drawn here rather than reported.
    pub coins: u64,
    /// Successes beyond capacity, which are worth nothing.
    pub overflow: u64,
    /// Attempts given up after their deadline.
    pub expired: u64,
}

/// An online matching run: a rule, its items, and everything that happened so far.
///
/// [`Matcher::decide`] only looks; the other methods change the state, and leave it unchanged when they
/// return an error.
#[derive(Debug, Clone)]
pub struct Matcher {
    pub(super) plan: Plan,
    pub(super) items: Items,
    pub(super) counts: Counts,
    pub(super) pending: Attempts,
    pub(super) recent: Recent,
    marks: Marks,
}

impl Matcher {
    /// A run that starts: `limits` are capacities, or budgets for the rules that have them.
    ///
    /// # Errors
    /// [`Error::UnknownName`] for the rule; [`Error::Range`], [`Error::Shape`] and [`Error::NotFinite`]
    /// for numbers, options and items without any room.
    pub fn new(
        rule: &str,
        options: Options,
        seed: u64,
        limits: &[f64],
        weights: Option<&[f64]>,
    ) -> Result<Self> {
        let plan = Plan::new(find(rule)?, options, seed)?;
        let mut matcher = Self::empty(plan);
        matcher.check_limits(limits, weights)?;
        if !limits.iter().any(|limit| *limit > 0.0) {
            let name = matcher.limits_name();
            return Err(Error::range(name, "at least one item with room", "none"));
        }
        matcher.append(limits, weights);
        Ok(matcher)
    }

    pub(super) fn empty(plan: Plan) -> Self {
        let recent = Recent::new(plan.options.remember);
        Self {
            plan,
            items: Items::default(),
            counts: Counts::default(),
            pending: Attempts::default(),
            recent,
            marks: Marks::default(),
        }
    }

    /// The row of the rule.
    #[must_use]
    pub fn rule(&self) -> &'static Rule {
        self.plan.rule
    }

    /// Number of items.
    #[must_use]
    pub fn n(&self) -> usize {
        self.items.len()
    }

    /// Totals so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Attempts without an outcome.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Per item: limit, used, load and attempts.
    #[must_use]
    pub fn item_columns(&self) -> (Vec<f64>, Vec<f64>, Vec<f64>, Vec<u64>) {
        let items = &self.items;
        (
            items.column(|state| state.limit),
            items.column(|state| state.used),
            items.column(|state| state.load),
            items.column(|state| state.tries),
        )
    }

    /// What the rule would do with an arrival now.
    ///
    /// # Errors
    /// [`Error::Range`], [`Error::Shape`] and [`Error::NotFinite`] for the row.
    pub fn decide(&self, row: Row<'_>) -> Result<Option<u32>> {
        self.check_nothing_is_due()?;
        self.check_row(row, &mut Marks::default())?;
        Ok(choose(&self.plan, &self.items, row, self.counts.arrivals).map(|choice| choice.item))
    }

    /// Takes one arrival. A name that was seen recently gets its first decision again and nothing changes.
    ///
    /// # Errors
    /// [`Error::Range`], [`Error::Shape`] and [`Error::NotFinite`] for the row; [`Error::Range`] when
    /// an instant outcome is still missing.
    pub fn arrive(
        &mut self,
        row: Row<'_>,
        name: Option<&str>,
        deadline: Option<f64>,
    ) -> Result<Decision> {
        if let Some(first) = name.and_then(|name| self.recent.get(name)) {
            return Ok(first);
        }
        let mut marks = std::mem::take(&mut self.marks);
        let checked = self.check_row(row, &mut marks);
        self.marks = marks;
        checked?;
        let deadline = deadline.unwrap_or(f64::INFINITY);
        if deadline.is_nan() {
            return Err(Error::range("deadline", "a number", "NaN"));
        }
        self.check_nothing_is_due()?;
        let decision = self.take(row, deadline);
        if let Some(name) = name {
            self.recent.insert(name, decision);
        }
        Ok(decision)
    }

    /// Records the outcome of an attempt.
    ///
    /// # Errors
    /// [`Error::Range`] for an attempt that was never made, or has its outcome already.
    pub fn report(&mut self, attempt: u64, success: bool) -> Result<()> {
        let pending = self.pending.remove(attempt, self.counts.attempts)?;
        self.settle(attempt, pending, success);
        Ok(())
    }

    /// Records the outcome that the simulator's next coin gives to an attempt.
    ///
    /// # Errors
    /// As [`Matcher::report`].
    pub fn draw(&mut self, attempt: u64) -> Result<bool> {
        let pending = self.pending.remove(attempt, self.counts.attempts)?;
        let success = self.next_coin() < pending.chance;
        self.settle(attempt, pending, success);
        Ok(success)
    }

    /// Takes many arrivals, exactly as one by one; -1 stands for nobody.
    ///
    /// Outcomes of attempts are `coins[v]` where given; otherwise the simulator draws them, or, when
    /// outcomes come late, they stay to be reported. Attempts are numbered on from [`Counts::attempts`].
    ///
    /// # Errors
    /// As [`Matcher::arrive`], before anything changes.
    pub fn arrive_many(&mut self, rows: &Rows<'_>, coins: Option<&[bool]>) -> Result<Vec<i32>> {
        self.check_rows(rows, coins)?;
        let is_stochastic = self.plan.rule.is_stochastic;
        let waits = self.plan.late != Late::Instant && coins.is_none();
        let mut decisions = Vec::with_capacity(rows.len());
        for v in 0..rows.len() {
            let decision = self.take(rows.row(v), f64::INFINITY);
            decisions.push(decision.item.and_then(|u| i32::try_from(u).ok()).unwrap_or(-1));
            if let (true, Some(attempt)) = (is_stochastic && !waits, decision.attempt) {
                match coins {
                    Some(coins) => self.report(attempt, coins[v])?,
                    None => self.draw(attempt).map(|_| ())?,
                }
            }
        }
        Ok(decisions)
    }

    /// Adds items; returns the number of the first.
    ///
    /// # Errors
    /// [`Error::Range`], [`Error::Shape`] and [`Error::NotFinite`].
    pub fn add_items(&mut self, limits: &[f64], weights: Option<&[f64]>) -> Result<usize> {
        self.check_limits(limits, weights)?;
        Ok(self.append(limits, weights))
    }

    /// Gives up attempts whose deadline is before `now` and frees what they held; returns how many.
    ///
    /// # Errors
    /// [`Error::Range`] when `now` is NaN.
    pub fn expire(&mut self, now: f64) -> Result<u64> {
        if now.is_nan() {
            return Err(Error::range("now", "a number", "NaN"));
        }
        let gone = self.pending.take_due(now);
        for (attempt, pending) in &gone {
            self.release(*attempt, *pending);
        }
        self.counts.expired += gone.len() as u64;
        Ok(gone.len() as u64)
    }

    /// Decides and commits; the row was checked.
    fn take(&mut self, row: Row<'_>, deadline: f64) -> Decision {
        let arrival = self.counts.arrivals;
        let choice = choose(&self.plan, &self.items, row, arrival);
        self.counts.arrivals += 1;
        let Some(choice) = choice else { return Decision { item: None, attempt: None } };
        let Some(place) = Self::place_of(row, choice.item) else {
            return Decision { item: None, attempt: None };
        };
        self.counts.matched += 1;
        self.counts.profit += choice.score;
        let (value, size) = (row.value(place), row.size(place));
        let edge = Edge { item: choice.item as usize, value, size };
        let attempt = if self.plan.rule.is_stochastic {
            Some(self.attempt(edge, arrival, deadline))
        } else {
            self.counts.value += (self.plan.rule.earn)(&self.plan, &mut self.items, edge, arrival);
            None
        };
        Decision { item: Some(choice.item), attempt }
    }

    /// Where the chosen item stands in its row; only rows with numbers need to know.
    fn place_of(row: Row<'_>, item: u32) -> Option<usize> {
        if row.values.is_none() && row.sizes.is_none() { Some(0) } else { row.edge_of(item) }
    }

    fn attempt(&mut self, edge: Edge, arrival: u64, deadline: f64) -> u64 {
        let (u, chance) = (edge.item, edge.value);
        let number = self.counts.attempts;
        self.counts.attempts += 1;
        self.counts.expected += chance;
        self.items.state[u].tries += 1;
        self.items.state[u].load += chance;
        self.items.state[u].pending += 1;
        if self.plan.late != Late::Instant {
            self.items.open[u].push((number, chance));
            self.items.refresh(&self.plan, u);
        }
        self.pending.insert(number, Pending { item: u, chance, arrival, deadline });
        number
    }

    fn settle(&mut self, attempt: u64, pending: Pending, success: bool) {
        let u = pending.item;
        if !success {
            return self.release(attempt, pending);
        }
        self.unlist(attempt, u);
        if self.items.state[u].used >= self.items.state[u].limit {
            self.counts.overflow += 1;
            return self.items.refresh(&self.plan, u);
        }
        let edge = Edge { item: u, value: pending.chance, size: 1.0 };
        self.counts.successes += 1;
        self.counts.value +=
            (self.plan.rule.earn)(&self.plan, &mut self.items, edge, pending.arrival);
    }

    fn release(&mut self, attempt: u64, pending: Pending) {
        self.unlist(attempt, pending.item);
        self.items.refresh(&self.plan, pending.item);
    }

    fn unlist(&mut self, attempt: u64, u: usize) {
        self.items.state[u].pending -= 1;
        self.items.open[u].retain(|(number, _)| *number != attempt);
    }

    fn next_coin(&mut self) -> f64 {
        let coin = rng::uniform(self.plan.seed, COINS, self.counts.coins);
        self.counts.coins += 1;
        coin
    }

    fn append(&mut self, limits: &[f64], weights: Option<&[f64]>) -> usize {
        let first = self.items.len();
        for (i, limit) in limits.iter().enumerate() {
            let weight = weights.map_or(1.0, |weights| weights[i]);
            self.items.push(&mut self.plan, *limit, weight, self.counts.arrivals);
        }
        first
    }
}
