//! A ranking within bounds that has a small Kendall distance to all ballots.

use super::closest::closest_within;
use super::{Bounds, Groups};
use crate::social::{Cell, Cells, Profile};
use crate::{Error, Result, Stop, parallel};

/// Ballots of one task.
const CHUNK: usize = 32;

/// A fair consensus.
#[derive(Debug, Clone, PartialEq)]
pub struct Consensus {
    /// Items, best place first.
    pub order: Vec<usize>,
    /// Weighted Kendall distance to all ballots.
    pub distance: f64,
    /// That of the best ballot's closest ranking within the bounds: at most three times the optimum's.
    pub start: f64,
    /// Number of improving moves and exchanges from there.
    pub moves: usize,
    /// `sum min(S[a][b], S[b][a])`: no ranking, fair or not, is nearer.
    pub bound: f64,
}

/// The best of the ballots' closest rankings within `bounds`, improved by moves and exchanges.
///
/// A move takes an item to its best place, an exchange lets two items change places; both must keep
/// every bound. Moves go on until none improves, then the best exchange is made, until nothing does.
/// The start is a 3-approximation.
///
/// # Errors
/// [`Error::Range`] for ballots that are not full strict rankings, [`Error::Shape`] for groups of other
/// items, [`Error::Infeasible`] when no ranking is within the bounds, [`Error::Interrupted`].
///
/// Source: Chakraborty, Das, Khan and Subramanian 2022, "Fair rank aggregation", section 4.
pub fn consensus(
    profile: &Profile,
    groups: Groups<'_>,
    bounds: &Bounds,
    threads: Option<usize>,
    stop: Stop<'_>,
) -> Result<Consensus> {
    let m = profile.items();
    let Some(rows) = profile.rows() else {
        return Err(Error::range("profile", "full strict rankings", "partial or weak ballots"));
    };
    if groups.items() != m {
        return Err(Error::length("groups", m, groups.items()));
    }
    let windows = bounds.windows(&groups.sizes())?;
    let support = match &rows.places {
        Cells::U8(places) => support(places, profile, threads, stop)?,
        Cells::U16(places) => support(places, profile, threads, stop)?,
    };
    let near = parallel::map(profile.len().div_ceil(CHUNK), threads, |task| {
        stop.check()?;
        let last = profile.len().min((task + 1) * CHUNK);
        let of = |v: usize| {
            let ballot: Vec<usize> = (v * m..(v + 1) * m).map(|at| rows.order.get(at)).collect();
            let order = closest_within(&ballot, groups, bounds.prefixes(), &windows, stop)?;
            Ok((distance(&order, &support), order))
        };
        let found = (task * CHUNK..last).map(of).collect::<Result<Vec<_>>>()?;
        Ok(found.into_iter().min_by(|a, b| a.0.total_cmp(&b.0)))
    });
    let mut best: Option<(f64, Vec<usize>)> = None;
    for part in near {
        let part: Option<(f64, Vec<usize>)> = part?;
        if let Some((found, order)) = part {
            if best.as_ref().is_none_or(|(least, _)| found < *least) {
                best = Some((found, order));
            }
        }
    }
    let (start, order) = best.unwrap_or_default();
    let mut search = Search { order, support: &support, groups, bounds };
    let moves = search.run(1e-12 * profile.weights().total() * m as f64, stop)?;
    let distance = distance(&search.order, &support);
    let bound = (0..m)
        .flat_map(|a| (0..a).map(move |b| (a, b)))
        .map(|(a, b)| support[a * m + b].min(support[b * m + a]))
        .sum();
    Ok(Consensus { order: search.order, distance, start, moves, bound })
}

/// Weight of the ballots that rank `a` above `b`, `(m, m)`.
fn support<C: Cell>(
    places: &[C],
    profile: &Profile,
    threads: Option<usize>,
    stop: Stop<'_>,
) -> Result<Vec<f64>> {
    let (m, n) = (profile.items(), profile.len());
    let weights: Vec<f64> = (0..n).map(|v| profile.weights().get(v)).collect();
    let column = |a: usize| &places[a * n..(a + 1) * n];
    let rows = parallel::map(m, if m * m * n < 100_000 { Some(1) } else { threads }, |a| {
        stop.check()?;
        let above = |b: usize| -> f64 {
            let pairs = column(a).iter().zip(column(b)).zip(&weights);
            pairs.map(|((x, y), w)| if x < y { *w } else { 0.0 }).sum()
        };
        Ok((0..m).map(above).collect::<Vec<f64>>())
    });
    let rows: Vec<Vec<f64>> = rows.into_iter().collect::<Result<_>>()?;
    Ok(rows.concat())
}

/// `sum_{i < j} S[r_j][r_i]`.
fn distance(order: &[usize], support: &[f64]) -> f64 {
    let m = order.len();
    let below = |(i, a): (usize, &usize)| -> f64 {
        order[i + 1..].iter().map(|b| support[b * m + a]).sum()
    };
    order.iter().enumerate().map(below).sum()
}

struct Search<'a> {
    order: Vec<usize>,
    support: &'a [f64],
    groups: Groups<'a>,
    bounds: &'a Bounds,
}

impl Search<'_> {
    /// Moves items, then exchanges two, until nothing improves; returns the number of changes.
    fn run(&mut self, tiny: f64, stop: Stop<'_>) -> Result<usize> {
        let mut moves = self.move_all(tiny, stop)?;
        loop {
            stop.check()?;
            let (change, above, below) = self.best_exchange();
            if change >= -tiny {
                return Ok(moves);
            }
            self.order.swap(above, below);
            moves += 1 + self.move_all(tiny, stop)?;
        }
    }

    /// Rounds over all items until none moves; returns the number of moves.
    fn move_all(&mut self, tiny: f64, stop: Stop<'_>) -> Result<usize> {
        let m = self.order.len();
        let (mut moves, mut moved) = (0, true);
        while moved {
            moved = false;
            for item in 0..m {
                stop.check()?;
                let Some(from) = self.order.iter().position(|x| *x == item) else { continue };
                let (change, to) = self.best(from);
                if change < -tiny {
                    let x = self.order.remove(from);
                    self.order.insert(to, x);
                    (moves, moved) = (moves + 1, true);
                }
            }
        }
        Ok(moves)
    }

    /// What it adds to the distance to have `above` before `below` instead of after it.
    fn gain(&self, above: usize, below: usize) -> f64 {
        let m = self.order.len();
        self.support[below * m + above] - self.support[above * m + below]
    }

    /// The exchange of two items that adds least to the distance, and what it adds.
    ///
    /// Items of one group may always change places; others keep every bound in between. All pairs take
    /// `O(m^2 p)`: sums over the items between two grow by one term from pair to pair.
    fn best_exchange(&self) -> (f64, usize, usize) {
        let (m, p) = (self.order.len(), self.groups.count());
        let mut best = (0.0, 0, 0);
        // What it adds to have the item at each place above all that stand between it and `i`.
        let mut rises = vec![0.0; m];
        for i in (0..m).rev() {
            let x = self.order[i];
            let (mut falls, mut may) = (0.0, vec![true; p]);
            let mut have = self.counts(i);
            let own = self.groups.of(x);
            for j in i + 1..m {
                let y = self.order[j];
                have[self.groups.of(self.order[j - 1])] += 1;
                if j <= self.bounds.prefixes() {
                    // The first `j` places lose x and gain an item of some group.
                    let loses = have[own] > self.bounds.lower(j, own);
                    for (g, may) in may.iter_mut().enumerate() {
                        *may &= g == own || (loses && have[g] < self.bounds.upper(j, g));
                    }
                }
                if j > i + 1 {
                    let between = self.order[j - 1];
                    falls += self.gain(between, x);
                    rises[j] += self.gain(y, self.order[i + 1]);
                }
                let change = falls + rises[j] + self.gain(y, x);
                if change < best.0 && may[self.groups.of(y)] {
                    best = (change, i, j);
                }
            }
        }
        best
    }

    /// The best place for the item at `from`, and what moving it there adds to the distance.
    fn best(&self, from: usize) -> (f64, usize) {
        let m = self.order.len();
        let x = self.order[from];
        let gain = |above: usize, below: usize| self.gain(above, below);
        let mut best = (0.0, from);
        let (mut change, mut have) = (0.0, self.counts(from + 1));
        for to in from + 1..m {
            let other = self.order[to];
            // The first `to` places lose x and gain the item that moves up.
            if !self.fits(&have, to, other, x) {
                break;
            }
            have[self.groups.of(other)] += 1;
            change += gain(other, x);
            if change < best.0 {
                best = (change, to);
            }
        }
        let (mut change, mut have) = (0.0, self.counts(from));
        for to in (0..from).rev() {
            let other = self.order[to];
            // The first `to + 1` places gain x and lose the item that moves down.
            if !self.fits(&have, to + 1, x, other) {
                break;
            }
            have[self.groups.of(other)] -= 1;
            change += gain(x, other);
            if change < best.0 {
                best = (change, to);
            }
        }
        best
    }

    /// Items of each group in the first `i` places.
    fn counts(&self, i: usize) -> Vec<usize> {
        let mut have = vec![0; self.groups.count()];
        for item in &self.order[..i] {
            have[self.groups.of(*item)] += 1;
        }
        have
    }

    /// Whether the first `i` places stay within the bounds when one item comes and another goes.
    fn fits(&self, have: &[usize], i: usize, comes: usize, goes: usize) -> bool {
        let (comes, goes) = (self.groups.of(comes), self.groups.of(goes));
        i > self.bounds.prefixes()
            || comes == goes
            || (have[comes] < self.bounds.upper(i, comes)
                && have[goes] > self.bounds.lower(i, goes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;
    use crate::social::{Compact, Culture, sample};

    #[test]
    fn the_best_exchange_is_that_of_trying_all() {
        let m = 9;
        for seed in 0..40 {
            let mut stream = Stream::new(seed, 0);
            let support: Vec<f64> = (0..m * m).map(|_| stream.uniform()).collect();
            let labels: Vec<u32> = (0..9).map(|i| i % 3).collect();
            let groups = Groups::new(&labels, 3).expect("valid");
            let share = 1.0 / 3.0;
            let bounds = Bounds::from_shares(&[share, share, share], 7).expect("valid");
            let order: Vec<usize> = (0..m).collect();
            let search = Search { order, support: &support, groups, bounds: &bounds };
            let (change, i, j) = search.best_exchange();
            let now = distance(&search.order, &support);
            let mut least = 0.0_f64;
            for a in 0..m {
                for b in a + 1..m {
                    let mut other = search.order.clone();
                    other.swap(a, b);
                    if bounds.hold(&other, groups) {
                        least = least.min(distance(&other, &support) - now);
                    }
                }
            }
            assert!((change - least).abs() < 1e-9, "{change} {least}");
            let mut other = search.order.clone();
            other.swap(i, j);
            assert!((distance(&other, &support) - now - change).abs() < 1e-9);
        }
    }

    #[test]
    fn the_consensus_is_fair_and_near_and_threads_change_nothing() {
        for seed in 0..30 {
            let culture = Culture::Mallows { phi: Some(0.7), centre: None };
            let rows = sample(&culture, 11, 8, seed, None).expect("valid");
            let profile = Profile::full(&rows, 8, None, Compact::Auto, None).expect("valid");
            let labels = [0, 0, 0, 1, 0, 1, 1, 1];
            let groups = Groups::new(&labels, 2).expect("valid");
            let bounds = Bounds::from_shares(&[0.5, 0.5], 8).expect("valid");
            let got = consensus(&profile, groups, &bounds, None, Stop::never()).expect("feasible");
            assert!(bounds.hold(&got.order, groups));
            assert!(got.bound <= got.distance && got.distance <= got.start);
            let again = consensus(&profile, groups, &bounds, Some(1), Stop::never());
            assert_eq!(again, Ok(got));
        }
    }

    #[test]
    fn without_bounds_an_agreed_ranking_comes_back() {
        let rows = [2_i64, 0, 1, 3, 2, 0, 1, 3];
        let profile = Profile::full(&rows, 4, None, Compact::Auto, None).expect("valid");
        let groups = Groups::new(&[0, 0, 1, 1], 2).expect("valid");
        let bounds = Bounds::new(2, vec![0; 8], vec![9; 8]).expect("valid");
        let got = consensus(&profile, groups, &bounds, None, Stop::never()).expect("feasible");
        assert_eq!((got.order, got.distance, got.moves), (vec![2, 0, 1, 3], 0.0, 0));
    }
}
