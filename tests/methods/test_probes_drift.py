"""Stances that move along training."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gustibus.errors import InputError
from gustibus.evaluation.probes.drift import (
    drift_time,
    stance_distribution,
    stance_drift,
    value_gap,
)

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "methods" / "drift.py"
few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def test_the_worked_drift_time():
    assert drift_time([0.2, 0.35, 0.55, 0.57, 0.58, 0.58]) == pytest.approx(0.6)


@few
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_drift_time_is_a_share_of_training_and_the_same_for_the_opposite_stance(shares):
    assert 0 <= drift_time(shares) <= 1
    assert drift_time([1 - p for p in shares]) == pytest.approx(drift_time(shares))


def test_what_does_not_move_has_drifted_at_once():
    assert drift_time([0.4, 0.4, 0.4]) == 0
    assert drift_time([0.4]) == 0


def answers(shares, per_checkpoint=20):
    """Columns in which the share of support moves along `shares` and the rest is neutral."""
    columns = {"checkpoint": [], "topic": [], "stance": []}
    for step, share in enumerate(shares):
        yes = round(share * per_checkpoint)
        columns["checkpoint"] += [step] * per_checkpoint
        columns["topic"] += ["taxes"] * per_checkpoint
        columns["stance"] += ["support"] * yes + ["neutral"] * (per_checkpoint - yes)
    return columns


def test_a_planted_drift_is_found_and_raises_the_alert():
    found = stance_drift(**answers([0.2, 0.5, 0.6]))
    assert found["taxes/support"] == pytest.approx(0.4)
    assert found["taxes/neutral"] == pytest.approx(-0.4)
    assert found["taxes/drift_time"] == 1
    assert found["alerts"] == 1
    assert stance_drift(**answers([0.2, 0.3]))["alerts"] == 0  # 0.1 is below 0.15
    assert stance_drift(**answers([0.2, 0.35]))["alerts"] == 1  # 0.15 is not


def test_a_set_without_a_gap_pushes_nowhere():
    words = ["support", "oppose", "neutral"]
    assert value_gap(words, words[::-1])["value_gap"] == 0
    found = value_gap(["support"] * 4, ["support", "oppose", "oppose", "oppose"])
    assert found == pytest.approx(
        {"support": 0.75, "neutral": 0.0, "oppose": -0.75, "value_gap": 0.75}
    )


def test_unknown_stances_and_missing_checkpoints_are_named():
    with pytest.raises(InputError, match="stance: expected one of"):
        stance_distribution(["maybe"])
    with pytest.raises(InputError, match="topic 'b' has no answer at checkpoint 0"):
        stance_drift([0, 1, 1], ["a", "a", "b"], ["neutral"] * 3)
    assert stance_distribution(["oppose"]).tolist() == [0, 0, 1]
    assert np.isclose(stance_distribution(["support", "neutral"]).sum(), 1)


def test_preferences_move_stances_where_their_set_has_a_gap():
    found = runpy.run_path(str(BENCHMARK))["study"](0)
    change = {phase: values[0] for phase, values in found.items()}
    assert found["supervised"][1] < 0.5  # early
    assert max(abs(change[f"{name}, without a gap"]) for name in ("dpo", "ipo")) < 0.1
    assert change["dpo, with a gap"] > change["ipo, with a gap"] > 0.1
    assert found["dpo, with a gap"][2] > 0.2 > found["dpo, without a gap"][2]
