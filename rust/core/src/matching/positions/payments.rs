//! Payments under which bidding one's value is best.

use super::virtual_value::Law;
use super::{Placement, Slate, cascade, mnl};
use crate::{Result, Stop};

/// An exact maximiser; only these have truthful payments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Solver {
    /// The multinomial logit model.
    Mnl,
    /// The cascade model in free order.
    Cascade,
}

impl Solver {
    /// The slate of largest value; `start` is a lower bound on it.
    ///
    /// # Errors
    /// As [`mnl`] and [`cascade`].
    pub fn solve(
        self,
        slate: &Slate<'_>,
        phi: &[f64],
        start: f64,
        stop: Stop<'_>,
    ) -> Result<Placement> {
        stop.check()?;
        match self {
            Self::Mnl => mnl(slate, phi, start, stop),
            Self::Cascade => cascade(slate, phi, stop),
        }
    }
}

/// The slate of largest welfare, and what each bidder pays per view in expectation: what the others
/// lose by their being there.
///
/// # Errors
/// As [`Solver::solve`].
///
/// Source: Vickrey 1961, Clarke 1971, Groves 1973.
pub fn welfare_payments(
    solver: Solver,
    slate: &Slate<'_>,
    values: &[f64],
    stop: Stop<'_>,
) -> Result<(Placement, Vec<f64>)> {
    let placed = solver.solve(slate, values, 0.0, stop)?;
    let mut payments = vec![0.0; slate.n];
    let mut without = values.to_vec();
    for (i, _) in &placed.pairs {
        let worth = values[*i] * placed.click[*i];
        without[*i] = 0.0;
        // the others are left with their part, which rounding may have made too large
        let rest = (placed.value - worth) * (1.0 - 1e-9);
        let others = solver.solve(slate, &without, rest.max(0.0), stop)?.value;
        without[*i] = values[*i];
        payments[*i] = (others - (placed.value - worth)).clamp(0.0, worth);
    }
    Ok((placed, payments))
}

/// The slate of largest expected revenue, and payments per view: `v pi(v)` less the integral of the
/// click chance over lower bids.
///
/// # Errors
/// As [`Solver::solve`], and for laws that are not one per bidder.
///
/// Source: Myerson 1981.
pub fn revenue_payments(
    solver: Solver,
    slate: &Slate<'_>,
    values: &[f64],
    laws: &[Law],
    stop: Stop<'_>,
) -> Result<(Placement, Vec<f64>)> {
    slate.check_phi(values)?;
    if laws.len() != slate.n {
        return Err(crate::Error::length("laws", slate.n, laws.len()));
    }
    let mut phi: Vec<f64> = laws.iter().zip(values).map(|(law, v)| law.virtual_value(*v)).collect();
    let placed = solver.solve(slate, &phi, 0.0, stop)?;
    let mut payments = vec![0.0; slate.n];
    for (i, _) in &placed.pairs {
        let i = *i;
        let own = phi[i];
        let mut solve = |x: f64| {
            phi[i] = x;
            let placed = solver.solve(slate, &phi, 0.0, stop)?;
            Ok(Line { slope: placed.click[i], at: x, value: placed.value })
        };
        let steps = steps_between(&mut solve, 0.0, own)?;
        phi[i] = own;
        let mut area = 0.0;
        for (k, (x, slope)) in steps.iter().enumerate() {
            let next = steps.get(k + 1).map_or(values[i], |(x, _)| laws[i].inverse(*x));
            area += slope * (next.min(values[i]) - laws[i].inverse(*x)).max(0.0);
        }
        let worth = values[i] * placed.click[i];
        payments[i] = (worth - area).clamp(0.0, worth);
    }
    Ok((placed, payments))
}

/// The optimum as a function of one bidder's `phi`, near one point: it is the largest of such lines.
#[derive(Clone, Copy)]
struct Line {
    slope: f64,
    at: f64,
    value: f64,
}

impl Line {
    fn value_at(&self, x: f64) -> f64 {
        self.value + self.slope * (x - self.at)
    }
}

/// Where the click chance steps up between two points, and what it is from there on.
fn steps_between(
    solve: &mut impl FnMut(f64) -> Result<Line>,
    low: f64,
    high: f64,
) -> Result<Vec<(f64, f64)>> {
    let (first, last) = (solve(low)?, solve(high)?);
    let mut steps = vec![(low, first.slope)];
    let mut open = vec![(first, last)];
    while let Some((left, right)) = open.pop() {
        if right.slope - left.slope <= 1e-12 {
            continue;
        }
        let offset = |line: &Line| line.value - line.slope * line.at;
        let crossing = (offset(&left) - offset(&right)) / (right.slope - left.slope);
        let crossing = crossing.clamp(left.at, right.at);
        let middle = solve(crossing)?;
        let scale = middle.value.abs().max(1e-300);
        let ends = crossing <= left.at || crossing >= right.at;
        if ends || middle.value - left.value_at(crossing) <= 1e-11 * scale {
            steps.push((crossing, right.slope));
        } else {
            open.push((middle, right));
            open.push((left, middle));
        }
    }
    steps.sort_by(|a, b| a.0.total_cmp(&b.0));
    Ok(steps)
}
