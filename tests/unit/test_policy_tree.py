"""Tree search over steps: worth, selection, and the pairs it gives."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gustibus.errors import DimensionError, InputError, NotFiniteError
from gustibus.policy import Proposal, Tree
from gustibus.policy.pairs import dpo
from gustibus.policy.tree import (
    first_difference,
    mcts_backup,
    puct,
    step_value,
    visit_label_smoothing,
)

quick = settings(max_examples=25, deadline=None)


def test_worked_numbers():
    assert puct(q=0.3, sum_logp=-6, tokens=8, n_parent=9, n=2) == pytest.approx(0.940214, abs=1e-6)
    assert visit_label_smoothing(12, 3) == pytest.approx(0.2)


def slow_backup(parent, value, visits, gamma):
    def v(node):
        below = [c for c, p in enumerate(parent) if p == node]
        weight = sum(max(1, visits[c]) for c in below)
        return sum(max(1, visits[c]) * q(c) for c in below) / weight if below else 0.0

    def q(node):
        reward = value[node] - value[parent[node]] if node else 0.0
        return reward + gamma * v(node)

    return [q(n) for n in range(len(parent))], [v(n) for n in range(len(parent))]


@quick
@given(st.data(), st.integers(1, 12), st.floats(0, 1))
def test_worth_is_carried_up_by_visits(data, n, gamma):
    parent = [-1, *(data.draw(st.integers(0, i - 1)) for i in range(1, n))]
    value = data.draw(st.lists(st.floats(-1, 2), min_size=n, max_size=n))
    visits = data.draw(st.lists(st.integers(0, 9), min_size=n, max_size=n))
    found = mcts_backup(parent, value, visits, gamma)
    q, v = slow_backup(parent, value, visits, gamma)
    assert np.allclose(found.q, q)
    assert np.allclose(found.v, v)


def test_without_discount_a_chain_is_worth_its_last_value_above_the_start():
    found = mcts_backup([-1, 0, 1, 2], [0.1, 0.5, 0.2, 0.9], [4, 3, 2, 1])
    assert found.v[0] == pytest.approx(0.8)


@quick
@given(st.integers(0, 50), st.integers(0, 50))
def test_smoothing_is_none_for_a_loser_never_tried_and_all_for_equals(better, worse):
    found = visit_label_smoothing(better, worse)
    assert 0 <= found <= 0.5
    assert visit_label_smoothing(better, 0) == 0
    assert visit_label_smoothing(better + 1, better + 1) == 0.5
    assert found <= visit_label_smoothing(better, worse + 1)


def test_equal_visits_teach_nothing_and_none_teach_as_dpo():
    s = {"pi_w": [0.0], "pi_l": [0.0], "ref_w": [-3.0], "ref_l": [-3.0]}
    coin = dpo(**s, label_smoothing=visit_label_smoothing(4, 4))
    apart = dpo(**{**s, "pi_w": [1.0]}, label_smoothing=visit_label_smoothing(4, 4))
    assert coin == pytest.approx(math.log(2))
    assert apart > coin
    assert dpo(**s, label_smoothing=visit_label_smoothing(4, 0)) == dpo(**s)


def test_exploring_prefers_the_likely_and_the_untried():
    base = {"q": 0.0, "tokens": 8, "n_parent": 9}
    assert puct(sum_logp=-2, n=0, **base) > puct(sum_logp=-6, n=0, **base)
    assert puct(sum_logp=-2, n=0, **base) > puct(sum_logp=-2, n=3, **base)
    assert puct(sum_logp=-2, n=0, w=0, **base) == 0


def test_a_verdict_moves_the_value_of_an_end():
    assert step_value(0.8, depth=1) == pytest.approx(0.8)
    assert step_value(0.8, depth=5, correct=True) == pytest.approx(0.9)
    assert step_value(0.8, depth=5, correct=False) == pytest.approx(-0.1)


@pytest.mark.parametrize(
    ("a", "b", "shared"), [([1, 2], [1, 3], 1), ([1], [1, 2], 1), ([], [4], 0)]
)
def test_the_loss_starts_at_the_first_difference(a, b, shared):
    assert first_difference(a, b) == shared


# The search: answers are three digits, and the right one is 2, 0, 1

RIGHT = ("2", "0", "1")


def propose(prefix):
    ends = len(prefix) == 2
    return [Proposal(d, -1.1, 1, ends) for d in "012"]


def value(prefix):
    return sum(a == b for a, b in zip(prefix, RIGHT, strict=False)) / 3


@pytest.fixture(scope="module")
def searched():
    tree = Tree(propose, value, w=0.5)
    tree.search(120)
    return tree


def test_a_search_goes_where_the_value_is(searched):
    assert searched.visits[0] == 120
    ends = [n for n in range(len(searched.parent)) if len(searched.prefix(n)) == 3]
    assert searched.prefix(max(ends, key=lambda n: searched.visits[n])) == RIGHT


@pytest.mark.parametrize("against", ["second", "worst"])
def test_pairs_prefer_the_right_digit_after_every_beginning(searched, against):
    pairs = searched.pairs(against)
    assert () in {p.prefix for p in pairs}
    for pair in pairs:
        assert pair.chosen == RIGHT[len(pair.prefix)]
        assert pair.chosen != pair.rejected
        assert 0 <= pair.label_smoothing < 0.5
        assert pair.gap > 0


def test_the_same_search_gives_the_same_pairs(searched):
    again = Tree(propose, value, w=0.5)
    again.search(120)
    assert again.pairs() == searched.pairs()


def test_steps_worth_the_same_give_no_pair():
    tree = Tree(propose, lambda _: 0.5)
    tree.search(30)
    assert tree.pairs() == []


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: mcts_backup([0], [1.0], [1]), InputError, "parent: expected -1 for the root"),
        (lambda: mcts_backup([-1, 1], [1, 1], [1, 1]), InputError, "earlier nodes"),
        (lambda: mcts_backup([-1], [1, 1], [1, 1]), DimensionError, "parent: expected 2 nodes"),
        (lambda: mcts_backup([-1], [1], [-1]), InputError, "visits: expected"),
        (lambda: mcts_backup([-1], [math.nan], [1]), NotFiniteError, "value: expected finite"),
        (lambda: puct(0, -1, 0, 1, 1), InputError, "tokens: expected at least 1"),
        (lambda: visit_label_smoothing(-1, 0), InputError, "n_better: expected"),
        (lambda: visit_label_smoothing("x", 0), InputError, "n_better: expected numbers"),
        (lambda: step_value(1.5, 1), InputError, "confidence: expected"),
        (lambda: Tree(propose, value).pairs("third"), InputError, "against: expected"),
        (lambda: Tree(lambda _: [], value).search(1), InputError, "propose: expected a step"),
        (
            lambda: Tree(propose, lambda p: math.nan if p else 0).search(1),
            InputError,
            "value: expected",
        ),
    ],
)
def test_wrong_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
