//! FA*IR for several protected groups: a tree of least counts.

use crate::{Error, Result, Stop};

/// Levels may hold this many nodes in all, and the failure recurrence this many states.
const LARGEST: usize = 1_000_000;

/// Steps of the bisection over the significance.
const HALVINGS: usize = 40;

/// For every prefix, the least vectors of counts of the protected groups that pass.
///
/// A prefix of length `i` passes when its counts are at or above some node of level `i`.
#[derive(Debug, Clone, PartialEq)]
pub struct Tree {
    protected: usize,
    /// Where the nodes of each level start, in nodes; one more than there are levels.
    start: Vec<usize>,
    /// Counts of the protected groups, node after node.
    nodes: Vec<usize>,
    /// The significance that the tree was made with.
    pub alpha: f64,
    /// Probability that a ranking drawn by fair dice misses some level.
    pub failure: f64,
}

impl Tree {
    /// Number of prefixes.
    #[must_use]
    pub fn levels(&self) -> usize {
        self.start.len() - 1
    }

    /// The nodes of the prefix of length `i`, from 1.
    pub fn level(&self, i: usize) -> impl Iterator<Item = &[usize]> {
        let (from, to) = (self.start[i - 1] * self.protected, self.start[i] * self.protected);
        self.nodes[from..to].chunks_exact(self.protected)
    }

    /// The first node of level `i` that `have` is at or above.
    #[must_use]
    pub fn passed(&self, i: usize, have: &[usize]) -> Option<&[usize]> {
        self.level(i).find(|node| node.iter().zip(have).all(|(n, h)| n <= h))
    }
}

/// The tree of `k` places for shares of the protected groups; the rest is unprotected.
///
/// A vector passes a prefix of length `i` when the multinomial distribution function of `i` draws at
/// the vector is at least `alpha`. A node that no longer passes grows by one item of each group in turn.
/// With `adjust` the significance is bisected until the probability that fair dice miss some level is
/// as close to `alpha` as it comes.
///
/// # Errors
/// [`Error::Range`] for wrong numbers or a tree of more than a million nodes, [`Error::Interrupted`].
///
/// Source: Zehlike, Sühr, Baeza-Yates, Bonchi, Castillo and Hajian 2022, sections 4 and 5.
pub fn tree(k: usize, shares: &[f64], alpha: f64, adjust: bool, stop: Stop<'_>) -> Result<Tree> {
    super::bounds::check_shares(shares)?;
    if k == 0 || shares.contains(&0.0) {
        let got = format!("k = {k}, shares = {shares:?}");
        return Err(Error::range("k", "at least 1 place and shares above 0", got));
    }
    if !(alpha > 0.0 && alpha < 1.0) {
        return Err(Error::range("alpha", "a number in (0, 1)", alpha));
    }
    let at = |alpha: f64| -> Result<Tree> {
        let mut made = grow(k, shares, alpha, stop)?;
        made.failure = failure(&made, shares, stop)?;
        Ok(made)
    };
    let mut best = at(alpha)?;
    let (mut low, mut high) = (0.0, alpha);
    for _ in 0..if adjust && best.failure > alpha { HALVINGS } else { 0 } {
        let middle = at(f64::midpoint(low, high))?;
        let (failure, significance) = (middle.failure, middle.alpha);
        if (failure - alpha).abs() < (best.failure - alpha).abs() {
            best = middle;
        }
        if failure < alpha {
            low = significance;
        } else {
            high = significance;
        }
    }
    Ok(best)
}

fn grow(k: usize, shares: &[f64], alpha: f64, stop: Stop<'_>) -> Result<Tree> {
    let mut level = vec![vec![0; shares.len()]];
    let (mut start, mut nodes) = (vec![0], Vec::new());
    for i in 1..=k {
        stop.check()?;
        let mut next = Vec::new();
        for node in level {
            passing(node, i, (shares, alpha), &mut next, stop)?;
        }
        level = minimal(next, stop)?;
        nodes.extend(level.iter().flatten());
        start.push(start[i - 1] + level.len());
        if start[i] > LARGEST {
            let got = format!("{k} places, more than {LARGEST} nodes by place {i}");
            return Err(Error::range("k", "a tree of a million nodes at most", got));
        }
    }
    Ok(Tree { protected: shares.len(), start, nodes, alpha, failure: 0.0 })
}

/// The least vectors at or above `node` that pass with `i` draws.
fn passing(
    node: Vec<usize>,
    i: usize,
    (shares, alpha): (&[f64], f64),
    out: &mut Vec<Vec<usize>>,
    stop: Stop<'_>,
) -> Result<()> {
    let mut tier = vec![node];
    while !tier.is_empty() {
        let passed = out.len();
        let mut grown = Vec::new();
        for node in tier {
            stop.check()?;
            if below(&node, i, shares) >= alpha * (1.0 - 1e-12) {
                out.push(node);
            } else if node.iter().sum::<usize>() < i {
                for g in 0..node.len() {
                    let mut child = node.clone();
                    child[g] += 1;
                    grown.push(child);
                }
            }
        }
        if out.len() > passed {
            break;
        }
        tier = minimal(grown, stop)?;
    }
    Ok(())
}

/// Without repetitions and without vectors at or above another.
fn minimal(mut nodes: Vec<Vec<usize>>, stop: Stop<'_>) -> Result<Vec<Vec<usize>>> {
    nodes.sort_unstable();
    nodes.dedup();
    let over = |a: &[usize], b: &[usize]| a.iter().zip(b).all(|(a, b)| a >= b);
    let mut keep = Vec::with_capacity(nodes.len());
    for i in 0..nodes.len() {
        stop.check()?;
        keep.push(!(0..nodes.len()).any(|j| i != j && over(&nodes[i], &nodes[j])));
    }
    let mut keep = keep.into_iter();
    nodes.retain(|_| keep.next().unwrap_or(true));
    Ok(nodes)
}

/// `P(X <= node)` for a multinomial of `n` draws.
///
/// The counts are independent Poisson numbers given their sum, which keeps every term in range.
fn below(node: &[usize], n: usize, shares: &[f64]) -> f64 {
    let rest = (1.0 - shares.iter().sum::<f64>()).max(0.0);
    let mut sums = vec![1.0];
    for (cap, share) in node.iter().zip(shares) {
        let own: Vec<f64> = (0..=(*cap).min(n)).map(|x| poisson(x, share * n as f64)).collect();
        let mut wider = vec![0.0; (sums.len() + own.len() - 1).min(n + 1)];
        for (a, x) in sums.iter().enumerate() {
            for (b, y) in own.iter().enumerate().take(wider.len() - a) {
                wider[a + b] += x * y;
            }
        }
        sums = wider;
    }
    let others =
        |s: usize| if rest > 1e-12 || s == n { poisson(n - s, rest * n as f64) } else { 0.0 };
    let total: f64 = sums.iter().enumerate().map(|(s, x)| x * others(s)).sum();
    total / poisson(n, n as f64)
}

fn poisson(x: usize, mean: f64) -> f64 {
    if x == 0 {
        return libm::exp(-mean);
    }
    let x = x as f64;
    libm::exp(x * libm::log(mean) - mean - libm::lgamma(x + 1.0))
}

/// Mass of the count vectors that miss a level for the first time, over all levels.
fn failure(tree: &Tree, shares: &[f64], stop: Stop<'_>) -> Result<f64> {
    let q = shares.len();
    let caps: Vec<usize> =
        (0..q).map(|g| tree.nodes.iter().skip(g).step_by(q).copied().max().unwrap_or(0)).collect();
    let strides: Vec<usize> = caps
        .iter()
        .scan(1, |stride, cap| {
            let this = *stride;
            *stride *= cap + 1;
            Some(this)
        })
        .collect();
    let states = strides[q - 1] * (caps[q - 1] + 1);
    if states > LARGEST {
        let got = format!("{} places, {states} vectors of counts", tree.levels());
        return Err(Error::range("k", "a million vectors of counts at most", got));
    }
    let rest = (1.0 - shares.iter().sum::<f64>()).max(0.0);
    let mut chance = vec![0.0; states];
    chance[0] = 1.0;
    let mut failure = 0.0;
    for i in 1..=tree.levels() {
        stop.check()?;
        let mut next = vec![0.0; states];
        for (at, mass) in chance.iter().enumerate().filter(|(_, mass)| **mass > 0.0) {
            next[at] += mass * rest;
            for g in 0..q {
                // A count above every node is as good as the largest node's.
                let full = at / strides[g] % (caps[g] + 1) == caps[g];
                next[if full { at } else { at + strides[g] }] += mass * shares[g];
            }
        }
        let mut have = vec![0; q];
        for (at, mass) in next.iter_mut().enumerate() {
            if at % 1024 == 0 {
                stop.check()?;
            }
            if *mass <= 0.0 {
                continue;
            }
            for g in 0..q {
                have[g] = at / strides[g] % (caps[g] + 1);
            }
            if tree.passed(i, &have).is_none() {
                failure += *mass;
                *mass = 0.0;
            }
        }
        chance = next;
    }
    Ok(failure)
}

#[cfg(test)]
mod tests {
    use super::super::table;
    use super::*;
    use crate::rng::Stream;

    #[test]
    fn one_protected_group_gives_the_binomial_table() {
        for (k, p, alpha) in [(30, 0.3, 0.1), (25, 0.6, 0.05)] {
            let one = table(k, p, alpha, false, false, Stop::never()).expect("valid");
            let many = tree(k, &[p], alpha, false, Stop::never()).expect("valid");
            let nodes: Vec<usize> =
                (1..=k).flat_map(|i| many.level(i).flatten()).copied().collect();
            assert_eq!(nodes, one.minimum);
            assert!((many.failure - one.failure).abs() < 1e-10);
        }
    }

    #[test]
    fn nodes_pass_and_lie_above_a_parent() {
        let shares = [0.3, 0.25];
        let tree = tree(30, &shares, 0.1, false, Stop::never()).expect("valid");
        for i in 1..=30 {
            for node in tree.level(i) {
                assert!(below(node, i, &shares) >= 0.1 * (1.0 - 1e-12));
                assert!(i == 1 || tree.passed(i - 1, node).is_some());
            }
        }
    }

    #[test]
    fn the_failure_probability_agrees_with_simulation_and_adjusts() {
        let shares = [0.3, 0.2];
        let tree = super::tree(25, &shares, 0.1, true, Stop::never()).expect("valid");
        assert!((tree.failure - 0.1).abs() < 0.04, "{}", tree.failure);
        let trials = 20_000;
        let failed = (0..trials)
            .filter(|t| {
                let (mut stream, mut have) = (Stream::new(1, *t), [0, 0]);
                (1..=25).any(|i| {
                    let u = stream.uniform();
                    have[0] += usize::from(u < 0.3);
                    have[1] += usize::from((0.3..0.5).contains(&u));
                    tree.passed(i, &have).is_none()
                })
            })
            .count();
        let share = failed as f64 / trials as f64;
        let deviation = (tree.failure * (1.0 - tree.failure) / trials as f64).sqrt();
        assert!((share - tree.failure).abs() < 4.0 * deviation, "{share} {}", tree.failure);
    }

    #[test]
    fn wrong_numbers_are_errors() {
        assert!(tree(0, &[0.5], 0.1, false, Stop::never()).is_err());
        assert!(tree(5, &[0.8, 0.5], 0.1, false, Stop::never()).is_err());
        assert!(tree(5, &[0.0, 0.5], 0.1, false, Stop::never()).is_err());
        assert!(tree(5, &[0.5], 1.0, false, Stop::never()).is_err());
        assert!(tree(5, &[], 0.5, false, Stop::never()).is_err());
    }
}
