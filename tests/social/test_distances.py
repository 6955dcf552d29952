"""Distances between rankings, and random profiles."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import gustibus.social as g
from gustibus.errors import InputError, UnknownNameError
from tests.social import slow


def kendall(a, b, m, penalty):
    p, q = slow.places(a, m), slow.places(b, m)
    total = 0.0
    for i, j in itertools.combinations(range(m), 2):
        x, y = np.sign(p[i] - p[j]), np.sign(q[i] - q[j])
        total += penalty if (x == 0) != (y == 0) else float(x != y)
    return total


def test_kendall_with_penalties_counts_pairs():
    rng = np.random.default_rng(0)
    for i in range(300):
        m = int(rng.integers(1, 9))
        a, b = slow.random_ballots(rng, m, 2, ("full", "weak", "both", "partial")[i % 4])
        profile = g.Profile([a], labels=range(m))
        for penalty in (0.0, 0.5, 1.0):
            assert g.distances(profile, b, penalty=penalty)[0] == kendall(a, b, m, penalty)


def test_correlations_are_those_of_scipy():
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(1)
    for _ in range(200):
        m = int(rng.integers(2, 12))
        a, b = slow.random_ballots(rng, m, 2, "weak")
        p, q = slow.places(a, m), slow.places(b, m)
        if len(set(p)) > 1 and len(set(q)) > 1:
            assert np.isclose(g.distance(a, b, metric="tau_b"), stats.kendalltau(p, q).statistic)
        midranks = stats.rankdata(p), stats.rankdata(q)
        assert g.distance(a, b, metric="footrule") == np.abs(midranks[0] - midranks[1]).sum()
        assert g.distance(a, b, metric="rho") == ((midranks[0] - midranks[1]) ** 2).sum()


def test_strict_distances_are_right_invariant_metrics():
    rng = np.random.default_rng(2)
    for metric in ("kendall", "footrule", "cayley", "ulam", "hamming"):
        for _ in range(60):
            m = int(rng.integers(2, 8))
            a, b, c, names = (rng.permutation(m).tolist() for _ in range(4))
            d = lambda x, y, metric=metric: g.distance(x, y, metric=metric)  # noqa: E731
            assert d(a, b) == d(b, a)
            assert d(a, a) == 0
            assert (d(a, b) > 0) == (a != b)
            assert d(a, c) <= d(a, b) + d(b, c)
            assert d([names[x] for x in a], [names[x] for x in b]) == d(a, b)
            k, f = g.distance(a, b), g.distance(a, b, metric="footrule")
            assert f / 2 <= k <= f


def test_cayley_and_ulam_by_search():
    def neighbours(order, kind):
        m = len(order)
        for i, j in itertools.permutations(range(m), 2):
            new = list(order)
            if kind == "cayley":
                new[i], new[j] = new[j], new[i]
            else:
                new.insert(j, new.pop(i))
            yield tuple(new)

    for kind in ("cayley", "ulam"):
        start = (0, 1, 2, 3, 4)
        far, layer, steps = {start: 0}, [start], 0
        while layer:
            steps += 1
            layer = [x for x in {y for x in layer for y in neighbours(x, kind)} if x not in far]
            far.update(dict.fromkeys(layer, steps))
        for order, expected in far.items():
            assert g.distance(start, order, metric=kind) == expected


def test_rank_biased_overlap():
    same = g.rbo("abcde", "abcde", persistence=0.9)
    assert np.isclose(same.extrapolated, 1)
    assert np.isclose(same.minimum + same.residual, 1)
    apart = g.rbo("abc", "xyz")
    assert apart.extrapolated == 0
    rng = np.random.default_rng(3)
    for _ in range(100):
        a = rng.permutation(12)[: rng.integers(1, 12)].tolist()
        b = rng.permutation(12)[: rng.integers(1, 12)].tolist()
        p = float(rng.uniform(0.3, 0.95))
        overlap = g.rbo(a, b, persistence=p)
        # Lists that go on with items the other lacks, and lists that go on alike: the two bounds.
        far = list(range(100, 1100))
        least = _plain_rbo([*a, *far], [*b, *(x + 5000 for x in far)], p)
        rest_a = [x for x in b if x not in a]
        rest_b = [x for x in a if x not in b]
        most = _plain_rbo([*a, *rest_a, *far], [*b, *rest_b, *far], p)
        assert np.isclose(overlap.minimum, least)
        assert np.isclose(overlap.minimum + overlap.residual, most)
        assert overlap.minimum - 1e-9 <= overlap.extrapolated <= most + 1e-9


def _plain_rbo(a, b, p):
    seen_a, seen_b, total = set(), set(), 0.0
    common = 0
    for d, (x, y) in enumerate(zip(a, b, strict=False), 1):
        common += (x == y) + (x != y) * ((x in seen_b) + (y in seen_a))
        seen_a.add(x)
        seen_b.add(y)
        total += (1 - p) * p ** (d - 1) * common / d
    return total


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: g.distance("ab", "ab", metric="x"), UnknownNameError, "no metric"),
        (lambda: g.distance("ab", "ab", penalty=2), InputError, r"penalty: expected a number in"),
        (lambda: g.distance([], []), InputError, "a, b: expected at least one item"),
        (lambda: g.distance([["a", "b"]], "ab", metric="ulam"), InputError, "one that allows ties"),
        (
            lambda: g.distances(g.Profile([["a", "b"]]), "c"),
            InputError,
            "ranking: expected labels",
        ),
        (lambda: g.distances(g.Profile([["a"]]), "aa"), InputError, "each item at most once"),
        (lambda: g.rbo("", "a"), InputError, "expected different items, at least one"),
        (lambda: g.rbo("aa", "a"), InputError, "expected different items"),
        (lambda: g.rbo("a", "a", persistence=1), InputError, "persistence: expected"),
        (lambda: g.random_profile(0, 3), InputError, "n_ballots: expected a whole number"),
        (lambda: g.random_profile(3, 0), InputError, "n_items: expected a whole number"),
        (lambda: g.random_profile(3, 3, "x"), UnknownNameError, "no culture"),
        (lambda: g.random_profile(3, 3, "mallows", parameter=2), InputError, "phi: expected"),
        (lambda: g.random_profile(3, 3, "mallows", centre=[0, 0, 1]), InputError, "centre: exp"),
        (lambda: g.random_profile(3, 3, "thurstone"), InputError, "means: expected"),
        (lambda: g.random_profile(3, 3, "thurstone", strengths=[1]), InputError, "means: expected"),
        (lambda: g.random_profile(3, 3, seed=-1), InputError, "seed: expected a whole number"),
        (lambda: g.random_profile(3, 3, labels="ab"), InputError, "labels: expected 3, got 2"),
        (lambda: g.random_profile(3, 3, "urn", parameter="x"), InputError, "parameter: expected"),
    ],
)
def test_wrong_calls_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("culture", ["impartial", "urn", "mallows", "norm_mallows", "walsh",
                                     "conitzer", "euclidean", "anonymous", "single_crossing"])  # fmt: skip
def test_cultures_are_reproducible(culture):
    a = g.random_profile(500, 6, culture, seed=3, threads=1).rankings
    assert np.array_equal(a, g.random_profile(500, 6, culture, seed=3, threads=2).rankings)
    assert (np.sort(a, axis=1) == np.arange(6)).all()
    if culture != "single_crossing":
        assert not np.array_equal(a, g.random_profile(500, 6, culture, seed=4).rankings)


def test_strengths_order_items():
    strengths = np.array([0.0, 2.0, 1.0])
    for culture in ("plackett_luce", "thurstone"):
        profile = g.random_profile(4000, 3, culture, strengths=strengths, labels="abc")
        assert g.borda(profile).order == ("b", "c", "a")
    first = g.plurality(g.random_profile(40_000, 3, "plackett_luce", strengths=strengths)).scores
    assert np.allclose(first / 40_000, np.exp(strengths) / np.exp(strengths).sum(), atol=0.01)
