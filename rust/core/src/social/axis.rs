//! Single-peaked rankings: an axis on which every ballot falls off on both sides of its best item.

use super::profile::Profile;
use crate::{Error, Result, Stop};

/// An axis of full strict rankings, from its lower numbered end, or `None` when there is none.
///
/// The axis is filled from both ends: the last items of the ballots, at most two, go to the ends. Each
/// is put where it is no valley of any ballot between what lies outside and what comes inside; where both
/// ends do, either will.
///
/// Takes `O(n m)`.
///
/// # Errors
/// [`Error::Range`] for partial or weak ballots, [`Error::Interrupted`].
///
/// Source: Bartholdi and Trick 1986; Escoffier, Lang and Ozturk 2008.
pub fn axis(profile: &Profile, stop: Stop<'_>) -> Result<Option<Vec<usize>>> {
    let (n, m) = (profile.len(), profile.items());
    let Some(rows) = profile.rows() else {
        return Err(Error::range("profile", "full strict rankings", "partial or weak ballots"));
    };
    let item = |v: usize, place: usize| rows.order.get(v * m + place);
    let place = |v: usize, item: usize| rows.places.get(item * n + v);
    axis_by((n, m), item, place, stop)
}

/// The same of `n` rankings of `m` items, by the item at a place and the place of an item.
pub(crate) fn axis_by(
    (n, m): (usize, usize),
    item: impl Fn(usize, usize) -> usize,
    place: impl Fn(usize, usize) -> usize,
    stop: Stop<'_>,
) -> Result<Option<Vec<usize>>> {
    let mut placed = vec![false; m];
    let (mut left, mut right): (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
    // Per ballot: the first and last places still inside, and the best place on either side.
    let (mut first, mut last) = (vec![0; n], vec![m; n]);
    let (mut on_left, mut on_right) = (vec![m; n], vec![m; n]);
    while left.len() + right.len() < m {
        stop.check()?;
        let mut ends: Vec<usize> = Vec::new();
        for (v, last) in last.iter_mut().enumerate() {
            while placed[item(v, *last - 1)] {
                *last -= 1;
            }
            if !ends.contains(&item(v, *last - 1)) {
                ends.push(item(v, *last - 1));
                if ends.len() > 2 {
                    return Ok(None);
                }
            }
        }
        ends.sort_unstable();
        for end in &ends {
            placed[*end] = true;
        }
        let inside = m - left.len() - right.len() - ends.len();
        if inside > 0 {
            for (v, first) in first.iter_mut().enumerate() {
                while placed[item(v, *first)] {
                    *first += 1;
                }
            }
        }
        // Whether an item on the one side, another on the other, is a valley of no ballot.
        let fits = |x: usize, outside: &[usize], opposite: &[usize], other: Option<usize>| {
            (0..n).all(|v| {
                let own = place(v, x);
                let inner = if inside > 0 { first[v] } else { m };
                let beyond = inner.min(opposite[v]).min(other.map_or(m, |y| place(v, y)));
                outside[v] > own || beyond > own
            })
        };
        let (a, b) = (ends[0], ends.get(1).copied());
        let both = |a: usize, b: Option<usize>| {
            fits(a, &on_left, &on_right, b)
                && b.is_none_or(|b| fits(b, &on_right, &on_left, Some(a)))
        };
        let (low, high) = if both(a, b) {
            (Some(a), b)
        } else if let Some(b) = b.filter(|b| both(*b, Some(a))) {
            (Some(b), Some(a))
        } else if b.is_none() && fits(a, &on_right, &on_left, None) {
            (None, Some(a))
        } else {
            return Ok(None);
        };
        for (side, best, end) in [(&mut left, &mut on_left, low), (&mut right, &mut on_right, high)]
        {
            if let Some(end) = end {
                side.push(end);
                best.iter_mut()
                    .enumerate()
                    .for_each(|(v, best)| *best = (*best).min(place(v, end)));
            }
        }
    }
    left.extend(right.into_iter().rev());
    if left.first() > left.last() {
        left.reverse();
    }
    Ok(Some(left))
}

#[cfg(test)]
mod tests {
    use super::super::{Compact, Profile};
    use super::*;
    use crate::rng::Stream;

    fn orders(m: usize) -> Vec<Vec<usize>> {
        if m == 0 {
            return vec![Vec::new()];
        }
        let longer = |order: Vec<usize>| {
            (0..m).map(move |at| {
                let mut order = order.clone();
                order.insert(at, m - 1);
                order
            })
        };
        orders(m - 1).into_iter().flat_map(longer).collect()
    }

    /// Whether a ballot's places fall off on both sides of its best item along an axis.
    fn unimodal(places: impl Iterator<Item = usize>) -> bool {
        let (mut before, mut falling) = (usize::MAX, false);
        for place in places {
            if place > before {
                falling = true;
            } else if falling {
                return false;
            }
            before = place;
        }
        true
    }

    fn fits(axis: &[usize], rows: &[Vec<usize>]) -> bool {
        rows.iter().all(|row| {
            unimodal(axis.iter().map(|item| row.iter().position(|x| x == item).unwrap_or(0)))
        })
    }

    #[test]
    fn an_axis_is_found_exactly_when_there_is_one() {
        let mut stream = Stream::new(0, 0);
        let mut found = [0; 2];
        for case in 0..3000 {
            let m = 1 + case % 6;
            let all = orders(m);
            let secret = &all[stream.below(all.len())];
            let peaked: Vec<Vec<usize>> =
                all.iter().filter(|row| fits(secret, std::slice::from_ref(row))).cloned().collect();
            let pool = if case % 3 == 0 { &all } else { &peaked };
            let mut rows: Vec<Vec<usize>> =
                (0..=stream.below(4)).map(|_| pool[stream.below(pool.len())].clone()).collect();
            if case % 4 == 0 {
                rows.push(all[stream.below(all.len())].clone());
            }
            let flat = rows.concat();
            let profile = Profile::full(&flat, m, None, Compact::Never, None).expect("valid");
            let axis = axis(&profile, Stop::never()).expect("full");
            let exists = all.iter().any(|axis| fits(axis, &rows));
            assert_eq!(axis.is_some(), exists, "{rows:?}");
            if let Some(axis) = axis {
                assert!(fits(&axis, &rows), "{axis:?} {rows:?}");
            }
            found[usize::from(exists)] += 1;
        }
        assert!(found[0] > 300 && found[1] > 300, "{found:?}");
    }
}
