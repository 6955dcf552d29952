//! The one error type of the crate.

use std::fmt;

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What can be wrong with an input; every variant names the argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// An array has the wrong number of dimensions or the wrong size.
    Shape {
        /// The argument.
        name: &'static str,
        /// The shape that was needed, as in `(12,)`.
        expected: String,
        /// The shape that came.
        got: String,
    },
    /// A value lies outside its range.
    Range {
        /// The argument.
        name: &'static str,
        /// The range, in words.
        expected: String,
        /// The offending value and where it is.
        got: String,
    },
    /// A value is NaN or infinite.
    NotFinite {
        /// The argument.
        name: &'static str,
        /// Flat index of the first such value.
        index: usize,
    },
    /// A covariance has no Cholesky factor.
    NotPositiveDefinite {
        /// The argument.
        name: &'static str,
        /// Which group of the mixture.
        group: usize,
    },
    /// A name is in no table.
    UnknownName {
        /// The kind of table, as in `rule`.
        kind: &'static str,
        /// The name that came.
        name: String,
        /// The names that there are.
        known: Vec<&'static str>,
    },
    /// Constraints that nothing can satisfy.
    Infeasible {
        /// Which constraint, with its numbers.
        what: String,
    },
    /// The caller gave up, as by pressing Ctrl-C.
    Interrupted,
}

impl Error {
    /// [`Error::Shape`] for a one-dimensional argument.
    #[must_use]
    pub fn length(name: &'static str, expected: usize, got: usize) -> Self {
        Self::Shape { name, expected: format!("({expected},)"), got: format!("({got},)") }
    }

    /// [`Error::Range`] with the value that broke it.
    #[must_use]
    pub fn range(name: &'static str, expected: &str, got: impl fmt::Display) -> Self {
        Self::Range { name, expected: expected.to_owned(), got: got.to_string() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape { name, expected, got } => {
                write!(f, "{name}: expected shape {expected}, got {got}")
            }
            Self::Range { name, expected, got } => {
                write!(f, "{name}: expected {expected}, got {got}")
            }
            Self::NotFinite { name, index } => {
                write!(
                    f,
                    "{name}: expected finite numbers, got NaN or infinity at position {index}"
                )
            }
            Self::NotPositiveDefinite { name, group } => {
                write!(
                    f,
                    "{name}: expected symmetric positive definite matrices, group {group} is not"
                )
            }
            Self::UnknownName { kind, name, known } => {
                write!(f, "no {kind} {name:?}; known: {}", known.join(", "))
            }
            Self::Infeasible { what } => f.write_str(what),
            Self::Interrupted => f.write_str("interrupted"),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_the_argument_the_expected_and_the_found() {
        assert_eq!(
            Error::length("weights", 12, 11).to_string(),
            "weights: expected shape (12,), got (11,)"
        );
        let range = Error::range("lapse", "a number in [0, 0.5)", 0.7);
        assert_eq!(range.to_string(), "lapse: expected a number in [0, 0.5), got 0.7");
    }
}
