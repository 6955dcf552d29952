//! Scores as stationary distributions of Markov chains from losers to winners.

use super::bradley_terry::Duels;
use super::cells::{Cell, Cells, Table, Value, with_cells};
use super::connect::components;
use super::fit::{Disconnected, Fit, Options, centre, check_options, finish, parse, resolve};
use super::newton::{Objective, Optimum, Tolerance, largest};
use super::prior::Prior;
use super::within;
use crate::{Result, Stop};

/// Sweeps of Gauss and Seidel before elimination, where that is affordable.
const SWEEPS: usize = 500;
/// Up to this many items elimination is affordable.
const DENSE: usize = 1500;
/// Relative change of the distribution at which it is final.
const STATIONARY: f64 = 1e-13;

/// The rates of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chain {
    /// `w_ij / (w_ij + w_ji)` into `i` from `j`.
    ///
    /// Source: Negahban, Oh and Shah 2017.
    RankCentrality,
    /// `w_ij / (pi_i + pi_j)` with all strengths 1.
    ///
    /// Source: Maystre and Grossglauser 2015, algorithm 1.
    Lsr,
    /// The same with the strengths that it finds, which are the most likely ones.
    ///
    /// Source: Maystre and Grossglauser 2015, algorithm 2.
    Ilsr,
    /// From the item to any that was at or above it, as often as it was.
    ///
    /// Source: Dwork, Kumar, Naor and Sivakumar 2001, for lists of two items; so are the next two.
    Mc1,
    /// To either item of a random comparison of the item, if it won there. The same as their `MC3`.
    Mc2,
    /// To a random item, if most comparisons say that it is better.
    Mc4,
}

impl Chain {
    const NAMES: [(&'static str, Self); 7] = [
        ("ilsr", Self::Ilsr),
        ("lsr", Self::Lsr),
        ("mc1", Self::Mc1),
        ("mc2", Self::Mc2),
        ("mc3", Self::Mc2),
        ("mc4", Self::Mc4),
        ("rank_centrality", Self::RankCentrality),
    ];

    /// By name.
    ///
    /// # Errors
    /// [`crate::Error::UnknownName`].
    pub fn parse(name: &str) -> Result<Self> {
        parse("chain", name, &Self::NAMES)
    }

    /// Rate into the row's item, and out of it, for one cell.
    fn rates(self, wins: f64, losses: f64, here: Item, there: Item) -> (f64, f64) {
        let both = wins + losses;
        match self {
            _ if both == 0.0 => (0.0, 0.0),
            Self::RankCentrality => (wins / both, losses / both),
            Self::Lsr | Self::Ilsr => {
                let share = 1.0 / (here.strength + there.strength);
                (wins * share, losses * share)
            }
            Self::Mc1 => (wins / (there.games + there.losses), losses / (here.games + here.losses)),
            Self::Mc2 => (wins / there.games, losses / here.games),
            Self::Mc4 => (f64::from(u8::from(wins > losses)), f64::from(u8::from(losses > wins))),
        }
    }
}

/// What a rate may depend on.
#[derive(Debug, Clone, Copy)]
struct Item {
    strength: f64,
    games: f64,
    losses: f64,
}

/// Log strengths by a chain; `leak` is a rate from every item to every other.
///
/// Where the comparisons do not connect the items and there is no leak, "regularise" leaks a little,
/// and "components" treats every component by itself.
///
/// # Errors
/// As for [`super::fit`].
pub fn stationary(
    table: &Table,
    chain: Chain,
    leak: f64,
    options: Options,
    stop: Stop<'_>,
) -> Result<Fit> {
    check_options(options)?;
    if !(leak.is_finite() && leak >= 0.0) {
        return Err(crate::Error::range("alpha", "a finite number of at least 0", leak));
    }
    within(options.threads, |threads| {
        let options = Options { threads, prior: Prior::default(), ..options };
        with_cells!(table, cells => walk(cells, chain, leak, options, stop))
    })
}

fn walk<T: Value>(
    cells: &Cells<T>,
    chain: Chain,
    mut leak: f64,
    options: Options,
    stop: Stop<'_>,
) -> Result<Fit> {
    let found = components(cells);
    let loose = found.count > 1 && leak == 0.0;
    let mut regularised = if loose { resolve(&found, options.disconnected)? } else { 0.0 };
    let apart = loose && options.disconnected == Disconnected::Components;
    if loose && !apart {
        // spread over all others, so that it weighs as much as the opponent of a likelihood
        regularised /= cells.items() as f64;
        leak = regularised;
    }
    let kept = if apart {
        cells.filtered(|i, j| found.of[i] == found.of[j]).shared(options.tie)
    } else {
        cells.shared(options.tie)
    };
    let component = if apart { found.of.clone() } else { vec![0; cells.items()] };
    let walker = Walker { cells: &kept, chain, leak, component: &component };
    let duels = Duels::new(&kept, 0.0, Prior::default(), &component, options.threads);
    let optimum = walker.run(&duels, options.tolerance, stop)?;
    let value = duels.log_likelihood(&optimum.at);
    Ok(finish((optimum, value), found, regularised))
}

struct Walker<'a> {
    cells: &'a Cells<f64>,
    chain: Chain,
    leak: f64,
    component: &'a [u32],
}

impl Walker<'_> {
    fn run(&self, duels: &Duels<'_, f64>, tolerance: Tolerance, stop: Stop<'_>) -> Result<Optimum> {
        let goal = tolerance.gradient * duels.scale();
        let mut x = vec![1.0; self.cells.items()];
        let mut iterations = 0;
        loop {
            stop.check()?;
            let found = self.solve(&mut x, stop)?;
            iterations += 1;
            let mut at: Vec<f64> = x.iter().map(|x| x.ln()).collect();
            centre(&mut at, self.component);
            let gradient = largest(&duels.evaluate(&at, None).0);
            let once = self.chain != Chain::Ilsr || self.leak > 0.0;
            let done = if once { found } else { gradient <= goal };
            if done || once || iterations >= tolerance.iterations || stop.expired() {
                return Ok(Optimum { at, iterations, converged: done, gradient });
            }
            x = at.iter().map(|t| t.exp()).collect();
        }
    }

    /// Moves `x`, from which the rates are taken, to the stationary distribution; whether it got there.
    fn solve(&self, x: &mut [f64], stop: Stop<'_>) -> Result<bool> {
        let m = x.len();
        let items: Vec<Item> = (0..m)
            .map(|i| {
                let losses: f64 = self.cells.row(i).iter().map(|c| c.losses).sum();
                let wins: f64 = self.cells.row(i).iter().map(|c| c.wins).sum();
                Item { strength: x[i], games: wins + losses, losses }
            })
            .collect();
        let rates = |i: usize, c: &Cell<f64>| {
            self.chain.rates(c.wins, c.losses, items[i], items[c.other()])
        };
        let mut into = Vec::with_capacity(self.cells.cells.len());
        let mut out = vec![self.leak * (m.max(1) - 1) as f64; m];
        for (i, out) in out.iter_mut().enumerate() {
            for cell in self.cells.row(i) {
                let (r, s) = rates(i, cell);
                into.push(r);
                *out += s;
            }
        }
        for sweep in 0..SWEEPS {
            if sweep % 8 == 0 {
                stop.check()?;
            }
            if self.sweep(x, &into, &out) <= STATIONARY {
                return Ok(true);
            }
        }
        Ok(m <= DENSE && self.eliminate(x, &into))
    }

    /// One sweep of Gauss and Seidel; the largest relative change.
    fn sweep(&self, x: &mut [f64], into: &[f64], out: &[f64]) -> f64 {
        let mut total: f64 = x.iter().sum();
        let scale = x.len() as f64 / total;
        let mut change = 0.0_f64;
        for i in 0..x.len() {
            let range = self.cells.starts[i]..self.cells.starts[i + 1];
            let cells = self.cells.cells[range.clone()].iter().zip(&into[range]);
            let flow: f64 = cells.map(|(c, r)| r * x[c.other()]).sum();
            if out[i] > 0.0 {
                let next = (flow + self.leak * (total - x[i])) / out[i];
                change = change.max((next - x[i]).abs() / next.max(f64::MIN_POSITIVE));
                total += next - x[i];
                x[i] = next;
            }
        }
        for x in x.iter_mut() {
            *x *= scale;
        }
        change
    }

    /// Elimination without subtractions, for every component by itself.
    ///
    /// Source: Grassmann, Taksar and Heyman 1985.
    fn eliminate(&self, x: &mut [f64], into: &[f64]) -> bool {
        let m = x.len();
        let mut p = vec![self.leak; m * m];
        for i in 0..m {
            for k in self.cells.starts[i]..self.cells.starts[i + 1] {
                p[self.cells.cells[k].other() * m + i] += into[k]; // from the other to i
            }
        }
        for n in (1..m).rev() {
            let (above, row) = p.split_at_mut(n * m);
            let sum: f64 = row[..n].iter().sum();
            if sum == 0.0 {
                continue; // the first item of its component
            }
            for line in above.chunks_exact_mut(m) {
                let share = line[n] / sum;
                line[n] = share;
                if share > 0.0 {
                    line[..n].iter_mut().zip(&row[..n]).for_each(|(a, b)| *a += share * b);
                }
            }
        }
        for n in 0..m {
            let flow: f64 = (0..n).map(|i| x[i] * p[i * m + n]).sum();
            x[n] = if flow > 0.0 { flow } else { 1.0 };
        }
        x.iter().all(|x| x.is_finite() && *x > 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sweeps_and_elimination_agree() {
        let mut stream = crate::rng::Stream::new(3, 0);
        let (n, m) = (400, 9);
        let a: Vec<u64> = (0..n).map(|_| stream.below(m) as u64).collect();
        let b: Vec<u64> =
            a.iter().map(|a| (a + 1 + stream.below(m - 1) as u64) % m as u64).collect();
        let rows = super::super::Rows {
            a: super::super::Ids::U64(&a),
            b: super::super::Ids::U64(&b),
            outcomes: None,
            weights: None,
        };
        let Table::Counts(cells) = super::super::reduce(rows, Some(m), None).expect("valid") else {
            unreachable!("counts are small")
        };
        let cells = cells.shared(0.5);
        for chain in [Chain::RankCentrality, Chain::Lsr, Chain::Mc1, Chain::Mc2, Chain::Mc4] {
            let walker = Walker { cells: &cells, chain, leak: 0.01, component: &vec![0; m] };
            let mut swept = vec![1.0; m];
            assert!(walker.solve(&mut swept, Stop::never()).expect("not stopped"));
            let items = |i: usize| {
                let losses: f64 = cells.row(i).iter().map(|c| c.losses).sum();
                let wins: f64 = cells.row(i).iter().map(|c| c.wins).sum();
                Item { strength: 1.0, games: wins + losses, losses }
            };
            let into: Vec<f64> = (0..m)
                .flat_map(|i| cells.row(i).iter().map(move |c| (i, c)))
                .map(|(i, c)| chain.rates(c.wins, c.losses, items(i), items(c.other())).0)
                .collect();
            let mut exact = vec![1.0; m];
            assert!(walker.eliminate(&mut exact, &into));
            let (s, e): (f64, f64) = (swept.iter().sum(), exact.iter().sum());
            for (p, q) in swept.iter().zip(&exact) {
                assert!((p / s - q / e).abs() < 1e-11, "{chain:?}");
            }
        }
    }
}
