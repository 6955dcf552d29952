"""What the order of two responses does to a judge."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gustibus.errors import DimensionError, InputError
from gustibus.evaluation.probes.positions import (
    conflict_rate,
    for_people,
    judge_both_orders,
    mean_position_entropy,
    position_calibrated_scores,
    position_entropy,
    side_effect,
)

few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])

PAIRS = [(8, 7), (7, 7), (6, 8), (8, 6), (7, 8), (9, 6)]
JUDGES = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "methods" / "judges.py"))


def test_the_worked_entropy():
    assert position_entropy(PAIRS) == pytest.approx(1.011404, abs=1e-6)


@few
@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=1, max_size=12))
def test_entropy_is_at_most_log_3_and_swapping_the_responses_leaves_it(pairs):
    value = float(position_entropy(pairs))
    assert -1e-12 <= value <= np.log(3) + 1e-12
    assert position_entropy([p[::-1] for p in pairs]) == pytest.approx(value)


def test_the_mean_entropy_of_a_unanimous_judge_is_zero():
    assert mean_position_entropy([[(8, 2), (9, 3)], [(1, 2), (1, 7)]]) == 0
    one_three = position_entropy([PAIRS, [(8, 2)] * 6])  # items in a batch
    np.testing.assert_allclose(one_three, [1.011404, 0], atol=1e-6)


def test_calibrated_scores_are_means_and_ties_stay_ties():
    np.testing.assert_allclose(position_calibrated_scores(PAIRS), [7.5, 7.0])
    first, second = position_calibrated_scores([(8, 6), (6, 8)])
    assert first == second == 7


def test_a_conflict_is_a_verdict_that_the_order_changes():
    assert conflict_rate([1, 0, -1, 1], [1, 1, -1, -1]) == 0.5
    assert conflict_rate([3.5], [0.1]) == 0  # signs alone count


def test_scores_are_aligned_to_the_responses_in_both_orders():
    def favours_the_first(prompt, first, second):
        return len(first) + 2, len(second)

    pairs = judge_both_orders(favours_the_first, "", "abc", "d", k=2)
    assert pairs.tolist() == [[5, 1], [5, 1], [3, 3], [3, 3]]
    np.testing.assert_allclose(position_calibrated_scores(pairs), [4, 2])


def test_calibration_and_people_mend_a_judge_that_favours_the_first_place():
    found = JUDGES["order"](items=3000, seed=1)
    assert found["one order"] < 0.76
    assert found["both orders"] > 0.89
    chosen = found["people where the entropy is largest"]
    assert chosen > found["people drawn at random"] + 0.01
    assert chosen > 0.93


def test_people_get_the_share_with_the_most_entropy():
    assert for_people([0.1, 0.9, 0.5, 0.9, 0.2], share=0.4).tolist() == [0, 1, 0, 1, 0]
    assert not for_people([0.5, 0.6], share=0.2).any()


def test_a_person_who_favours_a_side_is_found():
    swayed = side_effect([1] * 70 + [0] * 30)
    assert swayed.share == pytest.approx(0.7)
    assert swayed.low > 0.5
    assert swayed.sways == 1
    even = side_effect([1, 0] * 50)
    assert even.sways == 0
    assert even.low < 0.5 < even.high


def test_shapes_that_are_no_pairs_are_refused():
    with pytest.raises(DimensionError, match="pairs: expected shape"):
        position_entropy([(1, 2, 3)])
    with pytest.raises(InputError, match="chose_a"):
        side_effect([0.3])
