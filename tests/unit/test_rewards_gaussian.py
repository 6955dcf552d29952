"""Gaussian rewards: preferences, their loss, and a head that learns where labels are noisy."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from gustibus import ops
from gustibus.errors import DimensionError, InputError, NotFiniteError
from gustibus.rewards.gaussian_head import GaussianRewards, fit_gaussian_rewards

quick = settings(max_examples=25, deadline=None)

means, variances = st.floats(-8, 8), st.floats(0, 5)


def test_worked_numbers():
    pair = {"m1": 1, "v1": 0.5, "m2": 0, "v2": 0.5}
    assert ops.gaussian_preference(**pair, link="probit") == pytest.approx(0.841345, abs=1e-6)
    assert ops.gaussian_preference(**pair, link="logit") == pytest.approx(0.696735, abs=1e-6)
    approx = 1 / (1 + math.exp(-1 / math.sqrt(1 + math.pi / 8)))
    assert ops.gaussian_preference_approx(**pair) == pytest.approx(approx, abs=1e-9)
    short = -0.5 * math.log(2 * math.pi * math.e * 0.01)
    assert ops.entropy_hinge(v=[0.5, 0.01], eta=0.0) == pytest.approx(short / 2, abs=1e-9)


each_link = pytest.mark.parametrize(
    "prefer",
    [
        partial(ops.gaussian_preference, link="probit"),
        partial(ops.gaussian_preference, link="logit"),
        ops.gaussian_preference_approx,
    ],
    ids=["probit", "logit", "approx"],
)


@each_link
@quick
@given(m1=means, v1=variances, m2=means, v2=variances)
def test_the_two_sides_sum_to_one(prefer, m1, v1, m2, v2):
    assert prefer(m1, v1, m2, v2) + prefer(m2, v2, m1, v1) == pytest.approx(1, abs=1e-6)


@each_link
@quick
@given(m=st.floats(0.1, 6), v=st.floats(0.01, 4), more=st.floats(0.1, 3))
def test_more_variance_moves_the_preference_towards_a_half(prefer, m, v, more):
    assert 0.5 - 1e-9 <= prefer(m, v + more, 0, v) <= prefer(m, v, 0, v) + 1e-7


@quick
@given(m=means)
def test_certain_rewards_are_bradley_terry(m):
    plain = 1 / (1 + math.exp(-m))
    assert ops.gaussian_preference(m, 0, 0, 0, link="logit") == pytest.approx(plain, abs=1e-6)
    assert ops.gaussian_preference_approx(m, 0, 0, 0) == pytest.approx(plain)
    assert ops.gaussian_preference(m, 0, 0, 0) == 0.5 + 0.5 * np.sign(m)


def test_the_approximation_is_within_a_hundredth_up_to_a_variance_of_two():
    m = np.linspace(-10, 10, 201)
    for variance in (0.1, 0.5, 1.0, 2.0):
        exact = ops.gaussian_preference(m, variance, 0, 0, link="logit")
        assert np.abs(exact - ops.gaussian_preference_approx(m, variance, 0, 0)).max() < 0.01


def test_the_links_equal_a_peer_and_brute_force():
    m, v = np.linspace(-4, 4, 9), np.linspace(0.1, 3, 9)
    probit = ops.gaussian_preference(m, v, 0.0, 1.0)
    np.testing.assert_allclose(probit, ndtr(m / np.sqrt(v + 1)), atol=1e-12)
    x = np.linspace(-12, 12, 20001)
    density = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi) * (x[1] - x[0])
    expected = [
        density @ (1 / (1 + np.exp(-(a + np.sqrt(b + 1) * x)))) for a, b in zip(m, v, strict=True)
    ]
    np.testing.assert_allclose(
        ops.gaussian_preference(m, v, 0.0, 1.0, "logit"), expected, atol=1e-7
    )


@pytest.mark.parametrize("batch", [(), (3,), (2, 3)])
def test_tensors_give_the_numbers_of_arrays(batch):
    rng = np.random.default_rng(0)
    given = [
        rng.standard_normal(batch),
        rng.random(batch),
        rng.standard_normal(batch),
        rng.random(batch),
    ]
    tensors = [torch.tensor(x) for x in given]
    for link in ("probit", "logit"):
        found = ops.gaussian_preference(*tensors, link)
        np.testing.assert_allclose(found, ops.gaussian_preference(*given, link), atol=1e-7)
    np.testing.assert_allclose(
        ops.gaussian_preference_approx(*tensors), ops.gaussian_preference_approx(*given)
    )


def test_the_loss_is_cross_entropy_and_the_hinge():
    p = ops.gaussian_preference(1.0, 0.5, 0.0, 0.5, "logit")
    plain = -(0.8 * math.log(p) + 0.2 * math.log(1 - p))
    given = {"m1": [1.0], "v1": [0.5], "m2": [0.0], "v2": [0.5], "target": [0.8]}
    assert ops.gaussian_loss(**given, eta=-9.0) == pytest.approx(plain, abs=1e-6)
    hinge = 2.0 - 0.5 * math.log(2 * math.pi * math.e * 0.5)
    found = ops.gaussian_loss(**given, eta=2.0, strength=0.3)
    assert found == pytest.approx(plain + 0.3 * hinge, abs=1e-6)


def test_the_loss_has_finite_gradients_for_certain_and_for_far_rewards():
    m = torch.tensor([0.0, 200.0, -200.0], dtype=torch.float64, requires_grad=True)
    v = torch.tensor([1e-9, 0.0 + 1e-9, 4.0], dtype=torch.float64, requires_grad=True)
    ops.gaussian_loss(m, v, 0.0 * m, v, torch.tensor([1.0, 0.0, 1.0]), eta=0.0).backward()
    assert torch.isfinite(m.grad).all()
    assert torch.isfinite(v.grad).all()


def half_noisy(rng: np.random.Generator, pairs: int, *, flips: float):
    """Pairs whose labels are flipped where both responses lie in one half-space."""
    weight = np.array([0.0, 1.5, -1.0, 0.5])
    a, b = rng.standard_normal((2, pairs, 4))
    side = rng.choice([-1.0, 1.0], pairs)
    a[:, 0], b[:, 0] = np.abs(a[:, 0]) * side, np.abs(b[:, 0]) * side
    target = (((a - b) @ weight > 0) != ((side > 0) & (rng.random(pairs) < flips))).astype(float)
    return a, b, target, weight


@pytest.fixture(scope="module")
def head() -> GaussianRewards:
    a, b, target, _ = half_noisy(np.random.default_rng(0), 500, flips=0.45)
    return fit_gaussian_rewards(a, b, target, seed=0, steps=150, rate=0.02)


def test_variance_is_higher_where_labels_are_noisy(head):
    x = np.random.default_rng(1).standard_normal((2000, 4))
    _, variance = head.predict(x)
    assert variance[x[:, 0] > 0].mean() > 1.3 * variance[x[:, 0] < 0].mean()


def test_the_lower_bound_ranks_certain_rewards_first(head):
    x = np.random.default_rng(2).standard_normal((50, 4))
    mean, variance = head.predict(x)
    np.testing.assert_allclose(head.lower_bound(x, kappa=2.0), mean - 2 * np.sqrt(variance))
    np.testing.assert_array_equal(head.rank(x, kappa=0.0), np.argsort(-mean, kind="stable"))
    careful = head.rank(x, kappa=3.0)
    assert variance[careful[:10]].mean() < variance[head.rank(x, kappa=0.0)[:10]].mean()


def test_a_saved_head_is_the_same_head_and_prefers_alike(head):
    again = GaussianRewards.load(head.save())
    x = np.random.default_rng(3).standard_normal((6, 4))
    np.testing.assert_array_equal(again.predict(x), head.predict(x))
    np.testing.assert_allclose(
        head.preference(x[:3], x[3:]) + head.preference(x[3:], x[:3]), 1, atol=1e-6
    )


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ops.gaussian_preference(0, -1, 0, 1), InputError, "v1: expected variances of at"),
        (lambda: ops.gaussian_preference(0, 1, 0, 1, "cauchit"), InputError, "link: expected"),
        (lambda: ops.gaussian_preference(np.nan, 1, 0, 1), NotFiniteError, "m1: expected finite"),
        (lambda: ops.entropy_hinge([0.0], 1.0), InputError, "v: expected variances above 0"),
        (
            lambda: fit_gaussian_rewards([[1.0]], [[1.0]], [2.0], seed=0),
            InputError,
            "target: expected",
        ),
        (
            lambda: fit_gaussian_rewards([[1.0]], [[1.0, 2.0]], [1.0], seed=0),
            InputError,
            "a, b, target",
        ),
    ],
)
def test_what_makes_no_sense_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_features_of_another_width_are_refused(head):
    with pytest.raises(DimensionError, match=r"features: expected shape \(n, 4\), got \(3, 2\)"):
        head.predict(np.zeros((3, 2)))
