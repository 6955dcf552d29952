//! Incomplete Cholesky factors of sparse Laplacians, for chain-like graphs.

/// The lower triangle of a sparse matrix in an order in which trees fill nothing, or its factor.
///
/// Source: Meijerink and van der Vorst 1977; for a Laplacian no pivot can fail but the last.
pub(super) struct Incomplete {
    /// Place of every unknown in the order, and the unknown at every place.
    place: Vec<usize>,
    order: Vec<usize>,
    starts: Vec<usize>,
    columns: Vec<usize>,
    values: Vec<f64>,
    diagonal: Vec<f64>,
}

impl Incomplete {
    /// From rows of `(column, weight)`: the matrix has `-weight` off its diagonal.
    pub(super) fn new(
        starts: &[usize],
        column: impl Fn(usize) -> usize,
        weight: impl Fn(usize) -> f64,
        diagonal: &[f64],
    ) -> Self {
        let m = diagonal.len();
        let order = peel(starts, &column);
        let mut place = vec![0; m];
        order.iter().enumerate().for_each(|(at, item)| place[*item] = at);
        let (mut lower, mut columns, mut values) = (vec![0], vec![], vec![]);
        let mut row: Vec<(usize, f64)> = Vec::new();
        for (at, item) in order.iter().enumerate() {
            row.clear();
            let cells = (starts[*item]..starts[*item + 1]).map(|k| (place[column(k)], -weight(k)));
            row.extend(cells.filter(|(c, _)| *c < at));
            row.sort_unstable_by_key(|(c, _)| *c);
            columns.extend(row.iter().map(|(c, _)| *c));
            values.extend(row.iter().map(|(_, v)| *v));
            lower.push(columns.len());
        }
        let diagonal = order.iter().map(|item| diagonal[*item]).collect();
        Self { place, order, starts: lower, columns, values, diagonal }
    }

    /// The factor; `None` when a pivot is not a number.
    pub(super) fn factored(mut self) -> Option<Self> {
        for i in 0..self.diagonal.len() {
            let (before, row) = self.values.split_at_mut(self.starts[i]);
            let columns = &self.columns[self.starts[i]..self.starts[i + 1]];
            let mut pivot = self.diagonal[i];
            for (at, j) in columns.iter().enumerate() {
                let other = self.starts[*j]..self.starts[*j + 1];
                let sum = sparse_dot(
                    (&columns[..at], &row[..at]),
                    (&self.columns[other.clone()], &before[other]),
                );
                row[at] = (row[at] - sum) / self.diagonal[*j];
                pivot -= row[at] * row[at];
            }
            // the last pivot of a component is zero but for rounding
            let least = 1e-10 * self.diagonal[i];
            self.diagonal[i] = pivot.max(least).sqrt();
            if self.diagonal[i] == 0.0 {
                self.diagonal[i] = 1.0; // an item without comparisons
            }
            if !self.diagonal[i].is_finite() {
                return None;
            }
        }
        Some(self)
    }

    /// `z = (L L')^-1 r`.
    pub(super) fn solve(&self, r: &[f64], z: &mut [f64]) {
        let m = self.diagonal.len();
        let mut x: Vec<f64> = self.order.iter().map(|item| r[*item]).collect();
        for i in 0..m {
            let range = self.starts[i]..self.starts[i + 1];
            let cells = self.columns[range.clone()].iter().zip(&self.values[range]);
            let sum: f64 = cells.map(|(c, v)| v * x[*c]).sum();
            x[i] = (x[i] - sum) / self.diagonal[i];
        }
        for i in (0..m).rev() {
            x[i] /= self.diagonal[i];
            for k in self.starts[i]..self.starts[i + 1] {
                x[self.columns[k]] -= self.values[k] * x[i];
            }
        }
        for (z, place) in z.iter_mut().zip(&self.place) {
            *z = x[*place];
        }
    }
}

fn sparse_dot((a, x): (&[usize], &[f64]), (b, y): (&[usize], &[f64])) -> f64 {
    let (mut i, mut j, mut sum) = (0, 0, 0.0);
    while i < a.len() && j < b.len() {
        match a[i].cmp(&b[j]) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => {
                sum += x[i] * y[j];
                i += 1;
                j += 1;
            }
        }
    }
    sum
}

/// Items by repeatedly taking leaves away, the rest by rising number of neighbours.
fn peel(starts: &[usize], column: &impl Fn(usize) -> usize) -> Vec<usize> {
    let m = starts.len() - 1;
    let mut degree: Vec<usize> = (0..m).map(|i| starts[i + 1] - starts[i]).collect();
    let mut taken = vec![false; m];
    let mut order: Vec<usize> = (0..m).filter(|i| degree[*i] <= 1).collect();
    for i in &order {
        taken[*i] = true;
    }
    let mut next = 0;
    while next < order.len() {
        let item = order[next];
        next += 1;
        for k in starts[item]..starts[item + 1] {
            let other = column(k);
            degree[other] = degree[other].saturating_sub(1);
            if degree[other] <= 1 && !taken[other] {
                taken[other] = true;
                order.push(other);
            }
        }
    }
    let mut rest: Vec<usize> = (0..m).filter(|i| !taken[*i]).collect();
    rest.sort_by_key(|i| degree[*i]);
    order.extend(rest);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_solved_exactly() {
        // a path 0 - 1 - 2 - 3 with weights 1, 2, 3 and one unit of ground at item 2
        let starts = [0, 1, 3, 5, 6];
        let columns = [1, 0, 2, 1, 3, 2];
        let weights = [1.0, 1.0, 2.0, 2.0, 3.0, 3.0];
        let diagonal = [1.0, 3.0, 6.0, 3.0];
        let factor = Incomplete::new(&starts, |k| columns[k], |k| weights[k], &diagonal);
        let factor = factor.factored().expect("positive definite");
        let x = [0.3, -1.0, 2.0, 5.0];
        let mut b = [0.0; 4];
        for i in 0..4 {
            b[i] = diagonal[i] * x[i];
            for k in starts[i]..starts[i + 1] {
                b[i] -= weights[k] * x[columns[k]];
            }
        }
        let mut z = [0.0; 4];
        factor.solve(&b, &mut z);
        assert!(z.iter().zip(&x).all(|(p, q)| (p - q).abs() < 1e-12), "{z:?}");
    }
}
