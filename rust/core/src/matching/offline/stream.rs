//! Maximum-weight b-matching by insertion: the optimum in hindsight after every arrival.
//!
//! Each arrival is inserted by one shortest path over items: an item that is full passes the search on
//! through the arrivals it holds, to the other items they could go to, or to leaving one of them out.
//! Prices of items only rise, so what an arrival would lose by moving away from its item only grows
//! relative to the item's price. Every item keeps its arrivals in a heap by an old, lower value of that
//! limit, and looks at an arrival again only when it comes to the top.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::heap::{Heap, entry, name_of, number_of};
use super::narrow;
use super::repair::State;
use crate::matching::rows::Rows;
use crate::{Error, Result};

pub(super) const NONE: u32 = u32::MAX;
/// Names from here on stand for the arrivals that an item holds.
const HELD: u32 = 1 << 31;

/// What a search knows of one item.
#[derive(Debug, Clone, Copy)]
struct Reached {
    distance: f64,
    /// The arrival that would move here.
    from: u32,
    seen: u32,
    settled: u32,
}

/// The maximum-weight b-matching of a stream, kept optimal.
#[derive(Debug)]
pub(super) struct Stream {
    capacity: Vec<f64>,
    used: Vec<f64>,
    price: Vec<f64>,
    /// Arrivals held, by a lower bound on the price at which they would rather go.
    held: Vec<BinaryHeap<Reverse<u128>>>,
    start: Vec<usize>,
    items: Vec<u32>,
    weights: Vec<f64>,
    item_of: Vec<u32>,
    /// Search in which an arrival was last passed through.
    passed: Vec<u32>,
    reached: Vec<Reached>,
    search: u32,
    heap: Heap,
    settled: Vec<u32>,
    taken_out: Vec<(u32, u32)>,
    value: f64,
}

/// Where a path ends: an item with room, or an arrival that is left out.
#[derive(Debug, Clone, Copy)]
enum End {
    Room(u32),
    LeaveOut(u32),
}

impl Stream {
    /// Nobody has arrived yet.
    ///
    /// # Errors
    /// [`Error::Range`] for capacities that are no whole numbers at or above 0.
    fn new(capacity: &[f64]) -> Result<Self> {
        let n = capacity.len();
        check_capacity(capacity)?;
        let unreached = Reached { distance: 0.0, from: NONE, seen: 0, settled: 0 };
        Ok(Self {
            capacity: capacity.to_vec(),
            used: vec![0.0; n],
            price: vec![0.0; n],
            held: vec![BinaryHeap::new(); n],
            start: vec![0],
            items: Vec::new(),
            weights: Vec::new(),
            item_of: Vec::new(),
            passed: Vec::new(),
            reached: vec![unreached; n],
            search: 0,
            heap: Heap::default(),
            settled: Vec::new(),
            taken_out: Vec::new(),
            value: 0.0,
        })
    }

    /// The same with prices below which nobody gets an item; infinite ones for items without room.
    pub(super) fn with_prices(capacity: &[f64], price: Vec<f64>) -> Result<Self> {
        Ok(Self { price, ..Self::new(capacity)? })
    }

    /// The optimum so far.
    pub(super) fn value(&self) -> f64 {
        self.value
    }

    /// Inserts the next arrival; the row was checked, weights are at or above 0.
    pub(super) fn insert(&mut self, items: &[u32], weight: impl Fn(usize) -> f64) {
        let v = narrow(self.item_of.len());
        for (e, u) in items.iter().enumerate() {
            self.items.push(*u);
            self.weights.push(weight(e));
        }
        self.start.push(self.items.len());
        self.item_of.push(NONE);
        self.passed.push(0);
        self.place(v);
    }

    /// Finds a place for an arrival without one, by the shortest path.
    pub(super) fn place(&mut self, v: u32) {
        let profit = self.best_other(v, NONE);
        if profit <= 0.0 {
            return;
        }
        self.search += 1;
        self.heap.clear();
        self.settled.clear();
        let mut end = (End::LeaveOut(v), profit);
        self.pass(v, profit, 0.0, &mut end);
        while let Some((distance, name)) = self.heap.pop() {
            if distance >= end.1 {
                break;
            }
            if name >= HELD {
                self.look(name - HELD, &mut end);
                continue;
            }
            let u = name as usize;
            if self.reached[u].settled == self.search {
                continue;
            }
            self.reached[u].settled = self.search;
            self.settled.push(name);
            self.await_next(name, end.1);
        }
        self.raise_prices(end.1);
        self.flip(v, end.0);
        self.value += profit - end.1;
        self.put_back();
    }

    /// The search goes on through an arrival that would lose its present profit at a distance.
    fn pass(&mut self, v: u32, profit: f64, distance: f64, end: &mut (End, f64)) {
        self.passed[v as usize] = self.search;
        if distance + profit < end.1 {
            *end = (End::LeaveOut(v), distance + profit);
        }
        let here = self.item_of[v as usize];
        for e in self.start[v as usize]..self.start[v as usize + 1] {
            let u = self.items[e];
            let loss = profit - (self.weights[e] - self.price[u as usize]);
            let to = distance + loss.max(0.0);
            let reached = &mut self.reached[u as usize];
            let is_new = reached.seen != self.search;
            if u == here || to >= end.1 || (!is_new && to >= reached.distance) {
                continue;
            }
            (reached.distance, reached.from, reached.seen) = (to, v, self.search);
            if self.used[u as usize] < self.capacity[u as usize] {
                *end = (End::Room(u), to);
            } else {
                self.heap.push(to, u);
            }
        }
    }

    /// Notes in the search when the next arrival of an item may be passed through.
    fn await_next(&mut self, u: u32, limit: f64) {
        let Some(Reverse(top)) = self.held[u as usize].peek() else { return };
        let loss = (number_of(*top) - self.price[u as usize]).max(0.0);
        let distance = self.reached[u as usize].distance + loss;
        if distance < limit {
            self.heap.push(distance, HELD + u);
        }
    }

    /// Looks at the arrival at the top of an item's heap: it is passed through, or sinks.
    fn look(&mut self, u: u32, end: &mut (End, f64)) {
        let Some(Reverse(top)) = self.held[u as usize].pop() else { return };
        let v = name_of(top);
        let is_stale = self.item_of[v as usize] != u || self.passed[v as usize] == self.search;
        if !is_stale {
            let limit = self.limit(v, u);
            if limit > number_of(top) {
                self.held[u as usize].push(Reverse(entry(limit, v)));
            } else {
                self.taken_out.push((u, v));
                let profit = self.weight(v, u) - self.price[u as usize];
                self.pass(v, profit, self.reached[u as usize].distance, end);
            }
        }
        self.await_next(u, end.1);
    }

    /// The price of its item at which an arrival would rather go elsewhere, or nowhere.
    fn limit(&self, v: u32, u: u32) -> f64 {
        self.weight(v, u) - self.best_other(v, u)
    }

    /// Best profit of an arrival away from an item, 0 for being left out.
    fn best_other(&self, v: u32, u: u32) -> f64 {
        let mut best = 0.0;
        for e in self.start[v as usize]..self.start[v as usize + 1] {
            let other = self.items[e];
            let profit = self.weights[e] - self.price[other as usize];
            best = if profit > best && other != u && self.capacity[other as usize] > 0.0 {
                profit
            } else {
                best
            };
        }
        best
    }

    fn weight(&self, v: u32, u: u32) -> f64 {
        let edges = self.start[v as usize]..self.start[v as usize + 1];
        edges.into_iter().find(|e| self.items[*e] == u).map_or(0.0, |e| self.weights[e])
    }

    fn raise_prices(&mut self, length: f64) {
        for u in &self.settled {
            let u = *u as usize;
            self.price[u] += length - self.reached[u].distance;
        }
    }

    /// Moves the arrivals on the path, from its end back to the new one.
    fn flip(&mut self, source: u32, end: End) {
        let (mut v, mut to) = match end {
            End::Room(u) => {
                self.used[u as usize] += 1.0;
                (self.reached[u as usize].from, u)
            }
            End::LeaveOut(v) => (v, NONE),
        };
        loop {
            let from = std::mem::replace(&mut self.item_of[v as usize], to);
            if to != NONE {
                let limit = self.limit(v, to);
                self.held[to as usize].push(Reverse(entry(limit, v)));
            }
            if v == source {
                return;
            }
            (v, to) = (self.reached[from as usize].from, from);
        }
    }

    /// Arrivals that were passed through and stayed go back into their item's heap.
    fn put_back(&mut self) {
        while let Some((u, v)) = self.taken_out.pop() {
            if self.item_of[v as usize] == u {
                let limit = self.limit(v, u);
                self.held[u as usize].push(Reverse(entry(limit, v)));
            }
        }
    }

    /// Item and matched weight of every arrival, and the state of the items.
    pub(super) fn into_state(self) -> State {
        let weight = |v: usize| self.weight(narrow(v), self.item_of[v]);
        let weight_of = (0..self.item_of.len()).map(weight).collect();
        State { weight_of, price: self.price, used: self.used, item_of: self.item_of }
    }
}

pub(super) fn check_capacity(capacity: &[f64]) -> Result<()> {
    match capacity.iter().find(|x| !(**x >= 0.0 && **x <= 9e15 && x.fract() == 0.0)) {
        Some(bad) => Err(Error::range("capacity", "whole numbers from 0 to 9e15", bad)),
        None => Ok(()),
    }
}

pub(super) fn check_weights(rows: &Rows<'_>) -> Result<()> {
    match rows.all().values.and_then(|values| values.iter().find(|x| **x < 0.0)) {
        Some(bad) => Err(Error::range("values", "weights at or above 0", bad)),
        None if rows.len() >= HELD as usize => {
            Err(Error::range("indptr", "fewer than 2^31 arrivals", rows.len()))
        }
        None => Ok(()),
    }
}
