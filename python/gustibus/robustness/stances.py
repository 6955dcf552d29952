"""How far somebody's edits push a ranking towards one stance on a topic.

Source: Gong et al. 2025, "Topic-FlipRAG: Topic-Oriented Adversarial Opinion Manipulation Attacks to
Retrieval-Augmented Generation Models", arXiv 2502.01386.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gustibus.data.arrays import codes, count, finite, names, same_length
from gustibus.methods import method

_PAPER = "Gong et al. 2025, Topic-FlipRAG"


class Shift(NamedTuple):
    """Share of the target stance in the top k."""

    before: float
    after: float
    change: float


@method(
    "OPS",
    source=f"{_PAPER}, top-k stance proportion",
    purpose="Change of a stance's share in the top k of one ranking",
    check="tests/methods/test_robustness_stances.py::test_the_worked_shift",
    example="ops.stance_shift(before=[0, 1, 0, 1, 1], after=[0, 0, 0, 1, 1], target=0, k=3)",
)
def stance_shift(before: Any, after: Any, target: Any, k: int) -> Shift:
    """Share of `target` in the top k before and after, and its change.

    Args:
        before: `(n,)` stance of each document, best rank first.
        after: likewise after somebody's edits.
        target: the stance that is pushed.
        k: places that are seen; all where there are fewer.
    """
    places, wanted = count("k", k), names("target", [target])[0]
    shares = [
        float((names(name, ranking)[:places] == wanted).mean())
        for name, ranking in (("before", before), ("after", after))
    ]
    return Shift(shares[0], shares[1], shares[1] - shares[0])


@method(
    "PROBES",
    source=f"{_PAPER}, ranking attack success rate: a positive change alone counts",
    purpose="How often, and how far, edits push rankings towards a stance",
    check="tests/methods/test_robustness_stances.py::test_only_a_change_towards_the_target_is_a_success",
    example="ops.stance_shifts(before=[[0, 1], [1, 0]], after=[[1, 0], [1, 0]], target=[1, 1], k=1)",
    laws=("user_renaming", "row_order", "perfect"),
)
def stance_shifts(before: Any, after: Any, target: Any, *, k: int = 10) -> dict[str, float]:
    """Mean shift over queries, and `attack_success`, the share with a positive one; 0 when perfect.

    Args:
        before: stances by rank of each query.
        after: likewise after the edits.
        target: `(q,)` the stance that is pushed for each query.
        k: places that are seen.
    """
    wanted = names("target", target)
    same_length(before=before, after=after, target=wanted)
    shifts = [stance_shift(b, a, t, k) for b, a, t in zip(before, after, wanted, strict=True)]
    one, two, change = np.array(shifts).T
    return {
        "before": float(one.mean()), "after": float(two.mean()), "change": float(change.mean()),
        "attack_success": float((change > 0).mean()),
    }  # fmt: skip


@method(
    "PROBES",
    source=f"{_PAPER}, average rank boost",
    purpose="How many places edited items gain",
    check="tests/methods/test_robustness_stances.py::test_the_boost_is_the_mean_gain_in_places",
    example="ops.rank_boost(rank_before=[9, 4], rank_after=[2, 5])",
    laws=("user_renaming", "row_order", "perfect"),
)
def rank_boost(rank_before: Any, rank_after: Any) -> float:
    """Mean places `(n,)` gained by edited items, rank 1 being best; 0 for a ranker that holds."""
    one, two = codes("rank_before", rank_before), codes("rank_after", rank_after)
    same_length(rank_before=one, rank_after=two)
    finite("rank_before", one, low=1)
    finite("rank_after", two, low=1)
    return float((one - two).mean())
