//! Scores that need no likelihood: counts, shares, flows, and Elo's ratings.

use super::cells::{Cell, Cells, Table, Value, with_cells};
use super::ids::{Id, Ids, outside, with_ids};
use super::reduce::{A, B, Rows, TIE};
use crate::{Error, Result, Stop, size};

/// What the weights of a win and of a tie are, and when to stop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoreOptions {
    /// Weight of a win.
    pub win: f64,
    /// Weight of a tie.
    pub tie: f64,
    /// Probability of following a comparison, in "pagerank".
    pub damping: f64,
    /// Change of the scores at which they are final.
    pub tolerance: f64,
    /// Most iterations.
    pub max_iter: usize,
}

/// Scores and how they were found.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// `(m,)`.
    pub scores: Vec<f64>,
    /// Iterations; 0 for what needs none.
    pub iterations: usize,
    /// Whether they are final.
    pub converged: bool,
}

/// How a rule finds its scores.
enum Run {
    /// From the cells of each item.
    Each(fn(&[Cell<f64>]) -> f64),
    /// From all, again and again.
    All(fn(&Cells<f64>, ScoreOptions, Stop<'_>) -> Result<Scores>),
}

/// One row of [`SCORES`].
pub struct ScoreRule {
    /// What it is called.
    pub name: &'static str,
    /// Where it was published.
    pub source: &'static str,
    run: Run,
}

/// Scores from cells.
pub const SCORES: [ScoreRule; 5] = [
    ScoreRule { name: "average_win_rate", source: "folklore", run: Run::Each(average_win_rate) },
    ScoreRule { name: "counting", source: "Copeland 1951, of weights", run: Run::Each(counting) },
    ScoreRule { name: "eigen", source: "Bonacich 1987", run: Run::All(eigen) },
    ScoreRule { name: "hits", source: "Kleinberg 1999", run: Run::All(hits) },
    ScoreRule { name: "pagerank", source: "Brin and Page 1998", run: Run::All(pagerank) },
];

/// Scores by a rule of [`SCORES`].
///
/// # Errors
/// [`Error::UnknownName`], [`Error::Range`] for weights below 0 or a damping outside `[0, 1]`.
pub fn score(table: &Table, rule: &str, options: ScoreOptions, stop: Stop<'_>) -> Result<Scores> {
    let row = SCORES.iter().find(|row| row.name == rule).ok_or_else(|| Error::UnknownName {
        kind: "score",
        name: rule.to_owned(),
        known: SCORES.iter().map(|row| row.name).collect(),
    })?;
    for (name, value) in [("win_weight", options.win), ("tie_weight", options.tie)] {
        if !(value.is_finite() && value >= 0.0) {
            return Err(Error::range(name, "a finite number of at least 0", value));
        }
    }
    if !(0.0..=1.0).contains(&options.damping) {
        return Err(Error::range("damping", "a number in [0, 1]", options.damping));
    }
    let mut cells = with_cells!(table, cells => cells.weighted(options.win, options.tie));
    cells.ties.clear();
    match row.run {
        Run::Each(of) => {
            let scores = (0..cells.items()).map(|i| of(cells.row(i))).collect();
            Ok(Scores { scores, iterations: 0, converged: true })
        }
        Run::All(run) => run(&cells, options, stop),
    }
}

impl<T: Value> Cells<T> {
    /// Wins and losses that count `win` each, ties `tie` for both sides.
    fn weighted(&self, win: f64, tie: f64) -> Cells<f64> {
        let mut out = self.shared(0.0);
        for (k, cell) in out.cells.iter_mut().enumerate() {
            let half = tie * self.tie(k);
            (cell.wins, cell.losses) = (win * cell.wins + half, win * cell.losses + half);
        }
        out
    }
}

fn counting(row: &[Cell<f64>]) -> f64 {
    row.iter().map(|c| c.wins).sum()
}

/// Mean over opponents of the share of wins against them; 0 without opponents.
fn average_win_rate(row: &[Cell<f64>]) -> f64 {
    let shares = row.iter().filter(|c| c.wins + c.losses > 0.0);
    let (sum, count) = shares
        .map(|c| c.wins / (c.wins + c.losses))
        .fold((0.0, 0_u32), |(sum, count), share| (sum + share, count + 1));
    if count > 0 { sum / f64::from(count) } else { 0.0 }
}

/// Repeats `next` until the scores stay; `next` also normalises.
fn iterate(
    m: usize,
    options: ScoreOptions,
    stop: Stop<'_>,
    next: impl Fn(&[f64]) -> Vec<f64>,
) -> Result<Scores> {
    let mut scores = next(&vec![1.0 / m.max(1) as f64; m]);
    for iterations in 1..=options.max_iter {
        stop.check()?;
        let after = next(&scores);
        let change: f64 = after.iter().zip(&scores).map(|(a, b)| (a - b).abs()).sum();
        scores = after;
        if change <= options.tolerance {
            return Ok(Scores { scores, iterations, converged: true });
        }
    }
    Ok(Scores { scores, iterations: options.max_iter, converged: false })
}

/// The random walk from losers to winners, starting anew now and then; sums to one.
fn pagerank(cells: &Cells<f64>, options: ScoreOptions, stop: Stop<'_>) -> Result<Scores> {
    let m = cells.items();
    let lost: Vec<f64> = (0..m).map(|i| cells.row(i).iter().map(|c| c.losses).sum()).collect();
    iterate(m, options, stop, |x| {
        let idle: f64 = x.iter().zip(&lost).filter(|(_, l)| **l == 0.0).map(|(x, _)| x).sum();
        let total: f64 = x.iter().sum();
        let base = (options.damping * idle + (1.0 - options.damping) * total) / m as f64;
        let into = |i: usize| {
            let flow = |c: &Cell<f64>| {
                let all = lost[c.other()];
                if all > 0.0 { x[c.other()] * c.wins / all } else { 0.0 }
            };
            base + options.damping * cells.row(i).iter().map(flow).sum::<f64>()
        };
        let mut after: Vec<f64> = (0..m).map(into).collect();
        let sum: f64 = after.iter().sum();
        for a in &mut after {
            *a /= sum;
        }
        after
    })
}

/// An item is as good as those it beat: the leading eigenvector, of length one.
///
/// A multiple of the identity is added, which changes no eigenvector and keeps a cycle from oscillating.
fn eigen(cells: &Cells<f64>, options: ScoreOptions, stop: Stop<'_>) -> Result<Scores> {
    let m = cells.items();
    let total: f64 = cells.cells.iter().map(|c| c.wins).sum();
    let shift = 0.5 * total / m.max(1) as f64;
    iterate(m, options, stop, |x| {
        let into = |i: usize| {
            let flow: f64 = cells.row(i).iter().map(|c| c.wins * x[c.other()]).sum();
            flow + shift * x[i]
        };
        let mut after: Vec<f64> = (0..m).map(into).collect();
        let norm = after.iter().map(|a| a * a).sum::<f64>().sqrt();
        if norm > 0.0 {
            for a in &mut after {
                *a /= norm;
            }
        }
        after
    })
}

/// Authorities among items, where losers point at winners: good if those that lost to it lost to the good;
/// of length one.
fn hits(cells: &Cells<f64>, options: ScoreOptions, stop: Stop<'_>) -> Result<Scores> {
    let m = cells.items();
    iterate(m, options, stop, |x| {
        let through = |from: &[f64], of: fn(&Cell<f64>) -> f64| -> Vec<f64> {
            let into = |i| cells.row(i).iter().map(|c| of(c) * from[c.other()]).sum();
            (0..m).map(into).collect()
        };
        let hubs = through(x, |c| c.losses);
        let mut after = through(&hubs, |c| c.wins);
        let norm = after.iter().map(|a| a * a).sum::<f64>().sqrt();
        if norm > 0.0 {
            for a in &mut after {
                *a /= norm;
            }
        }
        after
    })
}

/// Constants of Elo's ratings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EloOptions {
    /// Rating before the first comparison.
    pub initial: f64,
    /// Ratings that differ by `scale` mean odds of `base`.
    pub base: f64,
    /// See `base`.
    pub scale: f64,
    /// The most that a comparison of weight 1 can move a rating.
    pub k: f64,
    /// Score of a tie.
    pub tie: f64,
}

/// Ratings after all rows, in their order.
///
/// # Errors
/// As for [`super::reduce`]; [`Error::Range`] for constants out of range.
///
/// Source: Elo 1978.
pub fn elo(
    rows: Rows<'_>,
    items: usize,
    start: Option<&[f64]>,
    options: EloOptions,
    stop: Stop<'_>,
) -> Result<Vec<f64>> {
    rows.check_lengths()?;
    let finite = [options.initial, options.base, options.scale, options.k, options.tie];
    if !finite.iter().all(|x| x.is_finite()) || options.base <= 1.0 || options.scale <= 0.0 {
        let got = format!("{finite:?}");
        return Err(Error::range("elo", "finite constants, base above 1, scale above 0", got));
    }
    let ratings = match start {
        Some(start) if start.len() != items => {
            return Err(Error::length("start", items, start.len()));
        }
        Some(start) => start.to_vec(),
        None => vec![options.initial; size::count("items", items)?],
    };
    with_ids!(rows.a, rows.b, (a, b) => play(a, b, rows, ratings, options, stop))
}

fn play<I: Id>(
    a: &[I],
    b: &[I],
    rows: Rows<'_>,
    mut ratings: Vec<f64>,
    options: EloOptions,
    stop: Stop<'_>,
) -> Result<Vec<f64>> {
    let steepness = options.base.ln() / options.scale;
    for (row, (x, y)) in a.iter().zip(b).enumerate() {
        if row % 65_536 == 0 {
            stop.check()?;
        }
        let (i, j) = (x.id() as usize, y.id() as usize);
        let (Some(own), Some(other)) = (ratings.get(i), ratings.get(j)) else {
            let (name, ids) = if i < ratings.len() { ("losers", b) } else { ("winners", a) };
            return Err(outside(name, ids, ratings.len()));
        };
        let score = match rows.outcomes.map_or(A, |o| o[row]) {
            A => 1.0,
            B => 0.0,
            TIE => options.tie,
            _ => continue,
        };
        let expected = 1.0 / (1.0 + ((other - own) * steepness).exp());
        let step = options.k * rows.weights.map_or(1.0, |w| w[row]) * (score - expected);
        ratings[i] += step;
        ratings[j] -= step;
    }
    Ok(ratings)
}
