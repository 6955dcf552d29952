//! Posterior weights of candidate user vectors, for margins of any shape.

use super::likelihood::Answering;
use super::place::softmax;
use super::views::{Labels, check_within};
use crate::parallel;
use crate::{Error, Result};

/// Posterior over candidates of many people.
#[derive(Debug, Clone, Default)]
pub struct ParticleFit {
    /// `(p, c)`, rows sum to one.
    pub weights: Vec<f64>,
    /// `(p,)`.
    pub log_evidence: Vec<f64>,
}

const CHUNK: usize = 4;

/// Weights every candidate by prior times likelihood.
///
/// `margins` is `(n, c)`: the margin of every row under every candidate. `log_prior` is `(c,)`, not
/// necessarily normalised; minus infinity excludes a candidate. The log evidence is relative to the
/// normalised prior.
///
/// # Errors
/// [`Error::Shape`], [`Error::NotFinite`], or [`Error::Range`] when every candidate is excluded.
pub fn place_particles(
    margins: &[f64],
    labels: Labels<'_>,
    log_prior: &[f64],
    answering: Answering,
    threads: Option<usize>,
) -> Result<ParticleFit> {
    let (n, c) = (labels.target.len(), log_prior.len());
    if margins.len() != n * c {
        let got = format!("{} numbers", margins.len());
        return Err(Error::Shape { name: "margins", expected: format!("({n}, {c})"), got });
    }
    check_within("margins", margins)?;
    if let Some(index) = log_prior.iter().position(|x| x.is_nan() || *x == f64::INFINITY) {
        return Err(Error::NotFinite { name: "log_weights", index });
    }
    if !log_prior.iter().any(|x| x.is_finite()) {
        return Err(Error::range("log_weights", "at least one finite number", "none"));
    }
    let mut prior = log_prior.to_vec();
    softmax(&mut prior);
    let people = labels.people();
    let parts = parallel::map(people.div_ceil(CHUNK), threads, |chunk| {
        let mut part = ParticleFit::default();
        for person in chunk * CHUNK..((chunk + 1) * CHUNK).min(people) {
            let rows = labels.starts[person]..labels.starts[person + 1];
            if rows.is_empty() {
                part.weights.extend_from_slice(&prior);
                part.log_evidence.push(0.0);
                continue;
            }
            let from = part.weights.len();
            part.weights.extend(prior.iter().map(|p| p.ln()));
            let total = &mut part.weights[from..];
            for row in rows {
                let (target, weight) = (labels.target[row], labels.weight[row]);
                for (sum, z) in total.iter_mut().zip(&margins[row * c..(row + 1) * c]) {
                    *sum += weight * answering.log_likelihood(*z, target);
                }
            }
            part.log_evidence.push(softmax(total));
        }
        part
    });
    let mut all = ParticleFit::default();
    for part in parts {
        all.weights.extend(part.weights);
        all.log_evidence.extend(part.log_evidence);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_candidates_by_hand() {
        let answering = Answering::new(0.0, 0.0).expect("in range");
        let labels = Labels::new(&[1.0], &[1.0], &[0, 1, 1]).expect("valid");
        let margins = [3.0_f64.ln(), 0.0]; // P(left) is 3/4 and 1/2
        let fit = place_particles(&margins, labels, &[0.0, 0.0], answering, None).expect("valid");
        assert!((fit.weights[0] - 0.6).abs() < 1e-14);
        assert!((fit.log_evidence[0] - 0.625_f64.ln()).abs() < 1e-14);
        assert_eq!(&fit.weights[2..], &[0.5, 0.5]);
    }

    #[test]
    fn far_candidates_do_not_underflow_together() {
        let answering = Answering::new(0.0, 0.0).expect("in range");
        let labels = Labels::new(&[1.0], &[1.0], &[0, 1]).expect("valid");
        let fit = place_particles(&[-1e6, -1e6 - 1.0], labels, &[0.0, 0.0], answering, None);
        let weights = fit.expect("valid").weights;
        assert!((weights[0] - 1.0 / (1.0 + (-1.0_f64).exp())).abs() < 1e-9);
    }
}
