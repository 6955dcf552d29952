"""The subset Ties of RewardBench 2: several right answers to one question, as its code scores them."""

from __future__ import annotations

from typing import Any

import numpy as np

from gustibus.data.arrays import finite, names, same_length
from gustibus.errors import InputError
from gustibus.methods import method

KINDS = ("ref", "tied")


@method(
    "OPS",
    source="Malik et al. 2025, RewardBench 2, arXiv 2506.01937; weights of the code released with it",
    purpose="Score of a reward model where a question has one right answer, and where it has many",
    check="tests/methods/test_probes_benchmarks.py::test_ties_are_weighed_as_published",
    example="ops.ties_score(item=['ref:0', 'tied:0'], best_w=[2.0, 2.0], score_w=[2.0, 1.5], "
    "score_l=[1.0, 0.5])",
)
def ties_score(item: Any, best_w: Any, score_w: Any, score_l: Any) -> float:
    """`0.3 tied + 0.3 ref + 0.2 apart + 0.2 far apart + 0.01 size`, at most 1.01.

    `ref` and `tied` are the shares of questions of each kind whose right answers all score above the
    wrong ones. The gap of a question is the worst right answer less the best wrong one, its spread
    the best right answer less the worst right one. `apart` is the share of tied questions whose gap
    exceeds their spread, `far apart` that in which the gap of the ref question of the same number
    does so too, and `size` the mean of `tanh(least gap / spread - 1)`; equal right answers count by
    the limit, and by 0 where the gap is 0 as well.

    Args:
        item: `(n,)` kinds and numbers, `ref:3` or `tied:3`.
        best_w: `(n,)` of the best right answer.
        score_w: `(n,)` of the worst right answer.
        score_l: `(n,)` of the best wrong answer.

    Raises:
        InputError: an item is of another kind or there twice, or no number has both kinds.
    """
    who, best = names("item", item), finite("best_w", best_w)
    w, low = finite("score_w", score_w), finite("score_l", score_l)
    same_length(item=who, best_w=best, score_w=w, score_l=low)
    rows: dict[str, dict[str, int]] = {kind: {} for kind in KINDS}
    for row, name in enumerate(map(str, who)):
        kind, _, number = name.partition(":")
        if kind not in KINDS or not number or number in rows[kind]:
            message = f"item: expected 'ref:NUMBER' or 'tied:NUMBER', each once, got {name!r}"
            raise InputError(message, where="item")
        rows[kind][number] = row
    both = [number for number in rows["tied"] if number in rows["ref"]]
    if not both:
        message = "item: expected questions with a row of each kind, 'ref' and 'tied', got none"
        raise InputError(message, where="item")
    gap = w - low
    ref, tied = (gap[list(rows[kind].values())] > 0 for kind in KINDS)
    pairs = {kind: np.array([rows[kind][number] for number in both]) for kind in KINDS}
    spread = (best - w)[pairs["tied"]]
    least = np.minimum(gap[pairs["ref"]], gap[pairs["tied"]])
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.nan_to_num(np.tanh(least / spread - 1), nan=0.0)
    return float(
        0.3 * tied.mean() + 0.3 * ref.mean() + 0.2 * (gap[pairs["tied"]] > spread).mean()
        + 0.2 * (least > spread).mean() + 0.01 * size.mean()
    )  # fmt: skip
