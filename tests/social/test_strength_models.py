"""Ties, covariates, rankings, chains and counts against brute force and peers."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, log_expit

from gustibus.errors import InfeasibleError, InputError, UnknownNameError
from gustibus.social import (
    DisconnectedWarning,
    average_win_rate,
    bradley_terry,
    counting,
    davidson,
    eigen,
    elo,
    pagerank,
    plackett_luce,
    rank_centrality,
    rao_kupper,
    spectral,
)
from tests.social import strength_reference as reference
from tests.social.strength_reference import random_comparisons

TIGHT = {"tolerance": 1e-12}


@pytest.mark.parametrize("name", ["davidson", "rao_kupper"])
def test_models_with_ties_are_those_that_a_general_optimiser_finds(name):
    model, brute = {
        "davidson": (davidson, reference.davidson),
        "rao_kupper": (rao_kupper, reference.rao_kupper),
    }[name]
    for seed in range(25):
        rng = np.random.default_rng(seed)
        w, b, t, c = random_comparisons(rng, items=4, ties=True, weights=True)
        fit = model(w, b, ties=t, weights=c)
        theta, parameter, value = brute(w, b, t, c, 4)
        assert fit.converged
        np.testing.assert_allclose(fit.scores, theta, atol=5e-6)
        assert fit.parameter == pytest.approx(parameter, rel=1e-5)
        assert fit.log_likelihood == pytest.approx(value, abs=1e-8)
        wins = fit.win_probabilities()
        assert ((wins + wins.T)[~np.eye(4, dtype=bool)] < 1).all()


def test_davidson_agrees_with_a_peer():
    evalica = pytest.importorskip("evalica", reason="evalica is not installed")
    for seed in range(10):
        w, b, t, c = random_comparisons(np.random.default_rng(seed), ties=True, weights=True)
        outcomes = [evalica.Winner.Draw if x else evalica.Winner.X for x in t]
        peer = evalica.newman(
            w.tolist(), b.tolist(), outcomes, weights=c.tolist(), tie_weight=1.0,
            tolerance=1e-13, limit=100_000,
        )  # fmt: skip
        fit = davidson(w, b, outcomes, weights=c, **TIGHT)
        assert fit.parameter == pytest.approx(peer.v, rel=1e-7)
        expected = np.log(peer.scores.sort_index().to_numpy())
        np.testing.assert_allclose(fit.scores, expected - expected.mean(), atol=1e-7)


@pytest.mark.parametrize("model", [davidson, rao_kupper])
def test_without_ties_the_answer_is_that_of_bradley_and_terry(model):
    w, b, _, _ = random_comparisons(np.random.default_rng(0))
    fit = model(w, b)
    np.testing.assert_array_equal(fit.scores, bradley_terry(w, b).scores)
    assert fit.parameter == {"davidson": 0, "rao_kupper": 1}[fit.method]
    with pytest.raises(InfeasibleError, match="all are ties"):
        model([0, 1], [1, 0], ties=[True, True])


@pytest.mark.parametrize("model", [davidson, rao_kupper])
@pytest.mark.parametrize("way", ["regularise", "components"])
def test_models_with_ties_stay_finite_without_connection(model, way):
    with pytest.warns(DisconnectedWarning):
        fit = model([0, 0, 1, 0], [1, 1, 0, 2], ties=[0, 1, 0, 0], on_disconnected=way)
    assert np.isfinite(fit.scores).all()
    assert fit.order[-1] == 2


def test_covariates_are_a_logistic_regression():
    for seed in range(8):
        rng = np.random.default_rng(seed)
        w, b, _, c = random_comparisons(rng, rows=60, weights=True)
        x = rng.normal(size=(len(w), 2))
        flip = rng.random(len(w)) < 0.5
        first, second = np.where(flip, b, w), np.where(flip, w, b)
        outcomes = np.where(rng.random(len(w)) < 0.2, 0.5, np.where(flip, 0.0, 1.0))

        def loss(v, first=first, second=second, x=x, outcomes=outcomes, c=c):
            z = v[first] - v[second] + v[5] + x @ v[6:]
            likelihood = c * (outcomes * log_expit(z) + (1 - outcomes) * log_expit(-z))
            return -likelihood.sum() + 0.1 * (v[5:] ** 2).sum() + 1e-12 * (v**2).sum()

        v = minimize(loss, np.zeros(8), method="BFGS", options={"gtol": 1e-8}).x
        fit = bradley_terry(
            first, second, outcomes, weights=c, covariates=x, position=True, ridge=0.1
        )
        assert fit.converged
        np.testing.assert_allclose(fit.scores, v[:5] - v[:5].mean(), atol=1e-5)
        np.testing.assert_allclose(fit.coefficients, v[5:], atol=1e-5)


def test_a_position_that_helps_is_found_and_one_that_explains_all_is_refused():
    rng = np.random.default_rng(0)
    theta = rng.normal(size=20)
    a = rng.integers(0, 20, 40_000)
    b = (a + rng.integers(1, 20, len(a))) % 20
    won = rng.random(len(a)) < expit(theta[a] - theta[b] + 0.4)
    fit = bradley_terry(a, b, won, position=True)
    assert fit.coefficients[0] == pytest.approx(0.4, abs=0.04)
    np.testing.assert_allclose(fit.scores, theta - theta.mean(), atol=0.15)
    with pytest.raises(InfeasibleError, match="grows without bound"):
        bradley_terry(a, b, position=True)  # the first always wins


def random_rankings(rng, *, items=6, count=30):
    """Connected rankings of various lengths, with numbers of choices and weights."""
    rows = [[*range(items)], [*reversed(range(items))]]
    rows += [rng.permutation(items)[: rng.integers(2, items + 1)].tolist() for _ in range(count)]
    chosen = [len(r) - 1 for r in rows[:2]]
    chosen += [int(rng.integers(1, len(r) + 1)) for r in rows[2:]]
    return rows, np.array(chosen), rng.integers(1, 4, len(rows)) / 2


def test_rankings_are_fitted_as_a_general_optimiser_does():
    for seed in range(5):
        rows, chosen, weight = random_rankings(np.random.default_rng(seed), items=5, count=10)
        fit = plackett_luce(rows, chosen=chosen, weights=weight, **TIGHT)
        stages = [min(s, len(r) - 1) for s, r in zip(chosen, rows, strict=True)]
        theta, value = reference.plackett_luce(rows, stages, weight, 5)
        assert fit.converged
        np.testing.assert_allclose(fit.scores, theta, atol=1e-5)
        assert fit.log_likelihood == pytest.approx(value, abs=1e-8)


def test_all_methods_for_rankings_agree():
    rng = np.random.default_rng(1)
    for _ in range(150):
        rows, chosen, weight = random_rankings(rng, count=int(rng.integers(0, 40)))
        fit = plackett_luce(rows, chosen=chosen, weights=weight, **TIGHT)
        assert fit.converged
        for method in ("newman", "mm", "ilsr"):
            other = plackett_luce(rows, chosen=chosen, weights=weight, method=method, **TIGHT)
            assert other.converged, method
            np.testing.assert_allclose(other.scores, fit.scores, atol=1e-7, err_msg=method)
        newton = plackett_luce(rows, chosen=chosen, weights=weight, l2=1e-13, **TIGHT)
        np.testing.assert_allclose(newton.scores, fit.scores, atol=1e-7)


def test_rankings_agree_with_choix():
    choix = pytest.importorskip("choix", reason="choix is not installed")
    for seed in range(8):
        rows, _, _ = random_rankings(np.random.default_rng(seed))
        data = [tuple(r) for r in rows]
        fit = plackett_luce(rows, **TIGHT)
        np.testing.assert_allclose(choix.ilsr_rankings(6, data, tol=1e-12), fit.scores, atol=1e-7)
        spectral_peer = choix.lsr_rankings(6, data)
        np.testing.assert_allclose(
            plackett_luce(rows, method="lsr").scores, spectral_peer, atol=1e-9
        )
        first = [(r[0], tuple(r[1:])) for r in rows]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DisconnectedWarning)
            top = plackett_luce(rows, chosen=1, on_disconnected="components")
        if top.connected:
            peer = choix.ilsr_top1(6, first, tol=1e-12)
            np.testing.assert_allclose(peer, top.scores, atol=1e-6)


def test_rankings_of_two_are_comparisons():
    rng = np.random.default_rng(2)
    for _ in range(50):
        w, b, _, c = random_comparisons(rng, weights=True)
        pair = plackett_luce(np.stack([w, b], 1), weights=c, **TIGHT)
        fit = bradley_terry(w, b, weights=c, **TIGHT)
        np.testing.assert_allclose(pair.scores, fit.scores, atol=1e-8)
        assert pair.log_likelihood == pytest.approx(fit.log_likelihood)
        for prior in ({"opponent": 0.4}, {"l2": 0.2}):
            pair = plackett_luce(np.stack([w, b], 1), weights=c, **prior, **TIGHT)
            fit = bradley_terry(w, b, weights=c, **prior, **TIGHT)
            np.testing.assert_allclose(pair.scores, fit.scores, atol=1e-8)


def test_unranked_items_can_come_last():
    rows, _, _ = random_rankings(np.random.default_rng(3))
    absent = [[i for i in range(6) if i not in r] for r in rows]
    whole = [r + a for r, a in zip(rows, absent, strict=True)]
    chosen = [len(r) for r in rows]
    last = plackett_luce(rows, unranked="last")
    np.testing.assert_allclose(last.scores, plackett_luce(whole, chosen=chosen).scores, atol=1e-9)


def test_rankings_come_in_many_shapes():
    rows = [[0, 1, 2], [2, 0], [1, 0, 2], [2, 1, 0]]
    fit = plackett_luce(rows)
    padded = np.array([[0, 1, 2], [2, 0, -1], [1, 0, 2], [2, 1, 0]])
    flat, starts = [0, 1, 2, 2, 0, 1, 0, 2, 2, 1, 0], [0, 3, 5, 8, 11]

    class Ballots:
        labels = (0, 1, 2)
        weights = np.ones(4)

        def lists(self):
            return type("Lists", (), {
                "items": np.array(flat, np.uint32), "starts": np.array(starts), "ends": np.ones(11, bool),
            })()  # fmt: skip

    for same in (
        plackett_luce(padded),
        plackett_luce(flat, starts=starts),
        plackett_luce(Ballots()),
    ):
        np.testing.assert_array_equal(same.scores, fit.scores)
    named = plackett_luce([["abc"[i] for i in r] for r in rows])
    assert named.as_dict() == dict(zip("abc", fit.scores.tolist(), strict=True))


def test_rankings_without_connection_stay_finite():
    rows = [[0, 1, 2, 3], [1, 0, 2, 3], [0, 1, 3, 2]]
    for way in ("regularise", "components"):
        with pytest.warns(DisconnectedWarning, match="2 components"):
            fit = plackett_luce(rows, on_disconnected=way)
        assert fit.converged
        assert fit.component.tolist() == [0, 0, 1, 1]
        assert np.isfinite(fit.scores).all()
        assert fit.order == [0, 1, 2, 3]
    np.testing.assert_allclose(fit.scores[:2], [0.5 * np.log(2), -0.5 * np.log(2)], atol=1e-6)
    with pytest.raises(InfeasibleError):
        plackett_luce(rows, on_disconnected="error")


def test_chains_agree_with_choix():
    choix = pytest.importorskip("choix", reason="choix is not installed")
    for seed in range(10):
        w, b, _, _ = random_comparisons(np.random.default_rng(seed))
        data = list(zip(w.tolist(), b.tolist(), strict=True))
        close = {"atol": 1e-9}
        np.testing.assert_allclose(
            rank_centrality(w, b).scores, choix.rank_centrality(5, data), **close
        )
        lsr = spectral(w, b, chain="lsr")
        np.testing.assert_allclose(lsr.scores, choix.lsr_pairwise(5, data), **close)
        leaky = spectral(w, b, chain="lsr", alpha=0.3)
        np.testing.assert_allclose(leaky.scores, choix.lsr_pairwise(5, data, alpha=0.3), **close)


def test_markov_chains_balance_their_flows():
    rng = np.random.default_rng(4)
    w, b, _, _ = random_comparisons(rng, items=6, rows=80)
    wins = np.zeros((6, 6))
    np.add.at(wins, (w, b), 1)
    games, lost = wins.sum(1) + wins.sum(0), wins.sum(0)
    rates = {  # rate from j to i
        "mc1": wins / (games + lost), "mc2": wins / games, "mc3": wins / games,
        "rank_centrality": wins / np.maximum(wins + wins.T, 1),
    }  # fmt: skip
    for chain, rate in rates.items():
        share = spectral(w, b, chain=chain, center="sum").strengths
        np.testing.assert_allclose(rate @ share, share * rate.sum(0), atol=1e-12, err_msg=chain)


def test_chains_stay_finite_without_connection():
    for chain in ("lsr", "ilsr", "rank_centrality", "mc1", "mc4"):
        for way in ("regularise", "components"):
            with pytest.warns(DisconnectedWarning):
                fit = spectral([0, 0, 1], [1, 2, 0], chain=chain, on_disconnected=way)
            assert np.isfinite(fit.scores).all(), (chain, way)
            assert fit.order[-1] == 2
    with pytest.raises(UnknownNameError, match="chain"):
        spectral([0, 1], [1, 0], chain="mc9")


def test_counts_and_flows_agree_with_evalica():
    evalica = pytest.importorskip("evalica", reason="evalica is not installed")
    for seed in range(10):
        w, b, t, c = random_comparisons(np.random.default_rng(seed), ties=True, weights=True)
        xs, ys, c = w.tolist(), b.tolist(), c.tolist()
        outcomes = [evalica.Winner.Draw if x else evalica.Winner.X for x in t]
        limits = {"tolerance": 1e-14, "limit": 100_000}
        for ours, theirs in [
            (counting(xs, ys, outcomes, weights=c), evalica.counting(xs, ys, outcomes, weights=c)),
            (
                average_win_rate(xs, ys, outcomes, weights=c),
                evalica.average_win_rate(xs, ys, outcomes, weights=c),
            ),
            (elo(xs, ys, outcomes), evalica.elo(xs, ys, outcomes, k=4.0)),
            (
                pagerank(xs, ys, outcomes, weights=c),
                evalica.pagerank(xs, ys, outcomes, weights=c, **limits),
            ),
            # the peer gives an item what those that beat it have
            (
                eigen(ys, xs, outcomes, weights=c),
                evalica.eigen(xs, ys, outcomes, weights=c, **limits),
            ),
        ]:
            np.testing.assert_allclose(ours.scores, theirs.scores.sort_index(), atol=1e-9)


def test_elo_depends_on_the_order_of_rows_and_goes_on_from_ratings():
    first = elo(["x", "y"], ["y", "x"], k=32)
    assert first.as_dict() != elo(["y", "x"], ["x", "y"], k=32).as_dict()
    begun = elo(["x"], ["y"], k=32)
    gone_on = elo(["y"], ["x"], items=["x", "y"], k=32, start=begun.scores)
    np.testing.assert_array_equal(gone_on.scores, first.scores)
    assert first.scores.sum() == pytest.approx(2000)
    tied = elo(["x"], ["y"], ties=[True], initial=1500.0)
    assert tied.scores.tolist() == [1500, 1500]
    with pytest.raises(InputError, match="base above 1"):
        elo(["x"], ["y"], base=1.0)
