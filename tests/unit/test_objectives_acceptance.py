"""What objectives are for, on small planted data; the benchmarks beside print the tables."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from gustibus.objectives import PAIRWISE

METHODS = Path(__file__).parents[2] / "benchmarks" / "methods"


@pytest.fixture(scope="module")
def noisy():
    return runpy.run_path(str(METHODS / "noisy_labels.py"))


def test_the_robust_loss_is_calibrated_where_labels_are_flipped(noisy):
    plain = noisy["study"](PAIRWISE["bt_pair"].run, 0.3)
    robust = noisy["study"](noisy["robust"](0.3), 0.3)
    assert robust.ece <= 0.05
    assert robust.ece <= plain.ece / 2
    assert abs(robust.accuracy - plain.accuracy) < 0.01
    assert plain.scale < 0.4
    assert 0.8 < robust.scale < 1.3


def test_a_ridge_holds_the_robust_loss_where_most_labels_are_noise(noisy):
    loose = noisy["study"](noisy["robust"](0.45), 0.45, ridge=0.0)
    held = noisy["study"](noisy["robust"](0.45), 0.45, ridge=100.0)
    assert held.scale < 1.5
    assert held.scale < loose.scale
    assert held.ece < max(loose.ece, 0.1)


def test_losses_over_prompts_teach_instructions_and_leave_pairs_alone():
    pytest.importorskip("gustibus.curation.constraints")
    study = runpy.run_path(str(METHODS / "constraint_swaps.py"))["study"]
    before, after = study((0, 0), count=120, steps=60), study((1, 1), count=120, steps=60)
    assert after[0] >= 0.8 > before[0]
    assert after[1] > before[1] - 0.03


def test_degrees_are_told_and_rewards_fall_with_them():
    pytest.importorskip("gustibus.curation.degrading")
    study = runpy.run_path(str(METHODS / "degrees.py"))["study"]
    told, falls, pairs = study(0.1, count=60, steps=100)
    assert told > 0.5  # of four
    assert falls <= -0.6
    assert pairs > 0.8
