//! Orders that local searches start from.

use super::super::condorcet::borda;
use super::super::support::Support;
use crate::rng::Stream;

/// Orders to start from: Borda, Copeland, then random ones sorted around pivots.
pub(super) fn starts(
    support: &Support,
    margins: &[f64],
    count: usize,
    seed: u64,
) -> Vec<Vec<usize>> {
    let q = support.items();
    let by = |scores: &[f64]| {
        let mut order: Vec<usize> = (0..q).collect();
        order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
        order
    };
    let mut out = vec![by(&borda(support))];
    if count > 1 {
        let sign = |x: &f64| if *x == 0.0 { 0.0 } else { x.signum() };
        let wins = margins.chunks_exact(q).map(|row| row.iter().map(sign).sum());
        out.push(by(&wins.collect::<Vec<f64>>()));
    }
    for i in 2..count {
        let mut stream = Stream::new(seed, (1 << 32) + i as u64);
        let mut order: Vec<usize> = (0..q).collect();
        stream.shuffle(&mut order);
        out.push(kwik_sort(margins, q, order));
    }
    out
}

/// Puts what beats the first item before it and the rest behind, and goes on with both sides.
///
/// Source: Ailon, Charikar and Newman 2008, section 3.
fn kwik_sort(margins: &[f64], m: usize, items: Vec<usize>) -> Vec<usize> {
    let mut out = Vec::with_capacity(items.len());
    let mut pending = vec![items];
    while let Some(items) = pending.pop() {
        let Some((pivot, rest)) = items.split_first() else { continue };
        if rest.is_empty() {
            out.push(*pivot);
            continue;
        }
        let (before, after): (Vec<usize>, Vec<usize>) =
            rest.iter().partition(|x| margins[*x * m + pivot] > 0.0);
        pending.extend([after, vec![*pivot], before]);
    }
    out
}
