//! Distances between a ranking and the ballots of a profile.

use super::profile::{Ballots, Profile, Unranked};
use crate::{Error, Result, Stop, parallel};

/// Ballots per unit of work.
const BLOCK: usize = 256;

/// A distance or a correlation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Metric {
    /// Pairs ordered oppositely, and `penalty` for each pair tied in exactly one of the two.
    Kendall {
        /// From 0 to 1.
        penalty: f64,
    },
    /// Pairs ordered alike less those ordered oppositely, over all pairs.
    TauA,
    /// The same over the geometric mean of the pairs that each side does not tie.
    TauB,
    /// The same over the pairs that neither ties.
    Gamma,
    /// Sum of the displacements of items; tied ones stand at the mean of their places.
    Footrule,
    /// Sum of their squares.
    Rho,
    /// Least number of swaps of two items; without ties.
    Cayley,
    /// Least number of moves of one item; without ties.
    Ulam,
    /// Items at different places; without ties.
    Hamming,
}

impl Metric {
    /// The metric of a name.
    ///
    /// # Errors
    /// [`Error::UnknownName`], [`Error::Range`] for the penalty.
    pub fn named(name: &str, penalty: f64) -> Result<Self> {
        if !(0.0..=1.0).contains(&penalty) {
            return Err(Error::range("penalty", "a number in [0, 1]", penalty));
        }
        let known =
            ["kendall", "tau_a", "tau_b", "gamma", "footrule", "rho", "cayley", "ulam", "hamming"];
        Ok(match name {
            "kendall" => Self::Kendall { penalty },
            "tau_a" => Self::TauA,
            "tau_b" => Self::TauB,
            "gamma" => Self::Gamma,
            "footrule" => Self::Footrule,
            "rho" => Self::Rho,
            "cayley" => Self::Cayley,
            "ulam" => Self::Ulam,
            "hamming" => Self::Hamming,
            other => {
                let (kind, name, known) = ("metric", other.to_owned(), known.to_vec());
                return Err(Error::UnknownName { kind, name, known });
            }
        })
    }

    fn allows_ties(self) -> bool {
        !matches!(self, Self::Cayley | Self::Ulam | Self::Hamming)
    }
}

/// Distances of all ballots from a weak order given as a bucket number per item.
///
/// Items that a ballot leaves out are tied below the others. Takes `O(n m log m)`.
///
/// Source: Kendall 1945; Knight 1966; Fagin, Kumar and Sivakumar 2003; Diaconis 1988.
///
/// # Errors
/// [`Error::Shape`] for the order, [`Error::Range`] for ties where the metric has none.
pub fn distances(
    profile: &Profile,
    buckets: &[usize],
    metric: Metric,
    threads: Option<usize>,
    stop: Stop<'_>,
) -> Result<Vec<f64>> {
    let (n, m) = (profile.len(), profile.items());
    if buckets.len() != m {
        return Err(Error::length("ranking", m, buckets.len()));
    }
    if profile.unranked() == Unranked::Ignore && !matches!(profile.ballots(), Ballots::Full(_)) {
        let got = "unranked='ignore'";
        return Err(Error::range("profile", "unranked items below the others", got));
    }
    let centre = doubled(buckets);
    let threads = if n * m < 20_000 { Some(1) } else { threads };
    let parts = parallel::map(n.div_ceil(BLOCK), threads, |block| -> Result<Vec<f64>> {
        stop.check()?;
        let mut places = vec![0; m];
        (block * BLOCK..((block + 1) * BLOCK).min(n))
            .map(|v| {
                ballot_places(profile, v, &mut places);
                between(&places, &centre, metric).ok_or_else(|| {
                    let got = format!("ties between the ranking and ballot {v}");
                    Error::range("metric", "one that allows ties", got)
                })
            })
            .collect()
    });
    parts.into_iter().collect::<Result<Vec<_>>>().map(|parts| parts.concat())
}

/// Twice the mean place of each item of a weak order.
fn doubled(buckets: &[usize]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..buckets.len()).collect();
    order.sort_by_key(|item| buckets[*item]);
    let mut out = vec![0; buckets.len()];
    let mut first = 0;
    for run in order.chunk_by(|a, b| buckets[*a] == buckets[*b]) {
        for item in run {
            out[*item] = 2 * first + run.len() - 1;
        }
        first += run.len();
    }
    out
}

fn ballot_places(profile: &Profile, ballot: usize, places: &mut [usize]) {
    let m = profile.items();
    match profile.ballots() {
        Ballots::Full(rows) => {
            for r in 0..m {
                places[rows.order.get(ballot * m + r)] = 2 * r;
            }
        }
        Ballots::Lists(lists) => {
            places.fill(lists.ballot(ballot).len() + m - 1);
            let mut first = 0;
            for bucket in lists.buckets(ballot) {
                for item in bucket {
                    places[*item as usize] = 2 * first + bucket.len() - 1;
                }
                first += bucket.len();
            }
        }
    }
}

/// The distance of two vectors of doubled places; `None` for ties where there must be none.
fn between(a: &[usize], b: &[usize], metric: Metric) -> Option<f64> {
    let displaced = |a: &[usize], b: &[usize]| -> Vec<f64> {
        a.iter().zip(b).map(|(a, b)| a.abs_diff(*b) as f64 / 2.0).collect()
    };
    if metric.allows_ties() {
        return Some(match metric {
            Metric::Footrule => displaced(a, b).iter().sum(),
            Metric::Rho => displaced(a, b).iter().map(|d| d * d).sum(),
            _ => Pairs::count(a, b).measure(metric),
        });
    }
    let (first, second) = (strict_order(a)?, strict_order(b)?);
    // Where the first ranking's items, in its order, stand in the second.
    let mut place = vec![0; a.len()];
    second.iter().enumerate().for_each(|(p, item)| place[*item] = p);
    let relative: Vec<usize> = first.iter().map(|item| place[*item]).collect();
    Some(match metric {
        Metric::Cayley => (relative.len() - cycles(&relative)) as f64,
        Metric::Ulam => (relative.len() - longest_rise(&relative)) as f64,
        _ => relative.iter().enumerate().filter(|(p, q)| *p != **q).count() as f64,
    })
}

/// Items by place, when no two share one.
fn strict_order(places: &[usize]) -> Option<Vec<usize>> {
    let mut order = vec![usize::MAX; places.len()];
    for (item, place) in places.iter().enumerate() {
        if place % 2 == 1 || order[place / 2] != usize::MAX {
            return None;
        }
        order[place / 2] = item;
    }
    Some(order)
}

fn cycles(permutation: &[usize]) -> usize {
    let mut seen = vec![false; permutation.len()];
    let mut count = 0;
    for start in 0..permutation.len() {
        count += usize::from(!seen[start]);
        let mut at = start;
        while !std::mem::replace(&mut seen[at], true) {
            at = permutation[at];
        }
    }
    count
}

fn longest_rise(values: &[usize]) -> usize {
    let mut tails: Vec<usize> = Vec::new();
    for value in values {
        let at = tails.partition_point(|tail| tail < value);
        match tails.get_mut(at) {
            Some(tail) => *tail = *value,
            None => tails.push(*value),
        }
    }
    tails.len()
}

/// Pairs of items by how two weak orders treat them.
struct Pairs {
    all: f64,
    opposite: f64,
    tied_first: f64,
    tied_second: f64,
    tied_both: f64,
}

impl Pairs {
    /// Sorts by the first order and counts the swaps that the second needs (Knight 1966).
    fn count(a: &[usize], b: &[usize]) -> Self {
        let pairs = |n: usize| (n * n.saturating_sub(1) / 2) as f64;
        let mut both: Vec<(usize, usize)> = a.iter().copied().zip(b.iter().copied()).collect();
        both.sort_unstable();
        let runs = |same: fn(&(usize, usize), &(usize, usize)) -> bool| {
            both.chunk_by(same).map(|run| pairs(run.len())).sum()
        };
        let tied_first = runs(|x, y| x.0 == y.0);
        let tied_both = runs(|x, y| x == y);
        let mut second: Vec<usize> = both.iter().map(|x| x.1).collect();
        let opposite = inversions(&mut second) as f64;
        let tied_second = second.chunk_by(|x, y| x == y).map(|run| pairs(run.len())).sum();
        Self { all: pairs(a.len()), opposite, tied_first, tied_second, tied_both }
    }

    fn measure(&self, metric: Metric) -> f64 {
        let untied = self.all - self.tied_first - self.tied_second + self.tied_both;
        let excess = untied - 2.0 * self.opposite;
        let over = |whole: f64| if whole > 0.0 { excess / whole } else { 0.0 };
        match metric {
            Metric::Kendall { penalty } => {
                self.opposite
                    + penalty * (self.tied_first + self.tied_second - 2.0 * self.tied_both)
            }
            Metric::TauA => over(self.all),
            Metric::TauB => {
                over(((self.all - self.tied_first) * (self.all - self.tied_second)).sqrt())
            }
            _ => over(untied),
        }
    }
}

/// Sorts, and counts the pairs that stood in falling order.
fn inversions(values: &mut [usize]) -> usize {
    let n = values.len();
    let mut merged = values.to_vec();
    let mut count = 0;
    let mut width = 1;
    while width < n {
        for start in (0..n).step_by(2 * width) {
            let (middle, end) = ((start + width).min(n), (start + 2 * width).min(n));
            let (mut i, mut j) = (start, middle);
            for slot in &mut merged[start..end] {
                if j == end || (i < middle && values[i] <= values[j]) {
                    *slot = values[i];
                    i += 1;
                } else {
                    *slot = values[j];
                    j += 1;
                    count += middle - i;
                }
            }
        }
        values.copy_from_slice(&merged);
        width *= 2;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    fn plain(a: &[usize], b: &[usize], penalty: f64) -> f64 {
        let pairs = (0..a.len()).flat_map(|i| (0..i).map(move |j| (i, j)));
        pairs
            .map(|(i, j)| match (a[i].cmp(&a[j]), b[i].cmp(&b[j])) {
                (x, y) if x.is_eq() != y.is_eq() => penalty,
                (x, y) => f64::from(u8::from(x != y)),
            })
            .sum()
    }

    #[test]
    fn kendall_counts_pairs_with_and_without_ties() {
        let mut stream = Stream::new(3, 0);
        for m in 1..40 {
            let draw = |stream: &mut Stream| -> Vec<usize> {
                doubled(&(0..m).map(|_| stream.below(m)).collect::<Vec<_>>())
            };
            let (a, b) = (draw(&mut stream), draw(&mut stream));
            let metric = Metric::Kendall { penalty: 0.3 };
            let found = between(&a, &b, metric).expect("ties are allowed");
            assert!((found - plain(&a, &b, 0.3)).abs() < 1e-9);
            let tau = |a: &[usize], b: &[usize]| between(a, b, Metric::TauB).expect("allowed");
            assert!(tau(&a, &b).abs() <= 1.0 + 1e-12);
            assert!((tau(&a, &b) - tau(&b, &a)).abs() < 1e-12);
        }
    }

    #[test]
    fn strict_metrics_are_worked_by_hand() {
        let places = |order: &[usize]| {
            let mut out = vec![0; order.len()];
            order.iter().enumerate().for_each(|(p, i)| out[*i] = 2 * p);
            out
        };
        let (a, b) = (places(&[0, 1, 2, 3, 4]), places(&[4, 0, 1, 2, 3]));
        let measure = |metric| between(&a, &b, metric).expect("strict");
        assert_eq!(measure(Metric::Kendall { penalty: 0.5 }), 4.0);
        assert_eq!(measure(Metric::Footrule), 8.0);
        assert_eq!(measure(Metric::Rho), 20.0);
        assert_eq!(measure(Metric::Cayley), 4.0);
        assert_eq!(measure(Metric::Ulam), 1.0);
        assert_eq!(measure(Metric::Hamming), 5.0);
        assert!((measure(Metric::TauA) - 0.2).abs() < 1e-12);
        assert_eq!(between(&doubled(&[0, 0]), &[0, 2], Metric::Ulam), None);
    }
}
