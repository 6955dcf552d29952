//! The cascade model in free order: readers follow our order and stop at the first click.

use super::{Placement, Slate, by_phi};
use crate::{Error, Result, Stop};

/// Positions up to which the dynamic program over sets of positions runs.
const MOST_POSITIONS: usize = 16;

/// The slate of largest value when the order of reading is ours; exact on at most 16 positions.
///
/// With more positions, the 16 of largest average click chance are used: a choice that ignores bids,
/// so that the result is exact within a fixed range and payments stay truthful. The best order of given
/// pairs is by falling `phi`, which leaves a program over creatives by `phi` and the set of positions
/// taken.
///
/// # Errors
/// [`Error::Shape`] and [`Error::NotFinite`] for `phi`; [`Error::Interrupted`].
///
/// Source: derived; the order is that of Kempe and Mahdian 2008.
pub fn cascade(slate: &Slate<'_>, phi: &[f64], stop: Stop<'_>) -> Result<Placement> {
    slate.check_phi(phi)?;
    let positions = chosen_positions(slate);
    let pairs = pruned(slate, phi, &positions);
    let sets = 1_usize << positions.len();
    let mut value = vec![0.0; sets];
    let mut choices: Vec<Vec<u8>> = Vec::with_capacity(pairs.len());
    for (i, places) in pairs.iter().rev() {
        stop.check()?;
        let mut choice = vec![NOT_SHOWN; sets];
        let options: Vec<Show> =
            places.iter().map(|place| Show::new(slate, phi, *i, *place)).collect();
        for set in (0..sets).filter(|set| (set.count_ones() as usize) < slate.most) {
            // sets grow in number, so that those with one position more still hold the later creatives
            let (mut best, mut shown) = (value[set], NOT_SHOWN);
            for show in options.iter().filter(|show| set & show.bit == 0) {
                let with = show.gain + show.miss * value[set | show.bit];
                if with > best {
                    (best, shown) = (with, show.place);
                }
            }
            (value[set], choice[set]) = (best, shown);
        }
        choices.push(choice);
    }
    let (mut set, mut shown) = (0, Vec::new());
    for ((i, _), choice) in pairs.iter().zip(choices.iter().rev()) {
        if choice[set] != NOT_SHOWN {
            let place = usize::from(choice[set]);
            shown.push((*i, positions[place]));
            set |= 1 << place;
        }
    }
    Ok(Placement::read(slate, phi, shown))
}

const NOT_SHOWN: u8 = u8::MAX;

/// Showing one creative at one position.
struct Show {
    bit: usize,
    place: u8,
    /// What it earns, and the chance that the reader goes on.
    gain: f64,
    miss: f64,
}

impl Show {
    fn new(slate: &Slate<'_>, phi: &[f64], i: usize, (place, j): (usize, usize)) -> Self {
        let p = slate.p(i, j);
        let name = u8::try_from(place).unwrap_or(NOT_SHOWN); // there are 16 places
        Self { bit: 1 << place, place: name, gain: p * phi[i], miss: 1.0 - p }
    }
}

/// All positions, or the 16 of largest average click chance, in order.
fn chosen_positions(slate: &Slate<'_>) -> Vec<usize> {
    let mut positions: Vec<usize> = (0..slate.m).collect();
    if slate.m > MOST_POSITIONS {
        let total: Vec<f64> =
            positions.iter().map(|j| (0..slate.n).map(|i| slate.p(i, *j)).sum()).collect();
        positions.sort_by(|a, b| total[*b].total_cmp(&total[*a]));
        positions.truncate(MOST_POSITIONS);
        positions.sort_unstable();
    }
    positions
}

type Places = Vec<(usize, usize)>;

/// Creatives by falling `phi` with the positions where they can matter: pair `(i, j)` is useless when
/// as many creatives as there are positions have at least its `phi` and at least its chance at `j`.
pub(super) fn pruned(slate: &Slate<'_>, phi: &[f64], positions: &[usize]) -> Vec<(usize, Places)> {
    let most = positions.len();
    let mut best: Vec<Vec<f64>> = vec![Vec::new(); most]; // largest chances so far, rising
    let mut pairs = Vec::new();
    for i in by_phi(phi) {
        let mut places = Vec::new();
        for (place, j) in positions.iter().enumerate() {
            let (p, best) = (slate.p(i, *j), &mut best[place]);
            if p <= 0.0 || (best.len() == most && best[0] >= p) {
                continue;
            }
            if best.len() == most {
                best.remove(0);
            }
            best.insert(best.partition_point(|other| *other < p), p);
            places.push((place, *j));
        }
        if !places.is_empty() {
            pairs.push((i, places));
        }
    }
    pairs
}

/// Adds the pair of largest gain again and again; at least a third of the optimum, on any number of
/// positions, but **not truthful**: a higher bid can lower the click chance.
///
/// # Errors
/// [`Error::Shape`] and [`Error::NotFinite`] for `phi`; [`Error::Interrupted`].
///
/// Source: Fisher, Nemhauser and Wolsey 1978.
pub fn cascade_greedy(slate: &Slate<'_>, phi: &[f64], stop: Stop<'_>) -> Result<Placement> {
    slate.check_phi(phi)?;
    let positions: Vec<usize> = (0..slate.m).collect();
    let pairs = pruned(slate, phi, &positions);
    let mut shown: Vec<(usize, usize)> = Vec::new();
    let mut value = 0.0;
    while shown.len() < slate.most {
        stop.check()?;
        let mut best = (value, None);
        for (i, places) in pairs.iter().filter(|(i, _)| shown.iter().all(|(k, _)| k != i)) {
            stop.check()?;
            for (_, j) in places.iter().filter(|(_, j)| shown.iter().all(|(_, k)| k != j)) {
                let place = shown.partition_point(|(k, _)| phi[*k] >= phi[*i]);
                let with = expected(slate, phi, &shown, (place, *i, *j));
                if with > best.0 {
                    best = (with, Some((place, *i, *j)));
                }
            }
        }
        let (with, Some((place, i, j))) = best else { break };
        shown.insert(place, (i, j));
        value = with;
    }
    Ok(Placement::read(slate, phi, shown))
}

/// Value of pairs in order with one more at a place.
fn expected(
    slate: &Slate<'_>,
    phi: &[f64],
    shown: &[(usize, usize)],
    (place, i, j): (usize, usize, usize),
) -> f64 {
    let (before, after) = shown.split_at(place);
    let added = [(i, j)];
    let all = before.iter().chain(&added).chain(after);
    all.rev().fold(0.0, |value, (i, j)| value + slate.p(*i, *j) * (phi[*i] - value))
}

/// Refuses more positions than an exact method takes.
pub(super) fn check_positions(m: usize, most: usize) -> Result<()> {
    if m <= most {
        return Ok(());
    }
    Err(Error::Range {
        name: "p",
        expected: format!("at most {most} positions for this method"),
        got: m.to_string(),
    })
}
