//! Committee scores that the bias study measures.

use crate::{Error, Result};

/// What a committee is worth to one ballot.
#[derive(Debug, Clone, PartialEq)]
pub enum Objective {
    /// The sum of points of the members' places.
    Separable(Vec<f64>),
    /// The points of the best member's place.
    Best(Vec<f64>),
    /// `1 + 1/2 + ... + 1/j` for `j` members in the first `t` places.
    Proportional(usize),
}

/// One objective by name: a row of [`OBJECTIVES`].
#[derive(Debug, Clone, Copy)]
pub struct ObjectiveRow {
    /// Its name.
    pub name: &'static str,
    /// Where it comes from.
    pub source: &'static str,
    /// What its tests check: `separable`, or `submodular` with committees by greedy choice.
    pub laws: &'static [&'static str],
    make: fn(usize, usize) -> Objective,
}

/// Every objective of [`super::study`] and [`super::smoothness`].
pub const OBJECTIVES: &[ObjectiveRow] = &[
    ObjectiveRow {
        name: "bloc",
        source: "one point for each of the first k places",
        laws: &["separable"],
        make: |m, k| Objective::Separable(first(m, k)),
    },
    ObjectiveRow {
        name: "borda",
        source: "Borda 1781; k-Borda",
        laws: &["separable"],
        make: |m, _| Objective::Separable(falling(m)),
    },
    ObjectiveRow {
        name: "borda_cc",
        source: "Chamberlin and Courant 1983",
        laws: &["submodular"],
        make: |m, _| Objective::Best(falling(m)),
    },
    ObjectiveRow {
        name: "dowdall",
        source: "1 / (place + 1), as in Nauru",
        laws: &["separable"],
        make: |m, _| Objective::Separable((0..m).map(|r| 1.0 / (r + 1) as f64).collect()),
    },
    ObjectiveRow {
        name: "pav",
        source: "Thiele 1895 on the first k places",
        laws: &["submodular"],
        make: |_, k| Objective::Proportional(k),
    },
    ObjectiveRow {
        name: "sntv",
        source: "one point for the first place",
        laws: &["separable"],
        make: |m, _| Objective::Separable(first(m, 1)),
    },
];

fn first(m: usize, t: usize) -> Vec<f64> {
    (0..m).map(|r| if r < t { 1.0 } else { 0.0 }).collect()
}

fn falling(m: usize) -> Vec<f64> {
    (0..m).rev().map(|points| points as f64).collect()
}

/// The objective of a name for `items` items and `seats` seats.
///
/// # Errors
/// [`Error::UnknownName`]; [`Error::Range`] when there are no seats or fewer items than seats.
pub fn objective(name: &str, items: usize, seats: usize) -> Result<Objective> {
    let row = OBJECTIVES.iter().find(|row| row.name == name).ok_or_else(|| Error::UnknownName {
        kind: "rule",
        name: name.to_owned(),
        known: OBJECTIVES.iter().map(|row| row.name).collect(),
    })?;
    if seats == 0 || seats > items {
        return Err(Error::range("seats", &format!("1 to the {items} items"), seats));
    }
    Ok((row.make)(items, seats))
}

impl Objective {
    /// The most that one item can add to the score of one ballot.
    #[must_use]
    pub fn largest(&self) -> f64 {
        match self {
            Self::Separable(points) | Self::Best(points) => points[0],
            Self::Proportional(_) => 1.0,
        }
    }

    /// What each item adds, over all ballots, to a committee of `members`; 0 for members.
    pub(super) fn gains(&self, ballots: &[u32], items: usize, members: &[usize]) -> Vec<f64> {
        let mut gains = vec![0.0; items];
        let chosen = mask(items, members);
        for ballot in ballots.chunks_exact(items) {
            match self {
                Self::Separable(points) => {
                    for (item, points) in ballot.iter().zip(points) {
                        gains[*item as usize] += points;
                    }
                }
                Self::Best(points) => {
                    let best = ballot.iter().position(|item| chosen[*item as usize]);
                    let have = best.map_or(0.0, |r| points[r]);
                    for (item, points) in ballot.iter().zip(points).take(best.unwrap_or(items)) {
                        gains[*item as usize] += points - have;
                    }
                }
                Self::Proportional(t) => {
                    let top = &ballot[..*t];
                    let have = top.iter().filter(|item| chosen[**item as usize]).count();
                    for item in top {
                        gains[*item as usize] += 1.0 / (have + 1) as f64;
                    }
                }
            }
        }
        for member in members {
            gains[*member] = 0.0;
        }
        gains
    }

    /// The score of a committee over all ballots.
    pub(super) fn value(&self, ballots: &[u32], items: usize, members: &[usize]) -> f64 {
        let chosen = mask(items, members);
        let of = |ballot: &[u32]| -> f64 {
            let places = || ballot.iter().enumerate().filter(|(_, item)| chosen[**item as usize]);
            match self {
                Self::Separable(points) => places().map(|(r, _)| points[r]).sum(),
                Self::Best(points) => places().next().map_or(0.0, |(r, _)| points[r]),
                Self::Proportional(t) => {
                    let have = places().take_while(|(r, _)| r < t).count();
                    (1..=have).map(|j| 1.0 / j as f64).sum()
                }
            }
        };
        ballots.chunks_exact(items).map(of).sum()
    }
}

fn mask(items: usize, members: &[usize]) -> Vec<bool> {
    let mut mask = vec![false; items];
    for member in members {
        mask[*member] = true;
    }
    mask
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    #[test]
    fn gains_are_differences_of_values_and_submodular() {
        let mut stream = Stream::new(0, 0);
        let (m, k) = (6, 3);
        let mut ballots = Vec::new();
        for _ in 0..9 {
            let mut ballot: Vec<u32> = (0..6).collect();
            stream.shuffle(&mut ballot);
            ballots.extend(ballot);
        }
        for row in OBJECTIVES {
            let f = objective(row.name, m, k).expect("known");
            let (small, large) = ([2], [2, 4]);
            let (few, many) = (f.gains(&ballots, m, &small), f.gains(&ballots, m, &large));
            for item in [0, 1, 3, 5] {
                let with = f.value(&ballots, m, &[2, 4, item]) - f.value(&ballots, m, &large);
                assert!((with - many[item]).abs() < 1e-12, "{}", row.name);
                assert!(few[item] >= many[item] - 1e-12 && many[item] >= 0.0);
                assert!(few[item] <= f.largest() * 9.0);
            }
        }
        assert!(objective("x", 3, 1).is_err() && objective("bloc", 3, 0).is_err());
        assert!(objective("bloc", 3, 4).is_err());
    }
}
