"""Median ranks, and aggregates without each source."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

from gustibus.errors import InputError
from gustibus.robustness import leave_one_source_out, median_rank

few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])

SCORES = st.lists(st.lists(st.integers(0, 3), min_size=5, max_size=5), min_size=1, max_size=6)


@few
@given(SCORES)
def test_median_ranks_are_those_of_scipy(scores):
    expected = np.median(rankdata(np.negative(scores), axis=1), axis=0)
    np.testing.assert_allclose(median_rank(scores), expected)


def test_a_minority_of_rankers_cannot_lift_an_item():
    honest = np.tile([5.0, 4, 3, 2, 1], (3, 1))
    pushed = np.vstack([honest, np.tile([0.0, 0, 0, 0, 999], (2, 1))])
    assert np.argmin(median_rank(pushed)) == 0
    assert np.argmax(pushed.mean(0)) == 4  # the mean falls for it


def test_the_source_that_decides_the_winner_comes_first():
    scores = [[3, 2, 1], [3, 2, 1], [0, 0, 9]]
    first, *others = leave_one_source_out(scores, ["a", "b", "c"])
    assert (first.source, first.winner_changes, first.most_places) == ("c", True, 2)
    assert first.most_score == pytest.approx(11 / 3 - 1)
    assert not any(i.winner_changes for i in others)


def test_a_source_may_have_several_rows_and_the_aggregate_be_any():
    scores = [[3, 2], [0, 5], [0, 5], [3, 2], [3, 2]]
    found = leave_one_source_out(
        scores, ["a", "x", "x", "b", "c"], aggregate=lambda rows: -median_rank(rows)
    )
    assert not any(i.winner_changes for i in found)


def test_one_source_cannot_be_left_out():
    with pytest.raises(InputError, match="sources: expected at least two"):
        leave_one_source_out([[1, 2]], ["a"])
