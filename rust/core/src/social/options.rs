//! Options of rules, by name.

use crate::rng::Stream;
use crate::{Error, Result};

/// The value of an option.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A flag.
    Flag(bool),
    /// A number.
    Number(f64),
    /// One of a few words.
    Text(String),
    /// Numbers, or items by number.
    Numbers(Vec<f64>),
}

/// Named options, and how many threads may work.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Options {
    values: Vec<(String, Value)>,
    /// Number of threads; every core when absent.
    pub threads: Option<usize>,
}

impl Options {
    /// Options with their names.
    #[must_use]
    pub fn new(values: Vec<(String, Value)>, threads: Option<usize>) -> Self {
        Self { values, threads }
    }

    /// [`Error::UnknownName`] for an option that is not among `known`.
    pub(crate) fn check(&self, known: &[&'static str]) -> Result<()> {
        match self.values.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            None => Ok(()),
            Some((name, _)) => Err(Error::UnknownName {
                kind: "option",
                name: name.clone(),
                known: known.to_vec(),
            }),
        }
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.values.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// One of `known`, the first by default.
    pub(crate) fn choice(
        &self,
        name: &'static str,
        known: &[&'static str],
    ) -> Result<&'static str> {
        match self.get(name) {
            None => Ok(known[0]),
            Some(Value::Text(text)) => match known.iter().find(|k| *k == text) {
                Some(word) => Ok(word),
                None => Err(Error::range(name, &one_of(known), format!("{text:?}"))),
            },
            Some(other) => Err(Error::range(name, &one_of(known), format!("{other:?}"))),
        }
    }

    /// A number between two bounds.
    pub(crate) fn number(
        &self,
        name: &'static str,
        default: f64,
        low: f64,
        high: f64,
    ) -> Result<f64> {
        match self.get(name) {
            None => Ok(default),
            Some(Value::Number(x)) if (low..=high).contains(x) => Ok(*x),
            Some(other) => {
                let expected = format!("a number from {low} to {high}");
                Err(Error::range(name, &expected, shown(other)))
            }
        }
    }

    /// A whole number between two bounds.
    pub(crate) fn count(
        &self,
        name: &'static str,
        default: usize,
        low: usize,
        high: usize,
    ) -> Result<usize> {
        let Some(value) = self.get(name) else { return Ok(default) };
        let wrong =
            || Error::range(name, &format!("a whole number from {low} to {high}"), shown(value));
        match value {
            Value::Number(x) if x.fract() == 0.0 && (low as f64..=high as f64).contains(x) =>
            {
                #[allow(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "checked"
                )]
                Ok(*x as usize)
            }
            _ => Err(wrong()),
        }
    }

    /// A flag.
    pub(crate) fn flag(&self, name: &'static str, default: bool) -> Result<bool> {
        match self.get(name) {
            None => Ok(default),
            Some(Value::Flag(flag)) => Ok(*flag),
            Some(other) => Err(Error::range(name, "true or false", shown(other))),
        }
    }

    /// Numbers, when they are given.
    pub(crate) fn numbers(&self, name: &'static str) -> Result<Option<&[f64]>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Numbers(numbers)) => match numbers.iter().position(|x| !x.is_finite()) {
                None => Ok(Some(numbers)),
                Some(index) => Err(Error::NotFinite { name, index }),
            },
            Some(other) => Err(Error::range(name, "numbers", shown(other))),
        }
    }

    /// The order that breaks ties: `order` when given, a random one of `seed` when that is given,
    /// else rising numbers.
    pub(crate) fn order(&self, items: usize) -> Result<Vec<usize>> {
        if let Some(order) = self.numbers("order")? {
            return permutation("order", order, items);
        }
        let mut rising: Vec<usize> = (0..items).collect();
        if self.get("seed").is_some() {
            Stream::new(self.seed()?, 0).shuffle(&mut rising);
        }
        Ok(rising)
    }

    /// The seed, 0 by default.
    pub(crate) fn seed(&self) -> Result<u64> {
        self.count("seed", 0, 0, 1 << 53).map(|seed| seed as u64)
    }
}

fn permutation(name: &'static str, order: &[f64], items: usize) -> Result<Vec<usize>> {
    let mut seen = vec![false; items];
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "compared below")]
    let ids: Vec<usize> = order.iter().map(|x| *x as usize).collect();
    let fits = order.len() == items
        && ids.iter().zip(order).all(|(id, x)| {
            *id as f64 == *x && seen.get_mut(*id).is_some_and(|s| !std::mem::replace(s, true))
        });
    if fits {
        return Ok(ids);
    }
    let expected = format!("each of the {items} items once");
    Err(Error::range(name, &expected, format!("{} others", order.len())))
}

fn one_of(known: &[&str]) -> String {
    match known {
        [one] => (*one).to_owned(),
        [many @ .., last] => format!("{} or {last}", many.join(", ")),
        [] => String::new(),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Flag(flag) => flag.to_string(),
        Value::Number(x) => x.to_string(),
        Value::Text(text) => format!("{text:?}"),
        Value::Numbers(numbers) => format!("{} numbers", numbers.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(name: &str, value: Value) -> Options {
        Options::new(vec![(name.to_owned(), value)], None)
    }

    #[test]
    fn wrong_options_are_named() {
        let text = options("tie", Value::Text("alll".to_owned()));
        let message = text.choice("tie", &["all", "order"]).expect_err("bad").to_string();
        assert_eq!(message, "tie: expected all or order, got \"alll\"");
        assert!(text.check(&["order"]).is_err() && text.check(&["tie"]).is_ok());
        assert!(options("t", Value::Number(2.0)).number("t", 0.5, 0.0, 1.0).is_err());
        assert!(options("t", Value::Number(1.5)).count("t", 1, 0, 9).is_err());
        assert!(options("t", Value::Number(f64::NAN)).count("t", 1, 0, 9).is_err());
        assert!(options("order", Value::Numbers(vec![0.0, 0.0])).order(2).is_err());
        assert!(options("order", Value::Numbers(vec![1.0, 0.0])).order(2).is_ok());
        assert!(options("order", Value::Numbers(vec![f64::NAN])).order(1).is_err());
        assert_eq!(options("seed", Value::Number(3.0)).order(5).expect("valid").len(), 5);
    }
}
