"""Consensus orders: every method against brute force, and against each other."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import gustibus.social as g
from gustibus.errors import InfeasibleError, InputError
from tests.social import slow


def profiles(count, *, most=6, seed=0):
    rng = np.random.default_rng(seed)
    kinds = ("full", "partial", "weak", "both")
    for i in range(count):
        m, n = int(rng.integers(1, most + 1)), int(rng.integers(1, 8))
        ballots = slow.random_ballots(rng, m, n, kinds[i % 4])
        weights = rng.integers(1, 4, n).tolist()
        yield (
            slow.support(ballots, weights, m),
            g.Profile(ballots, weights=weights, labels=range(m)),
        )


def test_the_least_cost_and_every_order_that_has_it():
    for S, profile in profiles(250):
        least, orders = slow.kemeny(S)
        decision = g.kemeny(profile, all_optimal=True)
        assert decision.value == least == decision.lower_bound
        assert decision.optimal
        assert decision.gap == 0
        assert sorted(decision.orders) == sorted(orders)
        assert decision.order == min(orders)
        assert list(decision.winners) == sorted({order[0] for order in orders})


@pytest.mark.parametrize("method", ["subsets", "branch", "milp", "local"])
@pytest.mark.parametrize("split", [True, False])
def test_all_methods_agree(method, split):
    if method == "milp":
        pytest.importorskip("scipy.optimize")
        if not split:
            pytest.skip("the program always splits")
    options = {} if method == "milp" else {"split": split}
    for S, profile in profiles(60 if method == "milp" else 200, most=7, seed=1):
        least = slow.kemeny(S)[0] if len(S) < 7 else g.kemeny(S).value
        decision = g.kemeny(profile, method=method, **options)
        ids = decision.order_ids
        assert decision.value == np.triu(S[np.ix_(ids, ids)].T, 1).sum()
        assert decision.lower_bound <= least <= decision.value
        if method != "local":
            assert decision.value == least
            assert decision.optimal


def cyclic(rng, m, n=9):
    """A profile that is one cycle of majorities."""
    while True:
        profile = g.Profile(np.argsort(rng.random((n, m)), 1))
        if len(g.smith_set(profile).ranking) == 1:
            return profile


def test_exact_methods_agree_on_long_cycles():
    pytest.importorskip("scipy.optimize")
    rng = np.random.default_rng(2)
    for m in (9, 14, 18):
        profile = cyclic(rng, m)
        values = {
            method: g.kemeny(profile, method=method) for method in ("subsets", "branch", "milp")
        }
        assert len({d.value for d in values.values()}) == 1, values
        assert all(d.optimal for d in values.values())
        scaled = g.Profile(profile.rankings, weights=np.full(profile.n_ballots, 0.1))
        assert np.isclose(g.kemeny(scaled).value, values["subsets"].value / 10)
        searched = g.kemeny(profile, method="local")
        assert searched.lower_bound <= values["subsets"].value <= searched.value
        assert searched.gap >= 0


def tournament(rng, m, sizes, upsets):
    """Support whose margins, one of the sizes each, go along an order but for a share of upsets."""
    while True:
        margins = rng.choice(sizes, (m, m)) * np.where(rng.random((m, m)) < upsets, -1, 1)
        margins = np.triu(margins, 1)
        margins -= margins.T
        support = (max(sizes) + 1 + margins) / 2
        np.fill_diagonal(support, 0)
        ids = rng.permutation(m)
        support = support[np.ix_(ids, ids)]
        if len(g.smith_set(support).ranking) == 1:
            return support


@pytest.mark.parametrize("sizes", [(1,), (0, 2), (1, 3, 5, 7, 9), (0.1, 0.2, 0.7)])
def test_few_sets_give_the_winners_and_the_order_of_all_subsets(sizes):
    rng = np.random.default_rng(10)
    for m, upsets in ((15, 0.5), (16, 0.3), (17, 0.15), (18, 0.5)):
        for _ in range(4):
            support = tournament(rng, m, sizes, upsets)
            expected = g.kemeny(support, method="subsets")
            for threads in (1, 2, None):
                decision = g.kemeny(support, threads=threads)
                assert decision.winners == expected.winners
                assert decision.order == expected.order
                assert decision.value == expected.value
                assert decision.lower_bound == expected.value
                assert decision.optimal


def test_long_cycles_are_solved_as_by_the_program():
    pytest.importorskip("scipy.optimize")
    rng = np.random.default_rng(11)
    cases = [(25, (1, 3, 5, 7, 9), 0.3), (30, (1,), 0.15), (30, (2, 6, 14), 0.25), (40, (1,), 0.1),
             (40, (0.1, 0.2, 0.7), 0.2)]  # fmt: skip
    for m, sizes, upsets in cases:
        support = tournament(rng, m, sizes, upsets)
        expected = g.kemeny(support, method="milp", time_limit=60)
        assert expected.optimal
        decision = g.kemeny(support)
        assert decision.optimal
        assert np.isclose(decision.value, expected.value, rtol=1e-12)
        assert decision.gap == 0
        for threads in (1, 2):
            assert g.kemeny(support, threads=threads).order == decision.order
        searched = g.kemeny(support, method="local", kicks=0, starts=1)
        assert searched.lower_bound <= expected.value * (1 + 1e-12)
        assert searched.value >= expected.value * (1 - 1e-12)


def test_bounds_of_long_cycles_stay_below_the_optimum_and_close_to_it():
    pytest.importorskip("scipy.optimize")
    rng = np.random.default_rng(12)
    for m in (16, 20):
        support = tournament(rng, m, (1, 3, 5, 7, 9), 0.4)
        least = np.minimum(support, support.T)[np.triu_indices(m, 1)].sum()
        best = g.kemeny(support, method="subsets").value
        searched = g.kemeny(support, method="local")
        assert best - 0.05 * (best - least) <= searched.lower_bound <= best <= searched.value


def tied(rng, m, share, sizes=(1, 2, 3)):
    """Support of which a share of pairs is not tied."""
    margins = rng.choice(sizes, (m, m)) * rng.choice((-1, 1), (m, m))
    margins = np.triu(np.where(rng.random((m, m)) < share, margins, 0), 1)
    margins -= margins.T
    support = (max(sizes) + 1 + margins) / 2
    np.fill_diagonal(support, 0)
    return support


@pytest.mark.parametrize("sizes", [(1,), (1, 2, 3), (0.1, 0.2, 0.7)])
def test_ties_that_set_items_free_change_no_winner_and_no_order(sizes):
    rng = np.random.default_rng(13)
    for m in (9, 15, 18):
        for share in (0.02, 0.08, 0.15, 0.25, 0.5):
            support = tied(rng, m, share, sizes)
            expected = g.kemeny(support, method="subsets", split=False)
            decision = g.kemeny(support)
            assert decision.winners == expected.winners
            assert decision.order == expected.order
            assert np.isclose(decision.value, expected.value, rtol=1e-12)
            assert decision.optimal


@pytest.mark.parametrize("m", [22, 40, 64, 100])
def test_where_hardly_anything_is_decided_orders_are_proven(m):
    rng = np.random.default_rng(14)
    nothing = g.kemeny(tied(rng, m, 0.0))
    assert nothing.order == nothing.winners == tuple(range(m))
    order = rng.permutation(m)
    support = tied(rng, m, 0.0)
    for first, second in itertools.pairwise(order):
        support[first, second] += 1
    chain = g.kemeny(support)
    assert list(chain.order) == order.tolist()
    assert chain.winners == (order[0],)
    # Cycles of three that nothing connects cost one vote each.
    support = tied(rng, m, 0.0)
    for a in range(0, m - 2, 3):
        for first, second in ((a, a + 1), (a + 1, a + 2), (a + 2, a)):
            support[first, second] += 1
    cycles = g.kemeny(support)
    assert cycles.optimal
    assert cycles.value == np.minimum(support, support.T)[np.triu_indices(m, 1)].sum() + m // 3


def test_a_search_is_never_worse_than_its_start():
    rng = np.random.default_rng(3)
    for m in (30, 80):
        profile = g.Profile(np.argsort(rng.random((11, m)), 1))
        S = profile.support()
        start = np.argsort(-profile.margins().sum(1), kind="stable")
        first = g.kemeny(profile, method="local", starts=1, kicks=0)
        later = g.kemeny(profile, method="local", starts=4, kicks=30)
        assert later.value <= first.value <= np.triu(S[np.ix_(start, start)].T, 1).sum()
        assert later.lower_bound >= np.minimum(S, S.T)[np.triu_indices(m, 1)].sum()
        again = g.kemeny(profile, method="local", starts=4, kicks=30, threads=1)
        assert again.order == later.order


def test_a_time_limit_returns_the_best_so_far():
    profile = cyclic(np.random.default_rng(4), 40)
    decision = g.kemeny(profile, time_limit=0.0)
    assert sorted(decision.order) == list(range(40))
    assert decision.gap > 0
    assert not decision.optimal
    if pytest.importorskip("scipy.optimize"):
        assert g.kemeny(profile, method="milp", time_limit=0.0).gap > 0


def test_limits_are_named():
    profile = cyclic(np.random.default_rng(5), 25)
    with pytest.raises(InputError, match="method: expected subsets for at most 24 items"):
        g.kemeny(profile, method="subsets")
    with pytest.raises(InputError, match="all_optimal: expected at most 12 items in a cycle"):
        g.kemeny(profile, all_optimal=True)
    with pytest.raises(InputError, match="all_optimal: expected False for method 'milp'"):
        g.kemeny(profile, method="milp", all_optimal=True)
    with pytest.raises(InfeasibleError, match="more than a million"):
        g.kemeny(np.zeros((11, 11)), all_optimal=True)


def test_slater_reverses_the_fewest_majorities():
    for S, profile in profiles(150, seed=6, most=5):
        wins = (S > S.T).astype(float)
        assert g.slater(profile).value == slow.kemeny(wins)[0]


def test_the_footrule_order_is_a_cheapest_assignment():
    rng = np.random.default_rng(7)
    for i in range(120):
        m, n = int(rng.integers(1, 6)), int(rng.integers(1, 6))
        ballots = slow.random_ballots(rng, m, n, ("full", "weak", "partial", "both")[i % 4])
        weights = rng.integers(1, 4, n).tolist()
        cost = np.zeros((m, m))
        for ballot, w in zip(ballots, weights, strict=True):
            rest = sorted(set(range(m)) - {x for b in ballot for x in b})
            place = 0
            for bucket in [*ballot, *([rest] if rest else [])]:
                mean = place + (len(bucket) - 1) / 2
                for x in bucket:
                    cost[x] += w * np.abs(np.arange(m) - mean)
                place += len(bucket)
        least = min(sum(cost[x, r] for r, x in enumerate(order))
                    for order in itertools.permutations(range(m)))  # fmt: skip
        decision = g.footrule(g.Profile(ballots, weights=weights, labels=range(m)))
        assert np.isclose(decision.value, least)
        assert np.isclose(sum(cost[x, r] for r, x in enumerate(decision.order)), least)
    ignored = g.Profile([["a"], ["b", "a"]], unranked="ignore")
    with pytest.raises(InputError, match="a place for every item"):
        g.footrule(ignored)


def test_the_total_distance_is_the_sum_over_ballots():
    rng = np.random.default_rng(8)
    profile = g.Profile(np.argsort(rng.random((40, 12)), 1), weights=rng.integers(1, 5, 40))
    decision = g.kemeny(profile)
    away = g.distances(profile, decision.order)
    assert (away * profile.weights).sum() == decision.value
