"""Near-duplicates, bursts and limits on influence, against brute force."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gustibus.errors import InfeasibleError, InputError
from gustibus.robustness import bursts, limit_influence, near_duplicates
from gustibus.robustness.sentences import words

few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])

WORDS = st.lists(st.sampled_from("abcd"), max_size=7).map(" ".join)


@few
@given(st.lists(WORDS, max_size=8), st.sampled_from([0.3, 0.5, 1.0]))
def test_near_duplicates_are_those_of_brute_force(texts, likeness):
    def runs(text):
        said = words(text)
        return {tuple(said[i : i + 3]) for i in range(max(len(said) - 2, 1))}

    slow = []
    for i in range(len(texts)):
        for j in range(i + 1, len(texts)):
            a, b = runs(texts[i]), runs(texts[j])
            if len(a & b) / len(a | b) >= likeness:
                slow.append((i, j, pytest.approx(len(a & b) / len(a | b))))
    assert near_duplicates(texts, likeness) == slow


def test_case_and_marks_make_no_difference():
    assert near_duplicates(["The cat sat down!", "the CAT, sat down"])[0].likeness == 1


TIMES = st.lists(st.tuples(st.sampled_from("xy"), st.integers(0, 20)), min_size=1, max_size=15)


@few
@given(TIMES, st.integers(1, 6), st.integers(1, 4))
def test_bursts_are_those_of_brute_force(sent, window, most):
    account, time = zip(*sent, strict=True)
    slow = []
    for who, when in sent:
        starts = [t for a, t in sent if a == who and t <= when < t + window]
        slow.append(
            any(sum(a == who and s <= t < s + window for a, t in sent) > most for s in starts)
        )
    assert bursts(account, time, window, most).tolist() == slow


def test_a_burst_is_too_many_in_one_window():
    found = bursts(["x", "x", "x", "y"], [0, 4, 5, 0], 5, 1)
    assert found.tolist() == [True, True, True, False]


# sums of the smallest doubles round to whole multiples of one of them
WEIGHTS = st.lists(st.just(0.0) | st.floats(1e-300, 100), min_size=1, max_size=8)


@few
@given(WEIGHTS, st.floats(0.15, 1))
def test_no_account_weighs_more_than_its_share_and_small_ones_keep_their_weight(weight, share):
    account = list(range(len(weight)))
    total = np.array(weight)
    some = int((total > 0).sum())
    if some * share < 1 - 1e-9:
        with pytest.raises(InfeasibleError, match="share: expected at least"):
            limit_influence(account, weight, share)
        return
    found = limit_influence(account, weight, share)
    assert (found <= share * found.sum() * (1 + 1e-9)).all()
    assert (found <= total + 1e-9).all()
    lowered = found < total - 1e-9 * (1 + total)
    if lowered.any():  # all at one cap, above everyone who keeps their weight
        cap = found[lowered].max()
        np.testing.assert_allclose(found[lowered], cap)
        assert (found[~lowered] <= cap * (1 + 1e-9)).all()


def test_the_rows_of_an_account_are_scaled_alike():
    found = limit_influence(["x", "x", "y", "z"], [3.0, 1.0, 1.0, 1.0], 0.4)
    np.testing.assert_allclose(found, [1.0, 1 / 3, 1, 1])  # 4/3 of 10/3


def test_bad_arguments_are_named():
    with pytest.raises(InputError, match="likeness"):
        near_duplicates(["a"], 0)
    with pytest.raises(InputError, match="window"):
        bursts(["x"], [0], 0, 1)
    with pytest.raises(InputError, match="weight"):
        limit_influence(["x"], [-1], 1)
