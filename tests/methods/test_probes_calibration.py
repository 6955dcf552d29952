"""Calibration of pair probabilities: worked numbers, a peer, planted temperatures."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss

from gustibus.errors import InputError
from gustibus.evaluation.probes.calibration import (
    pair_brier,
    pair_ece,
    scaled,
    temperature_scaling,
)

few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])

MARGINS = [2, -0.5, 0.3, 1.2]
JUDGES = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "methods" / "judges.py"))


def test_the_worked_calibration_error():
    assert pair_ece(MARGINS, bins=10) == pytest.approx(0.349674, abs=1e-6)


def test_a_confidence_on_the_edge_of_a_bin_belongs_to_the_bin_below():
    edge = float(np.log(0.75 / 0.25))  # exactly 3/4, the upper edge of the third of four bins
    below = float(np.log(0.7 / 0.3))
    assert pair_ece([edge, -below], bins=4) == pytest.approx(abs(0.5 - (0.75 + 0.7) / 2))


def test_a_margin_of_zero_is_wrong():
    assert pair_ece([0.0]) == pytest.approx(0.5)


def test_the_brier_score_is_that_of_scikit_learn():
    p = 1 / (1 + np.exp(-np.array(MARGINS)))
    assert pair_brier(MARGINS) == pytest.approx(brier_score_loss([1] * 4, p))
    assert pair_brier([0.0, 0.0]) == 0.25


@few
@given(st.lists(st.floats(-40, 40), min_size=1, max_size=30), st.integers(1, 20))
def test_figures_stay_between_0_and_1(margins, bins):
    assert 0 <= pair_ece(margins, bins=bins) <= 1
    assert 0 <= pair_brier(margins) <= 1


def test_the_error_of_exact_probabilities_vanishes_as_rows_grow():
    small, large = JUDGES["calibrated"](100), JUDGES["calibrated"](100_000)
    assert large < 0.005 < small


@pytest.mark.parametrize("planted", [0.25, 1.0, 4.0])
def test_the_scale_of_overconfident_margins_is_found(planted):
    rng = np.random.default_rng(1)
    z = 2 * rng.standard_normal(20_000)
    right = rng.random(len(z)) < 1 / (1 + np.exp(-z))
    found = temperature_scaling(planted * np.where(right, z, -z))
    assert found.temperature == pytest.approx(planted, rel=0.05)
    assert found.loss <= found.loss_before
    assert found.ece < 0.01


@few
@given(st.lists(st.floats(-30, 30, width=16), min_size=2, max_size=20), st.floats(0.01, 100))
def test_a_temperature_changes_no_ranking(margins, t):
    order = np.argsort(margins, kind="stable")
    assert (np.diff(scaled(margins, t)[order]) >= 0).all()
    assert ((scaled(margins, t) > 0) == (np.array(margins) > 0)).all()


def test_data_without_an_error_asks_for_the_coldest_temperature():
    assert temperature_scaling([1.0, 2.0]).temperature == pytest.approx(1e-3, rel=1e-6)


@pytest.mark.parametrize("bins", [0, 2.5, True])
def test_bins_are_a_whole_number(bins):
    with pytest.raises(InputError, match="bins"):
        pair_ece(MARGINS, bins=bins)
