"""Labels trusted as far as a ranking stays the same from one model to the next.

Source: Wang et al. 2024, "CREAM: Consistency Regularized Self-Rewarding Language Models", arXiv
2410.12735.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from gustibus.curation.builders import Row, Rows, builder
from gustibus.data.arrays import dims_of, finite, one_of
from gustibus.errors import DimensionError
from gustibus.methods import method
from gustibus.types import F64

KINDS = ("kendall", "spearman", "top_order")
_PAPER = "Wang et al. 2024, CREAM"


@method(
    "OPS",
    source=f"{_PAPER}, consistency rate",
    purpose="How far two models rank the same responses alike",
    check="tests/methods/test_curation_consistency.py::test_the_worked_consistency",
    example="ops.rank_consistency(a=[0.3, 0.9, 0.1, 0.5], b=[0.2, 0.7, 0.4, 0.6], kind='kendall')",
)
def rank_consistency(a: Any, b: Any, kind: str = "kendall") -> Any:
    """Agreement in [0, 1] of two lists of scores; 1/2 where one of them does not rank at all.

    `kendall` and `spearman` are `(tau + 1) / 2`, ties counted as tau-b and by mean ranks do;
    `top_order` is 1 where both have the same best and the same worst response (the first of equals),
    else 0.

    Args:
        a: `(k,)` scores of k >= 2 responses, or `(n, k)` of n lists.
        b: likewise from the other model.
        kind: of `KINDS`.

    Returns:
        One number, or `(n,)`.
    """
    dims = dims_of("a", a, least=1)
    one, two = finite("a", a, dims=dims), finite("b", b, dims=dims)
    if one.shape != two.shape or one.shape[-1] < 2:
        message = f"b: expected at least two scores and the shape {one.shape}, got {two.shape}"
        raise DimensionError(message, where="b")
    if one_of("kind", kind, KINDS) == "top_order":
        same = (one.argmax(-1) == two.argmax(-1)) & (one.argmin(-1) == two.argmin(-1))
        return float(same) if dims == 1 else same.astype(np.float64)
    turn = _signs if kind == "kendall" else _ranks
    found = (_cosine(turn(one), turn(two)) + 1) / 2
    return float(found) if dims == 1 else found


def _signs(scores: F64) -> F64:
    """`(*b, k * k)` signs of all differences, whose cosine is tau-b."""
    signs = np.sign(scores[..., :, None] - scores[..., None, :])
    return np.asarray(signs.reshape(*scores.shape[:-1], -1), np.float64)


def _ranks(scores: F64) -> F64:
    """`(*b, k)` centred mean ranks, whose cosine is Spearman's rho."""
    return np.asarray(np.sign(scores[..., :, None] - scores[..., None, :]).sum(-1), np.float64)


def _cosine(x: F64, y: F64) -> F64:
    size = np.sqrt((x * x).sum(-1) * (y * y).sum(-1))
    return np.asarray((x * y).sum(-1) / np.where(size > 0, size, 1), np.float64)


@builder("consistency", source=_PAPER, columns=("scores_before", "scores_after"))
def consistency(rows: Rows, *, kind: str = "kendall", pooled: bool = False) -> Iterator[Row]:
    """Targets drawn to their opposite as far as the ranking of a prompt's responses changed.

    `C t + (1 - C) (1 - t)` with the consistency C. The lists stand in the row that they are about,
    so that nothing is matched by position.

    Args:
        rows: with lists `scores_before` and `scores_after` of the same responses.
        kind: of `KINDS`.
        pooled: whether every row gets the mean consistency.
    """
    if not rows:
        return
    each = np.array(
        [rank_consistency(row["scores_before"], row["scores_after"], kind) for row in rows]
    )
    each = np.full(len(rows), each.mean()) if pooled else each
    for row, c in zip(rows, each.tolist(), strict=True):
        t = row["target"]
        yield {"row": row["row"], "target": c * t + (1 - c) * (1 - t), "consistency": c}
