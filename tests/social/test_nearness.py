"""Young's and Dodgson's rules, weak consensus, chains and axes against brute force."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest

import gustibus.social as g
from gustibus.errors import InfeasibleError, InputError
from tests.social import slow


def draw(seed, *, most=4, voters=6, kinds=("full",)):
    rng = np.random.default_rng(seed)
    m, n = int(rng.integers(1, most + 1)), int(rng.integers(1, voters + 1))
    ballots = slow.random_ballots(rng, m, n, kinds[seed % len(kinds)])
    return rng, ballots, m, n


def fewest_left_out(ballots, weights, m, a, goal):
    """By every choice of how many of each ballot stay."""
    best = int(sum(weights))
    signs = []
    for ballot in ballots:
        p = slow.places(ballot, m)
        signs.append([(p[a] < p[b]) - (p[b] < p[a]) for b in range(m) if b != a])
    for out in product(*(range(w + 1) for w in weights)):
        stay = np.array(weights) - out
        margins = stay @ np.array(signs).reshape(len(signs), m - 1)
        if (margins >= goal).all():
            best = min(best, sum(out))
    return best


@pytest.mark.parametrize("variant", ["weak", "strict"])
def test_young_leaves_out_as_few_voters_as_can_be(variant):
    for seed in range(40):
        rng, ballots, m, n = draw(seed, voters=5, kinds=("full", "weak", "partial"))
        weights = rng.integers(1, 4, n).tolist()
        found = g.young(g.Profile(ballots, weights=weights, labels=range(m)), variant=variant)
        goal = int(variant == "strict")
        expected = [-fewest_left_out(ballots, weights, m, a, goal) for a in range(m)]
        assert found.scores.tolist() == expected, seed


def fewest_exchanges(rows, m, a):
    """By dynamic programming over how far up the item is lifted on each ballot."""
    reached = {tuple([0] * m): 0}
    for row in rows:
        place = row.index(a)
        after = {}
        for gained, cost in reached.items():
            now = list(gained)
            for lift in range(place + 1):
                if lift:
                    now[row[place - lift]] += 1
                key = tuple(now)
                after[key] = min(after.get(key, 10**9), cost + lift)
        reached = after
    above = [sum(row.index(b) < row.index(a) for row in rows) for b in range(m)]
    need = [0 if b == a else max(0, above[b] - (len(rows) - 1) // 2) for b in range(m)]
    return min(
        c for key, c in reached.items() if all(x >= y for x, y in zip(key, need, strict=True))
    )


def test_dodgson_exchanges_as_little_as_can_be():
    for seed in range(60):
        rng, ballots, m, n = draw(seed)
        weights = rng.integers(1, 3, n).tolist()
        rows = [[x for (x,) in ballot] for ballot in ballots]
        found = g.dodgson(g.Profile(ballots, weights=weights, labels=range(m)))
        each = [row for row, w in zip(rows, weights, strict=True) for _ in range(w)]
        assert found.scores.tolist() == [-fewest_exchanges(each, m, a) for a in range(m)], seed


def test_larger_elections_are_decided_or_refused():
    rng = np.random.default_rng(0)
    rows = np.argsort(rng.random((60, 5)), 1)
    profile = g.Profile(rows)
    champion = g.condorcet_winner(profile).winners
    for rule in (g.young, g.dodgson):
        decision = rule(profile)
        assert (decision.scores == 0).any() == bool(champion)
        with pytest.raises(InfeasibleError, match="more than 1 nodes"):
            rule(g.Profile([[0, 1, 2], [1, 2, 0], [2, 0, 1]]), cap=1)


@pytest.mark.parametrize("rule", [g.young, g.dodgson])
def test_voters_are_counted(rule):
    with pytest.raises(InputError, match="weights: expected whole numbers"):
        rule(g.Profile([[0, 1], [1, 0]], weights=[0.5, 1]))
    with pytest.raises(InputError, match="full strict rankings"):
        g.dodgson(g.Profile([[0], [1, 0]]))


def weak_orders(m):
    for buckets in product(range(m), repeat=m):
        if set(buckets) == set(range(max(buckets) + 1)):
            yield buckets


SCHEMES = {
    "unifying": lambda p: ([0, 1, p, 0, 1, p], [p, p, 0, p, p, 0]),
    "induced": lambda p: ([0, 1, p, 0, 0, 0], [p, p, 0, 0, 0, 0]),
    "pseudo_distance": lambda p: ([0, 1, p, 0, 1, 0], [p, p, 0, p, p, 0]),
}


def weak_cost(buckets, ballots, weights, m, before, tied):
    total = 0.0
    for ballot, w in zip(ballots, weights, strict=True):
        at = {x: i for i, bucket in enumerate(ballot) for x in bucket}
        for a in range(m):
            for b in range(m):
                if a == b or buckets[a] > buckets[b] or (buckets[a] == buckets[b] and a > b):
                    continue
                if a in at and b in at:
                    kind = 0 if at[a] < at[b] else 1 if at[a] > at[b] else 2
                else:
                    kind = 3 if a in at else 4 if b in at else 5
                total += w * (before if buckets[a] < buckets[b] else tied)[kind]
    return total


@pytest.mark.parametrize("scheme", SCHEMES)
def test_no_weak_order_costs_less(scheme):
    for seed in range(30):
        rng, ballots, m, n = draw(seed, kinds=("full", "partial", "weak", "both"))
        weights, p = rng.integers(1, 4, n).tolist(), (0.5, 0.25, 1.0)[seed % 3]
        profile = g.Profile(ballots, weights=weights, labels=range(m))
        vectors = SCHEMES[scheme](p)
        costs = {order: weak_cost(order, ballots, weights, m, *vectors) for order in weak_orders(m)}
        found = g.weak_kemeny(profile, scheme=scheme, p=p)
        least = min(costs.values())
        assert found.value == pytest.approx(least)
        assert costs[tuple(found.buckets.tolist())] == pytest.approx(least)
        assert found.optimal
        given = g.weak_kemeny(profile, before=vectors[0], tied=vectors[1])
        assert given.buckets.tolist() == found.buckets.tolist()
        near = g.weak_kemeny(profile, scheme=scheme, p=p, method="local")
        assert near.value >= least - 1e-9
        assert near.lower_bound <= least + 1e-9


def test_strict_ballots_have_a_weak_consensus_no_dearer_than_the_strict_one():
    rng = np.random.default_rng(3)
    for m in (5, 20):
        profile = g.Profile(np.argsort(rng.random((9, m)), 1))
        strict, weak = g.kemeny(profile), g.weak_kemeny(profile)
        assert weak.value <= strict.value + 1e-9
        assert len(weak.ranking) > 1


def test_penalties_have_to_be_six_costs():
    profile = g.Profile([[0, 1]])
    with pytest.raises(InputError, match="before: expected six costs"):
        g.weak_kemeny(profile, before=[1, 2])
    with pytest.raises(InputError, match="tied: expected equal numbers for both orders"):
        g.weak_kemeny(profile, tied=[1, 2, 0, 0, 0, 0])
    with pytest.raises(InputError, match="exact for at most 14"):
        g.weak_kemeny(g.Profile([list(range(15))]), method="exact")


def test_the_best_ballot_is_picked():
    for seed in range(60):
        rng, ballots, m, n = draw(seed, most=6)
        weights = rng.integers(1, 4, n)
        profile = g.Profile(ballots, weights=weights, labels=range(m))
        S = slow.support(ballots, weights, m)
        cost = lambda row: sum(S[b, a] for i, a in enumerate(row) for b in row[i + 1 :])  # noqa: E731
        rows = sorted(tuple(x for (x,) in ballot) for ballot in ballots)
        found = g.pick_a_perm(profile)
        assert found.order == min(rows, key=lambda row: (cost(row), row))
        assert found.value == pytest.approx(min(map(cost, rows)))
        best = g.kemeny(profile)
        assert best.value <= found.value <= 2 * best.value
        assert found.lower_bound <= best.value + 1e-9


def test_partial_ballots_are_filled_in_the_order_of_borda():
    profile = g.Profile([[2], [0, 1, 2], [2, 1, 0]], labels=range(3))
    assert g.pick_a_perm(profile).order in {(2, 1, 0), (2, 0, 1)}


def test_chanas_ends_where_no_insertion_helps():
    for seed in range(40):
        _, ballots, m, _ = draw(seed, most=7, voters=9)
        profile = g.Profile(ballots, labels=range(m))
        found, best = g.chanas(profile), g.kemeny(profile)
        start = g.distances(profile, g.borda(profile).order) @ profile.weights
        assert best.value <= found.value <= start + 1e-9
        assert found.lower_bound <= best.value + 1e-9
        if found.optimal:
            assert found.value == pytest.approx(best.value)


def test_mc4_is_where_the_walk_is():
    for seed in range(60):
        _, ballots, m, _ = draw(seed, most=6, voters=7, kinds=("full", "weak"))
        profile = g.Profile(ballots, labels=range(m))
        S = profile.support()
        top = list(g.smith_set(profile).winners)
        q = len(top)
        P = np.zeros((q, q))
        for i, a in enumerate(top):
            for j, b in enumerate(top):
                if i != j:
                    P[i, j] = (0.5 if S[a, b] == S[b, a] else float(S[b, a] > S[a, b])) / q
            P[i, i] = 1 - P[i].sum()
        shares = np.linalg.matrix_power((P + np.eye(q)) / 2, 1 << 14)[0]
        found = g.mc4(profile)
        below = len({int(x) for x in g.smith_set(profile).buckets}) - 1
        assert found.scores[top] - below == pytest.approx(shares, abs=1e-9)
        assert set(found.winners) <= set(top)


def test_an_axis_is_found_exactly_when_there_is_one():
    def fits(axis, rows):
        at = [[row.index(x) for x in axis] for row in rows]
        return all(
            all(p[i] > p[i + 1] for i in range(p.index(0)))
            and all(p[i] < p[i + 1] for i in range(p.index(0), len(p) - 1))
            for p in at
        )

    seen = set()
    for seed in range(300):
        rng = np.random.default_rng(seed)
        m, n = int(rng.integers(1, 6)), int(rng.integers(1, 5))
        rows = [rng.permutation(m).tolist() for _ in range(n)]
        axis = g.single_peaked_axis(g.Profile(rows, labels=range(m)))
        exists = any(fits(order, rows) for order in permutations(range(m)))
        assert (axis is not None) == exists, rows
        assert axis is None or fits(axis, rows)
        seen.add(exists)
    assert seen == {True, False}


@pytest.mark.parametrize("culture", ["walsh", "conitzer"])
def test_the_best_committee_on_an_axis_is_the_best_of_all(culture):
    for seed in range(20):
        m, k = 3 + seed % 6, 1 + seed % 4
        k = min(k, m)
        drawn = g.random_profile(12, m, culture=culture, seed=seed)
        weights = np.random.default_rng(seed).integers(1, 4, drawn.n_ballots)
        profile = g.Profile(drawn.rankings, weights=weights)
        found = g.committee(profile, k, rule="cc", method="single_peaked")
        best = g.committee(profile, k, rule="cc", method="exact")
        assert found.optimal
        assert found.value == pytest.approx(best.value)
        assert g.committee_value(profile, found.members, rule="cc") == pytest.approx(found.value)
        assert sum(step.gain for step in found.steps) == pytest.approx(found.value)


def test_an_axis_is_asked_for_where_it_is_needed():
    crossed = g.Profile([[0, 1, 2], [1, 2, 0], [2, 0, 1]])
    with pytest.raises(InputError, match="single-peaked rankings"):
        g.committee(crossed, 1, rule="cc", method="single_peaked")
    peaked = g.Profile([[0, 1, 2], [1, 2, 0]])
    assert len(g.committee(peaked, 3, rule="cc", method="single_peaked").members) == 3
    assert g.committee(peaked, 0, rule="cc", method="single_peaked").members == ()
    for options in ({"rule": "pav"}, {"resolute": False}, {"groups": [0, 0, 1], "upper": [0, 1]}):
        with pytest.raises(InputError, match="single_peaked"):
            g.committee(peaked, 1, **{"rule": "cc", "method": "single_peaked", **options})


def test_stochastic_greedy_is_greedy_where_samples_hold_all_items():
    rng = np.random.default_rng(5)
    profile = g.Profile(np.argsort(rng.random((30, 12)), 1))
    options = {"rule": "cc", "method": "stochastic"}
    whole = g.committee(profile, 4, **options, epsilon=1e-9)
    assert whole.members == g.committee(profile, 4, rule="cc", method="greedy").members
    best = g.committee(profile, 4, rule="cc", method="exact").value
    drawn = [g.committee(profile, 4, **options, epsilon=0.5, seed=seed) for seed in range(8)]
    assert len({found.members for found in drawn}) > 1
    for found in drawn:
        assert found.value <= best + 1e-9 <= found.upper_bound + 2e-9
        assert found.method == "stochastic"
    again = g.committee(profile, 4, **options, epsilon=0.5, seed=3, threads=2)
    assert again.members == drawn[3].members
    with pytest.raises(InputError, match="epsilon: expected a number above 0"):
        g.committee(profile, 4, **options, epsilon=0)


def test_authorities_are_the_leading_eigenvector():
    rng = np.random.default_rng(6)
    a = rng.integers(0, 5, 60)
    b = (a + rng.integers(1, 5, 60)) % 5
    wins = np.zeros((5, 5))
    np.add.at(wins, (a, b), 1)
    values, vectors = np.linalg.eigh(wins @ wins.T)
    expected = np.abs(vectors[:, np.argmax(values)])
    found = g.hits(a, b, items=5)
    assert found.converged
    assert found.scores == pytest.approx(expected, abs=1e-8)
