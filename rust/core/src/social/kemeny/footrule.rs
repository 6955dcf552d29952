//! The order with the least sum of displacements, as an assignment of items to places.

use super::super::options::Options;
use super::super::outcome::{Fact, Outcome};
use super::super::profile::{Ballots, Profile, Unranked};
use super::super::rules::{Rule, Run};
use crate::{Error, Result, Stop, size};

pub(crate) const RULE: Rule = Rule {
    name: "footrule",
    source: "Dwork, Kumar, Naor and Sivakumar 2001, section 4",
    laws: &["homogeneous"],
    options: &[],
    run: Run::Ballots(footrule),
};

fn footrule(profile: &Profile, options: &Options, stop: Stop<'_>) -> Result<Outcome> {
    let m = size::square("profile", profile.items())?;
    let costs = costs(profile, options.threads, stop)?;
    let places = assign(&costs, m, stop)?;
    let mut order = vec![0; m];
    places.iter().enumerate().for_each(|(item, place)| order[*place] = item);
    let value = places.iter().enumerate().map(|(item, place)| costs[item * m + place]).sum();
    Ok(Outcome::ordered(&order).with("value", Fact::Number(value)))
}

/// `(m, m)`, the sum over ballots of an item's distance from a place.
fn costs(profile: &Profile, threads: Option<usize>, stop: Stop<'_>) -> Result<Vec<f64>> {
    let m = profile.items();
    // Weights at doubled places, for tied items share the mean of theirs.
    let mut counts = vec![0.0; m * (2 * m)];
    match profile.ballots() {
        Ballots::Full(_) => {
            for (at, weight) in profile.histogram(threads, stop)?.iter().enumerate() {
                counts[at * 2] = *weight;
            }
        }
        Ballots::Lists(lists) => {
            if profile.unranked() == Unranked::Ignore {
                let got = "unranked='ignore', under which they have none";
                return Err(Error::range("profile", "a place for every item", got));
            }
            let mut tail = vec![0.0; 2 * m];
            for v in 0..lists.len() {
                let (weight, ranked) = (profile.weights().get(v), lists.ballot(v));
                let mut place = 0;
                for bucket in lists.buckets(v) {
                    let mean = 2 * place + bucket.len() - 1;
                    for item in bucket {
                        counts[*item as usize * 2 * m + mean] += weight;
                    }
                    place += bucket.len();
                }
                if ranked.len() < m {
                    let mean = ranked.len() + m - 1;
                    tail[mean] += weight;
                    for item in ranked {
                        counts[*item as usize * 2 * m + mean] -= weight;
                    }
                }
            }
            for row in counts.chunks_exact_mut(2 * m) {
                row.iter_mut().zip(&tail).for_each(|(count, tail)| *count += tail);
            }
        }
    }
    let mut out = vec![0.0; m * m];
    for (row, counts) in out.chunks_exact_mut(m).zip(counts.chunks_exact(2 * m)) {
        // Distance grows by the weight before a place and shrinks by the weight from it on.
        let total: f64 = counts.iter().sum();
        let mut distance: f64 = counts.iter().enumerate().map(|(p, w)| w * p as f64).sum();
        let mut before = 0.0;
        for (place, count) in counts.iter().enumerate() {
            if place % 2 == 0 {
                row[place / 2] = distance / 2.0;
            }
            before += count;
            distance += 2.0 * before - total;
        }
    }
    Ok(out)
}

/// The columns of a cheapest assignment of rows (Kuhn 1955; Jonker and Volgenant 1987).
pub(crate) fn assign(costs: &[f64], m: usize, stop: Stop<'_>) -> Result<Vec<usize>> {
    const FREE: usize = usize::MAX;
    let (mut row_price, mut price) = (vec![0.0; m], vec![0.0; m]);
    let mut row_of = vec![FREE; m];
    for start in 0..m {
        stop.check()?;
        let mut slack = vec![f64::INFINITY; m];
        let mut from = vec![FREE; m]; // the column that leads to a column; FREE for the start
        let mut done = vec![false; m];
        let (mut row, mut column) = (start, FREE);
        loop {
            let (mut least, mut next) = (f64::INFINITY, FREE);
            for j in (0..m).filter(|j| !done[*j]) {
                let reduced = costs[row * m + j] - row_price[row] - price[j];
                if reduced < slack[j] {
                    (slack[j], from[j]) = (reduced, column);
                }
                if slack[j] < least {
                    (least, next) = (slack[j], j);
                }
            }
            row_price[start] += least;
            for j in 0..m {
                if done[j] {
                    row_price[row_of[j]] += least;
                    price[j] -= least;
                } else {
                    slack[j] -= least;
                }
            }
            done[next] = true;
            column = next;
            if row_of[column] == FREE {
                break;
            }
            row = row_of[column];
        }
        while column != FREE {
            let previous = from[column];
            row_of[column] = if previous == FREE { start } else { row_of[previous] };
            column = previous;
        }
    }
    let mut columns = vec![0; m];
    row_of.iter().enumerate().for_each(|(column, row)| columns[*row] = column);
    Ok(columns)
}
