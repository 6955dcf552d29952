//! Rows of comparisons as numbers that sort by pair.

/// Rows of one chunk, ordered by bucket.
pub(super) struct Sorted {
    /// Where every bucket begins.
    pub(super) starts: Vec<u32>,
    /// Smaller item, larger item and outcome of every row, where a bucket holds several smaller items.
    pub(super) keys: Vec<u64>,
    /// Larger item and outcome of every row, where a bucket holds one smaller item.
    pub(super) short: Vec<u32>,
    /// Their weights; empty when there are none.
    pub(super) weights: Vec<f64>,
}

impl Sorted {
    /// Number of rows that say something.
    pub(super) fn rows(&self) -> usize {
        self.keys.len() + self.short.len()
    }
}

/// A row as one number: smaller item (30 bits), larger item (30 bits), outcome (2 bits).
pub(super) fn key(low: u32, high: u32, outcome: u8) -> u64 {
    (u64::from(low) << 32) | (u64::from(high) << 2) | u64::from(outcome)
}

/// The parts of a key: smaller item, larger item, outcome as an index.
pub(super) fn parts(key: u64) -> (usize, usize, usize) {
    ((key >> 32) as usize, ((key >> 2) & 0x3FFF_FFFF) as usize, (key & 3) as usize)
}

/// The larger item of a short key and the outcome as an index.
pub(super) fn short_parts(key: u32) -> (usize, usize) {
    ((key >> 2) as usize, (key & 3) as usize)
}
