//! From a factored posterior precision to a covariance, without losing definiteness.

use super::linalg::{
    cholesky, forward_rows, gram, mat_mul, rotate_in, scale, symmetrise, transpose,
};
use super::newton::{Fit, Space};
use super::views::{Group, Person};

/// Row weight times prior variance above which `S - V'V` would lose too many digits.
const DUAL_PEAK: f64 = 1e4;
/// Entry of the whitened precision above which the identity would be lost beside it.
pub(super) const ROTATE_PEAK: f64 = 1e9;

/// `X L`, `(n, k)`.
pub(super) fn whiten(x: &[f64], group: Group<'_>, n: usize) -> Vec<f64> {
    let k = group.mean.len();
    let mut whitened = vec![0.0; n * k];
    mat_mul(x, group.factor, &mut whitened, n, k, k, 0.0);
    whitened
}

/// Cholesky factor of `I + Y' R^2 Y` into `factor`; `scaled` is room for `R Y`.
pub(super) fn factor_precision(y: &[f64], root: &[f64], scaled: &mut [f64], factor: &mut [f64]) {
    let n = root.len();
    let k = y.len() / n.max(1);
    let rows = scaled.chunks_exact_mut(k).zip(y.chunks_exact(k));
    for ((out, row), r) in rows.zip(root) {
        out.iter_mut().zip(row).for_each(|(o, v)| *o = r * v);
    }
    gram(scaled, factor, n, k, 1.0, 0.0);
    if (0..k).any(|i| factor[i * k + i] > ROTATE_PEAK) {
        return rotate_in(scaled, factor, k);
    }
    (0..k).for_each(|i| factor[i * k + i] += 1.0);
    cholesky(factor, k, Some(1.0));
}

/// `L H^{-1} L'` from the factor of the whitened precision `H`; positive semi-definite as computed.
pub(super) fn unwhiten(factor: &[f64], group: Group<'_>, out: &mut [f64]) {
    let k = group.mean.len();
    let mut half = transpose(group.factor, k, k);
    forward_rows(factor, &mut half, k, k);
    gram(&half, out, k, k, 1.0, 0.0);
    symmetrise(out, k);
}

impl Fit {
    /// Writes the Laplace covariance `(k, k)`, symmetric to the bit.
    pub(super) fn covariance(&self, person: Person<'_>, group: Group<'_>, out: &mut [f64]) {
        let (n, k) = (self.root.len(), group.mean.len());
        match &self.space {
            Space::Prior => out.copy_from_slice(group.covariance),
            Space::Primal { factor } => unwhiten(factor, group, out),
            Space::Dual { peak, .. } if *peak > DUAL_PEAK => {
                let whitened = whiten(person.x, group, n);
                let (mut scaled, mut factor) = (vec![0.0; n * k], vec![0.0; k * k]);
                factor_precision(&whitened, &self.root, &mut scaled, &mut factor);
                unwhiten(&factor, group, out);
            }
            Space::Dual { factor, xs, .. } => {
                let mut half = scale_rows(xs, &self.root, k);
                forward_rows(factor, &mut half, n, k);
                out.copy_from_slice(group.covariance);
                gram(&half, out, n, k, -1.0, 1.0);
                symmetrise(out, k);
            }
        }
    }

    /// Rows `U` `(n, k)` with `covariance = S - S U' U S`, if the fit is dual and that is accurate.
    pub(super) fn reduction(&self, person: Person<'_>) -> Option<Vec<f64>> {
        let Space::Dual { factor, peak, .. } = &self.space else { return None };
        if *peak > DUAL_PEAK {
            return None;
        }
        let k = self.mode.len();
        let mut rows = scale_rows(person.x, &self.root, k);
        forward_rows(factor, &mut rows, self.root.len(), k);
        Some(rows)
    }
}

fn scale_rows(x: &[f64], root: &[f64], k: usize) -> Vec<f64> {
    let mut out = x.to_vec();
    for (row, r) in out.chunks_exact_mut(k).zip(root) {
        scale(*r, row);
    }
    out
}
