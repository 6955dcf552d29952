//! Rules of `gustibus_core::social`, by name.

#![allow(
    clippy::needless_pass_by_value,
    reason = "arguments of Python functions arrive by value, in one flat call"
)]

use std::sync::Arc;

use gustibus_core::Error;
use gustibus_core::social::{Fact, Options, Outcome, Subject, Support, Value, decide, rules};
use numpy::PyUntypedArrayMethods;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::arrays::{ArrayDyn, copy, give};
use crate::errors::to_python;
use crate::running::interruptible;
use crate::social::Ballots;

/// Name, source, laws and options of every rule.
#[pyfunction]
pub(crate) fn social_rules()
-> Vec<(&'static str, &'static str, Vec<&'static str>, Vec<&'static str>)> {
    rules()
        .map(|rule| (rule.name, rule.source, rule.laws.to_vec(), rule.options.to_vec()))
        .collect()
}

/// Decides by a rule: winners, scores if it has any, the bucket of each item, and facts by name.
#[pyfunction]
#[pyo3(signature = (rule, subject, options, time_limit, threads))]
pub(crate) fn social_decide<'py>(
    py: Python<'py>,
    rule: &str,
    subject: &Bound<'py, PyAny>,
    options: &Bound<'py, PyDict>,
    time_limit: Option<f64>,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyAny>> {
    let options = Options::new(read_options(options)?, threads);
    let outcome = if let Ok(ballots) = subject.cast::<Ballots>() {
        let profile = Arc::clone(&ballots.get().profile);
        interruptible(py, time_limit, |stop| {
            decide(rule, Subject::Profile(&profile), &options, stop)
        })?
    } else {
        let matrix: ArrayDyn<'_, f64> = subject.extract()?;
        let support = read_support(&matrix)?;
        interruptible(py, time_limit, |stop| {
            decide(rule, Subject::Support(&support), &options, stop)
        })?
    };
    give_outcome(py, outcome)
}

fn read_support(matrix: &ArrayDyn<'_, f64>) -> PyResult<Support> {
    let owned = copy("support", matrix, 2, "(m, m)")?;
    if owned.shape[0] != owned.shape[1] {
        let got = format!("({}, {})", matrix.shape()[0], matrix.shape()[1]);
        let error = Error::Shape { name: "support", expected: "(m, m)".to_owned(), got };
        return Err(to_python(&error));
    }
    Support::new(owned.values, owned.shape[0]).map_err(|error| to_python(&error))
}

fn read_options(options: &Bound<'_, PyDict>) -> PyResult<Vec<(String, Value)>> {
    let mut out = Vec::with_capacity(options.len());
    for (name, value) in options {
        let name: String = name.extract()?;
        let value = if let Ok(flag) = value.extract::<bool>() {
            Value::Flag(flag)
        } else if let Ok(number) = value.extract::<f64>() {
            Value::Number(number)
        } else if let Ok(text) = value.extract::<String>() {
            Value::Text(text)
        } else {
            Value::Numbers(value.extract()?)
        };
        out.push((name, value));
    }
    Ok(out)
}

fn ids(items: Vec<usize>) -> Vec<i64> {
    items.into_iter().map(|item| i64::try_from(item).unwrap_or(i64::MAX)).collect()
}

fn give_outcome(py: Python<'_>, outcome: Outcome) -> PyResult<Bound<'_, PyAny>> {
    let m = outcome.buckets.len();
    let facts = PyDict::new(py);
    for (name, fact) in outcome.facts {
        match fact {
            Fact::Flag(flag) => facts.set_item(name, flag)?,
            Fact::Number(number) => facts.set_item(name, number)?,
            Fact::Numbers(numbers) => {
                let length = numbers.len();
                facts.set_item(name, give(py, numbers, [length])?)?;
            }
            Fact::Matrix(numbers, columns) => {
                let rows = numbers.len() / columns.max(1);
                facts.set_item(name, give(py, numbers, [rows, columns])?)?;
            }
            Fact::Items(items) => facts.set_item(name, items)?,
            Fact::Lists(lists) => facts.set_item(name, lists)?,
        }
    }
    let winners = ids(outcome.winners);
    let count = winners.len();
    let scores = outcome.scores.map(|scores| give(py, scores, [m])).transpose()?;
    let out = (give(py, winners, [count])?, scores, give(py, ids(outcome.buckets), [m])?, facts);
    Ok(out.into_pyobject(py)?.into_any())
}
