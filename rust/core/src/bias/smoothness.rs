//! How much of the truth a rule's scores keep: the three numbers that predict what quotas win back.

use super::latent::{Latent, bias_stream, election_seed};
use super::models::{Bias, Scratch, apply};
use super::rules::Objective;
use crate::fair::Groups;
use crate::rng::Stream;
use crate::{Error, Result, Stop, parallel, size};

/// Elections of one task.
const CHUNK: usize = 16;

/// The stream that draws the sets of committee members.
const SETS: u64 = u64::MAX - 2;

/// What to simulate.
#[derive(Debug, Clone, Copy)]
pub struct SmoothnessOptions<'a> {
    /// Ballots of an election.
    pub ballots: usize,
    /// Number of elections.
    pub elections: usize,
    /// Sets that marginals of an objective that is not separable are taken at.
    pub sets: usize,
    /// Those sets have fewer than this many members.
    pub seats: usize,
    /// The largest score of an item from a ballot; the objective's when absent.
    pub tau: Option<f64>,
    /// Seed.
    pub seed: u64,
    /// Threads; `None` for those of the process.
    pub threads: Option<usize>,
    /// When to give up.
    pub stop: Stop<'a>,
}

/// A step of `gamma`: its value from `beta` on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Where the step is, in `[0, 1]`.
    pub beta: f64,
    /// The value from there; infinite when a biased score of 0 stands for a better item.
    pub gamma: f64,
}

/// Smoothness of an objective under a latent distribution and a bias.
#[derive(Debug, Clone, PartialEq)]
pub struct Smoothness {
    /// Least expected marginal of an item on a ballot, latent or biased, over `tau`.
    pub alpha: f64,
    /// Standard error of `alpha`: deviation of the elections' least marginals over `sqrt(elections)`.
    pub error: f64,
    /// Mean latent marginal of each item per election, set after set; 0 for the members.
    pub latent: Vec<f64>,
    /// The same for biased ballots.
    pub biased: Vec<f64>,
    /// `gamma(beta)` as steps, both rising.
    pub steps: Vec<Step>,
}

/// Estimates smoothness by simulation.
///
/// `alpha` is `min_i min(E s_i, E s'_i) / (n tau)`, and `gamma(beta)` the largest `E s'_j / E s'_i` over
/// pairs of one group with `E s_j <= beta E s_i`, in both orders of every pair. For objectives that are
/// not separable, `s` are marginals at the same random sets.
///
/// # Errors
/// [`Error::Range`] and [`Error::Shape`] for wrong arguments, [`Error::Interrupted`].
///
/// Source: Boehmer, Celis, Huang, Mehrotra and Vishnoi 2023, definition of smoothness and its
/// simulation.
pub fn smoothness(
    objective: &Objective,
    latent: &Latent,
    bias: &Bias,
    groups: Groups<'_>,
    options: &SmoothnessOptions<'_>,
) -> Result<Smoothness> {
    bias.check()?;
    latent.check(groups.items())?;
    check(groups, options)?;
    let sets = member_sets(objective, groups.items(), options);
    let world = World { objective, latent, bias, groups, sets: &sets, options };
    let tasks = options.elections.div_ceil(CHUNK);
    let threads = if options.elections * options.ballots < 64 { Some(1) } else { options.threads };
    let parts = parallel::map(tasks, threads, |task| world.run(task));
    let cells = sets.len() * groups.items();
    let mut all = Sums::new(cells);
    for part in parts {
        all.add(&part?);
    }
    Ok(all.smoothness(groups, &sets, options, options.tau.unwrap_or(objective.largest())))
}

fn check(groups: Groups<'_>, options: &SmoothnessOptions<'_>) -> Result<()> {
    for (name, x) in
        [("voters", options.ballots), ("elections", options.elections), ("sets", options.sets)]
    {
        if x == 0 {
            return Err(Error::range(name, "at least 1", x));
        }
        size::table(name, x, groups.items())?;
    }
    if options.seats == 0 || options.seats > groups.items() {
        let expected = format!("1 to the {} items", groups.items());
        return Err(Error::range("seats", &expected, options.seats));
    }
    match options.tau {
        Some(tau) if !(tau > 0.0 && tau.is_finite()) => {
            Err(Error::range("tau1", "a number above 0", tau))
        }
        _ => Ok(()),
    }
}

/// The empty set for a separable objective, else random sets with fewer members than seats.
fn member_sets(
    objective: &Objective,
    items: usize,
    options: &SmoothnessOptions<'_>,
) -> Vec<Vec<usize>> {
    if matches!(objective, Objective::Separable(_)) {
        return vec![Vec::new()];
    }
    let mut stream = Stream::new(options.seed, SETS);
    (0..options.sets)
        .map(|_| {
            let mut order: Vec<usize> = (0..items).collect();
            stream.shuffle(&mut order);
            order.truncate(stream.below(options.seats));
            order
        })
        .collect()
}

struct World<'a> {
    objective: &'a Objective,
    latent: &'a Latent,
    bias: &'a Bias,
    groups: Groups<'a>,
    sets: &'a [Vec<usize>],
    options: &'a SmoothnessOptions<'a>,
}

impl World<'_> {
    fn run(&self, task: usize) -> Result<Sums> {
        let (m, options) = (self.groups.items(), self.options);
        let mut sums = Sums::new(self.sets.len() * m);
        let mut scratch = Scratch::default();
        for e in task * CHUNK..options.elections.min((task + 1) * CHUNK) {
            options.stop.check()?;
            let seed = election_seed(options.seed, e as u64);
            let before = self.latent.election(options.ballots, m, seed)?;
            let mut after = before.clone();
            let mut stream = bias_stream(seed);
            for ballot in after.chunks_exact_mut(m) {
                apply(self.bias, ballot, self.groups, &mut scratch, &mut stream);
            }
            let mut least = f64::INFINITY;
            for (t, set) in self.sets.iter().enumerate() {
                let truth = self.objective.gains(&before, m, set);
                let seen = self.objective.gains(&after, m, set);
                for i in (0..m).filter(|i| !set.contains(i)) {
                    sums.latent[t * m + i] += truth[i];
                    sums.biased[t * m + i] += seen[i];
                    least = least.min(truth[i]).min(seen[i]);
                }
            }
            sums.least.push(least);
        }
        Ok(sums)
    }
}

/// Sums over elections, and the least marginal of each.
struct Sums {
    latent: Vec<f64>,
    biased: Vec<f64>,
    least: Vec<f64>,
}

impl Sums {
    fn new(cells: usize) -> Self {
        Self { latent: vec![0.0; cells], biased: vec![0.0; cells], least: Vec::new() }
    }

    fn add(&mut self, part: &Self) {
        for (all, part) in [(&mut self.latent, &part.latent), (&mut self.biased, &part.biased)] {
            for (a, p) in all.iter_mut().zip(part) {
                *a += p;
            }
        }
        self.least.extend_from_slice(&part.least);
    }

    fn smoothness(
        mut self,
        groups: Groups<'_>,
        sets: &[Vec<usize>],
        options: &SmoothnessOptions<'_>,
        tau: f64,
    ) -> Smoothness {
        let (m, elections) = (groups.items(), options.elections as f64);
        for x in self.latent.iter_mut().chain(&mut self.biased) {
            *x /= elections;
        }
        let scale = options.ballots as f64 * tau;
        let outside = |at: &usize| !sets[at / m].contains(&(at % m));
        let alpha = (0..self.latent.len())
            .filter(outside)
            .map(|at| self.latent[at].min(self.biased[at]))
            .fold(f64::INFINITY, f64::min)
            / scale;
        let mean = self.least.iter().sum::<f64>() / elections;
        let variance = self.least.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / elections;
        let error = (variance / elections).sqrt() / scale;
        let blocks = (0..sets.len()).map(|t| {
            let span = t * m..(t + 1) * m;
            (&self.latent[span.clone()], &self.biased[span], &sets[t][..])
        });
        let steps = steps_of(blocks, groups);
        Smoothness { alpha, error, latent: self.latent, biased: self.biased, steps }
    }
}

/// `gamma(beta)` of given mean scores as steps: `max s'_j / s'_i` over pairs with `s_j <= beta s_i`.
///
/// # Errors
/// [`Error::Shape`] and [`Error::Range`] for scores that are not one per item, negative or NaN.
pub fn gamma_steps(latent: &[f64], biased: &[f64], groups: Groups<'_>) -> Result<Vec<Step>> {
    for (name, scores) in [("latent", latent), ("biased", biased)] {
        if scores.len() != groups.items() {
            return Err(Error::length(name, groups.items(), scores.len()));
        }
        if let Some(s) = scores.iter().find(|s| !s.is_finite() || **s < 0.0) {
            return Err(Error::range(name, "finite numbers at or above 0", s));
        }
    }
    Ok(steps_of(std::iter::once((latent, biased, &[][..])), groups))
}

type Block<'a> = (&'a [f64], &'a [f64], &'a [usize]);

/// All pairs by their latent ratio; a running maximum of the biased one.
fn steps_of<'a>(blocks: impl Iterator<Item = Block<'a>>, groups: Groups<'_>) -> Vec<Step> {
    let mut pairs: Vec<(f64, f64)> = Vec::new();
    for (latent, biased, members) in blocks {
        let outside: Vec<usize> = (0..groups.items()).filter(|i| !members.contains(i)).collect();
        for i in &outside {
            for j in outside.iter().filter(|j| *j != i && groups.of(**j) == groups.of(*i)) {
                let beta = if latent[*j] == 0.0 { 0.0 } else { latent[*j] / latent[*i] };
                if beta <= 1.0 {
                    let gamma = if biased[*j] == 0.0 { 0.0 } else { biased[*j] / biased[*i] };
                    pairs.push((beta, gamma));
                }
            }
        }
    }
    pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let mut steps: Vec<Step> = Vec::new();
    for (beta, gamma) in pairs {
        match steps.last_mut() {
            Some(last) if gamma <= last.gamma => {}
            Some(last) if beta.total_cmp(&last.beta).is_eq() => last.gamma = gamma,
            _ if gamma > 0.0 => steps.push(Step { beta, gamma }),
            _ => {}
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::super::{Swapping, objective};
    use super::*;
    use crate::social::Culture;

    fn options() -> SmoothnessOptions<'static> {
        SmoothnessOptions {
            ballots: 10,
            elections: 60,
            sets: 8,
            seats: 3,
            tau: None,
            seed: 1,
            threads: None,
            stop: Stop::never(),
        }
    }

    fn bias() -> Bias {
        Bias::Swapping(Swapping {
            phi: 1e-4,
            strength: 0.9,
            current: false,
            keep_group_order: false,
        })
    }

    #[test]
    fn steps_are_the_largest_ratios_of_qualifying_pairs() {
        let labels = [0, 0, 0, 1, 1];
        let groups = Groups::new(&labels, 2).expect("valid");
        let (latent, biased) = ([4.0, 2.0, 3.0, 0.0, 1.0], [3.0, 3.0, 2.0, 0.5, 1.0]);
        let steps = gamma_steps(&latent, &biased, groups).expect("valid");
        let expected = [(0.0, 0.5), (0.5, 1.0), (2.0 / 3.0, 1.5)];
        assert_eq!(steps.iter().map(|s| (s.beta, s.gamma)).collect::<Vec<_>>(), expected);
        for beta in [0.0, 0.3, 0.5, 0.7, 1.0] {
            let mut brute = 0.0_f64;
            for i in 0..5 {
                for j in (0..5).filter(|j| *j != i && labels[*j] == labels[i]) {
                    if latent[j] <= beta * latent[i] {
                        brute = brute.max(biased[j] / biased[i]);
                    }
                }
            }
            let got = steps.iter().rev().find(|s| s.beta <= beta).map_or(0.0, |s| s.gamma);
            assert!((got - brute).abs() < 1e-12, "{beta}");
        }
        assert!(gamma_steps(&latent, &[1.0], groups).is_err());
        assert!(gamma_steps(&latent, &[f64::NAN; 5], groups).is_err());
    }

    #[test]
    fn borda_is_smoother_than_sntv_and_threads_change_nothing() {
        let labels = [0, 0, 0, 0, 0, 1, 1, 1, 1, 1];
        let groups = Groups::new(&labels, 2).expect("valid");
        let latent = Latent::Culture(Culture::Impartial);
        let run = |name: &str, threads| {
            let objective = objective(name, 10, 3).expect("known");
            let options = SmoothnessOptions { threads, ..options() };
            smoothness(&objective, &latent, &bias(), groups, &options).expect("valid")
        };
        let (borda, sntv) = (run("borda", Some(1)), run("sntv", None));
        assert!(borda.alpha > 0.3 && borda.alpha < 0.6 && sntv.alpha < 0.15);
        assert_eq!(run("borda", Some(3)), borda);
        for name in ["borda_cc", "pav"] {
            let got = run(name, None);
            assert!((0.0..=1.0).contains(&got.alpha), "{name}");
            assert!(
                got.steps.windows(2).all(|w| w[0].beta <= w[1].beta && w[0].gamma < w[1].gamma)
            );
            assert_eq!(got, run(name, Some(1)));
        }
    }

    #[test]
    fn wrong_options_are_errors() {
        let groups = Groups::new(&[0, 1], 2).expect("valid");
        let objective = objective("borda", 2, 1).expect("known");
        let latent = Latent::Rankings(vec![0, 1, 1, 0]);
        let run = |options: SmoothnessOptions<'_>, latent: &Latent| {
            smoothness(&objective, latent, &bias(), groups, &options)
        };
        let base = SmoothnessOptions { seats: 1, ..options() };
        assert!(run(base, &latent).is_ok());
        assert!(run(SmoothnessOptions { ballots: 0, ..base }, &latent).is_err());
        assert!(run(SmoothnessOptions { tau: Some(0.0), ..base }, &latent).is_err());
        assert!(run(SmoothnessOptions { seats: 3, ..base }, &latent).is_err());
        assert!(run(base, &Latent::Rankings(vec![0, 0])).is_err());
        assert!(run(base, &Latent::Rankings(vec![0])).is_err());
    }
}
