"""Soups of pooled rewards."""

from dataclasses import replace

import numpy as np
import pytest

from gustibus.errors import InputError
from gustibus.models import MODELS
from gustibus.models.hybrid import load_model
from gustibus.models.soups import soup
from tests.conftest import small_world

FIT = MODELS["bt"].run.fit


def fitted(count=3, **options):
    """Rewards of different people."""
    world = small_world(people=12)
    parts = np.array_split(np.arange(len(world)), count)
    columns = ("user", "prompt", "a", "b", "target", "weight")
    return [
        FIT(
            replace(world, **{name: getattr(world, name)[rows] for name in columns}), None, seed=0,
            **options,
        ).model
        for rows in parts
    ]  # fmt: skip


def rewards(model):
    items = np.random.default_rng(5).standard_normal((50, model.item_dim)).astype(np.float32)
    return model.represent(items)[:, 0]


def test_a_soup_of_linear_rewards_is_the_mean_of_the_rewards():
    models = fitted()
    for weights in ([0.2, 0.5, 0.3], [1 / 3] * 3, [0.0, 0.9, 0.1]):
        expected = np.array(weights) @ [rewards(model) for model in models]
        np.testing.assert_allclose(rewards(soup(models, np.array(weights))), expected, atol=1e-5)


@pytest.mark.parametrize("hidden", [0, 1])
def test_the_ends_are_the_models_and_a_soup_can_be_saved(hidden):
    models = fitted(2, hidden=hidden)
    for k, model in enumerate(models):
        made = soup(models, np.eye(2)[k])
        np.testing.assert_allclose(rewards(made), rewards(model), atol=1e-4)
    again = load_model("bt", *made.save())
    np.testing.assert_array_equal(rewards(again), rewards(made))


def test_a_soup_of_networks_is_not_the_mean_of_their_rewards():
    models = fitted(2, hidden=1)
    middle = rewards(soup(models, np.full(2, 0.5)))
    assert np.isfinite(middle).all()
    assert np.abs(middle - np.mean([rewards(m) for m in models], axis=0)).max() > 1e-3


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([0.5, 0.6], "sum to 1"),
        ([1.5, -0.5], "at or above 0"),
        ([1.0], r"expected shape \(2,\)"),
        ([np.nan, 1.0], "sum to 1"),
    ],
)
def test_weights_off_the_simplex_are_refused(weights, message):
    with pytest.raises(InputError, match=f"weights: .*{message}"):
        soup(fitted(2), np.array(weights))


def test_models_of_two_shapes_are_refused():
    with pytest.raises(InputError, match="models: number 1 has another shape"):
        soup([fitted(2)[0], fitted(2, hidden=1)[0]], np.full(2, 0.5))
