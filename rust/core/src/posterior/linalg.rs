//! Dense linear algebra on row-major slices: dot, products, Cholesky factors and solves.

use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2, Axis};

/// Inner product, in eight partial sums so that it vectorises.
#[inline(always)]
#[allow(clippy::inline_always, reason = "part of wide functions")]
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = a8.remainder().iter().zip(b8.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in a8.zip(b8) {
        for (s, (p, q)) in sums.iter_mut().zip(x.iter().zip(y)) {
            *s += p * q;
        }
    }
    ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7])) + rest
}

/// `y += a x`.
pub(crate) fn axpy(a: f64, x: &[f64], y: &mut [f64]) {
    for (target, value) in y.iter_mut().zip(x) {
        *target += a * value;
    }
}

/// `y *= a`.
pub(super) fn scale(a: f64, y: &mut [f64]) {
    for value in y {
        *value *= a;
    }
}

/// `(n, k) (k,) -> (n,)`.
pub(crate) fn mat_vec(a: &[f64], x: &[f64]) -> Vec<f64> {
    if x.is_empty() {
        return Vec::new();
    }
    a.chunks_exact(x.len()).map(|row| dot(row, x)).collect()
}

/// `a' x`, `(n, k) (n,) -> (k,)`.
pub(super) fn mat_t_vec(a: &[f64], x: &[f64], k: usize) -> Vec<f64> {
    let mut out = vec![0.0; k];
    for (row, value) in a.chunks_exact(k).zip(x) {
        axpy(*value, row, &mut out);
    }
    out
}

/// `c = beta c + a b`, `(n, m) (m, k) -> (n, k)`.
pub(crate) fn mat_mul(
    a: &[f64],
    b: &[f64],
    c: &mut [f64],
    n: usize,
    m: usize,
    k: usize,
    beta: f64,
) {
    general_mat_mul(1.0, &view(a, n, m), &view(b, m, k), beta, &mut view_mut(c, n, k));
}

/// `c = beta c + a b'`, `(n, m) (k, m) -> (n, k)`.
pub(crate) fn mat_mul_t(
    a: &[f64],
    b: &[f64],
    c: &mut [f64],
    n: usize,
    m: usize,
    k: usize,
    beta: f64,
) {
    general_mat_mul(1.0, &view(a, n, m), &view(b, k, m).t(), beta, &mut view_mut(c, n, k));
}

/// `c = beta c + factor a' a`, `(n, k) -> (k, k)`.
pub(crate) fn gram(a: &[f64], c: &mut [f64], n: usize, k: usize, factor: f64, beta: f64) {
    let rows = view(a, n, k);
    general_mat_mul(factor, &rows.t(), &rows, beta, &mut view_mut(c, k, k));
}

/// Dimensions from which a quadratic form is worth splitting.
const SPLIT: usize = 16;

/// `row' matrix row` of every row of `a`, zero where rounding makes it negative: `(n, k)`, `(k, k) -> (n,)`.
///
/// What is below the diagonal of the matrix is folded onto what is above it by halves: three quarters of the
/// products of all rows and the matrix.
pub(crate) fn quadratic_forms(a: &[f64], matrix: &[f64], k: usize) -> Vec<f64> {
    let n = a.len() / k.max(1);
    let half = if k < SPLIT { 0 } else { k / 2 };
    let mut folded = matrix.to_vec();
    for i in 0..half {
        for j in half..k {
            folded[i * k + j] += matrix[j * k + i];
        }
    }
    let mut product = vec![0.0; n * k];
    let (rows, folded) = (view(a, n, k), view(&folded, k, k));
    let (mut near, mut far) = view_mut(&mut product, n, k).split_at(Axis(1), half);
    if half > 0 {
        let corner = folded.split_at(Axis(0), half).0.split_at(Axis(1), half).0;
        general_mat_mul(1.0, &rows.split_at(Axis(1), half).0, &corner, 0.0, &mut near);
    }
    general_mat_mul(1.0, &rows, &folded.split_at(Axis(1), half).1, 0.0, &mut far);
    let pairs = a.chunks_exact(k.max(1)).zip(product.chunks_exact(k.max(1)));
    pairs.map(|(row, image)| dot(row, image).max(0.0)).collect()
}

fn view(a: &[f64], n: usize, k: usize) -> ArrayView2<'_, f64> {
    ArrayView2::from_shape((n, k), a).expect("the caller passes n times k numbers")
}

fn view_mut(a: &mut [f64], n: usize, k: usize) -> ArrayViewMut2<'_, f64> {
    ArrayViewMut2::from_shape((n, k), a).expect("the caller passes n times k numbers")
}

/// Columns factored at once before the rest is updated by one matrix product.
const PANEL: usize = 64;

/// Lower Cholesky factor in place, `a = L L'`; only the lower triangle is read, the upper is zeroed.
///
/// With `floor`, pivots below it are raised to it: when `a = I + (positive semi-definite)` every
/// exact pivot is at least one, so `floor = 1` undoes rounding and never fails. Without it, a pivot
/// that is not above zero gives `false`.
pub(crate) fn cholesky(a: &mut [f64], n: usize, floor: Option<f64>) -> bool {
    let mut panel = Vec::new();
    let mut product = Vec::new();
    for start in (0..n).step_by(PANEL) {
        let end = (start + PANEL).min(n);
        if start > 0 {
            subtract_panel(a, n, start, end, &mut panel, &mut product);
        }
        for i in start..n {
            let (above, row) = a.split_at_mut(i * n);
            let row = &mut row[..n];
            for j in start..end.min(i) {
                let other = &above[(j * n)..=(j * n + j)];
                let sum = dot(&row[start..j], &other[start..j]);
                row[j] = (row[j] - sum) / other[j];
            }
            if i < end {
                let mut pivot = row[i] - dot(&row[start..i], &row[start..i]);
                if let Some(least) = floor {
                    pivot = pivot.max(least);
                }
                if !(pivot > 0.0 && pivot.is_finite()) {
                    return false;
                }
                row[i] = pivot.sqrt();
                row[i + 1..].fill(0.0);
            }
        }
    }
    true
}

/// `a[start.., start..end] -= L[start.., ..start] L[start..end, ..start]'`.
fn subtract_panel(
    a: &mut [f64],
    n: usize,
    start: usize,
    end: usize,
    panel: &mut Vec<f64>,
    product: &mut Vec<f64>,
) {
    panel.clear();
    for row in a[start * n..].chunks_exact(n) {
        panel.extend_from_slice(&row[..start]);
    }
    let (rows, width) = (n - start, end - start);
    product.resize(rows * width, 0.0);
    mat_mul_t(panel, &panel[..width * start], product, rows, start, width, 0.0);
    for (row, update) in a[start * n..].chunks_exact_mut(n).zip(product.chunks_exact(width)) {
        axpy(-1.0, update, &mut row[start..end]);
    }
}

/// Lower Cholesky factor of `I + Y' Y` by plane rotations, row by row of `Y` `(n, k)`.
///
/// Slower than [`cholesky`] of the product but works on square roots: exact to rounding even when
/// `Y' Y` exceeds the identity by more than the sixteen digits of a product.
///
/// Source: Golub and Van Loan 2013, section 6.5.2 (updating a QR factorisation).
pub(super) fn rotate_in(y: &[f64], l: &mut [f64], k: usize) {
    l.fill(0.0);
    (0..k).for_each(|i| l[i * k + i] = 1.0);
    for row in y.chunks_exact(k) {
        let mut x = row.to_vec();
        for j in 0..k {
            if x[j] == 0.0 {
                continue;
            }
            let r = l[j * k + j].hypot(x[j]);
            let (c, s) = (l[j * k + j] / r, x[j] / r);
            for i in j..k {
                let old = l[i * k + j];
                l[i * k + j] = c * old + s * x[i];
                x[i] = c * x[i] - s * old;
            }
        }
    }
}

/// `L^{-1} b` in place.
pub(crate) fn forward(l: &[f64], b: &mut [f64]) {
    let n = b.len();
    for i in 0..n {
        let row = &l[i * n..=i * n + i];
        b[i] = (b[i] - dot(&row[..i], &b[..i])) / row[i];
    }
}

/// `L^{-T} b` in place.
pub(crate) fn backward(l: &[f64], b: &mut [f64]) {
    let n = b.len();
    for i in (0..n).rev() {
        let row = &l[i * n..=i * n + i];
        b[i] /= row[i];
        let value = b[i];
        axpy(-value, &row[..i], &mut b[..i]);
    }
}

/// `L^{-1} B` in place for `B` `(n, k)`.
pub(crate) fn forward_rows(l: &[f64], b: &mut [f64], n: usize, k: usize) {
    for i in 0..n {
        let (above, row) = b.split_at_mut(i * k);
        let row = &mut row[..k];
        for j in 0..i {
            axpy(-l[i * n + j], &above[j * k..(j + 1) * k], row);
        }
        let inverse = 1.0 / l[i * n + i];
        scale(inverse, row);
    }
}

/// `2 sum log L_ii`.
pub(super) fn log_det(l: &[f64], n: usize) -> f64 {
    2.0 * (0..n).map(|i| l[i * n + i].ln()).sum::<f64>()
}

/// `L'` as a full matrix.
pub(super) fn transpose(a: &[f64], n: usize, k: usize) -> Vec<f64> {
    let mut out = vec![0.0; n * k];
    for i in 0..n {
        for j in 0..k {
            out[j * n + i] = a[i * k + j];
        }
    }
    out
}

/// Makes the matrix symmetric to the bit, by averaging with its transpose.
pub(crate) fn symmetrise(a: &mut [f64], n: usize) {
    for i in 0..n {
        for j in 0..i {
            let mean = 0.5 * (a[i * n + j] + a[j * n + i]);
            a[i * n + j] = mean;
            a[j * n + i] = mean;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(n: usize, k: usize) -> Vec<f64> {
        (0..n * k).map(|i| ((i * 7919 + 13) % 101) as f64 / 50.0 - 1.0).collect()
    }

    #[test]
    fn cholesky_rebuilds_the_matrix_across_panels() {
        for n in [1, 2, 5, 63, 64, 65, 150] {
            let x = sample(n, n + 3);
            let mut a = vec![0.0; n * n];
            mat_mul_t(&x, &x, &mut a, n, n + 3, n, 0.0);
            (0..n).for_each(|i| a[i * n + i] += 1.0);
            let mut l = a.clone();
            assert!(cholesky(&mut l, n, None));
            let mut back = vec![0.0; n * n];
            mat_mul_t(&l, &l, &mut back, n, n, n, 0.0);
            for (p, q) in a.iter().zip(&back) {
                assert!((p - q).abs() < 1e-9 * n as f64, "n = {n}");
            }
            let b = sample(n, 1);
            let mut solved = b.clone();
            forward(&l, &mut solved);
            backward(&l, &mut solved);
            for (p, q) in mat_vec(&a, &solved).iter().zip(&b) {
                assert!((p - q).abs() < 1e-8);
            }
        }
    }

    #[test]
    fn cholesky_refuses_an_indefinite_matrix_and_the_floor_repairs_rounding() {
        let mut a = vec![1.0, 2.0, 2.0, 1.0];
        assert!(!cholesky(&mut a.clone(), 2, None));
        assert!(cholesky(&mut a, 2, Some(1.0)));
        let mut duplicated = vec![1.0 + 1e20; 4];
        assert!(cholesky(&mut duplicated, 2, Some(1.0)));
    }

    #[test]
    fn rotations_agree_with_cholesky() {
        let (n, k) = (4, 3);
        let y = sample(n, k);
        let mut product = vec![0.0; k * k];
        gram(&y, &mut product, n, k, 1.0, 0.0);
        (0..k).for_each(|i| product[i * k + i] += 1.0);
        assert!(cholesky(&mut product, k, None));
        let mut rotated = vec![0.0; k * k];
        rotate_in(&y, &mut rotated, k);
        for (p, q) in product.iter().zip(&rotated) {
            assert!((p - q).abs() < 1e-13);
        }
    }

    #[test]
    fn forward_rows_solves_every_column() {
        let l = vec![2.0, 0.0, 1.0, 4.0];
        let mut b = vec![2.0, 4.0, 5.0, 6.0];
        forward_rows(&l, &mut b, 2, 2);
        assert_eq!(b, vec![1.0, 2.0, 1.0, 1.0]);
    }
}
