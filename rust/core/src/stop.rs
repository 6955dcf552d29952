//! When a long computation has to end early.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::{Error, Result};

/// Asked now and then by long loops: whether the caller gave up, or the time is over.
///
/// A loop that can give a partial answer looks at [`Stop::expired`] and returns its best so far, which it
/// gets [`GRACE`] for by [`Stop::patient`]; every loop calls [`Stop::check`] at least every 100
/// milliseconds of work.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stop<'a> {
    flag: Option<&'a AtomicBool>,
    limit: Option<Limit>,
}

/// A time limit, on the clock.
#[derive(Debug, Clone, Copy)]
struct Limit {
    seconds: f64,
    deadline: Instant,
    /// When a loop ends that has not ended by itself.
    end: Instant,
}

/// What searches that return the best that they have may take after the time limit, to begin and to end.
const GRACE: Duration = Duration::from_secs(1);

impl<'a> Stop<'a> {
    /// Never stops.
    #[must_use]
    pub const fn never() -> Self {
        Self { flag: None, limit: None }
    }

    /// Stops when `flag` is set, and expires after `seconds` where they are given.
    ///
    /// # Errors
    /// [`Error::Range`] when `seconds` is negative, NaN or too long to add to a clock.
    pub fn new(flag: Option<&'a AtomicBool>, seconds: Option<f64>) -> Result<Self> {
        let limit = seconds
            .map(|seconds| {
                Duration::try_from_secs_f64(seconds)
                    .ok()
                    .and_then(|d| Instant::now().checked_add(d))
                    .map(|deadline| Limit { seconds, deadline, end: deadline })
                    .ok_or_else(|| Error::range("time_limit", "seconds, at least 0", seconds))
            })
            .transpose()?;
        Ok(Self { flag, limit })
    }

    /// The same for a search that returns the best that it has when the time is over.
    #[must_use]
    pub fn patient(self) -> Self {
        let limit = self.limit.map(|limit| {
            let end = limit.deadline.checked_add(GRACE).unwrap_or(limit.deadline);
            Limit { end, ..limit }
        });
        Self { limit, ..self }
    }

    /// An error once the caller gave up, or the time is over; reads a clock where there is a time limit,
    /// which costs about 30 nanoseconds.
    ///
    /// # Errors
    /// [`Error::Interrupted`], [`Error::Infeasible`] for the time limit.
    pub fn check(&self) -> Result<()> {
        if self.flag.is_some_and(|flag| flag.load(Ordering::Relaxed)) {
            return Err(Error::Interrupted);
        }
        match self.limit {
            Some(limit) if Instant::now() >= limit.end => Err(self.over()),
            _ => Ok(()),
        }
    }

    /// The error of a search that has nothing to give when the time is over.
    #[must_use]
    pub fn over(&self) -> Error {
        // What is left of somebody's limit has more digits than anybody gave.
        let seconds = self.limit.map_or(0.0, |limit| (limit.seconds * 1000.0).round() / 1000.0);
        let what = format!("time_limit: {seconds} s were over before there was a result");
        Error::Infeasible { what }
    }

    /// Whether the time limit is over; reads a clock, which costs about 30 nanoseconds.
    #[must_use]
    pub fn expired(&self) -> bool {
        self.limit.is_some_and(|limit| Instant::now() >= limit.deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_interrupts_and_a_deadline_expires() {
        let flag = AtomicBool::new(false);
        let stop = Stop::new(Some(&flag), Some(0.0)).expect("seconds are valid");
        assert!(stop.patient().check().is_ok() && stop.expired());
        let over = "time_limit: 0 s were over before there was a result";
        assert_eq!(stop.check(), Err(Error::Infeasible { what: over.to_owned() }));
        flag.store(true, Ordering::Relaxed);
        assert_eq!(stop.check(), Err(Error::Interrupted));
        let left = Stop::new(None, Some(0.199_703)).expect("seconds are valid").over();
        assert!(left.to_string().starts_with("time_limit: 0.2 s were over"));
        assert!(!Stop::never().expired());
        assert!(Stop::new(None, Some(f64::NAN)).is_err());
        assert!(Stop::new(None, Some(-1.0)).is_err());
        assert!(Stop::new(None, Some(f64::MAX)).is_err());
    }
}
