"""Worked numbers of combinations, and the logic that they follow."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gustibus import ops
from gustibus.errors import InputError

quick = settings(max_examples=25, deadline=None)

PAIR = {"rewards": [1.2, -0.3], "refs": [0.4, 0.1]}
REWARDS = st.lists(st.floats(-20, 20), min_size=1, max_size=5)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


NUMBERS = [
    ("and_combine", {}, -1.284116),
    ("or_combine", {}, math.log(1 - sigmoid(-0.8) * sigmoid(0.4))),
    ("weighted_log_sigmoid", {"weights": [2, 1]},
     2 * math.log(sigmoid(0.8)) + math.log(sigmoid(-0.4))),
    ("linear_sum", {"weights": [2, 1]}, 1.2),
    ("minimum", {}, -0.4),
]  # fmt: skip


@pytest.mark.parametrize(("name", "more", "expected"), NUMBERS)
def test_worked_numbers(name, more, expected):
    assert getattr(ops, name)(**PAIR, **more) == pytest.approx(expected, abs=1e-6)


@quick
@given(REWARDS)
def test_and_is_at_most_every_term_and_or_at_least_every_term(rewards):
    each = ops.lsc(rewards, 0.0)
    assert ops.and_combine(rewards, 0.0) <= each.min() + 1e-12
    assert ops.or_combine(rewards, 0.0) >= each.max() - 1e-12


@quick
@given(REWARDS)
def test_and_and_or_obey_de_morgan(rewards):
    fails_in_all = ops.and_combine(-np.array(rewards), 0.0)  # log-probability
    good_in_one = ops.or_combine(rewards, 0.0)
    assert math.exp(fails_in_all) + math.exp(good_in_one) == pytest.approx(1.0, abs=1e-9)


@quick
@given(REWARDS)
def test_a_satisfied_respect_changes_nothing(rewards):
    more = [*rewards, 60.0]
    assert ops.and_combine(more, 0.0) == pytest.approx(ops.and_combine(rewards, 0.0), abs=1e-12)


@pytest.mark.parametrize("far", [50.0, 800.0, 1e4])
def test_or_keeps_its_digits_far_out(far):
    assert ops.or_combine([-far, -far], 0.0) == pytest.approx(math.log(2) - far, rel=1e-12)
    assert ops.or_combine([far, -far], 0.0) == pytest.approx(0.0, abs=1e-15)


def test_the_log_sigmoid_sum_is_bounded_by_scale_where_the_raw_sum_is_not():
    worse = np.array([[100.0, -2.0], [1.0, 1.0]])  # one huge reward hides one bad one
    assert ops.linear_sum(worse, 0.0).argmax() == 0
    assert ops.and_combine(worse, 0.0).argmax() == 1


def test_weights_belong_to_the_weighted_rows_alone():
    for name in ("and_combine", "or_combine", "minimum"):
        with pytest.raises(InputError, match="counts all rewards alike"):
            getattr(ops, name)(**PAIR, weights=[2, 1])
    with pytest.raises(InputError, match="weights: expected numbers of at least 0"):
        ops.weighted_log_sigmoid(**PAIR, weights=[2, -1])
