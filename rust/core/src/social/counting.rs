//! Counting which ballots rank one item above another, by columns or ballot by ballot.

use std::ops::Range;

use super::cells::{Cell, Cells};
use super::lists::Lists;
use super::profile::{Ballots, Profile, Unranked};
use super::weights::Weights;
use crate::{Result, Stop, parallel};

/// Items of a tile: the columns of two tiles and one block of ballots stay in the second cache.
const TILE: usize = 32;
/// Ballots of a block.
const BLOCK: usize = 4096;
/// Ballots that one task counts.
const CHUNK: usize = 1 << 16;

/// `(m, m)`, the weight of the ballots that rank an item above another.
pub(crate) fn count(profile: &Profile, threads: Option<usize>, stop: Stop<'_>) -> Result<Vec<f64>> {
    let (items, weights) = (profile.items(), profile.weights());
    match profile.ballots() {
        Ballots::Full(rows) => match &rows.places {
            Cells::U8(places) => dense(places, items, weights, false, threads, stop),
            Cells::U16(places) => dense(places, items, weights, false, threads, stop),
        },
        Ballots::Lists(lists) if is_sparse(lists, items, profile.unranked()) => {
            sparse(lists, items, weights, profile.unranked(), threads, stop)
        }
        Ballots::Lists(lists) if items < 256 => {
            dense(&places::<u8>(lists, items), items, weights, true, threads, stop)
        }
        Ballots::Lists(lists) => {
            dense(&places::<u16>(lists, items), items, weights, true, threads, stop)
        }
    }
}

/// Whether adding up pairs ballot by ballot is cheaper than comparing columns.
fn is_sparse(lists: &Lists, items: usize, unranked: Unranked) -> bool {
    let pairs: usize = lists.starts.windows(2).map(|s| (s[1] - s[0]) * (s[1] - s[0])).sum();
    // A random addition costs about as much as comparing sixteen lanes, both ways.
    unranked == Unranked::Ignore
        || items >= u16::SPAN
        || pairs.saturating_mul(8) < lists.len() * items * items
}

/// `(m, n)` places with ties; the items that a ballot leaves out share the place after the last.
fn places<C: Cell>(lists: &Lists, items: usize) -> Vec<C> {
    let n = lists.len();
    let mut out = vec![C::of(items); items * n];
    for v in 0..n {
        let mut place = 0;
        for bucket in lists.buckets(v) {
            for item in bucket {
                out[*item as usize * n + v] = C::of(place);
            }
            place += bucket.len();
        }
    }
    out
}

/// Pairs of tiles and chunks of ballots, in the order in which they are added up.
fn tasks(items: usize, ballots: usize) -> Vec<(Range<usize>, Range<usize>, Range<usize>)> {
    let tiles: Vec<Range<usize>> =
        (0..items).step_by(TILE).map(|a| a..(a + TILE).min(items)).collect();
    let chunks: Vec<Range<usize>> =
        (0..ballots).step_by(CHUNK).map(|v| v..(v + CHUNK).min(ballots)).collect();
    let pairs = tiles.iter().enumerate().flat_map(|(i, a)| tiles[i..].iter().map(move |b| (a, b)));
    pairs.flat_map(|(a, b)| chunks.iter().map(|v| (a.clone(), b.clone(), v.clone()))).collect()
}

/// Compares columns of places; `weak` counts both directions, for ties are possible.
fn dense<C: Cell>(
    places: &[C],
    items: usize,
    weights: &Weights,
    weak: bool,
    threads: Option<usize>,
    stop: Stop<'_>,
) -> Result<Vec<f64>> {
    let n = weights.len();
    let small = weights.is_exact() && weights.total() < f64::from(u32::MAX);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small integers")]
    let integers: Option<Vec<u32>> =
        weights.values().filter(|_| small).map(|values| values.iter().map(|w| *w as u32).collect());
    let above = |a: &[C], b: &[C], span: Range<usize>| match (&integers, weights.values()) {
        (Some(integers), _) => weighted(a, b, &integers[span]),
        (None, Some(values)) => weighted_real(a, b, &values[span]),
        (None, None) => f64::from(C::count_less(a, b)),
    };
    let work = tasks(items, n);
    let threads = if n * items * items < 200_000 { Some(1) } else { threads };
    let parts = parallel::map(work.len(), threads, |t| -> Result<Vec<f64>> {
        let (rows, columns, ballots) = &work[t];
        let mut part = vec![0.0; 2 * rows.len() * columns.len()];
        for start in ballots.clone().step_by(BLOCK) {
            stop.check()?;
            let span = start..(start + BLOCK).min(ballots.end);
            let mut sums = part.chunks_exact_mut(2);
            for a in rows.clone() {
                let left = &places[a * n + span.start..a * n + span.end];
                for (b, sums) in columns.clone().zip(&mut sums) {
                    if a >= b {
                        continue;
                    }
                    let right = &places[b * n + span.start..b * n + span.end];
                    sums[0] += above(left, right, span.clone());
                    if weak {
                        sums[1] += above(right, left, span.clone());
                    }
                }
            }
        }
        Ok(part)
    });
    let mut out = vec![0.0; items * items];
    for ((rows, columns, _), part) in work.iter().zip(parts) {
        let pairs = rows.clone().flat_map(|a| columns.clone().map(move |b| (a, b)));
        for ((a, b), sums) in pairs.zip(part?.chunks_exact(2)) {
            out[a * items + b] += sums[0];
            if a < b && weak {
                out[b * items + a] += sums[1];
            }
        }
    }
    if !weak {
        for a in 0..items {
            (0..a).for_each(|b| out[a * items + b] = weights.total() - out[b * items + a]);
        }
    }
    Ok(out)
}

/// The weight of the ballots with `a[v] < b[v]`, for integers whose sum fits.
fn weighted<C: Cell>(a: &[C], b: &[C], weights: &[u32]) -> f64 {
    let mut lanes = [0_u32; 16];
    let (wholes_a, wholes_b) = (a.chunks_exact(16), b.chunks_exact(16));
    let wholes_w = weights.chunks_exact(16);
    let rest = wholes_a.remainder().iter().zip(wholes_b.remainder()).zip(wholes_w.remainder());
    let mut total: u32 = rest.filter(|((a, b), _)| a < b).map(|(_, w)| *w).sum();
    for ((a, b), w) in wholes_a.zip(wholes_b).zip(wholes_w) {
        for (lane, ((a, b), w)) in lanes.iter_mut().zip(a.iter().zip(b).zip(w)) {
            *lane += u32::from(*a < *b) * *w;
        }
    }
    total += lanes.iter().sum::<u32>();
    f64::from(total)
}

fn weighted_real<C: Cell>(a: &[C], b: &[C], weights: &[f64]) -> f64 {
    let mut lanes = [0.0; 8];
    let (wholes_a, wholes_b) = (a.chunks_exact(8), b.chunks_exact(8));
    let wholes_w = weights.chunks_exact(8);
    let rest = wholes_a.remainder().iter().zip(wholes_b.remainder()).zip(wholes_w.remainder());
    let total: f64 = rest.filter(|((a, b), _)| a < b).map(|(_, w)| *w).sum();
    for ((a, b), w) in wholes_a.zip(wholes_b).zip(wholes_w) {
        for (lane, ((a, b), w)) in lanes.iter_mut().zip(a.iter().zip(b).zip(w)) {
            *lane += if a < b { *w } else { 0.0 };
        }
    }
    total + lanes.iter().sum::<f64>()
}

/// Adds up the pairs of each ballot; items that it leaves out are never touched.
fn sparse(
    lists: &Lists,
    items: usize,
    weights: &Weights,
    unranked: Unranked,
    threads: Option<usize>,
    stop: Stop<'_>,
) -> Result<Vec<f64>> {
    let size = items * items;
    // Private matrices of all tasks together stay below 256 MiB; the split depends on sizes alone.
    let most = (1 << 25) / (2 * size) + 1;
    let parts = lists.len().div_ceil(1 << 12).clamp(1, most.min(16));
    let step = lists.len().div_ceil(parts);
    let threads = if lists.items.len() < 20_000 { Some(1) } else { threads };
    let sums = parallel::map(parts, threads, |part| -> Result<(Vec<f64>, Vec<f64>)> {
        let (mut above, mut ties) = (vec![0.0; size], vec![0.0; size]);
        for v in part * step..((part + 1) * step).min(lists.len()) {
            if v % 256 == 0 {
                stop.check()?;
            }
            add_pairs(lists, v, items, weights.get(v), &mut above, &mut ties);
        }
        Ok((above, ties))
    });
    let (mut above, mut ties) = (vec![0.0; size], vec![0.0; size]);
    for sum in sums {
        let (more, tied) = sum?;
        above.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        ties.iter_mut().zip(tied).for_each(|(sum, more)| *sum += more);
    }
    if unranked == Unranked::Ignore {
        return Ok(above);
    }
    let mut ranked = vec![0.0; items];
    for v in 0..lists.len() {
        lists.ballot(v).iter().for_each(|item| ranked[*item as usize] += weights.get(v));
    }
    let mut out = vec![0.0; size];
    for (a, ranked) in ranked.iter().enumerate() {
        for b in (0..items).filter(|b| *b != a) {
            let (ab, ba) = (a * items + b, b * items + a);
            let both = above[ab] + above[ba] + ties[ab.min(ba)];
            out[ab] = above[ab] + (ranked - both).max(0.0); // of the ballots without b
        }
    }
    Ok(out)
}

fn add_pairs(
    lists: &Lists,
    ballot: usize,
    items: usize,
    weight: f64,
    above: &mut [f64],
    ties: &mut [f64],
) {
    let ranked = lists.ballot(ballot);
    let mut first = 0;
    for bucket in lists.buckets(ballot) {
        let next = first + bucket.len();
        for (i, a) in bucket.iter().enumerate() {
            let row = *a as usize * items;
            for b in &ranked[next..] {
                above[row + *b as usize] += weight;
            }
            for b in &bucket[i + 1..] {
                ties[row + *b as usize] += weight; // a < b within a bucket
            }
        }
        first = next;
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Compact, Culture, sample};
    use super::*;
    use crate::social::Support;

    fn plain(profile: &Profile) -> Vec<f64> {
        let (m, lists) = (profile.items(), profile.to_lists());
        let mut out = vec![0.0; m * m];
        for v in 0..lists.len() {
            let mut place = vec![None; m];
            for (p, bucket) in lists.buckets(v).enumerate() {
                for item in bucket {
                    place[*item as usize] = Some(p);
                }
            }
            for (a, b) in (0..m).flat_map(|a| (0..m).map(move |b| (a, b))) {
                let wins = match (place[a], place[b]) {
                    (Some(a), Some(b)) => a < b,
                    (Some(_), None) => profile.unranked() != Unranked::Ignore,
                    _ => false,
                };
                out[a * m + b] += if wins { profile.weights().get(v) } else { 0.0 };
            }
        }
        out
    }

    fn weights(kind: usize, n: usize) -> Option<Vec<f64>> {
        match kind {
            0 => None,
            1 => Some((0..n).map(|v| (v % 7) as f64).collect()),
            _ => Some((0..n).map(|v| 0.5 + (v % 3) as f64).collect()),
        }
    }

    #[test]
    fn columns_are_compared_exactly_for_any_number_of_threads() {
        for (n, m) in [(1, 1), (5, 3), (1000, 40), (70_000, 5), (300, 260)] {
            let rows = sample(&Culture::Impartial, n, m, 1, None).expect("valid");
            for kind in 0..3 {
                let profile = Profile::full(
                    &rows,
                    m,
                    weights(kind, n + 1).map(|w| w[1..].to_vec()),
                    Compact::Never,
                    None,
                )
                .expect("valid");
                let one = Support::count(&profile, Some(1), Stop::never()).expect("runs");
                let three = Support::count(&profile, Some(3), Stop::never()).expect("runs");
                assert_eq!(one, three);
                assert_eq!(one.values(), plain(&profile), "{n} {m} {kind}");
            }
        }
    }

    #[test]
    fn partial_and_weak_ballots_agree_with_the_plain_count() {
        for seed in 0..60 {
            let m = if seed % 20 == 0 { 300 } else { 3 + seed % 9 };
            let n = 40;
            let rows = sample(&Culture::Impartial, n, m, seed as u64, None).expect("valid");
            let mut stream = crate::rng::Stream::new(seed as u64, 9);
            let (mut starts, mut ids, mut ends) = (vec![0], Vec::new(), Vec::new());
            for row in rows.chunks(m) {
                let most = if seed % 3 == 0 { 3.min(m) } else { m };
                let length = stream.below(most + 1);
                ids.extend_from_slice(&row[..length]);
                ends.extend((0..length).map(|_| stream.below(3) > 0));
                starts.push(ids.len());
            }
            let lists = Lists::new(starts, &ids, Some(ends), m).expect("valid");
            for unranked in [Unranked::Last, Unranked::Ignore] {
                let profile = Profile::lists(
                    lists.clone(),
                    m,
                    weights(seed % 3, n),
                    unranked,
                    Compact::Never,
                )
                .expect("valid");
                let counted = Support::count(&profile, None, Stop::never()).expect("runs");
                assert_eq!(counted.values(), plain(&profile), "{seed} {unranked:?}");
            }
        }
    }
}
