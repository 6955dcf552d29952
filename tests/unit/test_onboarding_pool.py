import json
from dataclasses import dataclass

import numpy as np
import pytest

from gustibus.errors import ArtifactError, DimensionError, InputError, NotFiniteError
from gustibus.models.base import Transitive
from gustibus.models.hierarchical import Hierarchical
from gustibus.onboarding import Pairs, QuestionPool, build_pool, random_pairs
from gustibus.onboarding.building import thin
from gustibus.onboarding.pool import Linear
from gustibus.posterior import Answering, GaussianPrior, Posterior


def model_of(dim, lapse=0.05):
    zeros = np.zeros(dim, np.float32)
    return Hierarchical(
        zeros, zeros, np.eye(dim, dtype=np.float32), GaussianPrior.standard(dim), Answering(lapse)
    )


def pool_of(model, count, seed=0, held_out=0):
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((2, count, model.item_dim)).astype(np.float32)
    names = tuple(f"p{i}" for i in range(count))
    return QuestionPool(
        model.represent(a), model.represent(b),
        tuple(f"left {i}" for i in range(count)), tuple(f"right {i}" for i in range(count)),
        ("which?",) * count, names, np.arange(count) >= count - held_out,
    )  # fmt: skip


@dataclass(frozen=True)
class Bent(Transitive):
    """A model whose utility is not linear in the user: `(x - w)^3`."""

    prior = GaussianPrior.standard(1)

    def linearize(self, user, representations):
        x = representations[:, 0].astype(float)
        return (x - user[0]) ** 3, (-3 * (x - user[0]) ** 2)[:, None]


def test_line_is_the_difference_of_the_two_sides():
    model = model_of(3)
    pool = pool_of(model, 5)
    delta, offset = pool.line(model, np.array([0.3, -1.0, 2.0]))
    np.testing.assert_allclose(delta, (pool.a - pool.b)[:, 1:], atol=1e-6)
    np.testing.assert_allclose(offset, (pool.a - pool.b)[:, 0], atol=1e-6)


def test_line_of_a_linear_family_is_computed_once_and_again_for_another_model():
    model, other = model_of(3), model_of(3)
    pool = pool_of(model, 40)
    first = pool.line(model, np.zeros(3))
    assert pool.line(model, np.ones(3)) is first
    assert pool.line(other, np.zeros(3)) is not first


def test_line_of_a_bent_family_follows_the_person():
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((2, 6, 1)).astype(np.float32)
    names = tuple("abcdef")
    pool = QuestionPool(a, b, names, names, names, names)
    model = Bent()
    for user in (np.array([0.5]), np.array([-1.0])):
        delta, offset = pool.line(model, user)
        there = offset + delta @ user
        truth = (a[:, 0] - user[0]) ** 3 - (b[:, 0] - user[0]) ** 3
        np.testing.assert_allclose(there, truth, rtol=1e-5)
    assert not np.allclose(pool.delta(model, np.zeros(1)), pool.delta(model, np.ones(1)))


def test_saved_pool_survives_json_and_loads_equal():
    model = model_of(2)
    pool = pool_of(model, 7, held_out=2)
    params, arrays = pool.save()
    again = QuestionPool.load(json.loads(json.dumps(params)), arrays)
    np.testing.assert_array_equal(again.a, pool.a)
    np.testing.assert_array_equal(again.held_out, pool.held_out)
    assert (again.ids, again.texts_b, again.prompts) == (pool.ids, pool.texts_b, pool.prompts)
    assert again.askable.tolist() == [0, 1, 2, 3, 4]
    assert again.sample().tolist() == [5, 6]


def test_loading_names_what_is_missing():
    params, arrays = pool_of(model_of(2), 3).save()
    del params["ids"]
    with pytest.raises(ArtifactError, match="ids"):
        QuestionPool.load(params, arrays)


def test_pool_refuses_wrong_lengths_repeated_names_and_nan():
    good = np.zeros((2, 3), np.float32)
    two = ("x", "y")
    with pytest.raises(InputError, match="texts_b: expected 2"):
        QuestionPool(good, good, two, ("x",), two, two)
    with pytest.raises(InputError, match="'x' twice"):
        QuestionPool(good, good, two, two, two, ("x", "x"))
    with pytest.raises(NotFiniteError, match="b: row 1"):
        QuestionPool(good, np.array([[0, 0, 0], [0, np.nan, 0]]), two, two, two, two)
    with pytest.raises(DimensionError, match="b: expected shape"):
        QuestionPool(good, np.zeros((2, 4)), two, two, two, two)


def test_random_pairs_are_different_pairs_of_one_prompt():
    prompt = np.array([0, 0, 0, 1, 1, 2])
    pairs = random_pairs(prompt, count=50, seed=3)
    found = {(int(p), *sorted((int(a), int(b)))) for p, a, b in zip(*pairs, strict=True)}
    assert found == {(0, 0, 1), (0, 0, 2), (0, 1, 2), (1, 3, 4)}
    assert len(pairs.a) == 4
    with pytest.raises(InputError, match="two items"):
        random_pairs([0, 1, 2], count=3, seed=0)


def test_built_pool_drops_long_uneven_repeated_and_identical_pairs():
    model = model_of(2)
    items = np.random.default_rng(0).standard_normal((5, 2)).astype(np.float32)
    texts = ["one two", "one two three four", "one two three four five", "w " * 151, "same size"]
    columns = np.array(
        [(0, 0, 1), (0, 1, 0), (0, 0, 2), (0, 3, 3), (0, 3, 4), (0, 0, 4), (0, 1, 2)]
    ).T
    pool = build_pool(
        model, items, Pairs(*columns), texts=texts, prompts=["why?"], held_out=0, seed=0
    )
    kept = {frozenset(pair) for pair in zip(pool.texts_a, pool.texts_b, strict=True)}
    assert kept == {
        frozenset((texts[0], texts[1])), frozenset((texts[0], texts[4])),
        frozenset((texts[1], texts[2])),
    }  # fmt: skip
    assert set(pool.prompts) == {"why?"}
    with pytest.raises(InputError, match="no pair"):
        build_pool(model, items, Pairs(*columns), texts=["w " * 151] * 5, seed=0)


def test_built_pool_keeps_a_random_part_aside_and_is_the_same_for_a_seed():
    model = model_of(4)
    items = np.random.default_rng(0).standard_normal((200, 4)).astype(np.float32)
    pairs = random_pairs(np.zeros(200, int), count=1000, seed=1)
    one, two = (build_pool(model, items, pairs, size=100, held_out=50, seed=5) for _ in range(2))
    assert len(one) == 150
    assert one.held_out.sum() == 50
    assert set(one.sample()) == set(range(100, 150))
    np.testing.assert_array_equal(one.a, two.a)


def test_built_pool_refuses_rows_out_of_range():
    model = model_of(2)
    items = np.zeros((3, 2), np.float32)
    with pytest.raises(InputError, match=r"pairs.b: expected codes from 0 to 2, got 3 to 3"):
        build_pool(model, items, Pairs(*np.array([[0], [1], [3]])), seed=0)


def test_thinning_agrees_with_brute_force_determinants():
    rng = np.random.default_rng(2)
    line = Linear(rng.standard_normal((12, 3)), np.zeros(12))
    person = Posterior.from_prior(GaussianPrior.standard(3))
    taken = thin(line, person, Answering(0.0), size=4)
    picked: list[int] = []
    for _ in range(4):
        values = [
            np.linalg.slogdet(
                np.eye(3) + sum(0.25 * np.outer(line.delta[i], line.delta[i]) for i in [*picked, j])
            )[1]
            if j not in picked
            else -np.inf
            for j in range(12)
        ]
        picked.append(int(np.argmax(values)))
    assert taken.tolist() == picked


def test_thinning_prefers_a_new_direction_to_a_longer_old_one():
    line = Linear(np.array([[3.0, 0.0], [2.9, 0.0], [0.0, 2.0]]), np.zeros(3))
    person = Posterior.from_prior(GaussianPrior.standard(2))
    assert thin(line, person, Answering(), size=2).tolist() == [0, 2]
