"""Consensus rankings with parity of pairs, against all rankings."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from gustibus.errors import InfeasibleError, InputError
from gustibus.social import Profile, kemeny, pairwise_parity, parity_consensus


def nearest(support, attributes, delta):
    """The least distance of a ranking with small gaps, infinite where there is none."""
    m, best = len(support), np.inf
    for order in itertools.permutations(range(m)):
        if pairwise_parity(list(order), attributes).largest <= delta + 1e-9:
            ids = list(order)
            best = min(best, np.triu(support[np.ix_(ids, ids)].T, 1).sum())
    return best


@pytest.mark.parametrize("delta", [0.0, 0.2, 0.5, 1.0])
@pytest.mark.parametrize("several", [False, True])
def test_no_ranking_with_small_gaps_is_nearer(delta, several):
    rng = np.random.default_rng(int(10 * delta) + several)
    for _ in range(4):
        m = int(rng.integers(3, 6))
        rows, weights = np.argsort(rng.random((7, m)), 1), rng.integers(1, 4, 7)
        attributes = {"kind": rng.integers(0, 2, m).tolist()}
        if several:
            attributes["size"] = rng.integers(0, 3, m).tolist()
        profile = Profile(rows, weights=weights)
        least = nearest(profile.support(), attributes, delta)
        if np.isinf(least):
            with pytest.raises(InfeasibleError, match="delta"):
                parity_consensus(profile, attributes, delta=delta)
            continue
        found = parity_consensus(profile, attributes, delta=delta)
        assert found.optimal
        assert found.distance == pytest.approx(least)
        assert found.lower_bound == pytest.approx(least)
        assert pairwise_parity(found.order, attributes).largest <= delta + 1e-8
        assert [profile.labels.index(x) for x in found.ranking] == found.order.tolist()


def test_loose_bounds_leave_the_kemeny_distance():
    rows = np.argsort(np.random.default_rng(3).random((9, 12)), 1)
    profile = Profile(rows)
    found = parity_consensus(profile, ["a", "b"] * 6, delta=1.0)
    assert found.distance == pytest.approx(kemeny(profile).value)


def test_without_time_the_mended_consensus_is_the_answer():
    rows = np.argsort(np.random.default_rng(4).random((9, 14)), 1)
    attributes = ["a"] * 7 + ["b"] * 7
    found = parity_consensus(rows, attributes, delta=0.2, time_limit=0.0)
    assert not found.optimal
    assert pairwise_parity(found.order, attributes).largest <= 0.2
    assert found.lower_bound <= parity_consensus(rows, attributes, delta=0.2).distance


@pytest.mark.parametrize(("delta", "match"), [(-0.1, "delta"), (float("nan"), "delta")])
def test_wrong_gaps_are_named(delta, match):
    with pytest.raises(InputError, match=match):
        parity_consensus([[0, 1, 2]], ["a", "b", "a"], delta=delta)
