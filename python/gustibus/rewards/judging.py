"""One model that judges in two ways: which of two is better, and how good one is.

Source: Wang et al. 2025, Unified Reward Model for Multimodal Understanding and Generation, arXiv
2503.05236, and its published code.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gustibus.errors import InputError
from gustibus.methods import method
from gustibus.rewards.arrays import arrays

_PAPER = "Wang et al. 2025, Unified Reward Model, arXiv 2503.05236, pair ranking and point sifting"


class Sifted(NamedTuple):
    """A pair for training, as sample numbers."""

    chosen: int
    rejected: int


@method(
    "OPS",
    source=_PAPER,
    purpose="one training pair from samples judged in pairs and one by one",
    check="tests/unit/test_rewards_judging.py::test_the_best_winner_meets_the_worst_loser",
    example="ops.sift(pairs=[(0, 1), (2, 3)], winners=[0, 3], scores=[7, 2, 4, 9])",
)
def sift(
    pairs: Sequence[tuple[int, int]], winners: Sequence[int], scores: Sequence[Any]
) -> Sifted | None:
    """The winner with the best score against the loser with the worst one.

    Args:
        pairs: sample numbers that were judged against each other.
        winners: the sample of each pair that won, as its number.
        scores: `(n,)` point score of each sample; texts are read as numbers, since "10" sorts below
            "9". Equal scores keep the first winner and the first loser.

    Returns:
        None unless the winner's score is above the loser's.

    Raises:
        InputError: a winner is not of its pair, a sample has no score, or a score is no number.
    """
    worth = _scores(scores)
    for at, pair in enumerate(pairs):
        if np.shape(pair) != (2,):
            message = f"pairs: expected two sample numbers each, got {pair!r:.40} at {at}"
            raise InputError(message, where="pairs")
    if len(pairs) != len(winners) or not len(pairs):
        message = f"winners: expected one for each of at least one pair, got {len(winners)}"
        raise InputError(message, where="winners")
    lost = []
    for at, ((i, j), winner) in enumerate(zip(pairs, winners, strict=True)):
        if i == j or winner not in (i, j) or not 0 <= min(i, j) <= max(i, j) < len(worth):
            message = (
                f"winners: expected one of two different samples below {len(worth)}, got {winner} "
                f"of {(i, j)} at {at}"
            )
            raise InputError(message, where="winners")
        lost.append(j if winner == i else i)
    chosen = max(winners, key=lambda i: worth[i])
    rejected = min(lost, key=lambda i: worth[i])
    return Sifted(chosen, rejected) if worth[chosen] > worth[rejected] else None


def sign_agreement(margins: Any, differences: Any) -> float:
    """Share of pairs that both ways of judging order alike, in `[0, 1]`; ties of either are left out.

    At least 0.9 on held-out pairs is healthy.

    Args:
        margins: `(n,)` of the pair judgements.
        differences: `(n,)` of the point scores.

    Raises:
        InputError: shapes differ, or every pair is tied.
    """
    _, pair, point = arrays(margins=margins, differences=differences)
    if pair.shape != point.shape or pair.ndim != 1:
        message = f"differences: expected the shape (n,) of margins, got {point.shape}"
        raise InputError(message, where="differences")
    told = (pair != 0) & (point != 0)
    if not told.any():
        message = "margins: expected at least one pair that neither way ties"
        raise InputError(message, where="margins")
    return float((np.sign(pair) == np.sign(point))[told].mean())


def _scores(scores: Sequence[Any]) -> list[float]:
    read = []
    for at, score in enumerate(scores):
        try:
            read.append(float(score))
        except (TypeError, ValueError):
            message = f"scores: expected numbers, got {score!r:.40} at {at}"
            raise InputError(message, where="scores") from None
    arrays(scores=read)
    return read
