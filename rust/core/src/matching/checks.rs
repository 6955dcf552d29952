//! Checks of what callers hand to a matcher; all of them come before any change.

use super::matcher::Matcher;
use super::options::{Late, Score, Seeds};
use super::rows::{Marks, Row, Rows, check_items, check_values};
use super::rules::Reads;
use super::rules::ranked::MOST_UNITS;
use crate::{Error, Result};

impl Matcher {
    pub(super) fn limits_name(&self) -> &'static str {
        if self.plan.rule.has_budgets { "budget" } else { "capacity" }
    }

    pub(super) fn check_limits(&self, limits: &[f64], weights: Option<&[f64]>) -> Result<()> {
        let rule = self.plan.rule;
        let name = self.limits_name();
        check_values(name, limits.len(), Some(limits))?;
        let by_unit = self.plan.seeds == Seeds::Unit;
        let most = if by_unit { MOST_UNITS } else { 9e15 };
        let is_right = |x: f64| x >= 0.0 && x <= most && (rule.has_budgets || x.fract() == 0.0);
        if let Some(bad) = limits.iter().copied().find(|x| !is_right(*x)) {
            let expected = match (rule.has_budgets, by_unit) {
                (true, _) => "amounts from 0 to 9e15",
                (false, true) => "whole numbers from 0 to 2^24 (or seeds of one per item)",
                (false, false) => "whole numbers from 0 to 9e15",
            };
            return Err(Error::range(name, expected, bad));
        }
        if self.items.len() + limits.len() >= i32::MAX as usize {
            return Err(Error::range(
                name,
                "fewer than 2^31 items",
                self.items.len() + limits.len(),
            ));
        }
        let is_for_one = self.plan.options.score == Some(Score::Gompertz);
        if let Some(bad) = limits.iter().find(|x| is_for_one && **x > 1.0) {
            return Err(Error::range(name, "at most 1 for the score function gompertz", bad));
        }
        let Some(weights) = weights else { return Ok(()) };
        if !rule.has_weights {
            let expected = format!("no weights for the rule {}", rule.name);
            return Err(Error::Range { name: "weight", expected, got: weights.len().to_string() });
        }
        check_values("weight", limits.len(), Some(weights))?;
        match weights.iter().find(|x| **x < 0.0) {
            Some(bad) => Err(Error::range("weight", "numbers at or above 0", bad)),
            None => Ok(()),
        }
    }

    pub(super) fn check_row(&self, row: Row<'_>, marks: &mut Marks) -> Result<()> {
        check_values("values", row.items.len(), row.values)?;
        check_values("sizes", row.items.len(), row.sizes)?;
        check_items(self.items.len(), row.items, marks)?;
        self.check_numbers(row)
    }

    /// The values of edges are what the rule reads.
    pub(super) fn check_numbers(&self, row: Row<'_>) -> Result<()> {
        let rule = self.plan.rule;
        if let Some(sizes) = row.sizes {
            if !rule.options.contains(&"horizon") {
                let expected = format!("no sizes for the rule {}", rule.name);
                return Err(Error::Range { name: "sizes", expected, got: sizes.len().to_string() });
            }
            all_within("sizes", sizes, 0.0, f64::MAX, "numbers at or above 0")?;
        }
        let Some(values) = row.values else {
            return match (rule.reads, self.plan.threshold) {
                (Reads::Weight, curve) if rule.options.contains(&"range") => {
                    all_within("values", &[1.0], curve.low, curve.high, "weights inside the range")
                }
                _ => Ok(()),
            };
        };
        match rule.reads {
            Reads::Nothing => {
                let expected = format!("no values for the rule {}", rule.name);
                Err(Error::Range { name: "values", expected, got: values.len().to_string() })
            }
            Reads::Probability => {
                all_within("values", values, f64::MIN_POSITIVE, 1.0, "probabilities in (0, 1]")
            }
            Reads::Weight if rule.options.contains(&"range") => {
                let curve = self.plan.threshold;
                all_within("values", values, curve.low, curve.high, "weights inside the range")
            }
            Reads::Bid | Reads::Weight => {
                all_within("values", values, 0.0, f64::MAX, "numbers at or above 0")
            }
        }
    }

    pub(super) fn check_rows(&self, rows: &Rows<'_>, coins: Option<&[bool]>) -> Result<()> {
        if rows.n() != self.items.len() {
            let expected = format!("arrivals for {} items", self.items.len());
            return Err(Error::Range { name: "items", expected, got: rows.n().to_string() });
        }
        if let Some(coins) = coins {
            if !self.plan.rule.is_stochastic {
                let expected = format!("no coins for the rule {}", self.plan.rule.name);
                return Err(Error::Range { name: "coins", expected, got: coins.len().to_string() });
            }
            if coins.len() != rows.len() {
                return Err(Error::length("coins", rows.len(), coins.len()));
            }
        }
        self.check_numbers(rows.all())?;
        self.check_nothing_is_due()
    }

    pub(super) fn check_nothing_is_due(&self) -> Result<()> {
        match (self.plan.late, self.pending.first()) {
            (Late::Instant, Some(attempt)) => {
                let expected = "every outcome before the next arrival (or late outcomes)";
                Err(Error::range("attempt", expected, format!("none for attempt {attempt}")))
            }
            _ => Ok(()),
        }
    }
}

fn all_within(
    name: &'static str,
    values: &[f64],
    low: f64,
    high: f64,
    expected: &str,
) -> Result<()> {
    // counted without a branch: this runs over every edge of a bulk call
    if values.iter().filter(|x| **x < low || **x > high).count() == 0 {
        return Ok(());
    }
    let bad = values.iter().copied().find(|x| *x < low || *x > high).unwrap_or(f64::NAN);
    Err(Error::range(name, expected, bad))
}
