//! Counting which ballots rank one item above another, by columns or ballot by ballot.

use std::ops::Range;

use super::cells::{Cell, Cells, MOST};
use super::lists::Lists;
use super::profile::{Ballots, Profile, Unranked};
use super::weights::Weights;
use crate::wide::wide;
use crate::{Result, Stop, parallel};

/// Items of a tile: the columns of two tiles and one block of ballots stay in the second cache.
const TILE: usize = 32;
/// Ballots of a block.
const BLOCK: usize = 4096;
/// Bytes of a column that are counted at once.
const COLUMN: usize = 4096;
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
    let work = tasks(items, n);
    let threads = if n * items * items < 200_000 { Some(1) } else { threads };
    let parts = parallel::map(work.len(), threads, |t| -> Result<Vec<f64>> {
        let (rows, columns, ballots) = &work[t];
        let mut tile = Tile { places, n, rows, columns, sums: Vec::new() };
        tile.sums.resize(2 * rows.len() * columns.len(), 0.0);
        for start in ballots.clone().step_by(BLOCK) {
            stop.check()?;
            let span = start..(start + BLOCK).min(ballots.end);
            match (&integers, weights.values()) {
                (Some(integers), _) => {
                    tile.add(weak, span.clone(), |a, b| weighted(a, b, &integers[span.clone()]));
                }
                (None, Some(values)) => {
                    tile.add(weak, span.clone(), |a, b| weighted_real(a, b, &values[span.clone()]));
                }
                (None, None) => tile.count(weak, span, items < C::SPAN / 2),
            }
        }
        Ok(tile.sums)
    });
    let mut out = vec![0.0; items * items];
    for ((rows, columns, _), part) in work.iter().zip(parts) {
        let pairs = rows.clone().flat_map(|a| columns.clone().map(move |b| (a, b)));
        for ((a, b), sums) in pairs.zip(part?.chunks_exact(2)).filter(|((a, b), _)| a < b) {
            out[a * items + b] += sums[0];
            if weak {
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

/// What ballots say of the pairs of some rows and columns.
struct Tile<'a, C> {
    /// `(m, n)`.
    places: &'a [C],
    n: usize,
    rows: &'a Range<usize>,
    columns: &'a Range<usize>,
    /// `(rows, columns, 2)`, the weight of the ballots that rank the row above the column, and below;
    /// of no meaning where the row is not the smaller item.
    sums: Vec<f64>,
}

impl<'a, C: Cell> Tile<'a, C> {
    fn column(&self, item: usize, span: &Range<usize>) -> &'a [C] {
        &self.places[item * self.n + span.start..item * self.n + span.end]
    }

    fn sum(&mut self, row: usize, column: usize) -> &mut [f64] {
        let at = (row - self.rows.start) * self.columns.len() + column - self.columns.start;
        &mut self.sums[2 * at..2 * at + 2]
    }

    /// Adds `above(a, b)` of every two columns of places; both directions if `weak`.
    fn add(&mut self, weak: bool, span: Range<usize>, above: impl Fn(&[C], &[C]) -> f64) {
        for row in self.rows.clone() {
            let left = self.column(row, &span);
            for column in self.columns.clone().filter(|column| row < *column) {
                let right = self.column(column, &span);
                let sum = self.sum(row, column);
                sum[0] += above(left, right);
                if weak {
                    sum[1] += above(right, left);
                }
            }
        }
    }

    /// Counts ballots of weight one; `low` as for [`Cell::count_less`].
    fn count(&mut self, weak: bool, span: Range<usize>, low: bool) {
        let step = (COLUMN / size_of::<C>()).min(MOST);
        for start in span.clone().step_by(step) {
            let part = start..(start + step).min(span.end);
            self.count_part(&part, low, false);
            if weak {
                self.count_part(&part, low, true);
            }
        }
    }

    /// Two items against four at a time; the last ones of a range stand in for those after it.
    fn count_part(&mut self, span: &Range<usize>, low: bool, below: bool) {
        let (few, many) = if below { (self.columns, self.rows) } else { (self.rows, self.columns) };
        for first in few.clone().step_by(2) {
            for second in many.clone().step_by(4) {
                let met = if below { second < first + 1 } else { first < second + 3 };
                if !met {
                    continue; // the row is the larger item of every pair
                }
                let left = [0, 1].map(|i| self.column((first + i).min(few.end - 1), span));
                let right = [0, 1, 2, 3].map(|j| self.column((second + j).min(many.end - 1), span));
                let counts = C::count_less(left, right, low);
                for (item, counts) in (first..few.end).zip(counts) {
                    for (other, count) in (second..many.end).zip(counts) {
                        let (row, column) = if below { (other, item) } else { (item, other) };
                        self.sum(row, column)[usize::from(below)] += f64::from(count);
                    }
                }
            }
        }
    }
}

wide! {
    /// The weight of the ballots with `a[v] < b[v]`, for integers whose sum fits.
    fn weighted<C: Cell>(a: &[C], b: &[C], weights: &[u32]) -> f64 {
        let n = a.len().min(b.len()).min(weights.len());
        let (a, b, weights) = (&a[..n], &b[..n], &weights[..n]);
        let mut total = 0_u32;
        for v in 0..n {
            total += u32::from(a[v] < b[v]) * weights[v];
        }
        f64::from(total)
    }
}

wide! {
    fn weighted_real<C: Cell>(a: &[C], b: &[C], weights: &[f64]) -> f64 {
        let n = a.len().min(b.len()).min(weights.len());
        let (a, b, weights) = (&a[..n], &b[..n], &weights[..n]);
        let whole = n / 8 * 8;
        let mut total = 0.0;
        for v in whole..n {
            total += if a[v] < b[v] { weights[v] } else { 0.0 };
        }
        let mut lanes = [0.0; 8];
        let mut start = 0;
        while start < whole {
            let (x, y) = (&a[start..start + 8], &b[start..start + 8]);
            let w = &weights[start..start + 8];
            for lane in 0..8 {
                // the weight or 0 by its bits: a choice would become jumps
                let all = 0_u64.wrapping_sub(u64::from(x[lane] < y[lane]));
                lanes[lane] += f64::from_bits(w[lane].to_bits() & all);
            }
            start += 8;
        }
        let mut sum = 0.0;
        for lane in lanes {
            sum += lane;
        }
        total + sum
    }
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
