//! Loops compiled twice: for any processor and for one with AVX2, which is looked for once at run time.
//!
//! Results never depend on which one runs: integers are exact, the compiler contracts no products and sums
//! to fused ones, and sums of floating-point numbers keep the lanes that the source names.

use std::marker::PhantomData;

use pulp::{Arch, Simd, WithSimd};

/// The body of a [`wide`] function; `run` is inlined into code for each kind of processor.
pub(crate) trait Kernel<Arguments> {
    type Output;

    fn run(arguments: Arguments) -> Self::Output;
}

struct Call<K, A>(A, PhantomData<K>);

impl<A, K: Kernel<A>> WithSimd for Call<K, A> {
    type Output = K::Output;

    #[inline(always)]
    #[allow(
        clippy::inline_always,
        reason = "code that is not inlined is compiled for any processor"
    )]
    fn with_simd<S: Simd>(self, _: S) -> K::Output {
        K::run(self.0)
    }
}

/// Runs a kernel with the widest vectors that this processor has.
#[inline]
pub(crate) fn dispatch<K: Kernel<A>, A>(arguments: A) -> K::Output {
    Arch::new().dispatch(Call::<K, A>(arguments, PhantomData))
}

/// A function whose body is compiled for wide vectors too.
///
/// What it calls has to be inlined for that: mark it `#[inline(always)]`. Closures that are passed in or
/// called from two places are not. Type parameters have one bound each, and it returns no reference.
/// A call costs two nanoseconds more than that of a plain function.
macro_rules! wide {
    (
        $(#[$meta:meta])*
        $vis:vis fn $name:ident $(<$($type:ident: $bound:path),+>)? ($($argument:ident: $of:ty),* $(,)?)
        $(-> $output:ty)? $body:block
    ) => {
        $(#[$meta])*
        $vis fn $name $(<$($type: $bound),+>)? ($($argument: $of),*) $(-> $output)? {
            struct Wide;

            impl $(<$($type: $bound),+>)? $crate::wide::Kernel<($($of,)*)> for Wide {
                type Output = $crate::wide::wide!(@ $($output)?);

                $(#[$meta])*
                #[inline(always)]
                #[allow(clippy::inline_always, reason = "otherwise compiled for any processor")]
                fn run(($($argument,)*): ($($of,)*)) -> Self::Output $body
            }

            $crate::wide::dispatch::<Wide, _>(($($argument,)*))
        }
    };
    (@ $output:ty) => { $output };
    (@) => { () };
}

pub(crate) use wide;

#[cfg(test)]
mod tests {
    wide! {
        fn dot(a: &[f64], b: &[f64]) -> f64 {
            let mut lanes = [0.0; 4];
            for (a, b) in a.chunks_exact(4).zip(b.chunks_exact(4)) {
                for (lane, (a, b)) in lanes.iter_mut().zip(a.iter().zip(b)) {
                    *lane += a * b;
                }
            }
            lanes.iter().sum()
        }
    }

    wide! {
        fn double<T: Twice>(values: &mut [T]) {
            for value in values {
                *value = value.twice();
            }
        }
    }

    trait Twice: Copy {
        fn twice(self) -> Self;
    }

    impl Twice for u16 {
        #[inline]
        fn twice(self) -> Self {
            self.wrapping_add(self)
        }
    }

    #[test]
    fn width_changes_no_bit_of_a_sum() {
        let numbers = |seed| {
            let mut stream = crate::rng::Stream::new(seed, 0);
            (0..1000).map(move |_| stream.normal() * 1e3).collect::<Vec<f64>>()
        };
        let (a, b) = (numbers(1), numbers(2));
        let mut lanes = [0.0_f64; 4];
        for at in 0..a.len() {
            let product = std::hint::black_box(a[at] * b[at]);
            lanes[at % 4] += product; // no fused product and sum
        }
        assert_eq!(dot(&a, &b).to_bits(), lanes.iter().sum::<f64>().to_bits());
    }

    #[test]
    fn arguments_may_be_borrowed_and_generic() {
        let mut values = [1_u16, 40_000, 7];
        double(&mut values);
        assert_eq!(values, [2, 14_464, 14]);
    }
}
