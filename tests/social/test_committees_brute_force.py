"""Rules against all subsets."""

from __future__ import annotations

from functools import partial
from itertools import combinations

import numpy as np
import pytest

from gustibus.errors import InfeasibleError
from gustibus.social import (
    ApprovalProfile,
    Profile,
    UtilityProfile,
    committee,
    committee_rules,
    committee_value,
)
from tests.social.committee_cases import (
    approvals,
    best,
    harmonic,
    owa_value,
    rankings,
    utilities,
    worths,
)

M, K = 7, 3


def first(t):
    return (np.arange(M) < t).astype(float)


def sav(profile, members):
    matrix = profile.matrix().astype(float)
    size = np.maximum(matrix.sum(1), 1)
    return float((profile.weights / size) @ matrix[:, list(members)].sum(1))


def norm(profile, members, p):
    return float(profile.weights @ (worths(profile)[:, list(members)] ** p).sum(1) ** (1 / p))


ONES = [1.0] * K
VECTOR = [1.0, 0.7, 0.1]
SCORES = [9.0, 6, 5, 3, 1, 1, 0]
CASES = {  # (make, rule): (options, value by definition)
    (rankings, "sntv"): ({}, partial(owa_value, factors=ONES, scores=first(1))),
    (rankings, "bloc"): ({}, partial(owa_value, factors=ONES, scores=first(K))),
    (rankings, "k_borda"): ({}, partial(owa_value, factors=ONES)),
    (rankings, "positional"): ({"vector": SCORES}, partial(owa_value, factors=ONES, scores=SCORES)),
    (rankings, "cc"): ({}, partial(owa_value, factors=[1])),
    (rankings, "approval_cc"): ({"t": 2}, partial(owa_value, factors=[1], scores=first(2))),
    (rankings, "pav"): ({}, partial(owa_value, factors=harmonic(K))),
    (rankings, "t_borda"): ({"t": 2}, partial(owa_value, factors=[1, 1])),
    (rankings, "owa"): ({"vector": VECTOR}, partial(owa_value, factors=VECTOR)),
    (rankings, "lp_borda"): ({"p": 3.0}, partial(norm, p=3.0)),
    (approvals, "av"): ({}, partial(owa_value, factors=ONES)),
    (approvals, "sav"): ({}, sav),
    (approvals, "pav"): ({}, partial(owa_value, factors=harmonic(K))),
    (approvals, "slav"): ({}, partial(owa_value, factors=[1, 1 / 3, 1 / 5])),
    (approvals, "cc"): ({}, partial(owa_value, factors=[1])),
    (approvals, "geometric"): ({"p": 3.0}, partial(owa_value, factors=[1 / 3, 1 / 9, 1 / 27])),
    (approvals, "threshold"): ({"t": 2}, partial(owa_value, factors=[1, 1])),
    (approvals, "thiele"): ({"vector": VECTOR}, partial(owa_value, factors=VECTOR)),
    (utilities, "sum"): ({}, partial(owa_value, factors=ONES)),
    (utilities, "cc"): ({}, partial(owa_value, factors=[1])),
    (utilities, "pav"): ({}, partial(owa_value, factors=harmonic(K))),
    (utilities, "t_best"): ({"t": 2}, partial(owa_value, factors=[1, 1])),
    (utilities, "owa"): ({"vector": VECTOR}, partial(owa_value, factors=VECTOR)),
}
SUMS = [pytest.param(*key, *case, id=f"{key[0].__name__}-{key[1]}") for key, case in CASES.items()]
LAMINAR = {"groups": [{"a", "b"}, {"a", "b"}, "a", "a", "c", "c", None]}
DISJOINT = {"groups": ["a", "a", "b", "b", "b", "c", "c"]}
CROSSING = {"groups": [{"f", "old"}, {"f"}, {"f", "old"}, {"g"}, {"g", "old"}, {"g"}, {"g"}]}
BOUNDS = {
    "free": ({}, lambda s: True),
    "disjoint": (
        {**DISJOINT, "lower": {"a": 1, "c": 1}, "upper": {"b": 1, "a": 1}},
        lambda s: (
            sum(i < 2 for i in s) == 1
            and sum(i in (2, 3, 4) for i in s) <= 1
            and sum(i > 4 for i in s) >= 1
        ),
    ),
    "laminar": (
        {**LAMINAR, "lower": {"b": 1, "c": 1}, "upper": {"a": 2, "b": 1}},
        lambda s: (
            sum(i < 2 for i in s) == 1
            and sum(i < 4 for i in s) <= 2
            and sum(i in (4, 5) for i in s) >= 1
        ),
    ),
    "crossing": (
        {**CROSSING, "lower": {"f": 1, "old": 1}, "upper": {"f": 1, "old": 2}},
        lambda s: sum(i < 3 for i in s) == 1 and 1 <= sum(i in (0, 2, 4) for i in s) <= 2,
    ),
}


def inside(profile, k, rule, name, **options):
    bounds, allowed = BOUNDS[name]
    out = committee(profile, k, rule=rule, **bounds, **options)
    assert len(out.members) == k
    assert allowed(out.members)
    return out, allowed


def test_every_rule_that_maximises_is_compared():
    own = {"monroe", "greedy_monroe", "egalitarian_cc", "minimaxav", "equal_shares"}
    own |= {"seqphragmen", "revseqpav", "seqpav", "seqcc", "seqslav", "maximin_support"}
    kinds = {"rankings": rankings, "approvals": approvals, "utilities": utilities}
    rows = {(kinds[row.ballots], row.name) for row in committee_rules() if row.name not in own}
    assert rows == set(CASES)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("bounds", BOUNDS)
@pytest.mark.parametrize(("make", "rule", "options", "value"), SUMS)
def test_exact_is_the_best_of_all_subsets(make, rule, options, value, bounds, weighted):
    for seed in range(3):
        profile = make(seed, weighted=weighted)
        out, allowed = inside(profile, K, rule, bounds, method="exact", resolute=False, **options)
        top, sets = best(M, K, partial(value, profile), allowed)
        assert out.value == pytest.approx(top, abs=1e-9)
        assert out.optimal
        assert out.complete
        assert out.gap == 0
        assert list(out.tied) == sets
        assert out.members in sets
        assert committee_value(profile, out.members, rule=rule, **options) == pytest.approx(
            value(profile, out.members), abs=1e-9
        )


def dominated(seed, make, weighted):
    """Profiles in which most items are no better for anybody than another, or equal to it."""
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 6, (8, M)) / 4
    for item in rng.permutation(M)[:5]:
        other = (item + rng.integers(1, M)) % M
        values[:, item] = values[:, other] - rng.integers(0, 2) * rng.integers(0, 2, 8) / 4
    weights = rng.integers(1, 5, 8) if weighted else None
    if make is utilities:
        return UtilityProfile(np.maximum(values, 0), weights=weights)
    if make is approvals:
        return ApprovalProfile((values >= 0.75).astype(int), weights=weights)
    # few voters, who agree on most pairs of items
    rows = np.argsort(-values[:3] + 0.1 * rng.random((1, M)), 1, kind="stable")
    return Profile(rows, weights=None if weights is None else weights[:3], compact=False)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("bounds", BOUNDS)
@pytest.mark.parametrize(("make", "rule", "options", "value"), SUMS)
def test_no_best_committee_is_lost_with_dominated_items(
    make, rule, options, value, bounds, weighted
):
    for seed in range(8):
        profile = dominated(seed, make, weighted)
        out, allowed = inside(profile, K, rule, bounds, method="exact", **options)
        top, sets = best(M, K, partial(value, profile), allowed)
        assert out.value == pytest.approx(top, abs=1e-9)
        assert out.optimal
        assert out.members in sets


@pytest.mark.parametrize("bounds", BOUNDS)
@pytest.mark.parametrize(("make", "rule", "options", "value"), SUMS)
def test_greedy_swap_and_exact_are_in_order(make, rule, options, value, bounds):
    for seed in range(4):
        profile = make(seed + 50, weighted=bool(seed % 2))
        run = partial(inside, profile, K, rule, bounds, **options)
        greedy, swap, exact = (run(method=m)[0] for m in ("greedy", "swap", "exact"))
        assert greedy.value <= swap.value + 1e-9 <= exact.value + 2e-9
        share = 1 - 1 / np.e if bounds == "free" else 0.5
        if bounds != "crossing":
            assert greedy.value >= share * exact.value - 1e-9
        for out in (greedy, swap):
            assert out.value == pytest.approx(value(profile, out.members), abs=1e-9)
            assert out.upper_bound >= exact.value - 1e-9
            assert 0 <= out.gap <= 1
            assert sum(step.gain for step in out.steps) == pytest.approx(out.value, abs=1e-9)
        plain = run(method="plain")[0]
        assert (plain.members, plain.steps) == (greedy.members, greedy.steps)
        assert run(method="auto")[0].value <= exact.value + 1e-9


@pytest.mark.parametrize("bounds", BOUNDS)
@pytest.mark.parametrize(("make", "rule", "options", "value"), SUMS)
def test_highs_agrees(make, rule, options, value, bounds):
    pytest.importorskip("scipy", reason="HiGHS comes with scipy")
    if rule == "lp_borda":
        pytest.skip("a norm is not linear")
    profile = make(7, weighted=True)
    exact, _ = inside(profile, K, rule, bounds, method="exact", **options)
    milp, _ = inside(profile, K, rule, bounds, method="milp", **options)
    assert milp.value == pytest.approx(exact.value, abs=1e-7)
    assert milp.optimal
    assert milp.gap == 0


def greedy_sets(profile, k, factors, allowed, scores=None):
    """Every outcome of the greedy rule, by definition."""
    level = {()}
    full = [set(s) for s in combinations(range(M), k) if allowed(s)]
    for _ in range(k):
        following = set()
        for members in level:
            open_items = [
                i for i in range(M)
                if i not in members and any({*members, i} <= s for s in full)
            ]  # fmt: skip
            values = {i: owa_value(profile, (*members, i), factors, scores) for i in open_items}
            top = max(values.values())
            following |= {tuple(sorted((*members, i))) for i, v in values.items() if v > top - 1e-9}
        level = following
    return sorted(level)


@pytest.mark.parametrize("bounds", BOUNDS)
@pytest.mark.parametrize(
    ("make", "rule", "factors"),
    [
        (approvals, "seqpav", harmonic(K)),
        (approvals, "seqcc", [1]),
        (approvals, "seqslav", [1, 1 / 3, 1 / 5]),
        (rankings, "seqcc", [1]),
        (rankings, "seqpav", harmonic(K)),
        (utilities, "seqcc", [1]),
        (utilities, "seqpav", harmonic(K)),
    ],
)
def test_sequential_rules_follow_their_definition(make, rule, factors, bounds):
    for seed in range(4):
        profile = make(seed + 20, weighted=bool(seed % 2))
        out, allowed = inside(profile, K, rule, bounds, resolute=False)
        assert list(out.tied) == greedy_sets(profile, K, factors, allowed)
        assert out.members in out.tied


def monroe_value(profile, members):
    """The best balanced assignment, by dynamic programming over loads."""
    values = worths(profile)[:, list(members)]
    values = np.repeat(values, profile.weights.astype(int), axis=0)
    n, k = values.shape
    most = -(-n // k)
    states = {(0,) * k: 0.0}
    for row in values:
        following = {}
        for loads, total in states.items():
            for j in range(k):
                if loads[j] < most:
                    new = (*loads[:j], loads[j] + 1, *loads[j + 1 :])
                    following[new] = max(following.get(new, -1.0), total + row[j])
        states = following
    return max(total for loads, total in states.items() if min(loads) >= n // k)


@pytest.mark.parametrize("bounds", BOUNDS)
@pytest.mark.parametrize("make", [rankings, approvals])
def test_monroe_is_the_best_balanced_assignment(make, bounds):
    for seed, n in enumerate([6, 7, 8]):
        profile = make(seed, n=n, weighted=seed == 2)
        out, allowed = inside(profile, K, "monroe", bounds, resolute=False)
        top, sets = best(M, K, partial(monroe_value, profile), allowed)
        assert (out.value, list(out.tied)) == (top, sets)
        greedy, _ = inside(profile, K, "greedy_monroe", bounds)
        assert greedy.value == monroe_value(profile, greedy.members) <= top
        milp, _ = inside(profile, K, "monroe", bounds, method="milp")
        assert milp.value == top


def minimax_value(profile, members):
    matrix = profile.matrix()
    chosen = np.isin(np.arange(M), list(members))
    return -float((matrix != chosen).sum(1)[profile.weights > 0].max())


def egalitarian_value(profile, members):
    return float(worths(profile)[:, list(members)].max(1)[profile.weights > 0].min())


@pytest.mark.parametrize("bounds", BOUNDS)
@pytest.mark.parametrize(
    ("make", "rule", "value", "sign"),
    [
        (approvals, "minimaxav", minimax_value, -1),
        (rankings, "egalitarian_cc", egalitarian_value, 1),
        (utilities, "egalitarian_cc", egalitarian_value, 1),
    ],
)
def test_the_worst_off_voter_is_as_well_off_as_can_be(make, rule, value, sign, bounds):
    for seed in range(6):
        profile = make(seed, n=5 + seed, weighted=bool(seed % 2))
        out, allowed = inside(profile, K, rule, bounds, resolute=False)
        top, sets = best(M, K, partial(value, profile), allowed)
        assert sign * out.value == top
        assert list(out.tied) == sets
        assert out.members in sets
        assert committee_value(profile, out.members, rule=rule) == out.value
        milp, _ = inside(profile, K, rule, bounds, method="milp")
        assert milp.value == pytest.approx(out.value)


def test_looser_bounds_never_lower_the_value():
    for seed in range(10):
        profile = rankings(seed, m=8)
        groups = [i % 2 for i in range(8)]
        values = [
            committee(profile, 4, groups=groups, lower=low, method="exact").value
            for low in (2, 1, 0)
        ]
        assert values == sorted(values)
        assert values[-1] == committee(profile, 4, method="exact").value


@pytest.mark.parametrize("method", ["greedy", "exact", "swap", "milp"])
def test_bounds_that_cannot_be_met_are_named(method):
    profile = rankings(0)
    with pytest.raises(InfeasibleError, match="women"):
        committee(profile, 3, groups={"women": [0, 1]}, lower=3, method=method)
    crossing = {"a": [0, 1, 2], "b": [2, 3], "c": [3, 0]}
    with pytest.raises(InfeasibleError, match="a, b, c"):
        committee(profile, 2, groups=crossing, lower={"a": 2, "b": 2}, upper={"c": 0},
                  method=method)  # fmt: skip
