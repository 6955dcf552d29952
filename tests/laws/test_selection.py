"""Laws of choosing among samples, checked for every row of the table."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gustibus.errors import InputError, NotFiniteError
from gustibus.selection import SELECTIONS, select

quick = settings(max_examples=30, deadline=None)
rows = pytest.mark.parametrize("kind", SELECTIONS)
NEEDS_REWARDS = sorted(set(SELECTIONS) - {"majority_vote"})

ANSWERS = "abcde"
samples = st.lists(
    st.tuples(st.sampled_from(ANSWERS), st.integers(-50, 50).map(float)), min_size=1, max_size=12
)
shares = st.floats(0, 1)


def choose(kind, found, alpha, k=9):
    answers, rewards = map(list, zip(*found, strict=True))
    return select(kind, answers, rewards, k=k, alpha=alpha)


def test_every_row_declares_a_law_that_is_checked_here():
    for name, entry in SELECTIONS.items():
        assert set(entry.laws) == {"neutral"}, name


@rows
@quick
@given(found=samples, alpha=shares, turn=st.permutations(ANSWERS))
def test_renaming_answers_renames_what_is_chosen(kind, found, alpha, turn):
    new = dict(zip(ANSWERS, turn, strict=True))
    chosen = choose(kind, found, alpha)
    renamed = choose(kind, [(new[answer], reward) for answer, reward in found], alpha)
    assert [(new[one.answer], one.index, one.count, one.reward) for one in chosen] == [
        (one.answer, one.index, one.count, one.reward) for one in renamed
    ]


@rows
@quick
@given(found=samples, alpha=shares, shift=st.integers(-9, 9), scale=st.sampled_from([0.5, 1, 4]))
def test_the_unit_of_rewards_plays_no_part(kind, found, alpha, shift, scale):
    chosen = choose(kind, found, alpha)
    moved = choose(kind, [(answer, scale * reward + shift) for answer, reward in found], alpha)
    assert [(one.answer, one.index) for one in chosen] == [(o.answer, o.index) for o in moved]


@rows
@quick
@given(found=samples, alpha=shares, k=st.integers(1, 6))
def test_answers_are_distinct_given_ones_and_fewer_are_the_first_of_more(kind, found, alpha, k):
    chosen = [one.answer for one in choose(kind, found, alpha, k)]
    assert len(set(chosen)) == len(chosen) <= k
    assert set(chosen) <= {answer for answer, _ in found}
    assert chosen == [one.answer for one in choose(kind, found, alpha)][:k]


@rows
@quick
@given(found=samples, alpha=shares)
def test_an_answer_stands_behind_its_best_sample_and_counts_all_of_them(kind, found, alpha):
    for one in choose(kind, found, alpha):
        mine = [(reward, -at) for at, (answer, reward) in enumerate(found) if answer == one.answer]
        assert one.count == len(mine)
        assert one.index == -max(mine)[1]


@rows
@quick
@given(found=samples, alpha=shares)
def test_rewards_in_a_list_an_array_and_on_demand_choose_alike(kind, found, alpha):
    answers, rewards = map(list, zip(*found, strict=True))
    at_once = select(kind, answers, rewards, k=9, alpha=alpha)
    assert select(kind, answers, np.array(rewards), k=9, alpha=alpha) == at_once
    asked: list[int] = []

    def stream(at: list[int]) -> list[float]:
        asked.extend(at)
        return [rewards[i] for i in at]

    assert select(kind, answers, stream, k=9, alpha=alpha) == at_once
    assert len(set(asked)) == len(asked)


@rows
def test_one_sample_and_samples_that_are_all_tied_are_taken(kind):
    assert [one.answer for one in select(kind, ["x"], [0.0])] == ["x"]
    tied = select(kind, list("baab"), [1.0] * 4, k=5, alpha=0.5)
    assert [one.answer for one in tied] == ["b", "a"]  # the first to come


@rows
def test_no_answers_are_refused(kind):
    with pytest.raises(InputError, match="answers: expected a sequence of at least one text"):
        select(kind, [], [])


@rows
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_rewards_that_are_not_finite_are_refused_by_name(kind, bad):
    with pytest.raises(NotFiniteError, match="rewards: expected finite numbers"):
        select(kind, ["a", "a"], [0.0, bad], alpha=0.5)


@pytest.mark.parametrize("kind", NEEDS_REWARDS)
def test_rewards_are_needed_where_they_decide(kind):
    with pytest.raises(InputError, match="rewards: expected one a sample, got none"):
        select(kind, ["a"], None)
