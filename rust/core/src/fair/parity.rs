//! Pairwise parity: how often the items of a group stand above the others.

use super::Groups;
use super::closest::check_permutation;
use crate::{Error, Result, Stop};

/// Gaps are compared with this tolerance.
const TINY: f64 = 1e-12;

/// Favoured-pair shares of one attribute.
#[derive(Debug, Clone, PartialEq)]
pub struct Parity {
    /// Share of the mixed pairs of each group that it wins; one half where there are none.
    pub shares: Vec<f64>,
    /// Largest minus smallest share.
    pub gap: f64,
}

/// Favoured-pair shares of every group: `sum_x #{y below x, y not in g} / (|g| (m - |g|))`.
///
/// # Errors
/// [`Error::Range`] or [`Error::Shape`] when `order` is no permutation of the items.
///
/// Source: Cachel, Rundensteiner and Harrison 2022 (MANI-Rank), definitions 3 to 6.
pub fn parity(order: &[usize], groups: Groups<'_>) -> Result<Parity> {
    check_permutation(order, groups.items())?;
    Ok(State::new(order, groups).parity())
}

/// A ranking whose gaps were reduced.
#[derive(Debug, Clone, PartialEq)]
pub struct Repair {
    /// Items, best place first.
    pub order: Vec<usize>,
    /// The largest gap of any attribute.
    pub gap: f64,
    /// Number of exchanges.
    pub swaps: usize,
    /// Whether every gap is at most `delta`.
    pub converged: bool,
}

/// Exchanges pairs until the gap of every attribute is at most `delta`.
///
/// Each exchange puts an item of the least favoured group of the worst attribute above the nearest item
/// of its most favoured group, which costs the fewest inversions. It must lower the sum of the gaps'
/// excess over `delta`, or keep it and bring the shares nearer to one half, which ends; where no pair
/// does, the next attribute is tried. An exchange at distance `d` moves the shares of the two groups, in
/// every attribute where they differ, by `d` pairs.
///
/// # Errors
/// [`Error::Range`] for a negative `delta` or an order that is no permutation, [`Error::Interrupted`].
///
/// Source: Cachel, Rundensteiner and Harrison 2022, algorithm Make-MR-Fair.
pub fn repair(
    order: &[usize],
    attributes: &[Groups<'_>],
    delta: f64,
    stop: Stop<'_>,
) -> Result<Repair> {
    if delta.is_nan() || delta < 0.0 {
        return Err(Error::range("delta", "a number at or above 0", delta));
    }
    for groups in attributes {
        check_permutation(order, groups.items())?;
    }
    let mut order = order.to_vec();
    let mut states: Vec<State<'_>> = attributes.iter().map(|g| State::new(&order, *g)).collect();
    let mut swaps = 0;
    loop {
        stop.check()?;
        let Some((above, below)) = next_swap(&order, &states, delta) else { break };
        for state in &mut states {
            state.swap(order[above], order[below], below - above);
        }
        order.swap(above, below);
        swaps += 1;
    }
    let gap = states.iter().map(State::gap).fold(0.0, f64::max);
    Ok(Repair { order, gap, swaps, converged: gap <= delta + TINY })
}

/// The nearest pair that lowers the excess, from the attribute with the largest gap on.
fn next_swap(order: &[usize], states: &[State<'_>], delta: f64) -> Option<(usize, usize)> {
    let mut worst: Vec<usize> =
        (0..states.len()).filter(|s| states[*s].gap() > delta + TINY).collect();
    worst.sort_by(|a, b| states[*b].gap().total_cmp(&states[*a].gap()));
    let after = |swap: Option<(usize, usize)>| -> (f64, f64) {
        let mut sum = (0.0, 0.0);
        for state in states {
            let (gap, spread) = match swap {
                None => state.gap_with(|_, won| won),
                Some((x, y)) => state.gap_after(order[x], order[y], y - x),
            };
            sum = (sum.0 + (gap - delta).max(0.0), sum.1 + spread);
        }
        sum
    };
    let now = after(None);
    let better = |pair: &(usize, usize)| {
        let (excess, spread) = after(Some(*pair));
        excess < now.0 - TINY || (excess <= now.0 && spread < now.1 - TINY)
    };
    worst.into_iter().find_map(|s| {
        let mut pairs = states[s].nearest_pairs(order);
        pairs.sort_by_key(|(above, below)| (below - above, *above));
        pairs.into_iter().find(better)
    })
}

/// Won pairs of each group of one attribute.
struct State<'a> {
    groups: Groups<'a>,
    won: Vec<usize>,
    pairs: Vec<usize>,
}

impl<'a> State<'a> {
    fn new(order: &[usize], groups: Groups<'a>) -> Self {
        let sizes = groups.sizes();
        let pairs = sizes.iter().map(|size| size * (order.len() - size)).collect();
        let (mut won, mut left) = (vec![0; sizes.len()], sizes);
        for (place, item) in order.iter().enumerate() {
            let g = groups.of(*item);
            won[g] += order.len() - place - left[g];
            left[g] -= 1;
        }
        Self { groups, won, pairs }
    }

    fn share(&self, g: usize, won: usize) -> f64 {
        if self.pairs[g] == 0 { 0.5 } else { won as f64 / self.pairs[g] as f64 }
    }

    fn parity(&self) -> Parity {
        let shares = self.won.iter().enumerate().map(|(g, won)| self.share(g, *won)).collect();
        Parity { shares, gap: self.gap() }
    }

    fn gap(&self) -> f64 {
        self.gap_with(|_, won| won).0
    }

    /// Largest minus smallest share of the groups that have mixed pairs, and the shares' squared
    /// distance from one half.
    fn gap_with(&self, change: impl Fn(usize, usize) -> usize) -> (f64, f64) {
        let (mut low, mut high, mut spread) = (f64::INFINITY, f64::NEG_INFINITY, 0.0);
        for g in (0..self.won.len()).filter(|g| self.pairs[*g] > 0) {
            let share = self.share(g, change(g, self.won[g]));
            (low, high) = (low.min(share), high.max(share));
            spread += (share - 0.5) * (share - 0.5);
        }
        ((high - low).max(0.0), spread)
    }

    /// The gap once `above` and `below`, `distance` places apart, have changed places.
    fn gap_after(&self, above: usize, below: usize, distance: usize) -> (f64, f64) {
        let (falls, rises) = (self.groups.of(above), self.groups.of(below));
        self.gap_with(|g, won| match (g == falls, g == rises) {
            (true, false) => won - distance,
            (false, true) => won + distance,
            _ => won,
        })
    }

    fn swap(&mut self, above: usize, below: usize, distance: usize) {
        let (falls, rises) = (self.groups.of(above), self.groups.of(below));
        if falls != rises {
            self.won[falls] -= distance;
            self.won[rises] += distance;
        }
    }

    /// Pairs of places with the most favoured group above and the least favoured one below, and no item
    /// of either in between.
    fn nearest_pairs(&self, order: &[usize]) -> Vec<(usize, usize)> {
        let share = |g: &usize| self.share(*g, self.won[*g]);
        let live = || (0..self.won.len()).filter(|g| self.pairs[*g] > 0);
        let Some(most) = live().max_by(|a, b| share(a).total_cmp(&share(b)).then(b.cmp(a))) else {
            return Vec::new();
        };
        let Some(least) = live().min_by(|a, b| share(a).total_cmp(&share(b)).then(a.cmp(b))) else {
            return Vec::new();
        };
        let (mut pairs, mut last) = (Vec::new(), None);
        for (place, item) in order.iter().enumerate() {
            let g = self.groups.of(*item);
            if g == most {
                last = Some(place);
            } else if g == least {
                pairs.extend(last.take().map(|above| (above, place)));
            }
        }
        pairs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    #[test]
    fn shares_count_the_mixed_pairs_won() {
        let labels = [0, 0, 1, 1];
        let groups = Groups::new(&labels, 2).expect("valid");
        let best = parity(&[0, 1, 2, 3], groups).expect("valid");
        assert_eq!((best.shares, best.gap), (vec![1.0, 0.0], 1.0));
        assert_eq!(parity(&[0, 2, 3, 1], groups).expect("valid").shares, [0.5, 0.5]);
        let one = Groups::new(&[0, 0], 1).expect("valid");
        assert_eq!(parity(&[1, 0], one).expect("valid"), Parity { shares: vec![0.5], gap: 0.0 });
    }

    #[test]
    fn repair_reaches_delta_and_keeps_its_counts() {
        for seed in 0..20 {
            let mut stream = Stream::new(seed, 0);
            let a: Vec<u32> = (0..30).map(|i| i / 10).collect();
            let b: Vec<u32> = (0..30).map(|i| i % 2).collect();
            let attributes =
                [Groups::new(&a, 3).expect("valid"), Groups::new(&b, 2).expect("valid")];
            let mut order: Vec<usize> = (0..30).collect();
            stream.shuffle(&mut order[..10]);
            let done = repair(&order, &attributes, 0.1, Stop::never()).expect("valid");
            let gaps = attributes.map(|g| parity(&done.order, g).expect("a permutation").gap);
            assert!(done.converged && done.swaps > 0);
            assert_eq!(done.gap.to_bits(), gaps[0].max(gaps[1]).to_bits());
            assert!(done.gap <= 0.1 + TINY);
        }
    }

    #[test]
    fn an_impossible_delta_is_reported() {
        let groups = Groups::new(&[0, 1], 2).expect("valid");
        let done = repair(&[0, 1], &[groups], 0.5, Stop::never()).expect("valid");
        assert!(!done.converged);
        assert!(repair(&[0, 1], &[groups], -1.0, Stop::never()).is_err());
    }
}
