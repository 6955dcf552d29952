//! Method of Equal Shares on approvals, and its completions.

use num_rational::BigRational;

use super::amount::Amount;
use super::bounds::Bounds;
use super::ledger::{Form, Ledger, NOTHING, ONE, lowest};
use super::outcome::{Committee, Options};
use super::process::{Process, run};
use super::rules::{Params, Profile, Run};
use super::views::Approvals;
use super::worths::by_approvals::sets;
use crate::{Error, Result};

pub(super) const APPROVALS: Run = Run::Own { elect: equal_shares, score: None };
pub(super) use super::shares_utilities::UTILITIES;

/// How seats are filled that nobody can afford.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Completion {
    /// Left empty.
    None,
    /// Supporters borrow: sequential Phragmen from what is left.
    Phragmen,
    /// Most approved first.
    Approval,
    /// More money for everybody until the seats are filled.
    Increment,
}

impl Completion {
    pub(super) fn parse(name: Option<&str>) -> Result<Self> {
        match name {
            None | Some("seqphragmen") => Ok(Self::Phragmen),
            Some("none") => Ok(Self::None),
            Some("av") => Ok(Self::Approval),
            Some("increment") => Ok(Self::Increment),
            Some(other) => {
                let expected = "seqphragmen, av, increment or none";
                Err(Error::range("completion", expected, other))
            }
        }
    }
}

/// Most steps of the budget in completion by increments.
const INCREMENTS: usize = 1_000_000;

/// Every voter holds an equal share of `k`; an item costs 1, paid by supporters in parts as equal as their
/// money allows, and the one with the smallest largest part is bought.
///
/// Source: Peters and Skowron 2020, Rule X; Lackner and Skowron 2023, section 2.
fn equal_shares(
    profile: &Profile<'_>,
    bounds: &Bounds,
    params: &Params<'_>,
    options: &Options<'_>,
) -> Result<Committee> {
    let approvals = sets(profile)?;
    let completion = Completion::parse(params.completion)?;
    let money = bounds.size();
    if completion != Completion::Increment {
        return run(&Shares { approvals, money: Some(money), completion }, bounds, options);
    }
    let options = &Options { stop: options.stop.patient(), ..*options };
    let wanted = approvals.by_item.iter().filter(|list| !list.is_empty()).count();
    if wanted >= bounds.size() {
        for extra in 0..INCREMENTS {
            let completion = Completion::None;
            let shares = Shares { approvals, money: Some(money + extra), completion };
            let found = run(&shares, bounds, options)?;
            if found.members.len() == bounds.size() {
                return Ok(found);
            }
            if options.stop.expired() {
                break;
            }
        }
    }
    let completion = Completion::Approval;
    run(&Shares { approvals, money: Some(money), completion }, bounds, options)
}

/// Rules by which supporters buy items: equal shares from money given, then sequential Phragmen, which
/// starts without money and lets it become negative.
pub(super) struct Shares<'a> {
    pub(super) approvals: &'a Approvals,
    /// Money of all voters together; `None` for sequential Phragmen.
    pub(super) money: Option<usize>,
    pub(super) completion: Completion,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Buying,
    Borrowing,
    Counting,
}

#[derive(Debug, Clone)]
pub(super) struct Purse {
    ledger: Ledger,
    class: Vec<usize>,
    phase: Phase,
    /// Buying: prices at or below the current ones, infinite for what nobody can afford any more.
    /// Borrowing: what supporters hold together.
    known: Vec<f64>,
    support: Vec<u64>,
    weight_of_class: Vec<u64>,
}

/// Supporters who pay less than the others.
struct Offer {
    price: f64,
    form: Form,
    /// Classes that pay all they have.
    poor: Vec<usize>,
}

impl Shares<'_> {
    /// Weight of an item's supporters by class, richest last.
    fn supporters(&self, purse: &mut Purse, item: usize) -> Vec<(usize, Amount)> {
        purse.weight_of_class.resize(purse.ledger.classes(), 0);
        let mut classes = Vec::new();
        for voter in self.approvals.by_item.get(item) {
            let class = purse.class[*voter as usize];
            let weight = self.approvals.weights.units[*voter as usize];
            let slot = &mut purse.weight_of_class[class];
            if *slot == 0 && weight > 0 {
                classes.push(class);
            }
            *slot += weight;
        }
        classes.sort_unstable();
        let mut held: Vec<(usize, Amount)> = classes
            .into_iter()
            .map(|class| (class, Amount::from(std::mem::take(&mut purse.weight_of_class[class]))))
            .collect();
        held.sort_by(|a, b| purse.ledger.holding(a.0).total_cmp(&purse.ledger.holding(b.0)));
        held
    }

    /// The smallest `q` with `sum w min(b, q) = 1` over the supporters, if they hold 1.
    fn offer(&self, purse: &mut Purse, item: usize) -> Option<Offer> {
        let held = self.supporters(purse, item);
        let mut rich: Amount = held.iter().map(|(_, weight)| weight).sum();
        let mut paid = 0.0;
        let mut poor = Vec::new();
        for (index, (class, weight)) in held.iter().enumerate() {
            let (price, holding) = ((1.0 - paid) / rich as f64, purse.ledger.holding(*class));
            // Only a close call is worth building forms for.
            let close = (price - holding).abs() <= 1e-9 * price.abs().max(holding.abs());
            let enough = if close {
                let ledger = &mut purse.ledger;
                let form = ledger.owed(1, held[..index].iter().copied(), rich);
                let (price, holding) = ((&form, price), (&ledger.held(*class), holding));
                let order = ledger.compare(holding, price, holding.1.abs().max(price.1.abs()));
                if order.is_eq() {
                    poor.push(*class); // pays all it has, like the rich
                }
                order.is_ge()
            } else {
                holding > price
            };
            if enough {
                let form = purse.ledger.owed(1, held[..index].iter().copied(), rich);
                return Some(Offer { price, form, poor });
            }
            poor.push(*class);
            paid += *weight as f64 * holding;
            rich -= weight;
        }
        None
    }

    /// Items with the lowest price, evaluated lazily: prices only rise.
    fn affordable(&self, purse: &mut Purse, allowed: &dyn Fn(usize) -> bool) -> Vec<usize> {
        let mut fresh = vec![false; purse.known.len()];
        let mut bids: Vec<(usize, f64)> = Vec::new();
        let mut best = f64::INFINITY;
        let open: Vec<usize> = (0..purse.known.len())
            .filter(|item| purse.known[*item].is_finite() && allowed(*item))
            .collect();
        loop {
            let next = open
                .iter()
                .filter(|item| !fresh[**item] && purse.known[**item] <= best * (1.0 + 1e-9))
                .min_by(|a, b| purse.known[**a].total_cmp(&purse.known[**b]));
            let Some(item) = next.copied() else { break };
            fresh[item] = true;
            purse.known[item] = f64::INFINITY;
            if let Some(offer) = self.offer(purse, item) {
                purse.known[item] = offer.price;
                best = best.min(offer.price);
                bids.push((item, offer.price));
            }
        }
        bids.sort_unstable_by_key(|(item, _)| *item);
        self.cheapest(purse, &bids, true)
    }

    fn cheapest(&self, purse: &mut Purse, bids: &[(usize, f64)], buying: bool) -> Vec<usize> {
        let least = bids.iter().fold(f64::INFINITY, |a, (_, price)| a.min(*price));
        let close: Vec<usize> = bids
            .iter()
            .filter(|(_, price)| *price <= least + 1e-9 * least.abs())
            .map(|(item, _)| *item)
            .collect();
        if close.len() <= 1 {
            return close;
        }
        let forms: Vec<((usize, Form), f64)> = close
            .iter()
            .filter_map(|item| {
                let form =
                    if buying { self.offer(purse, *item)?.form } else { self.debt(purse, *item) };
                Some(((*item, form), least))
            })
            .collect();
        let tied = lowest(&mut purse.ledger, &forms, |_, (_, form)| form.clone());
        tied.into_iter().map(|(item, _)| item).collect()
    }

    /// The load of an item's supporters if they buy it: `(1 - what they hold) / their weight`.
    fn debt(&self, purse: &mut Purse, item: usize) -> Form {
        let held = self.supporters(purse, item);
        purse.ledger.owed(1, held.into_iter(), Amount::from(purse.support[item]))
    }

    /// Items with the lowest load; those without supporters come last.
    fn borrowable(&self, purse: &mut Purse, allowed: &dyn Fn(usize) -> bool) -> Vec<usize> {
        let open: Vec<usize> = (0..purse.known.len()).filter(|item| allowed(*item)).collect();
        let bids: Vec<(usize, f64)> = open
            .iter()
            .filter(|item| purse.support[**item] > 0)
            .map(|item| (*item, (1.0 - purse.known[*item]) / purse.support[*item] as f64))
            .collect();
        if bids.is_empty() { open } else { self.cheapest(purse, &bids, false) }
    }

    fn borrow(&self, purse: &mut Purse, item: usize) -> f64 {
        if purse.support[item] == 0 {
            return 0.0;
        }
        let form = self.debt(purse, item);
        let load = purse.ledger.name(form);
        let class = purse.ledger.class(NOTHING, load, -1);
        let after = purse.ledger.holding(class);
        for voter in self.approvals.by_item.get(item) {
            let voter = *voter as usize;
            let weight = self.approvals.weights.units[voter] as f64;
            let change = weight * (after - purse.ledger.holding(purse.class[voter]));
            for other in self.approvals.by_voter.get(voter) {
                purse.known[*other as usize] += change;
            }
            purse.class[voter] = class;
        }
        purse.ledger.approx(load)
    }

    fn buy(&self, purse: &mut Purse, item: usize) -> f64 {
        let Some(offer) = self.offer(purse, item) else { return 0.0 };
        let price = purse.ledger.name(offer.form);
        let mut after = vec![usize::MAX; purse.ledger.classes()];
        for class in &offer.poor {
            after[*class] = NOTHING;
        }
        for voter in self.approvals.by_item.get(item) {
            let class = &mut purse.class[*voter as usize];
            if after[*class] == usize::MAX {
                after[*class] = purse.ledger.class(*class, price, -1);
            }
            *class = after[*class];
        }
        purse.known[item] = f64::INFINITY;
        offer.price
    }

    /// The phase after nobody can afford anything.
    fn next_phase(&self, purse: &mut Purse) {
        if self.completion == Completion::Approval {
            purse.phase = Phase::Counting;
            return;
        }
        purse.phase = Phase::Borrowing;
        purse.known = self
            .approvals
            .by_item
            .iter()
            .map(|list| {
                let held = list.iter().map(|voter| {
                    let voter = *voter as usize;
                    self.approvals.weights.units[voter] as f64
                        * purse.ledger.holding(purse.class[voter])
                });
                held.sum()
            })
            .collect();
    }
}

impl Process for Shares<'_> {
    type State = Purse;
    type Key = Vec<BigRational>;

    fn start(&self) -> Purse {
        let mut ledger = Ledger::new();
        let m = self.approvals.items();
        let support: Vec<u64> = (0..m).map(|item| self.approvals.support(item)).collect();
        let total = Amount::from(self.approvals.weights.total.max(1));
        let (class, phase) = match self.money {
            None => (NOTHING, Phase::Borrowing),
            Some(money) => {
                let mut terms = vec![0; ONE + 1];
                terms[ONE] = money as Amount;
                let share = ledger.name(Form { terms, divisor: total });
                (ledger.class(NOTHING, share, 1), Phase::Buying)
            }
        };
        let known = match phase {
            Phase::Buying => support
                .iter()
                .map(|s| if *s > 0 { 1.0 / *s as f64 } else { f64::INFINITY })
                .collect(),
            _ => vec![0.0; m],
        };
        let class = vec![class; self.approvals.voters()];
        Purse { ledger, class, phase, known, support, weight_of_class: Vec::new() }
    }

    fn choices(
        &self,
        purse: &mut Purse,
        _members: &[usize],
        allowed: &dyn Fn(usize) -> bool,
    ) -> Result<Vec<usize>> {
        if purse.phase == Phase::Buying {
            let choices = self.affordable(purse, allowed);
            if !choices.is_empty() || self.completion == Completion::None {
                return Ok(choices);
            }
            self.next_phase(purse);
        }
        if purse.phase == Phase::Borrowing {
            return Ok(self.borrowable(purse, allowed));
        }
        let open: Vec<usize> = (0..purse.support.len()).filter(|item| allowed(*item)).collect();
        let most = open.iter().map(|item| purse.support[*item]).max();
        Ok(open.into_iter().filter(|item| Some(purse.support[*item]) == most).collect())
    }

    fn choose(&self, purse: &mut Purse, item: usize) -> f64 {
        let scale = self.approvals.weights.unit.scale;
        match purse.phase {
            Phase::Buying => self.buy(purse, item) * scale,
            Phase::Borrowing => self.borrow(purse, item) * scale,
            Phase::Counting => purse.support[item] as f64 / scale,
        }
    }

    fn key(&self, purse: &mut Purse) -> Vec<BigRational> {
        let classes: Vec<Form> =
            (0..purse.ledger.classes()).map(|class| purse.ledger.held(class)).collect();
        let values: Vec<BigRational> =
            classes.iter().map(|form| purse.ledger.exact(form)).collect();
        purse.class.iter().map(|class| values[*class].clone()).collect()
    }
}
