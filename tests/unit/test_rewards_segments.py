"""Rewards from comparisons of segments: the link by which people judge is found."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

from gustibus import ops
from gustibus.errors import DimensionError, InputError
from gustibus.rewards.segments import LINKS, Segment, SegmentReward, compare_links, fit_segments

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "methods" / "segments.py"


def segment(steps, start, end):
    return Segment(
        np.array(steps, float)[:, None], np.array([float(start)]), np.array([float(end)])
    )


FIRST, SECOND = segment([1, -0.5, 0.2], 3, 2), segment([0.3, 0.1], 2, 1.8)


@pytest.mark.parametrize(("value", "expected"), [(1.0, 0.377541), (0.0, 0.574443)])
def test_the_worked_segments_are_judged_as_the_plain_functions_do(value, expected):
    model = SegmentReward("regret", np.ones(1), np.array([value]))
    p = 1 / (1 + np.exp(-model.margin([FIRST], [SECOND])))
    assert p == pytest.approx([expected], abs=1e-6)
    assert model.worth([FIRST, SECOND])[0] == pytest.approx(
        -ops.regret([1, -0.5, 0.2], 3, 2) if value else 0.7
    )
    np.testing.assert_array_equal(model.margin([FIRST], [SECOND]), -model.margin([SECOND], [FIRST]))


def test_equal_ends_make_regret_the_partial_return():
    rng = np.random.default_rng(0)
    walks = [Segment(rng.standard_normal((3, 2)), np.ones(2), np.zeros(2)) for _ in range(60)]
    target = (rng.random(30) < 0.5).astype(float)
    models = [fit_segments(walks[:30], walks[30:], target, link=link) for link in LINKS]
    np.testing.assert_allclose(models[0].reward, models[1].reward, atol=1e-9)
    assert models[0].value.tolist() == models[1].value.tolist() == [0, 0]


@pytest.mark.parametrize("judged_by", LINKS)
def test_the_link_by_which_people_judge_foretells_them_better(judged_by):
    links, known = runpy.run_path(str(BENCHMARK))["measure"](judged_by, count=800)
    assert max(links, key=links.get) == judged_by
    assert max(links.values()) > -np.log(2)
    if judged_by == "regret":
        assert known > 0.6


def test_the_fit_has_no_slope_left():
    rng = np.random.default_rng(1)
    walks = [Segment(rng.standard_normal((4, 2)), *rng.standard_normal((2, 3))) for _ in range(80)]
    target = rng.random(40)
    model = fit_segments(walks[:40], walks[40:], target, ridge=0.5)

    def loss(weights):
        margin = SegmentReward("regret", weights[:2], weights[2:]).margin(walks[:40], walks[40:])
        return (np.logaddexp(0, margin) - target * margin).sum() + 0.25 * weights @ weights

    found = np.concatenate([model.reward, model.value])
    slopes = [(loss(found + e) - loss(found - e)) / 2e-5 for e in 1e-5 * np.eye(5)]
    np.testing.assert_allclose(slopes, 0, atol=1e-5)


def test_what_cannot_be_fitted_is_named():
    with pytest.raises(InputError, match="link: expected one of"):
        fit_segments([FIRST], [SECOND], [1], link="advantage")
    with pytest.raises(InputError, match="first: expected at least one segment, got none"):
        fit_segments([], [], [])
    with pytest.raises(InputError, match=r"ridge: expected a number in \(0, "):
        fit_segments([FIRST], [SECOND], [1], ridge=0)
    wide = Segment(np.ones((2, 2)), np.ones(1), np.ones(1))
    with pytest.raises(DimensionError, match="second: expected steps of 1 and states of 1"):
        fit_segments([FIRST], [wide], [1])
    with pytest.raises(InputError, match=r"steps.*finite"):
        fit_segments([segment([np.nan], 0, 0)], [SECOND], [1])
    for name, bare in (
        ("steps", Segment(1.0, np.ones(1), np.ones(1))),
        ("start", Segment(np.ones((2, 1)), 0.0, np.ones(1))),
    ):
        with pytest.raises(DimensionError, match=rf"first\[0\].{name}: expected"):
            fit_segments([bare], [SECOND], [1])
    with pytest.raises(InputError, match="folds: expected a number in"):
        compare_links([FIRST, SECOND], [SECOND, FIRST], [1, 0], folds=3)
