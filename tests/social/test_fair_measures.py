"""Measures of fairness against plain code and a peer."""

from __future__ import annotations

import numpy as np
import pytest

from gustibus.errors import InputError, UnknownNameError
from gustibus.social import attention_gap, fair_metrics


def plain(ranking, groups, shares, patience, cutoffs):
    """Every measure as its formula says, prefix by prefix."""
    names = sorted(set(groups))
    places = np.arange(1, len(ranking) + 1)
    log, geometric = 1 / np.log2(places + 1), 100 * patience * (1 - patience) ** (places - 1)
    labels = np.array([groups[item] for item in ranking])
    target = np.array([shares[name] for name in names])
    sizes = np.array([list(groups).count(name) for name in names])
    counts = np.array([np.cumsum(labels == name) for name in names]).T
    p, q = counts / places[:, None] + 1e-7, target + 1e-7
    ndkl = (log * (p * np.log(p / q)).sum(1)).sum() / log.sum()
    short = counts < np.floor(places[:, None] * target + 1e-9)
    return {
        "ndkl": ndkl,
        "exposure": np.array([log[labels == name].sum() for name in names]) / sizes,
        "attention": np.array([geometric[labels == name].sum() for name in names]) / sizes,
        "skew": np.array([np.log(p[c - 1] / q) for c in cutoffs]),
        "infeasible_index": short.any(1).sum(),
        "infeasible_count": short.sum(),
    }


@pytest.mark.parametrize("seed", range(8))
def test_measures_are_those_of_plain_code(seed):
    rng = np.random.default_rng(seed)
    m, k = 30, int(rng.integers(1, 31))
    groups = rng.choice(["a", "b", "c"], m).tolist()
    groups[:3] = ["a", "b", "c"]
    ranking = rng.permutation(m)[:k]
    shares = dict(zip("abc", rng.dirichlet(np.ones(3)), strict=True))
    cutoffs = sorted({1, k})
    metrics = fair_metrics(ranking, groups, shares=shares, patience=0.3, cutoffs=cutoffs)
    for name, expected in plain(ranking, groups, shares, 0.3, cutoffs).items():
        np.testing.assert_allclose(getattr(metrics, name), expected, rtol=1e-9, atol=1e-12)
    exposure = metrics.exposure
    assert metrics.exposure_difference == exposure.max() - exposure.min()
    assert metrics.exposure_ratio == exposure.min() / exposure.max()
    assert metrics.exposure_variance == pytest.approx(exposure.var())
    assert metrics.max_skew.shape == (len(cutoffs),)


def test_many_rankings_are_measured_at_once_on_any_number_of_threads():
    rng = np.random.default_rng(0)
    rankings = np.array([rng.permutation(20) for _ in range(3000)])
    groups = rng.integers(0, 4, 20)
    many = fair_metrics(rankings, groups, cutoffs=[5], threads=1)
    assert many.ndkl.shape == (3000,)
    assert many.skew.shape == (3000, 1, many.exposure.shape[1])
    for threads in (2, None):
        again = fair_metrics(rankings, groups, cutoffs=[5], threads=threads)
        assert again.ndkl.tobytes() == many.ndkl.tobytes()
        assert again.exposure.tobytes() == many.exposure.tobytes()
    one = fair_metrics(rankings[17], groups, cutoffs=[5])
    assert one.ndkl == many.ndkl[17]


def test_measures_are_those_of_a_peer():
    try:
        import pandas as pd
        from FairRankTune.Metrics import AWRF, EXP, NDKL
    except ImportError as error:
        pytest.skip(f"FairRankTune does not import: {error}")
    rng = np.random.default_rng(0)
    groups = dict(enumerate(rng.choice(["a", "b"], 15).tolist()))
    ranking = rng.permutation(15)
    frame = pd.DataFrame({"Ranking": ranking})
    ours = fair_metrics(ranking, list(groups.values()), patience=0.2)
    assert ours.ndkl == pytest.approx(NDKL(frame, groups), abs=1e-12)
    assert ours.exposure_ratio == pytest.approx(EXP(frame, groups, "MinMaxRatio")[0])
    assert ours.awrf == pytest.approx(AWRF(frame, groups, 0.2, "MinMaxRatio")[0])


def test_attention_that_follows_relevance_has_no_gap():
    relevance = 1 / np.arange(1, 6)
    ranking = [[0, 1, 2, 3, 4]]
    assert attention_gap(ranking, relevance, attention="reciprocal") == pytest.approx(0, abs=1e-12)
    both = [[0, 1], [1, 0]]
    assert attention_gap(both, [1.0, 1.0]) == pytest.approx(0, abs=1e-12)
    assert attention_gap([[0, 1]], [1.0, 1.0]) > 0.1
    with pytest.raises(UnknownNameError):
        attention_gap([[0]], [1.0], attention="x")
    for relevance in ([0.0], [-1.0], [float("nan")], []):
        with pytest.raises(InputError):
            attention_gap([[0]], relevance)


@pytest.mark.parametrize(
    ("ranking", "changes"),
    [
        ([], {}), ([0, 0], {}), ([0, 2], {}), ([-1], {}), ([0.5], {}), ([[[0]]], {}),
        ([0, 1], {"shares": [0.5]}), ([0, 1], {"cutoffs": [0]}), ([0, 1], {"cutoffs": [3]}),
        ([0, 1], {"patience": 0.0}), ([0, 1], {"patience": float("nan")}), ([0, 1], {"threads": 0}),
    ],
)  # fmt: skip
def test_wrong_arguments_are_errors(ranking, changes):
    with pytest.raises(InputError):
        fair_metrics(ranking, ["a", "b"], **changes)
