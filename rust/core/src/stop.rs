//! When a long computation has to end early.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::{Error, Result};

/// Asked now and then by long loops: whether the caller gave up, or the time is over.
///
/// A loop that can give a partial answer looks at [`Stop::expired`] and returns its best so far; every
/// loop calls [`Stop::check`] at least every 100 milliseconds of work.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stop<'a> {
    flag: Option<&'a AtomicBool>,
    deadline: Option<Instant>,
}

impl<'a> Stop<'a> {
    /// Never stops.
    #[must_use]
    pub const fn never() -> Self {
        Self { flag: None, deadline: None }
    }

    /// Stops when `flag` is set, and expires after `seconds` where they are given.
    ///
    /// # Errors
    /// [`Error::Range`] when `seconds` is negative, NaN or too long to add to a clock.
    pub fn new(flag: Option<&'a AtomicBool>, seconds: Option<f64>) -> Result<Self> {
        let deadline = seconds
            .map(|s| {
                Duration::try_from_secs_f64(s)
                    .ok()
                    .and_then(|d| Instant::now().checked_add(d))
                    .ok_or_else(|| Error::range("time_limit", "seconds, at least 0", s))
            })
            .transpose()?;
        Ok(Self { flag, deadline })
    }

    /// [`Error::Interrupted`] once the caller gave up.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn check(&self) -> Result<()> {
        match self.flag {
            Some(flag) if flag.load(Ordering::Relaxed) => Err(Error::Interrupted),
            _ => Ok(()),
        }
    }

    /// Whether the time limit is over; reads a clock, which costs about 30 nanoseconds.
    #[must_use]
    pub fn expired(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_interrupts_and_a_deadline_expires() {
        let flag = AtomicBool::new(false);
        let stop = Stop::new(Some(&flag), Some(0.0)).expect("seconds are valid");
        assert!(stop.check().is_ok() && stop.expired());
        flag.store(true, Ordering::Relaxed);
        assert_eq!(stop.check(), Err(Error::Interrupted));
        assert!(!Stop::never().expired());
        assert!(Stop::new(None, Some(f64::NAN)).is_err());
        assert!(Stop::new(None, Some(-1.0)).is_err());
        assert!(Stop::new(None, Some(f64::MAX)).is_err());
    }
}
