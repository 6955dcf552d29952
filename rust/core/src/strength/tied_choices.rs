//! The Davidson-Luce model: choices of one item or of several that tie.

use std::ops::Range;

use super::choices::blocks;
use super::covariance::{Covariance, Fitted, Trust};
use super::fit::{Fit, Options, centre, check_options, finish, resolve};
use super::influence::{Influence, Observation, check_dense, inverse};
use super::newton::{Curvature, FREE, Objective, maximise};
use super::prior::Prior;
use super::subsets::{Dual, Expected, expect};
use super::tied_rankings::{TiedRankings, places};
use super::within;
use crate::{Error, Result, Stop, parallel};

/// Rankings after which a loop looks whether the caller gave up.
const GLANCE: usize = 64;

/// The log-likelihood in log strengths and, last, the logarithms of the weights of sizes above 1.
struct TiedChoices<'a> {
    rankings: &'a TiedRankings,
    /// From 1 on.
    sizes: Vec<usize>,
    prior: Prior,
    component: &'a [u32],
    threads: Option<usize>,
    blocks: Vec<Range<usize>>,
    most: f64,
    stop: Stop<'a>,
}

/// Minus the second derivative, as a product.
struct Bend<'a> {
    choices: &'a TiedChoices<'a>,
    at: Vec<f64>,
    extra: Vec<f64>,
    diagonal: Vec<f64>,
}

impl<'a> TiedChoices<'a> {
    fn new(
        rankings: &'a TiedRankings,
        sizes: Vec<usize>,
        (prior, component): (Prior, &'a [u32]),
        threads: Option<usize>,
        stop: Stop<'a>,
    ) -> Self {
        let flat = &rankings.flat;
        let mut games = vec![0.0; flat.items()];
        for r in 0..flat.rankings() {
            let (row, ends, weight) = rankings.row(r);
            let mut stages = 0.0;
            for place in places(ends) {
                stages += f64::from(u8::from(row.len() - place.start > 1));
                row[place].iter().for_each(|item| games[*item as usize] += weight * stages);
            }
        }
        let most = games.into_iter().fold(0.0, f64::max);
        let blocks = blocks(&flat.starts, flat.items());
        Self { rankings, sizes, prior, component, threads, blocks, most, stop }
    }

    fn items(&self) -> usize {
        self.rankings.flat.items()
    }

    fn unknowns(&self) -> usize {
        self.items() + self.sizes.len() - 1
    }

    /// Log strengths of a ranking less the largest of them, weights of sizes, and that largest one.
    fn parts(&self, row: &[u32], at: &[f64]) -> (Vec<f64>, Vec<f64>, f64) {
        let theta = |item: &u32| at[*item as usize];
        let top = row.iter().map(theta).fold(f64::NEG_INFINITY, f64::max);
        let scores = row.iter().map(|item| theta(item) - top).collect();
        let raised = at[self.items()..].iter().map(|s| s.exp());
        (scores, std::iter::once(1.0).chain(raised).collect(), top)
    }

    /// Sums over rankings of `width` numbers per unknown, in a fixed split.
    fn scattered(&self, width: usize, add: impl Fn(usize, &mut [f64]) + Sync + Send) -> Vec<f64> {
        let parts = parallel::map(self.blocks.len(), self.threads, |b| {
            let mut sums = vec![0.0; width * self.unknowns()];
            self.blocks[b].clone().for_each(|r| add(r, &mut sums));
            sums
        });
        let mut out = vec![0.0; width * self.unknowns()];
        for part in parts {
            out.iter_mut().zip(part).for_each(|(o, p)| *o += p);
        }
        out
    }

    /// The score of a ranking: what was chosen less what was expected, by unknown; and the expectation.
    fn score(&self, r: usize, at: &[f64]) -> (Vec<(usize, f64)>, Expected<f64>) {
        let (row, ends, _) = self.rankings.row(r);
        let (scores, delta, _) = self.parts(row, at);
        let expected = expect(&scores, ends, &self.sizes, &delta);
        let mut out: Vec<(usize, f64)> =
            row.iter().zip(&expected.items).map(|(item, e)| (*item as usize, -e)).collect();
        let base = self.items();
        out.extend(expected.sizes[1..].iter().enumerate().map(|(s, e)| (base + s, -e)));
        for place in places(ends).filter(|place| row.len() - place.start > 1) {
            let size = place.len();
            place.for_each(|j| out[j].1 += 1.0 / size as f64);
            if let Some(at) = self.sizes[1..].iter().position(|t| *t == size) {
                out[row.len() + at].1 += 1.0;
            }
        }
        (out, expected)
    }

    fn log_likelihood(&self, at: &[f64]) -> f64 {
        let one = |r: usize| {
            let (row, ends, weight) = self.rankings.row(r);
            let (scores, delta, _) = self.parts(row, at);
            let mut value = -expect(&scores, ends, &self.sizes, &delta).log_total;
            for place in places(ends).filter(|place| row.len() - place.start > 1) {
                let size = place.len();
                let known = self.sizes.iter().position(|t| *t == size);
                value += known.map_or(f64::NEG_INFINITY, |s| delta[s].ln());
                value += scores[place].iter().sum::<f64>() / size as f64;
            }
            weight * value
        };
        let parts = parallel::map(self.blocks.len(), self.threads, |b| {
            self.blocks[b].clone().map(one).sum::<f64>()
        });
        parts.iter().sum()
    }
}

impl Curvature for Bend<'_> {
    fn diagonal(&self) -> &[f64] {
        &self.diagonal
    }

    fn apply(&self, v: &[f64], out: &mut [f64]) {
        let (choices, m) = (self.choices, self.choices.items());
        let sums = choices.scattered(1, |r, sums| {
            let (row, ends, weight) = choices.rankings.row(r);
            let (scores, delta, _) = choices.parts(row, &self.at);
            let along = |(x, item): (f64, &u32)| Dual(x, v[*item as usize]);
            let scores: Vec<Dual> = scores.into_iter().zip(row).map(along).collect();
            let turned = std::iter::once(&0.0).chain(&v[m..]);
            let delta: Vec<Dual> =
                delta.into_iter().zip(turned).map(|(d, v)| Dual(d, d * v)).collect();
            let expected = expect(&scores, ends, &choices.sizes, &delta);
            for (item, e) in row.iter().zip(&expected.items) {
                sums[*item as usize] += weight * e.1;
            }
            for (s, e) in expected.sizes[1..].iter().enumerate() {
                sums[m + s] += weight * e.1;
            }
        });
        for (((out, sum), extra), v) in out.iter_mut().zip(sums).zip(&self.extra).zip(v) {
            *out = sum + extra * v;
        }
    }

    fn add_to(&self, matrix: &mut [f64]) {
        let n = self.diagonal.len();
        let (mut unit, mut column) = (vec![0.0; n], vec![0.0; n]);
        for j in 0..n {
            if self.choices.stop.check().is_err() {
                return; // the solver that asked ends at its own check
            }
            unit[j] = 1.0;
            self.apply(&unit, &mut column);
            unit[j] = 0.0;
            (j..n).for_each(|i| matrix[i * n + j] += column[i]);
        }
    }
}

impl<'a> Objective for &'a TiedChoices<'a> {
    type Curvature = Bend<'a>;

    fn evaluate(&self, at: &[f64], _: Option<Self::Curvature>) -> (Vec<f64>, Self::Curvature) {
        let both = self.scattered(2, |r, sums| {
            let (row, _, weight) = self.rankings.row(r);
            let (score, expected) = self.score(r, at);
            let spread = expected.spread.iter().chain(&expected.size_spread[1..]);
            debug_assert_eq!(score.len(), row.len() + self.sizes.len() - 1);
            for ((unknown, surprise), spread) in score.iter().zip(spread) {
                sums[2 * unknown] += weight * surprise;
                sums[2 * unknown + 1] += weight * spread;
            }
        });
        let (mut gradient, mut diagonal): (Vec<f64>, Vec<f64>) =
            both.chunks_exact(2).map(|c| (c[0], c[1])).unzip();
        let mut extra = vec![0.0; at.len()];
        for i in 0..self.items() {
            let (pull, stiffness) = self.prior.slope(at[i]);
            gradient[i] += pull;
            diagonal[i] += stiffness;
            extra[i] = stiffness;
        }
        (gradient, Bend { choices: self, at: at.to_vec(), extra, diagonal })
    }

    fn scale(&self) -> f64 {
        self.most
    }

    fn gauge(&self) -> Vec<u32> {
        let mut gauge =
            if self.prior.none() { self.component.to_vec() } else { vec![FREE; self.items()] };
        gauge.resize(self.unknowns(), FREE);
        gauge
    }
}

/// Strengths of items, and by size above 1 the weight of ties of so many items, `(t, delta_t)`.
///
/// # Errors
/// As for [`super::fit_rankings`]; [`Error::Infeasible`] where ties of a size have no finite weight, because
/// wherever so many were left, so many were chosen.
///
/// Source: Firth, Kosmidis and Turner 2019, equation 3; Davidson 1970 for pairs.
pub fn fit_tied_rankings(
    rankings: &TiedRankings,
    start: Option<&[f64]>,
    mut options: Options,
    stop: Stop<'_>,
) -> Result<(Fit, Vec<(usize, f64)>)> {
    check_options(options)?;
    let m = rankings.flat.items();
    if let Some(start) = start.filter(|s| s.len() != m) {
        return Err(Error::length("start", m, start.len()));
    }
    let sizes = rankings.sizes();
    let begun = starts(rankings, &sizes)?;
    let found = rankings.components();
    let loose = found.count > 1 && options.prior.none();
    let regularised = if loose { resolve(&found, options.disconnected)? } else { 0.0 };
    options.prior.opponent += regularised;
    let apart = loose && regularised == 0.0;
    let kept = apart.then(|| rankings.within(&found.of, found.count));
    let component = if apart { found.of.clone() } else { vec![0; m] };
    within(options.threads, |threads| {
        let rankings = kept.as_ref().unwrap_or(rankings);
        let given = (options.prior, component.as_slice());
        let choices = TiedChoices::new(rankings, sizes, given, threads, stop);
        let mut at = start.map_or_else(|| vec![0.0; m], <[f64]>::to_vec);
        at.extend(begun);
        let mut optimum = maximise(&&choices, at, options.tolerance, stop)?;
        let value = choices.log_likelihood(&optimum.at);
        let delta = optimum.at.split_off(m).into_iter().map(f64::exp);
        let weights = choices.sizes[1..].iter().copied().zip(delta).collect();
        if options.prior.none() {
            centre(&mut optimum.at, &component);
        }
        Ok((finish((optimum, value), found, regularised), weights))
    })
}

/// Logarithms of weights of sizes above 1 to start from: those of equal items.
fn starts(rankings: &TiedRankings, sizes: &[usize]) -> Result<Vec<f64>> {
    let mut chosen = vec![0.0; sizes.len()];
    // choices of another size where this one was possible
    let mut others = vec![0.0; sizes.len()];
    let (mut left_sum, mut all) = (0.0, 0.0);
    rankings.each_stage(|size, left, weight| {
        (left_sum, all) = (left_sum + weight * left as f64, all + weight);
        for (at, t) in sizes.iter().enumerate().filter(|(_, t)| **t <= left) {
            if *t == size {
                chosen[at] += weight;
            } else {
                others[at] += weight;
            }
        }
    });
    let lone = sizes[1..].iter().zip(&others[1..]).find(|(_, other)| **other == 0.0);
    if let Some((size, _)) = lone.or((sizes.len() > 1 && chosen[0] == 0.0).then_some((&1, &0.0))) {
        let what = if *size == 1 {
            "rankings: expected some item that was chosen alone among others; all are ties"
                .to_owned()
        } else {
            format!(
                "rankings: expected a choice of another number of items than {size} where {size} were left"
            )
        };
        return Err(Error::Infeasible { what });
    }
    let left: f64 = left_sum / f64::max(all, 1.0);
    let start = |(t, n): (&usize, &f64)| {
        // the number of sets of a size, relative to that of single items
        let sets: f64 = (1..*t).map(|k| ((left - k as f64).max(1.0) / (k + 1) as f64).ln()).sum();
        (n / chosen[0]).ln() - sets
    };
    Ok(sizes[1..].iter().zip(&chosen[1..]).map(start).collect())
}

/// Covariance of log strengths that were fitted by [`fit_tied_rankings`], whose weights `(t, delta_t)` are
/// given; a ranking of weight `w` stands for `w` voters.
///
/// # Errors
/// As for [`super::ranking_covariance`].
pub fn tied_ranking_covariance(
    rankings: &TiedRankings,
    fitted: Fitted<'_>,
    weights: &[(usize, f64)],
    trust: Trust,
    threads: Option<usize>,
    stop: Stop<'_>,
) -> Result<Covariance> {
    let m = rankings.flat.items();
    fitted.check(m)?;
    check_dense(m)?;
    let sizes: Vec<usize> = std::iter::once(1).chain(weights.iter().map(|w| w.0)).collect();
    let fine = weights.iter().all(|(_, d)| *d > 0.0 && d.is_finite());
    if !fine || !sizes.windows(2).all(|w| w[0] < w[1]) || rankings.sizes() != sizes {
        let expected = "a weight above 0 for every number of items that tie, in order";
        return Err(Error::range("prevalence", expected, format!("{weights:?}")));
    }
    let count = fitted.component.iter().max().map_or(0, |c| *c as usize + 1);
    let kept = (count > 1).then(|| rankings.within(fitted.component, count));
    within(threads, |threads| {
        let rankings = kept.as_ref().unwrap_or(rankings);
        let given = (fitted.prior, fitted.component);
        let choices = TiedChoices::new(rankings, sizes, given, threads, stop);
        let mut at = fitted.theta.to_vec();
        at.extend(weights.iter().map(|w| w.1.ln()));
        let (_, bend) = (&choices).evaluate(&at, None);
        let inverse = inverse(&bend, &(&choices).gauge(), fitted.prior.none());
        stop.check()?;
        let mut sums = Influence::new(inverse?, choices.unknowns(), false);
        for r in 0..rankings.flat.rankings() {
            if r % GLANCE == 0 {
                stop.check()?;
            }
            let (score, _) = choices.score(r, &at);
            let weight = rankings.row(r).2;
            sums.add(&Observation { score: &score, rows: weight, weight: 1.0, squares: weight });
        }
        Ok(sums.finish(m, trust))
    })
}
