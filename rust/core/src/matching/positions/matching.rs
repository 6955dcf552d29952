//! Matchings of positions to creatives of largest weight, with at most so many pairs.

/// Pairs `(row, column)` of the heaviest matching with at most `most` pairs; weights at or below 0 are
/// never used. `weights` is `rows * columns`.
///
/// Successive shortest paths: after `k` rounds the matching is the heaviest of `k` pairs, and the gains
/// of the rounds fall, so that the first gain that is not positive ends it.
pub(super) fn heaviest(
    rows: usize,
    columns: usize,
    weights: &[f64],
    most: usize,
) -> Vec<(usize, usize)> {
    let mut state = State::new(rows, columns, weights);
    for _ in 0..most.min(rows).min(columns) {
        if !state.augment() {
            break;
        }
    }
    let pairs = state.column_of.iter().enumerate();
    pairs.filter_map(|(i, j)| j.map(|j| (i, j))).collect()
}

struct State<'a> {
    columns: usize,
    weights: &'a [f64],
    column_of: Vec<Option<usize>>,
    row_of: Vec<Option<usize>>,
}

impl<'a> State<'a> {
    fn new(rows: usize, columns: usize, weights: &'a [f64]) -> Self {
        Self { columns, weights, column_of: vec![None; rows], row_of: vec![None; columns] }
    }

    fn weight(&self, i: usize, j: usize) -> f64 {
        self.weights[i * self.columns + j]
    }

    /// The path of largest gain from a free row to a free column, by rounds of improvement
    /// (Bellman and Ford): rows are few, and a path passes each at most once.
    fn augment(&mut self) -> bool {
        let rows = self.column_of.len();
        let start = |i: usize| if self.column_of[i].is_none() { 0.0 } else { f64::NEG_INFINITY };
        let mut gain_at_row: Vec<f64> = (0..rows).map(start).collect();
        let mut gain_at: Vec<f64> = vec![f64::NEG_INFINITY; self.columns];
        let mut from = vec![usize::MAX; self.columns];
        let mut changed: Vec<usize> =
            (0..rows).filter(|i| gain_at_row[*i] > f64::NEG_INFINITY).collect();
        for _ in 0..=rows {
            let mut next = Vec::new();
            for i in changed {
                for j in 0..self.columns {
                    let weight = self.weight(i, j);
                    let gain = gain_at_row[i] + weight;
                    if weight <= 0.0
                        || self.column_of[i] == Some(j)
                        || gain <= gain_at[j] + 1e-15 * gain_at[j].abs()
                    {
                        continue;
                    }
                    (gain_at[j], from[j]) = (gain, i);
                    if let Some(row) = self.row_of[j] {
                        let back = gain - self.weight(row, j);
                        if back > gain_at_row[row] {
                            gain_at_row[row] = back;
                            next.push(row);
                        }
                    }
                }
            }
            if next.is_empty() {
                break;
            }
            next.sort_unstable();
            next.dedup();
            changed = next;
        }
        let free = (0..self.columns).filter(|j| self.row_of[*j].is_none());
        let end = free.fold(None, |best: Option<usize>, j| match best {
            Some(other) if gain_at[other] >= gain_at[j] => Some(other),
            _ => Some(j),
        });
        match end {
            Some(j) if gain_at[j] > 0.0 => {
                self.flip(j, &from);
                true
            }
            _ => false,
        }
    }

    fn flip(&mut self, end: usize, from: &[usize]) {
        let mut j = end;
        loop {
            let i = from[j];
            let next = self.column_of[i].replace(j);
            self.row_of[j] = Some(i);
            match next {
                Some(before) => j = before,
                None => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    fn brute(
        rows: usize,
        columns: usize,
        weights: &[f64],
        most: usize,
        row: usize,
        used: u32,
    ) -> f64 {
        if row == rows || most == 0 {
            return 0.0;
        }
        let mut best = brute(rows, columns, weights, most, row + 1, used);
        for j in (0..columns).filter(|j| used & 1 << j == 0) {
            let rest = brute(rows, columns, weights, most - 1, row + 1, used | 1 << j);
            best = best.max(weights[row * columns + j] + rest);
        }
        best
    }

    #[test]
    fn it_is_the_heaviest_for_every_number_of_pairs() {
        let mut stream = Stream::new(3, 0);
        for trial in 0..400 {
            let (rows, columns) = (1 + stream.below(5), 1 + stream.below(5));
            let weights: Vec<f64> = (0..rows * columns)
                .map(
                    |_| if trial % 2 == 0 { stream.below(5) as f64 - 1.0 } else { stream.normal() },
                )
                .collect();
            for most in 0..=rows {
                let pairs = heaviest(rows, columns, &weights, most);
                let value: f64 = pairs.iter().map(|(i, j)| weights[i * columns + j]).sum();
                let expected = brute(rows, columns, &weights, most, 0, 0);
                assert!(pairs.len() <= most && (value - expected).abs() < 1e-9, "trial {trial}");
            }
        }
    }
}
