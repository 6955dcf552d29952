//! Widest paths, and the rules that compare them.

use super::bits::{Bits, ones};
use super::levels::Levels;
use super::options::Options;
use super::outcome::{Fact, Outcome};
use super::reach::Reach;
use super::rules::{Rule, Run};
use super::support::Support;
use crate::{Result, Stop};

/// The rules of this file.
pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "schulze",
        source: "Schulze 2011, section 2; also called beat path",
        laws: &[
            "anonymous",
            "neutral",
            "homogeneous",
            "condorcet",
            "condorcet_loser",
            "smith",
            "monotone",
            "reversal",
            "clones",
            "within_split_cycle",
        ],
        options: &["strength", "paths"],
        run: Run::Support(|s, o, stop| compare(s, o, Against::Path, stop)),
    },
    Rule {
        name: "split_cycle",
        source: "Holliday and Pacuit 2023, section 3",
        laws: &[
            "anonymous",
            "neutral",
            "homogeneous",
            "condorcet",
            "condorcet_loser",
            "smith",
            "monotone",
            "reversal",
            "clones",
            "within_split_cycle",
        ],
        options: &["strength", "paths"],
        run: Run::Support(|s, o, stop| compare(s, o, Against::Win, stop)),
    },
];

/// Majorities between two looks at whether to stop.
const GLANCE: usize = 1 << 16;

/// What has to be stronger than every path back for a defeat.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Against {
    Path,
    Win,
}

/// Adds the majorities from the strongest, all of a level at once: the level after which one item first
/// reaches another is the strength of the widest path between them.
///
/// A way that is there before the way back is stronger than it, so reach as bits decides both rules,
/// and nothing is left to do once every item reaches every other.
fn compare(
    support: &Support,
    options: &Options,
    against: Against,
    stop: Stop<'_>,
) -> Result<Outcome> {
    let (m, levels) = (support.items(), Levels::new(support, options, stop)?);
    let mut paths = options.flag("paths", false)?.then(|| vec![0.0; m * m]);
    let mut reach = Reach::new(m);
    let mut before = reach.below().clone();
    let mut defeats = Bits::new(m, m);
    let mut full = 0; // rows before this one reach every item
    for (wins, strength) in levels.iter() {
        let mut grown = Bits::new(1, m);
        for some in wins.chunks(GLANCE) {
            stop.check()?;
            for (a, b) in some.iter().map(|(a, b)| (*a as usize, *b as usize)) {
                if !reach.has(a, b) {
                    stop.check()?;
                    reach.add(a, b, |x| grown.set(0, x));
                }
            }
        }
        if against == Against::Win {
            let open = wins.iter().map(|(a, b)| (*a as usize, *b as usize));
            open.filter(|(a, b)| !reach.has(*b, *a)).for_each(|(a, b)| defeats.set(a, b));
        }
        for a in grown.items(0) {
            stop.check()?;
            let rows = reach.below().row(a).iter().zip(before.row_mut(a));
            let back = reach.above().row(a).iter().zip(defeats.row_mut(a));
            for (word, ((now, before), (back, defeats))) in rows.zip(back).enumerate() {
                let first = now & !std::mem::replace(before, *now);
                if against == Against::Path {
                    *defeats |= first & !back;
                }
                if let Some(paths) = &mut paths {
                    ones(first).for_each(|b| paths[a * m + word * 64 + b] = strength);
                }
            }
        }
        while full < m && reach.below().is_full(full, m) {
            full += 1;
        }
        if full == m {
            break;
        }
    }
    let outcome = peel(&defeats, m);
    Ok(match paths {
        Some(paths) => outcome.with("paths", Fact::Matrix(paths, m)),
        None => outcome,
    })
}

/// Items in layers: first those that nothing defeats, then those that only earlier ones defeat.
fn peel(defeats: &Bits, m: usize) -> Outcome {
    let mut defeaters = vec![0_usize; m];
    (0..m).flat_map(|a| defeats.items(a)).for_each(|b| defeaters[b] += 1);
    let mut buckets = vec![m; m];
    let mut layer: Vec<usize> = (0..m).filter(|a| defeaters[*a] == 0).collect();
    let mut number = 0;
    while !layer.is_empty() {
        let mut next = Vec::new();
        for a in layer {
            buckets[a] = number;
            for b in defeats.items(a) {
                defeaters[b] -= 1;
                if defeaters[b] == 0 {
                    next.push(b);
                }
            }
        }
        layer = next;
        number += 1;
    }
    for bucket in &mut buckets {
        *bucket = (*bucket).min(number);
    }
    Outcome::bucketed(buckets)
}

#[cfg(test)]
mod tests {
    use super::super::options::Value;
    use super::*;
    use crate::rng::Stream;

    /// Strengths of majorities, and of the widest paths by the plain pass over all triples.
    fn plain(support: &Support, strength: &str) -> (Vec<f64>, Vec<f64>) {
        let (m, margins) = (support.items(), support.margins());
        let size = |a: usize, b: usize| match strength {
            _ if margins[a * m + b] <= 0.0 => 0.0,
            "winning" => support.get(a, b),
            "ratio" => support.get(a, b) / support.get(b, a),
            _ => margins[a * m + b],
        };
        let wins: Vec<f64> = (0..m * m).map(|at| size(at / m, at % m)).collect();
        let mut paths = wins.clone();
        for k in 0..m {
            for a in 0..m {
                for b in (0..m).filter(|b| *b != a) {
                    paths[a * m + b] = paths[a * m + b].max(paths[a * m + k].min(paths[k * m + b]));
                }
            }
        }
        (wins, paths)
    }

    /// Support of `m` items by up to `most` ballots a side, in steps of `step`; a third are ties.
    fn drawn(m: usize, most: usize, step: f64, seed: u64) -> Support {
        let mut stream = Stream::new(seed, m as u64);
        let mut values = vec![0.0; m * m];
        for a in 0..m {
            for b in 0..a {
                let votes = stream.below(most + 1) as f64 * step;
                values[a * m + b] = votes;
                let tie = stream.below(3) == 0;
                values[b * m + a] = if tie { votes } else { stream.below(most + 1) as f64 * step };
            }
        }
        Support::new(values, m).expect("valid")
    }

    #[test]
    fn levels_find_what_the_plain_pass_finds() {
        for m in [1, 2, 3, 31, 63, 64, 65, 100, 129] {
            // votes of nobody, of few, of many, no whole numbers, and too many to be counted
            for (most, step) in [(0, 1.0), (1, 1.0), (3, 1.0), (200, 1.0), (9, 0.1), (9, 1e6)] {
                let support = drawn(m, most, step, 5);
                for strength in ["margins", "winning", "ratio"] {
                    let (wins, paths) = plain(&support, strength);
                    let given = [
                        ("strength".to_owned(), Value::Text(strength.to_owned())),
                        ("paths".to_owned(), Value::Flag(true)),
                    ];
                    let options = Options::new(given.to_vec(), None);
                    for (against, ways) in [(Against::Path, &paths), (Against::Win, &wins)] {
                        let found = compare(&support, &options, against, Stop::never());
                        let found = found.expect("valid");
                        let defeats = Bits::of(m, |a, b| ways[a * m + b] > paths[b * m + a]);
                        let case = format!("{m} {most} {step} {strength}");
                        assert_eq!(found.buckets, peel(&defeats, m).buckets, "{case}");
                        assert!(
                            found.facts == [("paths", Fact::Matrix(paths.clone(), m))],
                            "{case}"
                        );
                    }
                }
            }
        }
    }
}
