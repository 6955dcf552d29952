//! Saving a matcher to bytes and resuming it.
//!
//! Layout, little endian: magic, version, rule, options, seed, totals, the arrays of the items, waiting
//! attempts, remembered names, checksum over everything before it.

use super::items::{Items, State, Terms};
use super::matcher::{Counts, Decision, Matcher};
use super::options::{Late, Options, Plan, Score, Seeds};
use super::pending::Pending;
use super::rules::find;
use crate::{Error, Result, rng};

const MAGIC: &[u8; 8] = b"GUSTMTCH";
const VERSION: u64 = 1;

impl Matcher {
    /// Everything that later decisions depend on, as bytes.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let mut out = Writer(Vec::with_capacity(256 + 88 * self.items.len()));
        out.0.extend_from_slice(MAGIC);
        out.whole(VERSION);
        out.text(self.plan.rule.name);
        write_options(&mut out, &self.plan.options);
        out.whole(self.plan.seed);
        write_counts(&mut out, &self.counts);
        write_items(&mut out, &self.items);
        out.whole(self.pending.len() as u64);
        for (number, pending) in self.pending.iter() {
            out.whole(number);
            out.whole(pending.item as u64);
            out.number(pending.chance);
            out.whole(pending.arrival);
            out.number(pending.deadline);
        }
        out.whole(self.recent.len() as u64);
        for (name, decision) in self.recent.iter() {
            out.text(name);
            out.whole(decision.item.map_or(u64::MAX, u64::from));
            out.whole(decision.attempt.unwrap_or(u64::MAX));
        }
        let checksum = checksum(&out.0);
        out.whole(checksum);
        out.0
    }

    /// The matcher that a snapshot was taken of; later decisions and snapshots are the same to the bit.
    ///
    /// # Errors
    /// [`Error::Range`] when the bytes are no snapshot, of another version, cut short or altered.
    pub fn resume(bytes: &[u8]) -> Result<Self> {
        let body = bytes.len().checked_sub(8).ok_or_else(|| wrong("too few bytes"))?;
        let mut tail = Reader(&bytes[body..]);
        if tail.whole()? != checksum(&bytes[..body]) {
            return Err(wrong("a checksum that does not fit"));
        }
        let mut from = Reader(&bytes[..body]);
        if from.bytes(MAGIC.len())? != MAGIC {
            return Err(wrong("other bytes"));
        }
        match from.whole()? {
            VERSION => {}
            version => return Err(wrong(&format!("version {version}"))),
        }
        let rule = find(from.text()?)?;
        let options = read_options(&mut from)?;
        let mut matcher = Self::empty(Plan::new(rule, options, from.whole()?)?);
        matcher.counts = read_counts(&mut from)?;
        let mut items = read_items(&mut from)?;
        let limits = items.column(|state| state.limit);
        let weights: Vec<f64> = items.terms.iter().map(|terms| terms.weight).collect();
        let has_weights = matcher.rule().has_weights;
        matcher.check_limits(&limits, has_weights.then_some(weights.as_slice()))?;
        for (state, limit) in items.state.iter_mut().zip(limits) {
            state.table = matcher.plan.table_for(limit);
        }
        matcher.items = items;
        read_pending(&mut from, &mut matcher)?;
        for _ in 0..from.whole()? {
            let name = from.text()?.to_owned();
            let (item, attempt) = (from.whole()?, from.whole()?);
            let item = if item == u64::MAX { None } else { Some(small(item)?) };
            let attempt = (attempt != u64::MAX).then_some(attempt);
            matcher.recent.insert(&name, Decision { item, attempt });
        }
        if from.0.is_empty() { Ok(matcher) } else { Err(wrong("bytes left over")) }
    }
}

fn write_options(out: &mut Writer, options: &Options) {
    out.whole(match options.seeds {
        None => 0,
        Some(Seeds::Item) => 1,
        Some(Seeds::Unit) => 2,
    });
    let (low, high) = options.range.unwrap_or((f64::NAN, f64::NAN));
    let rest = [low, high, options.horizon.unwrap_or(f64::NAN), options.step.unwrap_or(f64::NAN)];
    out.numbers(&rest);
    out.whole(match options.score {
        None => 0,
        Some(Score::Table) => 1,
        Some(Score::Gompertz) => 2,
    });
    let (kind, delta) = match options.late {
        None => (0, 0.0),
        Some(Late::Instant) => (1, 0.0),
        Some(Late::Reserve) => (2, 0.0),
        Some(Late::Overbook(delta)) => (3, delta),
    };
    out.whole(kind);
    out.number(delta);
    out.whole(options.remember as u64);
}

fn read_options(from: &mut Reader<'_>) -> Result<Options> {
    let seeds = match from.whole()? {
        0 => None,
        1 => Some(Seeds::Item),
        2 => Some(Seeds::Unit),
        other => return Err(wrong(&format!("seeds {other}"))),
    };
    let mut given = || from.number().map(|x| (!x.is_nan()).then_some(x));
    let (low, high, horizon, step) = (given()?, given()?, given()?, given()?);
    let score = match from.whole()? {
        0 => None,
        1 => Some(Score::Table),
        2 => Some(Score::Gompertz),
        other => return Err(wrong(&format!("score {other}"))),
    };
    let late = match (from.whole()?, from.number()?) {
        (0, _) => None,
        (1, _) => Some(Late::Instant),
        (2, _) => Some(Late::Reserve),
        (3, delta) => Some(Late::Overbook(delta)),
        (other, _) => return Err(wrong(&format!("late outcomes {other}"))),
    };
    let remember = usize::try_from(from.whole()?).map_err(|_| wrong("a huge memory"))?;
    Ok(Options { seeds, range: low.zip(high), horizon, step, score, late, remember })
}

fn write_counts(out: &mut Writer, counts: &Counts) {
    let wholes = [
        counts.arrivals,
        counts.matched,
        counts.attempts,
        counts.successes,
        counts.coins,
        counts.overflow,
        counts.expired,
    ];
    out.wholes(&wholes);
    out.numbers(&[counts.value, counts.profit, counts.expected]);
}

fn read_counts(from: &mut Reader<'_>) -> Result<Counts> {
    Ok(Counts {
        arrivals: from.whole()?,
        matched: from.whole()?,
        attempts: from.whole()?,
        successes: from.whole()?,
        coins: from.whole()?,
        overflow: from.whole()?,
        expired: from.whole()?,
        value: from.number()?,
        profit: from.number()?,
        expected: from.number()?,
    })
}

fn write_items(out: &mut Writer, items: &Items) {
    out.whole(items.len() as u64);
    for (state, terms) in items.state.iter().zip(&items.terms) {
        out.numbers(&[state.limit, state.used, terms.weight, terms.factor, state.seed, state.load]);
        out.wholes(&[state.tries, state.pending, state.touched]);
    }
    for kept in &items.kept {
        out.whole(kept.len() as u64);
        out.numbers(kept);
    }
}

fn read_items(from: &mut Reader<'_>) -> Result<Items> {
    let n = from.count(72)?;
    let mut items = Items::default();
    for _ in 0..n {
        let (limit, used) = (from.number()?, from.number()?);
        let terms = Terms { weight: from.number()?, factor: from.number()? };
        let (seed, load) = (from.number()?, from.number()?);
        let (tries, pending, touched) = (from.whole()?, from.whole()?, from.whole()?);
        items.score.push(terms.weight * terms.factor);
        items.terms.push(terms);
        items.state.push(State { limit, used, seed, load, tries, pending, touched, table: 0 });
    }
    for u in 0..n {
        let count = from.count(8)?;
        items.kept.push(from.numbers(count)?);
        items.open.push(Vec::new());
        let is_possible = items.state[u].used >= 0.0 && items.state[u].used <= items.state[u].limit;
        if !is_possible || count as f64 > items.state[u].limit || items.terms[u].factor.is_nan() {
            return Err(wrong(&format!("more than item {u} can hold")));
        }
    }
    Ok(items)
}

fn read_pending(from: &mut Reader<'_>, matcher: &mut Matcher) -> Result<()> {
    for _ in 0..from.whole()? {
        let (number, item) = (from.whole()?, small(from.whole()?)? as usize);
        let (chance, arrival, deadline) = (from.number()?, from.whole()?, from.number()?);
        if item >= matcher.items.len() || matcher.items.state[item].pending == 0 {
            return Err(wrong("an attempt on no item"));
        }
        if matcher.plan.late != Late::Instant {
            matcher.items.open[item].push((number, chance));
        }
        matcher.pending.insert(number, Pending { item, chance, arrival, deadline });
    }
    Ok(())
}

fn wrong(got: &str) -> Error {
    Error::range("snapshot", "the bytes of a matcher, unaltered", got)
}

fn small(x: u64) -> Result<u32> {
    u32::try_from(x).map_err(|_| wrong("a huge item number"))
}

/// Words of eight bytes, the last filled with zeros, mixed in order.
fn checksum(bytes: &[u8]) -> u64 {
    let start = rng::bits(0, 0, bytes.len() as u64);
    bytes.chunks(8).fold(start, |sum, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        rng::bits(sum, 0, u64::from_le_bytes(word))
    })
}

struct Writer(Vec<u8>);

impl Writer {
    fn whole(&mut self, x: u64) {
        self.0.extend_from_slice(&x.to_le_bytes());
    }

    fn number(&mut self, x: f64) {
        self.whole(x.to_bits());
    }

    fn wholes(&mut self, xs: &[u64]) {
        for x in xs {
            self.whole(*x);
        }
    }

    fn numbers(&mut self, xs: &[f64]) {
        for x in xs {
            self.number(*x);
        }
    }

    fn text(&mut self, text: &str) {
        self.whole(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> Result<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count).ok_or_else(|| wrong("too few bytes"))?;
        self.0 = rest;
        Ok(head)
    }

    fn whole(&mut self) -> Result<u64> {
        let mut word = [0; 8];
        word.copy_from_slice(self.bytes(8)?);
        Ok(u64::from_le_bytes(word))
    }

    fn number(&mut self) -> Result<f64> {
        self.whole().map(f64::from_bits)
    }

    fn numbers(&mut self, count: usize) -> Result<Vec<f64>> {
        (0..count).map(|_| self.number()).collect()
    }

    /// A number of things of at least `size` bytes each, so that a wrong one cannot exhaust memory.
    fn count(&mut self, size: usize) -> Result<usize> {
        let count = usize::try_from(self.whole()?).map_err(|_| wrong("too few bytes"))?;
        if count > self.0.len() / size { Err(wrong("too few bytes")) } else { Ok(count) }
    }

    fn text(&mut self) -> Result<&'a str> {
        let count = self.count(1)?;
        std::str::from_utf8(self.bytes(count)?).map_err(|_| wrong("a name that is no text"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Row;
    use super::*;

    fn matcher() -> Matcher {
        let options = Options { late: Some(Late::Reserve), ..Options::default() };
        let mut matcher = Matcher::new(
            "stochastic_balance",
            options,
            7,
            &[2.0, 1.0, 0.0],
            Some(&[1.0, 2.0, 3.0]),
        )
        .expect("valid");
        for k in 0..3 {
            let row = Row { items: &[0, 1, 2], values: Some(&[0.5, 0.25, 1.0]), sizes: None };
            matcher.arrive(row, Some(&format!("arrival {k}")), Some(f64::from(k))).expect("valid");
        }
        matcher
    }

    #[test]
    fn a_resumed_matcher_gives_the_same_bytes() {
        let bytes = matcher().snapshot();
        assert_eq!(Matcher::resume(&bytes).expect("unaltered").snapshot(), bytes);
    }

    #[test]
    fn altered_and_cut_bytes_are_refused_without_a_panic() {
        let bytes = matcher().snapshot();
        for place in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[place] ^= 1 << (place % 8);
            assert!(Matcher::resume(&altered).is_err(), "byte {place}");
            assert!(Matcher::resume(&bytes[..place]).is_err(), "length {place}");
        }
    }

    #[test]
    fn bytes_with_a_right_checksum_and_wrong_fields_are_refused_without_a_panic() {
        let bytes = matcher().snapshot();
        let body = bytes.len() - 8;
        for place in 0..body {
            for value in [0x7f, 0xff] {
                let mut altered = bytes[..body].to_vec();
                altered[place] = value;
                let sum = checksum(&altered);
                altered.extend_from_slice(&sum.to_le_bytes());
                drop(Matcher::resume(&altered)); // either is fine, a panic is not
            }
        }
    }
}
