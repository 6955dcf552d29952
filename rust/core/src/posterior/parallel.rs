//! Mapping over fixed chunks: the split never depends on the number of threads.

use rayon::ThreadPoolBuilder;
use rayon::prelude::*;

/// `f(0), ..., f(count - 1)` in index order; serial for one thread or one item.
///
/// `threads` of `None` uses the pool of the process; another number a pool of its own, whose start
/// costs about 50 microseconds. When no pool can be started, the calling thread does the work.
pub(super) fn map<T: Send>(
    count: usize,
    threads: Option<usize>,
    f: impl Fn(usize) -> T + Sync + Send,
) -> Vec<T> {
    if count <= 1 || threads == Some(1) {
        return (0..count).map(f).collect();
    }
    let run = || (0..count).into_par_iter().map(&f).collect();
    match threads.map(|n| ThreadPoolBuilder::new().num_threads(n).build()) {
        None => run(),
        Some(Ok(pool)) => pool.install(run),
        Some(Err(_)) => (0..count).map(&f).collect(),
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
