"""Strength of labels: worked numbers, policies that can be taken back, planted wrong labels."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from gustibus.curation import Labels, build, preference_strength
from gustibus.errors import ConfigError, DimensionError, InputError

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "methods" / "strength.py"
GAPS = np.array([[0.5, 0.7, 0.8, 1.1], [-0.3, 0.1, 0.1, -0.1], [-1.7, -0.7, -0.7, -0.5]])


def test_the_worked_strengths():
    found = preference_strength(GAPS + 3, np.full_like(GAPS, 3.0))
    np.testing.assert_allclose(found.mean, [0.775, -0.05, -0.9], atol=1e-6)
    np.testing.assert_allclose(found.std, [0.216506, 0.165831, 0.469042], atol=1e-6)


def test_adding_a_constant_of_each_model_changes_nothing():
    shift = np.array([5.0, -2.0, 0.0, 1.0])
    one, two = (
        preference_strength(GAPS, 0 * GAPS),
        preference_strength(GAPS + shift, 0 * GAPS + shift),
    )
    np.testing.assert_allclose(one, two)


def labels(gaps, targets=None):
    rows = [
        {
            "user": "u", "prompt": f"q{i}", "response_a": "yes", "response_b": "no",
            "target": 1.0 if targets is None else targets[i],
            "scores_w": list(gap), "scores_l": [0.0] * len(gap),
        } for i, gap in enumerate(gaps)
    ]  # fmt: skip
    return Labels.of(rows, source="log")


def counting(table):
    return {row["row"]: (row["target"], row["margin"]) for row in table.counting()}


def test_the_weakest_are_flipped_the_next_softened_and_the_rest_get_a_margin():
    gaps = [[2.0], [0.4], [-1.0], [1.0], [3.0]]
    found = counting(build("strength", labels(gaps), source="one model"))
    p = 1 / (1 + np.exp(-0.4))
    expected = {0: (1, 2), 1: (p, 0), 2: (0, 1), 3: (1, 1), 4: (1, 3)}
    assert {k: pytest.approx(v) for k, v in expected.items()} == found


def test_labels_for_the_other_side_and_ties_are_treated_alike():
    gaps = [[2.0], [0.4], [-1.0], [1.0], [3.0]]
    table = build("strength", labels(gaps, [0, 0, 0, 0.5, 0]), source="m", flip=0.25, soften=0.25)
    p = 1 / (1 + np.exp(-0.4))
    assert counting(table) == {
        0: (0, 2), 1: pytest.approx((1 - p, 0)), 2: (1, 1), 3: (0.5, 0), 4: (0, 3),
    }  # fmt: skip


def test_the_rest_may_be_kept_as_it_is():
    table = build("strength", labels(GAPS), source="m", flip=1 / 3, soften=0.0, rest="keep")
    assert table.uses()["strength"].rows == 1
    assert counting(table) == {0: (1, 0), 1: (1, 0), 2: (0, 0)}


def test_switching_the_policy_off_gives_the_recorded_labels_back():
    before = labels(GAPS)
    after = build("strength", before, source="m").switch(off={"strength"})
    kept = after["weight"] > 0
    assert after["builder"][kept].tolist() == ["recorded"] * 3
    for name, column in before.columns.items():
        np.testing.assert_array_equal(after[name][kept], column)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"flip": 0.7, "soften": 0.4}, InputError, r"flip \+ soften"),
        ({"flip": -0.1}, InputError, "flip"),
        ({"rest": "drop"}, InputError, "rest: expected one of"),
        ({"flipp": 0.1}, ConfigError, "no option 'flipp'; known:"),
    ],
)
def test_bad_options_are_named(options, error, message):
    with pytest.raises(error, match=message):
        build("strength", labels(GAPS), source="m", **options)


def test_matrices_of_different_shapes_are_refused():
    with pytest.raises(DimensionError, match="scores_l: expected shape"):
        preference_strength(GAPS, GAPS[:, :2])


def test_the_lowest_fifth_holds_mostly_the_planted_wrong_labels():
    precision, recall = runpy.run_path(str(BENCHMARK))["measure"](count=1500, seed=1)
    assert precision >= 0.8
    assert recall >= 0.8
