//! Covariances from the curvature at a fit and from the scores of single observations.
//!
//! For models whose curvature is affordable as a matrix: those with a parameter for ties, and rankings.

use super::covariance::{Covariance, DENSE, Trust, centre_twice};
use super::newton::{Curvature, FREE, Factor};
use crate::posterior::linalg::{forward_rows, gram, mat_mul, symmetrise};
use crate::{Error, Result};

/// [`Error::Range`] for more items than a matrix is made of.
pub(super) fn check_dense(items: usize) -> Result<()> {
    if items <= DENSE {
        return Ok(());
    }
    Err(Error::range("fit", "at most 2000 items for the covariance of this model", items))
}

/// `H^+` on the space of mean zero within every component; parameters that are no items come last.
pub(super) fn inverse<C: Curvature>(
    curvature: &C,
    gauge: &[u32],
    centred: bool,
) -> Result<Vec<f64>> {
    let n = gauge.len();
    let factor = Factor::new(curvature, gauge)
        .ok_or(Error::NotPositiveDefinite { name: "theta", group: 0 })?;
    let mut root = vec![0.0; n * n];
    (0..n).for_each(|i| root[i * n + i] = 1.0);
    forward_rows(factor.lower(), &mut root, n, n);
    let mut inverse = vec![0.0; n * n];
    gram(&root, &mut inverse, n, n, 1.0, 0.0);
    if centred {
        let items = gauge.iter().take_while(|g| **g != FREE).count();
        centre_twice(&mut inverse, &gauge[..items]);
    }
    Ok(inverse)
}

/// One kind of observation: its score by unknown, how many rows it stands for, and what one weighs.
pub(super) struct Observation<'a> {
    pub(super) score: &'a [(usize, f64)],
    pub(super) rows: f64,
    pub(super) weight: f64,
    /// Sum of the squared weights of the rows.
    pub(super) squares: f64,
}

/// Sums over observations.
pub(super) struct Influence {
    inverse: Vec<f64>,
    unknowns: usize,
    meat: Vec<f64>,
    /// Second and third moments of what an observation moves every unknown by, where they are asked for.
    moments: Option<(Vec<f64>, Vec<f64>)>,
}

impl Influence {
    pub(super) fn new(inverse: Vec<f64>, unknowns: usize, skewed: bool) -> Self {
        let moments = skewed.then(|| (vec![0.0; unknowns], vec![0.0; unknowns]));
        Self { inverse, unknowns, meat: vec![0.0; unknowns * unknowns], moments }
    }

    pub(super) fn add(&mut self, observation: &Observation<'_>) {
        let n = self.unknowns;
        for (i, a) in observation.score {
            for (j, b) in observation.score {
                self.meat[i * n + j] += observation.squares * a * b;
            }
        }
        let Some((squares, cubes)) = &mut self.moments else { return };
        let mut levers = vec![0.0; n];
        for (i, a) in observation.score {
            let row = &self.inverse[i * n..(i + 1) * n];
            levers.iter_mut().zip(row).for_each(|(lever, x)| *lever += observation.weight * a * x);
        }
        for ((lever, square), cube) in levers.iter().zip(squares).zip(cubes) {
            *square += observation.rows * lever * lever;
            *cube += observation.rows * lever * lever * lever;
        }
    }

    /// The covariance of the first `items` unknowns.
    ///
    /// Source: White 1982; Efron 1987, equation 7.3 with the infinitesimal jackknife.
    pub(super) fn finish(self, items: usize, trust: Trust) -> Covariance {
        let n = self.unknowns;
        let whole = match trust {
            Trust::Model => self.inverse,
            Trust::Sandwich => {
                let (mut half, mut whole) = (vec![0.0; n * n], vec![0.0; n * n]);
                mat_mul(&self.inverse, &self.meat, &mut half, n, n, n, 0.0);
                mat_mul(&half, &self.inverse, &mut whole, n, n, n, 0.0);
                symmetrise(&mut whole, n);
                whole
            }
        };
        let matrix: Vec<f64> = whole
            .chunks_exact(n.max(1))
            .take(items)
            .flat_map(|row| row[..items].to_vec())
            .collect();
        let variances = (0..items).map(|i| matrix[i * items + i].max(0.0)).collect();
        let skew = |(s, c): (&f64, &f64)| if *s > 0.0 { c / (6.0 * s.powf(1.5)) } else { 0.0 };
        let acceleration = match &self.moments {
            Some((squares, cubes)) => squares.iter().zip(cubes).take(items).map(skew).collect(),
            None => vec![0.0; items],
        };
        Covariance { matrix: Some(matrix), variances, acceleration }
    }
}
