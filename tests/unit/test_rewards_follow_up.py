"""Follow-ups as a reward: contrast, mining, a language model, and what people really said next."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gustibus import ops
from gustibus.encoders import load_encoder
from gustibus.errors import InputError, NotFiniteError
from gustibus.rewards.causal import continuation_log_probs
from gustibus.rewards.follow_up import follow_up_scores
from gustibus.rewards.follow_up_lists import FOLLOW_UPS
from gustibus.rewards.implicit import Turn, implicit_rows, similarity_valence

quick = settings(max_examples=25, deadline=None)

turns = st.lists(st.lists(st.floats(-9, -0.01), min_size=1, max_size=4), min_size=1, max_size=4)


def test_worked_number():
    assert ops.follow_up_reward(pos=[-0.5], neg=[-1.6]) == pytest.approx(1.1, abs=1e-6)
    assert ops.follow_up_reward([[-0.2, -0.8]], [[-1.6], [-1.0, -2.2]]) == pytest.approx(1.1)


@quick
@given(pos=turns, neg=turns, shift=st.floats(-5, 0))
def test_swapping_negates_equal_lists_give_nothing_and_a_constant_changes_nothing(pos, neg, shift):
    found = ops.follow_up_reward(pos, neg)
    assert ops.follow_up_reward(neg, pos) == pytest.approx(-found)
    assert ops.follow_up_reward(pos, pos) == 0.0
    moved = [[[x + shift for x in turn] for turn in side] for side in (pos, neg)]
    assert ops.follow_up_reward(*moved) == pytest.approx(found, abs=1e-9)


def test_the_lists_have_six_dimensions_of_ten_short_turns_a_side():
    assert len(FOLLOW_UPS) == 6
    said = [turn for sides in FOLLOW_UPS.values() for side in sides for turn in side]
    assert len(said) == len(set(said)) == 120
    assert all(len(side) == 10 for sides in FOLLOW_UPS.values() for side in sides)
    assert max(len(turn.split()) for turn in said) <= 12


def test_the_overall_reward_is_the_mean_over_dimensions():
    lists = {"one": (("yes",), ("no",)), "two": (("good", "fine"), ("bad",))}
    said = {"yes": [-0.5], "no": [-1.5], "good": [-1.0], "fine": [-2.0], "bad": [-1.0, -1.0]}
    scores = follow_up_scores(lambda turns: [said[turn] for turn in turns], lists=lists)
    assert scores == pytest.approx({"one": 1.0, "two": -0.5, "overall": 0.25})
    with pytest.raises(InputError, match="log_probs: expected those of 5 follow-ups, got 1"):
        follow_up_scores(lambda _: [[-1.0]], lists=lists)


def test_the_best_is_mined_against_the_worst():
    assert ops.mine_pair([0.1, 0.9, -0.4, 0.9], min_gap=1.3) == (1, 2)
    assert ops.mine_pair([0.1, 0.9, -0.4], min_gap=1.4) is None
    assert ops.mine_pair([0.5, 0.5], min_gap=0.0) is None
    assert ops.mine_pair([0.5], min_gap=0.0) is None


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: ops.follow_up_reward([], [-1]),
            InputError,
            "pos: expected at least one follow-up",
        ),
        (lambda: ops.follow_up_reward([-1], [[]]), InputError, "neg: expected at least one token"),
        (lambda: ops.follow_up_reward([0.5], [-1]), InputError, "pos: expected log-probabilities"),
        (lambda: ops.follow_up_reward([np.nan], [-1]), NotFiniteError, "pos: expected finite"),
        (lambda: ops.mine_pair([], 0.1), InputError, "rewards: expected shape"),
        (lambda: ops.mine_pair([1.0], -0.1), InputError, "min_gap: expected a number"),
        (lambda: ops.mine_pair([np.nan], 0.1), NotFiniteError, "rewards: expected finite"),
    ],
)
def test_what_makes_no_sense_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


class Letters:
    """A tokenizer of lower-case letters, with a first token of its own."""

    def __call__(self, text: str, *, add_special_tokens: bool):
        return {"input_ids": [27] * add_special_tokens + [ord(c) % 27 for c in text.lower()]}


@pytest.fixture(scope="module")
def language_model():
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=28,
        n_positions=64,
        n_embd=16,
        n_layer=2,
        n_head=2,
        bos_token_id=27,
        eos_token_id=27,
    )
    return GPT2LMHeadModel(config).eval()


@pytest.mark.parametrize("batch", [1, 2, 16])
def test_log_probabilities_are_those_of_the_continuation_token_by_token(language_model, batch):
    texts = ["yes", "no, not at all", "fine"]
    found = continuation_log_probs(language_model, Letters(), "well said", texts, batch=batch)
    for text, got in zip(texts, found, strict=True):
        ids = Letters()("well said", add_special_tokens=True)["input_ids"]
        expected = []
        for token in Letters()(text, add_special_tokens=False)["input_ids"]:
            with torch.inference_mode():
                logits = language_model(torch.tensor([ids])).logits[0, -1]
            expected.append(float(logits.log_softmax(-1)[token]))
            ids.append(token)
        np.testing.assert_allclose(got, expected, atol=1e-5)
        assert (got <= 0).all()


def test_a_language_model_scores_a_response_in_every_dimension(language_model):
    scores = follow_up_scores(
        lambda said: continuation_log_probs(language_model, Letters(), "q: hi a: hello", said)
    )
    assert set(scores) == {*FOLLOW_UPS, "overall"}
    assert scores["overall"] == pytest.approx(np.mean([scores[name] for name in FOLLOW_UPS]))


def test_what_a_language_model_cannot_read_is_named(language_model):
    with pytest.raises(InputError, match="continuations: expected at least one token"):
        continuation_log_probs(language_model, Letters(), "a", [""])
    with pytest.raises(InputError, match="context: expected at most 64 tokens"):
        continuation_log_probs(language_model, Letters(), "a" * 60, ["abcdefgh"])


def turn(
    user: str, response: str, said: str, *, consent: bool | None = True, prompt: str = "How?"
) -> Turn:
    return Turn(user, prompt, response, said, consent)


def length_valence(said) -> list[float]:
    return [float(len(text)) for text in said]  # longer is happier, for the test


SAID = [
    turn("ada", "first", "thanks a lot"), turn("ada", "second", "no"),
    turn("bob", "first", "no"), turn("bob", "second", "thanks a lot", consent=False),
    turn("eve", "first", "thanks a lot"), turn("eve", "second", "no"),
    turn("joe", "first", "thanks a lot"), turn("joe", "other", "no", prompt="Why?"),
]  # fmt: skip


def test_a_turn_becomes_a_weak_marked_preference_of_the_person_who_consented():
    rows = implicit_rows(SAID, length_valence, min_gap=1.0, opted_out={"eve"})
    assert [(row.user, row.response_a, row.response_b) for row in rows] == [
        ("ada", "first", "second")
    ]
    (row,) = rows
    assert (row.target, row.weight, row.source) == (1.0, 0.2, "implicit")
    assert row.as_answer() == {
        "user": "ada", "prompt": "How?", "a": "first", "b": "second", "outcome": "a",
        "strength": 0.2, "source": "implicit",
    }  # fmt: skip


def test_who_opted_out_or_did_not_consent_is_never_read():
    read: list[str] = []

    def valence(said):
        read.extend(said)
        return length_valence(said)

    hidden = [
        turn("eve", "first", "secret"), turn("eve", "second", "too"),
        turn("bob", "a", "mine", consent=False), turn("bob", "b", "mine too", consent=False),
    ]  # fmt: skip
    assert implicit_rows(hidden, valence, min_gap=0.0, opted_out=["eve"]) == []
    assert read == []


@pytest.mark.parametrize(
    ("consent", "agreed", "out", "read"),
    [
        (True, False, False, True), (True, True, False, True), (True, True, True, False),
        (False, True, False, False), (None, True, False, True), (None, False, False, False),
        (None, True, True, False),
    ],
)  # fmt: skip
def test_an_opt_out_decides_then_the_turn_then_what_is_on_record(consent, agreed, out, read):
    said = [turn("ada", r, words, consent=consent) for r, words in (("x", "yes yes"), ("y", "no"))]
    rows = implicit_rows(
        said, length_valence, min_gap=1.0, agreed=["ada"] * agreed, opted_out=["ada"] * out
    )
    assert len(rows) == read


def test_one_persons_turns_never_become_anothers_row():
    both = implicit_rows(SAID, length_valence, min_gap=1.0)
    assert {row.user for row in both} == {"ada", "eve"}
    alone = implicit_rows([t for t in SAID if t.user == "ada"], length_valence, min_gap=1.0)
    assert alone == [row for row in both if row.user == "ada"]


def test_turns_that_say_about_the_same_give_no_row():
    assert implicit_rows(SAID, length_valence, min_gap=50.0) == []
    with pytest.raises(InputError, match="weight: expected a number in"):
        implicit_rows(SAID, length_valence, min_gap=1.0, weight=1.0)
    with pytest.raises(InputError, match="valence: expected 2 numbers, got shape"):
        implicit_rows(SAID, lambda _: [1.0], min_gap=1.0)


def test_valence_by_similarity_tells_thanks_from_complaints():
    valence = similarity_valence(load_encoder("hashing", dim=512).encode)
    satisfied = ["Thanks for the details, that is correct.", "That is just what I meant, good."]
    dissatisfied = ["That is wrong, you made a mistake.", "You ignored my instructions."]
    assert min(valence(satisfied)) > max(valence(dissatisfied))
