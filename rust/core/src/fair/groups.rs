//! Which group an item belongs to, and each group's items from best to worst.

use crate::{Error, Result, size};

/// One group per item, checked: labels are below `count`.
#[derive(Debug, Clone, Copy)]
pub struct Groups<'a> {
    labels: &'a [u32],
    count: usize,
}

impl<'a> Groups<'a> {
    /// A view of labels in `0..count`.
    ///
    /// # Errors
    /// [`Error::Range`] when there are no items or a label is not below `count`.
    pub fn new(labels: &'a [u32], count: usize) -> Result<Self> {
        if labels.is_empty() {
            return Err(Error::range("groups", "at least one item", "none"));
        }
        if let Some(i) = labels.iter().position(|g| *g as usize >= count) {
            let expected = format!("groups below {count}");
            return Err(Error::range("groups", &expected, format!("{} at item {i}", labels[i])));
        }
        Ok(Self { labels, count: size::count("groups", count)? })
    }

    /// The group of an item.
    #[must_use]
    pub fn of(&self, item: usize) -> usize {
        self.labels[item] as usize
    }

    /// Number of groups.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Number of items.
    #[must_use]
    pub fn items(&self) -> usize {
        self.labels.len()
    }

    /// Number of items of each group.
    #[must_use]
    pub fn sizes(&self) -> Vec<usize> {
        let mut sizes = vec![0; self.count];
        for g in self.labels {
            sizes[*g as usize] += 1;
        }
        sizes
    }
}

/// Items by descending score, ties by lower index.
///
/// # Errors
/// [`Error::NotFinite`] for a score that is NaN or infinite.
pub(super) fn by_score(scores: &[f64]) -> Result<Vec<usize>> {
    if let Some(index) = scores.iter().position(|s| !s.is_finite()) {
        return Err(Error::NotFinite { name: "scores", index });
    }
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_unstable_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
    Ok(order)
}

/// Each group's items in the order of one ranking; items leave from the front.
#[derive(Debug, Clone)]
pub(super) struct Queues {
    /// Places in the ranking, group after group.
    places: Vec<usize>,
    next: Vec<usize>,
    end: Vec<usize>,
}

impl Queues {
    /// `order` lists every item of `groups` once.
    pub(super) fn new(order: &[usize], groups: Groups<'_>) -> Self {
        let sizes = groups.sizes();
        let mut next = Vec::with_capacity(sizes.len());
        let mut end = Vec::with_capacity(sizes.len());
        let mut total = 0;
        for size in sizes {
            next.push(total);
            total += size;
            end.push(total);
        }
        let (mut places, mut fill) = (vec![0; total], next.clone());
        for (place, item) in order.iter().enumerate() {
            let slot = &mut fill[groups.of(*item)];
            places[*slot] = place;
            *slot += 1;
        }
        Self { places, next, end }
    }

    /// Place of the best item that group `g` has left.
    pub(super) fn head(&self, g: usize) -> Option<usize> {
        (self.next[g] < self.end[g]).then(|| self.places[self.next[g]])
    }

    /// Removes the head of group `g` and returns its place.
    pub(super) fn take(&mut self, g: usize) -> Option<usize> {
        let place = self.head(g)?;
        self.next[g] += 1;
        Some(place)
    }

    /// The group, among those allowed, whose head has the best place.
    pub(super) fn best(&self, allowed: impl Fn(usize) -> bool) -> Option<usize> {
        (0..self.next.len())
            .filter(|g| allowed(*g))
            .filter_map(|g| self.head(g).map(|place| (place, g)))
            .min()
            .map(|(_, g)| g)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_give_each_groups_items_in_order() {
        let labels = [0, 1, 1, 0, 2];
        let groups = Groups::new(&labels, 4).expect("labels are below 4");
        assert_eq!(groups.sizes(), [2, 2, 1, 0]);
        let order = by_score(&[0.1, 0.5, 0.9, 0.5, 0.0]).expect("finite");
        assert_eq!(order, [2, 1, 3, 0, 4]);
        let mut queues = Queues::new(&order, groups);
        assert_eq!((queues.take(1), queues.take(1), queues.take(1)), (Some(0), Some(1), None));
        assert_eq!((queues.head(0), queues.head(3)), (Some(2), None));
        assert_eq!(queues.best(|_| true), Some(0));
    }

    #[test]
    fn wrong_input_names_the_argument() {
        assert!(Groups::new(&[], 1).is_err());
        let error = Groups::new(&[0, 2], 2).expect_err("2 is too large");
        assert_eq!(error.to_string(), "groups: expected groups below 2, got 2 at item 1");
        assert!(by_score(&[0.0, f64::NAN]).is_err());
    }
}
