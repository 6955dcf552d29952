"""Closest fair rankings, fair consensus, parity and lotteries."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from gustibus.errors import InfeasibleError, InputError
from gustibus.social import (
    Profile,
    closest_fair_ranking,
    exposure_policy,
    fair_consensus,
    pairwise_parity,
    repair_parity,
)


def kendall(a, b):
    place = {item: i for i, item in enumerate(b)}
    return sum(place[x] > place[y] for i, x in enumerate(a) for y in a[i + 1 :])


def fair(ranking, groups, low, high):
    counts = np.cumsum([[groups[item] == g for g in sorted(set(groups))] for item in ranking], 0)
    return bool(((counts >= low) & (counts <= high)).all())


def bounds(groups):
    m, names = len(groups), sorted(set(groups))
    wanted = np.arange(1, m + 1)[:, None] * [groups.count(g) / m for g in names]
    return np.floor(wanted + 1e-9), np.ceil(wanted - 1e-9)


@pytest.mark.parametrize("seed", range(12))
def test_the_closest_fair_ranking_is_that_of_brute_force(seed):
    rng = np.random.default_rng(seed)
    groups = rng.choice(["a", "b", "c"], 7).tolist()
    order = rng.permutation(7).tolist()
    low, high = bounds(groups)
    found = closest_fair_ranking(order, groups).tolist()
    assert fair(found, groups, low, high)
    options = (list(r) for r in permutations(range(7)) if fair(r, groups, low, high))
    assert kendall(found, order) == min(kendall(r, order) for r in options)


@pytest.mark.parametrize("seed", range(8))
def test_the_consensus_is_fair_and_within_three_times_the_optimum(seed):
    rng = np.random.default_rng(seed)
    ballots = np.array([rng.permutation(6) for _ in range(7)])
    weights = rng.integers(1, 4, 7)
    groups = ["a", "b", "a", "b", "b", "a"]
    low, high = bounds(groups)

    def total(r):
        return sum(w * kendall(r, b) for w, b in zip(weights, ballots.tolist(), strict=True))

    done = fair_consensus(Profile(ballots, weights=weights), groups)
    assert fair(done.order, groups, low, high)
    assert done.distance == total(done.order.tolist())
    options = [total(r) for r in permutations(range(6)) if fair(r, groups, low, high)]
    best = min(options)
    assert done.lower_bound <= best <= done.distance <= done.start <= 3 * best
    assert done.distance <= 1.1 * best  # moves of single items get close
    for threads in (1, 2):
        again = fair_consensus(Profile(ballots, weights=weights), groups, threads=threads)
        assert again.order.tobytes() == done.order.tobytes()


def test_labels_come_back_and_partial_ballots_are_errors():
    ballots = [["tea", "milk", "rum"], ["milk", "tea", "rum"]]
    done = fair_consensus(ballots, ["x", "x", "y"])
    assert set(done.ranking) == {"tea", "milk", "rum"}
    with pytest.raises(InputError, match="full strict rankings"):
        fair_consensus([["tea"], ["milk", "rum"]], ["x", "x", "y"])
    with pytest.raises(InfeasibleError):
        fair_consensus(ballots, ["x", "x", "y"], shares={"x": 0.1, "y": 0.9})
    with pytest.raises(InputError, match="groups"):
        fair_consensus(ballots, ["x", "y"])


def test_parity_is_the_share_of_mixed_pairs_won():
    rng = np.random.default_rng(0)
    groups, kinds = rng.choice(list("abc"), 12).tolist(), rng.choice(list("xy"), 12).tolist()
    order = rng.permutation(12).tolist()
    parity = pairwise_parity(order, {"group": groups, "kind": kinds})
    for labels, name in ((groups, "group"), (kinds, "kind")):
        for label, share in parity.shares[name].items():
            mine = [i for i in order if labels[i] == label]
            wins = sum(labels[y] != label for x in mine for y in order[order.index(x) + 1 :])
            assert share == pytest.approx(wins / (len(mine) * (12 - len(mine))))
        shares = parity.shares[name].values()
        assert parity.gaps[name] == pytest.approx(max(shares) - min(shares))
    assert parity.largest >= parity.intersection >= 0


def test_parity_is_that_of_a_peer():
    try:
        import pandas as pd
        from FairRankTune.Metrics import ARP
    except ImportError as error:
        pytest.skip(f"FairRankTune does not import: {error}")
    rng = np.random.default_rng(1)
    groups = rng.choice(list("ab"), 12).tolist()
    order = rng.permutation(12)
    theirs = ARP(pd.DataFrame({"Ranking": order}), dict(enumerate(groups)), "MaxMinDiff")
    ours = pairwise_parity(order, groups)
    assert ours.gaps["group"] == pytest.approx(theirs[0])


def test_repair_reaches_delta_where_it_can():
    attributes = {"group": list("aaaaaabbbbbbcccccc") * 2, "kind": list("xy") * 18}
    start = np.argsort(np.array(attributes["group"]) + np.array(attributes["kind"]), kind="stable")
    assert pairwise_parity(start, attributes).largest > 0.9
    done = repair_parity(start, attributes, delta=0.1)
    parity = pairwise_parity(done.order, attributes)
    assert done.converged
    assert parity.largest == pytest.approx(done.gap)
    assert done.gap <= 0.1 + 1e-12
    assert done.swaps > 0
    stuck = repair_parity([0, 1], ["a", "b"], delta=0.1)
    assert not stuck.converged
    same = repair_parity([0, 1, 2], ["a", "a", "a"], delta=0.0)
    assert same.converged
    assert same.order.tolist() == [0, 1, 2]


@pytest.mark.parametrize("parity", ["demographic", "treatment"])
def test_a_lottery_shares_exposure_and_loses_little(parity):
    pytest.importorskip("scipy")
    rng = np.random.default_rng(2)
    relevance = np.sort(rng.random(12))[::-1] + 0.5
    groups = (["a"] * 6) + (["b"] * 6)
    policy = exposure_policy(relevance, groups, parity=parity)
    np.testing.assert_allclose(policy.matrix.sum(0), 1, atol=1e-7)
    np.testing.assert_allclose(policy.matrix.sum(1), 1, atol=1e-7)
    worth = np.array([relevance[:6].mean(), relevance[6:].mean()])
    scale = worth if parity == "treatment" else np.ones(2)
    assert np.ptp(policy.exposure / scale) < 1e-6
    assert policy.utility <= policy.best_utility + 1e-9
    assert policy.utility > 0.9 * policy.best_utility
    shown = np.zeros((12, 12))
    for ranking, weight in zip(policy.rankings, policy.weights, strict=True):
        shown[ranking, np.arange(12)] += weight
    np.testing.assert_allclose(shown, policy.matrix, atol=1e-6)
    draws = policy.sample(5, seed=3)
    assert draws.shape == (5, 12)
    assert (policy.sample(5, seed=3) == draws).all()


def test_lotteries_check_their_input():
    for relevance, groups in ([], []), ([1.0, -1.0], "ab"), ([float("nan")], ["a"]):
        with pytest.raises(InputError):
            exposure_policy(relevance, list(groups))
    with pytest.raises(InputError, match="parity"):
        exposure_policy([1.0, 2.0], ["a", "b"], parity="x")
    with pytest.raises(InputError, match="positive mean"):
        exposure_policy([1.0, 0.0], ["a", "b"], parity="treatment")
    pytest.importorskip("scipy")
    with pytest.raises(InfeasibleError):
        exposure_policy([1.0, 1e-3], ["a", "b"], parity="treatment")


@pytest.mark.parametrize("ranking", [[], [0, 0], [0, 2], [0.5, 1.0], [[0, 1]], "ab"])
def test_wrong_rankings_are_errors(ranking):
    for call in (
        lambda: closest_fair_ranking(ranking, ["a", "b"]),
        lambda: pairwise_parity(ranking, ["a", "b"]),
        lambda: repair_parity(ranking, ["a", "b"]),
    ):
        with pytest.raises(InputError):
            call()


def test_wrong_options_are_errors():
    with pytest.raises(InputError, match="delta"):
        repair_parity([0, 1], ["a", "b"], delta=-1)
    with pytest.raises(InputError, match="attributes"):
        pairwise_parity([0, 1], {})
    with pytest.raises(InputError, match="kind"):
        pairwise_parity([0, 1], {"kind": ["a"]})
    with pytest.raises(InputError, match="k: expected"):
        closest_fair_ranking([0, 1], ["a", "b"], k=3)
