//! Maximum-weight b-matching of all arrivals at once, and along a stream.

use super::auction::auction;
use super::repair::{State, repair};
use super::stream::{NONE, Stream, check_capacity, check_weights};
use super::vertex::vertex_weighted;
use crate::matching::rows::Rows;
use crate::{Error, Result, Stop};

/// An optimal b-matching, and prices that prove it.
///
/// `price[u] + profit[v] >= weight` on every edge, with equality on matched ones; `price[u]` is 0
/// unless the item is full, `profit[v]` 0 unless the arrival is matched. The value is
/// `sum capacity price + sum profit`.
#[derive(Debug, Clone, PartialEq)]
pub struct BMatching {
    /// Item of every arrival, -1 for none.
    pub item_of: Vec<i32>,
    /// Sum of the matched weights.
    pub value: f64,
    /// Prices of items.
    pub price: Vec<f64>,
    /// Profits of arrivals.
    pub profit: Vec<f64>,
}

/// Rounds of the auction; each step is an eighth of the one before.
const ROUNDS: usize = 6;

/// The matching of largest weight: every arrival to at most one item, every item to at most its
/// capacity. Edges without a value weigh 1.
///
/// An ascending auction finds prices a little below the optimal ones; arrivals are then inserted by
/// shortest paths from there, and units left empty at a price are settled by shortest paths back. The
/// result is exact whatever the auction gave. Where all edges of an item weigh the same, prices tell
/// nothing apart, and the matroid of matchable items is followed instead.
///
/// # Errors
/// [`Error::Range`] for capacities and weights; [`Error::Shape`]; [`Error::Interrupted`].
pub fn max_weight_b_matching(
    rows: &Rows<'_>,
    capacity: &[f64],
    stop: Stop<'_>,
) -> Result<BMatching> {
    check(rows, capacity)?;
    if let Some(weight) = weight_by_item(rows) {
        return vertex_weighted(rows, capacity, &weight, stop);
    }
    let mut stream = Stream::with_prices(capacity, guess_prices(rows, capacity, stop)?)?;
    for v in 0..rows.len() {
        if v % 256 == 0 {
            stop.check()?;
        }
        let row = rows.row(v);
        stream.insert(row.items, |e| row.value(e));
    }
    let mut state = stream.into_state();
    repair(rows, capacity, &mut state, stop)?;
    Ok(BMatching::of(rows, &state))
}

/// The optimum in hindsight after every arrival, and the matching after the last.
///
/// # Errors
/// As [`max_weight_b_matching`].
pub fn hindsight(
    rows: &Rows<'_>,
    capacity: &[f64],
    stop: Stop<'_>,
) -> Result<(Vec<f64>, BMatching)> {
    check(rows, capacity)?;
    let mut stream = Stream::with_prices(capacity, least_prices(capacity))?;
    let mut values = Vec::with_capacity(rows.len());
    for v in 0..rows.len() {
        if v % 256 == 0 {
            stop.check()?;
        }
        let row = rows.row(v);
        stream.insert(row.items, |e| row.value(e));
        values.push(stream.value());
    }
    Ok((values, BMatching::of(rows, &stream.into_state())))
}

impl BMatching {
    fn of(rows: &Rows<'_>, state: &State) -> Self {
        // an item without room costs what anybody would give for it
        let mut price = state.price.clone();
        price.iter_mut().filter(|p| p.is_infinite()).for_each(|p| *p = 0.0);
        let all = rows.all();
        for (e, u) in all.items.iter().enumerate() {
            let u = *u as usize;
            if state.price[u].is_infinite() {
                price[u] = all.value(e).max(price[u]);
            }
        }
        let profit = |v: usize| {
            let row = rows.row(v);
            let edges = row.items.iter().enumerate();
            edges.map(|(e, u)| row.value(e) - state.price[*u as usize]).fold(0.0, f64::max)
        };
        Self {
            profit: (0..rows.len()).map(profit).collect(),
            item_of: state.item_of.iter().map(|u| i32::try_from(*u).unwrap_or(-1)).collect(),
            value: state
                .item_of
                .iter()
                .zip(&state.weight_of)
                .filter(|(u, _)| **u != NONE)
                .map(|(_, w)| w)
                .sum(),
            price,
        }
    }
}

/// Nothing costs anything, but items without room are beyond reach.
fn least_prices(capacity: &[f64]) -> Vec<f64> {
    capacity.iter().map(|c| if *c > 0.0 { 0.0 } else { f64::INFINITY }).collect()
}

/// Prices a little below the optimal ones, mostly.
fn guess_prices(rows: &Rows<'_>, capacity: &[f64], stop: Stop<'_>) -> Result<Vec<f64>> {
    let mut price = least_prices(capacity);
    let largest = rows.all().values.map_or(1.0, |v| v.iter().copied().fold(0.0, f64::max));
    let mut step = largest / 64.0;
    for _ in 0..ROUNDS {
        auction(rows, capacity, &mut price, step, stop)?;
        for p in &mut price {
            *p = (*p - 2.0 * step).max(0.0);
        }
        step /= 8.0;
    }
    Ok(price)
}

/// Weights of items, where every edge of an item has the same.
fn weight_by_item(rows: &Rows<'_>) -> Option<Vec<f64>> {
    let all = rows.all();
    let mut weight = vec![f64::NAN; rows.n()];
    for (e, u) in all.items.iter().enumerate() {
        let (known, new) = (&mut weight[*u as usize], all.value(e));
        if known.is_nan() {
            *known = new;
        } else if known.total_cmp(&new).is_ne() {
            return None;
        }
    }
    Some(weight.into_iter().map(|w| if w.is_nan() { 0.0 } else { w }).collect())
}

pub(super) fn check(rows: &Rows<'_>, capacity: &[f64]) -> Result<()> {
    if capacity.len() != rows.n() {
        return Err(Error::length("capacity", rows.n(), capacity.len()));
    }
    check_capacity(capacity)?;
    check_weights(rows)
}
