//! Chamberlin and Courant's rule on single-peaked rankings, where it takes polynomial time.

use super::amount::Amount;
use super::bounds::Bounds;
use super::outcome::{Committee, Options, Step};
use super::views::{Cells, Places};
use crate::social::axis_by;
use crate::{Error, Result, parallel};

/// The best committee, item by item along the axis.
///
/// Left of its best item a voter likes each item more than those before it, so the last member chosen is
/// also the best so far wherever the next is better still: what an item adds depends on the last member
/// alone. Takes `O(n m^2 + k m^2)`.
///
/// # Errors
/// [`Error::Range`] for rankings that are not single-peaked, for bounds on groups and for all tied
/// committees; [`Error::Interrupted`].
///
/// Source: Betzler, Slinko and Uhlmann 2013, section 5.
pub(super) fn elect(
    places: &Places<'_>,
    bounds: &Bounds,
    options: &Options<'_>,
) -> Result<Committee> {
    if !bounds.is_free() || !options.resolute {
        let expected = "another with bounds on groups or for all tied committees";
        return Err(Error::range("method", expected, "single_peaked"));
    }
    let (n, m, k) = (places.voters(), places.m, bounds.size());
    let order = orders(places);
    let axis = axis_by(
        (n, m),
        |v, place| order[v * m + place],
        |v, item| places.place(item, v),
        options.stop,
    )?;
    let Some(axis) = axis else {
        let got = "rankings that have no axis";
        return Err(Error::range("profile", "single-peaked rankings", got));
    };
    let gains = gains(places, &axis, options)?;
    // best[j][i]: j + 1 members, the last of them at place i of the axis.
    let mut best: Vec<Vec<Amount>> = vec![gains[..m].to_vec()];
    let mut before: Vec<Vec<usize>> = vec![vec![0; m]];
    for j in 1..k {
        options.stop.check()?;
        let (mut row, mut from) = (vec![Amount::MIN; m], vec![0; m]);
        for i in j..m {
            for p in j - 1..i {
                let value = best[j - 1][p] + gains[(p + 1) * m + i];
                if value > row[i] {
                    (row[i], from[i]) = (value, p);
                }
            }
        }
        best.push(row);
        before.push(from);
    }
    let unit = places.weights.unit;
    let (mut members, mut steps, mut value) = (Vec::new(), Vec::new(), 0);
    if k > 0 {
        let last = &best[k - 1];
        let mut at = (k - 1..m).reduce(|a, b| if last[b] > last[a] { b } else { a }).unwrap_or(0);
        value = last[at];
        for j in (0..k).rev() {
            let from = before[j][at];
            let row = if j == 0 { 0 } else { from + 1 };
            members.push(axis[at]);
            steps.push(Step { item: axis[at], gain: unit.value(gains[row * m + at]) });
            at = from;
        }
        members.reverse();
        steps.reverse();
    }
    Ok(Committee {
        members,
        value: Some(unit.value(value)),
        upper_bound: Some(unit.value(value)),
        optimal: true,
        steps,
        tied: Vec::new(),
        complete: true,
        method: "single_peaked",
    })
}

/// `(n, m)` items by voter and place.
fn orders(places: &Places<'_>) -> Vec<usize> {
    let (n, m) = (places.voters(), places.m);
    match places.order {
        Some(Cells::U8(order)) => order.iter().map(|item| usize::from(*item)).collect(),
        Some(Cells::U16(order)) => order.iter().map(|item| usize::from(*item)).collect(),
        None => {
            let mut order = vec![0; n * m];
            for item in 0..m {
                (0..n).for_each(|v| order[v * m + places.place(item, v)] = item);
            }
            order
        }
    }
}

/// `(m + 1, m)`: what an item of the axis adds after the one before a row's; to nothing in row 0.
fn gains(places: &Places<'_>, axis: &[usize], options: &Options<'_>) -> Result<Vec<Amount>> {
    let (n, m) = (places.voters(), places.m);
    let threads = if n * m * m < 200_000 { Some(1) } else { options.threads };
    let rows = parallel::map(m + 1, threads, |row| -> Result<Vec<Amount>> {
        options.stop.check()?;
        let mut out = vec![0; m];
        for (i, item) in axis.iter().enumerate().skip(row) {
            let gain = |v: usize| {
                let last = if row == 0 { m - 1 } else { places.place(axis[row - 1], v) };
                let more = last.saturating_sub(places.place(*item, v));
                Amount::from(places.weights.units[v]) * more as Amount
            };
            out[i] = (0..n).map(gain).sum();
        }
        Ok(out)
    });
    let mut out = Vec::with_capacity((m + 1) * m);
    for row in rows {
        out.extend(row?);
    }
    Ok(out)
}
