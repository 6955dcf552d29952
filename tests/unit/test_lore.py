"""LoRe: mixtures of shared rewards, and the published recipe with its quirks."""

from __future__ import annotations

import numpy as np
import pytest

from gustibus.errors import ConfigError
from gustibus.models import MODELS
from gustibus.models.hybrid import load_model
from gustibus.models.lore_published import onboarded
from gustibus.models.mixtures import weight_moments
from gustibus.models.validation import part
from gustibus.posterior import Evidence, GaussianPrior, Posterior, simplex_moments
from tests.conftest import small_world

LORE = MODELS["lore"].run
QUICK = {"rank": 3, "ridges": [3.0], "steps": 30}


@pytest.fixture(scope="module")
def mixtures():
    everyone = small_world(0, people=52)
    train, valid = part(everyone, np.arange(40)), part(everyone, np.arange(40, 52))
    return LORE.fit(train, valid, seed=0, **QUICK)


def test_weights_of_a_person_lie_on_the_simplex(mixtures):
    model, world = mixtures.model, small_world(2, people=5)
    reps = model.represent(world.item_features)
    placed = model.place(
        reps[world.a], reps[world.b], world.target.astype(float), starts=np.arange(0, 151, 30)
    )
    assert (placed.mean > 0).all()
    np.testing.assert_allclose(placed.mean.sum(1), 1, atol=1e-12)
    np.testing.assert_allclose(placed.covariance.sum(-1), 0, atol=1e-12)  # weights sum to one


def test_moments_of_many_are_those_of_each():
    rng = np.random.default_rng(0)
    logits, root = rng.standard_normal((4, 5)), rng.standard_normal((4, 5, 5))
    spread = root @ np.swapaxes(root, 1, 2)
    mean, covariance = weight_moments(logits, spread)
    for i in range(4):
        one = Posterior(np.ones(1), logits[i : i + 1], spread[i : i + 1], 0.0, 0, True, 1)
        expected = simplex_moments(one)
        np.testing.assert_allclose(mean[i], expected[0], atol=1e-12)
        np.testing.assert_allclose(covariance[i], expected[1], atol=1e-12)


def test_permuting_people_permutes_them(mixtures):
    model, world = mixtures.model, small_world(2, people=2, rows=6)
    reps = model.represent(world.item_features)
    a, b, target = reps[world.a], reps[world.b], world.target.astype(float)
    turned = np.r_[6:12, 0:6]
    starts = np.array([0, 6, 12])
    one = model.place(a, b, target, starts=starts).mean
    other = model.place(a[turned], b[turned], target[turned], starts=starts).mean
    np.testing.assert_allclose(one, other[::-1], atol=1e-12)


def test_free_weights_can_say_the_opposite():
    free = LORE.fit(small_world(0), None, seed=0, weights="gaussian", **QUICK).model
    world = small_world(0)
    reps = free.represent(world.item_features)
    rows = world.user == 0
    a, b, target = reps[world.a[rows]], reps[world.b[rows]], world.target[rows].astype(float)
    one, opposite = (free.place(a, b, t).mean[0] for t in (target, 1 - target))
    margin = free.margin(np.repeat(one[None], len(a), 0), a, b)
    against = free.margin(np.repeat(opposite[None], len(a), 0), a, b)
    assert np.corrcoef(margin, against)[0, 1] < 0


def test_the_report_tells_the_loss_of_held_out_people(mixtures):
    report = mixtures.report
    assert 0 < report["held_out_loss"] < np.log(2)
    assert report["ridge"] == 3.0


def test_published_onboarding_moves_logits_by_the_rate_a_step():
    """One answer, one Adam step: the logits move by the learning rate whatever the answer says."""
    evidence = Evidence.build(np.array([[3.0, -2.0]]), np.array([1.0]))
    prior = GaussianPrior.single(np.full(2, 0.5), np.eye(2))
    before = onboarded(evidence, prior, steps=0, lr=0.1, seed=0).mean[0]
    after = onboarded(evidence, prior, steps=1, lr=0.1, seed=0).mean[0]
    moved = np.log(after[0] / after[1]) - np.log(before[0] / before[1])
    assert moved == pytest.approx(0.2, abs=1e-6)


def test_published_start_depends_on_nobody_else():
    delta = np.random.default_rng(0).standard_normal((6, 3))
    prior = GaussianPrior.single(np.full(3, 1 / 3), np.eye(3))
    target = np.array([1.0, 0, 1, 1, 0, 1])
    both = Evidence.build(delta, target, person=np.repeat([0, 1], 3))
    alone = Evidence.build(delta[3:], target[3:])
    np.testing.assert_allclose(
        onboarded(both, prior, steps=9, lr=0.1, seed=1).mean[1],
        onboarded(alone, prior, steps=9, lr=0.1, seed=1).mean[0], atol=1e-12,
    )  # fmt: skip


def test_published_model_keeps_its_recipe_when_saved():
    model = LORE.fit(
        small_world(0), None, seed=4, recipe="published", rank=2, steps=10, onboarding_steps=30
    ).model
    again = load_model("lore", *model.save())
    assert again.onboarding == model.onboarding
    assert (model.onboarding.steps, model.onboarding.seed) == (30, 4)
    assert (model.center == 0).all()


def test_one_shared_reward_is_the_same_for_everybody():
    model = LORE.fit(small_world(0), None, seed=0, rank=1, ridges=[10.0], steps=20).model
    reps = model.represent(small_world(0).item_features[:4])
    placed = model.place(reps[:2], reps[2:], np.array([1.0, 0.0]))
    np.testing.assert_array_equal(placed.mean, [[1.0]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": "dirichlet"}, "weights: expected one of"),
        ({"rank": 0}, "rank: expected a whole number from 1 to 64"),
        ({"recipe": "published", "weights": "gaussian"}, "weights"),
        ({"ranks": 3}, "no option 'ranks'"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ConfigError, match=message):
        LORE.fit(small_world(0), None, seed=0, **options)
