//! The Plackett-Luce model: every choice of a ranking is made among what is left, by strengths.

use super::choices::Choices;
use super::fit::{Fit, Method, Options, centre, check_options, finish, resolve};
use super::newton::{Optimum, Tolerance, largest, maximise};
use super::rankings::Rankings;
use super::within;
use crate::{Error, Result, Stop};

/// A sweep that leaves more than this share of the gradient is slow.
const SLOW: f64 = 0.6;
/// Slow sweeps in a row after which Newton steps take over.
const PATIENCE: usize = 4;
/// Most lazy steps to a stationary distribution, and the relative change at which it is reached.
const LAZY: usize = 2000;
const STATIONARY: f64 = 1e-13;

impl Choices<'_> {
    /// Updates of all strengths at once, until the gradient is small or the sweeps are slow.
    ///
    /// Source: Newman 2023, section 6, for rankings; with `mm`, Hunter 2004, section 5.
    fn sweep(
        &self,
        mut theta: Vec<f64>,
        mm: bool,
        tolerance: Tolerance,
        stop: Stop<'_>,
    ) -> Result<Optimum> {
        let goal = tolerance.gradient * self.most;
        let (mut iterations, mut slow, mut before) = (0, 0, f64::INFINITY);
        loop {
            let pi = Self::strengths(&theta);
            let sums = self.sums(&pi);
            let gradient: Vec<f64> = (0..pi.len())
                .map(|i| sums.up[i] - pi[i] * sums.down[i] + self.prior.slope(theta[i]).0)
                .collect();
            let norm = largest(&gradient);
            slow = if norm > SLOW * before { slow + 1 } else { 0 };
            before = norm;
            let done = norm <= goal;
            if done
                || iterations >= tolerance.iterations
                || stop.expired()
                || (!mm && slow >= PATIENCE)
            {
                return Ok(Optimum { at: theta, iterations, converged: done, gradient: norm });
            }
            stop.check()?;
            // items that meet few others overtake each other in turns when all move at once
            let pace = if slow > 0 && !mm { 0.5 } else { 1.0 };
            for i in 0..pi.len() {
                // strengths are scaled by the largest; the opponent of strength 1 has to be, too
                let (mut up, mut down) = if mm {
                    (self.chosen[i], self.chosen[i] / pi[i] - (sums.up[i] / pi[i] - sums.down[i]))
                } else {
                    (sums.up[i], sums.down[i])
                };
                if self.prior.opponent > 0.0 {
                    let lost = 1.0 / (1.0 + theta[i].exp());
                    up += self.prior.opponent * if mm { 1.0 } else { lost };
                    down += self.prior.opponent * (1.0 - lost) / pi[i] * if mm { 2.0 } else { 1.0 };
                }
                if up > 0.0 && down > 0.0 {
                    theta[i] += pace * (up / (pi[i] * down)).ln();
                }
            }
            iterations += 1;
            if self.prior.none() {
                centre(&mut theta, self.component);
            }
        }
    }

    /// Iterated stationary distributions of the chain with rate `1 / Z` from every loser of a stage to its
    /// winner; `once` gives the first, whose strengths are all one in `Z`.
    ///
    /// Source: Maystre and Grossglauser 2015, algorithms 1 and 2.
    pub(super) fn spectral(
        &self,
        mut theta: Vec<f64>,
        once: bool,
        tolerance: Tolerance,
        stop: Stop<'_>,
    ) -> Result<Optimum> {
        let goal = tolerance.gradient * self.most;
        let mut iterations = 0;
        loop {
            let pi = Self::strengths(&theta);
            let sums = self.sums(&pi);
            let gradient = largest(
                &(0..pi.len()).map(|i| sums.up[i] - pi[i] * sums.down[i]).collect::<Vec<_>>(),
            );
            let done = (once && iterations > 0) || gradient <= goal;
            if done || iterations >= tolerance.iterations || stop.expired() {
                return Ok(Optimum { at: theta, iterations, converged: done, gradient });
            }
            theta = self.walk(&pi, &sums.down, stop)?.iter().map(|x| x.ln()).collect();
            centre(&mut theta, self.component);
            iterations += 1;
        }
    }

    /// The stationary distribution for given strengths, by lazy steps.
    fn walk(&self, pi: &[f64], out: &[f64], stop: Stop<'_>) -> Result<Vec<f64>> {
        let mut x = pi.to_vec();
        for _ in 0..LAZY {
            stop.check()?;
            let flows = self.scattered(1, |(row, stages, weight), sums, scratch| {
                let mut rest: f64 = row[stages..].iter().map(|i| x[*i as usize]).sum();
                let left = scratch.left(row, stages, pi);
                for (item, z) in row[..stages].iter().zip(left).rev() {
                    sums[*item as usize] += weight * rest * z;
                    rest += x[*item as usize];
                }
            });
            let mut change = 0.0_f64;
            for ((x, flow), out) in x.iter_mut().zip(&flows).zip(out) {
                if *out > 0.0 {
                    let next = 0.5 * (*x + flow / out);
                    change = change.max((next / *x - 1.0).abs());
                    *x = next;
                }
            }
            if change <= STATIONARY {
                break;
            }
        }
        Ok(x)
    }
}

/// Strengths of items by the Plackett-Luce model.
///
/// "newton" sweeps first and takes Newton steps once sweeps are slow; "newman" and "mm" only sweep.
///
/// # Errors
/// As for [`super::fit`].
///
/// Source: Plackett 1975; Luce 1959; Hunter 2004 for when a maximiser exists.
pub fn fit_rankings(
    rankings: &Rankings,
    start: Option<&[f64]>,
    mut options: Options,
    stop: Stop<'_>,
) -> Result<Fit> {
    check_options(options)?;
    options.method.check(options.prior)?;
    if let Some(start) = start.filter(|s| s.len() != rankings.count) {
        return Err(Error::length("start", rankings.count, start.len()));
    }
    let found = rankings.components();
    let loose = found.count > 1 && options.prior.none();
    let regularised = if loose { resolve(&found, options.disconnected)? } else { 0.0 };
    options.prior.opponent += regularised;
    let apart = loose && regularised == 0.0;
    let kept = apart.then(|| rankings.within(&found.of, found.count));
    let component = if apart { found.of.clone() } else { vec![0; rankings.count] };
    let optimum = within(options.threads, |threads| {
        let options = Options { threads, ..options };
        search(kept.as_ref().unwrap_or(rankings), &component, start, options, stop)
    })?;
    Ok(finish(optimum, found, regularised))
}

fn search(
    rankings: &Rankings,
    component: &[u32],
    start: Option<&[f64]>,
    options: Options,
    stop: Stop<'_>,
) -> Result<(Optimum, f64)> {
    let choices = Choices::new(rankings, options.prior, component, options.threads);
    let start = start.map_or_else(|| vec![0.0; rankings.count], <[f64]>::to_vec);
    let mut optimum = match options.method {
        Method::Newton if options.prior.l2 > 0.0 || options.prior.gamma > 0.0 => {
            maximise(&&choices, start, options.tolerance, stop)?
        }
        Method::Newton => {
            let swept = choices.sweep(start, false, options.tolerance, stop)?;
            if swept.converged {
                swept
            } else {
                let left = options.tolerance.iterations.saturating_sub(swept.iterations);
                let tolerance = Tolerance { iterations: left, ..options.tolerance };
                let mut found = maximise(&&choices, swept.at, tolerance, stop)?;
                found.iterations += swept.iterations;
                found
            }
        }
        Method::Lsr | Method::Ilsr => {
            let once = options.method == Method::Lsr;
            choices.spectral(start, once, options.tolerance, stop)?
        }
        method => {
            let mut at = start;
            let mut done = 0;
            loop {
                let left = options.tolerance.iterations.saturating_sub(done);
                let tolerance = Tolerance { iterations: left, ..options.tolerance };
                let mut swept = choices.sweep(at, method == Method::Mm, tolerance, stop)?;
                swept.iterations += done;
                if swept.converged
                    || swept.iterations >= options.tolerance.iterations
                    || stop.expired()
                {
                    break swept;
                }
                (done, at) = (swept.iterations, swept.at);
            }
        }
    };
    if options.prior.none() {
        centre(&mut optimum.at, component);
    }
    let value = choices.log_likelihood(&optimum.at);
    Ok((optimum, value))
}
