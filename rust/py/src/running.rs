//! Running the core without the interpreter lock.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gustibus_core::{Result, Stop};
use pyo3::prelude::*;

use crate::errors::to_python;

/// How often signals are looked at while the core works.
const GLANCE: Duration = Duration::from_millis(50);

/// Runs a short computation without the interpreter lock and maps its error.
pub(crate) fn detached<T: Send>(
    py: Python<'_>,
    f: impl FnOnce() -> Result<T> + Send,
) -> PyResult<T> {
    py.detach(f).map_err(|error| to_python(&error))
}

/// Runs a computation that may be long: Ctrl-C, or any handler of a signal that raises, ends it.
///
/// The work is done by a thread of its own, whose start costs about 30 microseconds; the calling
/// thread looks at signals. `seconds` is the caller's `time_limit`.
///
/// # Errors
/// What `f` returns, or what a signal handler raised.
pub(crate) fn interruptible<T: Send>(
    py: Python<'_>,
    seconds: Option<f64>,
    f: impl FnOnce(Stop<'_>) -> Result<T> + Send,
) -> PyResult<T> {
    let flag = AtomicBool::new(false);
    let done = AtomicBool::new(false);
    let stop = Stop::new(Some(&flag), seconds).map_err(|error| to_python(&error))?;
    let caller = std::thread::current();
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| f(stop)));
            done.store(true, Ordering::Release);
            caller.unpark();
            result
        });
        let mut raised = None;
        while raised.is_none() && !done.load(Ordering::Acquire) {
            py.detach(|| std::thread::park_timeout(GLANCE));
            raised = py.check_signals().err();
        }
        flag.store(raised.is_some(), Ordering::Relaxed);
        match (raised, py.detach(|| worker.join())) {
            (Some(error), _) => Err(error),
            (None, Ok(Ok(result))) => result.map_err(|error| to_python(&error)),
            (None, Ok(Err(panic)) | Err(panic)) => std::panic::resume_unwind(panic),
        }
    })
}
