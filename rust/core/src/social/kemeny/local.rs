//! Iterated local search: moves of single items, then a kick, then moves again.

use crate::rng::Stream;
use crate::{Result, Stop, parallel};

/// The cost of an order beyond the least that pairs alone allow.
pub(crate) fn excess(margins: &[f64], m: usize, order: &[usize]) -> f64 {
    let mut sum = 0.0;
    for (i, a) in order.iter().enumerate() {
        let row = &margins[a * m..(a + 1) * m];
        sum += order[i + 1..].iter().map(|b| (-row[*b]).max(0.0)).sum::<f64>();
    }
    sum
}

/// Moves items to their best places until none gains more than `tolerance`.
///
/// Moving `x` past `y` changes the cost by the margin of `x` over `y` downwards and its opposite
/// upwards, so the costs of all places of an item are two running sums.
pub(crate) fn descend(
    margins: &[f64],
    m: usize,
    order: &mut [usize],
    tolerance: f64,
    stop: Stop<'_>,
) -> Result<()> {
    let mut place: Vec<usize> = vec![0; m];
    let note = |order: &[usize], place: &mut [usize], from: usize, to: usize| {
        order[from..=to].iter().zip(from..).for_each(|(item, p)| place[*item] = p);
    };
    let Some(last) = order.len().checked_sub(1) else { return Ok(()) };
    note(order, &mut place, 0, last);
    let mut items = order.to_vec();
    let mut quiet = 0;
    while quiet < items.len() {
        stop.check()?;
        items.copy_from_slice(order);
        for x in &items {
            let (p, row) = (place[*x], &margins[x * m..(x + 1) * m]);
            let (mut best, mut target) = (-tolerance, p);
            let mut change = 0.0;
            for (q, y) in order[..p].iter().enumerate().rev() {
                change -= row[*y];
                if change < best {
                    (best, target) = (change, q);
                }
            }
            change = 0.0;
            for (q, y) in order.iter().enumerate().skip(p + 1) {
                change += row[*y];
                if change < best {
                    (best, target) = (change, q);
                }
            }
            quiet += 1;
            if target < p {
                order[target..=p].rotate_right(1);
                note(order, &mut place, target, p);
                quiet = 0;
            } else if target > p {
                order[p..=target].rotate_left(1);
                note(order, &mut place, p, target);
                quiet = 0;
            }
            if quiet >= items.len() {
                break;
            }
        }
    }
    Ok(())
}

/// Reverses a random stretch, or puts a twentieth of the items at random places.
fn kick(order: &mut Vec<usize>, stream: &mut Stream) {
    let m = order.len();
    if stream.bits() >> 63 == 0 {
        let length = 2 + stream.below((m / 10).clamp(2, 50));
        let from = stream.below(m);
        order[from..(from + length).min(m)].reverse();
    } else {
        for _ in 0..(m / 20).max(1) {
            let item = order.remove(stream.below(m));
            order.insert(stream.below(m), item);
        }
    }
}

/// How long to search.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) kicks: usize,
    pub(crate) seed: u64,
    pub(crate) threads: Option<usize>,
    /// Smaller gains count as none.
    pub(crate) tolerance: f64,
}

/// The best order that kicks from each start find, the earliest start winning ties.
pub(crate) fn search(
    margins: &[f64],
    m: usize,
    starts: &[Vec<usize>],
    effort: Effort,
    stop: Stop<'_>,
) -> Result<(f64, Vec<usize>)> {
    let Effort { kicks, seed, threads, tolerance } = effort;
    let found = parallel::map(starts.len(), threads, |i| -> Result<(f64, Vec<usize>)> {
        let mut stream = Stream::new(seed, i as u64);
        let mut best = starts[i].clone();
        if !stop.expired() {
            descend(margins, m, &mut best, tolerance, stop)?;
        }
        let mut least = excess(margins, m, &best);
        for _ in 0..kicks {
            if m < 3 || least <= tolerance || stop.expired() {
                break;
            }
            let mut next = best.clone();
            kick(&mut next, &mut stream);
            descend(margins, m, &mut next, tolerance, stop)?;
            let cost = excess(margins, m, &next);
            if cost <= least {
                (least, best) = (cost, next);
            }
        }
        Ok((least, best))
    });
    let mut best: Option<(f64, Vec<usize>)> = None;
    for one in found {
        let one = one?;
        if best.as_ref().is_none_or(|best| one.0 < best.0) {
            best = Some(one);
        }
    }
    Ok(best.unwrap_or_default())
}
