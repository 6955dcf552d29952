//! Damped Newton for concave log-likelihoods whose curvature is a Laplacian and little else.
//!
//! The line search looks at slopes alone: on a concave function a step along which the slope has not
//! turned far below zero has not overshot, and slopes cost no logarithms.

use super::incomplete::Incomplete;
use crate::posterior::linalg::{axpy, backward, cholesky, dot, forward};
use crate::{Result, Stop};

/// Up to this many unknowns a factor costs less than the products it saves.
const SMALL: usize = 48;
/// Up to this many unknowns a factor is affordable where conjugate gradients are slow.
const DENSE: usize = 1500;
/// Products after which conjugate gradients count as slow, and as lost.
const SLOW: usize = 60;
const LOST: usize = 5000;
/// Largest share of the initial slope that may remain, turned around, after a step.
const OVERSHOOT: f64 = 0.25;
/// Largest relative residual of a step.
const FORCING: f64 = 0.1;
/// Halvings before a step is given up.
const HALVINGS: usize = 40;

/// Minus the second derivative: symmetric and positive semi-definite.
pub(super) trait Curvature: Sync {
    /// Its diagonal.
    fn diagonal(&self) -> &[f64];
    /// `out = H v`.
    fn apply(&self, v: &[f64], out: &mut [f64]);
    /// Adds the lower triangle to a matrix.
    fn add_to(&self, matrix: &mut [f64]);
    /// Whether [`Curvature::incomplete`] gives anything.
    fn is_sparse(&self) -> bool {
        false
    }
    /// The lower triangle, where it is sparse.
    fn incomplete(&self) -> Option<Incomplete> {
        None
    }
}

/// A concave function of `unknowns` numbers.
pub(super) trait Objective: Sync {
    /// Its curvature.
    type Curvature: Curvature;
    /// Gradient and curvature; `old` is a curvature whose memory may be used again.
    fn evaluate(&self, at: &[f64], old: Option<Self::Curvature>) -> (Vec<f64>, Self::Curvature);
    /// What the gradient is measured by: the largest weight of comparisons of one item.
    fn scale(&self) -> f64;
    /// Group of every unknown whose sum the function does not see; [`FREE`] where there is none.
    fn gauge(&self) -> Vec<u32>;
}

/// The gauge of an unknown that the function sees fully.
pub(super) const FREE: u32 = u32::MAX;

/// When to stop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// Largest gradient, as a share of the largest weight of comparisons of one item.
    pub gradient: f64,
    /// Most iterations.
    pub iterations: usize,
}

/// Where a search ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Optimum {
    pub(super) at: Vec<f64>,
    pub(super) iterations: usize,
    pub(super) converged: bool,
    /// Largest absolute gradient.
    pub(super) gradient: f64,
}

/// The largest absolute number; NaN when there is one.
pub(super) fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |m: f64, v| if v.is_nan() { *v } else { m.max(v.abs()) })
}

/// Maximises from a start.
///
/// Source: Nocedal and Wright 2006, algorithm 7.1 with the forcing terms of Eisenstat and Walker 1996.
pub(super) fn maximise<O: Objective>(
    objective: &O,
    start: Vec<f64>,
    tolerance: Tolerance,
    stop: Stop<'_>,
) -> Result<Optimum> {
    let goal = tolerance.gradient * objective.scale();
    let gauge = objective.gauge();
    let mut at = start;
    let (mut gradient, mut curvature) = objective.evaluate(&at, None);
    let mut solver = Solver::new(at.len());
    let (mut iterations, mut forcing) = (0, FORCING);
    loop {
        let norm = largest(&gradient);
        let done = norm <= goal;
        if done || iterations >= tolerance.iterations || stop.expired() {
            return Ok(Optimum { at, iterations, converged: done, gradient: norm });
        }
        stop.check()?;
        let enough = forcing.max(0.3 * goal / norm).min(0.5);
        let step = solver.solve(&curvature, &gradient, &gauge, enough, stop)?;
        iterations += 1;
        match line_search(objective, &at, &step, dot(&gradient, &step), curvature) {
            Some(moved) => (at, gradient, curvature) = moved,
            None => return Ok(Optimum { at, iterations, converged: false, gradient: norm }),
        }
        forcing = (0.9 * (largest(&gradient) / norm).powi(2)).min(FORCING);
    }
}

type Moved<C> = (Vec<f64>, Vec<f64>, C);

/// The first of shorter and shorter steps that does not overshoot; `None` at the end of the digits.
fn line_search<O: Objective>(
    objective: &O,
    from: &[f64],
    step: &[f64],
    slope: f64,
    old: O::Curvature,
) -> Option<Moved<O::Curvature>> {
    if !(slope > 0.0 && slope.is_finite()) {
        return None;
    }
    let (mut length, mut old) = (1.0, Some(old));
    for _ in 0..HALVINGS {
        let mut at = from.to_vec();
        axpy(length, step, &mut at);
        let (gradient, curvature) = objective.evaluate(&at, old.take());
        let now = dot(&gradient, step);
        if now.is_finite() && now >= -OVERSHOOT * slope {
            return Some((at, gradient, curvature));
        }
        old = Some(curvature);
        let secant = if now.is_finite() { slope / (slope - now) } else { 0.1 };
        length *= secant.clamp(0.1, 0.7);
    }
    None
}

/// Solves for Newton steps, by the means that have proved fast enough so far.
pub(super) struct Solver {
    dense: bool,
    incomplete: bool,
}

impl Solver {
    pub(super) fn new(unknowns: usize) -> Self {
        Self { dense: unknowns <= SMALL, incomplete: false }
    }

    /// `H^+ g` to a relative residual.
    pub(super) fn solve<C: Curvature>(
        &mut self,
        curvature: &C,
        gradient: &[f64],
        gauge: &[u32],
        forcing: f64,
        stop: Stop<'_>,
    ) -> Result<Vec<f64>> {
        let n = gradient.len();
        if !self.dense && !self.incomplete {
            let limit = if n <= DENSE || curvature.is_sparse() { SLOW } else { LOST };
            let jacobi = |r: &[f64], z: &mut [f64]| {
                for ((z, r), d) in z.iter_mut().zip(r).zip(curvature.diagonal()) {
                    *z = if *d > 0.0 { r / d } else { 0.0 };
                }
            };
            let (step, done) = conjugate(curvature, gradient, jacobi, forcing, limit, stop)?;
            if done {
                return Ok(step);
            }
            (self.dense, self.incomplete) = (n <= DENSE, n > DENSE);
        }
        if self.dense {
            if let Some(factor) = Factor::new(curvature, gauge) {
                return Ok(factor.solve(gradient));
            }
            self.dense = false;
        }
        let preconditioner = curvature.incomplete().and_then(Incomplete::factored);
        let apply = |r: &[f64], z: &mut [f64]| match &preconditioner {
            Some(factor) => factor.solve(r, z),
            None => {
                for ((z, r), d) in z.iter_mut().zip(r).zip(curvature.diagonal()) {
                    *z = if *d > 0.0 { r / d } else { 0.0 };
                }
            }
        };
        conjugate(curvature, gradient, apply, forcing, LOST, stop).map(|(step, _)| step)
    }
}

/// Preconditioned conjugate gradients; whether the residual was reached within the limit.
///
/// A zero of `H` along a gauge does no harm: the right side has no part there.
fn conjugate<C: Curvature>(
    curvature: &C,
    right: &[f64],
    precondition: impl Fn(&[f64], &mut [f64]),
    forcing: f64,
    limit: usize,
    stop: Stop<'_>,
) -> Result<(Vec<f64>, bool)> {
    let n = right.len();
    let (mut x, mut r) = (vec![0.0; n], right.to_vec());
    let (mut z, mut product) = (vec![0.0; n], vec![0.0; n]);
    precondition(&r, &mut z);
    let mut p = z.clone();
    let mut rz = dot(&r, &z);
    let goal = forcing * largest(right);
    for k in 0..limit {
        if k % 16 == 0 {
            stop.check()?;
        }
        curvature.apply(&p, &mut product);
        let bend = dot(&p, &product);
        // at rounding level there is nothing left to divide by
        if !(bend > f64::EPSILON * dot(&p, &p) * f64::MIN_POSITIVE.sqrt() && bend.is_finite()) {
            return Ok((x, true));
        }
        let length = rz / bend;
        axpy(length, &p, &mut x);
        axpy(-length, &product, &mut r);
        if largest(&r) <= goal {
            return Ok((x, true));
        }
        precondition(&r, &mut z);
        let next = dot(&r, &z);
        let beta = next / rz;
        rz = next;
        for (p, z) in p.iter_mut().zip(&z) {
            *p = z + beta * *p;
        }
    }
    Ok((x, false))
}

/// A Cholesky factor of `H` plus the squares of its gauges.
pub(super) struct Factor {
    l: Vec<f64>,
}

impl Factor {
    /// `None` when `H` is singular beyond its gauges.
    pub(super) fn new<C: Curvature>(curvature: &C, gauge: &[u32]) -> Option<Self> {
        let n = gauge.len();
        let mut l = vec![0.0; n * n];
        curvature.add_to(&mut l);
        let groups = gauge.iter().filter(|g| **g != FREE).max().map_or(0, |g| *g as usize + 1);
        let (mut sizes, mut weights) = (vec![0.0; groups], vec![0.0; groups]);
        for ((g, d), _) in
            gauge.iter().zip(curvature.diagonal()).zip(0..).filter(|x| x.0.0 != &FREE)
        {
            sizes[*g as usize] += 1.0;
            weights[*g as usize] += d;
        }
        for i in 0..n {
            for j in (0..=i).filter(|j| gauge[i] != FREE && gauge[*j] == gauge[i]) {
                let (size, weight) = (sizes[gauge[i] as usize], weights[gauge[i] as usize]);
                // of the size of the matrix, so that neither part drowns in the other's rounding
                let mean = if weight > 0.0 { weight / size } else { 1.0 };
                l[i * n + j] += mean / size;
            }
        }
        cholesky(&mut l, n, None).then_some(Self { l })
    }

    /// `H^+ b` for a right side without a part along a gauge.
    pub(super) fn solve(&self, b: &[f64]) -> Vec<f64> {
        let mut x = b.to_vec();
        forward(&self.l, &mut x);
        backward(&self.l, &mut x);
        x
    }

    /// The lower factor.
    pub(super) fn lower(&self) -> &[f64] {
        &self.l
    }
}
