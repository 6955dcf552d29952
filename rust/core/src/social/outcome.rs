//! What a rule decides.

use super::support::snap;

/// A fact that goes with a decision.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    /// A flag.
    Flag(bool),
    /// A number.
    Number(f64),
    /// Numbers.
    Numbers(Vec<f64>),
    /// A matrix in row-major order, and its number of columns.
    Matrix(Vec<f64>, usize),
    /// Items.
    Items(Vec<usize>),
    /// Lists of items.
    Lists(Vec<Vec<usize>>),
}

/// Winners, scores and a weak order of all items.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Winning items, rising.
    pub winners: Vec<usize>,
    /// A number per item, larger is better, for rules that give one.
    pub scores: Option<Vec<f64>>,
    /// The bucket of each item in the weak order; 0 is best.
    pub buckets: Vec<usize>,
    /// What else the rule found.
    pub facts: Vec<(&'static str, Fact)>,
}

impl Outcome {
    /// Items by falling score; scores that are not exact tie within a relative 1e-12.
    #[must_use]
    pub fn scored(scores: Vec<f64>, exact: bool) -> Self {
        let mut levels = scores.clone();
        if !exact {
            let scale = scores.iter().fold(0.0_f64, |scale, s| scale.max(s.abs()));
            snap(&mut levels, 1e-12 * scale);
        }
        Self { scores: Some(scores), ..Self::bucketed(buckets_of(&levels)) }
    }

    /// Items by the number of their bucket; those of the first one win.
    #[must_use]
    pub fn bucketed(buckets: Vec<usize>) -> Self {
        let winners = (0..buckets.len()).filter(|item| buckets[*item] == 0).collect();
        Self { winners, scores: None, buckets, facts: Vec::new() }
    }

    /// Winners before all others.
    #[must_use]
    pub fn chosen(winners: &[usize], items: usize) -> Self {
        let mut buckets = vec![usize::from(!winners.is_empty()); items];
        for item in winners {
            buckets[*item] = 0;
        }
        let mut winners = winners.to_vec();
        winners.sort_unstable();
        Self { winners, ..Self::bucketed(buckets) }
    }

    /// A strict order, best first.
    #[must_use]
    pub fn ordered(order: &[usize]) -> Self {
        let mut buckets = vec![0; order.len()];
        order.iter().enumerate().for_each(|(place, item)| buckets[*item] = place);
        Self::bucketed(buckets)
    }

    /// The same with one more fact.
    #[must_use]
    pub fn with(mut self, name: &'static str, fact: Fact) -> Self {
        self.facts.push((name, fact));
        self
    }
}

/// Bucket numbers of levels, the largest first.
pub(crate) fn buckets_of(levels: &[f64]) -> Vec<usize> {
    let mut distinct = levels.to_vec();
    distinct.sort_unstable_by(|a, b| b.total_cmp(a));
    distinct.dedup_by(|a, b| a == b); // 0.0 and -0.0 are equal
    levels.iter().map(|level| distinct.partition_point(|d| d > level)).collect()
}

/// Bucket numbers from the items dropped in each round, the last to go being the best.
pub(crate) fn by_survival(rounds: &[Vec<usize>], items: usize) -> Vec<usize> {
    let mut buckets = vec![0; items];
    let kept = usize::from(rounds.iter().map(Vec::len).sum::<usize>() < items);
    for (i, round) in rounds.iter().rev().enumerate() {
        for item in round {
            buckets[*item] = i + kept;
        }
    }
    buckets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearly_equal_scores_tie_unless_they_are_exact() {
        let scores = vec![0.1 + 0.2, 0.3, 1.0];
        assert_eq!(Outcome::scored(scores.clone(), false).buckets, [1, 1, 0]);
        assert_eq!(Outcome::scored(scores, true).buckets, [1, 2, 0]);
        assert_eq!(Outcome::scored(vec![0.0, -0.0], true).winners, [0, 1]);
    }

    #[test]
    fn survivors_come_first() {
        assert_eq!(by_survival(&[vec![2], vec![0, 3]], 4), [1, 0, 2, 1]);
        assert_eq!(by_survival(&[vec![2], vec![0, 1]], 3), [0, 0, 1]);
        assert_eq!(Outcome::chosen(&[], 2).buckets, [0, 0]);
    }
}
