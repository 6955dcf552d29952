//! How sure the strengths of models with ties are; their parameter is fitted along with them.

use super::bootstrap::{Bootstrap, TOLERANCE, align, keep_largest, replicated};
use super::bradley_terry::Duels;
use super::cells::{Cell, Cells, Table, Value, with_cells};
use super::connect::components;
use super::covariance::{Covariance, Fitted, Trust, covariance};
use super::fit::{Disconnected, Method, Options};
use super::influence::{Influence, Observation, check_dense, inverse};
use super::newton::Objective;
use super::resample::Multinomial;
use super::ties::{TieModel, Tied, fit_cells};
use super::within;
use crate::rng::Stream;
use crate::{Error, Result, Stop};

/// Pairs after which a loop looks whether the caller gave up.
const GLANCE: usize = 1024;

/// A fit of a model of [`super::MODELS`], with its tie parameter as it is published.
#[derive(Clone, Copy)]
pub struct TiedFit<'a> {
    /// Name of the model.
    pub model: &'a str,
    /// What ties are explained by.
    pub parameter: f64,
    /// The strengths; shares of ties have no meaning here.
    pub fitted: Fitted<'a>,
}

impl TiedFit<'_> {
    fn check(&self, items: usize) -> Result<&'static TieModel> {
        self.fitted.check(items)?;
        let model = TieModel::parse(self.model)?;
        let hidden = (model.hidden)(self.parameter);
        if hidden.is_nan() || hidden == f64::INFINITY || self.parameter < 0.0 {
            let expected = "a finite parameter of the model, at least 0";
            return Err(Error::range("parameter", expected, self.parameter));
        }
        Ok(model)
    }
}

/// Covariance of log strengths that were fitted by [`super::fit_ties`].
///
/// # Errors
/// As for [`covariance`]; [`Error::Range`] for a parameter that the model does not have, and for more than
/// 2000 items unless nothing was tied in a model that then is Bradley and Terry's.
pub fn tie_covariance(
    table: &Table,
    fit: TiedFit<'_>,
    (trust, skewed): (Trust, bool),
    (seed, threads): (u64, Option<usize>),
    stop: Stop<'_>,
) -> Result<Covariance> {
    let model = fit.check(table.items())?;
    if model.is_bradley_terry(fit.parameter) {
        return covariance(table, fit.fitted, trust, (seed, threads), stop);
    }
    check_dense(table.items())?;
    let frozen = table.totals().iter().all(|t| t[2] == 0.0);
    within(threads, |threads| {
        with_cells!(table, cells => {
            let kept = connected(cells, fit.fitted.component);
            let cells = kept.as_ref().unwrap_or(cells);
            of_cells(cells, (fit, model, frozen), (trust, skewed), threads, stop)
        })
    })
}

/// The cells within components, where there are several.
fn connected<T: Value>(cells: &Cells<T>, of: &[u32]) -> Option<Cells<T>> {
    of.iter().any(|c| *c != 0).then(|| cells.filtered(|i, j| of[i] == of[j]))
}

fn of_cells<T: Value>(
    cells: &Cells<T>,
    (fit, model, frozen): (TiedFit<'_>, &TieModel, bool),
    (trust, skewed): (Trust, bool),
    threads: Option<usize>,
    stop: Stop<'_>,
) -> Result<Covariance> {
    let (fitted, s, m) = (fit.fitted, (model.hidden)(fit.parameter), cells.items());
    let duels = Duels::new(cells, 0.5, fitted.prior, fitted.component, threads);
    let tied = Tied::new(duels, model, frozen);
    let mut at = fitted.theta.to_vec();
    at.push(s);
    let (_, curvature) = (&tied).evaluate(&at, None);
    let inverse = inverse(&curvature, &(&tied).gauge(), fitted.prior.none())?;
    let mut sums = Influence::new(inverse, m + 1, skewed);
    for i in 0..m {
        for k in cells.starts[i]..cells.starts[i + 1] {
            let (cell, j) = (&cells.cells[k], cells.cells[k].other());
            if j < i {
                continue;
            }
            if k % GLANCE == 0 {
                stop.check()?;
            }
            let (spread, gap) = (cells.spread(k), fitted.theta[i] - fitted.theta[j]);
            let weights = [cell.wins.get(), cell.losses.get(), cells.tie(k)];
            for (o, weight) in weights.iter().enumerate() {
                if spread.rows[o] > 0.0 {
                    let mut one = [0.0; 3];
                    one[o] = 1.0;
                    let terms = (model.terms)(gap, s, one);
                    let border = if frozen { 0.0 } else { terms.s };
                    sums.add(&Observation {
                        score: &[(i, terms.d), (j, -terms.d), (m, border)],
                        rows: spread.rows[o],
                        weight: weight / spread.rows[o],
                        squares: spread.squares[o],
                    });
                }
            }
        }
    }
    Ok(sums.finish(m, trust))
}

/// Log strengths of `count` resampled data sets, as [`super::bootstrap`] has them, of a model with ties.
///
/// # Errors
/// As for [`tie_covariance`], without a limit on items.
///
/// Source: Efron 1979.
pub fn tie_bootstrap(
    table: &Table,
    fit: TiedFit<'_>,
    count: usize,
    (seed, threads): (u64, Option<usize>),
    stop: Stop<'_>,
) -> Result<Bootstrap> {
    let model = fit.check(table.items())?;
    within(threads, |threads| {
        with_cells!(table, cells => {
            let kept = connected(cells, fit.fitted.component);
            let drawn = Drawn::new(kept.as_ref().unwrap_or(cells));
            replicated(table.items(), count, threads, |b| {
                stop.check()?;
                drawn.replicate(fit.fitted, model, Stream::new(seed, b as u64), stop)
            })
        })
    })
}

/// What a replicate is drawn from.
struct Drawn {
    cells: Cells<f64>,
    /// The lower item's cell of every pair, and its twin.
    pairs: Vec<(usize, usize)>,
    /// Weight of one row of every outcome of every pair.
    weights: Vec<[f64; 3]>,
    multinomial: Multinomial,
}

impl Drawn {
    fn new<T: Value>(cells: &Cells<T>) -> Self {
        let (mut pairs, mut weights, mut rows) = (Vec::new(), Vec::new(), Vec::new());
        for i in 0..cells.items() {
            for k in cells.starts[i]..cells.starts[i + 1] {
                let (cell, j) = (&cells.cells[k], cells.cells[k].other());
                if j < i {
                    continue;
                }
                let back = cells.row(j).partition_point(|c| c.other() < i);
                pairs.push((k, cells.starts[j] + back));
                let counts = cells.spread(k).rows;
                let sums = [cell.wins.get(), cell.losses.get(), cells.tie(k)];
                weights.push(std::array::from_fn(|o| {
                    if counts[o] > 0.0 { sums[o] / counts[o] } else { 0.0 }
                }));
                #[allow(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "counts of rows"
                )]
                rows.extend(counts.map(|n| n.round() as u64));
            }
        }
        Self { cells: cells.shared(0.0), pairs, weights, multinomial: Multinomial::new(&rows) }
    }

    fn replicate(
        &self,
        fitted: Fitted<'_>,
        model: &TieModel,
        mut stream: Stream,
        stop: Stop<'_>,
    ) -> Result<Vec<f64>> {
        let mut counts = Vec::new();
        self.multinomial.draw(&mut stream, &mut counts);
        let mut cells = self.cells.clone();
        cells.ties = vec![0.0; cells.cells.len()];
        for (((k, twin), weights), n) in
            self.pairs.iter().zip(&self.weights).zip(counts.chunks_exact(3))
        {
            let [w, l, t] = std::array::from_fn(|o| f64::from(n[o]) * weights[o]);
            let (i, j) = (cells.cells[*twin].other, cells.cells[*k].other);
            cells.cells[*k] = Cell { other: j, wins: w, losses: l };
            cells.cells[*twin] = Cell { other: i, wins: l, losses: w };
            (cells.ties[*k], cells.ties[*twin]) = (t, t);
        }
        let mut alive = vec![true; fitted.theta.len()];
        if fitted.prior.none() {
            let found = components(&cells);
            keep_largest(&found.of, found.count, fitted.component, &mut alive);
        }
        let options = Options {
            method: Method::Newton,
            tie: 0.5,
            prior: fitted.prior,
            disconnected: Disconnected::Components,
            tolerance: TOLERANCE,
            threads: Some(1),
        };
        let mut theta = match fit_cells(&cells, model, Some(fitted.theta), options, stop) {
            Ok((fit, _)) => fit.theta,
            // nothing but ties was drawn
            Err(Error::Infeasible { .. }) => return Ok(vec![f64::NAN; alive.len()]),
            Err(error) => return Err(error),
        };
        align(&mut theta, fitted, &alive);
        Ok(theta)
    }
}
