//! Mapping over fixed chunks: the split never depends on the number of threads.

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

/// More threads than this are never started; results do not depend on their number.
const MOST: usize = 256;

/// A pool of so many threads, if the machine grants it.
pub(crate) fn pool(threads: usize) -> Option<ThreadPool> {
    ThreadPoolBuilder::new().num_threads(threads.min(MOST)).build().ok()
}

/// `f(0), ..., f(count - 1)` in index order; serial for one thread or one item.
///
/// `threads` of `None` uses the pool of the process; another number a pool of its own, whose start
/// costs about 50 microseconds. When no pool can be started, the calling thread does the work.
pub(crate) fn map<T: Send>(
    count: usize,
    threads: Option<usize>,
    f: impl Fn(usize) -> T + Sync + Send,
) -> Vec<T> {
    if count <= 1 || threads == Some(1) {
        return (0..count).map(f).collect();
    }
    let run = || (0..count).into_par_iter().map(&f).collect();
    match threads.map(pool) {
        None => run(),
        Some(Some(pool)) => pool.install(run),
        Some(None) => (0..count).map(&f).collect(),
    }
}

/// Calls `f` with every item; items own the disjoint parts of an output that they fill.
pub(crate) fn each<T: Send>(items: Vec<T>, threads: Option<usize>, f: impl Fn(T) + Sync + Send) {
    if items.len() <= 1 || threads == Some(1) {
        return items.into_iter().for_each(f);
    }
    match threads.map(pool) {
        None => items.into_par_iter().for_each(f),
        Some(Some(pool)) => pool.install(|| items.into_par_iter().for_each(f)),
        Some(None) => items.into_iter().for_each(f),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept_for_any_number_of_threads() {
        for threads in [None, Some(1), Some(3)] {
            assert_eq!(map(100, threads, |i| i * i), (0..100).map(|i| i * i).collect::<Vec<_>>());
        }
    }
}
