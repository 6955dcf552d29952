//! The table of rules.

use super::options::Options;
use super::outcome::Outcome;
use super::profile::Profile;
use super::support::Support;
use super::{
    borda_rounds, condorcet, covering, elimination, games, kemeny, locking, near, paths,
    positional, proportional, stable, walks,
};
use crate::{Error, Result, Stop};

type OnBallots = fn(&Profile, &Options, Stop<'_>) -> Result<Outcome>;
type OnSupport = fn(&Support, &Options, Stop<'_>) -> Result<Outcome>;

/// What a rule reads.
#[derive(Clone, Copy)]
pub(crate) enum Run {
    /// The ballots.
    Ballots(OnBallots),
    /// Pairwise support alone.
    Support(OnSupport),
}

/// A rule: how it is called, where it comes from, what its tests check.
#[derive(Clone, Copy)]
pub struct Rule {
    /// Its name in the literature.
    pub name: &'static str,
    /// Where it was published.
    pub source: &'static str,
    /// Laws that it obeys.
    pub laws: &'static [&'static str],
    /// Options that it knows.
    pub options: &'static [&'static str],
    pub(crate) run: Run,
}

const FILES: &[&[Rule]] = &[
    positional::RULES,
    condorcet::RULES,
    covering::RULES,
    paths::RULES,
    locking::RULES,
    stable::RULES,
    borda_rounds::RULES,
    games::RULES,
    kemeny::RULES,
    kemeny::HEURISTICS,
    near::RULES,
    walks::RULES,
    elimination::RULES,
    proportional::RULES,
];

/// All rules.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    FILES.iter().flat_map(|rules| rules.iter())
}

/// What a rule decides about: ballots, or their pairwise support alone.
#[derive(Debug, Clone, Copy)]
pub enum Subject<'a> {
    /// Ballots.
    Profile(&'a Profile),
    /// A matrix of pairwise support.
    Support(&'a Support),
}

/// Runs a rule by its name.
///
/// # Errors
/// [`Error::UnknownName`] for the rule or an option, [`Error::Range`] for an option's value or for a
/// rule that needs ballots, [`Error::Interrupted`].
pub fn decide(
    name: &str,
    subject: Subject<'_>,
    options: &Options,
    stop: Stop<'_>,
) -> Result<Outcome> {
    let rule = rules().find(|rule| rule.name == name).ok_or_else(|| Error::UnknownName {
        kind: "rule",
        name: name.to_owned(),
        known: rules().map(|rule| rule.name).collect(),
    })?;
    options.check(rule.options)?;
    match (rule.run, subject) {
        (Run::Ballots(run), Subject::Profile(profile)) => run(profile, options, stop),
        (Run::Support(run), Subject::Support(support)) => run(support, options, stop),
        (Run::Support(run), Subject::Profile(profile)) => {
            run(profile.support(options.threads, stop.patient())?, options, stop)
        }
        (Run::Ballots(_), Subject::Support(_)) => {
            Err(Error::range("profile", "ballots for this rule", "a matrix of pairwise support"))
        }
    }
}
