//! A doubly stochastic matrix as a lottery over rankings.

use crate::{Error, Result, Stop};

/// Cells at or below this are zero; rows and columns may miss one by `m` times as much.
const ZERO: f64 = 1e-9;

/// Rankings and the probabilities that they are shown with.
#[derive(Debug, Clone, PartialEq)]
pub struct Lottery {
    /// Items in order, ranking after ranking, `m` at a time.
    pub rankings: Vec<usize>,
    /// One probability per ranking; they sum to one.
    pub weights: Vec<f64>,
}

/// Splits `matrix` (`m` by `m`, item by place) into rankings with weights.
///
/// Each round takes a perfect matching within the positive cells and as much of it as the smallest cell
/// allows; at most `(m - 1)^2 + 1` rankings come out.
///
/// # Errors
/// [`Error::Shape`], [`Error::Range`] when `matrix` is not doubly stochastic within a tolerance,
/// [`Error::Interrupted`].
///
/// Source: Birkhoff 1946; Singh and Joachims 2018, section 3.
pub fn birkhoff(matrix: &[f64], m: usize, stop: Stop<'_>) -> Result<Lottery> {
    check(matrix, m)?;
    let mut left: Vec<f64> = matrix.iter().map(|x| if *x > ZERO { *x } else { 0.0 }).collect();
    let mut lottery = Lottery { rankings: Vec::new(), weights: Vec::new() };
    let mut matching = Matching::new(m);
    loop {
        stop.check()?;
        if !matching.complete(&left) {
            break;
        }
        let cell = |place: usize| matching.item_at[place] * m + place;
        let weight = (0..m).map(|place| left[cell(place)]).fold(f64::INFINITY, f64::min);
        for place in 0..m {
            let at = cell(place);
            let rest = left[at] - weight;
            left[at] = if rest > ZERO { rest } else { 0.0 };
        }
        lottery.rankings.extend_from_slice(&matching.item_at);
        lottery.weights.push(weight);
        matching.drop_zeros(&left);
    }
    let total: f64 = lottery.weights.iter().sum();
    if total < 0.5 {
        return Err(Error::range("matrix", "a doubly stochastic matrix", "no perfect matching"));
    }
    lottery.weights.iter_mut().for_each(|w| *w /= total);
    Ok(lottery)
}

fn check(matrix: &[f64], m: usize) -> Result<()> {
    if m == 0 || matrix.len() != m * m {
        return Err(Error::length("matrix", m * m, matrix.len()));
    }
    if let Some(index) = matrix.iter().position(|x| !x.is_finite()) {
        return Err(Error::NotFinite { name: "matrix", index });
    }
    let tolerance = 1e-7 * m as f64;
    if let Some(x) = matrix.iter().find(|x| **x < -tolerance) {
        return Err(Error::range("matrix", "cells at or above 0", x));
    }
    for i in 0..m {
        let row: f64 = matrix[i * m..(i + 1) * m].iter().sum();
        let column: f64 = (0..m).map(|j| matrix[j * m + i]).sum();
        if (row - 1.0).abs() > tolerance || (column - 1.0).abs() > tolerance {
            let got = format!("row {i} sums to {row}, column {i} to {column}");
            return Err(Error::range("matrix", "rows and columns that sum to 1", got));
        }
    }
    Ok(())
}

/// No partner.
const FREE: usize = usize::MAX;

/// A matching of items and places that is kept from round to round.
struct Matching {
    m: usize,
    item_at: Vec<usize>,
    place_of: Vec<usize>,
}

impl Matching {
    fn new(m: usize) -> Self {
        Self { m, item_at: vec![FREE; m], place_of: vec![FREE; m] }
    }

    /// Extends to a perfect matching by breadth-first augmenting paths; false when there is none.
    fn complete(&mut self, cells: &[f64]) -> bool {
        (0..self.m).filter(|i| self.place_of[*i] == FREE).collect::<Vec<_>>().into_iter().all(
            |item| {
                let mut from = vec![FREE; self.m];
                let mut queue = vec![item];
                let mut head = 0;
                while head < queue.len() {
                    let i = queue[head];
                    head += 1;
                    for place in 0..self.m {
                        if cells[i * self.m + place] <= 0.0 || from[place] != FREE {
                            continue;
                        }
                        from[place] = i;
                        if self.item_at[place] == FREE {
                            self.augment(place, &from);
                            return true;
                        }
                        queue.push(self.item_at[place]);
                    }
                }
                false
            },
        )
    }

    fn augment(&mut self, mut place: usize, from: &[usize]) {
        while place != FREE {
            let item = from[place];
            let next = self.place_of[item];
            self.item_at[place] = item;
            self.place_of[item] = place;
            place = next;
        }
    }

    fn drop_zeros(&mut self, cells: &[f64]) {
        for place in 0..self.m {
            let item = self.item_at[place];
            if cells[item * self.m + place] <= 0.0 {
                self.item_at[place] = FREE;
                self.place_of[item] = FREE;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    fn mixed(m: usize, terms: usize) -> Vec<f64> {
        let (mut stream, mut matrix) = (Stream::new(1, m as u64), vec![0.0; m * m]);
        for _ in 0..terms {
            let mut order: Vec<usize> = (0..m).collect();
            stream.shuffle(&mut order);
            for (place, item) in order.iter().enumerate() {
                matrix[item * m + place] += 1.0 / terms as f64;
            }
        }
        matrix
    }

    #[test]
    fn the_rankings_add_up_to_the_matrix() {
        for (m, terms) in [(1, 1), (4, 3), (9, 20), (25, 60)] {
            let matrix = mixed(m, terms);
            let lottery = birkhoff(&matrix, m, Stop::never()).expect("doubly stochastic");
            assert!((lottery.weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            let mut sum = vec![0.0; m * m];
            for (ranking, weight) in lottery.rankings.chunks_exact(m).zip(&lottery.weights) {
                for (place, item) in ranking.iter().enumerate() {
                    sum[item * m + place] += weight;
                }
            }
            assert!(sum.iter().zip(&matrix).all(|(a, b)| (a - b).abs() < 1e-6));
            assert!(lottery.weights.len() <= (m - 1) * (m - 1) + 1);
        }
    }

    #[test]
    fn other_matrices_are_errors() {
        for matrix in [vec![1.0, 0.0, 1.0, 0.0], vec![0.9, 0.0, 0.0, 0.9], vec![f64::NAN; 4]] {
            assert!(birkhoff(&matrix, 2, Stop::never()).is_err());
        }
        assert!(birkhoff(&[], 0, Stop::never()).is_err());
    }
}
