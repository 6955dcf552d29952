//! Bradley-Terry where every pair was compared equally often: win totals say all that there is to say.

use super::bradley_terry::Strengths;
use super::connect::Components;
use super::fit::{Disconnected, Fit, Options, centre, check_options, finish, resolve};
use super::newton::{Curvature, FREE, Objective, maximise};
use super::prior::{Prior, sigmoid};
use super::ties::softplus;
use super::within;
use crate::{Error, Result, Stop, parallel};

/// Items of a task.
const BLOCK: usize = 64;

/// The log-likelihood of a complete schedule, in which every pair met `games` times.
struct Schedule<'a> {
    /// Wins against items of the same component.
    wins: Vec<f64>,
    games: f64,
    prior: Prior,
    component: &'a [u32],
    threads: Option<usize>,
}

struct Complete<'a> {
    schedule: &'a Schedule<'a>,
    theta: Vec<f64>,
    strengths: Strengths,
    diagonal: Vec<f64>,
}

impl Schedule<'_> {
    /// Expected share of wins of an item against another, and its derivative.
    fn pair(theta: &[f64], strengths: &Strengths, i: usize, j: usize) -> (f64, f64) {
        if let Some(s) = &strengths.plain {
            let share = 1.0 / (s[i] + s[j]);
            return (s[i] * share, s[i] * share * (s[j] * share));
        }
        let gap = theta[i] - theta[j];
        (sigmoid(gap), sigmoid(gap) * sigmoid(-gap))
    }

    /// Items that the item is compared with.
    fn others(&self, i: usize) -> impl Iterator<Item = usize> + '_ {
        let of = self.component;
        (0..of.len()).filter(move |j| *j != i && of[*j] == of[i])
    }

    fn rows<T: Send>(&self, f: impl Fn(usize) -> T + Sync + Send) -> Vec<T> {
        let m = self.wins.len();
        let blocks = parallel::map(m.div_ceil(BLOCK), self.threads, |b| {
            (b * BLOCK..((b + 1) * BLOCK).min(m)).map(&f).collect::<Vec<T>>()
        });
        blocks.into_iter().flatten().collect()
    }

    fn log_likelihood(&self, theta: &[f64]) -> f64 {
        let sums = self.rows(|i| {
            let met = self.others(i).filter(|j| *j > i);
            let lost: f64 = met.map(|j| softplus(theta[j] - theta[i]) + theta[i]).sum();
            self.wins[i] * theta[i] - self.games * lost
        });
        sums.iter().sum()
    }
}

impl<'a> Objective for &'a Schedule<'a> {
    type Curvature = Complete<'a>;

    fn evaluate(&self, at: &[f64], _: Option<Self::Curvature>) -> (Vec<f64>, Self::Curvature) {
        let strengths = Strengths::of(at);
        let (gradient, diagonal) = self
            .rows(|i| {
                let (mut won, mut bend) = (0.0, 0.0);
                for j in self.others(i) {
                    let (p, h) = Schedule::pair(at, &strengths, i, j);
                    won += p;
                    bend += h;
                }
                let (pull, stiffness) = self.prior.slope(at[i]);
                (self.wins[i] - self.games * won + pull, self.games * bend + stiffness)
            })
            .into_iter()
            .unzip();
        (gradient, Complete { schedule: self, theta: at.to_vec(), strengths, diagonal })
    }

    fn scale(&self) -> f64 {
        self.games * (self.wins.len().max(1) - 1) as f64
    }

    fn gauge(&self) -> Vec<u32> {
        if self.prior.none() { self.component.to_vec() } else { vec![FREE; self.wins.len()] }
    }
}

impl Curvature for Complete<'_> {
    fn diagonal(&self) -> &[f64] {
        &self.diagonal
    }

    fn apply(&self, v: &[f64], out: &mut [f64]) {
        let rows = self.schedule.rows(|i| {
            let along = |j: usize| Schedule::pair(&self.theta, &self.strengths, i, j).1 * v[j];
            self.diagonal[i] * v[i]
                - self.schedule.games * self.schedule.others(i).map(along).sum::<f64>()
        });
        out.copy_from_slice(&rows);
    }

    fn add_to(&self, matrix: &mut [f64]) {
        let m = self.diagonal.len();
        for i in 0..m {
            matrix[i * m + i] += self.diagonal[i];
            for j in self.schedule.others(i).take_while(|j| *j < i) {
                let h = Schedule::pair(&self.theta, &self.strengths, i, j).1;
                matrix[i * m + j] -= self.schedule.games * h;
            }
        }
    }
}

/// Strengths from win totals `(m,)` when every pair met `games` times; ties counted half.
///
/// No list of pairs is needed: the totals of rankings of all items, say, are their Borda counts.
///
/// # Errors
/// [`Error::Range`] for totals that no such schedule can have; otherwise as for [`super::fit`].
///
/// Source: Zermelo 1929; Landau 1953 for which totals there are.
pub fn fit_totals(totals: &[f64], games: f64, mut options: Options, stop: Stop<'_>) -> Result<Fit> {
    check_options(options)?;
    let found = components(totals, games)?;
    let loose = found.count > 1 && options.prior.none();
    let regularised = if loose { resolve(&found, options.disconnected)? } else { 0.0 };
    options.prior.opponent += regularised;
    let apart = loose && options.disconnected == Disconnected::Components;
    let component = if apart { found.of.clone() } else { vec![0; totals.len()] };
    let mut wins = totals.to_vec();
    if apart {
        // every item has won all it could against lower components
        let below = |i: usize| found.of.iter().filter(|c| **c > found.of[i]).count() as f64;
        wins.iter_mut().enumerate().for_each(|(i, w)| *w -= games * below(i));
    }
    within(options.threads, |threads| {
        let (prior, component) = (options.prior, &component[..]);
        let schedule = Schedule { wins, games, prior, component, threads };
        let start =
            schedule.wins.iter().map(|w| ((w + 0.5) / ((&schedule).scale() - w + 0.5)).ln());
        let start: Vec<f64> = start.map(|t| if t.is_finite() { t } else { 0.0 }).collect();
        let mut optimum = maximise(&&schedule, start, options.tolerance, stop)?;
        if prior.none() {
            centre(&mut optimum.at, component);
        }
        let value = schedule.log_likelihood(&optimum.at);
        Ok(finish((optimum, value), found, regularised))
    })
}

/// Components by totals: the lowest `k` items form some of them when they won only among themselves.
fn components(totals: &[f64], games: f64) -> Result<Components> {
    const ROUNDING: f64 = 1e-9;
    let m = totals.len();
    if let Some(index) = totals.iter().position(|w| !w.is_finite()) {
        return Err(Error::NotFinite { name: "totals", index });
    }
    if !(games.is_finite() && games > 0.0) {
        return Err(Error::range("games", "a finite number above 0", games));
    }
    let mut order: Vec<usize> = (0..m).collect();
    order.sort_by(|a, b| totals[*a].total_cmp(&totals[*b]).then(b.cmp(a)));
    let (mut sum, mut cut, mut of) = (0.0, 0_u32, vec![0_u32; m]);
    for (k, item) in order.iter().enumerate() {
        of[*item] = cut;
        sum += totals[*item];
        let least = games * 0.5 * (k * (k + 1)) as f64;
        let slack = sum - least;
        let dust = ROUNDING * (1.0 + least);
        if slack < -dust || (k + 1 == m && slack > dust) {
            let expected = "wins of a schedule in which every pair met equally often";
            return Err(Error::range("totals", expected, format!("{sum} of the {} lowest", k + 1)));
        }
        if slack <= dust && k + 1 < m {
            cut += 1;
        }
    }
    for c in &mut of {
        *c = cut - *c;
    }
    let arcs = (0..=cut).flat_map(|a| (a + 1..=cut).map(move |b| (a, b)));
    Ok(Components { of, count: if m == 0 { 0 } else { cut as usize + 1 }, arcs: arcs.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;
    use crate::strength::{Ids, Method, Rows, Tolerance, fit, reduce};

    #[test]
    fn totals_say_what_the_pairs_say() {
        let mut stream = Stream::new(8, 0);
        for trial in 0..40 {
            let (m, games) = (2 + trial % 7, 1 + trial % 4);
            let (mut a, mut b, mut totals) = (vec![], vec![], vec![0.0; m]);
            for i in 0..m {
                for j in 0..i {
                    for _ in 0..games {
                        let (w, l) = if stream.uniform() < 0.5 { (i, j) } else { (j, i) };
                        a.push(w as u64);
                        b.push(l as u64);
                        totals[w] += 1.0;
                    }
                }
            }
            let rows = Rows { a: Ids::U64(&a), b: Ids::U64(&b), outcomes: None, weights: None };
            let table = reduce(rows, Some(m), None).expect("valid");
            for disconnected in [Disconnected::Components, Disconnected::Regularise] {
                let options = Options {
                    method: Method::Newton,
                    tie: 0.5,
                    prior: Prior::default(),
                    disconnected,
                    tolerance: Tolerance { gradient: 1e-11, iterations: 100 },
                    threads: None,
                };
                let pairs = fit(&table, None, options, Stop::never()).expect("valid");
                let got = fit_totals(&totals, games as f64, options, Stop::never()).expect("valid");
                assert_eq!(got.components, pairs.components);
                assert!((got.log_likelihood - pairs.log_likelihood).abs() < 1e-9);
                for (x, y) in got.theta.iter().zip(&pairs.theta) {
                    assert!((x - y).abs() < 1e-8, "{trial}");
                }
            }
        }
        assert!(components(&[0.0, 0.0], 1.0).is_err());
        assert!(components(&[2.0, 0.0], 1.0).is_err());
    }
}
