"""Scores worked by hand or taken from scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, brier_score_loss, log_loss

from gustibus.evaluation.metrics import (
    brier_scores,
    by_person,
    calibration,
    calibration_gaps,
    correctness,
    equal_mass_bins,
    harmed_share,
    log_losses,
    macro,
    worst_share,
)


def answers(n=500, seed=0):
    rng = np.random.default_rng(seed)
    margin = rng.normal(0, 2, n)
    p = 1 / (1 + np.exp(-margin))
    return margin, p, (rng.random(n) < p).astype(float)


def test_a_tie_of_the_model_or_of_the_person_is_half_right():
    margin = np.array([2.0, -1.0, 0.0, 1e-12, 3.0, -3.0])
    target = np.array([1.0, 1.0, 1.0, 0.0, 0.5, 0.25])
    np.testing.assert_allclose(correctness(margin, target), [1, 0, 0.5, 0.5, 0.5, 0.75])


def test_accuracy_log_loss_and_brier_score_are_those_of_scikit_learn():
    margin, p, target = answers()
    assert correctness(margin, target).mean() == pytest.approx(accuracy_score(target, margin > 0))
    assert log_losses(p, target).mean() == pytest.approx(log_loss(target, p))
    assert brier_scores(p, target).mean() == pytest.approx(brier_score_loss(target, p))


def test_the_log_loss_of_a_sure_and_wrong_prediction_is_finite():
    assert np.isfinite(log_losses(np.array([0.0, 1.0]), np.array([1.0, 0.0]))).all()


def test_means_by_person_weigh_people_alike_and_leave_out_those_without_rows():
    values = np.array([1.0, 0.0, 1.0, 1.0])
    found = by_person(values, np.array([0, 3, 3, 4]))
    np.testing.assert_allclose(found, [2 / 3, np.nan, 1.0])
    assert macro(found) == pytest.approx((2 / 3 + 1) / 2)  # 3/4 over answers


def test_the_worst_tenth_counts_a_person_in_part():
    values = np.arange(25) / 25  # the worst 2.5 people
    assert worst_share(values[::-1]) == pytest.approx((0 + 0.04 + 0.5 * 0.08) / 2.5)
    assert worst_share(np.array([0.3, np.nan])) == pytest.approx(0.3)
    assert np.isnan(worst_share(np.array([np.nan])))


def test_people_are_harmed_only_where_they_do_worse():
    first = np.array([0.5, 0.6, 0.7, np.nan])
    second = np.array([0.6, 0.6, 0.6, 0.6])
    assert harmed_share(first, second) == pytest.approx(1 / 3)


def test_calibration_error_is_that_of_the_worked_example():
    # four answers, each in a bin of its own
    margin = np.array([2.0, -0.5, 0.3, 1.2])
    p = 1 / (1 + np.exp(-margin))
    found = calibration(p, correctness(margin, np.ones(4)), bins=4)
    assert found.error == pytest.approx(0.349674, abs=1e-6)
    assert found.rows.tolist() == [1, 1, 1, 1]


def test_bins_have_equal_mass_and_do_not_part_equal_confidences():
    rows = np.bincount(equal_mass_bins(np.random.default_rng(0).random(1003), 10))
    assert rows.max() - rows.min() <= 1
    assert len(np.unique(equal_mass_bins(np.full(100, 0.7), 10))) == 1


def test_calibrated_answers_have_a_calibration_error_near_zero_and_sharpened_ones_do_not():
    margin, p, target = answers(200_000, 1)
    correct = correctness(margin, target)
    assert calibration(p, correct).error < 0.005
    sharper = 1 / (1 + np.exp(-3 * margin))
    assert calibration(sharper, correct).error > 0.05


def test_gaps_of_people_add_up_to_the_calibration_error():
    margin, p, target = answers(999, 2)
    correct, starts = correctness(margin, target), np.array([0, 100, 100, 640, 999])
    gaps = calibration_gaps(p, correct, starts)
    assert gaps.shape == (4, 10)
    assert np.abs(gaps.sum(0)).sum() / 999 == pytest.approx(calibration(p, correct).error)
