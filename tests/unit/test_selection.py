"""Best of n, majority vote, best of majority and pass@k."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gustibus import ops
from gustibus.errors import InputError, NotFiniteError, UnknownNameError
from gustibus.selection import canonical_answer, select

quick = settings(max_examples=25, deadline=None)

ANSWERS = list("abacbade")
REWARDS = [0.4, 0.9, 0.5, 2, 0.7, 0.6, 1.5, -0.1]

samples = st.lists(
    st.tuples(st.sampled_from("abcde"), st.integers(-50, 50).map(float)), min_size=1, max_size=12
)


def test_worked_numbers():
    assert ops.best_of_majority(ANSWERS, REWARDS, alpha=0.25, k=1) == ["b"]
    assert ops.best_of_majority(ANSWERS, REWARDS, alpha=0, k=1) == ["c"]
    assert ops.best_of_n(ANSWERS, REWARDS, k=3) == ["c", "d", "b"]
    assert ops.majority_vote(ANSWERS, k=3) == ["a", "b", "c"]
    assert ops.pass_at_k(10, 3, 2) == pytest.approx(0.533333, abs=1e-6)


@quick
@given(st.lists(st.sampled_from("abcde"), min_size=1, max_size=12), st.data())
def test_without_a_threshold_best_of_majority_is_best_of_n(answers, data):
    worth = data.draw(st.fixed_dictionaries(dict.fromkeys("abcde", st.floats(-5, 5))))
    rewards = [worth[answer] for answer in answers]
    by_majority = ops.best_of_majority(answers, rewards, alpha=0, k=5)
    assert worth[by_majority[0]] == worth[ops.best_of_n(answers, rewards, k=5)[0]]
    assert len(by_majority) == len(set(answers))


@quick
@given(samples)
def test_above_the_top_frequency_best_of_majority_is_the_majority(found):
    answers, rewards = map(list, zip(*found, strict=True))
    top = max(map(answers.count, answers)) / len(answers)
    if top < 1:
        chosen = ops.best_of_majority(answers, rewards, alpha=(top + 1) / 2, k=3)
        assert chosen == ops.majority_vote(answers, 1)


@quick
@given(samples, st.floats(0, 1), st.randoms(use_true_random=False))
def test_the_order_of_samples_matters_for_ties_alone(found, alpha, random):
    def best(found):
        answers, rewards = map(list, zip(*found, strict=True))
        chosen = select("best_of_majority", answers, rewards, k=9, alpha=alpha)
        return sorted((one.reward, one.count) for one in chosen)

    shuffled = random.sample(found, len(found))
    answers = [answer for answer, _ in found]
    counts = sorted(map(answers.count, set(answers)))
    kept = [count for count in counts if count >= alpha * len(answers) * (1 - 1e-12)]
    if kept or counts.count(counts[-1]) == 1:
        assert best(found) == best(shuffled)


def test_rewards_are_asked_only_for_answers_that_are_frequent_enough():
    asked: list[int] = []

    def reward(at: list[int]) -> list[float]:
        asked.extend(at)
        return [REWARDS[i] for i in at]

    assert ops.best_of_majority(ANSWERS, reward, alpha=0.25) == ["b"]
    assert asked == [0, 1, 2, 4, 5]


def test_a_share_of_samples_is_counted_exactly():
    answers = ["a"] * 3 + ["b"] * 7
    assert ops.best_of_majority(answers, [1.0] * 3 + [0.0] * 7, alpha=0.3) == ["a"]
    assert ops.best_of_majority(answers, [1.0] * 3 + [0.0] * 7, alpha=0.31) == ["b"]


def test_the_sample_that_stands_for_an_answer_is_its_best():
    (chosen,) = select("best_of_majority", ANSWERS, REWARDS, alpha=0.3)
    assert (chosen.answer, chosen.index, chosen.count) == ("a", 5, 3)
    assert chosen.reward == pytest.approx(0.5)
    (voted,) = select("majority_vote", ANSWERS)
    assert (voted.index, voted.reward) == (0, None)
    (voted,) = select("majority_vote", ANSWERS, REWARDS)
    assert voted.index == 5


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("  The   End. ", "the end"), ("1,000", "1000.0"), ("0.50", "1/2"), (".5", "5e-1"),
        ("2/6", "1/3"), ("-0", "0"), ("+7", "7"), ("½", "0.5"), ("１２", "12"), ("Straße", "STRASSE"),
    ],
)  # fmt: skip
def test_answers_that_differ_only_in_writing_are_one(first, second):
    assert canonical_answer(first) == canonical_answer(second)
    assert ops.majority_vote(["x", first, second]) == [first]


@pytest.mark.parametrize(
    ("first", "second"), [("1,00", "100"), ("1/0", "0"), ("e5", "5"), ("12a", "12"), ("-3", "3")]
)
def test_answers_that_mean_different_things_stay_apart(first, second):
    assert canonical_answer(first) != canonical_answer(second)


def test_a_callable_may_say_what_is_equivalent():
    answers = ["x + 1", "1 + x", "2"]

    def same(a: str, b: str) -> bool:
        return sorted(a) == sorted(b)

    assert ops.majority_vote(answers, equivalent=same) == ["x + 1"]
    assert ops.best_of_n(answers, [0.0, 3.0, 1.0], k=2, equivalent=same) == ["x + 1", "2"]


@pytest.mark.parametrize(("n", "c", "k"), [(n, c, k) for n in (1, 4, 6) for c in range(n + 1)
                                           for k in range(1, n + 1)])  # fmt: skip
def test_pass_at_k_counts_draws_that_hold_a_right_sample(n, c, k):
    draws = list(combinations(range(n), k))
    right = sum(any(sample < c for sample in draw) for draw in draws)
    assert ops.pass_at_k(n, c, k) == pytest.approx(right / len(draws))
    if n - c < k:
        assert ops.pass_at_k(n, c, k) == 1.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ops.best_of_n([], []), "answers: expected a sequence of at least one text"),
        (lambda: ops.best_of_n("ab", [1, 2]), "answers: expected a sequence"),
        (lambda: ops.best_of_n(["a", 3], [1, 2]), "answers: expected texts, got int at 1"),
        (lambda: ops.best_of_n(["a"], [1, 2]), "rewards: expected 1, one a sample"),
        (lambda: ops.best_of_n(["a"], None), "rewards: expected one a sample, got none"),
        (lambda: ops.best_of_n(["a"], ["x"]), "rewards: expected numbers"),
        (lambda: ops.majority_vote(["a"], 0), "k: expected a whole number of at least 1"),
        (
            lambda: ops.best_of_majority(["a"], [1], alpha=2),
            r"alpha: expected a number in \[0, 1\]",
        ),
        (lambda: ops.pass_at_k(3, 4, 1), "n, c, k: expected"),
        (lambda: ops.pass_at_k(3, 1, 0), "n, c, k: expected"),
    ],
)
def test_what_makes_no_sense_is_named(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_nan_and_unknown_selections_are_refused():
    with pytest.raises(NotFiniteError, match="rewards: expected finite numbers, got nan"):
        ops.best_of_n(["a", "b"], [0.0, np.nan])
    with pytest.raises(UnknownNameError, match="no selection 'best_of_m'"):
        select("best_of_m", ["a"], [1.0])


def test_a_single_sample_and_samples_that_all_agree_are_taken():
    for answers in (["a"], ["a", "a", "A "]):
        rewards = [0.5] * len(answers)
        assert ops.best_of_n(answers, rewards) == ["a"]
        assert ops.majority_vote(answers, 4) == ["a"]
        assert ops.best_of_majority(answers, rewards, alpha=1.0, k=4) == ["a"]
