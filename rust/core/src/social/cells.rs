//! Small unsigned numbers, one or two bytes wide.

/// Lanes of a loop that compilers turn into vector instructions.
const LANES: usize = 64;

/// A number that fits one or two bytes.
pub trait Cell: Copy + Ord + Send + Sync + Default + Into<usize> + 'static {
    /// The largest number of distinct values.
    const SPAN: usize;

    /// The low bits of `value`, which is below [`Cell::SPAN`].
    fn of(value: usize) -> Self;

    /// How often `a[v] < b[v]`.
    fn count_less(a: &[Self], b: &[Self]) -> u32;

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

    /// Counts in lanes of a byte, emptied before one can be full.
    fn count_less(a: &[Self], b: &[Self]) -> u32 {
        let mut total = 0;
        for (a, b) in a.chunks(LANES * 255).zip(b.chunks(LANES * 255)) {
            let mut lanes = [0_u8; LANES];
            let (wholes_a, wholes_b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
            let rest = wholes_a.remainder().iter().zip(wholes_b.remainder());
            total += rest.map(|(a, b)| u32::from(a < b)).sum::<u32>();
            for (a, b) in wholes_a.zip(wholes_b) {
                for (lane, (a, b)) in lanes.iter_mut().zip(a.iter().zip(b)) {
                    *lane = lane.wrapping_add(Self::from(a < b));
                }
            }
            total += lanes.iter().map(|lane| u32::from(*lane)).sum::<u32>();
        }
        total
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

    fn count_less(a: &[Self], b: &[Self]) -> u32 {
        let part = |(a, b): (&[Self], &[Self])| {
            let mut count = 0_u16; // as narrow as the numbers, so that vectors hold as many of both
            for (a, b) in a.iter().zip(b) {
                count += Self::from(a < b);
            }
            u32::from(count)
        };
        a.chunks(60_000).zip(b.chunks(60_000)).map(part).sum()
    }

    #[inline]
    fn wide(self) -> u32 {
        u32::from(self)
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
