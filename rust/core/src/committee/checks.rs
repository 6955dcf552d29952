//! Whether a committee represents voters: axioms on approvals, each with a witness when it fails.

use super::amount::Amount;
use super::outcome::DEPTH;
use super::rules::check_members;
use super::views::Approvals;
use crate::{Error, Result, Stop};

/// Who is not represented, and by what.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Witness {
    /// Voters with a claim.
    pub voters: Vec<usize>,
    /// Items that they agree on.
    pub items: Vec<usize>,
    /// How many seats they are entitled to.
    pub seats: usize,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the axiom holds; `None` when time was over before it was known.
    pub holds: Option<bool>,
    /// Why not.
    pub witness: Option<Witness>,
}

/// A committee under examination.
pub(super) struct Case<'a> {
    pub(super) approvals: &'a Approvals,
    pub(super) members: &'a [usize],
    is_member: Vec<bool>,
    /// Members that every voter approves.
    pub(super) satisfied: Vec<usize>,
    stop: Stop<'a>,
    expired: std::cell::Cell<bool>,
}

/// One axiom.
struct Axiom {
    name: &'static str,
    /// Whether its search descends one level per member.
    descends: bool,
    check: fn(&Case<'_>) -> Result<Option<Witness>>,
}

const AXIOMS: &[Axiom] = &[
    Axiom { name: "jr", descends: false, check: justified },
    Axiom { name: "pjr", descends: true, check: proportional },
    Axiom { name: "ejr", descends: true, check: extended },
    Axiom { name: "ejr+", descends: false, check: extended_plus },
    Axiom { name: "core", descends: true, check: stable },
    Axiom { name: "pareto", descends: true, check: undominated },
];

/// Checks an axiom.
///
/// `jr` and `ejr+` take polynomial time, the others up to exponential time in the number of items.
///
/// # Errors
/// [`Error::UnknownName`], [`Error::Range`] for members out of range, [`Error::Interrupted`].
pub fn check(
    axiom: &str,
    approvals: &Approvals,
    members: &[usize],
    stop: Stop<'_>,
) -> Result<Verdict> {
    check_members(approvals.items(), members)?;
    let row = AXIOMS.iter().find(|row| row.name == axiom).ok_or_else(|| Error::UnknownName {
        kind: "axiom",
        name: axiom.to_owned(),
        known: AXIOMS.iter().map(|row| row.name).collect(),
    })?;
    if row.descends && members.len() > DEPTH {
        let expected = format!("at most {DEPTH} items for this axiom");
        return Err(Error::range("members", &expected, members.len()));
    }
    let mut is_member = vec![false; approvals.items()];
    for item in members {
        is_member[*item] = true;
    }
    let count = |set: &[u32]| set.iter().filter(|item| is_member[**item as usize]).count();
    let satisfied = approvals.by_voter.iter().map(count).collect();
    let expired = std::cell::Cell::new(false);
    let case = Case { approvals, members, is_member, satisfied, stop, expired };
    let witness = if members.is_empty() { None } else { (row.check)(&case)? };
    let holds =
        if case.expired.get() && witness.is_none() { None } else { Some(witness.is_none()) };
    Ok(Verdict { holds, witness })
}

impl Case<'_> {
    fn weight(&self, voters: &[usize]) -> u64 {
        voters.iter().map(|voter| self.approvals.weights.units[*voter]).sum()
    }

    /// The number of seats that voters are entitled to: `floor(weight * k / W)`.
    fn seats(&self, voters: &[usize]) -> usize {
        let total = u128::from(self.approvals.weights.total);
        let claim = u128::from(self.weight(voters)) * self.members.len() as u128;
        usize::try_from(claim / total.max(1)).unwrap_or(usize::MAX)
    }

    fn supporters(&self, item: usize) -> impl Iterator<Item = usize> {
        self.approvals.by_item.get(item).iter().map(|voter| *voter as usize)
    }

    fn is_over(&self) -> Result<bool> {
        self.stop.check()?;
        self.expired.set(self.expired.get() || self.stop.expired());
        Ok(self.expired.get())
    }
}

/// No group of `W/k` voters who agree on an item is without any member.
///
/// Source: Aziz et al. 2017, definition 1.
fn justified(case: &Case<'_>) -> Result<Option<Witness>> {
    for item in 0..case.approvals.items() {
        case.stop.check()?;
        let voters: Vec<usize> =
            case.supporters(item).filter(|voter| case.satisfied[*voter] == 0).collect();
        if case.seats(&voters) >= 1 {
            return Ok(Some(Witness { voters, items: vec![item], seats: 1 }));
        }
    }
    Ok(None)
}

/// No group of `l W/k` voters who agree on an item outside has only voters with fewer than `l` members.
///
/// Source: Brill and Peters 2023, definition 5.
fn extended_plus(case: &Case<'_>) -> Result<Option<Witness>> {
    for item in (0..case.approvals.items()).filter(|item| !case.is_member[*item]) {
        case.stop.check()?;
        for seats in 1..=case.members.len() {
            let voters: Vec<usize> =
                case.supporters(item).filter(|voter| case.satisfied[*voter] < seats).collect();
            if case.seats(&voters) >= seats {
                return Ok(Some(Witness { voters, items: vec![item], seats }));
            }
        }
    }
    Ok(None)
}

/// Extends a set of items that a large enough group agrees on, up to `seats` items.
fn cohesive(
    case: &Case<'_>,
    seats: usize,
    from: usize,
    items: &mut Vec<usize>,
    voters: &[usize],
    test: &dyn Fn(&[usize]) -> Option<Vec<usize>>,
) -> Result<Option<Witness>> {
    if case.is_over()? || case.seats(voters) < seats {
        return Ok(None);
    }
    if items.len() == seats {
        let found = test(voters);
        return Ok(found.map(|voters| Witness { voters, items: items.clone(), seats }));
    }
    for item in from..case.approvals.items() {
        let agree: Vec<usize> =
            voters.iter().copied().filter(|v| case.approvals.approves(*v, item)).collect();
        items.push(item);
        let found = cohesive(case, seats, item + 1, items, &agree, test)?;
        items.pop();
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// No group of `l W/k` voters who agree on `l` items has only voters with fewer than `l` members.
///
/// Source: Aziz et al. 2017, definition 2.
fn extended(case: &Case<'_>) -> Result<Option<Witness>> {
    for seats in 1..=case.members.len() {
        let poor: Vec<usize> =
            (0..case.approvals.voters()).filter(|voter| case.satisfied[*voter] < seats).collect();
        let all = |voters: &[usize]| Some(voters.to_vec());
        let found = cohesive(case, seats, 0, &mut Vec::new(), &poor, &all)?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// No group of `l W/k` voters who agree on `l` items approves fewer than `l` members between them.
///
/// Source: Sanchez-Fernandez et al. 2017, definition 4.
fn proportional(case: &Case<'_>) -> Result<Option<Witness>> {
    for seats in 1..=case.members.len() {
        let poor: Vec<usize> =
            (0..case.approvals.voters()).filter(|voter| case.satisfied[*voter] < seats).collect();
        let few = |voters: &[usize]| {
            let mut allowed = Vec::new();
            sharing(case, seats, 0, &mut allowed, voters)
        };
        let found = cohesive(case, seats, 0, &mut Vec::new(), &poor, &few)?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// Voters entitled to `seats` whose members all lie in some set of fewer than `seats`.
fn sharing(
    case: &Case<'_>,
    seats: usize,
    from: usize,
    allowed: &mut Vec<usize>,
    voters: &[usize],
) -> Option<Vec<usize>> {
    if allowed.len() + 1 == seats || from == case.members.len() {
        let inside = |voter: &usize| {
            let set = case.approvals.by_voter.get(*voter).iter();
            set.filter(|item| case.is_member[**item as usize])
                .all(|item| allowed.contains(&(*item as usize)))
        };
        let voters: Vec<usize> = voters.iter().copied().filter(inside).collect();
        return (case.seats(&voters) >= seats).then_some(voters);
    }
    for index in from..case.members.len() {
        allowed.push(case.members[index]);
        let found = sharing(case, seats, index + 1, allowed, voters);
        allowed.pop();
        if found.is_some() {
            return found;
        }
    }
    None
}

/// No group can afford, with its share of seats, a set that each of its voters likes better.
///
/// Source: Aziz et al. 2017, section 5.2.
fn stable(case: &Case<'_>) -> Result<Option<Witness>> {
    let mut items = Vec::new();
    let mut liked = vec![0; case.approvals.voters()];
    deviation(case, 0, &mut items, &mut liked)
}

fn deviation(
    case: &Case<'_>,
    from: usize,
    items: &mut Vec<usize>,
    liked: &mut [usize],
) -> Result<Option<Witness>> {
    if case.is_over()? {
        return Ok(None);
    }
    if !items.is_empty() {
        let voters: Vec<usize> =
            (0..liked.len()).filter(|voter| liked[*voter] > case.satisfied[*voter]).collect();
        if case.seats(&voters) >= items.len() {
            return Ok(Some(Witness { voters, items: items.clone(), seats: items.len() }));
        }
    }
    if items.len() == case.members.len() {
        return Ok(None);
    }
    // What nobody approves makes no set better liked.
    let wanted = |item: &usize| case.supporters(*item).next().is_some();
    for item in (from..case.approvals.items()).filter(wanted) {
        items.push(item);
        case.supporters(item).for_each(|voter| liked[voter] += 1);
        let found = deviation(case, item + 1, items, liked)?;
        case.supporters(item).for_each(|voter| liked[voter] -= 1);
        items.pop();
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// No other committee gives every voter at least as many members and some voter more.
fn undominated(case: &Case<'_>) -> Result<Option<Witness>> {
    let heavy = |voter: &usize| case.approvals.weights.units[*voter] > 0;
    let voters: Vec<usize> = (0..case.approvals.voters()).filter(heavy).collect();
    let mut lacking: Vec<Amount> = case.satisfied.iter().map(|s| *s as Amount).collect();
    dominating(case, 0, &mut Vec::new(), &mut lacking, &voters)
}

/// A committee that dominates; `lacking` is what voters have less than under the one examined.
fn dominating(
    case: &Case<'_>,
    from: usize,
    items: &mut Vec<usize>,
    lacking: &mut [Amount],
    voters: &[usize],
) -> Result<Option<Witness>> {
    let left = (case.members.len() - items.len()) as Amount;
    if case.is_over()? || voters.iter().any(|voter| lacking[*voter] > left) {
        return Ok(None);
    }
    if left == 0 {
        let better: Vec<usize> = voters.iter().copied().filter(|v| lacking[*v] < 0).collect();
        let found = Witness { voters: better, items: items.clone(), seats: items.len() };
        return Ok(Some(found).filter(|found| !found.voters.is_empty()));
    }
    for item in from..case.approvals.items() {
        items.push(item);
        case.supporters(item).for_each(|voter| lacking[voter] -= 1);
        let found = dominating(case, item + 1, items, lacking, voters)?;
        case.supporters(item).for_each(|voter| lacking[voter] += 1);
        items.pop();
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::committee::Weights;
    use crate::committee::views::Lists;

    /// Six voters want 0 and 1, three want 2, for 3 seats.
    fn approvals() -> Approvals {
        let values: Vec<u32> = [[0, 1]; 6].concat().into_iter().chain([2; 3]).collect();
        let starts = (0..=6).map(|v| 2 * v).chain(13..=15).collect();
        let lists = Lists::new(starts, values, 6).expect("valid");
        Approvals::new(lists, 6, Weights::equal(9)).expect("valid")
    }

    fn holds(axiom: &str, members: &[usize]) -> Option<bool> {
        check(axiom, &approvals(), members, Stop::never()).expect("valid").holds
    }

    #[test]
    fn axioms_by_hand() {
        for axiom in ["jr", "pjr", "ejr", "ejr+", "core", "pareto"] {
            assert_eq!(holds(axiom, &[0, 1, 2]), Some(true), "{axiom}");
        }
        for axiom in ["pjr", "ejr", "ejr+", "core", "pareto"] {
            assert_eq!(holds(axiom, &[0, 2, 3]), Some(false), "{axiom}");
        }
        assert_eq!(holds("jr", &[0, 2, 3]), Some(true));
        assert_eq!(holds("jr", &[0, 1, 3]), Some(false));
    }

    #[test]
    fn a_witness_is_the_group_and_what_it_agrees_on() {
        let verdict = check("ejr", &approvals(), &[0, 2, 3], Stop::never()).expect("valid");
        let witness = verdict.witness.expect("fails");
        assert_eq!(witness, Witness { voters: (0..6).collect(), items: vec![0, 1], seats: 2 });
        assert!(check("jr", &approvals(), &[0, 0], Stop::never()).is_err());
        assert!(check("fair", &approvals(), &[0], Stop::never()).is_err());
    }
}
