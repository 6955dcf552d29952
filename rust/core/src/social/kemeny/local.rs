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

/// Steps that are looked at together.
const PART: usize = 8;

/// Moves items to their best places until none gains more than `tolerance`.
///
/// Without tolerance margins are whole numbers, whose sums do not depend on the order.
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
            let target = match tolerance {
                0.0 => target::<true>(row, order, p, tolerance),
                _ => target::<false>(row, order, p, tolerance),
            };
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

/// The best place of the item at `p`: where it is, the nearest above, then the nearest below win ties.
///
/// Moving `x` past `y` changes the cost by the margin of `x` over `y` downwards and its opposite
/// upwards, so the costs of all places of an item are two running sums.
fn target<const EXACT: bool>(row: &[f64], order: &[usize], p: usize, tolerance: f64) -> usize {
    let (above, below) = (&order[..p], &order[p + 1..]);
    let parts = above.rchunks_exact(PART);
    let rest = parts.remainder().iter().rev();
    let parts = parts.map(|part| part.iter().rev());
    let up = |sum: f64, y: usize| sum - row[y];
    let (best, higher) = least::<EXACT, _>(parts, rest, up, -tolerance);
    let parts = below.chunks_exact(PART);
    let rest = parts.remainder().iter();
    let parts = parts.map(<[usize]>::iter);
    let down = |sum: f64, y: usize| sum + row[y];
    let (_, lower) = least::<EXACT, _>(parts, rest, down, best);
    if lower > 0 { p + lower } else { p - higher }
}

/// The least running sum below `best` and the number of steps to it; `best` and 0 where there is none.
///
/// Exact sums of parts start at 0, so that the processor makes those of several parts at a time.
#[inline]
fn least<'a, const EXACT: bool, I: Iterator<Item = &'a usize> + Clone>(
    parts: impl Iterator<Item = I>,
    rest: I,
    step: impl Fn(f64, usize) -> f64,
    mut best: f64,
) -> (f64, usize) {
    let (mut sum, mut done, mut found) = (0.0, 0, 0);
    for part in parts {
        let (mut end, mut low) = (if EXACT { 0.0 } else { sum }, f64::INFINITY);
        for y in part.clone() {
            end = step(end, *y);
            low = if end < low { end } else { low };
        }
        if EXACT {
            (end, low) = (sum + end, sum + low);
        }
        if low < best {
            (best, found) = (low, done + 1 + steps_to(low, part, sum, &step));
        }
        (sum, done) = (end, done + PART);
    }
    for y in rest {
        (sum, done) = (step(sum, *y), done + 1);
        if sum < best {
            (best, found) = (sum, done);
        }
    }
    (best, found)
}

/// How many steps come before the one that brings a running sum to `low`.
fn steps_to<'a>(
    low: f64,
    part: impl Iterator<Item = &'a usize>,
    mut sum: f64,
    step: impl Fn(f64, usize) -> f64,
) -> usize {
    let before = part.take_while(|y| {
        sum = step(sum, **y);
        sum > low
    });
    before.count()
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
