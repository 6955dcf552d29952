//! Levels of committees' worth, and what is summed over columns of them with wide vectors.
//!
//! Levels are places, or distances from a voter's largest utility: smaller is better, and a gain is a
//! sum of saturating differences over one contiguous column.

use crate::wide::wide;

/// A level: a place, or a distance in utility.
pub(super) trait Level: Copy + Ord + Send + Sync {
    /// Sum of `best - column` where positive.
    fn gap(best: &[Self], column: &[Self]) -> u64;
    /// The same, weighted.
    fn weighted_gap(best: &[Self], column: &[Self], weights: &[u64]) -> u64;
    /// The level as a place, where levels are places.
    fn place(self) -> usize;
}

/// Levels summed at once: their sums fill two of the widest registers.
const LANES: usize = 32;

impl Level for u8 {
    fn gap(best: &[u8], column: &[u8]) -> u64 {
        bytes(best, column)
    }

    fn weighted_gap(best: &[u8], column: &[u8], weights: &[u64]) -> u64 {
        weighted(best, column, weights)
    }

    #[inline]
    fn place(self) -> usize {
        self.into()
    }
}

impl Level for u16 {
    fn gap(best: &[u16], column: &[u16]) -> u64 {
        words(best, column)
    }

    fn weighted_gap(best: &[u16], column: &[u16], weights: &[u64]) -> u64 {
        weighted(best, column, weights)
    }

    #[inline]
    fn place(self) -> usize {
        self.into()
    }
}

/// Distances below `2^31`.
impl Level for u32 {
    fn gap(best: &[u32], column: &[u32]) -> u64 {
        distances(best, column)
    }

    fn weighted_gap(best: &[u32], column: &[u32], _weights: &[u64]) -> u64 {
        Self::gap(best, column) // distances carry their weights already
    }

    fn place(self) -> usize {
        0
    }
}

impl Level for u64 {
    fn gap(best: &[u64], column: &[u64]) -> u64 {
        best.iter().zip(column).map(|(b, c)| b.saturating_sub(*c)).sum()
    }

    fn weighted_gap(best: &[u64], column: &[u64], _weights: &[u64]) -> u64 {
        Self::gap(best, column) // distances carry their weights already
    }

    fn place(self) -> usize {
        0
    }
}

wide! {
    fn bytes(best: &[u8], column: &[u8]) -> u64 {
        let n = best.len().min(column.len());
        let (best, column) = (&best[..n], &column[..n]);
        let (mut total, mut start) = (0, 0);
        // 256 levels of at most 255 fit 16 bits.
        while n - start >= LANES {
            let mut sums = [0_u16; LANES];
            let end = start + ((n - start) / LANES).min(256) * LANES;
            while start < end {
                let (b, c) = (&best[start..start + LANES], &column[start..start + LANES]);
                for lane in 0..LANES {
                    sums[lane] += u16::from(b[lane].saturating_sub(c[lane]));
                }
                start += LANES;
            }
            for sum in sums {
                total += u64::from(sum);
            }
        }
        for v in start..n {
            total += u64::from(best[v].saturating_sub(column[v]));
        }
        total
    }
}

wide! {
    fn words(best: &[u16], column: &[u16]) -> u64 {
        let n = best.len().min(column.len());
        let (best, column) = (&best[..n], &column[..n]);
        let (mut total, mut start) = (0, 0);
        while start < n {
            // 65,536 levels of at most 65,535 fit 32 bits.
            let end = (start + (1 << 16)).min(n);
            let mut sum = 0_u32;
            for v in start..end {
                sum += u32::from(best[v].saturating_sub(column[v]));
            }
            total += u64::from(sum);
            start = end;
        }
        total
    }
}

wide! {
    /// A sign bit tells which is larger: four at once in the oldest registers.
    fn distances(best: &[u32], column: &[u32]) -> u64 {
        let n = best.len().min(column.len());
        let (best, column) = (&best[..n], &column[..n]);
        let mut total = 0;
        for v in 0..n {
            let gap = best[v].wrapping_sub(column[v]);
            total += u64::from(gap & (gap >> 31).wrapping_sub(1));
        }
        total
    }
}

wide! {
    fn weighted<L: Place>(best: &[L], column: &[L], weights: &[u64]) -> u64 {
        let n = best.len().min(column.len()).min(weights.len());
        let (best, column, weights) = (&best[..n], &column[..n], &weights[..n]);
        let mut total = 0;
        for v in 0..n {
            let (b, c): (u32, u32) = (best[v].into(), column[v].into());
            total += weights[v] * u64::from(b.saturating_sub(c));
        }
        total
    }
}

wide! {
    /// The better of two levels of every voter.
    pub(super) fn lower_all<L: Level>(best: &mut [L], column: &[L]) {
        let n = best.len().min(column.len());
        let (best, column) = (&mut best[..n], &column[..n]);
        for v in 0..n {
            best[v] = best[v].min(column[v]);
        }
    }
}

/// Places and items in one type, as the compact layouts hold them.
pub(super) trait Place: Level + Into<u32> {}
impl Place for u8 {}
impl Place for u16 {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    fn brute(best: &[u16], column: &[u16]) -> u64 {
        best.iter().zip(column).map(|(b, c)| u64::from(b.saturating_sub(*c))).sum()
    }

    #[test]
    #[allow(clippy::cast_possible_truncation, reason = "below 256")]
    fn kernels_equal_plain_sums_at_every_length_and_at_the_extremes() {
        let mut stream = Stream::new(1, 0);
        for n in [0, 1, 63, 64, 65, 1000, 64 * 256, 64 * 256 + 7, 50_000] {
            let best: Vec<u16> = (0..n).map(|_| stream.below(256) as u16).collect();
            let column: Vec<u16> = (0..n).map(|_| stream.below(256) as u16).collect();
            let narrow = |x: &[u16]| x.iter().map(|v| *v as u8).collect::<Vec<u8>>();
            assert_eq!(u16::gap(&best, &column), brute(&best, &column));
            assert_eq!(u8::gap(&narrow(&best), &narrow(&column)), brute(&best, &column));
            let wide = |x: &[u16]| x.iter().map(|v| u32::from(*v) << 22).collect::<Vec<u32>>();
            assert_eq!(u32::gap(&wide(&best), &wide(&column)), brute(&best, &column) << 22);
            let weights: Vec<u64> = (0..n).map(|_| stream.below(9) as u64).collect();
            let expected: u64 =
                (0..n).map(|v| weights[v] * u64::from(best[v].saturating_sub(column[v]))).sum();
            assert_eq!(u16::weighted_gap(&best, &column, &weights), expected);
        }
        let n = 300_000;
        assert_eq!(u8::gap(&vec![255; n], &vec![0; n]), 255 * n as u64);
        assert_eq!(u16::gap(&vec![65_535; n], &vec![0; n]), 65_535 * n as u64);
    }
}
