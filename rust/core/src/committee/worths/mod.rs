//! The objectives of rules, one file per kind of ballots.

pub(super) mod by_approvals;
pub(super) mod by_rankings;
pub(super) mod by_utilities;

use super::amount::{Amount, Factors, Unit};
use super::cover::Cover;
use super::objective::Modular;
use super::owa::{Norm, Owa};
use super::rules::Params;
use super::thiele::Thiele;
use crate::{Error, Result};

/// The objective of any rule.
pub(super) enum Built<'a> {
    Modular(Modular),
    Narrow(Cover<'a, u8>),
    Wide(Cover<'a, u16>),
    Coarse(Cover<'a, u32>),
    Fine(Cover<'a, u64>),
    Thiele(Thiele<'a>),
    Owa(Owa),
    Norm(Norm<'a>),
}

/// Calls `$body` with whichever objective there is.
macro_rules! with {
    ($built:expr, $objective:ident => $body:expr) => {
        match $built {
            Built::Modular($objective) => $body,
            Built::Narrow($objective) => $body,
            Built::Wide($objective) => $body,
            Built::Coarse($objective) => $body,
            Built::Fine($objective) => $body,
            Built::Thiele($objective) => $body,
            Built::Owa($objective) => $body,
            Built::Norm($objective) => $body,
        }
    };
}
pub(super) use with;

/// A parameter that a rule cannot do without.
fn needed<T: Copy>(name: &'static str, value: Option<T>, what: &str) -> Result<T> {
    value.ok_or_else(|| Error::range(name, what, "none"))
}

/// The whole number `t`, at least 1.
fn count(params: &Params<'_>, default: Option<usize>) -> Result<usize> {
    let t = needed("t", params.t.or(default), "a whole number of at least 1")?;
    if t == 0 { Err(Error::range("t", "a whole number of at least 1", t)) } else { Ok(t) }
}

/// Finite numbers at or above 0.
fn vector<'a>(params: &Params<'a>) -> Result<&'a [f64]> {
    let values = needed("vector", params.vector, "numbers at or above 0")?;
    if values.is_empty() {
        return Err(Error::range("vector", "at least one number", "none"));
    }
    if let Some(index) = values.iter().position(|x| !x.is_finite()) {
        return Err(Error::NotFinite { name: "vector", index });
    }
    match values.iter().find(|x| **x < 0.0) {
        Some(x) => Err(Error::range("vector", "numbers at or above 0", x)),
        None => Ok(values),
    }
}

/// Factors that do not rise.
fn falling(params: &Params<'_>) -> Result<Factors> {
    let values = vector(params)?;
    match values.windows(2).find(|pair| pair[1] > pair[0]) {
        Some(pair) => {
            let got = format!("{} before {}", pair[0], pair[1]);
            Err(Error::range("vector", "factors that do not rise", got))
        }
        None => Ok(Factors::rounded(values)),
    }
}

/// Ones for the first `t` members.
fn ones(t: usize) -> Factors {
    Factors { values: vec![1 as Amount; t], unit: Unit::ONE }
}
