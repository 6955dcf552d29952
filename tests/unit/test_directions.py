"""Stated directions over normalised rewards, their neighbours, and the least of a cone."""

from dataclasses import replace

import numpy as np
import pytest

from gustibus.errors import DimensionError, InputError, UnknownNameError
from gustibus.models import MODELS
from gustibus.models.directions import (
    direction,
    neighbours,
    objectives,
    rewards,
    robust_scores,
    user_vector,
    width,
)
from gustibus.models.hybrid import fit_model, load_model
from gustibus.posterior import Posterior
from tests.conftest import small_world

QUICK = {"columns": [0, 2, 5], "steps": 30, "ridges": [10.0]}
MODES = {
    "constant": {"gate": "constant"},
    "prompt": {"gate": "prompt"},
    "pooled": {"gate": "constant", "personal": False},
    "pooled-prompt": {"gate": "prompt", "personal": False},
    "known": {"gate": "constant", "known_items": "always"},
}
NAMES = ("column_0", "column_2", "column_5")


@pytest.fixture(scope="module", params=MODES)
def model(request):
    options = {"known_items": "never", **QUICK, **MODES[request.param]}
    return fit_model("pro", small_world(), small_world(1, people=8), seed=0, **options).model


@pytest.fixture(scope="module")
def plain():
    return MODELS["pro"].run.fit(small_world(), None, seed=0, gate="constant", **QUICK).model


def represented(model, n=40):
    rng = np.random.default_rng(3)
    items = rng.standard_normal((n, model.item_dim)).astype(np.float32)
    prompts = rng.standard_normal((n, model.prompt_dim)).astype(np.float32)
    return items, model.represent(items, prompts if model.prompt_dim else None)


def person(mean, spread, count=5):
    mean, spread = np.asarray(mean, float), np.asarray(spread, float)
    return Posterior(np.ones(1), mean[None], spread[None], 0.0, 0, True, count)


# Directions


def test_an_axis_is_its_objective_whatever_gate_and_people_do(model):
    items, reps = represented(model)
    assert objectives(model) == NAMES
    inner = getattr(model, "inner", model)
    shown = items if inner is model else model.known.augment(items)
    for k, name in enumerate(NAMES):
        v = direction(model, {name: 0.3})
        np.testing.assert_array_equal(v, np.eye(3)[k])
        found = robust_scores(rewards(model, reps), v, degrees=0)
        np.testing.assert_allclose(found, inner.rewards(shown)[:, k], atol=1e-5)


def test_a_direction_has_length_one_and_forgets_the_size_of_the_weights(model):
    v = direction(model, np.array([1.0, -2.0, 0.5]))
    assert np.linalg.norm(v) == pytest.approx(1, abs=1e-6)
    for size in (1e-200, 3.0, 1e200):
        again = direction(model, np.array([1.0, -2.0, 0.5]) * size)
        np.testing.assert_allclose(again, v, rtol=1e-12)


def test_the_opposite_direction_reverses_the_ranking(model):
    value = rewards(model, represented(model)[1])
    v = direction(model, {"column_0": 2.0, "column_5": -1.0})
    forth = robust_scores(value, v, degrees=0)
    back = robust_scores(value, direction(model, -v), degrees=0)
    assert np.argsort(forth).tolist() == np.argsort(back)[::-1].tolist()


def test_two_objectives_are_an_angle():
    model = MODELS["pro"].run.fit(small_world(), None, seed=0, **{**QUICK, "columns": [0, 1]}).model
    angle = np.radians(30)
    v = direction(model, {"column_0": np.cos(angle) * 7, "column_1": np.sin(angle) * 7})
    np.testing.assert_allclose(v, [np.cos(angle), np.sin(angle)])


def test_a_user_vector_makes_the_utility_the_worth_along_the_direction(plain):
    _, reps = represented(plain)
    v = direction(plain, {"column_0": 1.0, "column_2": -3.0})
    found = plain.utility(user_vector(plain, v), reps)
    np.testing.assert_allclose(found, rewards(plain, reps) @ v, atol=1e-5)


@pytest.mark.parametrize("mode", ["prompt", "pooled"])
def test_no_user_vector_exists_for_models_that_read_prompts_or_know_nobody(mode):
    options = {**QUICK, **MODES[mode]}
    model = MODELS["pro"].run.fit(small_world(), None, seed=0, **options).model
    with pytest.raises(InputError, match="model: no multipliers"):
        user_vector(model, np.eye(3)[0])


def test_rewards_survive_saving_and_carry_their_names():
    names = ["polite", "short", "true"]
    made = MODELS["pro"].run.fit(small_world(), None, seed=0, names=names, **QUICK).model
    again = load_model("pro", *made.save())
    assert objectives(again) == tuple(names)
    reps = represented(made)[1]
    np.testing.assert_array_equal(rewards(again, reps), rewards(made, reps))


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        ({"column_1": 1.0}, UnknownNameError, "objective 'column_1'"),
        ({"column_0": 0.0}, InputError, "weights: expected finite numbers, not all 0"),
        ({"column_0": np.inf}, InputError, "weights: expected finite numbers"),
        ({"column_0": np.nan}, InputError, "weights: expected finite numbers"),
        (np.ones(2), DimensionError, r"weights: expected shape \(3,\), got \(2,\)"),
    ],
)
def test_weights_that_are_none_are_refused(plain, weights, error, message):
    with pytest.raises(error, match=message):
        direction(plain, weights)


def test_a_model_without_objectives_says_so(plain):
    other = MODELS["bt"].run.fit(small_world(), None, seed=0).model
    assert objectives(other) == ()
    with pytest.raises(InputError, match="family 'bt' has no objectives"):
        direction(other, {"column_0": 1.0})
    old = replace(plain, names=())
    assert old.representation_dim == 4
    with pytest.raises(InputError, match="without its objectives; train it again"):
        direction(old, {"column_0": 1.0})


# The cone


@pytest.mark.parametrize("m", [2, 3, 7])
@pytest.mark.parametrize("degrees", [5.0, 30.0, 80.0])
def test_the_robust_score_is_the_least_over_the_cone(m, degrees):
    rng = np.random.default_rng(m)
    r = rng.standard_normal((20, m))
    v = rng.standard_normal(m)
    v /= np.linalg.norm(v)
    r[0], r[1] = -v, -v + 0.01 * r[1]  # whose opposite the cone holds
    around = neighbours(v, degrees=degrees, count=20_000, seed=0)
    found = robust_scores(r, v, degrees=degrees)
    sampled = (r @ around.T).min(1)
    assert (found <= sampled + 1e-12).all()
    angle = np.radians(degrees)  # the worst direction lies across, towards -r
    across = r - (r @ v)[:, None] * v
    unit = across / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-12)
    reached = np.where(
        np.arctan2(np.linalg.norm(across, axis=1), r @ v) + angle > np.pi,
        -np.linalg.norm(r, axis=1),
        (r * (np.cos(angle) * v - np.sin(angle) * unit)).sum(1),
    )
    np.testing.assert_allclose(found, reached, atol=1e-9)
    if m < 4:
        np.testing.assert_allclose(found, sampled, atol=0.02)


def test_no_angle_is_the_plain_score_and_one_objective_has_no_neighbours():
    r, v = np.random.default_rng(0).standard_normal((9, 4)), np.full(4, 0.5)
    np.testing.assert_array_equal(robust_scores(r, v, degrees=0), r @ v)
    one = np.array([[2.0], [-3.0]])
    np.testing.assert_array_equal(robust_scores(one, np.ones(1), degrees=20), [2.0, -3.0])
    assert (neighbours(np.ones(1), degrees=20, count=3, seed=0) == 1).all()


@pytest.mark.parametrize("m", [2, 3, 5])
def test_neighbours_are_unit_vectors_within_the_angle_on_every_side(m):
    v = np.eye(m)[1]
    around = neighbours(v, degrees=30, count=4000, seed=1)
    assert around.shape == (4000, m)
    np.testing.assert_allclose(np.linalg.norm(around, axis=1), 1, atol=1e-12)
    angles = np.degrees(np.arccos(np.clip(around @ v, -1, 1)))
    assert angles.max() <= 30 + 1e-6
    assert (angles > 25).mean() == pytest.approx(1 - (25 / 30) ** (m - 1), abs=0.04)
    np.testing.assert_allclose(np.delete(around.mean(0), 1), 0, atol=0.02)
    np.testing.assert_array_equal(around, neighbours(v, degrees=30, count=4000, seed=1))


@pytest.mark.parametrize("degrees", [-1.0, 91.0, np.nan])
def test_angles_out_of_range_are_refused(degrees):
    with pytest.raises(InputError, match="degrees: expected a number in"):
        robust_scores(np.ones((1, 2)), np.eye(2)[0], degrees=degrees)
    with pytest.raises(InputError, match="degrees: expected a number in"):
        neighbours(np.eye(2)[0], degrees=degrees, count=1, seed=0)


# The width of a person


def test_the_width_is_the_angle_of_a_standard_deviation_across_the_direction(plain):
    even = replace(plain, logits=np.zeros(3))
    assert width(even, person([1, 1, 1], np.zeros((3, 3)))) == 0
    assert width(even, person([1, 1, 1], np.full((3, 3), 0.5))) == pytest.approx(0, abs=1e-5)
    across = np.outer([1, -1, 0], [1, -1, 0]) * 3 / 2  # of standard deviation |mean|
    assert width(even, person([1, 1, 1], across)) == pytest.approx(45)
    assert width(even, person([0, 0, 0], np.eye(3))) == 90


def test_answers_make_a_person_narrower(plain):
    world = small_world()
    reps = plain.represent(world.item_features)
    wide = width(plain, Posterior.from_prior(plain.prior))
    rows = np.flatnonzero(world.user == 0)
    placed = plain.place(reps[world.a[rows]], reps[world.b[rows]], world.target[rows].astype(float))
    assert 0 < width(plain, placed[0]) < wide < 90


def test_nobody_is_narrow_or_wide_where_everybody_is_alike():
    model = MODELS["pro"].run.fit(small_world(), None, seed=0, personal=False, **QUICK).model
    with pytest.raises(InputError, match="no direction is a person's"):
        width(model, Posterior.from_prior(model.prior))


@pytest.mark.parametrize("names", [["a"], ["a", "a", "b"]])
def test_names_must_fit_the_rewards(names):
    with pytest.raises(ValueError, match="names: expected 3 different names"):
        MODELS["pro"].run.fit(small_world(), None, seed=0, names=names, **QUICK)
