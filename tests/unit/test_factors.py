"""Factors of people and items by their names alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gustibus.errors import ConfigError, InputError
from gustibus.models import MODELS
from gustibus.models.hybrid import fit_model
from gustibus.models.validation import part
from tests.conftest import small_world
from tests.unit.test_known_items import with_secrets

FACTORS = MODELS["factors"].run
QUICK = {"ridges": [10.0], "rounds": 3, "rank": 4, "ridge_population": [3.0]}


def test_features_only_tell_which_item_it_is():
    """Other features for the same items: the same strengths and factors."""
    world = small_world(0)
    other = np.random.default_rng(5).standard_normal((200, 9)).astype(np.float32)
    one = FACTORS.fit(world, None, seed=0, **QUICK).model
    two = FACTORS.fit(replace(world, item_features=other), None, seed=0, **QUICK).model
    np.testing.assert_allclose(one.represent(world.item_features), two.represent(other), atol=1e-5)
    assert (one.item_dim, two.item_dim) == (6, 9)


def test_a_new_item_is_worth_the_mean_of_the_population():
    world = small_world(0)
    model = FACTORS.fit(world, None, seed=0, **QUICK).model
    new = model.represent(world.item_features[:5] + np.float32(0.5))
    np.testing.assert_array_equal(new, 0.0)
    user = np.ones(model.user_dim)
    np.testing.assert_array_equal(model.utility(user, new), 0.0)
    assert np.abs(model.utility(user, model.represent(world.item_features[:5]))).min() > 0


def test_what_features_do_not_tell_is_learned():
    train, secret = with_secrets(0, people=60)
    valid, _ = with_secrets(1, people=12)
    model, report = FACTORS.fit(train, valid, seed=0, **QUICK)
    strength = model.represent(train.item_features)[:, 0]
    assert np.corrcoef(strength, secret)[0, 1] > 0.9
    assert report["held_out_loss"] < np.log(2) - 0.1
    assert report["items"] == 200


def test_people_of_opposite_kinds_are_told_apart_without_features():
    world = small_world(0, people=120, rows=40)
    train, new = part(world, np.arange(100)), part(world, np.arange(100, 120))
    model = FACTORS.fit(train, None, seed=0, **{**QUICK, "rounds": 8}).model
    reps = model.represent(new.item_features)
    rows = np.arange(len(new)).reshape(20, 40)
    told, asked = rows[:, :30].ravel(), rows[:, 30:].ravel()
    placed = model.place(
        reps[new.a[told]], reps[new.b[told]], new.target[told].astype(float),
        starts=np.arange(0, 601, 30),
    ).mean  # fmt: skip
    margin = model.margin(placed[new.user[asked]], reps[new.a[asked]], reps[new.b[asked]])
    assert ((margin > 0) == (new.target[asked] > 0.5)).mean() > 0.75


def test_rare_items_are_not_known_and_none_at_all_is_an_error():
    world = small_world(0, people=4)  # 120 answers about 200 items
    counts = np.bincount(np.concatenate([world.a, world.b]), minlength=200)
    model = FACTORS.fit(world, None, seed=0, least=3, **QUICK).model
    known = model.represent(world.item_features).any(axis=1)
    np.testing.assert_array_equal(known, counts >= 3)
    with pytest.raises(InputError, match="at least two items with 50 answers or more, got 0"):
        FACTORS.fit(world, None, seed=0, least=50)


def test_known_items_are_not_given_coordinates_twice():
    world, valid = small_world(0), small_world(1, people=12)
    found = fit_model("factors", world, valid, seed=0, **QUICK)
    assert isinstance(found.model, FACTORS)
    assert list(found.report["held_out_losses"]) == ["features"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"least": 0}, "least: expected a whole number of at least 1"),
        ({"ridges": []}, "ridges"),
        ({"rank": -1}, "rank"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ConfigError, match=message):
        FACTORS.fit(small_world(0), None, seed=0, **options)
