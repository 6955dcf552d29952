"""MORE: the shortest vector of a hull of gradients, and one reward for several data sets."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from gustibus.data import Dataset, read, write_folder
from gustibus.data.comparisons import Comparisons
from gustibus.errors import ConfigError, InputError
from gustibus.models import MODELS
from gustibus.models.more import More, shortest
from gustibus.training import RunConfig, train
from tests.conftest import small_world

FIT = MODELS["bt"].run.fit


# The shortest vector


@pytest.mark.parametrize("k", [1, 2, 3, 8, 20])
@pytest.mark.parametrize("d", [1, 2, 5, 40])
def test_every_gradient_points_along_the_shortest_vector(k, d):
    for seed in range(5):
        rng = np.random.default_rng([k, d, seed])
        g = rng.standard_normal((k, d)) * rng.choice([0.01, 1, 10], (k, 1)) + rng.random()
        found = shortest(g)
        assert found.converged
        assert (found.weights >= 0).all()
        assert found.weights.sum() == pytest.approx(1, abs=1e-12)
        np.testing.assert_allclose(found.point, found.weights @ g, atol=1e-9)
        slack = 2e-5 * (g**2).sum(1).max()
        assert (g @ found.point >= found.point @ found.point - slack).all()
        for other in rng.dirichlet(np.ones(k), 50):  # nothing in the hull is shorter
            assert np.sum((other @ g) ** 2) >= found.point @ found.point - slack


def test_identical_gradients_give_that_gradient_and_one_gives_itself():
    g = np.array([0.3, -2.0, 1.0])
    for k in (1, 2, 5):
        np.testing.assert_allclose(shortest(np.repeat(g[None], k, 0)).point, g, atol=1e-12)
    assert shortest(g[None]).weights.tolist() == [1.0]


def test_two_gradients_are_a_segment():
    found = shortest(np.array([[2.0, 0.0], [0.0, 1.0]]))  # l = (1/5, 4/5)
    np.testing.assert_allclose(found.weights, [0.2, 0.8], atol=1e-12)
    np.testing.assert_allclose(found.point, [0.4, 0.8], atol=1e-12)
    assert shortest(np.array([[1.0, 0.0], [3.0, 1.0]])).weights.tolist() == [1.0, 0.0]
    opposite = shortest(np.array([[3.0], [-1.0]]))
    np.testing.assert_allclose(opposite.weights, [0.25, 0.75])
    assert opposite.point == pytest.approx(0)


def test_a_triangle_around_zero_reaches_it():
    corners = np.array([[1.0, 0.0], [-0.5, 0.9], [-0.4, -0.8]])
    found = shortest(corners, tolerance=1e-12)
    np.testing.assert_allclose(found.point, 0, atol=1e-6)
    assert (found.weights > 0.1).all()


def test_steps_run_out_with_a_word():
    g = np.random.default_rng(0).standard_normal((6, 9))
    found = shortest(g, tolerance=0.0, max_steps=1)
    assert found.steps == 1
    assert not found.converged
    assert found.gap > 0


@pytest.mark.parametrize("wrong", [np.zeros((0, 3)), np.ones(3), np.array([[np.nan, 1.0]])])
def test_gradients_that_are_none_are_refused(wrong):
    with pytest.raises(InputError, match="gradients: expected a finite matrix"):
        shortest(wrong)


def test_lengths_of_gradients_do_not_count_and_their_past_does():
    g = np.array([[1.0, 0.0], [0.0, 1.0]])
    np.testing.assert_allclose(More().weights(g * [[100.0], [0.01]]), [0.5, 0.5], atol=1e-6)
    three = np.array([[1.0, 0.0], [0.9, 0.1], [-0.5, 1.0]])
    slow, fast = More(momentum=0.01), More(momentum=1.0)
    for reducer in (slow, fast):
        reducer.weights(three)
    turned = np.roll(three, 1, axis=0)
    np.testing.assert_allclose(fast.weights(turned), More().weights(turned), atol=1e-9)
    np.testing.assert_allclose(slow.weights(turned), More().weights(three), atol=0.02)
    assert np.abs(More().weights(turned) - More().weights(three)).max() > 0.4


@pytest.mark.parametrize("momentum", [0.0, 1.5, np.nan])
def test_momentum_is_a_share(momentum):
    with pytest.raises(InputError, match="momentum: expected a number in"):
        More(momentum=momentum)


# One reward for several data sets


def two_sets(large=3000, small=150, seed=0):
    """A large data set and a small one that half disagree: they share one axis, not the other."""
    rng = np.random.default_rng(seed)
    items = rng.standard_normal((300, 6)).astype(np.float32)
    tastes = np.zeros((2, 6))
    tastes[:, 0], tastes[:, 1] = 2.0, [2.0, -2.0]
    group = np.repeat([0, 1], [large, small])
    a = rng.integers(0, 300, large + small).astype(np.int32)
    b = ((a + rng.integers(1, 300, len(a))) % 300).astype(np.int32)
    margin = ((items[a] - items[b]) * tastes[group]).sum(1)
    target = (rng.random(len(a)) < 1 / (1 + np.exp(-margin))).astype(np.float32)
    world = replace(
        small_world(), user=(np.arange(len(a)) % 20).astype(np.int32), a=a, b=b, target=target,
        prompt=np.zeros(len(a), np.int32), weight=np.ones(len(a), np.float32),
        item_features=items, people=20, group=group.astype(np.int32),
    )  # fmt: skip
    return world, tastes


def accuracies(model, tastes):
    items = np.random.default_rng(9).standard_normal((500, 6)).astype(np.float32)
    value = model.utility(np.zeros(0), model.represent(items))
    apart = value[:250] - value[250:]
    truth = (items[:250] - items[250:]) @ tastes.T
    return [float(((apart > 0) == (t > 0)).mean()) for t in truth.T]


def test_the_smaller_of_two_data_sets_is_served_better_than_by_pooling():
    world, tastes = two_sets()
    pooled = accuracies(FIT(world, None, seed=0).model, tastes)
    model, report = FIT(world, None, seed=0, reducer="more")
    both = accuracies(model, tastes)
    assert pooled[1] < 0.6
    assert min(both) > min(pooled) + 0.1
    assert min(both) > 0.65
    weights = report["data_sets"]["weights"]
    assert sum(weights) == pytest.approx(1)
    assert min(weights) > 0.4  # whatever their sizes
    assert len(report["data_sets"]["losses"]) == 2


def test_one_data_set_is_fitted_as_without_weights():
    world, _ = two_sets()
    alone = replace(world, group=np.zeros(len(world), np.int32))
    plain, more = FIT(world, None, seed=0).model, FIT(alone, None, seed=0, reducer="more").model
    a, b = (m.represent(world.item_features)[:, 0] for m in (plain, more))
    assert np.corrcoef(a, b)[0, 1] > 0.995
    assert np.std(b) == pytest.approx(np.std(a), rel=0.1)


@pytest.mark.parametrize("hidden", [0, 1])
def test_validation_people_choose_the_ridge_data_set_by_data_set(hidden, monkeypatch):
    monkeypatch.setattr("gustibus.models.bt_fit.RIDGES", (1000.0, 10.0))
    world, tastes = two_sets(1000, 100)
    valid, _ = two_sets(300, 100, seed=0)
    model, report = FIT(world, valid, seed=0, reducer="more", hidden=hidden, steps=50)
    assert len(report["history"]) == 2
    assert np.isfinite(report["held_out_loss"])
    assert min(accuracies(model, tastes)) > 0.6
    again = FIT(world, valid, seed=0, reducer="more", hidden=hidden, steps=50).model
    np.testing.assert_array_equal(
        model.represent(world.item_features), again.represent(world.item_features)
    )


def test_what_more_needs_is_named():
    world, _ = two_sets(50, 50)
    with pytest.raises(InputError, match="reducer: 'more' weighs data sets, and no row says"):
        FIT(replace(world, group=None), None, seed=0, reducer="more")
    with pytest.raises(ConfigError, match="reducer: expected one of"):
        FIT(world, None, seed=0, reducer="median")


def test_a_folder_names_its_data_sets_in_a_column(tmp_path):
    world, tastes = two_sets(1500, 120)
    torch.manual_seed(0)
    names = [f"item {n}" for n in range(len(world.item_features))]
    rows = Comparisons.build(
        user=[f"u{u}" for u in world.user], prompt=[""] * len(world),
        a=[names[i] for i in world.a], b=[names[i] for i in world.b], target=world.target.tolist(),
        item_texts=dict(zip(names, names, strict=True)),
    )  # fmt: skip
    source = np.array(["large", "small"], dtype=object)[world.group]
    write_folder(
        Dataset(rows, item_features=world.item_features, row_table={"source": source}),
        tmp_path / "data",
    )
    assert "source" in read(tmp_path / "data").row_table
    run = {
        "data": str(tmp_path / "data"), "model": "bt", "questions": 0, "split": "all",
        "model_options": {"reducer": "more", "ridge": 10.0, "known_items": "never"},
    }  # fmt: skip
    made = train(RunConfig(output=str(tmp_path / "out"), groups="source", **run))
    assert min(accuracies(made.model, tastes)) > 0.65
    assert len(made.card["fit"]["data_sets"]["weights"]) == 2
    with pytest.raises(InputError, match=r"no further column 'sourse'; there are \['source'\]"):
        train(RunConfig(output=str(tmp_path / "other"), groups="sourse", **run))
