//! Placing people whose user vector lies on a simplex, in the logits of the weights.

use super::covariance::{factor_precision, unwhiten, whiten};
use super::likelihood::Answering;
use super::linalg::{axpy, backward, dot, forward, log_det, mat_t_vec, mat_vec};
use super::newton::{Margins, Stop, is_better, is_negligible};
use super::place::{PlaceOptions, Placement, Slot, check_dim, softmax};
use super::views::{Group, Person, Prior, Rows};
use crate::parallel;
use crate::{Error, Result};

const HALVINGS: usize = 50;

/// Laplace posterior of the logits `l` of weights `w = softmax(l)`, with `z = c + delta . w`.
///
/// Fisher scoring with a line search from the prior mean: rows are linearised at the current
/// estimate, `delta_eff = J delta` with `J = diag(w) - w w'`. Modes and covariances are in logits.
/// The prior must have one group.
///
/// # Errors
/// [`Error::Shape`] when dimensions disagree, [`Error::Range`] for options or several groups.
pub fn place_simplex(
    rows: Rows<'_>,
    prior: &Prior,
    answering: Answering,
    options: PlaceOptions,
) -> Result<Placement> {
    let stop = options.stop()?;
    check_dim(rows, prior)?;
    if prior.groups() != 1 {
        return Err(Error::range("weights", "one group", prior.groups()));
    }
    let mut out = Placement::new(rows.labels.people(), prior, options.covariance);
    parallel::each(out.slots(prior), options.threads, |slots| {
        for mut slot in slots {
            let rows = Margins { person: rows.person(slot.person), answering };
            place_one(rows, prior.group(0), stop, &mut slot);
        }
    });
    Ok(out)
}

fn place_one(rows: Margins<'_>, group: Group<'_>, stop: Stop, out: &mut Slot<'_>) {
    out.weights.fill(1.0);
    let (n, k) = (rows.person.target.len(), group.mean.len());
    if n == 0 {
        out.modes.copy_from_slice(group.mean);
        if !out.covariances.is_empty() {
            out.covariances.copy_from_slice(group.covariance);
        }
        *out.converged = true;
        return;
    }
    let mut u = vec![0.0; k];
    let mut at = Point::new(rows, group, &u);
    let (mut score, mut curvature) = (vec![0.0; n], vec![0.0; n]);
    let (mut scaled, mut factor) = (vec![0.0; n * k], vec![0.0; k * k]);
    let (mut iterations, mut converged) = (0, false);
    let norm = loop {
        let jacobian = at.jacobian(rows.person, group);
        rows.slopes(&at.z, &mut score, &mut curvature);
        factor_precision(&jacobian, &rows.roots(&at.z), &mut scaled, &mut factor);
        let mut gradient = mat_t_vec(&jacobian, &score, k);
        axpy(-1.0, &u, &mut gradient);
        let norm = dot(&gradient, &gradient).sqrt();
        let mut step = gradient.clone();
        forward(&factor, &mut step);
        backward(&factor, &mut step);
        let decrement = dot(&gradient, &step);
        if decrement <= stop.tolerance * stop.tolerance {
            converged = true;
            break norm;
        }
        if iterations == stop.max_iter {
            break norm;
        }
        iterations += 1;
        let Some((next_u, next)) = search(rows, group, &u, &at, &step, decrement) else {
            converged = is_negligible(decrement, at.objective);
            break norm;
        };
        (u, at) = (next_u, next);
    };
    *out.log_evidence = at.objective - 0.5 * log_det(&factor, k);
    out.modes.copy_from_slice(&at.logits);
    if !out.covariances.is_empty() {
        unwhiten(&factor, group, out.covariances);
    }
    *out.gradient = norm;
    *out.iterations = iterations;
    *out.converged = converged;
}

/// Logits, weights and margins at one whitened point.
struct Point {
    logits: Vec<f64>,
    weights: Vec<f64>,
    z: Vec<f64>,
    objective: f64,
}

impl Point {
    fn new(rows: Margins<'_>, group: Group<'_>, u: &[f64]) -> Self {
        let mut logits = mat_vec(group.factor, u);
        axpy(1.0, group.mean, &mut logits);
        let mut weights = logits.clone();
        softmax(&mut weights);
        let mut z = mat_vec(rows.person.x, &weights);
        axpy(1.0, rows.person.offset, &mut z);
        let objective = rows.log_likelihood(&z) - 0.5 * dot(u, u);
        Self { logits, weights, z, objective }
    }

    /// Derivative of the margins in the whitened logits, `(n, k)`.
    fn jacobian(&self, person: Person<'_>, group: Group<'_>) -> Vec<f64> {
        let mut rows = person.x.to_vec();
        for row in rows.chunks_exact_mut(self.weights.len()) {
            let mean = dot(row, &self.weights);
            row.iter_mut().zip(&self.weights).for_each(|(x, w)| *x = w * (*x - mean));
        }
        whiten(&rows, group, person.target.len())
    }
}

/// The first point on the line, halving from a full step, that is better.
fn search(
    rows: Margins<'_>,
    group: Group<'_>,
    u: &[f64],
    at: &Point,
    step: &[f64],
    decrement: f64,
) -> Option<(Vec<f64>, Point)> {
    let mut size = 1.0;
    for _ in 0..HALVINGS {
        let mut next_u = u.to_vec();
        axpy(size, step, &mut next_u);
        let next = Point::new(rows, group, &next_u);
        if is_better(next.objective, at.objective, size, decrement) {
            return Some((next_u, next));
        }
        size *= 0.5;
    }
    None
}
