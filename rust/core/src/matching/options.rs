//! Options of the rules, and what follows from them.

use std::collections::HashMap;
use std::sync::Arc;

use super::discount::Discount;
use super::rules::{MOST_TABULATED, Rule, Table, balance, threshold};
use crate::{Error, Result};

/// Whether an item draws one random seed, or one for each of its units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seeds {
    /// One seed serves all units of an item.
    Item,
    /// The k-th match of an item uses the k-th smallest of as many uniforms as it has units.
    Unit,
}

/// How stochastic balance discounts a loaded item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Score {
    /// The table against the deterministic linear program.
    Table,
    /// `e^(1 + l) E1(1 + l)` against the stochastic optimum, for capacity 1.
    Gompertz,
}

/// When the outcomes of attempts become known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Late {
    /// Before the next arrival: the model of the guarantees.
    Instant,
    /// Any time; an attempt holds a unit until then.
    Reserve,
    /// Any time; attempts wait together as long as the chance that too many succeed stays below this.
    Overbook(f64),
}

/// Choices of the caller; `None` where a rule's own default serves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// For ranking (default one per item) and the perturbed rules (default one per unit).
    pub seeds: Option<Seeds>,
    /// Least and largest edge weight, for the threshold rule.
    pub range: Option<(f64, f64)>,
    /// Number of arrivals to expect, for dual prices.
    pub horizon: Option<f64>,
    /// Multiple of `1 / sqrt(horizon)` by which prices move, for dual prices; 1 by default.
    pub step: Option<f64>,
    /// For stochastic balance; the table by default.
    pub score: Option<Score>,
    /// For the stochastic rules; instant by default.
    pub late: Option<Late>,
    /// How many arrivals with a name are remembered.
    pub remember: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seeds: None,
            range: None,
            horizon: None,
            step: None,
            score: None,
            late: None,
            remember: 1024,
        }
    }
}

impl Options {
    /// Names of the options that were given.
    fn given(&self) -> impl Iterator<Item = &'static str> {
        [
            (self.seeds.is_some(), "seeds"),
            (self.range.is_some(), "range"),
            (self.horizon.is_some(), "horizon"),
            (self.step.is_some(), "step"),
            (self.score.is_some(), "score"),
            (self.late.is_some(), "late"),
        ]
        .into_iter()
        .filter_map(|(is_given, name)| is_given.then_some(name))
    }
}

/// A rule with its options checked and what follows from them computed.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) rule: &'static Rule,
    pub(super) options: Options,
    pub(super) seed: u64,
    pub(super) seeds: Seeds,
    pub(super) late: Late,
    pub(super) threshold: threshold::Curve,
    pub(super) horizon: f64,
    /// Step of the prices.
    pub(super) eta: f64,
    discounts: Vec<Arc<Discount>>,
    units: Vec<Vec<f64>>,
    /// Which table serves a capacity, by its bits.
    known: HashMap<u64, u32>,
}

/// Stands for no table.
const NO_TABLE: u32 = u32::MAX;

impl Plan {
    pub(super) fn new(rule: &'static Rule, options: Options, seed: u64) -> Result<Self> {
        if let Some(name) = options.given().find(|name| !rule.options.contains(name)) {
            let expected = match rule.options {
                [] => format!("no options for the rule {}", rule.name),
                names => format!("only {} for the rule {}", names.join(", "), rule.name),
            };
            return Err(Error::Range { name: "options", expected, got: name.to_owned() });
        }
        let horizon = match (rule.options.contains(&"horizon"), options.horizon) {
            (true, None) => return Err(Error::range("horizon", "a number of arrivals", "None")),
            (_, given) => within("horizon", given.unwrap_or(1.0), 1.0, 1e15)?,
        };
        let step = within("step", options.step.unwrap_or(1.0), 0.0, 1e15)?;
        if let Some(Late::Overbook(delta)) = options.late {
            within("delta", delta, 0.0, 1.0)?;
        }
        let threshold = match (rule.options.contains(&"range"), options.range) {
            (true, None) => return Err(Error::range("range", "least and largest weight", "None")),
            (_, given) => threshold::Curve::new(given.unwrap_or((1.0, 1.0)))?,
        };
        let default = if rule.seeds_per_unit { Seeds::Unit } else { Seeds::Item };
        Ok(Self {
            rule,
            options,
            seed,
            seeds: options.seeds.unwrap_or(default),
            late: options.late.unwrap_or(Late::Instant),
            threshold,
            horizon,
            eta: step / horizon.sqrt(),
            discounts: Vec::new(),
            units: Vec::new(),
            known: HashMap::new(),
        })
    }

    /// Index of the table for a capacity, which is made when it is the first of its kind.
    pub(super) fn table_for(&mut self, limit: f64) -> u32 {
        let key = match self.rule.table {
            Table::Discount if limit > 0.0 && self.options.score != Some(Score::Gompertz) => {
                Discount::representative(limit)
            }
            Table::Units if limit > 0.0 && limit <= MOST_TABULATED => limit,
            _ => return NO_TABLE,
        };
        if let Some(index) = self.known.get(&key.to_bits()) {
            return *index;
        }
        let index = u32::try_from(self.known.len()).unwrap_or(NO_TABLE); // fewer than 2,000 kinds
        if self.rule.table == Table::Discount {
            self.discounts.push(Discount::shared(key));
        } else {
            let left = |used: f64| balance::units_left(used, key);
            let counts = std::iter::successors(Some(0.0), |used| Some(used + 1.0));
            self.units.push(counts.take_while(|used| *used <= key).map(left).collect());
        }
        self.known.insert(key.to_bits(), index);
        index
    }

    pub(super) fn discount(&self, table: u32) -> &Discount {
        &self.discounts[table as usize]
    }

    /// The tabulated factor of balance.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count of units, at most the table's length"
    )]
    pub(super) fn units_left(&self, table: u32, used: f64) -> Option<f64> {
        self.units.get(table as usize)?.get(used as usize).copied()
    }
}

fn within(name: &'static str, x: f64, low: f64, high: f64) -> Result<f64> {
    if x >= low && x <= high {
        return Ok(x);
    }
    Err(Error::Range {
        name,
        expected: format!("a number from {low} to {high}"),
        got: format!("{x:?}"), // tiny numbers without their zeros
    })
}
