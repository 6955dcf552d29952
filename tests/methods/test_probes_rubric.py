"""Rubrics: the worked example, merging, and lists of verdicts that are too short."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gustibus.errors import InputError
from gustibus.evaluation.probes.rubric import rubric_scores

few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])

POINTS = [["Style", "Attribute - Color", "Attribute - Quantity"], ["Style", "Attribute - Color"]]
VERDICTS = [[1, 1, 0], [0, 1]]


def test_the_worked_rubric():
    found = rubric_scores(POINTS, VERDICTS)
    assert found.criteria == pytest.approx({"Attribute": 2 / 3, "Style": 0.5})
    assert found.sub_criteria == {"Attribute - Color": 1.0, "Attribute - Quantity": 0.0}
    assert found.overall == pytest.approx(0.583333, abs=1e-6)


def test_a_criterion_is_pooled_over_points_not_over_sub_criteria():
    found = rubric_scores([["A - x", "A - x", "A - y"]], [[1, 1, 0]])
    assert found["A"] == pytest.approx(2 / 3)  # the mean of the sub-criteria is 1/2


def test_two_runs_add_their_counts():
    first = rubric_scores(POINTS[:1], VERDICTS[:1]) + rubric_scores(POINTS[1:], VERDICTS[1:])
    assert dict(first) == dict(rubric_scores(POINTS, VERDICTS))


@few
@given(st.permutations([("Style", 1), ("A - x", 0), ("A - y", 1), ("A", 1), ("B - z", 0)]))
def test_the_order_of_points_does_not_matter(points):
    names, verdicts = zip(*points, strict=True)
    found = rubric_scores([names], [verdicts])
    assert found.overall == pytest.approx((1 + 2 / 3 + 0) / 3)


@pytest.mark.parametrize(
    ("points", "verdicts", "message"),
    [
        ([["A", "B"]], [[1]], r"verdicts\[0\]: expected 2 verdicts, got 1"),
        ([["A"]], [[0.5]], "expected 0 or 1, got 0.5"),
        ([["A"]], [], "a list for each of 1 items"),
        ([[]], [[]], "at least one test point"),
    ],
)
def test_verdicts_that_do_not_fit_are_refused(points, verdicts, message):
    with pytest.raises(InputError, match=message):
        rubric_scores(points, verdicts)
