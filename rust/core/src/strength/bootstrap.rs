//! The bootstrap on cells: resampled counts, fits that start at the fit of all data.

use std::ops::Range;

use super::bradley_terry::Duels;
use super::cells::{Cell, Cells, Table, Value, with_cells};
use super::connect::components;
use super::covariance::{Fitted, pseudo_inverse};
use super::newton::{Tolerance, largest, maximise};
use super::resample::Multinomial;
use super::within;
use crate::posterior::linalg::dot;
use crate::rng::Stream;
use crate::wide::wide;
use crate::{Result, Stop, parallel, size};

/// Up to this many items the inverse of the full data's curvature is the step of every replicate.
const DENSE: usize = 1500;
/// Gradient of a replicate's fit, relative as in a fit: for ten thousand rows per item a hundredth of a
/// standard error per item.
pub(super) const TOLERANCE: Tolerance = Tolerance { gradient: 1e-5, iterations: 50 };
/// Steps with the full data's curvature before that of the replicate is used.
const CHORDS: usize = 30;
/// Replicates that one task computes.
const BATCH: usize = 8;

/// Log strengths of every replicate.
#[derive(Debug, Clone, PartialEq)]
pub struct Bootstrap {
    /// `(b, m)`; NaN where the replicate says nothing finite about an item.
    pub replicates: Vec<f64>,
    /// For every item, in how many replicates.
    pub degenerate: Vec<i64>,
}

/// Log strengths of `count` resampled data sets; replicate `b` reads the stream `(seed, b)`.
///
/// Rows are resampled with replacement, which on cells is a multinomial draw; rows of unequal weights in
/// one cell count with their mean. Without a prior, items that never win or never lose in a replicate are
/// taken out of it, as are those outside its largest connected component, and a replicate is moved so
/// that the others keep their mean.
///
/// # Errors
/// [`crate::Error::Shape`] or [`crate::Error::NotFinite`] for a fit that is none of these cells',
/// [`crate::Error::Interrupted`].
///
/// Source: Efron 1979.
pub fn bootstrap(
    table: &Table,
    fitted: Fitted<'_>,
    count: usize,
    (seed, threads): (u64, Option<usize>),
    stop: Stop<'_>,
) -> Result<Bootstrap> {
    fitted.check(table.items())?;
    within(threads, |threads| {
        with_cells!(table, cells => {
            let of = fitted.component;
            let apart = of.iter().any(|c| *c != 0);
            let kept = apart.then(|| cells.filtered(|i, j| of[i] == of[j]));
            Resampling::new(kept.as_ref().unwrap_or(cells), fitted)?.run(count, (seed, threads), stop)
        })
    })
}

/// What replicates are made of: `fill` appends those of a range.
fn batches(
    items: usize,
    count: usize,
    threads: Option<usize>,
    fill: impl Fn(Range<usize>, &mut Vec<f64>) -> Result<()> + Sync + Send,
) -> Result<Bootstrap> {
    let room = size::table("replicates", size::count("replicates", count)?, items)?;
    size::table("count", count, items)?;
    let parts = parallel::map(count.div_ceil(BATCH), threads, |batch| {
        let mut out = Vec::with_capacity(BATCH * items);
        fill(batch * BATCH..((batch + 1) * BATCH).min(count), &mut out).map(|()| out)
    });
    let mut replicates = Vec::with_capacity(room);
    for part in parts {
        replicates.extend(part?);
    }
    let mut degenerate = vec![0; items];
    for row in replicates.chunks_exact(items.max(1)) {
        for (count, value) in degenerate.iter_mut().zip(row) {
            *count += i64::from(value.is_nan());
        }
    }
    Ok(Bootstrap { replicates, degenerate })
}

/// Replicates `0..count`, each by itself.
pub(super) fn replicated(
    items: usize,
    count: usize,
    threads: Option<usize>,
    replicate: impl Fn(usize) -> Result<Vec<f64>> + Sync + Send,
) -> Result<Bootstrap> {
    batches(items, count, threads, |mut range, out| {
        range.try_for_each(|b| replicate(b).map(|theta| out.extend(theta)))
    })
}

/// Items outside the largest part of their component, by whose parts `of` are numbered, are not alive.
pub(super) fn keep_largest(of: &[u32], count: usize, component: &[u32], alive: &mut [bool]) {
    let mut sizes = vec![0_usize; count];
    of.iter().zip(&*alive).for_each(|(c, a)| sizes[*c as usize] += usize::from(*a));
    let mut best = vec![None::<u32>; component.len()];
    for (part, full) in of.iter().zip(component) {
        let best = &mut best[*full as usize];
        if best.is_none_or(|b| sizes[*part as usize] > sizes[b as usize]) {
            *best = Some(*part);
        }
    }
    for (i, alive) in alive.iter_mut().enumerate() {
        *alive &= best[component[i] as usize] == Some(of[i]);
    }
}

/// Moves a replicate so that, within every component, those alive keep their mean; the others are NaN.
pub(super) fn align(theta: &mut [f64], fitted: Fitted<'_>, alive: &[bool]) {
    let component = fitted.component;
    let mut sums = vec![(0.0, 0.0); component.len()];
    for i in (0..theta.len()).filter(|i| alive[*i] && fitted.prior.none()) {
        let sum = &mut sums[component[i] as usize];
        *sum = (sum.0 + theta[i] - fitted.theta[i], sum.1 + 1.0);
    }
    for ((t, c), alive) in theta.iter_mut().zip(component).zip(alive) {
        let (sum, size) = sums[*c as usize];
        *t = if *alive { *t - if size > 0.0 { sum / size } else { 0.0 } } else { f64::NAN };
    }
}

wide! {
    /// `out += matrix vector`, row by row.
    fn add_products(out: &mut [f64], matrix: &[f64], vector: &[f64]) {
        for (out, row) in out.iter_mut().zip(matrix.chunks_exact(vector.len().max(1))) {
            *out += dot(row, vector);
        }
    }
}

/// A pair of items and where its three counts are.
#[derive(Clone, Copy)]
struct Pair {
    low: u32,
    high: u32,
    /// Category of wins of the lower item, of its losses and of ties; [`NONE`] for nothing.
    categories: [u32; 3],
}

const NONE: u32 = u32::MAX;

struct Resampling<'a> {
    fitted: Fitted<'a>,
    pairs: Vec<Pair>,
    /// Weight of a row of every category.
    weights: Vec<f64>,
    multinomial: Multinomial,
    /// Inverse curvature at the fit, for few items.
    inverse: Option<Vec<f64>>,
    most: f64,
}

/// Wins of the lower item, of the higher, per pair of a replicate; ties are shared.
type Duel = [f64; 2];

impl<'a> Resampling<'a> {
    fn new<T: Value>(cells: &Cells<T>, fitted: Fitted<'a>) -> Result<Self> {
        let (mut pairs, mut weights, mut rows) = (Vec::new(), Vec::new(), Vec::new());
        for i in 0..cells.items() {
            for k in cells.starts[i]..cells.starts[i + 1] {
                let cell = &cells.cells[k];
                if cell.other() < i {
                    continue;
                }
                let sums = [cell.wins.get(), cell.losses.get(), cells.tie(k)];
                let mut categories = [NONE; 3];
                for ((category, sum), count) in
                    categories.iter_mut().zip(sums).zip(cells.spread(k).rows)
                {
                    if count > 0.0 {
                        *category = u32::try_from(rows.len()).unwrap_or(NONE);
                        weights.push(sum / count);
                        #[allow(
                            clippy::cast_possible_truncation,
                            clippy::cast_sign_loss,
                            reason = "a count"
                        )]
                        rows.push(count.round() as u64);
                    }
                }
                pairs.push(Pair {
                    low: u32::try_from(i).unwrap_or(NONE),
                    high: cell.other,
                    categories,
                });
            }
        }
        let duels = Duels::new(cells, fitted.tie, fitted.prior, fitted.component, None);
        let small = cells.items() <= DENSE;
        let inverse = if small { Some(pseudo_inverse(&duels, fitted.theta)?) } else { None };
        let most = duels.games.iter().copied().fold(0.0, f64::max);
        Ok(Self { fitted, pairs, weights, multinomial: Multinomial::new(&rows), inverse, most })
    }

    fn run(
        &self,
        count: usize,
        (seed, threads): (u64, Option<usize>),
        stop: Stop<'_>,
    ) -> Result<Bootstrap> {
        batches(self.fitted.theta.len(), count, threads, |range, out| {
            let mut memory = Memory::default();
            for b in range {
                stop.check()?;
                out.extend(self.replicate(Stream::new(seed, b as u64), &mut memory, stop)?);
            }
            Ok(())
        })
    }

    fn replicate(
        &self,
        mut stream: Stream,
        memory: &mut Memory,
        stop: Stop<'_>,
    ) -> Result<Vec<f64>> {
        self.multinomial.draw(&mut stream, &mut memory.counts);
        memory.duels.clear();
        for pair in &self.pairs {
            let [w, l, t] = &pair.categories;
            let half = self.fitted.tie * self.weight(*t, &memory.counts);
            let sums = [self.weight(*w, &memory.counts), self.weight(*l, &memory.counts)];
            memory.duels.push([sums[0] + half, sums[1] + half]);
        }
        let mut alive = vec![true; self.fitted.theta.len()];
        if self.fitted.prior.none() {
            self.prune(&mut memory.duels, &mut alive);
        }
        let whole = alive.iter().all(|a| *a);
        let mut theta = match whole.then(|| self.chords(memory)).flatten() {
            Some(theta) => theta,
            None => self.refit(&memory.duels, &mut alive, stop)?,
        };
        align(&mut theta, self.fitted, &alive);
        Ok(theta)
    }

    /// Weight of the rows drawn in a category.
    #[inline]
    fn weight(&self, category: u32, counts: &[u32]) -> f64 {
        let at = category as usize;
        counts.get(at).map_or(0.0, |n| f64::from(*n) * self.weights[at])
    }

    /// Takes out items that never won or never lost, again and again.
    fn prune(&self, duels: &mut [Duel], alive: &mut [bool]) {
        let mut sums = vec![[0.0; 2]; alive.len()];
        let mut all = duels.iter();
        for pairs in self.pairs.chunk_by(|x, y| x.low == y.low) {
            let i = pairs[0].low as usize;
            let mut own = sums[i];
            for (pair, [w, l]) in pairs.iter().zip(&mut all) {
                own = [own[0] + w, own[1] + l];
                let other = &mut sums[pair.high as usize];
                *other = [other[0] + l, other[1] + w];
            }
            sums[i] = own;
        }
        let alone = |i: usize| {
            self.fitted.component.iter().filter(|c| **c == self.fitted.component[i]).count() == 1
        };
        loop {
            let dead: Vec<usize> = (0..alive.len())
                .filter(|i| alive[*i] && (sums[*i][0] == 0.0 || sums[*i][1] == 0.0) && !alone(*i))
                .collect();
            if dead.is_empty() {
                return;
            }
            for i in &dead {
                alive[*i] = false;
            }
            for (pair, duel) in self.pairs.iter().zip(duels.iter_mut()) {
                let (i, j) = (pair.low as usize, pair.high as usize);
                if duel[0] + duel[1] > 0.0 && !(alive[i] && alive[j]) {
                    let [w, l] = std::mem::take(duel);
                    sums[i] = [sums[i][0] - w, sums[i][1] - l];
                    sums[j] = [sums[j][0] - l, sums[j][1] - w];
                }
            }
            // subtraction may leave dust where weights are real
            sums.iter_mut().flatten().for_each(|s| *s = if *s < 1e-9 { 0.0 } else { *s });
        }
    }

    /// Steps with the inverse curvature of all data; `None` when they do not get there.
    fn chords(&self, memory: &mut Memory) -> Option<Vec<f64>> {
        let inverse = self.inverse.as_ref()?;
        let goal = TOLERANCE.gradient * self.most;
        let mut theta = self.fitted.theta.to_vec();
        let mut before = f64::INFINITY;
        for _ in 0..CHORDS {
            self.gradient(&theta, memory);
            let norm = largest(&memory.gradient);
            if norm <= goal {
                return Some(theta);
            }
            if norm.is_nan() || norm >= 0.7 * before {
                return None;
            }
            before = norm;
            add_products(&mut theta, inverse, &memory.gradient);
        }
        None
    }

    fn gradient(&self, theta: &[f64], memory: &mut Memory) {
        memory.strengths.clear();
        memory.strengths.extend(theta.iter().map(|t| t.clamp(-300.0, 300.0).exp()));
        memory.gradient.clear();
        memory.gradient.extend(theta.iter().map(|t| self.fitted.prior.slope(*t).0));
        let mut duels = memory.duels.iter();
        for pairs in self.pairs.chunk_by(|x, y| x.low == y.low) {
            let i = pairs[0].low as usize;
            // not in memory, for no sum should wait until the one before is written
            let (a, mut sum) = (memory.strengths[i], memory.gradient[i]);
            for (pair, [w, l]) in pairs.iter().zip(&mut duels) {
                let j = pair.high as usize;
                let b = memory.strengths[j];
                let surprise = (w * b - l * a) / (a + b);
                sum += surprise;
                memory.gradient[j] -= surprise;
            }
            memory.gradient[i] = sum;
        }
    }

    /// A full fit, within the largest connected component of those alive.
    fn refit(&self, duels: &[Duel], alive: &mut [bool], stop: Stop<'_>) -> Result<Vec<f64>> {
        let mut cells = self.cells(duels);
        let mut component = self.fitted.component.to_vec();
        if self.fitted.prior.none() {
            let found = components(&cells);
            keep_largest(&found.of, found.count, &component, alive);
            cells = cells.filtered(|i, j| alive[i] && alive[j] && found.of[i] == found.of[j]);
            component.clone_from(&found.of);
        }
        let duels = Duels::new(&cells, 0.0, self.fitted.prior, &component, Some(1));
        Ok(maximise(&&duels, self.fitted.theta.to_vec(), TOLERANCE, stop)?.at)
    }

    /// Cells of a replicate.
    fn cells(&self, duels: &[Duel]) -> Cells<f64> {
        let m = self.fitted.theta.len();
        let mut starts = vec![0; m + 1];
        let live = || self.pairs.iter().zip(duels).filter(|(_, d)| d[0] + d[1] > 0.0);
        for (pair, _) in live() {
            starts[pair.low as usize + 1] += 1;
            starts[pair.high as usize + 1] += 1;
        }
        (0..m).for_each(|i| starts[i + 1] += starts[i]);
        let mut next = starts.clone();
        let mut cells = vec![Cell::default(); starts[m]];
        // smaller items first, as pairs are ordered by their lower item
        for (pair, [w, l]) in live() {
            let at = &mut next[pair.high as usize];
            cells[*at] = Cell { other: pair.low, wins: *l, losses: *w };
            *at += 1;
        }
        for (pair, [w, l]) in live() {
            let at = &mut next[pair.low as usize];
            cells[*at] = Cell { other: pair.high, wins: *w, losses: *l };
            *at += 1;
        }
        Cells { starts, cells, ties: vec![], spread: vec![] }
    }
}

/// Memory that replicates share.
#[derive(Default)]
struct Memory {
    counts: Vec<u32>,
    duels: Vec<Duel>,
    strengths: Vec<f64>,
    gradient: Vec<f64>,
}
