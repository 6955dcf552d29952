//! The table of rules.

use super::bounds::Bounds;
use super::outcome::{Committee, Method, Options};
use super::search::{optimise, value};
use super::single_peaked;
use super::views::{Approvals, Places, Utilities};
use super::worths::{Built, by_approvals, by_rankings, by_utilities};
use crate::{Error, Result};

/// What voters said.
#[derive(Debug, Clone)]
pub enum Profile<'a> {
    /// Rankings.
    Places(Places<'a>),
    /// Sets.
    Approvals(&'a Approvals),
    /// Numbers.
    Utilities(&'a Utilities),
}

impl Profile<'_> {
    /// Number of items.
    #[must_use]
    pub fn items(&self) -> usize {
        match self {
            Self::Places(places) => places.m,
            Self::Approvals(approvals) => approvals.items(),
            Self::Utilities(utilities) => utilities.m,
        }
    }

    /// The name of the kind of ballots.
    #[must_use]
    pub fn ballots(&self) -> &'static str {
        match self {
            Self::Places(_) => "rankings",
            Self::Approvals(_) => "approvals",
            Self::Utilities(_) => "utilities",
        }
    }
}

/// Numbers that some rules take.
#[derive(Debug, Clone, Copy, Default)]
pub struct Params<'a> {
    /// Scores of places, or factors `lambda_1, lambda_2, ...`.
    pub vector: Option<&'a [f64]>,
    /// A whole number: how many places or members count.
    pub t: Option<usize>,
    /// A real number: the power of a norm, the base of a geometric sequence.
    pub p: Option<f64>,
    /// How rules that may leave seats empty fill them.
    pub completion: Option<&'a str>,
}

/// One row: a rule for one kind of ballots.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// The field's name.
    pub name: &'static str,
    /// `rankings`, `approvals` or `utilities`.
    pub ballots: &'static str,
    /// Where it comes from.
    pub source: &'static str,
    /// Properties that tests check.
    pub laws: &'static [&'static str],
    pub(super) run: Run,
}

/// Builds the objective of a rule for committees of `k`.
pub(super) type Build = for<'a> fn(&'a Profile<'a>, &Params<'_>, usize) -> Result<Built<'a>>;

/// A procedure of its own.
pub(super) type Elect = fn(&Profile<'_>, &Bounds, &Params<'_>, &Options<'_>) -> Result<Committee>;
/// What a committee is worth to it.
pub(super) type Score = fn(&Profile<'_>, &[usize]) -> Result<f64>;

#[derive(Debug, Clone, Copy)]
pub(super) enum Run {
    /// Maximises an objective.
    Best(Build),
    /// Adds the largest gain again and again.
    Sequential(Build),
    /// Has a procedure of its own.
    Own { elect: Elect, score: Option<Score> },
}

/// Every rule, a row each.
pub const RULES: &[&[Rule]] = &[by_rankings::ROWS, by_approvals::ROWS, by_utilities::ROWS];

fn rule(name: &str, profile: &Profile<'_>) -> Result<&'static Rule> {
    let rows = || RULES.iter().copied().flatten().filter(|rule| rule.ballots == profile.ballots());
    rows().find(|rule| rule.name == name).ok_or_else(|| Error::UnknownName {
        kind: match profile {
            Profile::Places(_) => "committee rule on rankings",
            Profile::Approvals(_) => "committee rule on approvals",
            Profile::Utilities(_) => "committee rule on utilities",
        },
        name: name.to_owned(),
        known: rows().map(|rule| rule.name).collect(),
    })
}

/// Chooses a committee.
///
/// # Errors
/// [`Error::UnknownName`] for a rule that the kind of ballots does not have, [`Error::Range`] for wrong
/// parameters, [`Error::Interrupted`].
pub fn elect(
    name: &str,
    profile: &Profile<'_>,
    bounds: &Bounds,
    params: &Params<'_>,
    options: &Options<'_>,
) -> Result<Committee> {
    let rule = rule(name, profile)?;
    if profile.items() != bounds.items() {
        return Err(Error::length("bounds", profile.items(), bounds.items()));
    }
    within(options.threads, |threads| {
        let own = Options { threads, ..*options };
        let options = Options { stop: own.stop.patient(), ..own };
        if options.method == Method::SinglePeaked {
            return match (rule.name, profile, params.vector) {
                ("cc", Profile::Places(places), None) => {
                    single_peaked::elect(places, bounds, &options)
                }
                _ => Err(Error::range("method", "another but for cc on rankings", "single_peaked")),
            };
        }
        match rule.run {
            Run::Best(build) => optimise(&build(profile, params, bounds.size())?, bounds, &options),
            Run::Sequential(build) => {
                let method =
                    if options.method == Method::Plain { Method::Plain } else { Method::Greedy };
                let options = Options { method, ..options };
                let mut found =
                    optimise(&build(profile, params, bounds.size())?, bounds, &options)?;
                found.method = "sequential";
                Ok(found)
            }
            Run::Own { elect, .. } => elect(profile, bounds, params, &own),
        }
    })
}

/// What a committee is worth under a rule that maximises something; `None` under other rules.
///
/// # Errors
/// As [`elect`]; [`Error::Range`] for members that are out of range or repeated.
pub fn score(
    name: &str,
    profile: &Profile<'_>,
    params: &Params<'_>,
    members: &[usize],
) -> Result<Option<f64>> {
    let rule = rule(name, profile)?;
    check_members(profile.items(), members)?;
    match rule.run {
        Run::Best(build) | Run::Sequential(build) => {
            let built = build(profile, params, members.len())?;
            Ok(Some(value(&built, members)))
        }
        Run::Own { score, .. } => score.map(|score| score(profile, members)).transpose(),
    }
}

/// Members in range, each once.
///
/// # Errors
/// [`Error::Range`].
pub(super) fn check_members(m: usize, members: &[usize]) -> Result<()> {
    let mut seen = vec![false; m];
    for item in members {
        match seen.get_mut(*item) {
            None => {
                let expected = format!("items below {m}");
                return Err(Error::range("members", &expected, item));
            }
            Some(true) => {
                let got = format!("item {item} twice");
                return Err(Error::range("members", "distinct items", got));
            }
            Some(seen) => *seen = true,
        }
    }
    Ok(())
}

/// Runs `f` inside a pool of `threads`; it is told 1 or no number, so that no further pools are started.
fn within<T: Send>(
    threads: Option<usize>,
    f: impl FnOnce(Option<usize>) -> Result<T> + Send,
) -> Result<T> {
    match threads {
        Some(0) => Err(Error::range("threads", "a number of at least 1", 0)),
        None | Some(1) => f(threads),
        Some(count) => match crate::parallel::pool(count) {
            Some(pool) => pool.install(|| f(None)),
            None => f(Some(1)),
        },
    }
}
