//! Rules on rankings.

use super::{Built, count, falling, ones, vector};
use crate::committee::amount::{Amount, Factors};
use crate::committee::cover::Cover;
use crate::committee::owa::{Norm, Owa, Worth};
use crate::committee::rules::{Params, Profile, Rule, Run};
use crate::committee::views::{Cells, Places};
use crate::committee::{egalitarian, monroe, scores, thiele};
use crate::{Error, Result};

const SEPARABLE: &[&str] = &["modular", "exact"];
const SUBMODULAR: &[&str] = &["monotone", "submodular"];

pub(crate) const ROWS: &[Rule] = &[
    row("sntv", "single non-transferable vote", SEPARABLE, Run::Best(sntv)),
    row("bloc", "Bloc; t places count, k by default", SEPARABLE, Run::Best(bloc)),
    row("k_borda", "Debord 1992", SEPARABLE, Run::Best(k_borda)),
    row(
        "positional",
        "Elkind et al. 2017, weakly separable rules",
        SEPARABLE,
        Run::Best(positional),
    ),
    row("cc", "Chamberlin and Courant 1983", SUBMODULAR, Run::Best(cc)),
    row("approval_cc", "Procaccia, Rosenschein and Zohar 2008", SUBMODULAR, Run::Best(approval_cc)),
    row("pav", "Skowron, Faliszewski and Lang 2016, harmonic Borda", SUBMODULAR, Run::Best(pav)),
    row("t_borda", "Faliszewski et al. 2018, the t best count", SUBMODULAR, Run::Best(t_borda)),
    row("owa", "Skowron, Faliszewski and Lang 2016", SUBMODULAR, Run::Best(owa)),
    row("lp_borda", "Faliszewski et al. 2017", SUBMODULAR, Run::Best(lp_borda)),
    row("seqcc", "Lu and Boutilier 2011", SUBMODULAR, Run::Sequential(cc)),
    row("seqpav", "Skowron, Faliszewski and Lang 2016", SUBMODULAR, Run::Sequential(pav)),
    row("monroe", "Monroe 1995", &[], monroe::EXACT),
    row("greedy_monroe", "Skowron, Faliszewski and Slinko 2015", &[], monroe::GREEDY),
    row("egalitarian_cc", "Betzler, Slinko and Uhlmann 2013", &[], egalitarian::COVER),
];

const fn row(
    name: &'static str,
    source: &'static str,
    laws: &'static [&'static str],
    run: Run,
) -> Rule {
    Rule { name, ballots: "rankings", source, laws, run }
}

fn places<'a>(profile: &'a Profile<'a>) -> Result<&'a Places<'a>> {
    match profile {
        Profile::Places(places) => Ok(places),
        other => Err(Error::range("profile", "rankings", other.ballots())),
    }
}

fn positions<'a>(places: &Places<'_>, scores: &Factors) -> Built<'a> {
    Built::Modular(scores::positional(places, scores, None))
}

fn sntv<'a>(profile: &'a Profile<'a>, _: &Params<'_>, _: usize) -> Result<Built<'a>> {
    let places = places(profile)?;
    Ok(positions(places, &scores::first(1, places.m)))
}

fn bloc<'a>(profile: &'a Profile<'a>, params: &Params<'_>, k: usize) -> Result<Built<'a>> {
    let places = places(profile)?;
    Ok(positions(places, &scores::first(count(params, Some(k.max(1)))?, places.m)))
}

fn k_borda<'a>(profile: &'a Profile<'a>, _: &Params<'_>, _: usize) -> Result<Built<'a>> {
    let places = places(profile)?;
    Ok(positions(places, &scores::borda(places.m)))
}

/// Scores of all `m` places.
fn given(params: &Params<'_>, m: usize) -> Result<Factors> {
    let values = vector(params)?;
    if values.len() == m {
        Ok(Factors::rounded(values))
    } else {
        Err(Error::length("vector", m, values.len()))
    }
}

fn positional<'a>(profile: &'a Profile<'a>, params: &Params<'_>, _: usize) -> Result<Built<'a>> {
    let places = places(profile)?;
    Ok(positions(places, &given(params, places.m)?))
}

#[allow(clippy::cast_possible_truncation, reason = "below 256 and 65,536: views check places")]
fn cc<'a>(profile: &'a Profile<'a>, params: &Params<'_>, k: usize) -> Result<Built<'a>> {
    let places = places(profile)?;
    let (m, weights) = (places.m, &places.weights);
    if params.vector.is_some() {
        return Ok(covered(places, &given(params, m)?));
    }
    let last = m.saturating_sub(1);
    Ok(match (places.cells, places.order) {
        (Cells::U8(cells), order) => {
            let order =
                order.and_then(|order| if let Cells::U8(o) = order { Some(o) } else { None });
            Built::Narrow(Cover::borda(cells, order, last.min(255) as u8, (m, k), weights))
        }
        (Cells::U16(cells), order) => {
            let order =
                order.and_then(|order| if let Cells::U16(o) = order { Some(o) } else { None });
            Built::Wide(Cover::borda(cells, order, last.min(65_535) as u16, (m, k), weights))
        }
    })
}

fn covered<'a>(places: &Places<'_>, scores: &Factors) -> Built<'a> {
    let worth = worth(places, scores);
    Built::Fine(Cover::distances(worth.values, worth.n, worth.m, worth.unit))
}

/// Worths, if they stay below `2^63`.
fn worth(places: &Places<'_>, scores: &Factors) -> Worth {
    let largest = scores.values.iter().copied().max().unwrap_or(0);
    if Amount::from(places.weights.total) * largest < 1 << 63 {
        return Worth::of_places(places, scores);
    }
    // Real weights and real scores together are too fine: take 2^12 steps per score.
    let shift = 27;
    let values = scores.values.iter().map(|s| s >> shift).collect();
    let mut unit = scores.unit;
    unit.scale /= f64::from(1_u32 << shift);
    unit.grain = 2;
    Worth::of_places(places, &Factors { values, unit })
}

fn approval_cc<'a>(profile: &'a Profile<'a>, params: &Params<'_>, k: usize) -> Result<Built<'a>> {
    let places = places(profile)?;
    Ok(covered(places, &scores::first(count(params, Some(k.max(1)))?, places.m)))
}

fn averaged<'a>(places: &Places<'_>, params: &Params<'_>, factors: Factors, k: usize) -> Built<'a> {
    let first = params.t.map_or_else(|| scores::borda(places.m), |t| scores::first(t, places.m));
    Built::Owa(Owa::new(worth(places, &first), factors, k))
}

fn pav<'a>(profile: &'a Profile<'a>, params: &Params<'_>, k: usize) -> Result<Built<'a>> {
    let places = places(profile)?;
    let most = u128::from(places.weights.total) * places.m as u128;
    Ok(averaged(places, params, thiele::harmonic(k, most), k))
}

fn t_borda<'a>(profile: &'a Profile<'a>, params: &Params<'_>, k: usize) -> Result<Built<'a>> {
    let places = places(profile)?;
    let t = count(params, None)?;
    Ok(averaged(places, &Params::default(), ones(t.min(k.max(1))), k))
}

fn owa<'a>(profile: &'a Profile<'a>, params: &Params<'_>, k: usize) -> Result<Built<'a>> {
    Ok(averaged(places(profile)?, params, falling(params)?, k))
}

fn lp_borda<'a>(profile: &'a Profile<'a>, params: &Params<'_>, k: usize) -> Result<Built<'a>> {
    let places = places(profile)?;
    match params.p {
        Some(p) if p >= 1.0 && p.is_finite() => Ok(Built::Norm(Norm::borda(places, p, k))),
        Some(p) => Err(Error::range("p", "a finite number of at least 1", p)),
        None => Err(Error::range("p", "a finite number of at least 1", "none")),
    }
}
