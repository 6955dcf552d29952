"""Stances in the top k before and after edits."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gustibus.errors import DimensionError, InputError
from gustibus.robustness import rank_boost, stance_shift, stance_shifts

few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])

STANCES = st.lists(st.integers(0, 2), min_size=1, max_size=8)


def test_the_worked_shift():
    found = stance_shift([0, 1, 0, 1, 1], [0, 0, 0, 1, 1], 0, 3)
    assert found == pytest.approx((0.666667, 1, 0.333333), abs=1e-6)


@few
@given(STANCES, STANCES, st.integers(1, 9))
def test_the_shifts_of_all_stances_add_up_to_nothing(before, after, k):
    total = sum(stance_shift(before, after, target, k).change for target in range(3))
    assert total == pytest.approx(0)
    back = stance_shift(after, before, 1, k)
    assert back.change == pytest.approx(-stance_shift(before, after, 1, k).change)


def test_only_a_change_towards_the_target_is_a_success():
    before, after = [[0, 1], [1, 0], [0, 0]], [[1, 0], [0, 1], [0, 0]]
    found = stance_shifts(before, after, ["pro", "pro", "pro"], k=1)
    assert found["attack_success"] == 0
    found = stance_shifts(before, after, [1, 1, 1], k=1)
    assert found["attack_success"] == pytest.approx(1 / 3)
    assert found["change"] == 0


def test_the_boost_is_the_mean_gain_in_places():
    assert rank_boost([9, 4], [2, 5]) == 3
    assert rank_boost([1], [1]) == 0


def test_bad_ranks_and_lengths_are_refused():
    with pytest.raises(InputError, match="rank_before: expected numbers in"):
        rank_boost([0], [1])
    with pytest.raises(DimensionError, match="equal lengths"):
        stance_shifts([[0]], [[0], [1]], [0])
    with pytest.raises(InputError, match="k: expected a whole number"):
        stance_shift([0], [0], 0, 0)
