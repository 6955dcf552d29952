"""Numbers for one person: order, best of n, comparison, each with its uncertainty."""

from __future__ import annotations

import numpy as np
import pytest

from gustibus.errors import InputError
from gustibus.posterior import Answering
from gustibus.scoring import best_of_n, compare, draw, normalize, rank, stderr

RNG = np.random.default_rng(0)
ROOT = RNG.normal(size=(3, 3))
COVARIANCE, GRADIENT = ROOT @ ROOT.T, RNG.normal(size=(5, 3))
MEAN, VALUE = RNG.normal(size=3), RNG.normal(size=5)


def test_ties_keep_the_lower_index_first():
    assert rank(np.array([1.0, 3.0, 3.0, 0.0])).tolist() == [1, 2, 0, 3]
    assert rank(np.zeros(0)).tolist() == []


def test_standard_errors_are_those_of_draws():
    draws = RNG.multivariate_normal(np.zeros(3), COVARIANCE, size=200_000) @ GRADIENT.T
    np.testing.assert_allclose(stderr(COVARIANCE, GRADIENT), draws.std(0), rtol=0.01)
    assert stderr(np.zeros((3, 3)), GRADIENT).tolist() == [0.0] * 5


def test_best_of_n_knows_how_sure_it_is():
    found = best_of_n(MEAN, COVARIANCE, VALUE, GRADIENT, draws=20_000, seed=1)
    sampled = VALUE + RNG.multivariate_normal(np.zeros(3), COVARIANCE, size=100_000) @ GRADIENT.T
    assert found.index == int(VALUE.argmax())
    assert found.runner_up == int(np.argsort(-VALUE)[1])
    assert found.p_best == pytest.approx((sampled.argmax(1) == found.index).mean(), abs=0.02)
    regret = (sampled.max(1) - sampled[:, found.index]).mean()
    assert found.expected_regret == pytest.approx(regret, rel=0.05)
    assert found == best_of_n(MEAN, COVARIANCE, VALUE, GRADIENT, draws=20_000, seed=1)


def test_draws_hardly_move_where_rounding_turns_directions_of_equal_variance():
    even, noise = np.eye(6), 1e-7 * RNG.normal(size=(6, 6))
    one, other = (
        draw(np.zeros(6), spread, draws=50, seed=0) for spread in (even, even + noise + noise.T)
    )
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_one_candidate_is_the_best_without_doubt_and_none_is_an_error():
    one = best_of_n(MEAN, COVARIANCE, VALUE[:1], GRADIENT[:1])
    assert (one.index, one.p_best, one.runner_up, one.expected_regret) == (0, 1.0, None, 0.0)
    with pytest.raises(InputError, match="at least one"):
        best_of_n(MEAN, COVARIANCE, VALUE[:0], GRADIENT[:0])


def test_comparisons_are_antisymmetric_and_average_over_what_is_unknown():
    answering = Answering(lapse=0.1)
    one = compare(COVARIANCE, VALUE[0] - VALUE[1], GRADIENT[0] - GRADIENT[1], answering=answering)
    other = compare(COVARIANCE, VALUE[1] - VALUE[0], GRADIENT[1] - GRADIENT[0], answering=answering)
    assert one.p_a + other.p_a == pytest.approx(1.0)
    assert one.margin == -other.margin
    z = one.margin + one.stderr * RNG.standard_normal(400_000)
    assert one.p_a == pytest.approx((0.05 + 0.9 / (1 + np.exp(-z))).mean(), abs=0.002)
    certain = compare(
        np.zeros((3, 3)), VALUE[0] - VALUE[1], GRADIENT[0] - GRADIENT[1], answering=Answering(0.0)
    )
    assert certain.p_a == pytest.approx(1 / (1 + np.exp(-certain.margin)), abs=1e-9)


def test_normal_scores_stand_beside_the_reference_set():
    reference = RNG.normal(3.0, 2.0, size=1000)
    np.testing.assert_array_equal(normalize(VALUE, "none", None), VALUE)
    np.testing.assert_allclose(normalize(reference, "user", reference).std(), 1.0)
    with pytest.raises(InputError, match="reference set"):
        normalize(VALUE, "population", None)
