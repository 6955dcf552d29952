//! What the best quota wins back: the published experiment, for any bias, rule and groups.

use super::committees::{Committees, split};
use super::latent::{Latent, bias_stream, election_seed};
use super::models::{Bias, Scratch, apply};
use super::rules::Objective;
use crate::fair::Groups;
use crate::{Error, Result, Stop, parallel, size};

/// What to simulate.
#[derive(Debug, Clone, Copy)]
pub struct StudyOptions<'a> {
    /// Ballots of an election.
    pub ballots: usize,
    /// Seats of the committee.
    pub seats: usize,
    /// Seats kept for groups above 0 together, one number per committee that is compared.
    pub quotas: &'a [usize],
    /// Elections per bias (and per quota when `fresh`).
    pub elections: usize,
    /// Whether every quota gets elections of its own, as published, or all are measured on the same.
    pub fresh: bool,
    /// Whether items of equal score come in an order drawn anew for every election, or by index. Cultures
    /// with a centre put better items at lower indices, which an order by index gives away.
    pub shuffled_ties: bool,
    /// Seed.
    pub seed: u64,
    /// Threads; `None` for those of the process.
    pub threads: Option<usize>,
    /// When to give up.
    pub stop: Stop<'a>,
}

/// Means and deviations over elections; arrays are `(rules, biases, quotas)` in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub struct Study {
    /// Mean latent score of the committee over that of the best committee.
    pub ratio: Vec<f64>,
    /// Standard deviation of those ratios.
    pub deviation: Vec<f64>,
    /// Mean biased score of the committee over that of the best committee by biased scores.
    pub observed: Vec<f64>,
}

/// Measures committees that are best by biased scores for every quota.
///
/// With `l` seats for groups above 0, these take their best items, shared out in proportion to the
/// groups' sizes, and group 0 the rest: the exact split of the published experiment. Committees of
/// separable objectives are exact, from one sort for all quotas; others are greedy, and the best
/// committee is then the best that was met.
///
/// # Errors
/// [`Error::Range`] and [`Error::Shape`] for wrong arguments, [`Error::Infeasible`] when a group has too
/// few items for a quota, [`Error::Interrupted`].
///
/// Source: Boehmer, Celis, Huang, Mehrotra and Vishnoi 2023, experiments with synthetic preferences.
pub fn study(
    objectives: &[Objective],
    latent: &Latent,
    biases: &[Bias],
    groups: Groups<'_>,
    options: &StudyOptions<'_>,
) -> Result<Study> {
    biases.iter().try_for_each(Bias::check)?;
    latent.check(groups.items())?;
    check(objectives, biases, groups, options)?;
    let splits: Result<Vec<Vec<usize>>> =
        options.quotas.iter().map(|quota| split(*quota, options.seats, groups)).collect();
    let world = World { objectives, latent, biases, groups, splits: &splits?, options };
    let cells = world.cells();
    let threads = if options.ballots * groups.items() * cells.len() < 50_000 {
        Some(1)
    } else {
        options.threads
    };
    let parts = parallel::map(cells.len(), threads, |at| world.cell(&cells[at]));
    world.gather(&cells, parts)
}

fn check(
    objectives: &[Objective],
    biases: &[Bias],
    groups: Groups<'_>,
    options: &StudyOptions<'_>,
) -> Result<()> {
    for (name, x) in [
        ("rules", objectives.len()),
        ("strengths", biases.len()),
        ("quotas", options.quotas.len()),
        ("voters", options.ballots),
        ("elections", options.elections),
    ] {
        if x == 0 {
            return Err(Error::range(name, "at least one", x));
        }
        size::table(name, x, groups.items())?;
    }
    if options.seats == 0 || options.seats > groups.items() {
        let expected = format!("1 to the {} items", groups.items());
        return Err(Error::range("seats", &expected, options.seats));
    }
    Ok(())
}

/// Elections that one task simulates: a bias, some quotas, and which of the series.
struct Cell {
    bias: usize,
    quotas: std::ops::Range<usize>,
    elections: std::ops::Range<usize>,
}

/// Elections of one task at most.
const CHUNK: usize = 8;

struct World<'a> {
    objectives: &'a [Objective],
    latent: &'a Latent,
    biases: &'a [Bias],
    groups: Groups<'a>,
    splits: &'a [Vec<usize>],
    options: &'a StudyOptions<'a>,
}

impl World<'_> {
    fn cells(&self) -> Vec<Cell> {
        let (quotas, mut cells) = (self.splits.len(), Vec::new());
        let step = if self.options.fresh { 1 } else { quotas };
        for bias in 0..self.biases.len() {
            for first in (0..quotas).step_by(step) {
                for start in (0..self.options.elections).step_by(CHUNK) {
                    let elections = start..self.options.elections.min(start + CHUNK);
                    cells.push(Cell { bias, quotas: first..first + step, elections });
                }
            }
        }
        cells
    }

    /// `(elections, rules, quotas of the cell)` pairs of ratios.
    fn cell(&self, cell: &Cell) -> Result<Vec<(f64, f64)>> {
        let (m, options) = (self.groups.items(), self.options);
        let mut out = Vec::new();
        let mut scratch = Scratch::default();
        for e in cell.elections.clone() {
            options.stop.check()?;
            // Every (bias, quota, election) has an index of its own.
            let at = (cell.bias * self.splits.len() + cell.quotas.start) * options.elections + e;
            let seed = election_seed(options.seed, at as u64);
            let before = self.latent.election(options.ballots, m, seed)?;
            let mut after = before.clone();
            let mut stream = bias_stream(seed);
            for ballot in after.chunks_exact_mut(m) {
                apply(&self.biases[cell.bias], ballot, self.groups, &mut scratch, &mut stream);
            }
            let mut ties: Vec<usize> = (0..m).collect();
            if options.shuffled_ties {
                stream.shuffle(&mut ties);
            }
            let committees = Committees {
                groups: self.groups,
                seats: options.seats,
                splits: &self.splits[cell.quotas.clone()],
                ties: &ties,
            };
            for objective in self.objectives {
                out.extend(committees.shares(objective, &before, &after));
            }
        }
        Ok(out)
    }

    fn gather(&self, cells: &[Cell], parts: Vec<Result<Vec<(f64, f64)>>>) -> Result<Study> {
        let (rules, quotas) = (self.objectives.len(), self.splits.len());
        let size = rules * self.biases.len() * quotas;
        let (mut ratio, mut squares, mut observed) =
            (vec![0.0; size], vec![0.0; size], vec![0.0; size]);
        let parts: Vec<Vec<(f64, f64)>> = parts.into_iter().collect::<Result<_>>()?;
        let place = |cell: &Cell, at: usize| {
            let width = cell.quotas.len();
            let (rule, quota) = (at / width % rules, cell.quotas.start + at % width);
            (rule * self.biases.len() + cell.bias) * quotas + quota
        };
        let n = self.options.elections as f64;
        for (cell, part) in cells.iter().zip(&parts) {
            for (at, (truth, seen)) in part.iter().enumerate() {
                ratio[place(cell, at)] += truth / n;
                observed[place(cell, at)] += seen / n;
            }
        }
        for (cell, part) in cells.iter().zip(&parts) {
            for (at, (truth, _)) in part.iter().enumerate() {
                let off = truth - ratio[place(cell, at)];
                squares[place(cell, at)] += off * off / n;
            }
        }
        let deviation = squares.into_iter().map(f64::sqrt).collect();
        Ok(Study { ratio, deviation, observed })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Swapping, objective};
    use super::*;
    use crate::social::Culture;

    const RULES: [&str; 5] = ["borda", "bloc", "sntv", "borda_cc", "pav"];

    fn run(
        labels: &[u32],
        p: usize,
        quotas: &[usize],
        fresh: bool,
        threads: Option<usize>,
    ) -> Study {
        let groups = Groups::new(labels, p).expect("valid");
        let objectives: Vec<Objective> =
            RULES.iter().map(|name| objective(name, labels.len(), 4).expect("known")).collect();
        let bias = |strength| {
            Bias::Swapping(Swapping { phi: 0.5, strength, current: false, keep_group_order: false })
        };
        let options = StudyOptions {
            ballots: 15,
            seats: 4,
            quotas,
            elections: 20,
            fresh,
            shuffled_ties: true,
            seed: 5,
            threads,
            stop: Stop::never(),
        };
        let latent = Latent::Culture(Culture::Impartial);
        study(&objectives, &latent, &[bias(0.0), bias(1.0)], groups, &options).expect("feasible")
    }

    #[test]
    fn ratios_are_at_most_one_and_a_quota_wins_back() {
        let labels: Vec<u32> = (0..16).map(|i| i % 2).collect();
        for fresh in [false, true] {
            let got = run(&labels, 2, &[0, 1, 2, 3, 4], fresh, None);
            assert_eq!(got.ratio.len(), RULES.len() * 2 * 5);
            assert!(got.ratio.iter().chain(&got.observed).all(|r| (0.0..=1.0 + 1e-12).contains(r)));
            // Borda under full bias: two seats for the disadvantaged beat none.
            assert!(got.ratio[5 + 2] > got.ratio[5]);
            assert_eq!(got, run(&labels, 2, &[0, 1, 2, 3, 4], fresh, Some(1)));
        }
    }
}
