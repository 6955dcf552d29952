//! Small unsigned numbers, one or two bytes wide.

use crate::wide::wide;

/// Lanes of bytes: as many as four of the widest registers hold.
const LANES: usize = 128;
/// The most ballots that are counted at once: lanes of two bytes do not overflow.
pub(crate) const MOST: usize = 1 << 15;

/// A number that fits one or two bytes.
pub trait Cell: Copy + Ord + Send + Sync + Default + Into<usize> + 'static {
    /// The largest number of distinct values.
    const SPAN: usize;

    /// The low bits of `value`, which is below [`Cell::SPAN`].
    fn of(value: usize) -> Self;

    /// How often `left[i][v] < right[j][v]`, over columns of one length, at most [`MOST`].
    ///
    /// `low` says that all numbers are below half of [`Cell::SPAN`]: signed numbers compare faster.
    fn count_less(left: [&[Self]; 2], right: [&[Self]; 4], low: bool) -> [[u32; 4]; 2];

    /// The number as a wider one.
    fn wide(self) -> u32;
}

impl Cell for u8 {
    const SPAN: usize = 1 << 8;

    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "callers stay below SPAN")]
    fn of(value: usize) -> Self {
        value as Self
    }

    fn count_less(left: [&[Self]; 2], right: [&[Self]; 4], low: bool) -> [[u32; 4]; 2] {
        left.map(|a| right.map(|b| if low { bytes(a, b, Signed) } else { bytes(a, b, Plain) }))
    }

    #[inline]
    fn wide(self) -> u32 {
        u32::from(self)
    }
}

impl Cell for u16 {
    const SPAN: usize = 1 << 16;

    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "callers stay below SPAN")]
    fn of(value: usize) -> Self {
        value as Self
    }

    fn count_less(left: [&[Self]; 2], right: [&[Self]; 4], low: bool) -> [[u32; 4]; 2] {
        if low { words(left, right, Signed) } else { words(left, right, Plain) }
    }

    #[inline]
    fn wide(self) -> u32 {
        u32::from(self)
    }
}

/// How numbers are compared.
trait Compare<T>: Copy {
    fn less(self, a: T, b: T) -> bool;
}

/// As they are.
#[derive(Clone, Copy)]
struct Plain;

/// As signed ones, for numbers below half of the span: most vector units compare no others.
#[derive(Clone, Copy)]
struct Signed;

impl<T: Cell> Compare<T> for Plain {
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "part of wide functions")]
    fn less(self, a: T, b: T) -> bool {
        a < b
    }
}

impl Compare<u8> for Signed {
    #[inline(always)]
    #[allow(clippy::inline_always, clippy::cast_possible_wrap, reason = "part of wide functions")]
    fn less(self, a: u8, b: u8) -> bool {
        (a as i8) < b as i8
    }
}

impl Compare<u16> for Signed {
    #[inline(always)]
    #[allow(clippy::inline_always, clippy::cast_possible_wrap, reason = "part of wide functions")]
    fn less(self, a: u16, b: u16) -> bool {
        (a as i16) < b as i16
    }
}

wide! {
    /// Counts in lanes of a byte, emptied before one can be full.
    fn bytes<O: Compare<u8>>(a: &[u8], b: &[u8], order: O) -> u32 {
        let n = a.len().min(b.len());
        let (a, b) = (&a[..n], &b[..n]);
        let (mut total, mut start) = (0, 0);
        while n - start >= LANES {
            let mut lanes = [0_u8; LANES];
            let end = start + ((n - start) / LANES).min(255) * LANES;
            while start < end {
                let (x, y) = (&a[start..start + LANES], &b[start..start + LANES]);
                for lane in 0..LANES {
                    lanes[lane] = lanes[lane].wrapping_add(u8::from(order.less(x[lane], y[lane])));
                }
                start += LANES;
            }
            for lane in lanes {
                total += u32::from(lane);
            }
        }
        for v in start..n {
            total += u32::from(order.less(a[v], b[v]));
        }
        total
    }
}

wide! {
    /// Eight comparisons for six numbers read: most columns come from the second cache.
    fn words<O: Compare<u16>>(left: [&[u16]; 2], right: [&[u16]; 4], order: O) -> [[u32; 4]; 2] {
        let n = left[0].len();
        let ([a, b], [c, d, e, f]) = (left, right);
        let (a, b, c, d, e, f) = (&a[..n], &b[..n], &c[..n], &d[..n], &e[..n], &f[..n]);
        // as narrow as the numbers, so that vectors hold as many of both
        let mut counts = [[0_u16; 4]; 2];
        for v in 0..n {
            counts[0][0] += u16::from(order.less(a[v], c[v]));
            counts[0][1] += u16::from(order.less(a[v], d[v]));
            counts[0][2] += u16::from(order.less(a[v], e[v]));
            counts[0][3] += u16::from(order.less(a[v], f[v]));
            counts[1][0] += u16::from(order.less(b[v], c[v]));
            counts[1][1] += u16::from(order.less(b[v], d[v]));
            counts[1][2] += u16::from(order.less(b[v], e[v]));
            counts[1][3] += u16::from(order.less(b[v], f[v]));
        }
        counts.map(|row| row.map(u32::from))
    }
}

/// A matrix of items or of places: bytes for up to 256 items, two bytes each for more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cells {
    /// One byte each.
    U8(Vec<u8>),
    /// Two bytes each.
    U16(Vec<u16>),
}

impl Cells {
    /// How many numbers there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::U8(cells) => cells.len(),
            Self::U16(cells) => cells.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number at a flat index.
    #[must_use]
    #[inline]
    pub fn get(&self, index: usize) -> usize {
        match self {
            Self::U8(cells) => cells[index].into(),
            Self::U16(cells) => cells[index].into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<C: Cell>(most: usize, low: bool) {
        let mut stream = crate::rng::Stream::new(most as u64, 0);
        for n in [0, 1, 63, 129, 1000, 128 * 256 - 1] {
            let columns: Vec<Vec<C>> =
                (0..6).map(|_| (0..n).map(|_| C::of(stream.below(most))).collect()).collect();
            let (left, right) = (&columns[..2], &columns[2..]);
            let counts = C::count_less(
                [&left[0], &left[1]],
                [&right[0], &right[1], &right[2], &right[3]],
                low,
            );
            for (i, j) in (0..2).flat_map(|i| (0..4).map(move |j| (i, j))) {
                let plain = left[i].iter().zip(&right[j]).filter(|(a, b)| a < b).count();
                assert_eq!(counts[i][j] as usize, plain, "{n} {most}");
            }
        }
    }

    #[test]
    fn columns_are_counted_as_one_by_one() {
        check::<u8>(128, true);
        check::<u8>(256, false);
        check::<u16>(1 << 15, true);
        check::<u16>(1 << 16, false);
        let (low, high) = (vec![0_u8; MOST], vec![1_u8; MOST]);
        assert_eq!(bytes(&low, &high, Signed), 1 << 15);
    }
}
