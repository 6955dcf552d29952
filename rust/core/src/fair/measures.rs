//! Measures of how fair rankings are, all in one pass.

use super::Groups;
use super::bounds::{check_shares, floor_share};
use super::closest::check_items;
use crate::{Error, Result, parallel};

/// Added to both distributions of a divergence, so that an absent group keeps it finite.
const SMOOTHING: f64 = 1e-7;

/// How much attention a place gets, from place 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Attention {
    /// `1 / log2(i + 1)`.
    Logarithmic,
    /// `100 p (1 - p)^(i - 1)`: each place takes the share `p` of what the places above left.
    Geometric(f64),
    /// `1 / i`.
    Reciprocal,
}

impl Attention {
    /// Attention of the first `k` places.
    ///
    /// # Errors
    /// [`Error::Range`] for a geometric share outside `(0, 1)`.
    pub fn weights(self, k: usize) -> Result<Vec<f64>> {
        if let Self::Geometric(p) = self {
            if !(p > 0.0 && p < 1.0) {
                return Err(Error::range("attention", "a share in (0, 1)", p));
            }
        }
        let mut rest = 1.0;
        Ok((1..=k)
            .map(|i| match self {
                Self::Logarithmic => 1.0 / libm::log2(i as f64 + 1.0),
                Self::Reciprocal => 1.0 / i as f64,
                Self::Geometric(p) => {
                    let now = 100.0 * p * rest;
                    rest *= 1.0 - p;
                    now
                }
            })
            .collect())
    }
}

/// What the measures compare with.
#[derive(Debug, Clone, Copy)]
pub struct MeasureOptions<'a> {
    /// Wanted share of each group.
    pub shares: &'a [f64],
    /// Share of attention that the first place takes, for the attention-weighted measure.
    pub patience: f64,
    /// Prefixes whose skew is measured.
    pub cutoffs: &'a [usize],
    /// Threads; `None` for those of the process.
    pub threads: Option<usize>,
}

/// Measures of one ranking.
#[derive(Debug, Clone, PartialEq)]
pub struct Measures {
    /// Normalised discounted divergence of the prefixes' shares from the wanted ones.
    pub ndkl: f64,
    /// Mean exposure, `1 / log2(i + 1)`, of the items of each group.
    pub exposure: Vec<f64>,
    /// Mean geometric attention of the items of each group.
    pub attention: Vec<f64>,
    /// `ln(share in the prefix / wanted share)` of each group, cutoff after cutoff.
    pub skew: Vec<f64>,
    /// Number of prefixes in which some group has less than the floor of its wanted share.
    pub infeasible_index: usize,
    /// Number of groups below their floor, summed over prefixes.
    pub infeasible_count: usize,
}

/// Measures of `rankings`, `k` places each, of the items of `groups`.
///
/// # Errors
/// [`Error::Shape`] and [`Error::Range`] for wrong arguments.
///
/// Source: Geyik, Ambler and Kenthapadi 2019 (NDKL, skew, infeasible index); Singh and Joachims 2018
/// (exposure); Sapiezynski et al. 2019 (attention-weighted rank fairness).
pub fn measure(
    rankings: &[usize],
    k: usize,
    groups: Groups<'_>,
    options: &MeasureOptions<'_>,
) -> Result<Vec<Measures>> {
    if k == 0 || rankings.is_empty() || rankings.len() % k != 0 {
        return Err(Error::length("rankings", k.max(1), rankings.len()));
    }
    check_shares(options.shares)?;
    if options.shares.len() != groups.count() {
        return Err(Error::length("shares", groups.count(), options.shares.len()));
    }
    if let Some(cut) = options.cutoffs.iter().find(|cut| **cut == 0 || **cut > k) {
        return Err(Error::range("cutoffs", &format!("prefixes of 1 to {k} places"), cut));
    }
    let context = Context {
        groups,
        sizes: groups.sizes(),
        shares: options.shares,
        exposure: Attention::Logarithmic.weights(k)?,
        attention: Attention::Geometric(options.patience).weights(k)?,
        cutoffs: options.cutoffs,
    };
    let rows: Vec<&[usize]> = rankings.chunks_exact(k).collect();
    for row in &rows {
        check_items(row, groups.items())?;
    }
    // One ranking of 100 places takes a few microseconds, less than a task is worth.
    let threads = if rankings.len() * groups.count() < 100_000 { Some(1) } else { options.threads };
    let chunks = parallel::map(rows.len().div_ceil(64), threads, |c| {
        let end = rows.len().min((c + 1) * 64);
        rows[c * 64..end].iter().map(|row| context.one(row)).collect::<Vec<_>>()
    });
    Ok(chunks.into_iter().flatten().collect())
}

struct Context<'a> {
    groups: Groups<'a>,
    sizes: Vec<usize>,
    shares: &'a [f64],
    exposure: Vec<f64>,
    attention: Vec<f64>,
    cutoffs: &'a [usize],
}

impl Context<'_> {
    fn one(&self, ranking: &[usize]) -> Measures {
        let p = self.groups.count();
        let mut have = vec![0_usize; p];
        let (mut exposure, mut attention) = (vec![0.0; p], vec![0.0; p]);
        let mut skew = vec![0.0; p * self.cutoffs.len()];
        let (mut divergence, mut discounts) = (0.0, 0.0);
        let (mut index, mut short) = (0, 0);
        for (place, item) in ranking.iter().enumerate() {
            let (g, i) = (self.groups.of(*item), place + 1);
            have[g] += 1;
            exposure[g] += self.exposure[place];
            attention[g] += self.attention[place];
            divergence += self.exposure[place] * self.divergence(&have, i);
            discounts += self.exposure[place];
            let below = (0..p).filter(|g| have[*g] < floor_share(self.shares[*g], i)).count();
            index += usize::from(below > 0);
            short += below;
            for (c, _) in self.cutoffs.iter().enumerate().filter(|(_, cut)| **cut == i) {
                for g in 0..p {
                    skew[c * p + g] = self.skew(have[g] as f64 / i as f64, g);
                }
            }
        }
        for g in 0..p {
            let size = self.sizes[g].max(1) as f64;
            exposure[g] /= size;
            attention[g] /= size;
        }
        Measures {
            ndkl: divergence / discounts,
            exposure,
            attention,
            skew,
            infeasible_index: index,
            infeasible_count: short,
        }
    }

    fn divergence(&self, have: &[usize], i: usize) -> f64 {
        let term = |(have, share): (&usize, &f64)| {
            let p = *have as f64 / i as f64 + SMOOTHING;
            p * libm::log(p / (share + SMOOTHING))
        };
        have.iter().zip(self.shares).map(term).sum()
    }

    fn skew(&self, share: f64, g: usize) -> f64 {
        libm::log((share + SMOOTHING) / (self.shares[g] + SMOOTHING))
    }
}

/// `sum_i |A_i - R_i|`: attention over all rankings against relevance, both scaled to sum to one.
///
/// # Errors
/// [`Error::Shape`], [`Error::Range`] or [`Error::NotFinite`] for wrong arguments.
///
/// Source: Biega, Gummadi and Weikum 2018, equation 3.
pub fn amortised(
    rankings: &[usize],
    k: usize,
    relevance: &[f64],
    attention: Attention,
) -> Result<f64> {
    if k == 0 || rankings.is_empty() || rankings.len() % k != 0 {
        return Err(Error::length("rankings", k.max(1), rankings.len()));
    }
    if let Some(index) = relevance.iter().position(|r| !r.is_finite()) {
        return Err(Error::NotFinite { name: "relevance", index });
    }
    let total: f64 = relevance.iter().sum();
    if relevance.iter().any(|r| *r < 0.0) || total <= 0.0 {
        return Err(Error::range("relevance", "numbers at or above 0, not all 0", total));
    }
    let weights = attention.weights(k)?;
    let mut given = vec![0.0; relevance.len()];
    for row in rankings.chunks_exact(k) {
        check_items(row, relevance.len())?;
        for (item, weight) in row.iter().zip(&weights) {
            given[*item] += weight;
        }
    }
    let spent: f64 = given.iter().sum();
    Ok(given.iter().zip(relevance).map(|(a, r)| (a / spent - r / total).abs()).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options<'a>(shares: &'a [f64], cutoffs: &'a [usize]) -> MeasureOptions<'a> {
        MeasureOptions { shares, patience: 0.5, cutoffs, threads: None }
    }

    #[test]
    fn measures_of_a_small_ranking_are_those_worked_by_hand() {
        let groups = Groups::new(&[0, 0, 1, 1], 2).expect("valid");
        let got = measure(&[0, 1, 2, 3], 4, groups, &options(&[0.5, 0.5], &[2, 4])).expect("valid");
        let m = &got[0];
        let d = [1.0, 1.0 / 3.0_f64.log2(), 0.5, 1.0 / 5.0_f64.log2()];
        assert!((m.exposure[0] - f64::midpoint(d[0], d[1])).abs() < 1e-12);
        assert!((m.exposure[1] - f64::midpoint(d[2], d[3])).abs() < 1e-12);
        assert_eq!(m.attention, [37.5, 9.375]);
        let third = (2.0 / 3.0) * (4.0_f64 / 3.0).ln() + (1.0 / 3.0) * (2.0_f64 / 3.0).ln();
        let ndkl = (2.0_f64.ln() * (d[0] + d[1]) + third * d[2]) / d.iter().sum::<f64>();
        assert!((m.ndkl - ndkl).abs() < 1e-5, "{} {ndkl}", m.ndkl);
        assert!((m.skew[0] - 2.0_f64.ln()).abs() < 1e-6 && m.skew[1] < -10.0);
        assert!(m.skew[2].abs() < 1e-6 && m.skew[3].abs() < 1e-6);
        assert_eq!((m.infeasible_index, m.infeasible_count), (1, 1));
    }

    #[test]
    fn attention_that_follows_relevance_has_no_gap() {
        let weights = Attention::Reciprocal.weights(3).expect("valid");
        let gap = amortised(&[0, 1, 2], 3, &weights, Attention::Reciprocal).expect("valid");
        assert!(gap < 1e-12);
        let other = amortised(&[2, 1, 0], 3, &weights, Attention::Reciprocal).expect("valid");
        assert!((other - 2.0 * (2.0 / 3.0) / (11.0 / 6.0)).abs() < 1e-12);
        assert!(amortised(&[0], 1, &[0.0], Attention::Reciprocal).is_err());
        assert!(amortised(&[0], 1, &[1.0], Attention::Geometric(1.5)).is_err());
    }

    #[test]
    fn wrong_rankings_are_errors() {
        let groups = Groups::new(&[0, 1], 2).expect("valid");
        for ranking in [&[][..], &[0, 0], &[0, 5], &[0]] {
            assert!(measure(ranking, 2, groups, &options(&[0.5, 0.5], &[])).is_err());
        }
        assert!(measure(&[0, 1], 2, groups, &options(&[0.5, 0.5], &[3])).is_err());
        assert!(measure(&[0, 1], 2, groups, &options(&[0.5], &[])).is_err());
    }
}
