//! A random walk from items to those that a majority likes better.

use super::covering::smith;
use super::options::Options;
use super::outcome::Outcome;
use super::rules::{Rule, Run};
use super::support::Support;
use crate::{Result, Stop};

/// The rules of this file.
pub(crate) const RULES: &[Rule] = &[Rule {
    name: "mc4",
    source: "Dwork, Kumar, Naor and Sivakumar 2001, section 3.2",
    laws: &["anonymous", "neutral", "homogeneous", "condorcet", "condorcet_loser", "smith"],
    options: &[],
    run: Run::Support(mc4),
}];

/// From an item the walk looks at another at random and goes there if a majority prefers it, half of the
/// time if it is tied.
///
/// It ends in the smallest set that beats all others, so the sets are ordered first; within a set, which
/// the walk never leaves once the better ones are gone, items are scored by how often it is there.
fn mc4(support: &Support, _: &Options, stop: Stop<'_>) -> Result<Outcome> {
    let (m, margins) = (support.items(), support.margins());
    let layers = smith(&margins, m);
    let count = layers.iter().max().map_or(0, |last| last + 1);
    let mut scores = vec![0.0; m];
    for layer in 0..count {
        let items: Vec<usize> = (0..m).filter(|item| layers[*item] == layer).collect();
        let q = items.len();
        let mut rates = vec![0.0; q * q];
        for (i, a) in items.iter().enumerate() {
            for (j, b) in items.iter().enumerate().filter(|(j, _)| *j != i) {
                let margin = margins[b * m + a];
                rates[i * q + j] = if margin > 0.0 { 1.0 } else { f64::from(margin == 0.0) / 2.0 };
            }
        }
        let shares = stationary(&mut rates, q, stop)?;
        for (item, share) in items.iter().zip(shares) {
            scores[*item] = (count - 1 - layer) as f64 + share; // shares are above 0 and at most 1
        }
    }
    Ok(Outcome::scored(scores, false))
}

/// The stationary distribution of an irreducible chain from its rates `(q, q)`, which are overwritten.
///
/// No subtraction occurs, so small shares are as accurate as large ones.
///
/// Source: Grassmann, Taksar and Heyman 1985.
fn stationary(rates: &mut [f64], q: usize, stop: Stop<'_>) -> Result<Vec<f64>> {
    for k in (1..q).rev() {
        stop.check()?;
        let (above, last) = rates.split_at_mut(k * q);
        let out: f64 = last[..k].iter().sum();
        for row in above.chunks_exact_mut(q) {
            row[k] /= out;
            let share = row[k];
            if share > 0.0 {
                row[..k].iter_mut().zip(&last[..k]).for_each(|(rate, on)| *rate += share * on);
            }
        }
    }
    let mut shares = vec![1.0; q];
    for k in 1..q {
        shares[k] = (0..k).map(|i| shares[i] * rates[i * q + k]).sum();
    }
    let total: f64 = shares.iter().sum();
    for share in &mut shares {
        *share /= total;
    }
    Ok(shares)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_balance_the_flow() {
        let rates = [0.0, 1.0, 0.5, 0.0, 0.0, 2.0, 3.0, 0.0, 0.0];
        let shares = stationary(&mut rates.clone(), 3, Stop::never()).expect("not stopped");
        for i in 0..3 {
            let out: f64 = (0..3).map(|j| shares[i] * rates[i * 3 + j]).sum();
            let into: f64 = (0..3).map(|j| shares[j] * rates[j * 3 + i]).sum();
            assert!((out - into).abs() < 1e-15, "{shares:?}");
        }
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-15);
    }
}
