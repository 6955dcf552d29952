"""The reward that needs no preference data, and the hack that must not pay."""

from __future__ import annotations

import numpy as np
import pytest

from gustibus import ops
from gustibus.encoders import load_encoder
from gustibus.errors import InputError
from gustibus.rewards.relevance import count_words, relevance_of


def test_worked_numbers():
    found = ops.relevance_reward(1.8, 140, 120, 138, open_ended=True)
    assert found == pytest.approx(2.191304, abs=1e-6)
    closed = {"n_words": 20, "unique_trigrams": 16, "total_trigrams": 16, "open_ended": False}
    assert ops.relevance_reward(2.1, **closed) == pytest.approx(3.072, abs=1e-6)
    assert ops.relevance_reward(3.5, **closed) == pytest.approx(5.12)
    assert ops.relevance_reward(9.0, **closed) == pytest.approx(5.12)
    assert ops.relevance_reward(-1.0, **closed) == 0.0


def test_a_text_too_short_for_trigrams_is_not_punished_for_repeating():
    assert ops.relevance_reward(2.0, 2, 0, 0, open_ended=True) == pytest.approx(0.04)


def test_words_and_trigrams_are_counted():
    assert count_words("A b c a b c.") == (6, 3, 4)
    assert count_words("") == (0, 0, 0)


QUERY = "how do I keep tomatoes fresh for a long time in a warm kitchen without a fridge"
ANSWER = (
    "keep tomatoes stem down on a plate, away from the sun, in one layer, and eat the ripest ones "
    "first; in a warm kitchen they stay fresh for four days, and a clay pot with wet sand around "
    "it cools them by a few degrees, which buys you a long weekend more"
)


@pytest.mark.parametrize("copies", [1, 3, 10])
def test_copying_the_query_does_not_win(copies):
    encoder = load_encoder("hashing", dim=256)

    def reward(response: str) -> float:
        words = [encoder.encode(text.split()) for text in (QUERY, response)]
        return ops.relevance_reward(
            relevance_of(*words), *count_words(response, QUERY), open_ended=True
        )

    copied = " ".join([QUERY] * copies)
    vectors = [encoder.encode(text.split()) for text in (QUERY, copied, ANSWER)]
    assert relevance_of(vectors[0], vectors[1]) > relevance_of(vectors[0], vectors[2])
    assert reward(copied) < reward(ANSWER)


def test_relevance_is_the_inner_product_of_mean_vectors():
    assert relevance_of([[1.0, 0.0], [3.0, 2.0]], [[1.0, 4.0]]) == pytest.approx(6.0)
    with pytest.raises(InputError, match="first, second: expected"):
        relevance_of(np.zeros((0, 2)), np.ones((1, 2)))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((1.0, -1, 0, 0), "n_words: expected a number in"),
        ((1.0, 5, 4, 3), "unique_trigrams: expected at most 3, got 4"),
        ((np.nan, 5, 3, 3), "relevance: expected a number in"),
    ],
)
def test_what_makes_no_sense_is_named(given, message):
    with pytest.raises(InputError, match=message):
        ops.relevance_reward(*given, open_ended=True)
