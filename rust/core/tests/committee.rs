//! Laws of committee rules on random profiles.

use gustibus_core::committee::{
    Approvals, Bounds, Cells, Committee, Group, Lists, Method, Options, Params, Places, Profile,
    RULES, Sampling, Utilities, Weights, check, elect, score,
};
use gustibus_core::rng::Stream;
use gustibus_core::{Error, Stop, social};
use proptest::prelude::*;

/// Ballots of `n` voters over `m` items, with whole weights.
#[derive(Debug, Clone)]
struct Case {
    seed: u64,
    n: usize,
    m: usize,
    k: usize,
    weights: Vec<u8>,
}

fn case() -> impl Strategy<Value = Case> {
    (any::<u64>(), 1_usize..12, 2_usize..8, any::<bool>()).prop_flat_map(|(seed, n, m, heavy)| {
        let weight = if heavy { 1_u8..5 } else { 1..2 };
        (1..=m.min(4), prop::collection::vec(weight, n)).prop_map(move |(k, weights)| Case {
            seed,
            n,
            m,
            k,
            weights,
        })
    })
}

/// Owned ballots of one kind.
enum Held {
    Places(Vec<u8>),
    Approvals(Approvals),
    Utilities(Utilities),
}

impl Case {
    fn real_weights(&self) -> Vec<f64> {
        self.weights.iter().copied().map(f64::from).collect()
    }

    fn weights(&self) -> Weights {
        Weights::new(&self.real_weights()).expect("positive")
    }

    /// `(m, n)`.
    fn places(&self) -> Vec<u8> {
        let mut cells = vec![0; self.n * self.m];
        for voter in 0..self.n {
            let mut items: Vec<usize> = (0..self.m).collect();
            Stream::new(self.seed, voter as u64).shuffle(&mut items);
            for (place, item) in items.iter().enumerate() {
                cells[item * self.n + voter] = u8::try_from(place).expect("few items");
            }
        }
        cells
    }

    fn sets(&self) -> Vec<Vec<u32>> {
        let set = |voter: usize| {
            let mut stream = Stream::new(self.seed, 1000 + voter as u64);
            let items = 0..u32::try_from(self.m).expect("few items");
            items.filter(|_| stream.uniform() < 0.45).collect()
        };
        (0..self.n).map(set).collect()
    }

    fn utilities(&self) -> Vec<f64> {
        let mut stream = Stream::new(self.seed, 5000);
        (0..self.n * self.m).map(|_| stream.below(9) as f64 / 4.0).collect()
    }

    fn held(&self, ballots: &str) -> Held {
        match ballots {
            "rankings" => Held::Places(self.places()),
            "approvals" => Held::Approvals(approvals(&self.sets(), self.m, self.weights())),
            _ => {
                let utilities = Utilities::new(self.utilities(), self.m, self.real_weights());
                Held::Utilities(utilities.expect("valid"))
            }
        }
    }

    /// Two groups by parity, the even one with at least one member and the odd one with at most two.
    fn bounds(&self) -> Option<Bounds> {
        let members = |rest: usize| (0..self.m).filter(|item| item % 2 == rest).collect();
        let group = |name: &str, rest, lower, upper| Group {
            name: name.to_owned(),
            members: members(rest),
            lower,
            upper,
        };
        let groups = [group("even", 0, 1, self.k), group("odd", 1, 0, 2)];
        Bounds::new(self.m, self.k, &groups).ok()
    }
}

fn approvals(sets: &[Vec<u32>], m: usize, weights: Weights) -> Approvals {
    let mut starts = vec![0];
    for set in sets {
        starts.push(starts[starts.len() - 1] + set.len());
    }
    let lists = Lists::new(starts, sets.concat(), m).expect("valid");
    Approvals::new(lists, m, weights).expect("valid")
}

impl Held {
    fn profile<'a>(&'a self, case: &Case) -> Profile<'a> {
        match self {
            Self::Places(cells) => Profile::Places(
                Places::new(Cells::U8(cells), case.m, case.weights()).expect("valid"),
            ),
            Self::Approvals(approvals) => Profile::Approvals(approvals),
            Self::Utilities(utilities) => Profile::Utilities(utilities),
        }
    }
}

const VECTOR: [f64; 3] = [1.0, 0.5, 0.25];

fn params(rule: &str, scores: &'static [f64]) -> Params<'static> {
    let vector = match rule {
        "owa" | "thiele" => Some(&VECTOR[..]),
        "positional" => Some(scores),
        _ => None,
    };
    let t = matches!(rule, "t_borda" | "t_best" | "threshold").then_some(2);
    Params { vector, t, p: (rule == "lp_borda").then_some(2.0), completion: None }
}

const SCORES: [f64; 8] = [9.0, 7.0, 4.0, 4.0, 2.0, 1.0, 0.5, 0.0];

fn options(method: Method) -> Options<'static> {
    Options {
        method,
        resolute: true,
        cap: 10_000,
        threads: Some(1),
        stop: Stop::never(),
        sampling: Sampling::default(),
    }
}

fn run(rule: &str, profile: &Profile<'_>, bounds: &Bounds, options: &Options<'_>) -> Committee {
    let params = params(rule, SCORES.get(..bounds.items()).unwrap_or(&[]));
    elect(rule, profile, bounds, &params, options).expect("valid")
}

fn rules(law: &str) -> Vec<(&'static str, &'static str)> {
    let rows = RULES.iter().copied().flatten();
    rows.filter(|rule| rule.laws.contains(&law)).map(|rule| (rule.name, rule.ballots)).collect()
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn values_are_monotone_and_gains_fall(case in case(), cut in 0_usize..4) {
        for (rule, ballots) in rules("submodular") {
            let held = case.held(ballots);
            let profile = held.profile(&case);
            let mut items: Vec<usize> = (0..case.m).collect();
            Stream::new(case.seed, 77).shuffle(&mut items);
            let (item, large) = (items[0], &items[1..case.m.min(4)]);
            let small = &large[..cut.min(large.len())];
            let params = Params { t: Some(2), ..params(rule, &SCORES[..case.m]) };
            let value = |set: &[usize]| {
                // Factors depend on the size: all sets count as the largest.
                score(rule, &profile, &params, set).expect("valid").expect("has a value")
            };
            let gain = |set: &[usize]| value(&[set, &[item]].concat()) - value(set);
            prop_assert!(gain(large) >= -1e-9, "{rule} {ballots}");
            prop_assert!(gain(small) >= gain(large) - 1e-9, "{rule} {ballots}");
        }
    }

    #[test]
    fn lazy_is_plain_and_swaps_lie_between_greedy_and_exact(case in case()) {
        for (rule, ballots) in [rules("submodular"), rules("modular")].concat() {
            if rule.starts_with("seq") {
                continue;
            }
            let held = case.held(ballots);
            let profile = held.profile(&case);
            let free = Bounds::free(case.m, case.k).expect("k is at most m");
            for (bounds, share) in [(Some(free), 1.0 - (-1.0_f64).exp()), (case.bounds(), 0.5)] {
                let Some(bounds) = bounds else { continue };
                let by = |method| run(rule, &profile, &bounds, &options(method));
                let (lazy, plain) = (by(Method::Greedy), by(Method::Plain));
                prop_assert_eq!(&lazy.members, &plain.members, "{}", rule);
                prop_assert_eq!(&lazy.steps, &plain.steps);
                let value = |c: &Committee| c.value.expect("has a value");
                let upper = |c: &Committee| c.upper_bound.expect("has a bound");
                let (swap, exact) = (by(Method::Swap), by(Method::Exact));
                prop_assert!(value(&lazy) <= value(&swap) + 1e-9);
                prop_assert!(value(&swap) <= value(&exact) + 1e-9);
                prop_assert!(value(&lazy) >= share * value(&exact) - 1e-9, "{rule}");
                prop_assert!(exact.optimal && close(upper(&exact), value(&exact)));
                for other in [&lazy, &plain, &swap] {
                    prop_assert!(upper(other) >= value(&exact) - 1e-9, "{rule}");
                }
                if rules("modular").contains(&(rule, ballots)) {
                    prop_assert!(close(value(&lazy), value(&exact)) && lazy.optimal);
                }
            }
        }
    }

    #[test]
    fn weights_are_repeated_voters_and_names_do_not_matter(case in case()) {
        for rule in RULES.iter().copied().flatten() {
            if rule.name == "greedy_monroe" || (rule.ballots, rule.name) == ("utilities", "equal_shares") {
                continue; // split voters between members in the order of voters; rounds prices
            }
            let bounds = Bounds::free(case.m, case.k).expect("k is at most m");
            let all = Options { resolute: false, ..options(Method::Exact) };
            let held = case.held(rule.ballots);
            let once = run(rule.name, &held.profile(&case), &bounds, &all);
            let (more, back) = (repeated(&case), renaming(&case));
            let held = relabelled(&case, &more, &back, rule.ballots);
            let other = run(rule.name, &held.profile(&more), &bounds, &all);
            let mut tied: Vec<Vec<usize>> = other
                .tied
                .iter()
                .map(|set| {
                    let mut set: Vec<usize> = set.iter().map(|item| back[*item]).collect();
                    set.sort_unstable();
                    set
                })
                .collect();
            tied.sort_unstable();
            prop_assert_eq!(&tied, &once.tied, "{} {}", rule.name, rule.ballots);
            match (once.value, other.value) {
                // Sequential rules may end at values that differ.
                (Some(a), Some(b)) => prop_assert!(close(a, b) || once.tied.len() > 1),
                (a, b) => prop_assert_eq!(a, b),
            }
        }
    }

    #[test]
    fn sequential_rules_keep_their_members(case in case()) {
        for (rule, ballots) in rules("committee-monotone") {
            let held = case.held(ballots);
            let members = |k| {
                let bounds = Bounds::free(case.m, k).expect("k is at most m");
                run(rule, &held.profile(&case), &bounds, &options(Method::Auto)).members
            };
            let (few, many) = (members(case.k - 1), members(case.k));
            prop_assert!(few.iter().all(|item| many.contains(item)), "{rule}");
        }
    }

    #[test]
    fn axioms_that_rules_promise_hold(case in case()) {
        let Held::Approvals(approvals) = case.held("approvals") else { unreachable!() };
        let profile = Profile::Approvals(&approvals);
        let bounds = Bounds::free(case.m, case.k).expect("k is at most m");
        for law in ["jr", "pjr", "ejr+"] {
            for (rule, _) in rules(law) {
                let members = run(rule, &profile, &bounds, &options(Method::Exact)).members;
                let holds = check(law, &approvals, &members, Stop::never()).expect("valid");
                prop_assert_eq!(holds.holds, Some(true), "{} {}", rule, law);
            }
        }
    }

    #[test]
    fn stronger_axioms_imply_weaker_ones(case in case()) {
        let Held::Approvals(approvals) = case.held("approvals") else { unreachable!() };
        let mut items: Vec<usize> = (0..case.m).collect();
        Stream::new(case.seed, 9).shuffle(&mut items);
        let holds = |axiom| {
            check(axiom, &approvals, &items[..case.k], Stop::never()).expect("valid").holds
        };
        for (strong, weak) in [("ejr+", "ejr"), ("ejr", "pjr"), ("pjr", "jr"), ("core", "ejr")] {
            prop_assert!(holds(strong) == Some(false) || holds(weak) == Some(true));
        }
    }

    #[test]
    fn threads_do_not_matter(case in case()) {
        for rule in RULES.iter().copied().flatten() {
            let held = case.held(rule.ballots);
            let bounds = Bounds::free(case.m, case.k).expect("k is at most m");
            let by = |threads| {
                let options = Options { threads, ..options(Method::Auto) };
                run(rule.name, &held.profile(&case), &bounds, &options)
            };
            prop_assert_eq!(by(Some(1)), by(Some(2)));
            prop_assert_eq!(by(Some(1)), by(None));
        }
    }
}

/// Every voter as often as their weight says, in reverse order.
fn repeated(case: &Case) -> Case {
    let copies: usize = case.weights.iter().copied().map(usize::from).sum();
    Case { n: copies, weights: vec![1; copies], ..case.clone() }
}

/// The old name of every item.
fn renaming(case: &Case) -> Vec<usize> {
    let mut back: Vec<usize> = (0..case.m).collect();
    Stream::new(case.seed, 4242).shuffle(&mut back);
    back
}

fn relabelled(case: &Case, more: &Case, back: &[usize], ballots: &str) -> Held {
    let voters: Vec<usize> = (0..case.n)
        .rev()
        .flat_map(|voter| std::iter::repeat_n(voter, usize::from(case.weights[voter])))
        .collect();
    let columns = || back.iter().flat_map(|item| voters.iter().map(move |v| item * case.n + v));
    match ballots {
        "rankings" => {
            let cells = case.places();
            Held::Places(columns().map(|index| cells[index]).collect())
        }
        "approvals" => {
            let sets = case.sets();
            let new = |old: &u32| {
                let name = back.iter().position(|item| *item == *old as usize).expect("renamed");
                u32::try_from(name).expect("few items")
            };
            let rename = |voter: &usize| {
                let mut set: Vec<u32> = sets[*voter].iter().map(new).collect();
                set.sort_unstable();
                set
            };
            let sets: Vec<Vec<u32>> = voters.iter().map(rename).collect();
            Held::Approvals(approvals(&sets, more.m, more.weights()))
        }
        _ => {
            let values = case.utilities();
            let values = columns().map(|index| values[index]).collect();
            let utilities = Utilities::new(values, more.m, more.real_weights());
            Held::Utilities(utilities.expect("valid"))
        }
    }
}

/// Rankings large enough for gains to be kept up to date.
fn large(m: usize, weighted: bool) -> social::Profile {
    let n = 2000;
    let mut rows = Vec::with_capacity(n * m);
    for voter in 0..n {
        let mut items: Vec<u32> = (0..).take(m).collect();
        Stream::new(3, voter as u64).shuffle(&mut items);
        rows.extend(items);
    }
    let weights = weighted.then(|| (0..n).map(|v| (1 + v % 3) as f64).collect());
    social::Profile::full(&rows, m, weights, social::Compact::Never, None).expect("valid")
}

#[test]
fn gains_kept_up_to_date_are_gains_evaluated() {
    for (m, weighted) in [(60, false), (60, true), (300, false), (300, true)] {
        let profile = large(m, weighted);
        let kept = Places::of(&profile).expect("full");
        let weights = profile.weights().values().map_or_else(
            || Weights::equal(profile.len()),
            |values| Weights::new(values).expect("positive"),
        );
        let rows = profile.rows().expect("full");
        let cells = match &rows.places {
            social::Cells::U8(cells) => Cells::U8(cells),
            social::Cells::U16(cells) => Cells::U16(cells),
        };
        let plain = Places::new(cells, m, weights).expect("valid");
        let bounds = Bounds::free(m, 40).expect("k is at most m");
        let by = |places: Places<'_>, method| {
            run("cc", &Profile::Places(places), &bounds, &options(method))
        };
        let expected = by(plain, Method::Plain);
        for method in [Method::Greedy, Method::Plain] {
            let found = by(kept.clone(), method);
            assert_eq!((&found.members, &found.steps), (&expected.members, &expected.steps));
        }
    }
}

#[test]
fn enough_seats_give_everyone_their_first_choice() {
    let case = Case { seed: 5, n: 9, m: 6, k: 6, weights: vec![1; 9] };
    let held = case.held("rankings");
    let bounds = Bounds::free(6, 6).expect("k is m");
    let found = run("cc", &held.profile(&case), &bounds, &options(Method::Greedy));
    assert_eq!(found.value, Some(9.0 * 5.0));
}

#[test]
fn wrong_arguments_are_errors_not_panics() {
    let case = Case { seed: 1, n: 4, m: 3, k: 2, weights: vec![1; 4] };
    let held = case.held("rankings");
    let profile = held.profile(&case);
    let bounds = Bounds::free(3, 2).expect("k is at most m");
    let options = options(Method::Auto);
    let elect = |rule, params: &Params<'_>| elect(rule, &profile, &bounds, params, &options);
    let none = Params::default();
    assert!(matches!(elect("nothing", &none), Err(Error::UnknownName { .. })));
    assert!(matches!(elect("seqphragmen", &none), Err(Error::UnknownName { .. })));
    assert!(matches!(elect("t_borda", &none), Err(Error::Range { name: "t", .. })));
    assert!(matches!(elect("lp_borda", &none), Err(Error::Range { name: "p", .. })));
    let wrong = Params { vector: Some(&[1.0, f64::NAN, 0.0]), ..none };
    assert!(matches!(elect("positional", &wrong), Err(Error::NotFinite { name: "vector", .. })));
    let rising = Params { vector: Some(&[0.5, 1.0]), ..none };
    assert!(matches!(elect("owa", &rising), Err(Error::Range { name: "vector", .. })));
    assert!(matches!(score("cc", &profile, &none, &[0, 0]), Err(Error::Range { .. })));
    assert!(matches!(score("cc", &profile, &none, &[3]), Err(Error::Range { .. })));
}
