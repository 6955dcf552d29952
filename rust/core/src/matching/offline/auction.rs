//! Nearly optimal prices by an ascending auction, from which exact searches start.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::heap::{entry, name_of, number_of};
use crate::matching::rows::{Row, Rows};
use crate::{Result, Stop};

/// Prices after an ascending auction that starts at `price`: arrivals bid for the item they like best,
/// by what it is better than their next choice plus a step; each item keeps its highest bids.
///
/// Prices only rise, so that stopping after too many bids leaves them low rather than wrong.
///
/// Source: Bertsekas and Castanon 1989, for several units of an item.
pub(super) fn auction(
    rows: &Rows<'_>,
    capacity: &[f64],
    price: &mut [f64],
    step: f64,
    stop: Stop<'_>,
) -> Result<()> {
    let mut held: Vec<BinaryHeap<Reverse<u128>>> = vec![BinaryHeap::new(); price.len()];
    let mut bids = MOST_BIDS * rows.len();
    for first in 0..rows.len() {
        if first % 1024 == 0 {
            stop.check()?;
        }
        let mut v = first;
        while bids > 0 {
            let Some((u, advantage)) = favourite(&rows.row(v), price) else { break };
            bids -= 1;
            let entry = Reverse(entry(price[u] + advantage + step, super::narrow(v)));
            if (held[u].len() as f64) < capacity[u] {
                held[u].push(entry);
                if held[u].len() as f64 >= capacity[u] {
                    price[u] = price[u].max(lowest(&held[u]));
                }
                break;
            }
            let Some(mut top) = held[u].peek_mut() else { break };
            let Reverse(out) = std::mem::replace(&mut *top, entry);
            drop(top);
            price[u] = price[u].max(lowest(&held[u]));
            v = name_of(out) as usize;
        }
    }
    Ok(())
}

/// Bids per arrival.
const MOST_BIDS: usize = 40;

/// The item that an arrival likes best, and how much better than its next choice or staying out.
fn favourite(row: &Row<'_>, price: &[f64]) -> Option<(usize, f64)> {
    let (mut first, mut second, mut item) = (0.0, 0.0, None);
    for (e, u) in row.items.iter().enumerate() {
        let profit = row.value(e) - price[*u as usize];
        if profit > first {
            (second, first, item) = (first, profit, Some(*u as usize));
        } else if profit > second {
            second = profit;
        }
    }
    item.map(|item| (item, first - second))
}

fn lowest(held: &BinaryHeap<Reverse<u128>>) -> f64 {
    held.peek().map_or(0.0, |Reverse(entry)| number_of(*entry))
}
