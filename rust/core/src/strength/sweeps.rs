//! Fixed-point sweeps over strengths: Newman's, and Zermelo's.

use super::bradley_terry::Duels;
use super::cells::Value;
use super::newton::{Objective, Optimum, Tolerance, largest};
use crate::{Result, Stop};

/// Sweeps between exact gradients; the sums of a sweep give only that of the strengths on the way.
const CHECK: usize = 8;

/// Newman's iteration: `pi_i <- sum_j w_ij pi_j / (pi_i + pi_j) / sum_j w_ji / (pi_i + pi_j)`, in place.
///
/// Source: Newman 2023, equation 13; with the opponent of strength 1, equation 24.
pub(super) fn newman<T: Value>(
    duels: &Duels<'_, T>,
    start: &[f64],
    tolerance: Tolerance,
    stop: Stop<'_>,
) -> Result<Optimum> {
    sweep(duels, start, tolerance, stop, |pi| {
        let mut worst = 0.0_f64;
        for i in 0..pi.len() {
            let unit = duels.prior.opponent / (1.0 + pi[i]);
            let (mut up, mut down) = (unit, unit);
            for k in duels.cells.starts[i]..duels.cells.starts[i + 1] {
                let cell = &duels.cells.cells[k];
                let half = duels.tie * duels.cells.tie(k);
                let other = pi[cell.other()];
                let share = 1.0 / (pi[i] + other);
                up += (cell.wins.get() + half) * other * share;
                down += (cell.losses.get() + half) * share;
            }
            worst = worst.max((up - pi[i] * down).abs());
            if down > 0.0 && up > 0.0 {
                pi[i] = up / down;
            }
        }
        worst
    })
}

/// Zermelo's iteration, of which the one of minorisation and maximisation is a case:
/// `pi_i <- (wins_i + gamma) / (sum_j n_ij / (pi_i + pi_j) + gamma)`, all at once.
///
/// Source: Zermelo 1929; Hunter 2004, equation 3; with pseudo-counts, Caron and Doucet 2012.
pub(super) fn zermelo<T: Value>(
    duels: &Duels<'_, T>,
    start: &[f64],
    tolerance: Tolerance,
    stop: Stop<'_>,
) -> Result<Optimum> {
    let (opponent, gamma) = (duels.prior.opponent, duels.prior.gamma);
    sweep(duels, start, tolerance, stop, |pi| {
        let mut worst = 0.0_f64;
        let next = (0..pi.len()).map(|i| {
            let mut down = gamma + 2.0 * opponent / (1.0 + pi[i]);
            for k in duels.cells.starts[i]..duels.cells.starts[i + 1] {
                down += duels.weight(k) / (pi[i] + pi[duels.cells.cells[k].other()]);
            }
            let up = duels.wins[i] + opponent + gamma;
            worst = worst.max((up - pi[i] * down).abs());
            if down > 0.0 && up > 0.0 { up / down } else { pi[i] }
        });
        *pi = next.collect();
        worst
    })
}

/// Repeats a sweep, which returns about the largest gradient it met, until the exact one is small.
fn sweep<T: Value>(
    duels: &Duels<'_, T>,
    start: &[f64],
    tolerance: Tolerance,
    stop: Stop<'_>,
    mut once: impl FnMut(&mut Vec<f64>) -> f64,
) -> Result<Optimum> {
    let goal = tolerance.gradient * duels.scale();
    let mut pi: Vec<f64> = start.iter().map(|t| t.clamp(-300.0, 300.0).exp()).collect();
    let mut iterations = 0;
    let mut worst = f64::INFINITY;
    loop {
        let last = iterations >= tolerance.iterations || stop.expired();
        if last || worst <= goal || iterations % CHECK == 0 {
            stop.check()?;
            let at: Vec<f64> = pi.iter().map(|p| p.ln()).collect();
            let gradient = largest(&duels.evaluate(&at, None).0);
            if gradient <= goal || last {
                return Ok(Optimum { at, iterations, converged: gradient <= goal, gradient });
            }
        }
        worst = once(&mut pi);
        iterations += 1;
        if duels.prior.none() {
            centre(&mut pi, duels.component);
        }
    }
}

/// Scales the strengths of every component to a geometric mean of one, against drift.
fn centre(pi: &mut [f64], component: &[u32]) {
    let count = component.iter().max().map_or(0, |c| *c as usize + 1);
    let (mut logs, mut sizes) = (vec![0.0; count], vec![0.0; count]);
    for (p, c) in pi.iter().zip(component) {
        logs[*c as usize] += p.ln();
        sizes[*c as usize] += 1.0;
    }
    for (p, c) in pi.iter_mut().zip(component) {
        *p *= (-logs[*c as usize] / sizes[*c as usize]).exp();
    }
}
