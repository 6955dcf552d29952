//! The multinomial logit model: readers choose among everything shown, or nothing.

use super::matching::heaviest;
use super::{Placement, Slate};
use crate::{Error, Result, Stop};

/// Rounds that no instance comes near: the ratio rises faster than linearly.
const ROUNDS: usize = 200;

/// The slate of largest value where creative `i` at `j` attracts `a = p / (1 - p)` and is clicked with
/// probability `a / (1 + sum a)`; exact.
///
/// `start` is a lower bound on the value, such as that of a smaller problem; 0 always is.
///
/// # Errors
/// [`Error::Range`] for chances of 1; [`Error::Shape`] and [`Error::NotFinite`] for `phi`; what
/// [`Stop::check`] says.
///
/// Source: Davis, Gallego and Topaloglu 2013; Dinkelbach 1967.
pub fn mnl(slate: &Slate<'_>, phi: &[f64], start: f64, stop: Stop<'_>) -> Result<Placement> {
    slate.check_phi(phi)?;
    let attraction: Vec<f64> = slate.p.iter().map(|p| p / (1.0 - p)).collect();
    if attraction.iter().any(|a| a.is_infinite()) {
        return Err(Error::range("p", "chances below 1 for this model", 1.0));
    }
    let a = |i: usize, j: usize| attraction[i * slate.m + j];
    let (mut lambda, mut best) = (start, Vec::new());
    for _ in 0..ROUNDS {
        stop.check()?;
        let pairs = matched(slate, |i, j| (phi[i] - lambda) * a(i, j));
        let value = ratio(&pairs, phi, a);
        if value <= lambda * (1.0 + 1e-13) && !(best.is_empty() && value >= lambda) {
            break;
        }
        let is_done = value <= lambda * (1.0 + 1e-13);
        (lambda, best) = (value, pairs);
        if is_done {
            break;
        }
    }
    let total: f64 = 1.0 + best.iter().map(|(i, j)| a(*i, *j)).sum::<f64>();
    let mut click = vec![0.0; slate.n];
    for (i, j) in &best {
        click[*i] = a(*i, *j) / total;
    }
    let value = click.iter().zip(phi).map(|(click, phi)| click * phi).sum();
    Ok(Placement { pairs: best, click, value })
}

fn ratio(pairs: &[(usize, usize)], phi: &[f64], a: impl Fn(usize, usize) -> f64) -> f64 {
    let total: f64 = 1.0 + pairs.iter().map(|(i, j)| a(*i, *j)).sum::<f64>();
    pairs.iter().map(|(i, j)| phi[*i] * a(*i, *j)).sum::<f64>() / total
}

/// The heaviest pairs `(creative, position)`; for each position only as many creatives as there are
/// positions can matter.
fn matched(slate: &Slate<'_>, weight: impl Fn(usize, usize) -> f64) -> Vec<(usize, usize)> {
    let mut creatives = Vec::new();
    let mut order: Vec<usize> = Vec::new();
    for j in 0..slate.m {
        order.clear();
        order.extend((0..slate.n).filter(|i| weight(*i, j) > 0.0));
        let by_weight =
            |x: &usize, y: &usize| weight(*y, j).total_cmp(&weight(*x, j)).then(x.cmp(y));
        if order.len() > slate.m {
            order.select_nth_unstable_by(slate.m - 1, by_weight);
            order.truncate(slate.m);
        }
        creatives.extend_from_slice(&order);
    }
    creatives.sort_unstable();
    creatives.dedup();
    let weights: Vec<f64> = (0..slate.m)
        .flat_map(|j| creatives.iter().map(move |i| (*i, j)))
        .map(|(i, j)| weight(i, j))
        .collect();
    let pairs = heaviest(slate.m, creatives.len(), &weights, slate.most);
    pairs.into_iter().map(|(j, place)| (creatives[place], j)).collect()
}
