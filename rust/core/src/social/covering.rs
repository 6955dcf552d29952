//! Sets of items that dominate, or that nothing covers.

use super::bits::{Bits, ones};
use super::options::Options;
use super::outcome::Outcome;
use super::rules::{Rule, Run};
use super::support::Support;
use crate::{Error, Result, Stop};

const LAWS: &[&str] = &["anonymous", "neutral", "homogeneous", "condorcet", "smith"];

/// The rules of this file.
pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "smith_set",
        source: "Good 1971; Smith 1973: the smallest set that beats all outside it",
        laws: LAWS,
        options: &[],
        run: Run::Support(|s, _, _| Ok(Outcome::bucketed(smith(&s.margins(), s.items())))),
    },
    Rule {
        name: "schwartz_set",
        source: "Schwartz 1972: the union of the minimal sets that nothing outside beats",
        laws: LAWS,
        options: &[],
        run: Run::Support(schwartz),
    },
    Rule {
        name: "uncovered_set",
        source: "Gillies 1959; Fishburn 1977; Bordes 1983; McKelvey 1986; Duggan 2013",
        laws: LAWS,
        options: &["variant"],
        run: Run::Support(uncovered),
    },
    Rule {
        name: "banks",
        source: "Banks 1985: tops of maximal chains",
        laws: LAWS,
        options: &["cap"],
        run: Run::Support(banks),
    },
];

/// The number of the layer of each item: every layer beats all that come after it, and none is
/// smaller. The first one is the Smith set.
pub(crate) fn smith(margins: &[f64], m: usize) -> Vec<usize> {
    let points = |a: usize| -> usize {
        (0..m)
            .filter(|b| *b != a)
            .map(|b| match margins[a * m + b] {
                x if x > 0.0 => 2,
                0.0 => 1,
                _ => 0,
            })
            .sum()
    };
    let points: Vec<usize> = (0..m).map(points).collect();
    let mut order: Vec<usize> = (0..m).collect();
    order.sort_by_key(|a| std::cmp::Reverse(points[*a]));
    let (mut layers, mut layer, mut sum) = (vec![0; m], 0, 0);
    for (at, a) in order.iter().enumerate() {
        layers[*a] = layer;
        sum += points[*a];
        let k = at + 1;
        // The first k share k (k - 1) points among themselves; they beat all others exactly when
        // each took both points off each of the rest.
        layer += usize::from(sum == k * (k - 1) + 2 * k * (m - k));
    }
    layers
}

fn schwartz(support: &Support, _: &Options, _: Stop<'_>) -> Result<Outcome> {
    let (m, margins) = (support.items(), support.margins());
    let mut reach = Bits::of(m, |a, b| margins[a * m + b] > 0.0);
    reach.close(m);
    let winners: Vec<usize> =
        (0..m).filter(|a| (0..m).all(|b| !reach.has(b, *a) || reach.has(*a, b))).collect();
    Ok(Outcome::chosen(&winners, m))
}

fn uncovered(support: &Support, options: &Options, _: Stop<'_>) -> Result<Outcome> {
    let variant = options.choice("variant", &["gillies", "fishburn", "bordes", "mckelvey"])?;
    let (m, margins) = (support.items(), support.margins());
    let above = Bits::of(m, |a, b| margins[b * m + a] > 0.0); // who beats a
    let below = Bits::of(m, |a, b| margins[a * m + b] > 0.0); // whom a beats
    let left = |a: usize, b: usize| above.within(a, b);
    let right = |a: usize, b: usize| below.within(b, a);
    let covers = |a: usize, b: usize| match variant {
        "gillies" => below.has(a, b) && left(a, b),
        "fishburn" => left(a, b) && !left(b, a),
        "bordes" => below.has(a, b) && right(a, b),
        _ => below.has(a, b) && left(a, b) && right(a, b),
    };
    let winners: Vec<usize> =
        (0..m).filter(|b| (0..m).all(|a| a == *b || !covers(a, *b))).collect();
    Ok(Outcome::chosen(&winners, m))
}

fn banks(support: &Support, options: &Options, stop: Stop<'_>) -> Result<Outcome> {
    let (m, margins) = (support.items(), support.margins());
    let cap = options.count("cap", 10_000_000, 1, 1 << 50)?;
    if m > 64 {
        return Err(Error::range("profile", "at most 64 items for the Banks set", m));
    }
    let mask = |edge: &dyn Fn(usize) -> bool| {
        (0..m).filter(|b| edge(*b)).fold(0_u64, |mask, b| mask | 1 << b)
    };
    let beats: Vec<u64> = (0..m).map(|a| mask(&|b| margins[a * m + b] > 0.0)).collect();
    let beaten: Vec<u64> = (0..m).map(|a| mask(&|b| margins[b * m + a] > 0.0)).collect();
    let mut search = Chains { beats: &beats, beaten: &beaten, nodes: 0, cap, stop };
    let mut winners = Vec::new();
    for a in 0..m {
        if search.tops(beats[a], 0, beaten[a])? {
            winners.push(a);
        }
    }
    Ok(Outcome::chosen(&winners, m))
}

struct Chains<'a> {
    beats: &'a [u64],
    beaten: &'a [u64],
    nodes: usize,
    cap: usize,
    stop: Stop<'a>,
}

impl Chains<'_> {
    /// Whether a chain can be grown, from items of `free`, that no item of `threats` beats whole.
    fn tops(&mut self, free: u64, chain: u64, threats: u64) -> Result<bool> {
        if threats == 0 {
            return Ok(true);
        }
        self.nodes += 1;
        if self.nodes > self.cap {
            let what = format!("cap: the Banks set needs more than {} chains", self.cap);
            return Err(Error::Infeasible { what });
        }
        if self.nodes % 1024 == 0 {
            self.stop.check()?;
        }
        let threat = threats.trailing_zeros() as usize;
        let mut open = free & !self.beats[threat] & !(1 << threat);
        let mut free = free;
        while open != 0 {
            let item = open.trailing_zeros() as usize;
            open &= open - 1;
            free &= !(1 << item);
            if self.fits(item, chain) {
                let rest = free & (self.beats[item] | self.beaten[item]);
                if self.tops(rest, chain | 1 << item, threats & self.beaten[item])? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Whether an item and a chain form a longer chain: all it beats come after all that beat it.
    fn fits(&self, item: usize, chain: u64) -> bool {
        let (after, before) = (chain & self.beats[item], chain & self.beaten[item]);
        after | before == chain && ones(before).all(|b| after & !self.beats[b] == 0)
    }
}
