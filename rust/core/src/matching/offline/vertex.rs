//! Matchings whose weight sits on the items: cardinality, and a weight per item.

use super::narrow;
use super::sparse::{BMatching, check};
use super::stream::NONE;
use crate::matching::rows::Rows;
use crate::{Error, Result, Stop};

/// The largest number of arrivals that can be matched, with a vertex cover that proves it.
///
/// In `O(edges * sqrt(arrivals))`.
///
/// # Errors
/// [`Error::Range`], [`Error::Shape`] and [`Error::Interrupted`].
///
/// Source: Hopcroft and Karp 1973, with capacities as multiplicities.
pub fn max_matching(rows: &Rows<'_>, capacity: &[f64], stop: Stop<'_>) -> Result<BMatching> {
    check(rows, capacity)?;
    let weight = vec![1.0; rows.n()];
    let mut matching = Matching::new(rows, capacity);
    matching.fill_greedily();
    while matching.layer() {
        stop.check()?;
        matching.augment_layered();
    }
    let cover = matching.reached();
    let price = cover.iter().map(|is_reached| if *is_reached { 0.0 } else { 1.0 }).collect();
    Ok(matching.finish(rows, capacity, &weight, price))
}

/// The matching whose matched items, with multiplicity, weigh most.
///
/// The sets of units that can be matched together form a matroid: units are taken by falling weight,
/// each by one augmenting path. What a failed search saw can never gain again and is left out.
///
/// # Errors
/// [`Error::Range`], [`Error::Shape`] and [`Error::Interrupted`].
///
/// Source: Edmonds and Fulkerson 1965.
pub fn vertex_weighted(
    rows: &Rows<'_>,
    capacity: &[f64],
    weight: &[f64],
    stop: Stop<'_>,
) -> Result<BMatching> {
    check(rows, capacity)?;
    if weight.len() != rows.n() {
        return Err(Error::length("weight", rows.n(), weight.len()));
    }
    if let Some(bad) = weight.iter().find(|w| !(**w >= 0.0 && w.is_finite())) {
        return Err(Error::range("weight", "numbers at or above 0", bad));
    }
    let mut order: Vec<u32> = (0..rows.n()).map(narrow).collect();
    order.sort_by(|a, b| weight[*b as usize].total_cmp(&weight[*a as usize]));
    let mut matching = Matching::new(rows, capacity);
    let mut price = weight.to_vec();
    for u in order {
        stop.check()?;
        if weight[u as usize] <= 0.0 {
            break;
        }
        while matching.room[u as usize] > 0 && matching.augment(u, Order::ByVisit) {}
        if matching.room[u as usize] > 0 {
            matching.settle_dead(weight[u as usize], &mut price);
        }
    }
    Ok(matching.finish(rows, capacity, weight, price))
}

/// Which edges a search may take.
#[derive(Clone, Copy, PartialEq)]
enum Order {
    ByLayer,
    ByVisit,
}

/// A matching under construction, seen from the items.
struct Matching {
    start: Vec<usize>,
    arrivals: Vec<u32>,
    /// Units of an item without an arrival.
    room: Vec<u64>,
    item_of: Vec<u32>,
    next: Vec<usize>,
    /// Where an item's arrivals that nobody has may start; they are never given back, so it only rises.
    fresh: Vec<usize>,
    layer: Vec<u32>,
    /// Search in which an item was last seen; the largest number for items that cannot gain any more.
    seen: Vec<u32>,
    search: u32,
    visited: Vec<u32>,
    path: Vec<(u32, u32)>,
}

const DEAD: u32 = u32::MAX;

impl Matching {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "capacities are checked to be whole numbers below 2^53"
    )]
    fn new(rows: &Rows<'_>, capacity: &[f64]) -> Self {
        let n = rows.n();
        let mut start = vec![0; n + 1];
        for u in rows.all().items {
            start[*u as usize + 1] += 1;
        }
        for u in 0..n {
            start[u + 1] += start[u];
        }
        let (mut next, mut arrivals) = (start.clone(), vec![0; rows.edge_count()]);
        for v in 0..rows.len() {
            for u in rows.row(v).items {
                arrivals[next[*u as usize]] = narrow(v);
                next[*u as usize] += 1;
            }
        }
        Self {
            next: start[..n].to_vec(),
            fresh: start[..n].to_vec(),
            start,
            arrivals,
            room: capacity.iter().map(|c| *c as u64).collect(),
            item_of: vec![NONE; rows.len()],
            layer: vec![0; n],
            seen: vec![0; n],
            search: 0,
            visited: Vec::new(),
            path: Vec::new(),
        }
    }

    /// Items take arrivals that nobody has.
    fn fill_greedily(&mut self) {
        for u in 0..self.room.len() {
            for place in self.start[u]..self.start[u + 1] {
                let v = self.arrivals[place] as usize;
                if self.room[u] > 0 && self.item_of[v] == NONE {
                    self.item_of[v] = narrow(u);
                    self.room[u] -= 1;
                }
            }
        }
    }

    /// Distances of items from those with room, in arrivals taken over; whether some item can take an
    /// arrival that nobody has.
    fn layer(&mut self) -> bool {
        self.layer.fill(NONE);
        let with_room = (0..self.room.len()).filter(|u| self.room[*u] > 0);
        let mut queue: Vec<u32> = with_room.map(narrow).collect();
        for u in &queue {
            self.layer[*u as usize] = 0;
        }
        let (mut head, mut found) = (0, false);
        while head < queue.len() && !found {
            // one whole layer at a time: the shortest paths end in the first layer that finds one
            let end = queue.len();
            for place in head..end {
                let u = queue[place] as usize;
                for v in &self.arrivals[self.start[u]..self.start[u + 1]] {
                    let holder = self.item_of[*v as usize];
                    if holder == NONE {
                        found = true;
                    } else if self.layer[holder as usize] == NONE {
                        self.layer[holder as usize] = self.layer[u] + 1;
                        queue.push(holder);
                    }
                }
            }
            head = end;
        }
        found
    }

    /// A maximal set of shortest augmenting paths.
    fn augment_layered(&mut self) {
        self.next.copy_from_slice(&self.start[..self.room.len()]);
        for u in 0..self.room.len() {
            while self.room[u] > 0 && self.augment(narrow(u), Order::ByLayer) {}
        }
    }

    /// One augmenting path from an item with room, depth first and without recursion.
    fn augment(&mut self, source: u32, order: Order) -> bool {
        if order == Order::ByVisit {
            self.search += 1;
            self.visited.clear();
            if self.seen[source as usize] == DEAD {
                return false;
            }
            self.visit(source);
        }
        self.path.clear();
        let mut u = source;
        loop {
            match self.step(u, order) {
                Some((v, NONE)) => {
                    self.path.push((u, v));
                    for (u, v) in self.path.drain(..) {
                        self.item_of[v as usize] = u;
                    }
                    self.room[source as usize] -= 1;
                    return true;
                }
                Some((v, holder)) => {
                    self.path.push((u, v));
                    u = holder;
                }
                None => match self.path.pop() {
                    Some((before, _)) => u = before,
                    None => return false,
                },
            }
        }
    }

    fn visit(&mut self, u: u32) {
        self.seen[u as usize] = self.search;
        self.visited.push(u);
        self.next[u as usize] = self.start[u as usize];
    }

    /// The next arrival of an item worth following, and who holds it.
    fn step(&mut self, u: u32, order: Order) -> Option<(u32, u32)> {
        // an arrival that nobody has ends the search, however deep it would go elsewhere
        let fresh = &mut self.fresh[u as usize];
        while *fresh < self.start[u as usize + 1] {
            let v = self.arrivals[*fresh];
            if self.item_of[v as usize] == NONE {
                return Some((v, NONE));
            }
            *fresh += 1;
        }
        while self.next[u as usize] < self.start[u as usize + 1] {
            let v = self.arrivals[self.next[u as usize]];
            self.next[u as usize] += 1;
            let holder = self.item_of[v as usize];
            match order {
                Order::ByLayer if self.layer[holder as usize] == self.layer[u as usize] + 1 => {
                    return Some((v, holder));
                }
                Order::ByVisit if self.seen[holder as usize] < self.search => {
                    self.visit(holder);
                    return Some((v, holder));
                }
                _ => {}
            }
        }
        None
    }

    /// Items of a failed search are priced so that their arrivals keep this much.
    fn settle_dead(&mut self, level: f64, price: &mut [f64]) {
        for u in self.visited.drain(..) {
            self.seen[u as usize] = DEAD;
            price[u as usize] = (price[u as usize] - level).max(0.0);
        }
    }

    /// Items that those with room could take arrivals over from, themselves among them.
    fn reached(&self) -> Vec<bool> {
        self.layer.iter().map(|layer| *layer != NONE).collect()
    }

    fn finish(
        &self,
        rows: &Rows<'_>,
        capacity: &[f64],
        weight: &[f64],
        mut price: Vec<f64>,
    ) -> BMatching {
        // an item without room costs what anybody would give for it
        for u in (0..price.len()).filter(|u| capacity[*u] <= 0.0) {
            price[u] = weight[u];
        }
        let profit = |v: usize| {
            let items = rows.row(v).items.iter().map(|u| *u as usize);
            items.filter(|u| capacity[*u] > 0.0).map(|u| weight[u] - price[u]).fold(0.0, f64::max)
        };
        BMatching {
            profit: (0..rows.len()).map(profit).collect(),
            item_of: self.item_of.iter().map(|u| i32::try_from(*u).unwrap_or(-1)).collect(),
            value: self.item_of.iter().filter(|u| **u != NONE).map(|u| weight[*u as usize]).sum(),
            price,
        }
    }
}
