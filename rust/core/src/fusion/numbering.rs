//! Numbers of the documents of one query.

/// Open addressing from a document to its slot; a cell holds the document and the slot plus one.
///
/// Documents with cells of their own hold the last run that had them in place of their number.
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

    /// Numbers the documents of a run, counted from 1, into `slots`; returns one that it has twice.
    pub(super) fn number(
        &mut self,
        docs: impl Iterator<Item = u32>,
        run: u32,
        known: &mut Known,
        slots: &mut Vec<u32>,
    ) -> Option<u32> {
        let mut twice = None;
        if self.shift == 0 {
            // No branch to predict: a cell holds the last run and the slot plus one.
            slots.extend(docs.map(|doc| {
                let cell = &mut self.cells[doc as usize];
                let (before, slot) = (high(*cell), low(*cell));
                if before == run {
                    twice = Some(doc);
                }
                let slot = known.note(doc, slot);
                *cell = u64::from(run) << 32 | u64::from(slot + 1);
                slot
            }));
            return twice;
        }
        slots.extend(docs.map(|doc| {
            let slot = self.slot(doc, known);
            if std::mem::replace(&mut known.last[slot as usize], run) == run {
                twice = Some(doc);
            }
            slot
        }));
        twice
    }

    /// The slot of a document, a new one at its first sight.
    #[inline]
    fn slot(&mut self, doc: u32, known: &mut Known) -> u32 {
        let mask = self.cells.len() - 1;
        #[allow(clippy::cast_possible_truncation, reason = "masked")]
        let mut at = (u64::from(doc).wrapping_mul(self.factor) >> self.shift) as usize & mask;
        loop {
            let cell = self.cells[at];
            if cell == 0 {
                let slot = known.note(doc, 0);
                self.cells[at] = u64::from(doc) << 32 | u64::from(slot + 1);
                return slot;
            }
            if high(cell) == doc {
                return low(cell) - 1;
            }
            at = (at + 1) & mask;
        }
    }
}

/// Documents in the order of their slots.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Room for all entries and one more.
    docs: Vec<u32>,
    /// The last run that had the document of each slot, where the table does not say.
    last: Vec<u32>,
    count: u32,
}

impl Known {
    pub(super) fn clear(&mut self, entries: usize) {
        self.docs.resize(entries + 1, 0);
        self.last.clear();
        self.last.resize(entries, 0);
        self.count = 0;
    }

    /// The documents.
    pub(super) fn docs(&self) -> &[u32] {
        &self.docs[..self.count as usize]
    }

    /// The slot of a document that was found at `slot` less one, or nowhere at 0.
    #[inline]
    fn note(&mut self, doc: u32, slot: u32) -> u32 {
        self.docs[self.count as usize] = doc; // written over unless it is new
        let new = u32::from(slot == 0);
        let slot = if slot == 0 { self.count } else { slot - 1 };
        self.count += new;
        slot
    }
}

#[allow(clippy::cast_possible_truncation, reason = "half of a cell")]
fn high(cell: u64) -> u32 {
    (cell >> 32) as u32
}

#[allow(clippy::cast_possible_truncation, reason = "half of a cell")]
fn low(cell: u64) -> u32 {
    cell as u32
}
