//! Optimal mixed strategies of the game in which each of two sides names an item.

use super::options::Options;
use super::outcome::{Fact, Outcome};
use super::rules::{Rule, Run};
use crate::{Result, Stop};

/// Below this, a number of a scaled tableau is 0.
const ZERO: f64 = 1e-9;

/// The rules of this file.
pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "maximal_lotteries",
        source: "Kreweras 1965; Fishburn 1984: winners have a chance in some optimal lottery",
        laws: &["anonymous", "neutral", "homogeneous", "condorcet", "smith"],
        options: &[],
        run: Run::Support(|s, _, stop| lottery(&s.margins(), s.items(), stop)),
    },
    Rule {
        name: "bipartisan_set",
        source: "Laffond, Laslier and Le Breton 1993: the same with majorities of equal strength",
        laws: &["anonymous", "neutral", "homogeneous", "condorcet", "smith"],
        options: &[],
        run: Run::Support(|s, _: &Options, stop| {
            let sign = |x: &f64| if *x > 0.0 { 1.0 } else { -f64::from(u8::from(*x < 0.0)) };
            let signs: Vec<f64> = s.margins().iter().map(sign).collect();
            lottery(&signs, s.items(), stop)
        }),
    },
];

fn lottery(margins: &[f64], m: usize, stop: Stop<'_>) -> Result<Outcome> {
    let scale = margins.iter().fold(0.0_f64, |scale, x| scale.max(*x));
    let mut game = Tableau::new(margins, m, if scale > 0.0 { scale } else { 1.0 });
    game.solve(stop)?;
    let mut sum = game.strategy();
    let mut found = 1.0;
    // A strategy and what it earns against each item: an item without a chance that earns as much as
    // the others may still have a chance in another optimum, which is then averaged in.
    for item in 0..m {
        if sum[item] <= ZERO && game.is_tight(item) {
            game.favour(item, stop)?;
            let other = game.strategy();
            if other[item] > ZERO {
                sum.iter_mut().zip(&other).for_each(|(sum, p)| *sum += p);
                found += 1.0;
            }
        }
    }
    let lottery: Vec<f64> = sum.iter().map(|p| if *p <= ZERO { 0.0 } else { *p / found }).collect();
    let total: f64 = lottery.iter().sum();
    let lottery: Vec<f64> = lottery.into_iter().map(|p| p / total).collect();
    let winners: Vec<usize> = (0..m).filter(|item| lottery[*item] > 0.0).collect();
    let mut outcome = Outcome::chosen(&winners, m);
    outcome.scores = Some(lottery.clone());
    Ok(outcome.with("lottery", Fact::Numbers(lottery)))
}

/// The simplex tableau of: maximise the sum of `y` where `A y <= 1` and `y >= 0`.
///
/// With `A` the margins moved above 0, `y` over its sum is an optimal strategy.
struct Tableau {
    m: usize,
    width: usize,
    rows: Vec<f64>,  // (m, width): columns of y, of slacks, and the right-hand side
    costs: Vec<f64>, // (width,) reduced costs
    basis: Vec<usize>,
}

impl Tableau {
    fn new(margins: &[f64], m: usize, scale: f64) -> Self {
        let width = 2 * m + 1;
        let mut rows = vec![0.0; m * width];
        for i in 0..m {
            for j in 0..m {
                rows[i * width + j] = margins[i * m + j] / scale + 2.0;
            }
            rows[i * width + m + i] = 1.0;
            rows[i * width + 2 * m] = 1.0;
        }
        let mut costs = vec![0.0; width];
        costs[..m].fill(-1.0);
        Self { m, width, rows, costs, basis: (m..2 * m).collect() }
    }

    fn solve(&mut self, stop: Stop<'_>) -> Result<()> {
        let everything = vec![true; 2 * self.m];
        self.run(&everything, stop)
    }

    /// Among optima, goes to one that gives an item the most.
    fn favour(&mut self, item: usize, stop: Stop<'_>) -> Result<()> {
        let face: Vec<bool> = self.costs[..2 * self.m].iter().map(|c| c.abs() <= ZERO).collect();
        let kept = self.costs.clone();
        self.costs = vec![0.0; self.width];
        self.costs[item] = -1.0;
        if let Some(row) = self.basis.iter().position(|column| *column == item) {
            let line = self.rows[row * self.width..(row + 1) * self.width].to_vec();
            self.costs.iter_mut().zip(line).for_each(|(c, x)| *c += x);
        }
        let result = self.run(&face, stop);
        self.costs = kept; // pivots within the face leave the costs of the game as they are
        result
    }

    fn run(&mut self, allowed: &[bool], stop: Stop<'_>) -> Result<()> {
        let mut pivots = 0;
        loop {
            stop.check()?;
            let open = (0..2 * self.m).filter(|j| allowed[*j] && self.costs[*j] < -ZERO);
            // The steepest column first; the lowest one once that may have been going in circles.
            let entering = if pivots < 20 * self.m {
                open.min_by(|a, b| self.costs[*a].total_cmp(&self.costs[*b]))
            } else {
                open.min()
            };
            let Some(column) = entering else { return Ok(()) };
            let Some(row) = self.leaving(column) else { return Ok(()) };
            self.pivot(row, column);
            pivots += 1;
            if pivots > 200 * self.m + 1000 {
                return Ok(()); // rounding alone can bring it here; what was found is near optimal
            }
        }
    }

    fn leaving(&self, column: usize) -> Option<usize> {
        let ratio = |row: usize| {
            let step = self.rows[row * self.width + column];
            (step > ZERO).then(|| self.rows[row * self.width + 2 * self.m].max(0.0) / step)
        };
        (0..self.m)
            .filter_map(|row| ratio(row).map(|r| (r, self.basis[row], row)))
            .min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)))
            .map(|(_, _, row)| row)
    }

    fn pivot(&mut self, row: usize, column: usize) {
        let width = self.width;
        let by = 1.0 / self.rows[row * width + column];
        let line: Vec<f64> =
            self.rows[row * width..(row + 1) * width].iter().map(|x| x * by).collect();
        for (i, own) in self.rows.chunks_exact_mut(width).enumerate() {
            let by = own[column];
            if i != row && by != 0.0 {
                own.iter_mut().zip(&line).for_each(|(x, l)| *x -= by * l);
            }
        }
        let by = self.costs[column];
        self.costs.iter_mut().zip(&line).for_each(|(x, l)| *x -= by * l);
        self.rows[row * width..(row + 1) * width].copy_from_slice(&line);
        self.basis[row] = column;
    }

    fn value(&self, column: usize) -> f64 {
        let row = self.basis.iter().position(|basic| *basic == column);
        row.map_or(0.0, |row| self.rows[row * self.width + 2 * self.m])
    }

    fn strategy(&self) -> Vec<f64> {
        let y: Vec<f64> = (0..self.m).map(|item| self.value(item).max(0.0)).collect();
        let sum: f64 = y.iter().sum();
        y.into_iter().map(|y| y / sum).collect()
    }

    /// Whether the strategy earns no more against an item than it must.
    fn is_tight(&self, item: usize) -> bool {
        self.value(self.m + item) <= ZERO
    }
}
