//! Method of Equal Shares for additive utilities and items of equal cost.

use super::bounds::Bounds;
use super::outcome::{Committee, Options};
use super::process::{Process, run};
use super::rules::{Params, Profile, Run};
use super::views::Utilities;
use super::worths::by_utilities::numbers;
use crate::{Error, Result};

pub(super) const UTILITIES: Run = Run::Own { elect: equal_shares, score: None };

/// Prices within this of the lowest, relative to it, are tied.
const TIED: f64 = 1e-9;
/// Most steps of the budget in completion by increments.
const INCREMENTS: usize = 100_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Completion {
    None,
    Sum,
}

/// Every voter holds an equal share of `k`; supporters pay for an item in proportion to its utility as far
/// as their money goes, and the item with the smallest price per utility is bought.
///
/// Seats left over go to the largest sums of utilities (`sum`), or more money is given until there are
/// none (`increment`).
///
/// Source: Peters, Pierczynski and Skowron 2021, definition 1.
fn equal_shares(
    profile: &Profile<'_>,
    bounds: &Bounds,
    params: &Params<'_>,
    options: &Options<'_>,
) -> Result<Committee> {
    let utilities = numbers(profile)?;
    let money = bounds.size();
    let by = |money, completion, options: &Options<'_>| {
        run(&Shares { utilities, money, completion }, bounds, options)
    };
    match params.completion {
        None | Some("sum") => by(money, Completion::Sum, options),
        Some("none") => by(money, Completion::None, options),
        Some("increment") => {
            let options = &Options { stop: options.stop.patient(), ..*options };
            for extra in 0..INCREMENTS {
                let found = by(money + extra, Completion::None, options)?;
                if found.members.len() == bounds.size() {
                    return Ok(found);
                }
                if options.stop.expired() {
                    break;
                }
            }
            by(money, Completion::Sum, options)
        }
        Some(other) => Err(Error::range("completion", "sum, increment or none", other)),
    }
}

struct Shares<'a> {
    utilities: &'a Utilities,
    money: usize,
    completion: Completion,
}

#[derive(Clone)]
struct Purse {
    money: Vec<f64>,
    /// Prices at or below the current ones, infinite for what nobody can afford any more.
    known: Vec<f64>,
    buying: bool,
}

impl Shares<'_> {
    fn column(&self, item: usize) -> &[f64] {
        let n = self.utilities.voters();
        &self.utilities.plain[item * n..(item + 1) * n]
    }

    /// The smallest `q` with `sum_v min(b_v, q w_v u_v) = 1`, infinite if there is none.
    fn price(&self, purse: &Purse, item: usize) -> f64 {
        let mut supporters: Vec<(f64, f64, f64)> = Vec::new();
        let mut value = 0.0;
        let rows = self.column(item).iter().zip(&self.utilities.weights).zip(&purse.money);
        for ((u, w), money) in rows {
            if u * w > 0.0 {
                supporters.push((money / (u * w), *money, u * w));
                value += u * w;
            }
        }
        supporters.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut paid = 0.0;
        for (most, money, worth) in supporters {
            let price = (1.0 - paid) / value;
            if most >= price * (1.0 - TIED) {
                return price;
            }
            paid += money;
            value -= worth;
        }
        f64::INFINITY
    }

    fn total(&self, item: usize) -> f64 {
        self.column(item).iter().zip(&self.utilities.weights).map(|(u, w)| u * w).sum()
    }
}

impl Process for Shares<'_> {
    type State = Purse;
    type Key = Vec<u64>;

    fn start(&self) -> Purse {
        let total: f64 = self.utilities.weights.iter().sum();
        let share = |w: &f64| w * self.money as f64 / total;
        Purse {
            money: self.utilities.weights.iter().map(share).collect(),
            known: vec![0.0; self.utilities.m],
            buying: true,
        }
    }

    fn choices(
        &self,
        purse: &mut Purse,
        _members: &[usize],
        allowed: &dyn Fn(usize) -> bool,
    ) -> Result<Vec<usize>> {
        let open: Vec<usize> = (0..purse.known.len()).filter(|item| allowed(*item)).collect();
        if purse.buying {
            let mut fresh = vec![false; purse.known.len()];
            let mut best = f64::INFINITY;
            loop {
                let stale = open.iter().copied().filter(|item| {
                    let known = purse.known[*item];
                    !fresh[*item] && known.is_finite() && known <= best * (1.0 + TIED)
                });
                let next = stale.min_by(|a, b| purse.known[*a].total_cmp(&purse.known[*b]));
                let Some(item) = next else { break };
                fresh[item] = true;
                purse.known[item] = self.price(purse, item);
                best = best.min(purse.known[item]);
            }
            if best.is_finite() || self.completion == Completion::None {
                let tied = |item: &usize| fresh[*item] && purse.known[*item] <= best * (1.0 + TIED);
                return Ok(open.into_iter().filter(|i| best.is_finite() && tied(i)).collect());
            }
            purse.buying = false;
        }
        let totals: Vec<f64> = open.iter().map(|item| self.total(*item)).collect();
        let most = totals.iter().fold(0.0_f64, |a, x| a.max(*x));
        let tied = open.into_iter().zip(totals).filter(|(_, x)| *x >= most * (1.0 - TIED));
        Ok(tied.map(|(item, _)| item).collect())
    }

    fn choose(&self, purse: &mut Purse, item: usize) -> f64 {
        if !purse.buying {
            return self.total(item);
        }
        let price = self.price(purse, item);
        let column = self.column(item);
        let rows = purse.money.iter_mut().zip(column).zip(&self.utilities.weights);
        for ((money, u), w) in rows {
            *money = (*money - price * u * w).max(0.0);
        }
        price
    }

    fn key(&self, purse: &mut Purse) -> Vec<u64> {
        purse.money.iter().map(|money| (money * 1e12).round().to_bits()).collect()
    }
}
