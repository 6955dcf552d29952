"""A scorer for tenants without labels: types of prompts, and responses to either type."""

from __future__ import annotations

import numpy as np
import pytest

from gustibus import ops
from gustibus.encoders import load_encoder
from gustibus.errors import DimensionError, InputError
from gustibus.rewards.cold_start import PromptTypes, RelevanceReward, fit_prompt_types
from gustibus.rewards.logistic import fit_weights
from gustibus.rewards.relevance import count_words, relevance_of

ENCODER = load_encoder("hashing", dim=256)
THINGS = [
    f"a {thing}" for thing in
    ("violin", "garden", "kitchen", "harbour", "mountain", "winter", "bridge", "market")
]  # fmt: skip
OPEN = ["Write a story about {}.", "What do you think of {}?", "Give me some ideas for {}."]
CLOSED = ["How many strings has {}?", "In which year was {} built?", "What is the capital of {}?"]


def prompts(things):
    both = [form.format(thing) for thing in things for form in OPEN + CLOSED]
    return both, np.tile([True] * 3 + [False] * 3, len(things))


@pytest.fixture(scope="module")
def types() -> PromptTypes:
    return fit_prompt_types(ENCODER.encode, *prompts(THINGS[:5]))


def test_the_type_of_a_prompt_about_something_new_is_told(types):
    asked, open_ended = prompts(THINGS[5:])
    assert ((types.probability(asked) > 0.5) == open_ended).mean() >= 0.9
    assert types(OPEN[0].format("a lighthouse"))
    assert not types(CLOSED[0].format("a lighthouse"))


def test_few_prompts_of_one_type_count_as_much_as_many_of_the_other():
    x = np.zeros((100, 1))  # says nothing
    told = np.arange(100) < 10
    found = fit_prompt_types(lambda texts: x[: len(texts)], ["?"] * 100, told, ridge=1e-6)
    np.testing.assert_allclose(found.probability(["?"]), 0.5, atol=1e-6)


def test_rows_that_weigh_more_are_rows_that_come_more_often():
    rng = np.random.default_rng(0)
    x, target = rng.standard_normal((30, 3)), rng.random(30)
    times = rng.integers(0, 4, 30)
    often = fit_weights(np.repeat(x, times, 0), np.repeat(target, times), 0.5)
    np.testing.assert_allclose(fit_weights(x, target, 0.5, times.astype(float)), often, atol=1e-8)


def tokens(text):
    return ENCODER.encode(text.split()) if text else np.zeros((0, 256))


QUERY = "how do I keep tomatoes fresh for a long time in a warm kitchen without a fridge"
ANSWER = (
    "keep tomatoes stem down on a plate, away from the sun, in one layer, and eat the ripest ones "
    "first; in a warm kitchen they stay fresh for four days, and a clay pot with wet sand around "
    "it cools them by a few degrees, which buys you a long weekend more"
)


def test_rewards_are_those_of_the_parts_and_copying_the_prompt_does_not_win():
    scorer = RelevanceReward(tokens, lambda prompt: True, {})
    copied = " ".join([QUERY] * 3)
    found = scorer(QUERY, [ANSWER, copied, ""])
    relevance = relevance_of(tokens(QUERY), tokens(ANSWER))
    wanted = ops.relevance_reward(relevance, *count_words(ANSWER, QUERY), open_ended=True)
    assert found[0] == pytest.approx(wanted)
    assert found[0] > found[1]
    assert found[2] == 0.0


def test_a_closed_prompt_is_judged_by_its_reference_answer(types):
    asked = CLOSED[0].format("a violin")
    scorer = RelevanceReward(tokens, types, {asked: "A violin has four strings."}, max_tokens=64)
    right, wrong = scorer(asked, ["It has four strings, a violin.", "Nobody knows such a thing."])
    assert right > wrong
    said = "It has four strings, a violin."
    relevance = relevance_of(tokens("A violin has four strings."), tokens(said))
    parts = count_words(said, asked)
    assert right == pytest.approx(
        ops.relevance_reward(relevance, *parts, open_ended=False, max_tokens=64)
    )
    unknown = CLOSED[1].format("a violin")  # closed, and nobody knows the answer
    assert scorer(unknown, ["In 1700 perhaps."]) == RelevanceReward(tokens, lambda _: True, {})(
        unknown, ["In 1700 perhaps."]
    )


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ((["a", "b"], [1, 1]), InputError, "open_ended: expected prompts of both types"),
        ((["a"], [1, 0]), DimensionError, "equal lengths"),
        ((["a", "b"], [1, 0.5]), InputError, "open_ended: expected true or false"),
    ],
)
def test_what_makes_no_sense_is_named(given, error, message):
    with pytest.raises(error, match=message):
        fit_prompt_types(ENCODER.encode, *given)
