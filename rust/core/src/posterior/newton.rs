//! Damped Newton for one person and one Gaussian of the prior, in the smaller of two spaces.
//!
//! Steps use the second derivative of the log-likelihood, raised to zero where lapses make it
//! negative, so that every step ascends; the covariance and the evidence use the Fisher information,
//! which is never negative. The two agree when there are no lapses and no ties.

use super::covariance::{ROTATE_PEAK, factor_precision, whiten};
use super::likelihood::Answering;
use super::linalg::{
    axpy, backward, cholesky, dot, forward, log_det, mat_mul, mat_mul_t, mat_t_vec, mat_vec,
    symmetrise,
};
use super::variational::refine;
use super::views::{Group, Person};

/// Which Gaussian stands for the posterior of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// At the mode, with the curvature there.
    Laplace,
    /// The one nearest in relative entropy; several times slower.
    Variational,
}

/// When to stop.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stop {
    pub(super) max_iter: usize,
    /// Length of the remaining step in posterior standard deviations.
    pub(super) tolerance: f64,
}

/// Where a person lies under one Gaussian of the prior.
#[derive(Debug, Clone)]
pub(super) struct Fit {
    /// `(k,)`.
    pub(super) mode: Vec<f64>,
    /// Laplace approximation of the log marginal likelihood.
    pub(super) log_evidence: f64,
    /// Norm of the gradient after whitening by the prior.
    pub(super) gradient: f64,
    pub(super) iterations: usize,
    pub(super) converged: bool,
    /// Square root of the Fisher weight of every row at the mode, `(n,)`.
    pub(super) root: Vec<f64>,
    pub(super) space: Space,
}

/// The factored posterior precision.
#[derive(Debug, Clone)]
pub(super) enum Space {
    /// No rows: the posterior is the prior.
    Prior,
    /// Rows: the factor of `I + R X S X' R`, `(n, n)`, `R` the diagonal of `root`, and `X S`.
    Dual { factor: Vec<f64>, xs: Vec<f64>, peak: f64 },
    /// Whitened user space: the factor of `I + L' X' R^2 X L`, `(k, k)`.
    Primal { factor: Vec<f64> },
}

/// Halvings of a step before giving up.
const HALVINGS: usize = 50;
/// The longest step that is tried first where lapses make the likelihood curve the other way.
const LONGEST: f64 = 64.0;

/// Mean, evidence and factored precision, by the method asked for.
pub(super) fn fit_by(
    method: Method,
    person: Person<'_>,
    group: Group<'_>,
    answering: Answering,
    stop: Stop,
    xs: Option<Vec<f64>>,
) -> Fit {
    let fitted = fit(person, group, answering, stop, xs);
    match method {
        Method::Laplace => fitted,
        Method::Variational => refine(Margins { person, answering }, group, stop, fitted),
    }
}

/// Mode, evidence and factored precision by damped Newton from the prior mean.
///
/// `xs` may hold `X S` `(n, k)` if the caller already has it.
///
/// Source: Rasmussen and Williams 2006, algorithm 3.1, with a prior mean, row weights and a line
/// search; the same iteration in the whitened user space when rows outnumber dimensions.
fn fit(
    person: Person<'_>,
    group: Group<'_>,
    answering: Answering,
    stop: Stop,
    xs: Option<Vec<f64>>,
) -> Fit {
    let (n, k) = (person.target.len(), group.mean.len());
    if n == 0 {
        return Fit {
            mode: group.mean.to_vec(),
            log_evidence: 0.0,
            gradient: 0.0,
            iterations: 0,
            converged: true,
            root: Vec::new(),
            space: Space::Prior,
        };
    }
    let mut z = mat_vec(person.x, group.mean);
    axpy(1.0, person.offset, &mut z);
    let rows = Margins { person, answering };
    if n < k {
        let xs = xs.unwrap_or_else(|| {
            let mut xs = vec![0.0; n * k];
            mat_mul(person.x, group.covariance, &mut xs, n, k, k, 0.0);
            xs
        });
        let prior_variances = xs.chunks_exact(k).zip(person.x.chunks_exact(k));
        let peak = prior_variances
            .zip(person.weight)
            .fold(0.0_f64, |most, ((image, row), weight)| most.max(weight * dot(image, row)));
        if peak > ROTATE_PEAK {
            return fit_primal(rows, group, stop, &z);
        }
        fit_dual(rows, group, stop, xs, &z)
    } else {
        fit_primal(rows, group, stop, &z)
    }
}

/// The rows of a person as functions of their margins.
#[derive(Clone, Copy)]
pub(super) struct Margins<'a> {
    pub(super) person: Person<'a>,
    pub(super) answering: Answering,
}

impl Margins<'_> {
    pub(super) fn log_likelihood(&self, z: &[f64]) -> f64 {
        let labels = self.person.target.iter().zip(self.person.weight);
        z.iter().zip(labels).map(|(z, (t, w))| w * self.answering.log_likelihood(*z, *t)).sum()
    }

    /// Weighted first derivatives and minus the second, which lapses can make negative.
    fn derivatives(&self, z: &[f64], score: &mut [f64], bend: &mut [f64]) {
        let labels = self.person.target.iter().zip(self.person.weight);
        let out = score.iter_mut().zip(bend);
        for ((z, (t, w)), (s, b)) in z.iter().zip(labels).zip(out) {
            let (first, second) = self.answering.derivatives(*z, *t);
            (*s, *b) = (w * first, w * second);
        }
    }

    /// Weighted first derivatives and curvatures.
    pub(super) fn slopes(&self, z: &[f64], score: &mut [f64], curvature: &mut [f64]) {
        let labels = self.person.target.iter().zip(self.person.weight);
        let out = score.iter_mut().zip(curvature);
        for ((z, (t, w)), (s, c)) in z.iter().zip(labels).zip(out) {
            let slope = self.answering.slope(*z, *t);
            *s = w * slope.score;
            *c = w * slope.curvature;
        }
    }

    /// Square roots of the weighted Fisher information.
    pub(super) fn roots(&self, z: &[f64]) -> Vec<f64> {
        let weights = self.person.weight;
        z.iter().zip(weights).map(|(z, w)| (w * self.answering.information(*z)).sqrt()).collect()
    }
}

/// A direction of ascent and the penalty along it: `quadratic + 2 s cross + s^2 square`, halved.
pub(super) struct Direction {
    pub(super) step: Vec<f64>,
    /// Change of the margins, `(n,)`.
    pub(super) shift: Vec<f64>,
    /// Gradient times step: the squared length of the step in posterior standard deviations.
    pub(super) decrement: f64,
    /// Norm of the whitened gradient.
    pub(super) gradient: f64,
    pub(super) quadratic: f64,
    pub(super) cross: f64,
    pub(super) square: f64,
}

/// The metric of the penalty on a point: its own squares, or those through the kernel.
#[derive(Clone, Copy, PartialEq)]
enum Metric {
    Plain,
    Kernel,
}

impl Direction {
    /// The step in the metric of the penalty: times another vector, their inner product.
    fn pull(&self, metric: Metric) -> &[f64] {
        match metric {
            Metric::Plain => &self.step,
            Metric::Kernel => &self.shift,
        }
    }

    /// How fast the objective rises along the step, from a point with this score of its rows.
    fn rise(&self, metric: Metric, point: &[f64], score: &[f64]) -> f64 {
        dot(score, &self.shift) - dot(point, self.pull(metric))
    }
}

/// A step that was taken where the likelihood curved the other way.
struct Taken {
    point: Vec<f64>,
    score: Vec<f64>,
    direction: Direction,
    decrement: f64,
    /// Steps before it that it is conjugate to.
    age: usize,
}

/// Where the climb ended.
pub(super) struct Climb {
    pub(super) point: Vec<f64>,
    pub(super) z: Vec<f64>,
    /// Penalised log-likelihood, up to a constant.
    pub(super) objective: f64,
    pub(super) gradient: f64,
    pub(super) iterations: usize,
    pub(super) converged: bool,
}

/// Climbs from the point 0, where the penalty is zero, halving every step until the objective rises.
///
/// `direction` gets the point, its margins, and score and curvature of every row. Where lapses make a
/// row curve the other way its curvature counts as zero, which makes steps too short, the more of the
/// precision such rows take away, the shorter; there steps are conjugate to those before, as many as there are
/// such rows, and first tried as long as the true curvature along them says.
///
/// Source: Nocedal and Wright 2006, section 5.2, the preconditioned Polak-Ribiere+ iteration.
fn climb(
    rows: Margins<'_>,
    stop: Stop,
    z0: &[f64],
    (dim, metric): (usize, Metric),
    mut direction: impl FnMut(&[f64], &[f64], &[f64], &[f64]) -> Direction,
) -> Climb {
    let n = z0.len();
    let (mut score, mut bend, mut trial) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
    let mut curvature = vec![0.0; n];
    let mut last: Option<Taken> = None;
    let mut at = Climb {
        point: vec![0.0; dim],
        z: z0.to_vec(),
        objective: rows.log_likelihood(z0),
        gradient: 0.0,
        iterations: 0,
        converged: false,
    };
    loop {
        rows.derivatives(&at.z, &mut score, &mut bend);
        curvature.iter_mut().zip(&bend).for_each(|(c, b)| *c = b.max(0.0));
        let mut d = direction(&at.point, &at.z, &score, &curvature);
        let decrement = d.decrement;
        at.gradient = d.gradient;
        if decrement <= stop.tolerance * stop.tolerance {
            at.converged = true;
            return at;
        }
        if at.iterations == stop.max_iter {
            return at;
        }
        at.iterations += 1;
        let bent = bend.iter().filter(|b| **b < 0.0).count();
        let mut size = 1.0;
        let mut age = 0;
        if bent > 0 {
            if let Some(before) = last.take().filter(|before| before.age < bent) {
                age = before.age + 1;
                d = conjugate(d, &before, metric, &at.point, &score);
            }
            let along: f64 = bend.iter().zip(&d.shift).map(|(b, s)| b * s * s).sum();
            let along = along + d.square;
            size = if along > 0.0 { (d.decrement / along).min(LONGEST) } else { 1.0 };
        }
        let mut next = f64::NEG_INFINITY;
        for _ in 0..HALVINGS {
            trial.copy_from_slice(&at.z);
            axpy(size, &d.shift, &mut trial);
            let penalty = 0.5 * d.quadratic + size * d.cross + 0.5 * size * size * d.square;
            next = rows.log_likelihood(&trial) - penalty;
            if is_better(next, at.objective, size, d.decrement) {
                break;
            }
            size *= 0.5;
        }
        if !is_better(next, at.objective, size, d.decrement) {
            at.converged = is_negligible(decrement, at.objective);
            return at;
        }
        let point = (bent > 0).then(|| at.point.clone());
        axpy(size, &d.step, &mut at.point);
        std::mem::swap(&mut at.z, &mut trial);
        at.objective = next;
        last =
            point.map(|point| Taken { point, score: score.clone(), direction: d, decrement, age });
    }
}

/// A step with so much of the one before that the gradients of both have nothing in common; alone where
/// that would not rise. Its `decrement` is how fast the objective rises along it.
fn conjugate(
    d: Direction,
    before: &Taken,
    metric: Metric,
    point: &[f64],
    score: &[f64],
) -> Direction {
    let common = d.rise(metric, &before.point, &before.score);
    let share = (d.decrement - common) / before.decrement;
    if !(share > 0.0 && share.is_finite()) {
        return d;
    }
    let (mut step, mut shift) = (d.step.clone(), d.shift.clone());
    axpy(share, &before.direction.step, &mut step);
    axpy(share, &before.direction.shift, &mut shift);
    let mut both = Direction { step, shift, ..d };
    both.decrement = both.rise(metric, point, score);
    if both.decrement <= 0.0 {
        return d;
    }
    both.cross = dot(point, both.pull(metric));
    both.square = dot(&both.step, both.pull(metric));
    both
}

/// A point on the search line is taken when it gains a share of what the slope promises; the last
/// term forgives rounding.
pub(super) fn is_better(next: f64, now: f64, size: f64, decrement: f64) -> bool {
    next >= now + 1e-4 * size * decrement - 1e-13 * (1.0 + now.abs())
}

/// Whether a squared Newton decrement is within rounding of the objective.
pub(super) fn is_negligible(decrement: f64, objective: f64) -> bool {
    decrement <= 1e-10 * (1.0 + objective.abs())
}

/// Newton in `alpha`, where `w = mu + S X' alpha`, `z = z0 + K alpha` and `K = X S X'`.
fn fit_dual(rows: Margins<'_>, group: Group<'_>, stop: Stop, xs: Vec<f64>, z0: &[f64]) -> Fit {
    let (n, k) = (z0.len(), group.mean.len());
    let mut kernel = vec![0.0; n * n];
    mat_mul_t(&xs, rows.person.x, &mut kernel, n, k, n, 0.0);
    symmetrise(&mut kernel, n);
    let mut factor = vec![0.0; n * n];
    let at = climb(rows, stop, z0, (n, Metric::Kernel), |alpha, z, score, curvature| {
        let slack: Vec<f64> = score.iter().zip(alpha).map(|(s, a)| s - a).collect();
        let lifted = mat_vec(&kernel, &slack);
        // (K^{-1} + C)^{-1} slack = K (slack - R B^{-1} R K slack), B = I + R K R, C = R R
        let root: Vec<f64> = curvature.iter().map(|c| c.sqrt()).collect();
        scale_kernel(&kernel, &root, &mut factor);
        cholesky(&mut factor, n, Some(1.0));
        let mut inner: Vec<f64> = root.iter().zip(&lifted).map(|(r, l)| r * l).collect();
        forward(&factor, &mut inner);
        backward(&factor, &mut inner);
        let step: Vec<f64> =
            slack.iter().zip(root.iter().zip(&inner)).map(|(s, (r, i))| s - r * i).collect();
        let shift = mat_vec(&kernel, &step);
        Direction {
            decrement: dot(&slack, &shift),
            gradient: dot(&slack, &lifted).max(0.0).sqrt(),
            quadratic: alpha.iter().zip(z.iter().zip(z0)).map(|(a, (z, z0))| a * (z - z0)).sum(),
            cross: dot(alpha, &shift),
            square: dot(&step, &shift),
            step,
            shift,
        }
    });
    let root = rows.roots(&at.z);
    scale_kernel(&kernel, &root, &mut factor);
    cholesky(&mut factor, n, Some(1.0));
    let mut mode = mat_t_vec(&xs, &at.point, k);
    axpy(1.0, group.mean, &mut mode);
    let peak = (0..n).fold(0.0_f64, |m, i| m.max(root[i] * root[i] * kernel[i * n + i]));
    Fit {
        mode,
        log_evidence: at.objective - 0.5 * log_det(&factor, n),
        gradient: at.gradient,
        iterations: at.iterations,
        converged: at.converged,
        root,
        space: Space::Dual { factor, xs, peak },
    }
}

/// `I + R K R`.
pub(super) fn scale_kernel(kernel: &[f64], root: &[f64], out: &mut [f64]) {
    let n = root.len();
    for (i, (row, source)) in out.chunks_exact_mut(n).zip(kernel.chunks_exact(n)).enumerate() {
        for ((target, value), r) in row.iter_mut().zip(source).zip(root) {
            *target = root[i] * value * r;
        }
        row[i] += 1.0;
    }
}

/// Newton in `u`, where `w = mu + L u`, `z = z0 + X L u` and the prior of `u` is standard.
fn fit_primal(rows: Margins<'_>, group: Group<'_>, stop: Stop, z0: &[f64]) -> Fit {
    let (n, k) = (z0.len(), group.mean.len());
    let whitened = whiten(rows.person.x, group, n);
    let mut scaled = vec![0.0; n * k];
    let mut factor = vec![0.0; k * k];
    let at = climb(rows, stop, z0, (k, Metric::Plain), |u, _, score, curvature| {
        let mut gradient = mat_t_vec(&whitened, score, k);
        axpy(-1.0, u, &mut gradient);
        let root: Vec<f64> = curvature.iter().map(|c| c.sqrt()).collect();
        factor_precision(&whitened, &root, &mut scaled, &mut factor);
        let mut step = gradient.clone();
        forward(&factor, &mut step);
        backward(&factor, &mut step);
        Direction {
            shift: mat_vec(&whitened, &step),
            decrement: dot(&gradient, &step),
            gradient: dot(&gradient, &gradient).sqrt(),
            quadratic: dot(u, u),
            cross: dot(u, &step),
            square: dot(&step, &step),
            step,
        }
    });
    let root = rows.roots(&at.z);
    factor_precision(&whitened, &root, &mut scaled, &mut factor);
    let mut mode = mat_vec(group.factor, &at.point);
    axpy(1.0, group.mean, &mut mode);
    Fit {
        mode,
        log_evidence: at.objective - 0.5 * log_det(&factor, k),
        gradient: at.gradient,
        iterations: at.iterations,
        converged: at.converged,
        root,
        space: Space::Primal { factor },
    }
}
