//! Auctions for the positions of generated content.
//!
//! `n` bidders with one creative each, `m` positions, at most `most` creatives shown. `p[i][j]` is the
//! chance of a click on creative `i` alone at position `j`; no factorisation is assumed. Creatives are
//! ranked by `phi`: values for welfare, virtual values for revenue; those with `phi <= 0` are never
//! shown.

mod cascade;
mod fixed;
mod matching;
mod mnl;
mod payments;
mod virtual_value;

pub use cascade::{cascade, cascade_greedy};
pub use fixed::{cascade_fixed, cascade_half};
pub use mnl::mnl;
pub use payments::{Solver, revenue_payments, welfare_payments};
pub use virtual_value::{Law, ironed};

use crate::{Error, Result};

/// Click chances of every creative at every position.
#[derive(Debug, Clone, Copy)]
pub struct Slate<'a> {
    /// Creatives.
    pub n: usize,
    /// Positions.
    pub m: usize,
    /// Most creatives shown.
    pub most: usize,
    p: &'a [f64],
}

impl<'a> Slate<'a> {
    /// Checked chances, `n * m` in row-major order.
    ///
    /// # Errors
    /// [`Error::Shape`], and [`Error::Range`] for chances outside `[0, 1]` or positions beyond 2^15.
    pub fn new(n: usize, m: usize, p: &'a [f64], most: usize) -> Result<Self> {
        if n.checked_mul(m) != Some(p.len()) {
            let expected = format!("({n}, {m})");
            return Err(Error::Shape { name: "p", expected, got: p.len().to_string() });
        }
        if n >= 1 << 31 || m >= 1 << 15 {
            return Err(Error::range(
                "p",
                "fewer than 2^31 creatives and 2^15 positions",
                n.max(m),
            ));
        }
        if let Some(bad) = p.iter().find(|p| !(**p >= 0.0 && **p <= 1.0)) {
            return Err(Error::range("p", "chances in [0, 1]", bad));
        }
        Ok(Self { n, m, most: most.min(m), p })
    }

    /// Chance of a click on a creative alone at a position.
    #[must_use]
    pub fn p(&self, creative: usize, position: usize) -> f64 {
        self.p[creative * self.m + position]
    }

    fn check_phi(&self, phi: &[f64]) -> Result<()> {
        if phi.len() != self.n {
            return Err(Error::length("values", self.n, phi.len()));
        }
        match phi.iter().position(|x| !x.is_finite()) {
            Some(index) => Err(Error::NotFinite { name: "values", index }),
            None => Ok(()),
        }
    }
}

/// Who is shown where, and how often clicked.
#[derive(Debug, Clone, PartialEq)]
pub struct Placement {
    /// Creative and position of every pair shown, in reading order where the order matters.
    pub pairs: Vec<(usize, usize)>,
    /// Click chance of every creative.
    pub click: Vec<f64>,
    /// `sum phi * click`.
    pub value: f64,
}

impl Placement {
    /// Pairs in the order in which they are read, by a reader who stops at the first click.
    fn read(slate: &Slate<'_>, phi: &[f64], pairs: Vec<(usize, usize)>) -> Self {
        let mut click = vec![0.0; slate.n];
        let (mut reads_on, mut value) = (1.0, 0.0);
        for (i, j) in &pairs {
            click[*i] = reads_on * slate.p(*i, *j);
            value += phi[*i] * click[*i];
            reads_on *= 1.0 - slate.p(*i, *j);
        }
        Self { pairs, click, value }
    }
}

/// Creatives that may be shown, by falling `phi`, ties by number.
fn by_phi(phi: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..phi.len()).filter(|i| phi[*i] > 0.0).collect();
    order.sort_by(|a, b| phi[*b].total_cmp(&phi[*a]));
    order
}
