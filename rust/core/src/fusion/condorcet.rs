//! Fusion by majorities between documents.

/// The place of a document that a run lacks: behind all that it has.
const ABSENT: u32 = u32::MAX;

/// Scores of the documents of one query.
///
/// A run prefers the document that it ranks higher, and any that it has to one that it lacks; pairs that
/// it lacks both of get no vote. Without `sort`, wins minus losses over all others; with it, the places
/// after a merge sort by majorities, which are not transitive, from the order of document numbers.
pub(super) fn scores(
    slots: &[u32],
    ends: &[usize],
    docs: &[u32],
    weights: &[f64],
    sort: bool,
) -> Vec<f64> {
    let union = docs.len();
    let mut places = vec![ABSENT; ends.len() * union];
    let mut begin = 0;
    for (r, end) in ends.iter().copied().enumerate() {
        for (place, slot) in (0..).zip(&slots[begin..end]) {
            places[r * union + *slot as usize] = place;
        }
        begin = end;
    }
    if sort { sorted(&places, docs, weights) } else { copeland(&places, union, weights) }
}

fn copeland(places: &[u32], union: usize, weights: &[f64]) -> Vec<f64> {
    let equal = weights.windows(2).all(|pair| pair[0].to_bits() == pair[1].to_bits());
    let mut net = vec![0_i32; union];
    let (mut votes, mut margin) = (vec![0_i32; union], vec![0.0; union]);
    for a in 0..union {
        // A branch-free count over a contiguous row becomes vector instructions.
        votes.fill(0);
        margin.fill(0.0);
        for (row, weight) in places.chunks_exact(union).zip(weights) {
            let place = row[a];
            if equal {
                for (v, other) in votes.iter_mut().zip(row) {
                    *v += i32::from(place < *other) - i32::from(place > *other);
                }
            } else {
                for (m, other) in margin.iter_mut().zip(row) {
                    *m += weight * f64::from(i32::from(place < *other) - i32::from(place > *other));
                }
            }
        }
        net[a] = if equal {
            votes.iter().map(|v| v.signum()).sum()
        } else {
            margin.iter().map(|m| i32::from(*m > 0.0) - i32::from(*m < 0.0)).sum()
        };
    }
    net.into_iter().map(f64::from).collect()
}

fn sorted(places: &[u32], docs: &[u32], weights: &[f64]) -> Vec<f64> {
    let union = docs.len();
    let mut order: Vec<usize> = (0..union).collect();
    order.sort_unstable_by_key(|slot| docs[*slot]);
    let before = |a: usize, b: usize| {
        let vote = |(row, w): (&[u32], &f64)| {
            w * f64::from(i32::from(row[a] < row[b]) - i32::from(row[a] > row[b]))
        };
        places.chunks_exact(union).zip(weights).map(vote).sum::<f64>() >= 0.0
    };
    merge_sort(&mut order, &before);
    let mut scores = vec![0.0; union];
    for (place, slot) in order.into_iter().enumerate() {
        scores[slot] = (union - place) as f64;
    }
    scores
}

/// A merge sort that is defined, and ends, for any comparison; the library's may panic.
fn merge_sort(order: &mut [usize], before: &impl Fn(usize, usize) -> bool) {
    if order.len() < 2 {
        return;
    }
    let middle = order.len() / 2;
    merge_sort(&mut order[..middle], before);
    merge_sort(&mut order[middle..], before);
    let (left, right) = (order[..middle].to_vec(), order[middle..].to_vec());
    let (mut l, mut r) = (0, 0);
    for cell in order {
        if r == right.len() || (l < left.len() && before(left[l], right[r])) {
            *cell = left[l];
            l += 1;
        } else {
            *cell = right[r];
            r += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copeland_counts_majorities_and_weights_decide_them() {
        // Runs 0 1 2, 1 2 0, 2 0 1: a cycle.
        let (slots, ends, docs) = ([0, 1, 2, 1, 2, 0, 2, 0, 1], [3, 6, 9], [10, 11, 12]);
        assert_eq!(scores(&slots, &ends, &docs, &[1.0; 3], false), [0.0; 3]);
        assert_eq!(scores(&slots, &ends, &docs, &[3.0, 1.0, 1.0], false), [2.0, 0.0, -2.0]);
        assert_eq!(scores(&slots, &ends, &docs, &[3.0, 1.0, 1.0], true), [3.0, 2.0, 1.0]);
    }

    #[test]
    fn absent_documents_lose_to_present_ones_only() {
        let (slots, ends, docs) = ([0, 1, 2], [1, 3], [5, 6, 7]);
        assert_eq!(scores(&slots, &ends, &docs, &[1.0, 1.0], false), [0.0, 1.0, -1.0]);
    }
}
