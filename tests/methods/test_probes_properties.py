"""Effects of properties: the posterior by hand, planted effects, a peer for the mode."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from gustibus.errors import InputError
from gustibus.evaluation.probes.properties import (
    PROPERTIES,
    judge_similarity,
    laplace_log_posterior,
    property_differences,
    property_effect_percent,
    property_effects,
)
from gustibus.evaluation.probes.surface import SURFACE, surface_annotations

JUDGES = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "methods" / "judges.py"))


def planted(rows=1500, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.integers(-1, 2, (rows, 5))
    alpha = np.array([0.8, 0.4, 0.0, -0.3, -0.7])
    return x, rng.random(rows) < 1 / (1 + np.exp(-x @ alpha)), alpha


def test_the_worked_effects():
    np.testing.assert_allclose(
        property_effect_percent([0, 0.25, -0.6]), [50, 56.217650, 35.434369], atol=1e-6
    )


def test_the_log_posterior_worked_by_hand():
    x, y, alpha, scale = [[1, 0], [-1, 1]], [1, 0], [0.2, 0.1], 0.1
    likelihood = -np.log1p(np.exp(-0.2)) - np.log1p(np.exp(-0.1))
    expected = likelihood - 0.3 / scale - 2 * np.log(2 * scale)
    assert laplace_log_posterior(x, y, alpha, scale) == pytest.approx(expected)


def test_the_mode_is_that_of_scikit_learn_with_an_l1_penalty():
    x, y, _ = planted()
    peer = LogisticRegression(
        l1_ratio=1.0, C=0.1, solver="liblinear", fit_intercept=False, tol=1e-10, max_iter=5000
    ).fit(x, y)
    found = np.array(list(property_effects(x, y, scale=0.1).values()))
    np.testing.assert_allclose(found, property_effect_percent(peer.coef_[0]), atol=1e-4)


def test_nothing_near_the_mode_is_more_likely():
    x, y, _ = planted(300)
    percent = np.array(list(property_effects(x, y).values()))
    alpha = np.log(percent / (100 - percent))
    best = laplace_log_posterior(x, y, alpha)
    rng = np.random.default_rng(0)
    for size in (1e-3, 1e-2, 0.1):
        assert all(
            laplace_log_posterior(x, y, alpha + size * rng.standard_normal(5)) <= best + 1e-9
            for _ in range(20)
        )


@pytest.mark.parametrize("estimate", ["mode", "mean"])
def test_planted_effects_are_found_in_sign_and_order(estimate):
    x, y, alpha = planted()
    found = np.array(list(property_effects(x, y, estimate=estimate, folds=3).values()))
    np.testing.assert_array_equal(np.argsort(found), np.argsort(alpha))
    np.testing.assert_array_equal(np.sign(found - 50)[[0, 1, 3, 4]], [1, 1, -1, -1])
    np.testing.assert_allclose(found, property_effect_percent(alpha), atol=5)


@pytest.mark.parametrize(("estimate", "within"), [("mode", 1e-9), ("mean", 1.0)])
def test_a_property_that_is_not_in_the_data_stays_at_a_half(estimate, within):
    x, y, _ = planted(400)
    x[:, 2] = 0
    found = list(property_effects(x, y, estimate=estimate, folds=2).values())
    assert found[2] == pytest.approx(50, abs=within)


def test_the_published_names_are_used_for_29_properties():
    x = np.eye(29)
    assert list(property_effects(x, np.ones(29))) == list(PROPERTIES)
    assert list(property_effects(x[:, :2], np.ones(29))) == ["0", "1"]
    assert list(JUDGES["properties"](items=300)) == ["polite", "long", "clear", "funny"]


def test_differences_are_signs():
    np.testing.assert_array_equal(property_differences([[3, 1, 2]], [[1, 1, 5]]), [[1, 0, -1]])


def test_similarity_is_the_mean_correlation_over_scenarios():
    one = {"chat": [0.1, 0.5, -0.2], "code": [1, 0, 0.5]}
    other = {"chat": [0.2, 1.0, -0.4], "code": [-1, 0, -0.5]}
    assert judge_similarity(one, other) == pytest.approx(0)
    assert judge_similarity(one, one) == pytest.approx(1)
    with pytest.raises(InputError, match="expected the scenarios"):
        judge_similarity(one, {"chat": [1, 2, 3]})
    with pytest.raises(InputError, match="got equal ones"):
        judge_similarity({"chat": [1, 1]}, {"chat": [1, 2]})


def test_surface_properties_are_read_off_texts():
    rich = "1. Please see https://x.org [2].\n2. Then rest. Would that help? I might be wrong!"
    plain = "Yes yes yes."
    noted = surface_annotations([rich, plain])
    assert (np.sign(noted[0] - noted[1]) == 1).all()
    assert noted.shape == (2, len(SURFACE))
    names = list(property_effects(np.eye(len(SURFACE)), np.ones(len(SURFACE))))
    assert names == list(SURFACE)
