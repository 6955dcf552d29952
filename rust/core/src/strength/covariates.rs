//! Bradley-Terry with covariates of every comparison, such as which item was shown first.
//!
//! `P(a beats b) = sigma(theta_a - theta_b + x . beta)`: a logistic regression whose curvature is a
//! Laplacian bordered by the covariates. Where it is factored, the items are eliminated first, which
//! leaves the Schur complement of the coefficients.

use super::fit::{Fit, Options, centre, check_options, finish, resolve};
use super::ids::{Ids, outside, with_ids};
use super::newton::{Curvature, FREE, Objective, maximise};
use super::prior::{Prior, sigmoid};
use super::ties::softplus;
use super::{connect::Components, within};
use crate::{Error, Result, Stop, parallel};

/// Rows of a task.
const CHUNK: usize = 1 << 15;
/// Share of the curvature of a coefficient below which it counts as unbounded.
const APART: f64 = 1e-6;
/// Most tasks, since each has sums of its own.
const CHUNKS: usize = 16;

/// Rows of comparisons with covariates; validated.
#[derive(Debug, Clone)]
pub struct Covariates {
    items: usize,
    pairs: Vec<(u32, u32)>,
    target: Vec<f64>,
    weight: Vec<f64>,
    x: Vec<f64>,
    width: usize,
}

impl Covariates {
    /// Checks the rows: `target` in `[0, 1]` is the share of a win of `a`, `x` is `(n, q)`.
    ///
    /// # Errors
    /// [`Error::Shape`] for arrays of other lengths, [`Error::Range`] for numbers that are no items, an item
    /// against itself, targets or weights out of range, [`Error::NotFinite`].
    pub fn new(
        (a, b): (Ids<'_>, Ids<'_>),
        items: usize,
        target: Vec<f64>,
        weight: Vec<f64>,
        x: Vec<f64>,
        width: usize,
    ) -> Result<Self> {
        let n = a.len();
        for (name, expected, got) in [
            ("losers", n, b.len()),
            ("outcomes", n, target.len()),
            ("weights", n, weight.len()),
            ("covariates", n * width, x.len()),
        ] {
            if expected != got {
                return Err(Error::length(name, expected, got));
            }
        }
        let checks: [(&'static str, &[f64], f64); 3] = [
            ("outcomes", &target, 1.0),
            ("weights", &weight, f64::MAX),
            ("covariates", &x, f64::MAX),
        ];
        for (name, values, most) in checks {
            if let Some(index) = values.iter().position(|v| !v.is_finite()) {
                return Err(Error::NotFinite { name, index });
            }
            let least = if name == "covariates" { f64::MIN } else { 0.0 };
            if let Some(v) = values.iter().find(|v| !(least..=most).contains(*v)) {
                return Err(Error::range(name, "numbers in range", v));
            }
        }
        let pairs = with_ids!(a, b, (a, b) => pairs(a, b, items))?;
        Ok(Self { items, pairs, target, weight, x, width })
    }

    fn row(&self, r: usize) -> (usize, usize, &[f64]) {
        let (a, b) = self.pairs[r];
        (a as usize, b as usize, &self.x[r * self.width..(r + 1) * self.width])
    }
}

fn pairs<I: super::ids::Id>(a: &[I], b: &[I], items: usize) -> Result<Vec<(u32, u32)>> {
    let mut out = Vec::with_capacity(a.len());
    for (row, (x, y)) in a.iter().zip(b).enumerate() {
        for (name, ids, id) in [("winners", a, x), ("losers", b, y)] {
            if id.id() as usize >= items {
                return Err(outside(name, ids, items));
            }
        }
        if x.id() == y.id() {
            let got = format!("item {x} against itself at position {row}");
            return Err(Error::range("losers", "an item other than the winner in every row", got));
        }
        out.push((x.id(), y.id()));
    }
    Ok(out)
}

/// The log-likelihood in log strengths followed by coefficients.
struct Regression<'a> {
    rows: &'a Covariates,
    prior: Prior,
    /// Subtracts `ridge * beta^2`.
    ridge: f64,
    component: &'a [u32],
    threads: Option<usize>,
    most: f64,
}

struct Bordered<'a> {
    rows: &'a Covariates,
    threads: Option<usize>,
    /// Curvature of every row, and what priors add.
    weights: Vec<f64>,
    extra: Vec<f64>,
    diagonal: Vec<f64>,
}

/// Sums over rows of something scattered over the unknowns, in a fixed split.
fn scattered(
    rows: &Covariates,
    threads: Option<usize>,
    add: impl Fn(usize, &mut [f64]) + Sync + Send,
) -> Vec<f64> {
    let n = rows.pairs.len();
    let chunks = n.div_ceil(CHUNK).clamp(1, CHUNKS);
    let size = n.div_ceil(chunks);
    let parts = parallel::map(chunks, threads, |c| {
        let mut sums = vec![0.0; rows.items + rows.width];
        (c * size..((c + 1) * size).min(n)).for_each(|r| add(r, &mut sums));
        sums
    });
    let mut out = vec![0.0; rows.items + rows.width];
    for part in parts {
        out.iter_mut().zip(part).for_each(|(o, p)| *o += p);
    }
    out
}

impl Curvature for Bordered<'_> {
    fn diagonal(&self) -> &[f64] {
        &self.diagonal
    }

    fn apply(&self, v: &[f64], out: &mut [f64]) {
        let m = self.rows.items;
        let sums = scattered(self.rows, self.threads, |r, sums| {
            let (a, b, x) = self.rows.row(r);
            let along: f64 = x.iter().zip(&v[m..]).map(|(x, v)| x * v).sum();
            let t = self.weights[r] * (v[a] - v[b] + along);
            sums[a] += t;
            sums[b] -= t;
            sums[m..].iter_mut().zip(x).for_each(|(s, x)| *s += t * x);
        });
        for (((out, sum), extra), v) in out.iter_mut().zip(sums).zip(&self.extra).zip(v) {
            *out = sum + extra * v;
        }
    }

    fn add_to(&self, matrix: &mut [f64]) {
        let (m, n) = (self.rows.items, self.diagonal.len());
        for (r, w) in self.weights.iter().enumerate() {
            let (a, b, x) = self.rows.row(r);
            matrix[a * n + a] += w;
            matrix[b * n + b] += w;
            matrix[a.max(b) * n + a.min(b)] -= w;
            for (p, xp) in x.iter().enumerate() {
                let line = &mut matrix[(m + p) * n..(m + p + 1) * n];
                line[a] += w * xp;
                line[b] -= w * xp;
                for (q, xq) in x[..=p].iter().enumerate() {
                    line[m + q] += w * xp * xq;
                }
            }
        }
        for (i, extra) in self.extra.iter().enumerate() {
            matrix[i * n + i] += extra;
        }
    }
}

impl Regression<'_> {
    fn margin(&self, r: usize, at: &[f64]) -> f64 {
        let (a, b, x) = self.rows.row(r);
        let along: f64 = x.iter().zip(&at[self.rows.items..]).map(|(x, v)| x * v).sum();
        at[a] - at[b] + along
    }

    /// Refuses coefficients that grew until they explained every row that they touch.
    fn check_apart(&self, at: &[f64]) -> Result<()> {
        let m = self.rows.items;
        for q in (0..self.rows.width).filter(|_| self.ridge == 0.0) {
            let (mut bend, mut most) = (0.0, 0.0);
            for r in 0..self.rows.pairs.len() {
                let square = self.rows.weight[r] * self.rows.row(r).2[q].powi(2);
                let z = self.margin(r, at);
                bend += square * sigmoid(z) * sigmoid(-z);
                most += 0.25 * square;
            }
            if bend < APART * most {
                let what = format!(
                    "covariates: expected wins and losses that no covariate tells apart; coefficient {q} \
                     grows without bound ({} so far); set ridge",
                    at[m + q]
                );
                return Err(Error::Infeasible { what });
            }
        }
        Ok(())
    }

    fn log_likelihood(&self, at: &[f64]) -> f64 {
        let value = |r: usize| {
            let z = self.margin(r, at);
            self.rows.weight[r] * (self.rows.target[r] * z - softplus(z))
        };
        (0..self.rows.pairs.len()).map(value).sum()
    }
}

impl<'a> Objective for &Regression<'a> {
    type Curvature = Bordered<'a>;

    fn evaluate(&self, at: &[f64], _: Option<Self::Curvature>) -> (Vec<f64>, Self::Curvature) {
        let rows = self.rows;
        let m = rows.items;
        let p = |r: usize| sigmoid(self.margin(r, at));
        let mut gradient = scattered(rows, self.threads, |r, sums| {
            let (a, b, x) = rows.row(r);
            let g = rows.weight[r] * (rows.target[r] - p(r));
            sums[a] += g;
            sums[b] -= g;
            sums[m..].iter_mut().zip(x).for_each(|(s, x)| *s += g * x);
        });
        let weights: Vec<f64> =
            (0..rows.pairs.len()).map(|r| rows.weight[r] * p(r) * (1.0 - p(r))).collect();
        let mut diagonal = scattered(rows, self.threads, |r, sums| {
            let (a, b, x) = rows.row(r);
            sums[a] += weights[r];
            sums[b] += weights[r];
            sums[m..].iter_mut().zip(x).for_each(|(s, x)| *s += weights[r] * x * x);
        });
        let mut extra = vec![2.0 * self.ridge; at.len()];
        for i in 0..at.len() {
            if i < m {
                let (pull, stiffness) = self.prior.slope(at[i]);
                gradient[i] += pull;
                extra[i] = stiffness;
            } else {
                gradient[i] -= 2.0 * self.ridge * at[i];
            }
            diagonal[i] += extra[i];
        }
        (gradient, Bordered { rows, threads: self.threads, weights, extra, diagonal })
    }

    fn scale(&self) -> f64 {
        self.most
    }

    fn gauge(&self) -> Vec<u32> {
        let mut gauge = self.component.to_vec();
        if !self.prior.none() {
            gauge.fill(FREE);
        }
        gauge.resize(self.rows.items + self.rows.width, FREE);
        gauge
    }
}

/// Strengths and coefficients; `components` are those of the comparisons without covariates.
///
/// # Errors
/// As for [`super::fit`].
pub fn fit_covariates(
    rows: &Covariates,
    components: Components,
    ridge: f64,
    mut options: Options,
    stop: Stop<'_>,
) -> Result<(Fit, Vec<f64>)> {
    check_options(options)?;
    if !(ridge.is_finite() && ridge >= 0.0) {
        return Err(Error::range("ridge", "a finite number of at least 0", ridge));
    }
    let loose = components.count > 1 && options.prior.none();
    let regularised = if loose { resolve(&components, options.disconnected)? } else { 0.0 };
    options.prior.opponent += regularised;
    let apart = loose && regularised == 0.0;
    let kept = apart.then(|| rows.within(&components.of));
    let rows = kept.as_ref().unwrap_or(rows);
    let component = if apart { components.of.clone() } else { vec![0; rows.items] };
    let mut games = vec![0.0; rows.items.max(1)];
    for ((a, b), w) in rows.pairs.iter().zip(&rows.weight) {
        games[*a as usize] += w;
        games[*b as usize] += w;
    }
    let most = games.iter().copied().fold(0.0, f64::max);
    within(options.threads, |threads| {
        let component = &component[..];
        let prior = options.prior;
        let regression = Regression { rows, prior, ridge, component, threads, most };
        let start = vec![0.0; rows.items + rows.width];
        let mut optimum = maximise(&&regression, start, options.tolerance, stop)?;
        regression.check_apart(&optimum.at)?;
        let value = regression.log_likelihood(&optimum.at);
        let beta = optimum.at.split_off(rows.items);
        if prior.none() {
            centre(&mut optimum.at, component);
        }
        Ok((finish((optimum, value), components, regularised), beta))
    })
}

impl Covariates {
    /// The rows between items of one component.
    fn within(&self, of: &[u32]) -> Self {
        let keep = |r: &usize| {
            let (a, b) = self.pairs[*r];
            of[a as usize] == of[b as usize]
        };
        let rows: Vec<usize> = (0..self.pairs.len()).filter(keep).collect();
        Self {
            items: self.items,
            pairs: rows.iter().map(|r| self.pairs[*r]).collect(),
            target: rows.iter().map(|r| self.target[*r]).collect(),
            weight: rows.iter().map(|r| self.weight[*r]).collect(),
            x: rows.iter().flat_map(|r| self.row(*r).2.to_vec()).collect(),
            width: self.width,
        }
    }
}
