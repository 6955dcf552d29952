//! Money as exact linear forms with floating-point shadows.
//!
//! Prices are fractions whose terms are earlier prices. Comparisons use their approximations and fall
//! back on exact rationals only where those are too close to tell, so that a tie is a tie and big
//! numbers are rarely made.

use std::cmp::Ordering;

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::Zero;

use super::amount::Amount;

/// Approximations closer than this, relative to their size, are compared exactly.
const CLOSE: f64 = 1e-10;

/// `(sum of coefficient * symbol) / divisor`.
#[derive(Debug, Clone)]
pub(super) struct Form {
    /// Coefficient of every symbol.
    pub(super) terms: Vec<Amount>,
    pub(super) divisor: Amount,
}

#[derive(Debug, Clone)]
struct Symbol {
    form: Option<Form>,
    approx: f64,
    exact: Option<BigRational>,
}

/// What voters of one class hold: what the parent class holds plus or minus a symbol.
#[derive(Debug, Clone, Copy)]
struct Class {
    parent: usize,
    symbol: usize,
    sign: Amount,
    approx: f64,
}

/// The symbol 1.
pub(super) const ONE: usize = 0;
/// The class that holds nothing.
pub(super) const NOTHING: usize = 0;

/// Symbols and classes.
#[derive(Debug, Clone)]
pub(super) struct Ledger {
    symbols: Vec<Symbol>,
    classes: Vec<Class>,
}

impl Ledger {
    pub(super) fn new() -> Self {
        let one = BigRational::from_integer(BigInt::from(1));
        Self {
            symbols: vec![Symbol { form: None, approx: 1.0, exact: Some(one) }],
            classes: vec![Class { parent: NOTHING, symbol: ONE, sign: 0, approx: 0.0 }],
        }
    }

    pub(super) fn classes(&self) -> usize {
        self.classes.len()
    }

    /// A new symbol.
    pub(super) fn name(&mut self, form: Form) -> usize {
        let approx = self.approximate(&form);
        self.symbols.push(Symbol { form: Some(form), approx, exact: None });
        self.symbols.len() - 1
    }

    /// A new class that holds what `parent` holds plus `sign` times a symbol.
    pub(super) fn class(&mut self, parent: usize, symbol: usize, sign: Amount) -> usize {
        let approx = self.classes[parent].approx + sign as f64 * self.symbols[symbol].approx;
        self.classes.push(Class { parent, symbol, sign, approx });
        self.classes.len() - 1
    }

    pub(super) fn holding(&self, class: usize) -> f64 {
        self.classes[class].approx
    }

    pub(super) fn approx(&self, symbol: usize) -> f64 {
        self.symbols[symbol].approx
    }

    /// `(one - sum of weight * holding of class) / divisor`.
    pub(super) fn owed(
        &self,
        one: Amount,
        held: impl Iterator<Item = (usize, Amount)>,
        divisor: Amount,
    ) -> Form {
        let mut terms = vec![0; self.symbols.len()];
        terms[ONE] = one;
        for (class, weight) in held {
            let mut class = &self.classes[class];
            loop {
                terms[class.symbol] -= weight * class.sign;
                if class.sign == 0 || class.parent == NOTHING {
                    break;
                }
                class = &self.classes[class.parent];
            }
        }
        Form { terms, divisor }
    }

    /// What a class holds.
    pub(super) fn held(&self, class: usize) -> Form {
        self.owed(0, std::iter::once((class, -1)), 1)
    }

    fn approximate(&self, form: &Form) -> f64 {
        let terms = form.terms.iter().zip(&self.symbols);
        let sum: f64 = terms.map(|(c, symbol)| *c as f64 * symbol.approx).sum();
        sum / form.divisor as f64
    }

    /// The exact value of a form.
    pub(super) fn exact(&mut self, form: &Form) -> BigRational {
        let mut sum = BigRational::zero();
        for (symbol, coefficient) in form.terms.iter().enumerate() {
            if *coefficient != 0 {
                sum += self.value(symbol) * BigInt::from(*coefficient);
            }
        }
        sum / BigInt::from(form.divisor)
    }

    /// Symbols refer to earlier ones only; those are worked out in order, not by recursion.
    fn value(&mut self, symbol: usize) -> BigRational {
        for earlier in 0..=symbol {
            if self.symbols[earlier].exact.is_none()
                && let Some(form) = self.symbols[earlier].form.take()
            {
                let mut sum = BigRational::zero();
                for (other, coefficient) in form.terms.iter().enumerate() {
                    if let Some(value) = &self.symbols[other].exact
                        && *coefficient != 0
                    {
                        sum += value * BigInt::from(*coefficient);
                    }
                }
                self.symbols[earlier].exact = Some(sum / BigInt::from(form.divisor));
                self.symbols[earlier].form = Some(form);
            }
        }
        self.symbols[symbol].exact.clone().unwrap_or_else(BigRational::zero)
    }

    /// Compares two forms whose approximations are given; `size` is what errors are relative to.
    pub(super) fn compare(
        &mut self,
        (a, near_a): (&Form, f64),
        (b, near_b): (&Form, f64),
        size: f64,
    ) -> Ordering {
        if (near_a - near_b).abs() > CLOSE * size {
            return near_a.total_cmp(&near_b);
        }
        self.exact(a).cmp(&self.exact(b))
    }
}

/// The bids that are exactly lowest, among bids with approximations; sorted as they come.
pub(super) fn lowest<T: Clone>(
    ledger: &mut Ledger,
    bids: &[(T, f64)],
    form: impl Fn(&Ledger, &T) -> Form,
) -> Vec<T> {
    let least = bids.iter().fold(f64::INFINITY, |a, (_, price)| a.min(*price));
    let close: Vec<&T> = bids
        .iter()
        .filter(|(_, price)| *price <= least + CLOSE * least.abs().max(f64::MIN_POSITIVE))
        .map(|(bid, _)| bid)
        .collect();
    if close.len() <= 1 {
        return close.into_iter().cloned().collect();
    }
    let forms: Vec<Form> = close.iter().map(|bid| form(ledger, bid)).collect();
    let values: Vec<BigRational> = forms.iter().map(|form| ledger.exact(form)).collect();
    let Some(least) = values.iter().min() else { return Vec::new() };
    close.into_iter().zip(&values).filter(|(_, v)| *v == least).map(|(b, _)| b.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_exact_where_floats_are_not() {
        let mut ledger = Ledger::new();
        let third = ledger.name(Form { terms: vec![1], divisor: 3 });
        let tenth = ledger.name(Form { terms: vec![1, 0], divisor: 10 });
        let class = ledger.class(NOTHING, third, 1);
        let class = ledger.class(class, tenth, -1);
        let held = ledger.held(class);
        let same = Form { terms: vec![7, 0, 0], divisor: 30 };
        let near = ledger.holding(class);
        assert_eq!(ledger.compare((&held, near), (&same, 7.0 / 30.0), 1.0), Ordering::Equal);
        let owed = ledger.owed(1, [(class, 3)].into_iter(), 2);
        assert_eq!(ledger.exact(&owed), BigRational::new(3.into(), 20.into()));
    }
}
