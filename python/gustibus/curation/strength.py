"""How strongly an ensemble of reward models agrees with a label, and what to do about weak ones.

Source: Wang et al. 2024, "Secrets of RLHF in Large Language Models Part II", arXiv 2401.06080.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from gustibus.curation.builders import Row, Rows, builder, winner
from gustibus.data.arrays import finite, number, one_of
from gustibus.errors import DimensionError
from gustibus.methods import method
from gustibus.types import F64

_PAPER = "Wang et al. 2024, Secrets of RLHF Part II"


class Strength(NamedTuple):
    """Agreement of an ensemble with each label."""

    mean: F64
    """`(n,)` below 0 the ensemble disagrees."""
    std: F64
    """`(n,)` population standard deviation over models."""


@method(
    "OPS",
    source=f"{_PAPER}, preference strength",
    purpose="Which labels an ensemble of reward models doubts: the lowest are mostly wrong ones",
    check="tests/methods/test_curation_strength.py::test_the_worked_strengths",
    example="ops.preference_strength(scores_w=[[1.0, 1.2], [0.1, 0.0]], scores_l=[[0.2, 0.3], [0.5, 0.1]])",
)
def preference_strength(scores_w: Any, scores_l: Any) -> Strength:
    """Mean and spread over models of `r(w) - r(l)` for each pair.

    Args:
        scores_w: `(n, m)` reward of the preferred response under each of m models, which were
            trained on the same data in different orders.
        scores_l: `(n, m)` of the other response.
    """
    w, low = finite("scores_w", scores_w, dims=2), finite("scores_l", scores_l, dims=2)
    if w.shape != low.shape:
        message = f"scores_l: expected shape {w.shape}, got {low.shape}"
        raise DimensionError(message, where="scores_l")
    gap = w - low
    return Strength(gap.mean(1), gap.std(1))


@builder("strength", source=_PAPER, columns=("scores_w", "scores_l"))
def strength(
    rows: Rows, *, flip: float = 0.2, soften: float = 0.2, rest: str = "margin"
) -> Iterator[Row]:
    """Labels by strength: the weakest flipped, the next softened, the rest with a margin or kept.

    Ties are left alone. A flipped label has the ensemble's margin in its new direction.

    Args:
        rows: with lists `scores_w` and `scores_l`, a reward of each model.
        flip: share of the pairs, those of lowest mean, whose label is turned.
        soften: share above them whose target becomes `sigma(mean)`.
        rest: `margin` gives all others their mean as a margin, `keep` leaves them as they are.
    """
    turn, soft = number("flip", flip, low=0, high=1), number("soften", soften, low=0, high=1)
    number("flip + soften", turn + soft, low=0, high=1)
    with_margin = one_of("rest", rest, ("margin", "keep")) == "margin"
    decided = [row for row in rows if winner(row)]
    if not decided:
        return
    mean, std = preference_strength(
        [row["scores_w"] for row in decided], [row["scores_l"] for row in decided]
    )
    place = np.empty(len(decided), np.int64)
    place[np.argsort(mean, kind="stable")] = np.arange(len(decided))
    lowest, weak = int(turn * len(decided) + 1e-9), int((turn + soft) * len(decided) + 1e-9)
    for row, at, mu, sd in zip(decided, place, mean.tolist(), std.tolist(), strict=True):
        told = {"row": row["row"], "strength": mu, "strength_std": sd}
        if at < lowest:
            margin = max(-mu, 0.0) if with_margin else 0.0
            yield {**told, "target": 1 - row["target"], "margin": margin}
        elif at < weak:
            p = float(0.5 * (1 + np.tanh(mu / 2)))
            yield {**told, "target": p if winner(row) == "a" else 1 - p}
        elif with_margin:
            yield {**told, "margin": max(mu, 0.0)}
