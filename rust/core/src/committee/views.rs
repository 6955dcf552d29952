//! Validated profiles: places, approvals and utilities, each with weights.

use super::amount::{Amount, UTILITY_BITS, Unit, Weights, check_amounts, is_whole, room};
use crate::{Error, Result, size};

/// Utilities that are whole multiples of `2^-EXACT_BITS` of their total are compared exactly.
const EXACT_BITS: i32 = 40;

/// Places in the narrowest type that holds them, item-major.
#[derive(Debug, Clone, Copy)]
pub enum Cells<'a> {
    /// Up to 256 items.
    U8(&'a [u8]),
    /// Up to 65,536 items.
    U16(&'a [u16]),
}

impl<'a> Cells<'a> {
    fn of(cells: &'a crate::social::Cells) -> Self {
        match cells {
            crate::social::Cells::U8(cells) => Self::U8(cells),
            crate::social::Cells::U16(cells) => Self::U16(cells),
        }
    }
}

/// Places of `m` items in the rankings of `n` voters: column `c` holds item `c`'s place at every voter.
#[derive(Debug, Clone)]
pub struct Places<'a> {
    pub(super) cells: Cells<'a>,
    /// Items by voter and place, where known.
    pub(super) order: Option<Cells<'a>>,
    pub(super) m: usize,
    pub(super) weights: Weights,
}

impl<'a> Places<'a> {
    /// Checked places, `(m, n)` in row-major order, each below `m`.
    ///
    /// Only the range is checked, which costs a read of the array: two items of one voter with the same
    /// place are tied, which no rule minds.
    ///
    /// # Errors
    /// [`Error::Shape`] or [`Error::Range`].
    pub fn new(cells: Cells<'a>, m: usize, weights: Weights) -> Result<Self> {
        let n = weights.units.len();
        let (length, most) = match cells {
            Cells::U8(cells) => (cells.len(), cells.iter().copied().max().map(usize::from)),
            Cells::U16(cells) => (cells.len(), cells.iter().copied().max().map(usize::from)),
        };
        if length != m * n {
            let (expected, got) = (format!("({m}, {n})"), format!("{length} places"));
            return Err(Error::Shape { name: "places", expected, got });
        }
        if let Some(most) = most.filter(|most| *most >= m) {
            return Err(Error::range("places", &format!("numbers from 0 to {}", m - 1), most));
        }
        Ok(Self { cells, order: None, m, weights })
    }

    /// The places of full rankings, which were checked when the profile was made.
    ///
    /// # Errors
    /// [`Error::Range`] for partial or weak ballots.
    pub fn of(profile: &'a crate::social::Profile) -> Result<Self> {
        let Some(rows) = profile.rows() else {
            let got = "partial or weak ballots";
            return Err(Error::range("profile", "full strict rankings", got));
        };
        let weights = match profile.weights().values() {
            Some(values) => Weights::new(values)?,
            None => Weights::equal(profile.len()),
        };
        let (cells, order) = (Cells::of(&rows.places), Some(Cells::of(&rows.order)));
        Ok(Self { cells, order, m: profile.items(), weights })
    }

    pub(super) fn voters(&self) -> usize {
        self.weights.units.len()
    }

    /// The place of an item at a voter.
    pub(super) fn place(&self, item: usize, voter: usize) -> usize {
        let index = item * self.voters() + voter;
        match self.cells {
            Cells::U8(cells) => usize::from(cells[index]),
            Cells::U16(cells) => usize::from(cells[index]),
        }
    }
}

/// Sets of approved items, voter by voter and item by item, with weights.
#[derive(Debug, Clone)]
pub struct Approvals {
    pub(super) by_voter: Lists,
    pub(super) by_item: Lists,
    pub(super) weights: Weights,
}

/// Lists of numbers: list `i` is `values[starts[i]..starts[i + 1]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lists {
    starts: Vec<usize>,
    values: Vec<u32>,
}

impl Lists {
    /// Checked sets of items below `m`, each sorted and without repetition.
    ///
    /// # Errors
    /// [`Error::Range`].
    pub fn new(starts: Vec<usize>, values: Vec<u32>, m: usize) -> Result<Self> {
        let rising = starts.windows(2).all(|pair| pair[0] <= pair[1]);
        if starts.first() != Some(&0) || starts.last() != Some(&values.len()) || !rising {
            let expected = format!("numbers rising from 0 to {}", values.len());
            return Err(Error::range("offsets", &expected, "another sequence"));
        }
        size::count("n_items", m)?;
        let lists = Self { starts, values };
        for (index, list) in lists.iter().enumerate() {
            if let Some(value) = list.iter().find(|v| **v as usize >= m) {
                let got = format!("{value} in set {index}");
                return Err(Error::range("approvals", &format!("items below {m}"), got));
            }
            if let Some([a, b, ..]) = list.windows(2).find(|pair| pair[0] >= pair[1]) {
                let got = format!("{a} before {b} in set {index}");
                return Err(Error::range("approvals", "sorted sets of distinct items", got));
            }
        }
        Ok(lists)
    }

    /// Number of lists.
    #[must_use]
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Whether there are no lists.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn get(&self, index: usize) -> &[u32] {
        &self.values[self.starts[index]..self.starts[index + 1]]
    }

    /// Lists in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u32]> {
        (0..self.len()).map(|index| self.get(index))
    }

    /// The positions of every number below `bound`.
    #[allow(clippy::cast_possible_truncation, reason = "voters are counted in u32")]
    fn invert(&self, bound: usize) -> Self {
        let mut starts = vec![0; bound + 1];
        for value in &self.values {
            starts[*value as usize + 1] += 1;
        }
        for index in 0..bound {
            starts[index + 1] += starts[index];
        }
        let mut next = starts.clone();
        let mut values = vec![0; self.values.len()];
        for (index, list) in self.iter().enumerate() {
            for value in list {
                let slot = &mut next[*value as usize];
                values[*slot] = index as u32;
                *slot += 1;
            }
        }
        Self { starts, values }
    }
}

impl Approvals {
    /// Sets of voters over `m` items; the voters of every item are found once, here.
    ///
    /// # Errors
    /// [`Error::Shape`] when the sizes disagree, [`Error::Range`] for 2^32 voters or more.
    pub fn new(by_voter: Lists, m: usize, weights: Weights) -> Result<Self> {
        let n = weights.units.len();
        if by_voter.len() != n {
            return Err(Error::length("weights", by_voter.len(), n));
        }
        if u32::try_from(n).is_err() {
            return Err(Error::range("approvals", "fewer than 2^32 voters", n));
        }
        let by_item = by_voter.invert(size::count("n_items", m)?);
        Ok(Self { by_voter, by_item, weights })
    }

    /// Number of items.
    #[must_use]
    pub fn items(&self) -> usize {
        self.by_item.len()
    }

    /// Number of voters.
    #[must_use]
    pub fn voters(&self) -> usize {
        self.by_voter.len()
    }

    /// The sets.
    #[must_use]
    pub fn sets(&self) -> &Lists {
        &self.by_voter
    }

    pub(super) fn approves(&self, voter: usize, item: usize) -> bool {
        u32::try_from(item).is_ok_and(|item| self.by_voter.get(voter).binary_search(&item).is_ok())
    }

    /// Weight of an item's supporters.
    pub(super) fn support(&self, item: usize) -> u64 {
        let list = self.by_item.get(item);
        match self.weights.uniform {
            Some(each) => each * list.len() as u64,
            None => list.iter().map(|v| self.weights.units[*v as usize]).sum(),
        }
    }
}

/// Utilities, item-major, and how far each is below the voter's largest in whole numbers.
#[derive(Debug, Clone)]
pub struct Utilities {
    pub(super) plain: Vec<f64>,
    pub(super) weights: Vec<f64>,
    pub(super) distances: Distances,
    pub(super) m: usize,
    pub(super) unit: Unit,
}

/// Weighted distances `(m, n)` below each voter's largest weighted utility.
#[derive(Debug, Clone)]
pub(super) enum Distances {
    /// At most `2^30`: half the memory and several times the speed.
    Coarse { below: Vec<u32>, largest: Vec<u32> },
    /// A total below `2^61`.
    Fine { below: Vec<u64>, largest: Vec<u64> },
}

/// Rounded amounts closer than this share of the total are tied.
const TIED: f64 = 1e-10;
/// Bits of coarse distances.
const COARSE_BITS: i32 = 30;
/// Voters from whom on rounding to `2^-30` of the largest utility averages out near `1e-11` of the sum.
const MANY: usize = 4096;

impl Utilities {
    /// Checked utilities, `(m, n)` in row-major order (one row per item), at or above 0.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::NotFinite`] or [`Error::Range`].
    pub fn new(plain: Vec<f64>, m: usize, weights: Vec<f64>) -> Result<Self> {
        let n = weights.len();
        Weights::new(&weights)?;
        if plain.len() != m * n {
            let (expected, got) = (format!("({m}, {n})"), format!("{} numbers", plain.len()));
            return Err(Error::Shape { name: "utilities", expected, got });
        }
        check_amounts("utilities", &plain)?;
        let most = plain.iter().fold(0.0_f64, |a, x| a.max(*x));
        let total = most * weights.iter().sum::<f64>();
        if !total.is_finite() {
            return Err(Error::range("utilities", "a finite total", total));
        }
        let weighted = || plain.chunks_exact(n.max(1)).flat_map(|c| c.iter().zip(&weights));
        let single = weighted().fold(0.0_f64, |a, (u, w)| a.max(u * w));
        let (coarse, fine) = (room(single, COARSE_BITS), room(total, UTILITY_BITS));
        // Numbers with many digits, such as 0.1, are not meant to the last one: their sums are rounded.
        let limit = coarse.min(room(total, EXACT_BITS));
        let exact = weighted().all(|(u, w)| is_whole(u * w * limit));
        let scale = if exact {
            limit
        } else if n >= MANY {
            coarse
        } else {
            fine
        };
        let scaled = weighted().map(|(u, w)| (u * w * scale).round());
        let distances = if exact || n >= MANY {
            Distances::coarse(scaled, n)
        } else {
            Distances::fine(scaled, n)
        };
        let grain = if exact { 1 } else { tied(total * scale) };
        Ok(Self { plain, weights, distances, m, unit: Unit { scale, grain } })
    }

    /// The sum of everybody's largest utility, in units.
    pub(super) fn total(&self) -> Amount {
        match &self.distances {
            Distances::Coarse { largest, .. } => largest.iter().map(|u| Amount::from(*u)).sum(),
            Distances::Fine { largest, .. } => largest.iter().map(|u| Amount::from(*u)).sum(),
        }
    }

    /// Weighted utilities `(m, n)` in units.
    pub(super) fn weighted(&self) -> Vec<u64> {
        let n = self.voters().max(1);
        match &self.distances {
            Distances::Coarse { below, largest } => below
                .chunks_exact(n)
                .flat_map(|c| c.iter().zip(largest).map(|(d, top)| u64::from(top - d)))
                .collect(),
            Distances::Fine { below, largest } => below
                .chunks_exact(n)
                .flat_map(|c| c.iter().zip(largest).map(|(d, top)| top - d))
                .collect(),
        }
    }

    /// Number of items.
    #[must_use]
    pub fn items(&self) -> usize {
        self.m
    }

    /// Number of voters.
    #[must_use]
    pub fn voters(&self) -> usize {
        self.weights.len()
    }
}

/// Amounts of a total that count as tied.
#[allow(clippy::cast_possible_truncation, reason = "below 2^61")]
fn tied(total: f64) -> Amount {
    (total * TIED).max(2.0) as Amount
}

impl Distances {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 2^30")]
    fn coarse(scaled: impl Iterator<Item = f64>, n: usize) -> Self {
        let (below, largest) = below(scaled.map(|u| u as u32).collect(), n);
        Self::Coarse { below, largest }
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below 2^61")]
    fn fine(scaled: impl Iterator<Item = f64>, n: usize) -> Self {
        let (below, largest) = below(scaled.map(|u| u as u64).collect(), n);
        Self::Fine { below, largest }
    }
}

/// Distances from each voter's largest, and that.
pub(super) fn below<T>(mut values: Vec<T>, n: usize) -> (Vec<T>, Vec<T>)
where
    T: Copy + Default + Ord + std::ops::Sub<Output = T>,
{
    let mut largest = vec![T::default(); n];
    for column in values.chunks_exact(n.max(1)) {
        largest.iter_mut().zip(column).for_each(|(top, u)| *top = (*u).max(*top));
    }
    for column in values.chunks_exact_mut(n.max(1)) {
        column.iter_mut().zip(&largest).for_each(|(u, top)| *u = *top - *u);
    }
    (values, largest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_refuse_what_is_out_of_range() {
        let weights = || Weights::equal(2);
        assert!(Places::new(Cells::U8(&[0, 1, 1, 0]), 2, weights()).is_ok());
        assert!(matches!(
            Places::new(Cells::U8(&[0, 1, 2, 0]), 2, weights()),
            Err(Error::Range { .. })
        ));
        assert!(matches!(
            Places::new(Cells::U16(&[0, 1, 1]), 2, weights()),
            Err(Error::Shape { .. })
        ));
        assert!(Lists::new(vec![0, 2, 2], vec![0, 0], 3).is_err());
        assert!(Lists::new(vec![0, 1, 2], vec![0, 3], 3).is_err());
        assert!(Lists::new(vec![0, 3], vec![0, 1], 3).is_err());
        assert!(matches!(
            Utilities::new(vec![1.0, f64::INFINITY], 1, vec![1.0, 1.0]),
            Err(Error::NotFinite { index: 1, .. })
        ));
        assert!(Utilities::new(vec![1.0, -2.0], 1, vec![1.0, 1.0]).is_err());
    }

    #[test]
    fn inverting_twice_gives_the_sets_back() {
        let sets = Lists::new(vec![0, 2, 2, 5], vec![0, 2, 0, 1, 2], 3).expect("valid");
        let inverse = sets.invert(3);
        assert_eq!(inverse, Lists { starts: vec![0, 2, 3, 5], values: vec![0, 2, 2, 0, 2] });
        assert_eq!(inverse.invert(3), sets);
    }
}
