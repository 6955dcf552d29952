"""Pairs for training from samples judged in pairs and one by one."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

from gustibus import ops
from gustibus.errors import InputError, NotFiniteError
from gustibus.rewards.judging import sign_agreement

JUDGES = Path(__file__).parents[2] / "benchmarks" / "methods" / "judges.py"
PAIRS, WINNERS = [(0, 1), (2, 3), (4, 5)], [0, 3, 4]


def test_the_best_winner_meets_the_worst_loser():
    assert ops.sift(PAIRS, WINNERS, [7, 2, 4, 9, 8, 5]) == (3, 1)


def test_scores_are_compared_as_numbers_even_where_they_are_texts():
    assert ops.sift([(0, 1)], [0], ["10", "9"]) == (0, 1)
    assert ops.sift([(0, 1)], [1], ["10", "9"]) is None


@pytest.mark.parametrize("scores", [[5, 5], [4, 5]])
def test_a_pair_on_which_the_two_ways_disagree_is_dropped(scores):
    assert ops.sift([(0, 1)], [0], scores) is None


def test_agreement_leaves_ties_out():
    assert sign_agreement([1.0, -2.0, 0.0, 3.0], [0.5, -1.0, 9.0, -1.0]) == pytest.approx(2 / 3)


def test_a_pair_head_and_a_point_head_agree_on_nine_held_out_pairs_of_ten():
    assert runpy.run_path(str(JUDGES))["two_ways"](items=2000, seed=1) >= 0.9


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ops.sift([(0, 1)], [2], [1, 2, 3]), InputError, "winners: expected one of two"),
        (lambda: ops.sift([(0, 0)], [0], [1]), InputError, "winners: expected one of two"),
        (lambda: ops.sift([(0, 5)], [0], [1, 2]), InputError, "different samples below 2"),
        (lambda: ops.sift([], [], [1]), InputError, "winners: expected one for each"),
        (lambda: ops.sift([(0, 1)], [0], ["good", "bad"]), InputError, "scores: expected numbers"),
        (lambda: ops.sift([(0, 1)], [0], [1, np.nan]), NotFiniteError, "scores: expected finite"),
        (lambda: sign_agreement([0.0], [1.0]), InputError, "margins: expected at least one pair"),
        (lambda: sign_agreement([0.0], [1.0, 2.0]), InputError, "differences: expected the shape"),
    ],
)
def test_what_makes_no_sense_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
