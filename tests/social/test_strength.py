"""Bradley-Terry strengths against a general optimiser, two peers, and their own laws."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from gustibus.errors import InfeasibleError, InputError, UnknownNameError
from gustibus.social import DisconnectedWarning, bradley_terry, bradley_terry_totals, spectral
from tests.social import strength_reference as reference
from tests.social.strength_reference import random_comparisons

SEEDS = range(25)
TIGHT = {"tolerance": 1e-12}


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("weights", [False, True])
def test_strengths_are_those_that_a_general_optimiser_finds(ties, weights):
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        items = int(rng.integers(2, 7))
        w, b, t, c = random_comparisons(rng, items=items, ties=ties, weights=weights)
        fit = bradley_terry(w, b, ties=t, weights=c)
        theta, value = reference.bradley_terry(w, b, t, c, items)
        assert fit.converged
        assert fit.connected
        np.testing.assert_allclose(fit.scores, theta - theta.mean(), atol=2e-6)
        assert fit.log_likelihood == pytest.approx(value, abs=1e-8)


@pytest.mark.parametrize(
    "prior", [{"l2": 0.3}, {"opponent": 1.0}, {"pseudo": 0.7}, {"l2": 0.1, "opponent": 0.2}]
)
def test_priors_are_added_to_the_likelihood(prior):
    for seed in SEEDS:
        w, b, t, c = random_comparisons(np.random.default_rng(seed), items=4, rows=8)
        fit = bradley_terry(w[4:], b[4:], **prior, items=4)
        theta, _ = reference.bradley_terry(w[4:], b[4:], t[4:], c[4:], 4, **prior)
        np.testing.assert_allclose(fit.scores, theta - theta.mean(), atol=2e-6)


def test_a_prior_that_vanishes_leaves_the_maximum_likelihood():
    w, b, _, _ = random_comparisons(np.random.default_rng(0))
    free = bradley_terry(w, b)
    for name in ("l2", "opponent", "pseudo"):
        gaps = [
            np.abs(bradley_terry(w, b, **{name: size}).scores - free.scores).max()
            for size in (1.0, 1e-3, 1e-6)
        ]
        assert gaps[0] > gaps[1] > gaps[2]
        assert gaps[2] < 1e-5


def test_all_methods_agree_on_thousands_of_data_sets():
    rng = np.random.default_rng(1)
    for _ in range(1500):
        items = int(rng.integers(2, 9))
        rows = int(rng.integers(0, 60))
        w, b, t, c = random_comparisons(rng, items=items, rows=rows, ties=True, weights=True)
        fit = bradley_terry(w, b, ties=t, weights=c, **TIGHT)
        for method in ("newman", "mm"):
            other = bradley_terry(w, b, ties=t, weights=c, method=method, **TIGHT)
            np.testing.assert_allclose(other.scores, fit.scores, atol=1e-7)
        chain = spectral(w, b, ties=t, weights=c, **TIGHT)
        np.testing.assert_allclose(chain.scores, fit.scores, atol=1e-7)


def test_methods_agree_under_priors_that_they_know():
    rng = np.random.default_rng(2)
    for _ in range(100):
        w, b, _, _ = random_comparisons(rng, rows=5)
        for method, prior in [("newman", "opponent"), ("mm", "opponent"), ("mm", "pseudo")]:
            newton = bradley_terry(w, b, **{prior: 0.5}, **TIGHT)
            other = bradley_terry(w, b, **{prior: 0.5}, method=method, **TIGHT)
            np.testing.assert_allclose(other.scores, newton.scores, atol=1e-7)
    with pytest.raises(InputError, match="method: expected newton for this prior"):
        bradley_terry(w, b, l2=1.0, method="mm")


def test_strengths_agree_with_choix():
    choix = pytest.importorskip("choix", reason="choix is not installed")
    for seed in range(10):
        w, b, _, _ = random_comparisons(np.random.default_rng(seed), items=6)
        data = list(zip(w.tolist(), b.tolist(), strict=True))
        fit = bradley_terry(w, b, **TIGHT)
        np.testing.assert_allclose(choix.ilsr_pairwise(6, data, tol=1e-12), fit.scores, atol=1e-8)
        map_fit = bradley_terry(w, b, l2=0.25)
        peer = choix.opt_pairwise(6, data, alpha=0.25, tol=1e-9)
        np.testing.assert_allclose(peer - peer.mean(), map_fit.scores, atol=1e-4)
        assert choix.log_likelihood_pairwise(data, fit.scores) == pytest.approx(fit.log_likelihood)


def test_strengths_agree_with_evalica_from_its_own_arguments():
    evalica = pytest.importorskip("evalica", reason="evalica is not installed")
    for seed in range(10):
        w, b, t, c = random_comparisons(np.random.default_rng(seed), ties=True, weights=True)
        xs, ys = [f"i{x}" for x in w], [f"i{x}" for x in b]
        outcomes = [evalica.Winner.Draw if x else evalica.Winner.X for x in t]
        peer = evalica.bradley_terry(
            xs, ys, outcomes, weights=c.tolist(), tolerance=1e-13, limit=100_000
        )
        fit = bradley_terry(xs, ys, outcomes, weights=c, **TIGHT)
        expected = np.log(peer.scores)
        ours = fit.as_dict()
        for label, value in (expected - expected.mean()).items():
            assert ours[label] == pytest.approx(value, abs=1e-8)


def test_laws_of_the_likelihood():
    rng = np.random.default_rng(3)
    for _ in range(100):
        w, b, t, c = random_comparisons(rng, ties=True, weights=True)
        fit = bradley_terry(w, b, ties=t, weights=c, **TIGHT)
        swapped = bradley_terry(b, w, ties=t, weights=c, **TIGHT)
        np.testing.assert_allclose(swapped.scores, -fit.scores, atol=1e-9)
        twice = bradley_terry(
            np.tile(w, 2), np.tile(b, 2), ties=np.tile(t, 2), weights=np.tile(c, 2), **TIGHT
        )
        np.testing.assert_allclose(twice.scores, fit.scores, atol=1e-9)
        assert twice.log_likelihood == pytest.approx(2 * fit.log_likelihood)
        order = rng.permutation(len(w))
        moved = bradley_terry(w[order], b[order], ties=t[order], weights=c[order], **TIGHT)
        np.testing.assert_allclose(moved.scores, fit.scores, atol=1e-12)
        name = rng.permutation(5)
        renamed = bradley_terry(name[w], name[b], ties=t, weights=c, **TIGHT)
        np.testing.assert_allclose(renamed.scores[name], fit.scores, atol=1e-10)
        both = np.where(t, 0.5, 1.0) * c
        halves = bradley_terry(
            np.concatenate([w, b[t]]), np.concatenate([b, w[t]]),
            weights=np.concatenate([both, both[t]]), **TIGHT,
        )  # fmt: skip
        np.testing.assert_allclose(halves.scores, fit.scores, atol=1e-10)


def test_integer_weights_are_repeated_rows():
    rng = np.random.default_rng(4)
    for _ in range(50):
        w, b, t, _ = random_comparisons(rng, ties=True)
        times = rng.integers(0, 4, len(w)) + (np.arange(len(w)) < 10)
        weighted = bradley_terry(w, b, ties=t, weights=times)
        repeated = bradley_terry(np.repeat(w, times), np.repeat(b, times), ties=np.repeat(t, times))
        np.testing.assert_allclose(weighted.scores, repeated.scores, atol=1e-9)


def test_a_balanced_schedule_orders_items_by_wins():
    rng = np.random.default_rng(5)
    for _ in range(30):
        pairs = [(i, j) for i in range(6) for j in range(i) for _ in range(3)]
        rows = [p if rng.random() < 0.5 else p[::-1] for p in pairs]
        w, b = np.array(rows).T
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DisconnectedWarning)
            fit = bradley_terry(w, b, items=6)
            short = bradley_terry_totals(np.bincount(w, minlength=6), 3)
        np.testing.assert_allclose(short.scores, fit.scores, atol=1e-6)
        assert short.log_likelihood == pytest.approx(fit.log_likelihood)
        wins = np.bincount(w, minlength=6)
        for i in range(6):
            for j in range(6):
                assert wins[i] <= wins[j] or fit.scores[i] > fit.scores[j]
                assert wins[i] != wins[j] or fit.scores[i] == pytest.approx(fit.scores[j], abs=1e-6)


def test_totals_have_to_be_those_of_a_schedule():
    for totals, games in [([2, 0], 1), ([1, 1], 1), ([0, 0, 3], 1), ([-1, 2], 1), ([1, 0], 0)]:
        with pytest.raises(InputError, match=r"totals|games"):
            bradley_terry_totals(totals, games)
    with pytest.raises(InputError, match="labels"):
        bradley_terry_totals([1, 1], 2, labels=["x"])


def test_a_winless_item_warns_and_moves_others_a_little():
    rng = np.random.default_rng(6)
    w, b, _, _ = random_comparisons(rng, items=5, rows=300)
    alone = bradley_terry(w, b)
    with pytest.warns(DisconnectedWarning, match="2 components"):
        fit = bradley_terry(np.append(w, [0, 1]), np.append(b, [5, 5]))
    assert not fit.connected
    assert fit.regularised > 0
    assert np.isfinite(fit.scores).all()
    assert fit.order[-1] == 5
    rest = fit.scores[:5] - fit.scores[:5].mean()
    np.testing.assert_allclose(rest, alone.scores, atol=0.02)
    with pytest.warns(DisconnectedWarning):
        apart = bradley_terry(
            np.append(w, [0, 1]), np.append(b, [5, 5]), on_disconnected="components"
        )
    np.testing.assert_allclose(apart.scores[:5], alone.scores, atol=1e-7)
    assert apart.component.tolist() == [0] * 5 + [1]
    assert apart.arcs.tolist() == [[0, 1]]
    assert apart.order[-1] == 5
    assert apart.win_probabilities()[0, 5] == 1
    with pytest.raises(InfeasibleError, match="2 components"):
        bradley_terry(np.append(w, [0, 1]), np.append(b, [5, 5]), on_disconnected="error")


def test_two_islands_are_never_compared():
    w, b = [0, 1, 2, 3], [1, 0, 3, 2]
    for way in ("regularise", "components"):
        with pytest.warns(DisconnectedWarning):
            fit = bradley_terry(w, b, on_disconnected=way)
        assert fit.component.max() == 1
        assert len(fit.arcs) == 0
        np.testing.assert_allclose(fit.scores, 0, atol=1e-9)
    with pytest.warns(DisconnectedWarning):
        chain = bradley_terry([0, 1, 2], [1, 2, 3])  # nobody ever lost back
    assert chain.order == [0, 1, 2, 3]
    assert np.isfinite(chain.scores).all()


@pytest.mark.parametrize("items", [60, 1200, 3000])
def test_long_chains_converge(items):
    chain = np.arange(items - 1)
    w = np.concatenate([chain, chain, chain, chain + 1])
    b = np.concatenate([chain + 1, chain + 1, chain + 1, chain])
    fit = bradley_terry(w, b)
    assert fit.converged
    np.testing.assert_allclose(-np.diff(fit.scores), np.log(3), atol=1e-6)


def test_gauges_move_the_origin_alone():
    w, b, _, _ = random_comparisons(np.random.default_rng(7))
    mean = bradley_terry(w, b)
    assert mean.scores.mean() == pytest.approx(0, abs=1e-12)
    assert bradley_terry(w, b, center="first").scores[0] == 0
    assert bradley_terry(w, b, center="sum").strengths.sum() == pytest.approx(1)
    assert np.prod(bradley_terry(w, b, center="geometric").strengths) == pytest.approx(1)
    anchored = bradley_terry(w, b, anchor=(3, 2.5))
    assert anchored.scores[3] == 2.5
    np.testing.assert_allclose(np.diff(anchored.scores), np.diff(mean.scores))
    assert mean.elo()[0] == pytest.approx(1000 + 400 * mean.scores[0] / np.log(10))
    table = mean.win_probabilities()
    np.testing.assert_allclose(table + table.T, 1)
    with pytest.raises(UnknownNameError, match="center"):
        bradley_terry(w, b, center="median")
    with pytest.raises(InputError, match="anchor"):
        bradley_terry(w, b, anchor=("nobody", 0.0))


def test_rankings_keep_ties_and_winners():
    fit = bradley_terry(["x", "y", "x", "z", "y", "z"], ["y", "x", "z", "x", "z", "y"])
    assert fit.ranking == [["x", "y", "z"]]
    assert fit.winners == ["x", "y", "z"]
    better = bradley_terry(["x", "x", "x", "y"], ["y", "y", "y", "x"])
    assert better.ranking == [["x"], ["y"]]
    assert better.scores[0] == pytest.approx(0.5 * np.log(3))


def test_a_limit_of_iterations_is_reported():
    w, b, _, _ = random_comparisons(np.random.default_rng(8))
    fit = bradley_terry(w, b, method="mm", max_iter=2)
    assert not fit.converged
    assert fit.iterations == 2
    assert fit.grad_norm > 0
    start = bradley_terry(w, b).scores
    assert bradley_terry(w, b, start=start).iterations == 0
