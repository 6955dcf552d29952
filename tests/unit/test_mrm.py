"""MRM: a shared start from which a few steps place a person, and the size of those steps."""

from __future__ import annotations

import numpy as np
import pytest

from gustibus.errors import ConfigError
from gustibus.models import MODELS
from gustibus.models.hybrid import load_model
from gustibus.models.mrm import Inner, adapted
from gustibus.models.mrm_fit import mrm_options
from gustibus.models.validation import part
from gustibus.posterior import Evidence
from tests.conftest import small_world

MRM = MODELS["mrm"].run
QUICK = {"rank": 3, "steps": 60}


def halves():
    everyone = small_world(0, people=60)
    return part(everyone, np.arange(45)), part(everyone, np.arange(45, 60))


@pytest.fixture(scope="module")
def fitted():
    return MRM.fit(*halves(), seed=0, step_sizes=[0.01, 1.0, 10.0], **QUICK)


def test_one_adam_step_moves_every_logit_by_its_size_whatever_the_answers_say():
    start = np.full(2, 0.5)
    for delta in ([[3.0, -2.0]], [[0.1, 0.0]]):
        evidence = Evidence.build(np.array(delta), np.array([1.0]))
        w = adapted(evidence, start, Inner(1, 5e-3, "adam"))[0]
        assert np.log(w[0] / w[1]) == pytest.approx(0.01, abs=1e-6)


def test_a_gradient_step_worked_by_hand():
    """Margin 0.5 * 3 - 0.5 * 2 = 0.5; the logits move by the gradient over 1 + 4 answers."""
    evidence = Evidence.build(np.array([[3.0, -2.0]]), np.array([1.0]))
    w = adapted(evidence, np.full(2, 0.5), Inner(1, 10.0))[0]
    pull = 1 / (1 + np.exp(-0.5)) - 1
    slope = np.array([3.0, -2.0]) * pull / 5
    gradient = 0.5 * (slope - 0.5 * slope.sum())
    logits = -10.0 * gradient
    np.testing.assert_allclose(w, np.exp(logits) / np.exp(logits).sum(), atol=1e-12)


def test_held_out_people_choose_the_size_of_a_step(fitted):
    report = fitted.report
    losses = {h["step_size"]: h["valid_loss"] for h in report["history"]}
    assert report["step_size"] == min(losses, key=losses.__getitem__) > 0.01
    assert fitted.model.inner.size == report["step_size"]
    assert report["held_out_loss"] == losses[report["step_size"]] < losses[0.01] - 0.02


def test_the_published_step_places_everybody_at_nearly_the_same_reward(fitted):
    """[quirk]: weights change by at most half the learning rate, so swapped people do not differ."""
    train, new = halves()
    published = MRM.fit(train, None, seed=0, recipe="published", steps=200).model
    moved = {}
    for name, model in (("published", published), ("project", fitted.model)):
        reps = model.represent(new.item_features)
        order = np.argsort(new.user, kind="stable")
        placed = model.place(
            reps[new.a[order]], reps[new.b[order]], new.target[order].astype(float),
            starts=np.arange(0, 451, 30),
        ).mean  # fmt: skip
        np.testing.assert_allclose(placed.sum(1), 1, atol=1e-12)
        moved[name] = np.abs(placed - model.prior.mean).max()
    assert 0 < moved["published"] <= 0.5 * 5e-3 + 1e-9
    assert moved["project"] > 0.1


def test_the_way_of_placing_is_saved(fitted):
    again = load_model("mrm", *fitted.model.save())
    assert again.inner == fitted.model.inner
    world = small_world(3, people=1)
    reps = again.represent(world.item_features)
    sides = reps[world.a], reps[world.b], world.target.astype(float)
    np.testing.assert_array_equal(again.place(*sides).mean, fitted.model.place(*sides).mean)


def test_the_published_recipe_sets_the_published_options():
    options = mrm_options({"recipe": "published"})
    assert (options.rank, options.inner_steps, options.inner) == (2, 1, "adam")
    assert (options.step_sizes, options.batch) == ((5e-3,), 2)
    assert mrm_options({"recipe": "published", "step_sizes": 1e-3}).step_sizes == (1e-3,)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inner": "sgd"}, "inner: expected one of"),
        ({"rank": 0}, "rank: expected a whole number from 1 to 64"),
        ({"step_sizes": []}, "step_sizes"),
        ({"support": 1.0}, "support"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ConfigError, match=message):
        MRM.fit(small_world(0), None, seed=0, **options)
