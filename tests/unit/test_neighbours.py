"""Per-user ridge, and people foretold by those who answer most alike."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gustibus.errors import ConfigError
from gustibus.models import MODELS
from gustibus.models.validation import part
from tests.conftest import small_world

RIDGE, NEAREST = MODELS["ridge"].run, MODELS["nearest"].run
QUICK = {"spreads": [1.0], "ridge": 10.0}


def answers(model, world, person):
    """Representations and targets of one person's rows."""
    reps, rows = model.represent(world.item_features), world.user == person
    return reps[world.a[rows]], reps[world.b[rows]], world.target[rows].astype(float)


@pytest.fixture(scope="module")
def nearest():
    return NEAREST.fit(small_world(0), None, seed=0, neighbours=1, imaginary=0.0, **QUICK).model


def test_a_clone_of_a_seen_person_is_predicted_like_that_person():
    """Somebody unlike the others answers everything as their one seen twin did."""
    world = small_world(0, people=41)
    rows, x = world.user == 40, world.item_features
    taste = np.linalg.svd(x[:, :3].T @ x[:, :3])[0][0] @ x[:, :3].T * 3
    target = world.target.copy()
    target[rows] = taste[world.a[rows]] > taste[world.b[rows]]
    world = replace(world, target=target)
    for neighbours in (1, 20):
        options = {"neighbours": neighbours, "imaginary": 0.0, **QUICK}
        model = NEAREST.fit(world, None, seed=0, **options).model
        placed = model.place(*answers(model, world, 40)).mean[0]
        twin = model.prior.particles[40]
        reps = model.represent(small_world(9).item_features)
        own, found = model.utility(twin, reps), model.utility(placed, reps)
        assert np.corrcoef(own, found)[0, 1] > 0.99
        if neighbours == 1:
            np.testing.assert_array_equal(placed, twin)


def test_neighbours_are_of_the_same_kind(nearest):
    world = small_world(0, people=60)  # the first 40 are those of the fit
    for person in range(40, 60):
        placed = nearest.place(*answers(nearest, world, person)).mean[0]
        found = int((nearest.prior.particles == placed).all(axis=1).argmax())
        assert found % 2 == person % 2


def test_imaginary_answers_draw_to_everybody(nearest):
    drawn = replace(nearest, imaginary=30.0)
    a, b, target = answers(nearest, small_world(0), 3)
    near, mean = nearest.place(a, b, target).mean[0], nearest.prior.mean
    np.testing.assert_allclose(drawn.place(a, b, target).mean[0], (near + mean) / 2, atol=1e-12)
    assert drawn.place(a, b, target)[0].covariance.any()


def test_agreement_counts_answers_that_a_neighbour_would_give(nearest):
    agreeing = replace(nearest, similarity="zero_one", neighbours=40)
    a, b, target = answers(nearest, small_world(0), 0)
    people = np.repeat(agreeing.prior.particles[:, None], len(a), axis=1)
    wrong = ((agreeing.margin(people, a, b) > 0) != (target > 0.5)).sum(1)
    weights = np.exp(-wrong.astype(float))
    expected = weights @ agreeing.prior.particles / weights.sum()
    np.testing.assert_allclose(agreeing.place(a, b, target).mean[0], expected, atol=1e-10)


def test_held_out_people_choose_the_neighbourhood():
    everyone = small_world(0, people=52)
    train, valid = part(everyone, np.arange(40)), part(everyone, np.arange(40, 52))
    model, report = NEAREST.fit(train, valid, seed=0, **QUICK)
    losses = {(h["neighbours"], h["imaginary"]): h["valid_loss"] for h in report["history"]}
    assert report["held_out_loss"] == min(losses.values()) < np.log(2)
    assert losses[model.neighbours, model.imaginary] == report["held_out_loss"]
    assert report["people"] == 52


def test_ridge_without_spread_is_the_shared_reward_and_more_spread_moves_further():
    world = small_world(0)
    models = [RIDGE.fit(world, None, seed=0, spreads=s, ridge=10.0).model for s in (1e-4, 0.3, 1.0)]
    moved = []
    for model in models:
        reps = model.represent(world.item_features)
        placed = model.place(*answers(model, world, 0)).mean[0]
        shared = model.utility(model.prior.mean, reps)
        moved.append(float(np.abs(model.utility(placed, reps) - shared).mean()))
    assert moved[0] < 1e-3 < moved[1] < moved[2]


def test_ridge_finds_how_far_people_are_apart():
    """People of two opposite kinds need a wide spread; people all alike need hardly any."""
    everyone = small_world(0, people=60, rows=40)
    alike = part(everyone, np.arange(0, 60, 2))
    chosen = []
    for world in (everyone, alike):
        count = world.people
        train = part(world, np.arange(count - count // 4))
        valid = part(world, np.arange(count - count // 4, count))
        chosen.append(RIDGE.fit(train, valid, seed=0).report["spread"])
    assert chosen[0] >= 1.0 > chosen[1]


@pytest.mark.parametrize(
    ("family", "options", "message"),
    [
        ("ridge", {"spreads": []}, "spreads"),
        ("ridge", {"max_features": 0}, "max_features"),
        ("nearest", {"neighbours": 0}, "neighbours: expected a whole number of at least 1"),
        ("nearest", {"similarity": "cosine"}, "similarity: expected one of"),
    ],
)
def test_wrong_options_are_named(family, options, message):
    with pytest.raises(ConfigError, match=message):
        MODELS[family].run.fit(small_world(0), None, seed=0, **options)
