//! Numbers of the documents of one query.

/// Open addressing from a document to its slot; a cell holds the document and the slot plus one.
#[derive(Debug, Default)]
pub(super) struct Table {
    cells: Vec<u64>,
    factor: u64,
    shift: u32,
}

impl Table {
    /// Room for `entries` documents at a load of at most one half.
    ///
    /// Documents with numbers hardly larger than that have cells of their own, so that none collide.
    pub(super) fn clear(&mut self, entries: usize, largest: u32) {
        let size = (2 * entries).next_power_of_two().max(16);
        let own = (largest as usize) < 2 * size;
        let size = if own { (largest as usize + 1).next_power_of_two() } else { size };
        // The high bits of a product with an odd number spread runs of neighbouring ids.
        (self.factor, self.shift) =
            if own { (1, 0) } else { (0x9E37_79B9_7F4A_7C15, 64 - size.trailing_zeros()) };
        self.cells.clear();
        self.cells.resize(size, 0);
    }

    /// The slot of a document, a new one at its first sight.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "both halves of a cell are u32")]
    pub(super) fn slot(&mut self, doc: u32, docs: &mut Vec<u32>) -> u32 {
        let mask = self.cells.len() - 1;
        let mut at = (u64::from(doc).wrapping_mul(self.factor) >> self.shift) as usize & mask;
        loop {
            let cell = self.cells[at];
            if cell == 0 {
                docs.push(doc);
                self.cells[at] = (u64::from(doc) << 32) | docs.len() as u64;
                return docs.len() as u32 - 1;
            }
            if (cell >> 32) as u32 == doc {
                return cell as u32 - 1;
            }
            at = (at + 1) & mask;
        }
    }
}
