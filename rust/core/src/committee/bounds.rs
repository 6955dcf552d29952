//! Bounds on how many members a committee takes from each group.
//!
//! For nested or disjoint groups the committees that can still be completed form a matroid, and
//! [`Bounds::fits`] tells in `O(depth)` whether one more item keeps it possible. Groups that overlap
//! otherwise are counted by type: items in the same groups are interchangeable.

use super::overlap::Overlap;
use crate::{Error, Result};

/// One group and its bounds.
#[derive(Debug, Clone)]
pub struct Group {
    /// What messages call it.
    pub name: String,
    /// Items, each once.
    pub members: Vec<usize>,
    /// Fewest members of a committee.
    pub lower: usize,
    /// Most members of a committee.
    pub upper: usize,
}

/// Size and bounds of a committee of some of `m` items.
#[derive(Debug, Clone)]
pub struct Bounds {
    pub(super) m: usize,
    pub(super) k: usize,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Free,
    Laminar(Tree),
    Overlapping(Overlap),
}

/// What a partial committee has taken.
#[derive(Debug, Clone)]
pub(super) struct Room {
    taken: Vec<bool>,
    pub(super) size: usize,
    counts: Vec<usize>,
    /// For overlapping groups: a full committee, by type, that contains the partial one.
    plan: Vec<usize>,
}

impl Bounds {
    /// Checked bounds for committees of `k` of `m` items.
    ///
    /// # Errors
    /// [`Error::Range`] for `k` above `m`, [`Error::Infeasible`] naming the bound that cannot be met.
    pub fn new(m: usize, k: usize, groups: &[Group]) -> Result<Self> {
        if k > m {
            return Err(Error::range("k", &format!("a number from 0 to {m}"), k));
        }
        for group in groups {
            check_group(m, k, group)?;
        }
        let kind = if groups.is_empty() {
            Kind::Free
        } else if let Some(tree) = Tree::new(m, groups) {
            tree.check(k, groups)?;
            Kind::Laminar(tree)
        } else {
            Kind::Overlapping(Overlap::new(m, k, groups)?)
        };
        Ok(Self { m, k, kind })
    }

    /// No bounds but the size.
    ///
    /// # Errors
    /// [`Error::Range`] for `k` above `m`.
    pub fn free(m: usize, k: usize) -> Result<Self> {
        Self::new(m, k, &[])
    }

    /// Number of items.
    #[must_use]
    pub fn items(&self) -> usize {
        self.m
    }

    /// Size of the committee.
    #[must_use]
    pub fn size(&self) -> usize {
        self.k
    }

    /// Whether partial committees form a matroid.
    pub(super) fn is_matroid(&self) -> bool {
        !matches!(self.kind, Kind::Overlapping(_))
    }

    pub(super) fn is_free(&self) -> bool {
        matches!(self.kind, Kind::Free)
    }

    /// Items with the same number count alike for every bound.
    pub(super) fn kind_of(&self, item: usize) -> usize {
        match &self.kind {
            Kind::Free => 0,
            Kind::Laminar(tree) => tree.leaf[item],
            Kind::Overlapping(overlap) => overlap.kind_of(item),
        }
    }

    /// The room of an empty committee.
    pub(super) fn open(&self) -> Room {
        let (counts, plan) = match &self.kind {
            Kind::Free => (vec![], vec![]),
            Kind::Laminar(tree) => (tree.reserved(), vec![]),
            Kind::Overlapping(overlap) => (vec![0; overlap.types()], overlap.first_plan()),
        };
        Room { taken: vec![false; self.m], size: 0, counts, plan }
    }

    /// Whether the committee with one more item can still be completed.
    pub(super) fn fits(&self, room: &Room, item: usize) -> bool {
        if room.taken[item] || room.size >= self.k {
            return false;
        }
        match &self.kind {
            Kind::Free => true,
            Kind::Laminar(tree) => tree.fits(&room.counts, item, self.k),
            Kind::Overlapping(overlap) => overlap.fits(&room.counts, &room.plan, item),
        }
    }

    /// Takes an item that fits.
    pub(super) fn take(&self, room: &mut Room, item: usize) {
        room.taken[item] = true;
        room.size += 1;
        match &self.kind {
            Kind::Free => {}
            Kind::Laminar(tree) => tree.take(&mut room.counts, item),
            Kind::Overlapping(overlap) => overlap.take(&mut room.counts, &mut room.plan, item),
        }
    }

    /// The room of a committee, or `None` when it breaks a bound or cannot be completed.
    pub(super) fn room_of(&self, members: &[usize]) -> Option<Room> {
        let mut room = self.open();
        for item in members {
            if !self.fits(&room, *item) {
                return None;
            }
            self.take(&mut room, *item);
        }
        Some(room)
    }

    /// The largest sum of gains of items that complete a committee, or more; `None` when too few are
    /// left. `ranked` lists what may be added, best first.
    pub(super) fn best_completion(
        &self,
        room: &Room,
        ranked: impl Iterator<Item = (usize, i128)>,
    ) -> Option<i128> {
        let mut left = self.k - room.size;
        let mut sum = 0;
        if let Kind::Laminar(_) = self.kind {
            let mut room = room.clone();
            for (item, gain) in ranked {
                if left == 0 {
                    break;
                }
                if self.fits(&room, item) {
                    self.take(&mut room, item);
                    sum += gain;
                    left -= 1;
                }
            }
        } else {
            for (_, gain) in ranked.take(left) {
                sum += gain;
                left -= 1;
            }
        }
        (left == 0).then_some(sum)
    }
}

fn check_group(m: usize, k: usize, group: &Group) -> Result<()> {
    let Group { name, members, lower, upper } = group;
    if let Some(item) = members.iter().find(|item| **item >= m) {
        return Err(Error::range("groups", &format!("items below {m}"), item));
    }
    let most = members.len().min(*upper).min(k);
    if lower > upper {
        let what = format!("group {name}: at least {lower} but at most {upper} members");
        return Err(Error::Infeasible { what });
    }
    if *lower > most {
        let size = members.len();
        let what =
            format!("group {name}: at least {lower} of its {size} items, in a committee of {k}");
        return Err(Error::Infeasible { what });
    }
    Ok(())
}

/// Nested groups as a tree; the last node is the committee itself.
#[derive(Debug, Clone)]
struct Tree {
    parent: Vec<usize>,
    lower: Vec<usize>,
    upper: Vec<usize>,
    size: Vec<usize>,
    /// The smallest group of every item.
    leaf: Vec<usize>,
    /// Groups, the smaller ones first.
    order: Vec<usize>,
}

impl Tree {
    /// The tree, or `None` when two groups overlap without one holding the other.
    fn new(m: usize, groups: &[Group]) -> Option<Self> {
        let root = groups.len();
        let mut order: Vec<usize> = (0..root).collect();
        order.sort_by_key(|g| (groups[*g].members.len(), *g));
        let mut parent = vec![usize::MAX; root];
        let mut leaf = vec![root; m];
        let mut top = vec![None; m];
        for (rank, g) in order.iter().enumerate() {
            let before: Vec<Option<usize>> =
                groups[*g].members.iter().map(|item| top[*item]).collect();
            for (item, child) in groups[*g].members.iter().zip(before) {
                match child {
                    None => leaf[*item] = *g,
                    Some(child) if parent[child] == usize::MAX || parent[child] == *g => {
                        parent[child] = *g;
                    }
                    Some(_) => return None,
                }
                top[*item] = Some(*g);
            }
            // A group that this one holds must be held whole.
            let held = order[..rank].iter().filter(|child| parent[**child] == *g);
            for child in held {
                if groups[*child].members.iter().any(|item| top[*item] != Some(*g)) {
                    return None;
                }
            }
        }
        parent.iter_mut().filter(|p| **p == usize::MAX).for_each(|p| *p = root);
        let lower = groups.iter().map(|g| g.lower).collect();
        let upper = groups.iter().map(|g| g.upper).collect();
        let size = groups.iter().map(|g| g.members.len()).collect();
        Some(Self { parent, lower, upper, size, leaf, order })
    }

    /// Members that the lower bounds reserve in each node, over and above what its children need.
    fn reserved(&self) -> Vec<usize> {
        let mut counts = vec![0; self.parent.len() + 1];
        for g in &self.order {
            counts[self.parent[*g]] += counts[*g].max(self.lower[*g]);
        }
        counts
    }

    /// Whether some committee of `k` meets all bounds.
    fn check(&self, k: usize, groups: &[Group]) -> Result<()> {
        let root = self.parent.len();
        let needed = self.reserved();
        let mut inside = self.size.clone();
        inside.push(self.leaf.len());
        let mut lost = vec![0; root + 1];
        for g in &self.order {
            let name = &groups[*g].name;
            if needed[*g] > self.upper[*g] {
                let what = format!(
                    "group {name}: at most {} members, but the groups inside it need {}",
                    self.upper[*g], needed[*g]
                );
                return Err(Error::Infeasible { what });
            }
            let most = self.upper[*g].min(inside[*g] - lost[*g]);
            if most < self.lower[*g] {
                let what = format!(
                    "group {name}: at least {} members, but the groups inside it allow {most}",
                    self.lower[*g]
                );
                return Err(Error::Infeasible { what });
            }
            lost[self.parent[*g]] += inside[*g] - most;
        }
        let most = inside[root] - lost[root];
        if needed[root] > k {
            let names = names(groups.iter().filter(|g| g.lower > 0));
            let what = format!("lower bounds of {names} need {} members, k is {k}", needed[root]);
            return Err(Error::Infeasible { what });
        }
        if most < k {
            let names = names(groups.iter().filter(|g| g.upper < g.members.len()));
            let what = format!("upper bounds of {names} allow {most} members, k is {k}");
            return Err(Error::Infeasible { what });
        }
        Ok(())
    }

    fn fits(&self, counts: &[usize], item: usize, k: usize) -> bool {
        let root = self.parent.len();
        let mut node = self.leaf[item];
        while node != root {
            if counts[node] < self.lower[node] {
                return true; // a reserved place is taken, nothing changes further up
            }
            if counts[node] >= self.upper[node] {
                return false;
            }
            node = self.parent[node];
        }
        counts[root] < k
    }

    fn take(&self, counts: &mut [usize], item: usize) {
        let root = self.parent.len();
        let mut node = self.leaf[item];
        loop {
            counts[node] += 1;
            if node == root || counts[node] <= self.lower[node] {
                return;
            }
            node = self.parent[node];
        }
    }
}

pub(super) fn names<'a>(groups: impl Iterator<Item = &'a Group>) -> String {
    groups.map(|g| g.name.as_str()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(name: &str, members: &[usize], lower: usize, upper: usize) -> Group {
        Group { name: name.to_owned(), members: members.to_vec(), lower, upper }
    }

    fn subsets(m: usize, k: usize) -> Vec<Vec<usize>> {
        (0_u32..1 << m)
            .filter(|mask| mask.count_ones() as usize == k)
            .map(|mask| (0..m).filter(|i| mask >> i & 1 == 1).collect())
            .collect()
    }

    fn meets(set: &[usize], groups: &[Group]) -> bool {
        groups.iter().all(|g| {
            let have = set.iter().filter(|i| g.members.contains(i)).count();
            (g.lower..=g.upper).contains(&have)
        })
    }

    /// A partial committee passes exactly when some full one contains it.
    fn check(m: usize, k: usize, groups: &[Group]) {
        let full: Vec<Vec<usize>> =
            subsets(m, k).into_iter().filter(|s| meets(s, groups)).collect();
        match Bounds::new(m, k, groups) {
            Err(Error::Infeasible { .. }) => assert!(full.is_empty(), "{groups:?}"),
            Err(other) => panic!("{other}"),
            Ok(bounds) => {
                assert!(!full.is_empty(), "{groups:?}");
                for size in 0..=k {
                    for part in subsets(m, size) {
                        let possible =
                            full.iter().any(|set| part.iter().all(|item| set.contains(item)));
                        assert_eq!(bounds.room_of(&part).is_some(), possible, "{part:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn partial_committees_pass_exactly_when_they_can_be_completed() {
        for seed in 0..300 {
            let mut stream = crate::rng::Stream::new(seed, 0);
            let (m, k) = (7, 1 + stream.below(5));
            let nested = [&[0, 1, 2, 3][..], &[0, 1], &[2], &[4, 5], &[0, 1, 2, 3, 6]];
            let overlapping = [&[0, 1, 2][..], &[2, 3, 4], &[4, 5, 0], &[6, 1]];
            let sets = if seed % 2 == 0 { &nested[..] } else { &overlapping[..] };
            let groups: Vec<Group> = sets
                .iter()
                .filter(|_| seed > 3 || seed % 2 == 0)
                .map(|set| {
                    let lower = stream.below(3);
                    group("g", set, lower, lower + stream.below(3))
                })
                .collect();
            check(m, k, &groups);
        }
    }

    #[test]
    fn messages_name_the_bound() {
        let two = [group("women", &[0, 1], 3, 3)];
        let message = Bounds::new(5, 4, &two).expect_err("too few").to_string();
        assert!(message.contains("women") && message.contains('3'), "{message}");
        let sum = [group("a", &[0, 1], 2, 2), group("b", &[2, 3], 2, 2)];
        let message = Bounds::new(5, 3, &sum).expect_err("too many").to_string();
        assert!(message.contains("a, b need 4"), "{message}");
        assert!(matches!(Bounds::new(3, 4, &[]), Err(Error::Range { .. })));
    }
}
