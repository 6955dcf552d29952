//! A heap of numbers and names for shortest paths.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Smallest number first, then smallest name; entries that became useless are skipped by the caller.
#[derive(Debug, Default)]
pub(super) struct Heap(BinaryHeap<Reverse<u128>>);

impl Heap {
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn push(&mut self, number: f64, name: u32) {
        self.0.push(Reverse(entry(number, name)));
    }

    pub(super) fn pop(&mut self) -> Option<(f64, u32)> {
        self.0.pop().map(|Reverse(entry)| (number_of(entry), name_of(entry)))
    }
}

/// A number and a name as one whole number, in the order of the numbers.
pub(super) fn entry(number: f64, name: u32) -> u128 {
    u128::from(ordered(number)) << 32 | u128::from(name)
}

#[allow(clippy::cast_possible_truncation, reason = "takes apart what entry put together")]
pub(super) fn number_of(entry: u128) -> f64 {
    let ordered = (entry >> 32) as u64;
    f64::from_bits(if ordered & SIGN == 0 { !ordered } else { ordered & !SIGN })
}

#[allow(clippy::cast_possible_truncation, reason = "takes apart what entry put together")]
pub(super) fn name_of(entry: u128) -> u32 {
    entry as u32
}

const SIGN: u64 = 1 << 63;

/// Bits whose order as whole numbers is the order of the numbers.
fn ordered(number: f64) -> u64 {
    let bits = number.to_bits();
    if bits & SIGN == 0 { bits | SIGN } else { !bits }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_out_in_order_whatever_their_sign() {
        let mut heap = Heap::default();
        let numbers = [0.5, -1.0, f64::INFINITY, 0.0, -0.25, 1e-300, 7.0];
        for (name, number) in (0..).zip(numbers) {
            heap.push(number, name);
        }
        let mut sorted = numbers;
        sorted.sort_by(f64::total_cmp);
        for number in sorted {
            assert_eq!(
                heap.pop().map(|(x, name)| (x, numbers[name as usize])),
                Some((number, number))
            );
        }
        assert_eq!(heap.pop(), None);
    }
}
