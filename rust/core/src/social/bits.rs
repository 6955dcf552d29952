//! Sets of items as bits.

/// Rows of bits over the same items.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Bits {
    words: usize,
    data: Vec<u64>,
}

impl Bits {
    pub(crate) fn new(rows: usize, items: usize) -> Self {
        let words = items.div_ceil(64);
        Self { words, data: vec![0; rows * words] }
    }

    /// Rows `a` with the items `b` for which `edge(a, b)` holds.
    pub(crate) fn of(items: usize, edge: impl Fn(usize, usize) -> bool) -> Self {
        let mut bits = Self::new(items, items);
        for a in 0..items {
            (0..items).filter(|b| edge(a, *b)).for_each(|b| bits.set(a, b));
        }
        bits
    }

    #[inline]
    pub(crate) fn set(&mut self, row: usize, item: usize) {
        self.data[row * self.words + item / 64] |= 1 << (item % 64);
    }

    #[inline]
    pub(crate) fn has(&self, row: usize, item: usize) -> bool {
        self.data[row * self.words + item / 64] >> (item % 64) & 1 == 1
    }

    #[inline]
    pub(crate) fn row(&self, row: usize) -> &[u64] {
        &self.data[row * self.words..(row + 1) * self.words]
    }

    #[inline]
    pub(crate) fn row_mut(&mut self, row: usize) -> &mut [u64] {
        &mut self.data[row * self.words..(row + 1) * self.words]
    }

    /// Adds the items of `with` to a row.
    pub(crate) fn join(&mut self, row: usize, with: &[u64]) {
        let own = self.row_mut(row);
        own.iter_mut().zip(with).for_each(|(own, with)| *own |= with);
    }

    /// Adds the items of another row to a row.
    #[inline]
    pub(crate) fn join_own(&mut self, row: usize, with: usize) {
        let (row, with, words) = (row * self.words, with * self.words, self.words);
        let (head, tail) = self.data.split_at_mut(row.max(with));
        let (own, with) = if row < with {
            (&mut head[row..row + words], &tail[..words])
        } else {
            (&mut tail[..words], &head[with..with + words])
        };
        own.iter_mut().zip(with).for_each(|(own, with)| *own |= with);
    }

    /// Whether row `a` lies within row `b`.
    pub(crate) fn within(&self, a: usize, b: usize) -> bool {
        self.row(a).iter().zip(self.row(b)).all(|(a, b)| a & !b == 0)
    }

    /// Whether a row has each of so many items.
    pub(crate) fn is_full(&self, row: usize, items: usize) -> bool {
        let whole = |(i, word): (usize, &u64)| word.count_ones() as usize == 64.min(items - i * 64);
        self.row(row).iter().enumerate().all(whole)
    }

    /// The items of a row, rising.
    pub(crate) fn items(&self, row: usize) -> impl Iterator<Item = usize> {
        let words = self.row(row).iter().enumerate();
        words.flat_map(|(i, word)| ones(*word).map(move |bit| i * 64 + bit))
    }

    /// Makes a relation transitive (Warshall 1962).
    pub(crate) fn close(&mut self, items: usize) {
        for k in 0..items {
            let through = self.row(k).to_vec();
            for row in 0..items {
                if self.has(row, k) {
                    self.join(row, &through);
                }
            }
        }
    }
}

/// Positions of the bits of a word, rising.
pub(crate) fn ones(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        (word != 0).then(|| {
            let bit = word.trailing_zeros() as usize;
            word &= word - 1;
            bit
        })
    })
}
