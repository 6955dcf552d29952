//! The expected log loss of everybody's answers under what is believed of each, and its slopes.
//!
//! It is what the M step minimises that learns in which directions people differ: with a person's
//! reward `r = phi z + s` and `z ~ N(m, C)` believed of them, the margin of an answer is Gaussian, and its
//! loss is averaged over that by a rule of Gauss and Hermite.

use std::ops::Range;

use super::linalg::{dot, mat_mul};
use super::series::{exp, ln_above};
use super::views::{Labels, check_within};
use crate::wide::wide;
use crate::{Error, Result, parallel};

/// Rows that a part of the work has, at least.
const ROWS: usize = 2048;
/// Parts at most.
const PARTS: usize = 16;
/// Numbers that the slopes of all parts take together, at most.
const NUMBERS: usize = 1 << 25;
/// Added to the variance of a margin: the slope of its root stays finite.
const TINY: f64 = 1e-12;
/// Nodes that are worked on together.
const LANES: usize = 8;

type Lanes = [f64; LANES];

/// Answers about items, and what is believed of those who gave them.
#[derive(Debug, Clone)]
pub struct ExpectedLoss {
    sides: Vec<[usize; 2]>,
    target: Vec<f64>,
    weight: Vec<f64>,
    starts: Vec<usize>,
    means: Vec<f64>,
    covariances: Vec<f64>,
    rule: Vec<[Lanes; 2]>,
    dim: usize,
    items: usize,
}

impl ExpectedLoss {
    /// Checked answers and beliefs.
    ///
    /// `sides` has the two items of each answer, `target` and `weight` `(n,)` what was said, `starts`
    /// `(people + 1,)` whose they are, `means` `(people, dim)` and `covariances` `(people, dim, dim)` what
    /// is believed, and `rule` nodes and weights of an average over a standard normal variable.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::NotFinite`] or [`Error::Range`].
    pub fn new(
        sides: Vec<[usize; 2]>,
        (target, weight, starts): (Vec<f64>, Vec<f64>, Vec<usize>),
        (means, covariances, dim): (Vec<f64>, Vec<f64>, usize),
        rule: &[[f64; 2]],
    ) -> Result<Self> {
        let people = Labels::new(&target, &weight, &starts)?.people();
        if dim == 0 {
            return Err(Error::range("means", "at least one column", 0));
        }
        for (name, expected, got) in [
            ("sides", target.len(), sides.len()),
            ("means", people * dim, means.len()),
            ("covariances", people * dim * dim, covariances.len()),
        ] {
            if got != expected {
                return Err(Error::length(name, expected, got));
            }
        }
        check_within("means", &means)?;
        check_within("covariances", &covariances)?;
        check_within("rule", rule.as_flattened())?;
        let items = sides.iter().flatten().max().map_or(0, |last| last + 1);
        let rule = rule.chunks(LANES).map(in_lanes).collect();
        Ok(Self { sides, target, weight, starts, means, covariances, rule, dim, items })
    }

    /// The loss, and its slopes by every number of a table `(m, dim + 1)`: an item's `phi`, then its `s`.
    ///
    /// Neither depends on `threads`.
    ///
    /// # Errors
    /// [`Error::Shape`] when the table has other rows than the items that the answers name.
    pub fn at(&self, table: &[f64], threads: Option<usize>) -> Result<(f64, Vec<f64>)> {
        let width = self.dim + 1;
        if table.len() % width != 0 || table.len() / width < self.items {
            let expected = format!("({} or more, {width})", self.items);
            let got = format!("{} numbers", table.len());
            return Err(Error::Shape { name: "table", expected, got });
        }
        let parts = self.parts(table.len());
        let found = parallel::map(parts.len(), threads, |i| self.part(table, parts[i].clone()));
        let mut whole = (0.0, vec![0.0; table.len()]);
        for (loss, slopes) in found {
            whole.0 += loss;
            whole.1.iter_mut().zip(slopes).for_each(|(sum, slope)| *sum += slope);
        }
        Ok(whole)
    }

    /// People in parts of about as many rows, the same for any number of threads.
    fn parts(&self, numbers: usize) -> Vec<Range<usize>> {
        let (people, rows) = (self.starts.len() - 1, self.target.len());
        let most = PARTS.min(NUMBERS / numbers.max(1)).min(rows / ROWS).max(1);
        let bounds: Vec<usize> =
            (0..=most).map(|i| self.starts.partition_point(|s| *s < i * rows / most)).collect();
        let mut bounds: Vec<usize> = bounds.into_iter().map(|bound| bound.min(people)).collect();
        bounds[0] = 0;
        bounds[most] = people;
        bounds.windows(2).map(|pair| pair[0]..pair[1]).collect()
    }

    fn part(&self, table: &[f64], people: Range<usize>) -> (f64, Vec<f64>) {
        let (k, width) = (self.dim, self.dim + 1);
        let (mut loss, mut slopes) = (0.0, vec![0.0; table.len()]);
        let (mut delta, mut image, mut slope) = (Vec::new(), Vec::new(), vec![0.0; width]);
        for person in people {
            let rows = self.starts[person]..self.starts[person + 1];
            let mean = &self.means[person * k..(person + 1) * k];
            delta.clear();
            for [left, right] in &self.sides[rows.clone()] {
                let (left, right) = (&table[left * width..][..k], &table[right * width..][..k]);
                delta.extend(left.iter().zip(right).map(|(x, y)| x - y));
            }
            image.resize(delta.len(), 0.0);
            let covariance = &self.covariances[person * k * k..(person + 1) * k * k];
            mat_mul(&delta, covariance, &mut image, rows.len(), k, k, 0.0);
            let believed = (mean, delta.as_slice(), image.as_slice());
            loss += self.add(rows, table, believed, &mut slope, &mut slopes);
        }
        (loss, slopes)
    }

    /// The loss of one person's rows, whose slopes are added.
    fn add(
        &self,
        rows: Range<usize>,
        table: &[f64],
        believed: (&[f64], &[f64], &[f64]),
        slope: &mut [f64],
        slopes: &mut [f64],
    ) -> f64 {
        let said = (&self.target[rows.clone()], &self.weight[rows.clone()]);
        add_rows(&self.sides[rows], said, table, believed, &self.rule, slope, slopes)
    }
}

wide! {
    /// Adds the slopes of rows of one person: `mean` is believed, with `delta` the differences of the rows and
    /// `image` these times the covariance. Returns the loss.
    fn add_rows(
        sides: &[[usize; 2]],
        said: (&[f64], &[f64]),
        table: &[f64],
        believed: (&[f64], &[f64], &[f64]),
        rule: &[[Lanes; 2]],
        slope: &mut [f64],
        slopes: &mut [f64],
    ) -> f64 {
        let ((target, weight), (mean, delta, image)) = (said, believed);
        let (k, mut total) = (mean.len(), 0.0);
        for (row, [left, right]) in sides.iter().enumerate() {
            let (delta, image) = (&delta[row * k..][..k], &image[row * k..][..k]);
            let (left, right) = (left * (k + 1), right * (k + 1));
            let margin = table[left + k] - table[right + k] + dot(delta, mean);
            let deviation = (dot(delta, image).max(0.0) + TINY).sqrt();
            let mut sums = [[0.0; LANES]; 3];
            for [nodes, shares] in rule {
                add_nodes(&mut sums, margin, deviation, target[row], nodes, shares);
            }
            let [loss, by_margin, by_deviation] =
                sums.map(|lanes| weight[row] * lanes.iter().sum::<f64>());
            total += loss;
            let by_variance = by_deviation / deviation;
            for (slope, (m, u)) in slope.iter_mut().zip(mean.iter().zip(image)) {
                *slope = by_margin * m + by_variance * u;
            }
            slope[k] = by_margin;
            for (sum, x) in slopes[left..=left + k].iter_mut().zip(slope.iter()) {
                *sum += x;
            }
            for (sum, x) in slopes[right..=right + k].iter_mut().zip(slope.iter()) {
                *sum -= x;
            }
        }
        total
    }
}

/// Adds the loss at some nodes, and its slopes by the margin and by its standard deviation.
#[inline(always)]
#[allow(clippy::inline_always, reason = "part of wide functions")]
fn add_nodes(
    sums: &mut [Lanes; 3],
    margin: f64,
    deviation: f64,
    target: f64,
    nodes: &Lanes,
    shares: &Lanes,
) {
    for lane in 0..LANES {
        let z = margin + deviation * nodes[lane];
        let e = exp(-z.abs());
        let above = 1.0 / (1.0 + e);
        let logistic = if z >= 0.0 { above } else { e * above };
        let softplus = (if z >= 0.0 { z } else { 0.0 }) + ln_above(e);
        let slope = shares[lane] * (logistic - target);
        sums[0][lane] += shares[lane] * (softplus - target * z);
        sums[1][lane] += slope;
        sums[2][lane] += slope * nodes[lane];
    }
}

/// Nodes and weights side by side; places left over weigh nothing.
fn in_lanes(rule: &[[f64; 2]]) -> [Lanes; 2] {
    let mut lanes = [[0.0; LANES]; 2];
    for (at, [node, share]) in rule.iter().enumerate() {
        (lanes[0][at], lanes[1][at]) = (*node, *share);
    }
    lanes
}

#[cfg(test)]
mod tests {
    use super::super::likelihood::softplus;
    use super::*;

    const RULE: [[f64; 2]; 3] =
        [[-1.732_050_807_568_877, 1.0 / 6.0], [0.0, 2.0 / 3.0], [1.732_050_807_568_877, 1.0 / 6.0]];

    fn numbers(count: usize, seed: u64) -> Vec<f64> {
        let mut state = seed;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as f64 / f64::from(1_u32 << 30) - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    /// Five items and three people, the second of whom said nothing.
    fn example(k: usize) -> (ExpectedLoss, Vec<f64>) {
        let sides = vec![[0, 1], [2, 1], [3, 3], [4, 0], [1, 4]];
        let said = (vec![1.0, 0.0, 1.0, 0.3, 0.0], vec![1.0, 2.0, 1.0, 0.5, 0.0], vec![0, 2, 2, 5]);
        let roots = numbers(3 * k * k, 1);
        let covariances = roots
            .chunks_exact(k * k)
            .flat_map(|root| {
                (0..k * k)
                    .map(|at| dot(&root[at / k * k..][..k], &root[at % k * k..][..k]))
                    .collect::<Vec<_>>()
            })
            .collect();
        let loss = ExpectedLoss::new(sides, said, (numbers(3 * k, 2), covariances, k), &RULE)
            .expect("valid input");
        (loss, numbers(5 * (k + 1), 3))
    }

    #[test]
    fn slopes_are_those_of_the_loss() {
        for k in [1, 4, 9] {
            let (loss, table) = example(k);
            let (_, slopes) = loss.at(&table, Some(1)).expect("valid input");
            for (at, slope) in slopes.iter().enumerate() {
                let moved = |step: f64| {
                    let mut moved = table.clone();
                    moved[at] += step;
                    loss.at(&moved, Some(1)).expect("valid input").0
                };
                let expected = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                assert!((slope - expected).abs() < 1e-8, "{at}: {slope} {expected}");
            }
        }
    }

    #[test]
    fn without_doubt_the_loss_is_that_of_the_mean() {
        let (mut loss, table) = example(2);
        loss.covariances.fill(0.0);
        let expected: f64 = loss
            .sides
            .iter()
            .enumerate()
            .map(|(row, [a, b])| {
                let person = if row < 2 { 0 } else { 2 };
                let m = &loss.means[2 * person..][..2];
                let reward = |i: usize| dot(&table[3 * i..][..2], m) + table[3 * i + 2];
                let z = reward(*a) - reward(*b);
                loss.weight[row] * (softplus(z) - loss.target[row] * z)
            })
            .sum();
        assert!((loss.at(&table, None).expect("valid input").0 - expected).abs() < 1e-6);
    }

    #[test]
    fn threads_and_the_end_of_the_table_change_nothing() {
        let (people, each, k) = (300, 40, 3);
        let rows = people * each;
        let sides = (0..rows).map(|i| [i * 7 % 50, i * 11 % 50]).collect();
        let said = (vec![1.0; rows], vec![1.0; rows], (0..=people).map(|p| p * each).collect());
        let eye = (0..people * k * k).map(|at| if at % (k * k) % (k + 1) == 0 { 0.3 } else { 0.0 });
        let believed = (numbers(people * k, 5), eye.collect(), k);
        let loss = ExpectedLoss::new(sides, said, believed, &RULE).expect("valid input");
        let mut table = numbers(50 * (k + 1), 6);
        let one = loss.at(&table, Some(1)).expect("valid input");
        assert!(loss.parts(table.len()).len() > 3);
        assert_eq!(one, loss.at(&table, Some(3)).expect("valid input"));
        table.extend(numbers(k + 1, 7));
        let more = loss.at(&table, None).expect("valid input");
        assert_eq!(one.0.to_bits(), more.0.to_bits());
        assert_eq!(more.1[50 * (k + 1)..], [0.0; 4]);
    }

    #[test]
    fn wrong_input_is_named() {
        let (loss, table) = example(2);
        assert!(matches!(loss.at(&table[3..], None), Err(Error::Shape { name: "table", .. })));
        assert!(matches!(loss.at(&table[1..], None), Err(Error::Shape { name: "table", .. })));
        let said = || (vec![1.0], vec![1.0], vec![0, 1]);
        let fails = |sides, believed| ExpectedLoss::new(sides, said(), believed, &RULE);
        for (sides, believed, name) in [
            (vec![], (vec![0.0], vec![1.0], 1), "sides"),
            (vec![[0, 1]], (vec![], vec![1.0], 1), "means"),
            (vec![[0, 1]], (vec![0.0], vec![], 1), "covariances"),
        ] {
            assert!(
                matches!(fails(sides, believed), Err(Error::Shape { name: n, .. }) if n == name)
            );
        }
        let nan = fails(vec![[0, 1]], (vec![f64::NAN], vec![1.0], 1));
        assert!(matches!(nan, Err(Error::NotFinite { name: "means", .. })));
        let none = fails(vec![[0, 1]], (vec![], vec![], 0));
        assert!(matches!(none, Err(Error::Range { name: "means", .. })));
    }
}
