"""HyRe: its invariants, and what its heads are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gustibus.errors import ConfigError
from gustibus.models import MODELS
from gustibus.models.heads import effective
from gustibus.models.validation import part
from gustibus.posterior import ParticlePrior
from tests.conftest import small_world

HYRE = MODELS["hyre"].run
DENOISED = {"hierarchical": {"basis": "features", "folds": 1}}


@pytest.fixture(scope="module")
def fitted():
    everyone = small_world(0, people=52)
    train, valid = part(everyone, np.arange(40)), part(everyone, np.arange(40, 52))
    return HYRE.fit(train, valid, seed=0, **DENOISED)


@pytest.fixture(scope="module")
def person(fitted):
    world = small_world(3, people=1, rows=12)
    reps = fitted.model.represent(world.item_features)
    return reps[world.a], reps[world.b], world.target.astype(float)


def test_weights_lie_on_the_simplex_and_no_answer_gives_the_prior(fitted, person):
    a, b, target = person
    prior = ParticlePrior(
        fitted.model.prior.particles, np.random.default_rng(0).standard_normal(52)
    )
    model = replace(fitted.model, prior=prior)
    weights = model.weights(a, b, target, starts=np.array([0, 0, 5, 12]))
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-12)
    raised = np.exp(prior.log_weights)
    np.testing.assert_allclose(weights[0], raised / raised.sum(), atol=1e-12)
    assert np.abs(weights[1] - weights[0]).max() > 1e-3


def test_the_order_of_answers_does_not_matter(fitted, person):
    order = np.random.default_rng(0).permutation(12)
    one = fitted.model.place(*person).mean
    other = fitted.model.place(*(x[order] for x in person)).mean
    np.testing.assert_allclose(one, other, atol=1e-10)


@pytest.mark.parametrize("score", ["log", "zero_one"])
def test_duplicate_evidence_sharpens(fitted, person, score):
    model = replace(fitted.model, score=score)
    once, twice = (model.weights(*(np.concatenate([x] * n) for x in person))[0] for n in (1, 2))
    assert effective(twice) < effective(once) < 52
    np.testing.assert_allclose(twice, once**2 / (once**2).sum(), atol=1e-9)


def test_the_mean_of_the_heads_is_one_linear_head(fitted, person):
    model = fitted.model
    weights, placed = model.weights(*person)[0], model.place(*person)[0]
    reps = model.represent(small_world(5).item_features[:9])
    each = model.utility(model.prior.particles, reps)  # (j, 9)
    np.testing.assert_allclose(model.utility(placed.mean, reps), weights @ each, atol=1e-9)
    away = each - weights @ each
    spread = np.einsum("nu,uv,nv->n", reps[:, 1:], placed.covariance, reps[:, 1:])
    np.testing.assert_allclose(spread, weights @ away**2, rtol=1e-5, atol=1e-9)


def test_weights_worked_by_hand():
    """Two heads, one answer: odds are those of the answer under the two."""
    model = HYRE.fit(small_world(0), None, seed=0, heads="bootstrap", count=4, score="log").model
    heads = np.zeros((2, model.user_dim))
    heads[:, 0] = 1.0, -2.0
    model = replace(model, prior=ParticlePrior(heads, np.zeros(2)), sharpness=1.0)
    a, b = np.zeros((2, 1, model.representation_dim), np.float32)
    a[0, :2] = 0.5, 1.0  # margins 1.5 and -1.5
    first, second = 1 / (1 + np.exp(-1.5)), 1 / (1 + np.exp(1.5))
    weights = model.weights(a, b, np.ones(1))[0]
    np.testing.assert_allclose(weights, np.array([first, second]) / (first + second), atol=1e-12)
    wrong = replace(model, score="zero_one").weights(a, b, np.ones(1))[0]
    np.testing.assert_allclose(wrong, [1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1))], atol=1e-12)


def test_the_report_tells_heads_effective_heads_and_the_loss(fitted):
    report = fitted.report
    assert report["heads"] == len(fitted.model.prior.particles) == 52
    assert 1 <= report["effective_heads"] < 40
    assert report["held_out_loss"] == min(h["valid_loss"] for h in report["history"]) < np.log(2)
    assert (report["score"], report["sharpness"]) == (fitted.model.score, fitted.model.sharpness)


def test_denoised_people_make_better_heads_than_resampled_data(fitted):
    everyone = small_world(0, people=52)
    train, valid = part(everyone, np.arange(40)), part(everyone, np.arange(40, 52))
    resampled = HYRE.fit(train, valid, seed=0, heads="bootstrap").report
    assert resampled["heads"] == 64
    assert fitted.report["held_out_loss"] < resampled["held_out_loss"] - 0.05


def test_the_published_recipe_is_bootstrap_heads_at_face_value():
    model, report = HYRE.fit(small_world(0), None, seed=0, recipe="published")
    assert (report["options"]["heads"], report["heads"]) == ("bootstrap", 64)
    assert (model.score, model.sharpness) == ("log", 1.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": "random"}, "heads: expected one of"),
        ({"count": 1}, "count: expected a whole number of at least 2"),
        ({"score": "hinge"}, "score: expected one of"),
        ({"hierarchical": {"rnak": 3}}, "hierarchical has no option 'rnak'"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ConfigError, match=message):
        HYRE.fit(small_world(0), None, seed=0, **options)
