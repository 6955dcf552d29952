//! Rules on utilities.

use super::{Built, count, falling, ones};
use crate::committee::amount::Factors;
use crate::committee::cover::Cover;
use crate::committee::owa::{Owa, Worth};
use crate::committee::rules::{Params, Profile, Rule, Run};
use crate::committee::views::{Distances, Utilities};
use crate::committee::{egalitarian, scores, shares, thiele};
use crate::{Error, Result};

const SUBMODULAR: &[&str] = &["monotone", "submodular"];

pub(crate) const ROWS: &[Rule] = &[
    row("sum", "utilitarian", &["modular", "exact"], Run::Best(sum)),
    row(
        "cc",
        "Cornuejols, Fisher and Nemhauser 1977, facility location",
        SUBMODULAR,
        Run::Best(cc),
    ),
    row("pav", "Skowron, Faliszewski and Lang 2016, harmonic", SUBMODULAR, Run::Best(pav)),
    row("t_best", "Faliszewski et al. 2018, the t best count", SUBMODULAR, Run::Best(t_best)),
    row("owa", "Skowron, Faliszewski and Lang 2016", SUBMODULAR, Run::Best(owa)),
    row("seqcc", "Lu and Boutilier 2011", SUBMODULAR, Run::Sequential(cc)),
    row("seqpav", "Skowron, Faliszewski and Lang 2016", SUBMODULAR, Run::Sequential(pav)),
    row("egalitarian_cc", "Betzler, Slinko and Uhlmann 2013", &[], egalitarian::COVER),
    row("equal_shares", "Peters, Pierczynski and Skowron 2021", &[], shares::UTILITIES),
];

const fn row(
    name: &'static str,
    source: &'static str,
    laws: &'static [&'static str],
    run: Run,
) -> Rule {
    Rule { name, ballots: "utilities", source, laws, run }
}

pub(crate) fn numbers<'a>(profile: &'a Profile<'a>) -> Result<&'a Utilities> {
    match profile {
        Profile::Utilities(utilities) => Ok(utilities),
        other => Err(Error::range("profile", "utilities", other.ballots())),
    }
}

fn sum<'a>(profile: &'a Profile<'a>, _: &Params<'_>, _: usize) -> Result<Built<'a>> {
    Ok(Built::Modular(scores::sums(numbers(profile)?)))
}

fn cc<'a>(profile: &'a Profile<'a>, _: &Params<'_>, _: usize) -> Result<Built<'a>> {
    let utilities = numbers(profile)?;
    Ok(match &utilities.distances {
        Distances::Coarse { below, largest } => {
            Built::Coarse(Cover::facility(below, largest, utilities))
        }
        Distances::Fine { below, largest } => {
            Built::Fine(Cover::facility(below, largest, utilities))
        }
    })
}

fn averaged<'a>(profile: &'a Profile<'a>, factors: Factors, k: usize) -> Result<Built<'a>> {
    Ok(Built::Owa(Owa::new(Worth::of_utilities(numbers(profile)?), factors, k)))
}

fn pav<'a>(profile: &'a Profile<'a>, _: &Params<'_>, k: usize) -> Result<Built<'a>> {
    averaged(profile, thiele::harmonic(k, 1 << 62), k)
}

fn t_best<'a>(profile: &'a Profile<'a>, params: &Params<'_>, k: usize) -> Result<Built<'a>> {
    averaged(profile, ones(count(params, None)?.min(k.max(1))), k)
}

fn owa<'a>(profile: &'a Profile<'a>, params: &Params<'_>, k: usize) -> Result<Built<'a>> {
    averaged(profile, falling(params)?, k)
}
