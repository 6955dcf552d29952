//! Orders that disagree least with the ballots.

mod ascent;
mod dual;
mod footrule;
mod heuristics;
mod local;
mod pieces;
mod pruned;
mod rest;
mod search;
mod starts;
mod subset;
mod weak;

use super::covering::smith;
use super::options::Options;
use super::outcome::{Fact, Outcome};
use super::rules::{Rule, Run};
use super::support::Support;
use crate::{Error, Result, Stop};
use dual::Aim;
use pieces::{Part, joined, pieces};
use pruned::{Beginnings, renamed};
use rest::Cycles;
use starts::starts;
use subset::{Cost, Table};

/// Components up to this size are solved by dynamic programming unless asked otherwise.
const SUBSETS: usize = 22;
/// Above this size, beginnings of best orders are looked for first, up to this share of all sets: more
/// take longer than all subsets.
const PRUNED: usize = 14;
const SHARE: usize = 64;
/// Sweeps of the bound that comes before, and of others, as long as they take less than so many steps.
const FIRST_SWEEPS: usize = 160;
const SWEEPS: usize = 1000;
const SWEPT: usize = 100_000_000;
/// Kicks of the local search that comes before, and of another one where bounds prove nothing.
const FIRST_KICKS: usize = 30;
const MORE_KICKS: usize = 100;
/// Kicks before a search among more items.
const LAST_KICKS: usize = 400;
/// The most items for which the first of all best orders is told, across pieces that ties set free.
const JOINED: usize = 24;
/// The most items for which all optimal orders are listed.
const LISTED: usize = 12;

/// Up to this size, cycles of three improve the lower bound of a search.
const CYCLES: usize = 300;

const OPTIONS: &[&str] = &["method", "all_optimal", "kicks", "starts", "nodes", "seed", "split"];

/// The rules of this file.
pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "kemeny",
        source: "Kemeny 1959; Young and Levenglick 1978",
        laws: &[
            "anonymous",
            "neutral",
            "homogeneous",
            "condorcet",
            "condorcet_loser",
            "smith",
            "reversal",
            "reinforcing_order",
        ],
        options: OPTIONS,
        run: Run::Support(kemeny),
    },
    Rule {
        name: "slater",
        source: "Slater 1961: the least number of majorities reversed",
        laws: &["anonymous", "neutral", "homogeneous", "condorcet", "condorcet_loser", "smith"],
        options: OPTIONS,
        run: Run::Support(|support, options, stop| {
            let (m, margins) = (support.items(), support.margins());
            let wins = margins.iter().map(|x| f64::from(u8::from(*x > 0.0))).collect();
            kemeny(&Support::new(wins, m)?, options, stop)
        }),
    },
    footrule::RULE,
    weak::RULE,
];

pub(crate) use heuristics::RULES as HEURISTICS;

/// How to solve components.
struct Plan {
    method: &'static str,
    list: bool,
    split: bool,
    kicks: Option<usize>,
    starts: usize,
    nodes: usize,
    seed: u64,
    threads: Option<usize>,
}

impl Plan {
    fn new(options: &Options) -> Result<Self> {
        let kicks = options.count("kicks", usize::MAX, 0, 1 << 40)?;
        Ok(Self {
            method: options.choice("method", &["auto", "subsets", "branch", "local"])?,
            list: options.flag("all_optimal", false)?,
            split: options.flag("split", true)?,
            kicks: Some(kicks).filter(|kicks| *kicks != usize::MAX),
            starts: options.count("starts", 4, 1, 1 << 20)?,
            nodes: options.count("nodes", 2_000_000, 0, 1 << 50)?,
            seed: options.seed()?,
            threads: options.threads,
        })
    }
}

fn kemeny(support: &Support, options: &Options, stop: Stop<'_>) -> Result<Outcome> {
    let stop = stop.patient();
    let m = support.items();
    let plan = Plan::new(options)?;
    let margins = support.margins();
    let layers = if plan.split { smith(&margins, m) } else { vec![0; m] };
    let count = layers.iter().max().map_or(0, |last| last + 1);
    let mut components: Vec<Vec<usize>> = vec![Vec::new(); count];
    layers.iter().enumerate().for_each(|(item, layer)| components[*layer].push(item));
    if plan.list {
        if let Some(large) = components.iter().map(Vec::len).find(|q| *q > LISTED) {
            let got = format!("{large} that have to be ordered together");
            return Err(Error::range("all_optimal", "at most 12 items in a cycle", got));
        }
    }
    let parts: Vec<Part> = components
        .iter()
        .map(|items| match items.len() {
            q if q == m => layer(support, &margins, &plan, stop),
            _ => {
                let part = support.restrict(items);
                layer(&part, &part.margins(), &plan, stop)
            }
        })
        .collect::<Result<_>>()?;
    let least = least(support, &margins);
    let order: Vec<usize> = components
        .iter()
        .zip(&parts)
        .flat_map(|(items, part)| part.order.iter().map(|i| items[*i]))
        .collect();
    let value = least + parts.iter().map(|part| part.excess).sum::<f64>();
    let bound = least + parts.iter().map(|part| part.bound).sum::<f64>();
    let proven = parts.iter().all(|part| part.proven);
    let mut outcome = Outcome::ordered(&order);
    outcome.winners = parts[0].winners.iter().map(|i| components[0][*i]).collect();
    let bound = if proven { value } else { bound.min(value) };
    let gap = if value > bound { value / bound - 1.0 } else { 0.0 };
    outcome = outcome
        .with("value", Fact::Number(value))
        .with("lower_bound", Fact::Number(bound))
        .with("gap", Fact::Number(gap))
        .with("optimal", Fact::Flag(proven));
    if plan.list {
        outcome = outcome.with("orders", Fact::Lists(products(&components, &parts)?));
    }
    Ok(outcome)
}

/// What every order costs at least: the lesser side of each pair, half its weight less half its margin.
fn least(support: &Support, margins: &[f64]) -> f64 {
    let sum = |values: &[f64], part: fn(f64) -> f64| -> f64 {
        if !support.is_exact() {
            return values.iter().map(|x| part(*x)).sum();
        }
        let mut lanes = [0.0; 8]; // exact sums do not depend on the order
        for chunk in values.chunks(lanes.len()) {
            lanes.iter_mut().zip(chunk).for_each(|(sum, x)| *sum += part(*x));
        }
        lanes.iter().sum()
    };
    (sum(support.values(), |x| x) - sum(margins, f64::abs) / 2.0) / 2.0
}

/// Every way to follow one order of each component by one of the next.
fn products(components: &[Vec<usize>], parts: &[Part]) -> Result<Vec<Vec<usize>>> {
    let count: f64 = parts.iter().map(|part| part.all.len() as f64).product();
    if count > 1e6 {
        let what = format!("all_optimal: there are {count} optimal orders, more than a million");
        return Err(Error::Infeasible { what });
    }
    let mut orders = vec![Vec::new()];
    for (items, part) in components.iter().zip(parts) {
        let more = |prefix: &Vec<usize>| {
            let named = |order: &Vec<usize>| {
                prefix.iter().copied().chain(order.iter().map(|i| items[*i])).collect()
            };
            part.all.iter().map(named).collect::<Vec<Vec<usize>>>()
        };
        orders = orders.iter().flat_map(more).collect();
    }
    Ok(orders)
}

/// Items that no majority splits into layers, but ties may still set free from each other.
fn layer(support: &Support, margins: &[f64], plan: &Plan, stop: Stop<'_>) -> Result<Part> {
    let q = support.items();
    let pieces = if plan.split && !plan.list { pieces(margins, q) } else { Vec::new() };
    if pieces.len() < 2 {
        return solve(support, margins, plan, stop);
    }
    let part = |items: &Vec<usize>| {
        let part = support.restrict(items);
        let mut part = solve(&part, &part.margins(), plan, stop)?;
        part.firsts = part.firsts.filter(|_| q <= JOINED);
        Ok(part)
    };
    let parts: Vec<Part> = pieces.iter().map(part).collect::<Result<_>>()?;
    Ok(joined(margins, q, &pieces, &parts))
}

fn solve(support: &Support, margins: &[f64], plan: &Plan, stop: Stop<'_>) -> Result<Part> {
    let (q, method) = (support.items(), plan.method);
    if q == 1 {
        let one = vec![0];
        let (order, winners, all) = (one.clone(), one.clone(), vec![one]);
        return Ok(Part { order, winners, all, proven: true, ..Part::default() });
    }
    match method {
        "subsets" if q > 24 => {
            Err(Error::range("method", "subsets for at most 24 items in a cycle", q))
        }
        "branch" if q > 64 => {
            Err(Error::range("method", "branch for at most 64 items in a cycle", q))
        }
        "auto" | "subsets" if q <= SUBSETS || method == "subsets" || plan.list => {
            if method == "auto" && q > PRUNED && !plan.list {
                if let Some(part) = beginnings(support, margins, plan, stop)? {
                    return Ok(part);
                }
            }
            subsets(support, margins, plan, stop)
        }
        "local" => searched(support, margins, plan, false, stop),
        _ => searched(support, margins, plan, q <= 64, stop),
    }
}

/// The answer of [`subsets`] from few sets, where bounds leave few.
fn beginnings(
    support: &Support,
    margins: &[f64],
    plan: &Plan,
    stop: Stop<'_>,
) -> Result<Option<Part>> {
    let (q, tolerance) = (support.items(), tolerance(support));
    let effort = local::Effort { kicks: FIRST_KICKS, seed: plan.seed, threads: Some(1), tolerance };
    let starts = starts(support, margins, 2, plan.seed);
    let (mut excess, order) = local::search(margins, q, &starts, effort, stop)?;
    let (backwards, names) = renamed(margins, q, &order);
    let aim = Aim::new(margins, support.is_exact(), excess, tolerance);
    let dual = dual::ascend(&backwards, q, aim, FIRST_SWEEPS, stop)?;
    if !aim.reached(dual.bound) {
        // A better order leaves fewer sets, which take more time than kicks.
        let effort = local::Effort { kicks: MORE_KICKS, ..effort };
        let start = [(0..q).rev().collect()];
        excess = local::search(&backwards, q, &start, effort, stop)?.0;
    }
    let limit = excess + tolerance * q as f64;
    let search = pruned::Search { limit, cap: (1 << q) / SHARE, threads: plan.threads };
    let cycles = Cycles::new(&dual);
    let Some(found) = Beginnings::new(&backwards, q, &cycles, search, stop)? else {
        return Ok(None);
    };
    let firsts = found.firsts(&names, tolerance);
    Ok(firsts.map(|firsts| Part::proven(margins, q, firsts, Vec::new())))
}

fn subsets(support: &Support, margins: &[f64], plan: &Plan, stop: Stop<'_>) -> Result<Part> {
    let Plan { list, threads, .. } = *plan;
    let q = support.items();
    // Only the cost beyond the lesser side of each pair matters.
    let beyond: Vec<f64> = margins.iter().map(|x| (-x).max(0.0)).collect();
    let most: f64 = beyond.iter().sum();
    if support.is_exact() && most < f64::from(u32::MAX / 8) {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "small integers"
        )]
        let costs = beyond.iter().map(|x| *x as u32).collect();
        let table = Table::<u32>::new(costs, q, threads, stop)?;
        return Ok(read(table, margins, list, |a, b| a == b));
    }
    let table = Table::<f64>::new(beyond, q, threads, stop)?;
    let tolerance = tolerance(support);
    Ok(read(table, margins, list, move |a, b| (a - b).abs() <= tolerance))
}

#[allow(clippy::cast_possible_truncation, reason = "sets of at most 24 items")]
fn read<T: Cost + 'static>(
    table: Table<T>,
    margins: &[f64],
    list: bool,
    same: impl Fn(T, T) -> bool + 'static,
) -> Part {
    let all = if list { table.orders(1_000_000, &same) } else { Vec::new() };
    let q = table.items();
    Part::proven(margins, q, Box::new(move |left| table.firsts(left as usize, &same)), all)
}

fn tolerance(support: &Support) -> f64 {
    if support.is_exact() { 0.0 } else { 1e-12 * support.total() * support.items() as f64 }
}

fn searched(
    support: &Support,
    margins: &[f64],
    plan: &Plan,
    exact: bool,
    stop: Stop<'_>,
) -> Result<Part> {
    let q = support.items();
    let (tolerance, seed) = (tolerance(support), plan.seed);
    let kicks = plan.kicks.unwrap_or(if q <= 64 { 200 } else { 20 });
    let starts = starts(support, margins, plan.starts, seed);
    let effort = local::Effort { kicks, seed, threads: plan.threads, tolerance };
    let (mut excess, mut order) = local::search(margins, q, &starts, effort, stop)?;
    let mut bound = 0.0;
    let mut proven = excess <= tolerance;
    if !proven && q <= CYCLES {
        let mut aim = Aim::new(margins, support.is_exact(), excess, tolerance);
        let cubes = q * (q - 1) * (q - 2) / 6;
        let sweeps = (SWEPT / cubes.max(1)).min(SWEEPS);
        let (backwards, names) = renamed(margins, q, &order);
        let dual = dual::ascend(&backwards, q, aim, sweeps, stop)?;
        if exact && plan.kicks.is_none() && !aim.reached(dual.bound) {
            // Kicks take less time than the sets that a better order leaves out.
            let effort = local::Effort { kicks: LAST_KICKS, ..effort };
            let start = [(0..q).rev().collect()];
            let (least, better) = local::search(&backwards, q, &start, effort, stop)?;
            if least < excess {
                (excess, order) = (least, better.iter().map(|c| names[*c]).collect());
                aim.excess = excess;
            }
        }
        bound = aim.rounded(dual.bound.max(search::cycle_bound(margins, q)));
        proven = aim.reached(bound);
        if exact && !proven {
            let effort = (plan.nodes, plan.threads);
            let best = search::branch(&backwards, &names, (aim, &dual), effort, stop)?;
            proven = best.proven;
            if let Some(better) = best.better {
                (excess, order) = (local::excess(margins, q, &better), better);
            }
        }
    }
    let winners = order[..1].to_vec();
    Ok(Part { order, winners, bound: bound.min(excess), excess, proven, ..Part::default() })
}
