//! How sure the strengths of the Plackett-Luce model are.
//!
//! A ranking of weight `w` stands for `w` voters who gave the same one.

use super::bootstrap::{Bootstrap, TOLERANCE, align, keep_largest, replicated};
use super::choices::{Choices, Scratch};
use super::covariance::{Covariance, Exact, Fitted, Trust};
use super::fit::{Disconnected, Method, Options};
use super::influence::{Influence, Observation, check_dense, inverse};
use super::newton::{Curvature, Objective};
use super::plackett_luce::fit_rankings;
use super::rankings::Rankings;
use super::resample::Multinomial;
use super::within;
use crate::rng::Stream;
use crate::{Error, Result, Stop};

/// Rankings after which a loop looks whether the caller gave up.
const GLANCE: usize = 64;

/// Covariance of log strengths that were fitted by [`fit_rankings`].
///
/// # Errors
/// As for [`super::covariance`]; [`Error::Range`] for more than 2000 items.
///
/// Source: White 1982; Hunter 2004, section 5, for the curvature.
pub fn ranking_covariance(
    rankings: &Rankings,
    fitted: Fitted<'_>,
    (trust, skewed): (Trust, bool),
    threads: Option<usize>,
    stop: Stop<'_>,
) -> Result<Covariance> {
    let m = rankings.items();
    fitted.check(m)?;
    check_dense(m)?;
    let kept = connected(rankings, fitted.component);
    let rankings = kept.as_ref().unwrap_or(rankings);
    within(threads, |threads| {
        let choices = Choices::new(rankings, fitted.prior, fitted.component, threads);
        let (_, bend) = (&choices).evaluate(fitted.theta, None);
        let (mut matrix, mut scratch) = (vec![0.0; m * m], Scratch::default());
        for r in 0..rankings.rankings() {
            if r % GLANCE == 0 {
                stop.check()?;
            }
            bend.add_row(r, &mut matrix, &mut scratch);
        }
        for (i, d) in bend.diagonal().iter().enumerate() {
            matrix[i * m + i] += d;
        }
        let inverse = inverse(&Exact::lower(matrix, m), &(&choices).gauge(), fitted.prior.none())?;
        let mut sums = Influence::new(inverse, m, skewed);
        let pi = Choices::strengths(fitted.theta);
        for r in 0..rankings.rankings() {
            if r % GLANCE == 0 {
                stop.check()?;
            }
            let (row, stages, weight) = rankings.row(r);
            let left = scratch.left(row, stages, &pi);
            let mut lost = 0.0;
            let mut score = Vec::with_capacity(row.len());
            for (place, item) in row.iter().enumerate() {
                lost += left.get(place).unwrap_or(&0.0);
                let chosen = f64::from(u8::from(place < stages));
                score.push((*item as usize, chosen - pi[*item as usize] * lost));
            }
            sums.add(&Observation { score: &score, rows: weight, weight: 1.0, squares: weight });
        }
        Ok(sums.finish(m, trust))
    })
}

/// The rankings within components, where there are several.
fn connected(rankings: &Rankings, of: &[u32]) -> Option<Rankings> {
    let count = of.iter().max().map_or(0, |c| *c as usize + 1);
    (count > 1).then(|| rankings.within(of, count))
}

/// Log strengths of `count` resampled data sets, as [`super::bootstrap`] has them.
///
/// # Errors
/// [`Error::Range`] for weights that are not whole numbers; otherwise as for [`super::bootstrap`].
///
/// Source: Efron 1979.
pub fn ranking_bootstrap(
    rankings: &Rankings,
    fitted: Fitted<'_>,
    count: usize,
    (seed, threads): (u64, Option<usize>),
    stop: Stop<'_>,
) -> Result<Bootstrap> {
    fitted.check(rankings.items())?;
    let rows = whole(&rankings.weights)?;
    let (kept, multinomial) = (connected(rankings, fitted.component), Multinomial::new(&rows));
    within(threads, |threads| {
        replicated(rankings.items(), count, threads, |b| {
            stop.check()?;
            let mut counts = Vec::new();
            multinomial.draw(&mut Stream::new(seed, b as u64), &mut counts);
            let mut drawn = rankings.reweighted(&counts);
            if kept.is_some() {
                let of = fitted.component;
                let parts = of.iter().max().map_or(0, |c| *c as usize + 1);
                drawn = drawn.within(of, parts);
            }
            refit(&drawn, fitted, stop)
        })
    })
}

fn whole(weights: &[f64]) -> Result<Vec<u64>> {
    let odd = |w: &&f64| w.fract() != 0.0 || **w > f64::from(u32::MAX);
    if let Some(w) = weights.iter().find(odd) {
        let expected = "whole numbers below 2^32, for a bootstrap draws voters";
        return Err(Error::range("weights", expected, w));
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole numbers")]
    Ok(weights.iter().map(|w| *w as u64).collect())
}

fn refit(drawn: &Rankings, fitted: Fitted<'_>, stop: Stop<'_>) -> Result<Vec<f64>> {
    let options = Options {
        method: Method::Newton,
        tie: 0.5,
        prior: fitted.prior,
        disconnected: Disconnected::Components,
        tolerance: TOLERANCE,
        threads: Some(1),
    };
    let fit = fit_rankings(drawn, Some(fitted.theta), options, stop)?;
    let (mut theta, mut alive) = (fit.theta, vec![true; fitted.theta.len()]);
    if fitted.prior.none() {
        keep_largest(&fit.components.of, fit.components.count, fitted.component, &mut alive);
    }
    align(&mut theta, fitted, &alive);
    Ok(theta)
}
