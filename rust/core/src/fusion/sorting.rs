//! Sorting of fused scores.

use crate::wide::wide;

/// A number that rises as the score falls and then as the document rises: one comparison sorts both.
pub(super) fn key(score: f64, doc: u32) -> u128 {
    let bits = score.to_bits();
    // Negative numbers fall as their bits rise: turn them around, and put the positive ones above.
    let rising = if bits >> 63 == 0 { bits | (1 << 63) } else { !bits };
    (u128::from(!rising) << 32) | u128::from(doc)
}

/// The score of a [`key`].
pub(super) fn score(key: u128) -> f64 {
    #[allow(clippy::cast_possible_truncation, reason = "64 bits are left")]
    let rising = !((key >> 32) as u64);
    f64::from_bits(if rising >> 63 == 1 { rising & !(1 << 63) } else { !rising })
}

/// Buckets by linear interpolation between the best score and the worst.
#[derive(Debug, Default)]
pub(super) struct Sorter {
    ends: Vec<u32>,
    buckets: Vec<u32>,
    sorted: Vec<u128>,
}

/// Fewer keys are sorted by comparisons.
const FEW: usize = 64;
/// Buckets per key.
const ROOM: usize = 2;
/// Keys of one bucket that are worth a call.
const CROWD: u32 = 16;

impl Sorter {
    /// Sorts keys of `scores`, in their order.
    ///
    /// Subtraction, multiplication and addition round without turning an order around, so that a key never
    /// stands in a later bucket than a larger one. Many keys in one bucket cost their comparisons.
    pub(super) fn sort(&mut self, keys: &mut [u128], scores: &[f64]) {
        if keys.len() < FEW {
            return keys.sort_unstable();
        }
        let (best, worst) = ends(scores);
        let last = ROOM * keys.len() - 1;
        let scale = last as f64 / (best - worst);
        // Powers of counts and weights may have left the range of doubles.
        if !scale.is_normal() {
            return keys.sort_unstable();
        }
        let most = self.count(last, scores, (best, scale));
        self.sorted.clear();
        self.sorted.resize(keys.len(), 0);
        for (key, bucket) in keys.iter().zip(&self.buckets) {
            let at = &mut self.ends[*bucket as usize];
            self.sorted[*at as usize] = *key;
            *at += 1;
        }
        if most > CROWD {
            let mut begin = 0;
            for end in &self.ends[..=last] {
                if *end - begin > CROWD {
                    self.sorted[begin as usize..*end as usize].sort_unstable();
                }
                begin = *end;
            }
        }
        insert(&self.sorted, keys);
    }

    /// Puts every key into a bucket, and the start of every bucket into `ends`; the largest count.
    fn count(&mut self, last: usize, scores: &[f64], scale: (f64, f64)) -> u32 {
        self.ends.clear();
        self.ends.resize(last + 2, 0);
        self.buckets.resize(scores.len(), 0);
        place(scores, scale, u32::try_from(last).unwrap_or(u32::MAX), &mut self.buckets);
        for bucket in &self.buckets {
            self.ends[*bucket as usize + 1] += 1;
        }
        let (mut before, mut most) = (0, 0);
        for end in &mut self.ends {
            most = most.max(*end);
            before += *end;
            *end = before;
        }
        most
    }
}

/// Scores of one vector or two.
const LANES: usize = 8;
/// Doubles from here to twice as much are whole numbers, the low half of whose bits counts.
const WHOLE: f64 = 4_503_599_627_370_496.0;

wide! {
    /// The best score and the worst; both NaN when a score is.
    fn ends(scores: &[f64]) -> (f64, f64) {
        let mut high = [f64::NEG_INFINITY; LANES];
        let mut low = [f64::INFINITY; LANES];
        let mut unknown = [0_u64; LANES];
        let fixed = scores.chunks_exact(LANES);
        for (lane, score) in fixed.remainder().iter().enumerate() {
            high[lane] = *score;
            low[lane] = *score;
            unknown[lane] = u64::from(score.is_nan());
        }
        for scores in fixed {
            for lane in 0..LANES {
                let score = scores[lane];
                high[lane] = if score > high[lane] { score } else { high[lane] };
                low[lane] = if score < low[lane] { score } else { low[lane] };
                unknown[lane] |= u64::from(score.is_nan());
            }
        }
        if unknown.iter().any(|lane| *lane > 0) {
            return (f64::NAN, f64::NAN);
        }
        let best = high.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        (best, low.iter().copied().fold(f64::INFINITY, f64::min))
    }
}

wide! {
    /// The bucket of every score, by its distance from the best one.
    #[allow(clippy::cast_possible_truncation, reason = "the low half counts")]
    fn place(scores: &[f64], scale: (f64, f64), last: u32, buckets: &mut [u32]) {
        let (best, scale) = scale;
        for (bucket, score) in buckets.iter_mut().zip(scores) {
            *bucket = (((best - score) * scale + WHOLE).to_bits() as u32).min(last);
        }
    }
}

/// Writes keys that are hardly out of place in order.
fn insert(nearly: &[u128], keys: &mut [u128]) {
    for (i, key) in nearly.iter().enumerate() {
        let mut at = i;
        while at > 0 && keys[at - 1] > *key {
            keys[at] = keys[at - 1];
            at -= 1;
        }
        keys[at] = *key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_by_score_and_document_and_give_the_score_back() {
        let scores = [f64::MAX, 3.5, 1e-300, 0.0, -0.0, -1e-300, -2.0, f64::MIN];
        let keys: Vec<u128> = scores.iter().map(|s| key(*s, 7)).collect();
        assert!(keys.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(key(1.0, 3) < key(1.0, u32::MAX));
        for (key, expected) in keys.iter().zip(scores) {
            assert_eq!(score(*key).to_bits(), expected.to_bits());
        }
    }

    #[test]
    fn buckets_sort_as_comparisons_do() {
        let mut stream = crate::rng::Stream::new(3, 0);
        let mut sorter = Sorter::default();
        for kind in 0..7 {
            let scores: Vec<f64> = (0..500)
                .map(|_| {
                    let u = stream.uniform();
                    match kind {
                        0 => u,
                        1 => (20.0 * u).floor() - 10.0,
                        2 => (700.0 * u).exp(),
                        3 => f64::MAX * (2.0 * u - 1.0),
                        4 => 1.0,
                        5 if u < 0.1 => f64::INFINITY,
                        6 if u < 0.1 => f64::NAN,
                        _ => -u,
                    }
                })
                .collect();
            let docs = 0..;
            let mut keys: Vec<u128> =
                scores.iter().zip(docs).map(|(s, doc)| key(*s, doc)).collect();
            let mut expected = keys.clone();
            expected.sort_unstable();
            sorter.sort(&mut keys, &scores);
            assert_eq!(keys, expected, "{kind}");
        }
    }
}
