"""The loss of answers averaged over what is believed of people."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gustibus.errors import InputError
from gustibus.posterior import ExpectedLoss


def believed(rng, people, k):
    roots = rng.normal(size=(people, k, k))
    return rng.normal(size=(people, k)), roots @ roots.transpose(0, 2, 1) / k


def test_the_expected_loss_is_the_mean_over_drawn_people():
    rng = np.random.default_rng(4)
    k, sides = 3, np.array([[0, 1], [2, 0], [1, 3], [3, 2]])
    target, weight, starts = np.array([1, 0, 0.3, 1]), np.array([1, 2, 0.5, 1]), np.array([0, 3, 4])
    means, covariances = believed(rng, 2, k)
    table = rng.normal(size=(4, k + 1))
    loss, _ = ExpectedLoss(sides, target, weight, starts, means, covariances).at(table)
    drawn = 0.0
    for person, rows in enumerate((slice(0, 3), slice(3, 4))):
        z = rng.multivariate_normal(means[person], covariances[person], 200_000)
        rewards = z @ table[:, :k].T + table[:, k]
        margin = rewards[:, sides[rows, 0]] - rewards[:, sides[rows, 1]]
        each = np.logaddexp(0, margin) - target[rows] * margin
        drawn += float((weight[rows] * each).sum(1).mean())
    assert loss == pytest.approx(drawn, rel=0.01)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1 << 16), k=st.integers(1, 20), people=st.integers(0, 6))
def test_slopes_of_the_expected_loss_are_differences_of_it(seed, k, people):
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 4, people)
    n, starts = int(counts.sum()), np.concatenate([[0], np.cumsum(counts)])
    loss = ExpectedLoss(
        rng.integers(0, 5, (n, 2)), rng.random(n), rng.random(n), starts, *believed(rng, people, k)
    )
    table, step = rng.normal(size=(5, k + 1)), rng.normal(size=(5, k + 1))
    _, slopes = loss.at(table, threads=1)
    ahead, behind = (loss.at(table + sign * 1e-5 * step)[0] for sign in (1, -1))
    assert (ahead - behind) / 2e-5 == pytest.approx(float((slopes * step).sum()), abs=1e-5)


def test_the_expected_loss_refuses_what_does_not_fit():
    def made(**other):
        given = {
            "sides": np.array([[0, 1]]), "target": np.ones(1), "weight": np.ones(1),
            "starts": np.array([0, 1]), "means": np.zeros((1, 2)), "covariances": np.eye(2)[None],
        }  # fmt: skip
        return ExpectedLoss(**{**given, **other})

    for wrong in (
        {"sides": np.array([0, 1])},
        {"sides": np.array([[0, -1]])},
        {"sides": np.array([[0, np.nan]])},
        {"sides": np.array([["a", "b"]])},
        {"starts": np.array([0.0, 1.0])},
        {"starts": "people"},
        {"target": np.array([np.nan])},
        {"weight": np.array([-1.0])},
        {"starts": np.array([0, 2])},
        {"means": np.zeros((2, 2))},
        {"means": np.array([[np.inf, 0]])},
        {"covariances": np.eye(2)},
    ):
        with pytest.raises(InputError, match=next(iter(wrong))):
            made(**wrong)
    for table in (np.zeros((1, 3)), np.zeros((2, 2)), np.zeros(6), "rewards", [[1.0, 2.0], [3.0]]):
        with pytest.raises(InputError, match="table"):
            made().at(table)


def test_a_step_too_far_is_a_loss_that_is_not_finite():
    loss = ExpectedLoss(
        np.array([[0, 1]]), np.ones(1), np.ones(1), np.array([0, 1]), np.zeros((1, 1)),
        np.eye(1)[None],
    )  # fmt: skip
    for far in (np.nan, np.inf, -np.inf):
        assert not np.isfinite(loss.at(np.array([[far, far], [0.0, 0.0]]))[0])


def test_nobody_loses_nothing():
    loss = ExpectedLoss(
        np.zeros((0, 2), np.int64), np.zeros(0), np.zeros(0), np.array([0]), np.zeros((0, 2)),
        np.zeros((0, 2, 2)),
    )  # fmt: skip
    value, slopes = loss.at(np.ones((3, 3)))
    assert value == 0
    assert not slopes.any()
