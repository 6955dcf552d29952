//! Random numbers as pure functions of `(seed, stream, index)`.
//!
//! No generator state is carried, so results depend neither on the number of threads nor on what was
//! drawn before. The mixer is the finaliser of `SplitMix64` (Steele, Lea and Flood 2014), applied twice.

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

fn mix(mut z: u64) -> u64 {
    z ^= z >> 30;
    z = z.wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z ^= z >> 27;
    z = z.wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The 64 bits at `index` of a stream.
#[must_use]
pub fn bits(seed: u64, stream: u64, index: u64) -> u64 {
    let key = mix(seed.wrapping_add(GOLDEN.wrapping_mul(stream.wrapping_add(1))));
    mix(key.wrapping_add(GOLDEN.wrapping_mul(index.wrapping_add(1))))
}

/// The number in `[0, 1)` at `index` of a stream, a multiple of `2^-53`.
#[must_use]
pub fn uniform(seed: u64, stream: u64, index: u64) -> f64 {
    to_unit(bits(seed, stream, index))
}

fn to_unit(bits: u64) -> f64 {
    (bits >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
}

/// Reads one stream in order, for code that draws an unknown number of values for one unit of work.
///
/// Give every unit (a row, a replicate, an election) its own stream.
#[derive(Debug, Clone)]
pub struct Stream {
    key: u64,
    next: u64,
}

impl Stream {
    /// The stream from its start; its values are `bits(seed, stream, 0)`, `bits(seed, stream, 1)`, ...
    #[must_use]
    pub fn new(seed: u64, stream: u64) -> Self {
        Self { key: mix(seed.wrapping_add(GOLDEN.wrapping_mul(stream.wrapping_add(1)))), next: 0 }
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.next = self.next.wrapping_add(1);
        mix(self.key.wrapping_add(GOLDEN.wrapping_mul(self.next)))
    }

    /// The next number in `[0, 1)`.
    pub fn uniform(&mut self) -> f64 {
        to_unit(self.bits())
    }

    /// The next integer in `0..bound`; 0 when `bound` is 0.
    ///
    /// Multiply-and-shift without rejection: the bias is below `bound / 2^64`.
    pub fn below(&mut self, bound: usize) -> usize {
        let wide = u128::from(self.bits()) * bound as u128;
        usize::try_from(wide >> 64).unwrap_or(0)
    }

    /// A standard normal number (Box and Muller 1958, one of the two values).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * libm::log(1.0 - self.uniform())).sqrt();
        radius * libm::cos(2.0 * std::f64::consts::PI * self.uniform())
    }

    /// A standard exponential number.
    pub fn exponential(&mut self) -> f64 {
        -libm::log(1.0 - self.uniform())
    }

    /// Shuffles a slice uniformly (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_the_published_test_vectors() {
        let rows = [
            (0, 0, 0, 0xa706_dd2f_4d19_7e6f, 0.652_448_486_374_032_2),
            (0, 0, 1, 0xb382_a305_f441_4f5e, 0.701_212_109_521_525_2),
            (0, 1, 0, 0x46b7_3e79_f0c3_7c00, 0.276_233_582_277_894_63),
            (42, 0, 0, 0x57e1_faba_6510_7204, 0.343_291_922_098_673_43),
            (42, 0, 1000, 0xb1fc_8c82_4d52_4899, 0.695_259_839_832_325_6),
            (42, 1, 1, 0x4f04_82a7_2b57_ee7d, 0.308_662_572_682_208_87),
            (1 << 63, 0, 0, 0x86db_92e8_33b0_c1a0, 0.526_787_931_146_546_2),
            (u64::MAX, 1, 1000, 0x70ea_86c7_fbbe_9185, 0.441_078_590_225_283_2),
        ];
        for (seed, stream, index, expected, unit) in rows {
            assert_eq!(bits(seed, stream, index), expected, "{seed} {stream} {index}");
            assert!((uniform(seed, stream, index) - unit).abs() < 1e-16);
        }
    }

    #[test]
    fn a_stream_reads_the_same_values_in_order() {
        let mut stream = Stream::new(7, 3);
        for index in 0..100 {
            assert_eq!(stream.bits(), bits(7, 3, index));
        }
    }

    #[test]
    fn draws_have_their_moments() {
        let mut stream = Stream::new(1, 0);
        let n = 40_000;
        let mean = |f: &mut dyn FnMut() -> f64| (0..n).map(|_| f()).sum::<f64>() / f64::from(n);
        let mut other = Stream::new(1, 1);
        assert!(mean(&mut || stream.normal()).abs() < 0.02);
        assert!((mean(&mut || other.exponential()) - 1.0).abs() < 0.02);
        let mut third = Stream::new(1, 2);
        assert!((mean(&mut || third.below(11) as f64) - 5.0).abs() < 0.07);
    }

    #[test]
    fn a_shuffle_is_a_permutation() {
        let mut items: Vec<usize> = (0..50).collect();
        Stream::new(5, 0).shuffle(&mut items);
        let mut sorted = items.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..50).collect::<Vec<_>>());
        assert_ne!(items, sorted);
    }
}
