//! Parameters of the urn and of Mallows' model.

use crate::rng::Stream;

/// A draw from the gamma distribution of shape 0.8 and scale 1 (Marsaglia and Tsang 2000).
pub(crate) fn gamma(stream: &mut Stream) -> f64 {
    const SHAPE: f64 = 0.8;
    let d = SHAPE + 1.0 - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    let raised = loop {
        let x = stream.normal();
        let v = (1.0 + c * x).powi(3);
        let u = 1.0 - stream.uniform();
        if v > 0.0 && libm::log(u) < 0.5 * x * x + d - d * v + d * libm::log(v) {
            break d * v;
        }
    };
    raised * libm::pow(1.0 - stream.uniform(), 1.0 / SHAPE) // from shape + 1 down to shape
}

/// The expected number of pairs on which a Mallows order disagrees with its centre.
#[must_use]
pub fn expected_distance(phi: f64, items: usize) -> f64 {
    if phi <= 0.0 {
        return 0.0;
    }
    let x = -libm::log(phi);
    // The i-th insertion moves up by a geometric number cut at i - 1, whose mean this is.
    (1..=items)
        .map(|i| {
            let i = i as f64;
            if i * x < 1e-4 {
                (i - 1.0) / 2.0 - (i * i - 1.0) * x / 12.0
            } else {
                1.0 / libm::expm1(x) - i / libm::expm1(i * x)
            }
        })
        .sum()
}

/// The `phi` whose expected distance is `norm` times `items (items - 1) / 4`.
#[must_use]
pub fn phi_of_norm(norm: f64, items: usize) -> f64 {
    if norm <= 0.0 || norm >= 1.0 {
        return norm.clamp(0.0, 1.0);
    }
    let wanted = norm * (items * (items - 1)) as f64 / 4.0;
    let (mut low, mut high) = (0.0, 1.0);
    while high - low > 1e-12 {
        let middle = f64::midpoint(low, high);
        if expected_distance(middle, items) < wanted {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_is_the_closed_form_and_its_inverse_is_one() {
        assert!((expected_distance(1.0, 10) - 22.5).abs() < 1e-9);
        let direct: f64 = {
            let phi: f64 = 0.7;
            let sum: f64 = (1..=8).map(|j| f64::from(j) * phi.powi(j) / (1.0 - phi.powi(j))).sum();
            8.0 * phi / (1.0 - phi) - sum
        };
        assert!((expected_distance(0.7, 8) - direct).abs() < 1e-10);
        let phi = phi_of_norm(0.5, 10);
        assert!((expected_distance(phi, 10) - 11.25).abs() < 1e-6);
        assert_eq!((phi_of_norm(0.0, 4), phi_of_norm(1.0, 4)), (0.0, 1.0));
        assert!(phi_of_norm(0.5, 1).is_finite());
    }

    #[test]
    fn the_urn_parameter_has_the_mean_of_its_distribution() {
        let mean = (0..20_000).map(|s| gamma(&mut Stream::new(s, 0))).sum::<f64>() / 20_000.0;
        assert!((mean - 0.8).abs() < 0.03, "{mean}");
    }
}
