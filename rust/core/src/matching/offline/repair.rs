//! Lowering the prices of items that stayed partly empty.
//!
//! Searches that start from guessed prices may leave an item with room at a price above 0. Each such
//! unit is settled by one shortest path over items: it takes an arrival over from another item, which
//! takes one over in turn, until somebody takes an arrival that was left out, or an item's price
//! reaches 0. Prices only fall here.

use super::heap::Heap;
use super::stream::NONE;
use crate::matching::rows::Rows;
use crate::{Result, Stop};

/// What the searches change.
pub(super) struct State {
    pub(super) price: Vec<f64>,
    pub(super) used: Vec<f64>,
    pub(super) item_of: Vec<u32>,
    /// Weight of the edge that an arrival is matched on.
    pub(super) weight_of: Vec<f64>,
}

/// Edges by item.
struct Columns {
    start: Vec<usize>,
    edges: Vec<(u32, f64)>,
}

impl Columns {
    fn new(rows: &Rows<'_>) -> Self {
        let mut start = vec![0; rows.n() + 1];
        for u in rows.all().items {
            start[*u as usize + 1] += 1;
        }
        for u in 0..rows.n() {
            start[u + 1] += start[u];
        }
        let mut next = start.clone();
        let mut edges = vec![(0, 0.0); rows.edge_count()];
        for v in 0..rows.len() {
            let row = rows.row(v);
            for (e, u) in row.items.iter().enumerate() {
                let place = &mut next[*u as usize];
                edges[*place] = (super::narrow(v), row.value(e));
                *place += 1;
            }
        }
        Self { start, edges }
    }

    fn of(&self, u: usize) -> &[(u32, f64)] {
        &self.edges[self.start[u]..self.start[u + 1]]
    }
}

/// What a search knows of one item: how far it is, and which arrival it would give to which item.
#[derive(Clone, Copy)]
struct Reached {
    distance: f64,
    gives: u32,
    to: u32,
    /// Of the edge it would move to.
    weight: f64,
    is_settled: bool,
}

const UNREACHED: Reached =
    Reached { distance: f64::INFINITY, gives: NONE, to: NONE, weight: 0.0, is_settled: false };

/// Where a path ends.
#[derive(Clone, Copy)]
enum End {
    /// An item's price reaches 0, and a unit of it stays empty.
    Empty(u32),
    /// An item takes an arrival that was left out.
    Take(u32, u32, f64),
}

/// Settles every unit that is empty at a price above 0.
pub(super) fn repair(
    rows: &Rows<'_>,
    capacity: &[f64],
    state: &mut State,
    stop: Stop<'_>,
) -> Result<()> {
    let is_open = |state: &State, u: usize| state.price[u] > 0.0 && state.used[u] < capacity[u];
    if !(0..rows.n()).any(|u| is_open(state, u)) {
        return Ok(());
    }
    let columns = Columns::new(rows);
    let mut search =
        Search { reached: vec![UNREACHED; rows.n()], seen: Vec::new(), heap: Heap::default() };
    for u in 0..rows.n() {
        while is_open(state, u) {
            stop.check()?;
            search.run(&columns, state, super::narrow(u));
        }
    }
    Ok(())
}

struct Search {
    reached: Vec<Reached>,
    seen: Vec<u32>,
    heap: Heap,
}

impl Search {
    fn run(&mut self, columns: &Columns, state: &mut State, source: u32) {
        let mut end = (End::Empty(source), state.price[source as usize]);
        self.heap.clear();
        self.reach(source, Reached { distance: 0.0, ..UNREACHED });
        while let Some((distance, x)) = self.heap.pop() {
            if distance >= end.1 {
                break;
            }
            if std::mem::replace(&mut self.reached[x as usize].is_settled, true) {
                continue;
            }
            self.scan(columns, state, (x, distance), &mut end);
        }
        for x in &self.seen {
            let reached = self.reached[*x as usize];
            if reached.is_settled {
                let price = &mut state.price[*x as usize];
                *price = (*price - (end.1 - reached.distance)).max(0.0);
            }
        }
        self.apply(state, source, end.0);
        for x in self.seen.drain(..) {
            self.reached[x as usize] = UNREACHED;
        }
    }

    fn reach(&mut self, x: u32, by: Reached) {
        let reached = &mut self.reached[x as usize];
        if reached.distance.is_infinite() {
            self.seen.push(x);
        }
        *reached = by;
        self.heap.push(by.distance, x);
    }

    /// Arrivals that an item could take over, from others or from nowhere.
    fn scan(
        &mut self,
        columns: &Columns,
        state: &State,
        (x, distance): (u32, f64),
        end: &mut (End, f64),
    ) {
        for (v, weight) in columns.of(x as usize) {
            let holder = state.item_of[*v as usize];
            if holder == x {
                continue;
            }
            let gain = weight - state.price[x as usize];
            if holder == NONE {
                let to = distance + (-gain).max(0.0);
                if to < end.1 {
                    *end = (End::Take(*v, x, *weight), to);
                }
                continue;
            }
            let profit = state.weight_of[*v as usize] - state.price[holder as usize];
            let to = distance + (profit - gain).max(0.0);
            let reached = &self.reached[holder as usize];
            if to >= end.1 || to >= reached.distance || reached.is_settled {
                continue;
            }
            let emptied = to + state.price[holder as usize];
            if emptied < end.1 {
                *end = (End::Empty(holder), emptied);
            }
            let by = Reached { distance: to, gives: *v, to: x, weight: *weight, is_settled: false };
            self.reach(holder, by);
        }
    }

    /// Moves arrivals along the path from its end back to the source.
    fn apply(&self, state: &mut State, source: u32, end: End) {
        let mut x = match end {
            End::Empty(x) => {
                state.price[x as usize] = 0.0;
                state.used[x as usize] -= 1.0;
                x
            }
            End::Take(v, x, weight) => {
                state.item_of[v as usize] = x;
                state.weight_of[v as usize] = weight;
                x
            }
        };
        while x != source {
            let Reached { gives, to, weight, .. } = self.reached[x as usize];
            state.item_of[gives as usize] = to;
            state.weight_of[gives as usize] = weight;
            x = to;
        }
        state.used[source as usize] += 1.0;
    }
}
