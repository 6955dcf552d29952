"""Worlds with known people: they are what their sources describe."""

import numpy as np
import pytest

from gustibus.data import given_split
from gustibus.data.personas import INTERESTS, reduced_tfidf, statements
from gustibus.data.synthetic import (
    bilinear_world,
    demo_world,
    ideal_point_world,
    linear_mixture_world,
    persona_world,
)
from gustibus.errors import InputError

WORLDS = {
    "bilinear": bilinear_world,
    "ideal_point": ideal_point_world,
    "linear_mixture": linear_mixture_world,
    "saturated": lambda **options: linear_mixture_world(saturated=True, **options),
    "persona": lambda **options: persona_world(groups=2, **options),
}


@pytest.mark.parametrize("name", WORLDS)
def test_a_world_is_consistent_split_and_made_by_its_seed(name):
    data, truth = WORLDS[name](seed=1)
    c = data.comparisons
    split = given_split(data)
    assert all(len(split[n]) for n in ("train", "test", "support", "query", "valid_people"))
    assert (c.target == (truth.margin > 0)).all()
    assert (c.target == truth.probability).all()
    assert abs(c.target.mean() - 0.5) < 0.02
    assert all(len(v) == len(c.user_ids) for v in truth.people.values())
    if truth.utility is not None:
        margin = truth.utility[c.user, c.a] - truth.utility[c.user, c.b]
        np.testing.assert_allclose(margin, truth.margin)
    again, _ = WORLDS[name](seed=1)
    np.testing.assert_array_equal(again.item_features, data.item_features)
    assert (again.comparisons.target == c.target).all()
    other, _ = WORLDS[name](seed=2)
    assert (other.comparisons.target != c.target).any()


def population_accuracy(data):
    """Test accuracy of one linear reward for all, fitted by ridge regression on the train rows."""
    c, split = data.comparisons, given_split(data)
    x, y = data.item_features[c.a] - data.item_features[c.b], 2 * c.target - 1
    rows = split["train"]
    gram = x[rows].T @ x[rows] + np.eye(x.shape[1])
    weights = np.linalg.solve(gram, x[rows].T @ y[rows])
    return float(((x @ weights)[split["test"]] * y[split["test"]] > 0).mean())


def test_bilinear_people_prefer_the_larger_cosine():
    data, truth = bilinear_world(seed=0)
    c = data.comparisons
    x = data.item_features / np.linalg.norm(data.item_features, axis=1, keepdims=True)
    maps = truth.world["maps"][truth.people["group"][c.user]]
    z = np.einsum("nij,nj->ni", maps, data.prompt_features[c.prompt])
    gap = ((x[c.a] - x[c.b]) * z).sum(-1)
    assert ((gap > 0) == (c.target > 0.5)).mean() > 0.999
    assert population_accuracy(data) < 0.56


def test_ideal_point_people_prefer_what_is_near():
    data, truth = ideal_point_world(seed=0)
    c = data.comparisons
    y = data.item_features @ truth.world["projection"]
    ideal = truth.world["ideals"][truth.people["group"][c.user]]
    away = [((y[side] - ideal) ** 2).sum(-1) for side in (c.a, c.b)]
    assert ((away[0] < away[1]) == (c.target > 0.5)).mean() > 0.999
    assert 0.6 < population_accuracy(data) < 0.85


def test_a_saturated_world_leaves_nothing_to_personalise_and_the_plain_one_does():
    assert population_accuracy(linear_mixture_world(seed=0, saturated=True)[0]) > 0.98
    assert population_accuracy(linear_mixture_world(seed=0)[0]) < 0.8


def test_nobody_meets_a_pair_twice():
    for data in (linear_mixture_world(seed=0)[0], demo_world(seed=0).dataset):
        c = data.comparisons
        keys = np.stack([c.user, np.minimum(c.a, c.b), np.maximum(c.a, c.b)])
        assert len(np.unique(keys, axis=1).T) == len(c)


def test_more_pairs_than_there_are_cannot_be_asked():
    with pytest.raises(InputError, match="expected at most 4, got 214"):
        linear_mixture_world(prompts=4, saturated=True, seed=0)
    with pytest.raises(InputError, match="expected at most 300 per purpose"):
        persona_world(groups=1, answers=400, seed=0)


@pytest.mark.parametrize("interest", INTERESTS)
def test_every_interest_has_a_thousand_different_statements(interest):
    said = statements(interest)
    assert len({text for text, _ in said}) == 1000
    assert sum(favourable for _, favourable in said) == 500
    assert all(text[0].isupper() and text.endswith(".") for text, _ in said)


@pytest.mark.parametrize("groups", [2, 3])
def test_personas_answer_for_their_own_interest_and_against_the_others(groups):
    data, truth = persona_world(groups=groups, seed=0)
    c = data.comparisons
    agrees = np.array([item.endswith("-agree") for item in c.item_ids])
    own = (
        data.item_table["interest"][c.a] == np.array(list(INTERESTS))[truth.people["group"][c.user]]
    )
    statement = np.array([int(item.split("-")[1]) for item in c.item_ids])[c.a]
    favourable = truth.world["favourable"][statement]
    agreed = (c.target > 0.5) == agrees[c.a]
    assert (agreed == (own == favourable)).all()
    assert (data.item_features[~agrees] == 0).all()
    ceiling = max(1, groups - 1) / groups
    majority = [agreed[favourable == good].mean() for good in (True, False)]
    assert abs(np.mean([max(m, 1 - m) for m in majority]) - ceiling) < 0.03


def test_personas_have_all_four_cells_and_held_out_statements():
    data, _ = persona_world(groups=3, seed=0)
    split = given_split(data)
    assert all(len(split[n]) for n in ("test", "test_new_items", "query", "query_new_items"))
    assert abs(data.item_new.mean() - 0.3) < 0.001
    with pytest.raises(InputError, match="groups: expected 1 to 6, got 7"):
        persona_world(groups=7, seed=0)


def test_word_features_have_unit_variance_and_tell_topics_apart():
    texts = [text for topic in ("art", "sports") for text, _ in statements(topic)]
    x = reduced_tfidf(texts, 100)
    np.testing.assert_allclose(x.std(axis=0), 1, atol=1e-3)
    y = np.repeat([1.0, -1.0], 1000)
    centred = x - x.mean(axis=0)
    held = np.random.default_rng(0).random(len(x)) < 0.3
    weights = np.linalg.lstsq(centred[~held], y[~held], rcond=None)[0]
    assert ((centred[held] @ weights) * y[held] > 0).mean() > 0.95


def test_the_demo_has_readable_answers_and_people_with_opposite_tastes():
    world = demo_world(seed=0)
    c = world.dataset.comparisons
    assert len(c.prompts) == 40
    assert len(set(c.item_texts)) == len(c.item_texts) == 320
    assert all("{" not in text and text == text.strip() for text in c.item_texts)
    assert all(text[-1] in ".!?" for text in c.item_texts)
    ada, bo = (c.user_ids.index(p.user_id) for p in world.people[:2])
    assert np.corrcoef(world.truth.utility[[ada, bo]])[0, 1] < -0.7
    style = world.dataset.item_table["style"]
    liked = {
        p.user_id: style[world.truth.utility[c.user_ids.index(p.user_id)].argmax()]
        for p in world.people
    }
    assert liked["Ada"] == "short and blunt"
    assert liked["Bo"].startswith("warm")
    assert liked["Cy"] == "playful with examples"


def test_demo_answers_follow_the_true_probabilities():
    world = demo_world(seed=0)
    c, truth = world.dataset.comparisons, world.truth
    margin = truth.utility[c.user, c.a] - truth.utility[c.user, c.b]
    np.testing.assert_allclose(truth.probability, 0.025 + 0.95 / (1 + np.exp(-margin)))
    for low in np.arange(0, 1, 0.2):
        inside = (truth.probability >= low) & (truth.probability < low + 0.2)
        assert abs(c.target[inside].mean() - truth.probability[inside].mean()) < 0.04
    own = ((truth.margin > 0) == (c.target > 0.5)).mean()
    mean = truth.utility.mean(axis=0)
    pooled = ((mean[c.a] > mean[c.b]) == (c.target > 0.5)).mean()
    assert own - pooled > 0.15  # there is something to personalise


def test_named_people_of_the_demo_are_new():
    world = demo_world(seed=0, people=20, new=4)
    split = given_split(world.dataset)
    c = world.dataset.comparisons
    for person in world.people:
        rows = np.flatnonzero(c.user == c.user_ids.index(person.user_id))
        assert set(c.split[rows].tolist()) == {"support", "query"}
        assert person.description
    assert all(len(split[n]) for n in ("test", "test_new_items", "query", "query_new_items"))
