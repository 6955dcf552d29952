//! Upper bounds on the offline optimum that cost one pass, and improve with more.

use super::matcher::Matcher;
use super::options::Late;
use super::rows::Rows;
use super::rules::{Reads, Table, stochastic};
use crate::{Error, Result, Stop};

impl Matcher {
    /// Bound from running totals, for rules whose prices only rise; `None` for the others, and where
    /// late outcomes hid items from arrivals.
    ///
    /// `sum_u limit_u price_u` at the prices of now plus every arrival's profit at the prices of its
    /// moment: dual feasible because prices only rise.
    #[must_use]
    pub fn running_bound(&self) -> Option<f64> {
        let dual = self.plan.rule.dual.as_ref()?;
        if self.plan.late != Late::Instant {
            return None;
        }
        let items = &self.items;
        let held: f64 = (0..items.len())
            .map(|u| items.state[u].limit * (dual.price)(&self.plan, items, u))
            .sum();
        Some(held + (dual.scale)(&self.plan, items) * self.counts.profit)
    }

    /// Bound for the given arrivals from the prices of now, improved by projected subgradient steps.
    ///
    /// # Errors
    /// As [`Matcher::arrive_many`] for the rows; [`Error::Interrupted`].
    pub fn bound(&self, rows: &Rows<'_>, steps: usize, stop: Stop<'_>) -> Result<f64> {
        self.check_rows(rows, None)?;
        let items = &self.items;
        let prices: Vec<f64> = (0..items.len()).map(|u| self.price(u)).collect();
        let program = Program {
            rows,
            limit: &items.column(|state| state.limit),
            weight: &items.terms.iter().map(|terms| terms.weight).collect::<Vec<_>>(),
            reads: self.plan.rule.reads,
        };
        program.improve(prices, steps, stop)
    }

    /// The rule's own price, where it has one that may be used as a dual.
    fn price(&self, u: usize) -> f64 {
        let (plan, items) = (&self.plan, &self.items);
        if plan.rule.table == Table::Discount && items.state[u].limit > 0.0 {
            let left =
                stochastic::discount(plan, items, u) / stochastic::fresh_discount(plan, items, u);
            return items.terms[u].weight * (1.0 - left);
        }
        let price = plan.rule.dual.as_ref().map_or(0.0, |dual| (dual.price)(plan, items, u));
        if price.is_finite() { price } else { 0.0 }
    }
}

/// The linear program whose dual is evaluated.
struct Program<'a> {
    rows: &'a Rows<'a>,
    limit: &'a [f64],
    weight: &'a [f64],
    reads: Reads,
}

impl Program<'_> {
    /// Profit of an edge at a price, and what it takes from the limit.
    fn profit(&self, item: usize, value: f64, size: f64, price: f64) -> (f64, f64) {
        match self.reads {
            Reads::Nothing => (self.weight[item] - price, 1.0),
            Reads::Weight => (self.weight[item] * value - size * price, size),
            Reads::Bid => (value * (1.0 - price), value),
            Reads::Probability => (value * (self.weight[item] - price), value),
        }
    }

    /// `D(prices)`, and the subgradient into `slope`.
    fn value(&self, prices: &[f64], slope: &mut [f64]) -> f64 {
        slope.copy_from_slice(self.limit);
        let mut total: f64 =
            self.limit.iter().zip(prices).map(|(limit, price)| limit * price).sum();
        for v in 0..self.rows.len() {
            let row = self.rows.row(v);
            let (mut best, mut taken) = (0.0, None);
            for (e, item) in row.items.iter().enumerate() {
                let u = *item as usize;
                let (profit, size) = self.profit(u, row.value(e), row.size(e), prices[u]);
                if profit > best {
                    (best, taken) = (profit, Some((u, size)));
                }
            }
            total += best;
            if let Some((u, size)) = taken {
                slope[u] -= size;
            }
        }
        total
    }

    /// Steps along the subgradient, of length `c / sqrt(k)` in the units of the prices; keeps the best.
    fn improve(&self, mut prices: Vec<f64>, steps: usize, stop: Stop<'_>) -> Result<f64> {
        let mut slope = vec![0.0; prices.len()];
        let mut best = self.value(&prices, &mut slope);
        let scale = match self.reads {
            Reads::Bid => 1.0,
            Reads::Nothing | Reads::Probability => self.weight.iter().copied().fold(0.0, f64::max),
            Reads::Weight => (0..self.rows.len())
                .flat_map(|v| {
                    let row = self.rows.row(v);
                    (0..row.items.len())
                        .map(move |e| row.value(e) * self.weight[row.items[e] as usize])
                })
                .fold(0.0, f64::max),
        };
        for k in 1..=steps {
            stop.check()?;
            let norm = slope.iter().map(|s| s * s).sum::<f64>().sqrt();
            if norm == 0.0 {
                break;
            }
            let length = 0.5 * scale * (prices.len() as f64).sqrt() / (norm * (k as f64).sqrt());
            for (price, s) in prices.iter_mut().zip(&slope) {
                *price = (*price - 0.5 * length * s).max(0.0);
            }
            best = best.min(self.value(&prices, &mut slope));
        }
        Ok(best)
    }
}

/// Refuses a bound that needs the arrivals.
#[must_use]
pub fn needs_arrivals(rule: &str) -> Error {
    let expected = format!("the arrivals so far, as the rule {rule} keeps no running bound");
    Error::Range { name: "indptr", expected, got: "None".to_owned() }
}
