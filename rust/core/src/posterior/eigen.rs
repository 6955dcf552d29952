//! Eigenvalues and vectors of a symmetric matrix, and clipping of its spectrum.

use super::linalg::{axpy, cholesky, dot, gram, scale, symmetrise};

/// Sweeps per eigenvalue before the iteration is left as it is; three are usual.
const SWEEPS: usize = 60;

/// Eigenvalues, in no particular order, and the matrix whose rows are the eigenvectors.
///
/// Householder reduction to tridiagonal form, then implicit QL; rotations act on contiguous rows.
/// Takes about `10 n^3` operations.
///
/// Source: Golub and Van Loan 2013, algorithms 8.3.1 and 8.3.3.
pub(super) fn eigen(matrix: &[f64], n: usize) -> (Vec<f64>, Vec<f64>) {
    let (mut diagonal, mut off, mut vectors) = tridiagonalise(matrix.to_vec(), n);
    implicit_ql(&mut diagonal, &mut off, &mut vectors, n);
    (diagonal, vectors)
}

/// Raises eigenvalues below `floor` to it and lowers those above `cap`, in place.
///
/// Two Cholesky factorisations tell whether anything has to change, which is the usual case's cost.
pub(super) fn clip_spectrum(matrix: &mut [f64], n: usize, floor: f64, cap: f64) {
    let mut low = matrix.to_vec();
    (0..n).for_each(|i| low[i * n + i] -= floor);
    let mut high: Vec<f64> = matrix.iter().map(|x| -x).collect();
    (0..n).for_each(|i| high[i * n + i] += cap);
    if cholesky(&mut low, n, None) && cholesky(&mut high, n, None) {
        return;
    }
    let (values, mut vectors) = eigen(matrix, n);
    for (row, value) in vectors.chunks_exact_mut(n).zip(&values) {
        let root = value.clamp(floor, cap).sqrt();
        scale(root, row);
    }
    gram(&vectors, matrix, n, n, 1.0, 0.0);
    symmetrise(matrix, n);
}

/// `Q' A Q = T`: the diagonal, the subdiagonal (last entry zero) and `Q'`.
fn tridiagonalise(mut a: Vec<f64>, n: usize) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let mut vectors = vec![0.0; n * n];
    (0..n).for_each(|i| vectors[i * n + i] = 1.0);
    let mut off = vec![0.0; n];
    let mut p = vec![0.0; n];
    let mut total = vec![0.0; n];
    for k in 0..n.saturating_sub(1) {
        let mut v: Vec<f64> = a[k * n + k + 1..(k + 1) * n].to_vec();
        let largest = v.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
        let rest = v[1..].iter().fold(0.0_f64, |m, x| m.max(x.abs()));
        if rest == 0.0 {
            off[k] = v[0];
            continue;
        }
        scale(1.0 / largest, &mut v);
        let norm = dot(&v, &v).sqrt();
        let target = if v[0] > 0.0 { -norm } else { norm };
        off[k] = target * largest;
        v[0] -= target;
        let beta = 2.0 / dot(&v, &v);
        let (m, from) = (v.len(), k + 1);
        for i in 0..m {
            p[i] = beta * dot(&a[(from + i) * n + from..(from + i + 1) * n], &v);
        }
        let half = 0.5 * beta * dot(&p[..m], &v);
        axpy(-half, &v, &mut p[..m]);
        for i in 0..m {
            let row = &mut a[(from + i) * n + from..(from + i + 1) * n];
            for ((x, vj), pj) in row.iter_mut().zip(&v).zip(&p) {
                *x -= v[i] * pj + p[i] * vj;
            }
        }
        total.fill(0.0);
        for (i, vi) in v.iter().enumerate() {
            axpy(*vi, &vectors[(from + i) * n..(from + i + 1) * n], &mut total);
        }
        for (i, vi) in v.iter().enumerate() {
            axpy(-beta * vi, &total, &mut vectors[(from + i) * n..(from + i + 1) * n]);
        }
    }
    ((0..n).map(|i| a[i * n + i]).collect(), off, vectors)
}

/// Diagonalises a tridiagonal matrix in place, turning the rows of `vectors` along.
fn implicit_ql(d: &mut [f64], e: &mut [f64], vectors: &mut [f64], n: usize) {
    for l in 0..n {
        for _ in 0..SWEEPS {
            let m = (l..n - 1)
                .find(|&m| e[m].abs() <= f64::EPSILON * (d[m].abs() + d[m + 1].abs()))
                .unwrap_or(n - 1);
            if m == l {
                break;
            }
            let mut g = (d[l + 1] - d[l]) / (2.0 * e[l]);
            let r = g.hypot(1.0);
            g = d[m] - d[l] + e[l] / (g + r.copysign(g));
            let (mut s, mut c, mut p) = (1.0, 1.0, 0.0);
            let mut split = false;
            for i in (l..m).rev() {
                let (f, b) = (s * e[i], c * e[i]);
                let r = f.hypot(g);
                e[i + 1] = r;
                if r == 0.0 {
                    d[i + 1] -= p;
                    e[m] = 0.0;
                    split = true;
                    break;
                }
                (s, c) = (f / r, g / r);
                let shifted = d[i + 1] - p;
                let t = (d[i] - shifted) * s + 2.0 * c * b;
                p = s * t;
                d[i + 1] = shifted + p;
                g = c * t - b;
                rotate(vectors, n, i, s, c);
            }
            if !split {
                d[l] -= p;
                e[l] = g;
                e[m] = 0.0;
            }
        }
    }
}

/// Rows `i` and `i + 1` turned by the angle with sine `s` and cosine `c`.
fn rotate(vectors: &mut [f64], n: usize, i: usize, s: f64, c: f64) {
    let (upper, lower) = vectors[i * n..(i + 2) * n].split_at_mut(n);
    for (x, y) in upper.iter_mut().zip(lower) {
        let old = *y;
        *y = s * *x + c * old;
        *x = c * *x - s * old;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symmetric(n: usize) -> Vec<f64> {
        let mut a = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..=i {
                let x = ((i * 31 + j * 17 + 7) % 23) as f64 / 11.0 - 1.0;
                a[i * n + j] = x;
                a[j * n + i] = x;
            }
        }
        a
    }

    #[test]
    fn vectors_are_orthonormal_and_rebuild_the_matrix() {
        for n in [1, 2, 3, 10, 57] {
            let a = symmetric(n);
            let (values, vectors) = eigen(&a, n);
            for i in 0..n {
                for j in 0..n {
                    let inner = dot(&vectors[i * n..(i + 1) * n], &vectors[j * n..(j + 1) * n]);
                    assert!((inner - f64::from(i == j)).abs() < 1e-11);
                    let entry: f64 =
                        (0..n).map(|m| values[m] * vectors[m * n + i] * vectors[m * n + j]).sum();
                    assert!((entry - a[i * n + j]).abs() < 1e-10, "n = {n}");
                }
            }
        }
    }

    #[test]
    fn clipping_moves_only_eigenvalues_outside_the_bounds() {
        let n = 12;
        let mut a = symmetric(n);
        clip_spectrum(&mut a, n, 0.5, 2.0);
        let (values, _) = eigen(&a, n);
        assert!(values.iter().all(|v| (0.5 - 1e-9..=2.0 + 1e-9).contains(v)));
        let before = a.clone();
        clip_spectrum(&mut a, n, 0.1, 3.0);
        assert_eq!(a, before);
    }
}
