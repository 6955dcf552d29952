//! Which question says most about the pairs that will be ranked.

use super::acquire::{BLOCK, Belief, CHUNK, Pool, check_dims};
use super::likelihood::Answering;
use super::linalg::{mat_mul, quadratic_forms};
use super::views::check_within;
use crate::{Error, Result, parallel};

/// What an answer about each pair takes from the mean variance of target margins, `(m,)`.
///
/// `sum_g pi_g a d' S M S d / (1 + a v)` with `M` the second moments `mean_j t_j t_j'` of how the target
/// margins change with the user vector, `v = d' S d`, and `a` the Fisher information of one answer at
/// the pair's mean. However many targets there are, a pair costs two quadratic forms.
///
/// # Arguments
/// * `moments` - `(dim, dim)`, symmetric and positive semi-definite.
///
/// # Errors
/// [`Error::Shape`] when pool, moments and belief disagree on the dimension, [`Error::NotFinite`] or
/// [`Error::Range`].
///
/// Source: Yu, Bi and Tresp 2006.
pub fn target_gain(
    pool: Pool<'_>,
    moments: &[f64],
    belief: Belief<'_>,
    answering: Answering,
    threads: Option<usize>,
) -> Result<Vec<f64>> {
    check_dims(pool, belief)?;
    let (m, k) = (pool.offset.len(), pool.dim);
    if moments.len() != k * k {
        let got = format!("{} numbers", moments.len());
        return Err(Error::Shape { name: "moments", expected: format!("({k}, {k})"), got });
    }
    check_within("moments", moments)?;
    let reached: Vec<Vec<f64>> =
        (0..belief.weights.len()).map(|g| sandwich(belief.group(g).2, moments, k)).collect();
    let parts = parallel::map(m.div_ceil(CHUNK), threads, |chunk| {
        let (from, to) = (chunk * CHUNK, ((chunk + 1) * CHUNK).min(m));
        let mut out = vec![0.0; to - from];
        for (start, out) in (from..to).step_by(BLOCK).zip(out.chunks_mut(BLOCK)) {
            let pairs = pool.slice(start, start + out.len());
            for (g, reached) in reached.iter().enumerate() {
                let (weight, mean, covariance) = belief.group(g);
                let (means, variances) = pairs.margins(mean, covariance);
                let reached = quadratic_forms(pairs.delta, reached, k);
                let margins = means.iter().zip(variances).zip(reached);
                for (out, ((z, v), reached)) in out.iter_mut().zip(margins) {
                    let a = answering.information(*z);
                    *out += weight * a * reached / (1.0 + a * v);
                }
            }
        }
        out
    });
    Ok(parts.concat())
}

/// `S M S`.
fn sandwich(s: &[f64], moments: &[f64], k: usize) -> Vec<f64> {
    let (mut half, mut whole) = (vec![0.0; k * k], vec![0.0; k * k]);
    mat_mul(s, moments, &mut half, k, k, k, 0.0);
    mat_mul(&half, s, &mut whole, k, k, k, 0.0);
    whole
}

#[cfg(test)]
mod tests {
    use super::super::linalg::{dot, mat_vec};
    use super::*;

    fn numbers(count: usize, seed: u64) -> Vec<f64> {
        let mut stream = crate::rng::Stream::new(seed, 0);
        (0..count).map(|_| stream.normal()).collect()
    }

    #[test]
    fn gain_is_the_fall_of_the_mean_variance_of_the_targets() {
        let (m, k, count) = (CHUNK + 3, 20, 5);
        let (delta, offset, mean) = (numbers(m * k, 1), numbers(m, 2), numbers(k, 3));
        let (root, targets) = (numbers(k * k, 4), numbers(count * k, 5));
        let rows = |a: &[f64], i: usize| a[i * k..(i + 1) * k].to_vec();
        let covariance: Vec<f64> =
            (0..k * k).map(|at| dot(&rows(&root, at / k), &rows(&root, at % k))).collect();
        let moment = |at: usize| {
            targets.chunks_exact(k).map(|t| t[at / k] * t[at % k]).sum::<f64>() / count as f64
        };
        let moments: Vec<f64> = (0..k * k).map(moment).collect();
        let pool = Pool::new(k, &delta, &offset, None).expect("valid");
        let belief = Belief::new(k, &[1.0], &mean, &covariance).expect("valid");
        let answering = Answering::new(0.05, 0.3).expect("in range");
        let gains = target_gain(pool, &moments, belief, answering, Some(1)).expect("valid");
        assert_eq!(gains, target_gain(pool, &moments, belief, answering, Some(2)).expect("valid"));
        for row in [0, 255, 256, m - 1] {
            let d = rows(&delta, row);
            let image = mat_vec(&covariance, &d);
            let a = answering.information(offset[row] + dot(&d, &mean));
            let fall = |t: &[f64]| dot(t, &image).powi(2) * a / (1.0 + a * dot(&d, &image));
            let expected = targets.chunks_exact(k).map(fall).sum::<f64>() / count as f64;
            assert!((gains[row] - expected).abs() < 1e-10 * expected, "{row}");
        }
        let short = target_gain(pool, &moments[1..], belief, answering, None);
        assert!(matches!(short, Err(Error::Shape { name: "moments", .. })));
    }
}
