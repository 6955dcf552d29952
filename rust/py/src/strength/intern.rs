//! From lists of names to numbers.

use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};

use crate::arrays::give;

/// Slots for objects that were just seen; a power of two.
const RECENT: usize = 1 << 12;
const EMPTY: u32 = u32::MAX;

/// Numbers of every column, and all names.
type Interned<'py> = (Vec<Bound<'py, PyAny>>, Bound<'py, PyList>);

/// Numbers of the names of all columns, by first appearance after those that are `known`, and all names.
///
/// `None` where something is no plain string, or where a name is not among the known ones when these
/// are all: what is wrong there is the caller's to find out.
#[pyfunction]
#[pyo3(signature = (columns, known))]
pub(crate) fn intern_strings<'py>(
    py: Python<'py>,
    columns: Vec<Bound<'py, PyList>>,
    known: Option<Bound<'py, PyList>>,
) -> PyResult<Option<Interned<'py>>> {
    let mut names = Names::new();
    if let Some(known) = &known {
        for name in known.iter() {
            let Ok(name) = name.cast_into_exact::<PyString>() else { return Ok(None) };
            if names.number(&name, true).is_none() {
                return Ok(None);
            }
        }
    }
    let mut out = Vec::with_capacity(columns.len());
    for column in &columns {
        let mut numbers = Vec::with_capacity(column.len());
        for item in column.iter() {
            let Ok(name) = item.cast_into_exact::<PyString>() else { return Ok(None) };
            let Some(number) = names.number(&name, known.is_none()) else { return Ok(None) };
            numbers.push(number);
        }
        let length = numbers.len();
        out.push(give(py, numbers, [length])?);
    }
    Ok(Some((out, PyList::new(py, names.all)?)))
}

/// Names by their text, in an open table; lists often repeat the very same object, which is looked for
/// first.
struct Names<'py> {
    all: Vec<Bound<'py, PyString>>,
    /// Hash and number of every slot.
    slots: Vec<(u64, u32)>,
    /// Address of an object that `all` keeps alive, and its number.
    recent: Vec<(usize, u32)>,
}

impl<'py> Names<'py> {
    fn new() -> Self {
        Self { all: Vec::new(), slots: vec![(0, EMPTY); 64], recent: vec![(0, EMPTY); RECENT] }
    }

    /// The number of a name; `None` for text that is no Unicode, and for new names unless they may be added.
    fn number(&mut self, name: &Bound<'py, PyString>, add: bool) -> Option<u32> {
        let address = name.as_ptr() as usize;
        let (seen, number) = self.recent[(address >> 4) % RECENT];
        if seen == address {
            return Some(number);
        }
        let text = name.to_str().ok()?;
        let hash = hash(text.as_bytes());
        let mask = self.slots.len() - 1;
        let mut at = spread(hash) & mask;
        loop {
            let (known, number) = self.slots[at];
            if number == EMPTY {
                break;
            }
            if known == hash && self.all[number as usize].to_str().ok()? == text {
                return Some(number);
            }
            at = (at + 1) & mask;
        }
        let number = u32::try_from(self.all.len()).ok().filter(|n| add && *n != EMPTY)?;
        self.slots[at] = (hash, number);
        self.recent[(address >> 4) % RECENT] = (address, number);
        self.all.push(name.clone());
        if 2 * self.all.len() > self.slots.len() {
            self.grow();
        }
        Some(number)
    }

    fn grow(&mut self) {
        let old = std::mem::take(&mut self.slots);
        let mask = 4 * old.len() - 1;
        self.slots = vec![(0, EMPTY); mask + 1];
        for (hash, number) in old.into_iter().filter(|slot| slot.1 != EMPTY) {
            let mut at = spread(hash) & mask;
            while self.slots[at].1 != EMPTY {
                at = (at + 1) & mask;
            }
            self.slots[at] = (hash, number);
        }
    }
}

fn spread(hash: u64) -> usize {
    usize::try_from(hash >> 32).unwrap_or(0)
}

/// Eight bytes at a time; text that was made to collide costs time and nothing else.
fn hash(text: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
    let mix = |hash: u64, word: u64| (hash.rotate_left(23) ^ word).wrapping_mul(FACTOR);
    let mut hash = text.len() as u64;
    let mut words = text.chunks_exact(8);
    for word in &mut words {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(word);
        hash = mix(hash, u64::from_le_bytes(bytes));
    }
    let mut bytes = [0; 8];
    bytes[..words.remainder().len()].copy_from_slice(words.remainder());
    let hash = mix(hash, u64::from_le_bytes(bytes));
    hash ^ (hash >> 29)
}
