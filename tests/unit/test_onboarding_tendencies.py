"""What answers have in common, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from gustibus.onboarding import QuestionPool, Turn, telling_pair, tendencies
from gustibus.onboarding.turns import Question

SHORT, LONG = "Sleep more.", "Sleep more, and also eat well, walk a lot and call an old friend."


def pool_of(pairs):
    vectors = np.zeros((len(pairs), 2), np.float32)
    texts_a, texts_b = zip(*pairs, strict=True)
    names = tuple(f"pair-{n}" for n in range(len(pairs)))
    return QuestionPool(vectors, vectors, texts_a, texts_b, ("Why?",) * len(pairs), names)


def turn(seq, answer, *, row=None, swapped=False, reason="info"):
    return Turn(Question(seq, seq if row is None else row, swapped, reason), answer)


def test_answers_that_agree_on_a_trait_are_counted_with_their_certainty():
    pool = pool_of([(SHORT, LONG)] * 6)
    turns = [turn(0, "left"), turn(1, "right", swapped=True), turn(2, "left"), turn(3, "left"),
             turn(4, "right"), turn(5, "left")]  # fmt: skip
    found = {one.trait: one for one in tendencies(pool, turns)}
    length = found["length"]
    assert (length.more, length.kept, length.of) == (False, 5, 6)
    assert length.certainty == pytest.approx(120 / 128)  # at most 5 heads of 7
    assert length.words == "You tend to prefer shorter answers: 5 of 6."
    assert [(e.preferred, e.other) for e in length.examples] == [(SHORT, LONG)] * 2


def test_what_says_nothing_is_not_counted():
    pool = pool_of([(SHORT, LONG), (SHORT, LONG), (SHORT, "Walk more."), (SHORT, LONG)])
    turns = [turn(0, "tie"), turn(1, "skip"), turn(2, "left"), turn(3, "both_bad")]
    assert tendencies(pool, turns) == ()
    repeats = [turn(n, "left", row=0, reason="repeat") for n in range(5)]
    assert tendencies(pool, repeats) == ()


def test_two_answers_are_not_a_tendency_and_three_are():
    pool = pool_of([(SHORT, LONG)] * 3)
    assert tendencies(pool, [turn(0, "left"), turn(1, "left")]) == ()
    assert tendencies(pool, [turn(n, "left") for n in range(3)])


@pytest.mark.parametrize(
    ("trait", "more", "less"),
    [
        ("lists", "- one\n- two\n- three", "one two three"),
        ("questions", "Shall we? Now?", "We shall. Now."),
        ("liveliness", "What fun! \U0001f389", "What fun."),
        ("numbers", "12 or 7 of 30", "some of many"),
        ("words", "considerable deliberation", "think it well"),
        ("sentences", "One two three four five six.", "One two. Three four. Five six."),
    ],
)
def test_each_trait_tells_its_texts_apart(trait, more, less):
    pool = pool_of([(more, less), (less, more), (more, less), (more, less)])
    turns = [turn(0, "left"), turn(1, "right"), turn(2, "left"), turn(3, "left")]
    one = next(t for t in tendencies(pool, turns, most=9) if t.trait == trait)
    assert (one.more, one.kept, one.of) == (True, 4, 4)
    other = next(
        t
        for t in tendencies(pool, [turn(0, "right"), turn(1, "left"), turn(2, "right")], most=9)
        if t.trait == trait
    )
    assert not other.more


def test_the_pair_that_tells_most_has_not_been_asked():
    pool = pool_of([(SHORT, LONG), ("a b", "a b c d"), ("a b", "c d"), (LONG, SHORT)])
    assert telling_pair(pool, "length", [0]) == 3
    assert telling_pair(pool, "length", [0, 3]) == 1
    assert telling_pair(pool, "length", [0, 1, 3]) is None
    assert telling_pair(pool, "length", [0, 1, 2, 3]) is None
