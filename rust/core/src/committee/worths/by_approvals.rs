//! Rules on approvals.

use super::{Built, count, falling};
use crate::committee::amount::Factors;
use crate::committee::rules::{Params, Profile, Rule, Run};
use crate::committee::thiele::{Thiele, geometric, harmonic, odd, threshold};
use crate::committee::views::Approvals;
use crate::committee::{egalitarian, maximin, monroe, phragmen, reverse, scores, shares};
use crate::{Error, Result};

const SEPARABLE: &[&str] = &["modular", "exact"];
const SUBMODULAR: &[&str] = &["monotone", "submodular"];
const GROWING: &[&str] = &["monotone", "submodular", "committee-monotone"];

pub(crate) const ROWS: &[Rule] = &[
    row("av", "approval voting", SEPARABLE, Run::Best(av)),
    row("sav", "Brams and Kilgour 2014", SEPARABLE, Run::Best(sav)),
    row("pav", "Thiele 1895", &["monotone", "submodular", "ejr+"], Run::Best(pav)),
    row("slav", "Lackner and Skowron 2021", SUBMODULAR, Run::Best(slav)),
    row(
        "cc",
        "Thiele 1895; Chamberlin and Courant 1983",
        &["monotone", "submodular", "jr"],
        Run::Best(cc),
    ),
    row("geometric", "Skowron, Faliszewski and Lang 2016, base p", SUBMODULAR, Run::Best(powers)),
    row(
        "threshold",
        "Fishburn and Pekec 2004, t members at most count",
        SUBMODULAR,
        Run::Best(at_most),
    ),
    row("thiele", "Thiele 1895, factors given", SUBMODULAR, Run::Best(given)),
    row("seqpav", "Thiele 1895", GROWING, Run::Sequential(pav)),
    row("seqslav", "Thiele 1895", GROWING, Run::Sequential(slav)),
    row(
        "seqcc",
        "Thiele 1895",
        &["monotone", "submodular", "committee-monotone", "jr"],
        Run::Sequential(cc),
    ),
    row("revseqpav", "Thiele 1895", &["committee-monotone"], reverse::PAV),
    row(
        "seqphragmen",
        "Phragmen 1899",
        &["committee-monotone", "pjr", "priceable"],
        phragmen::SEQUENTIAL,
    ),
    row(
        "maximin_support",
        "Sanchez-Fernandez et al. 2022",
        &["committee-monotone", "pjr"],
        maximin::SUPPORT,
    ),
    row("equal_shares", "Peters and Skowron 2020", &["ejr+", "priceable"], shares::APPROVALS),
    row("monroe", "Monroe 1995", &["jr-when-divisible"], monroe::EXACT),
    row("greedy_monroe", "Skowron, Faliszewski and Slinko 2015", &[], monroe::GREEDY),
    row("minimaxav", "Brams, Kilgour and Sanver 2007", &[], egalitarian::MINIMAX),
];

const fn row(
    name: &'static str,
    source: &'static str,
    laws: &'static [&'static str],
    run: Run,
) -> Rule {
    Rule { name, ballots: "approvals", source, laws, run }
}

pub(crate) fn sets<'a>(profile: &'a Profile<'a>) -> Result<&'a Approvals> {
    match profile {
        Profile::Approvals(approvals) => Ok(approvals),
        other => Err(Error::range("profile", "approvals", other.ballots())),
    }
}

fn av<'a>(profile: &'a Profile<'a>, _: &Params<'_>, _: usize) -> Result<Built<'a>> {
    Ok(Built::Modular(scores::approvals(sets(profile)?)))
}

fn sav<'a>(profile: &'a Profile<'a>, _: &Params<'_>, _: usize) -> Result<Built<'a>> {
    Ok(Built::Modular(scores::satisfaction(sets(profile)?)))
}

fn thiele<'a>(
    profile: &'a Profile<'a>,
    factors: impl FnOnce(u128) -> Factors,
) -> Result<Built<'a>> {
    let sets = sets(profile)?;
    Ok(Built::Thiele(Thiele::new(sets, factors(u128::from(sets.weights.total)))))
}

fn pav<'a>(profile: &'a Profile<'a>, _: &Params<'_>, k: usize) -> Result<Built<'a>> {
    thiele(profile, |most| harmonic(k, most))
}

fn slav<'a>(profile: &'a Profile<'a>, _: &Params<'_>, k: usize) -> Result<Built<'a>> {
    thiele(profile, |most| odd(k, most))
}

fn cc<'a>(profile: &'a Profile<'a>, _: &Params<'_>, k: usize) -> Result<Built<'a>> {
    thiele(profile, |_| threshold(1, k))
}

fn powers<'a>(profile: &'a Profile<'a>, params: &Params<'_>, k: usize) -> Result<Built<'a>> {
    let p = params.p.unwrap_or(2.0);
    if p.is_nan() || p < 1.0 || p.is_infinite() {
        return Err(Error::range("p", "a finite number of at least 1", p));
    }
    thiele(profile, |most| geometric(p, k, most))
}

fn at_most<'a>(profile: &'a Profile<'a>, params: &Params<'_>, k: usize) -> Result<Built<'a>> {
    let t = count(params, None)?;
    thiele(profile, |_| threshold(t.min(k), k))
}

fn given<'a>(profile: &'a Profile<'a>, params: &Params<'_>, _: usize) -> Result<Built<'a>> {
    let factors = falling(params)?;
    thiele(profile, |_| factors)
}
