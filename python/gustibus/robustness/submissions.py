"""Who sends what: near-duplicates, bursts, and how much one account may weigh."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, NamedTuple

import numpy as np

from gustibus.data.arrays import above, count, finite, names, number, same_length
from gustibus.data.arrays import texts as listed_texts
from gustibus.errors import InfeasibleError
from gustibus.methods import method
from gustibus.robustness.sentences import words
from gustibus.types import F64, Bool

_SHINGLE = 3


class Duplicate(NamedTuple):
    """Two texts that are nearly the same."""

    first: int
    second: int
    likeness: float


@method(
    "OPS",
    source="Broder 1997, On the resemblance and containment of documents",
    purpose="Pairs of submissions that share most of their runs of three words",
    check="tests/methods/test_robustness_submissions.py::test_near_duplicates_are_those_of_brute_force",
    example="ops.near_duplicates(texts=['the cat sat on the mat', 'the cat sat on the rug'], likeness=0.5)",
)
def near_duplicates(texts: Any, likeness: float = 0.8) -> list[Duplicate]:
    """Pairs whose sets of three-word runs have a Jaccard likeness of at least `likeness`, in order.

    Args:
        texts: `(n,)`; a text of fewer than three words is one run.
        likeness: in (0, 1].
    """
    least = above("likeness", number("likeness", likeness, high=1))
    runs = [_runs(text) for text in listed_texts("texts", texts)]
    holders: dict[tuple[str, ...], list[int]] = defaultdict(list)
    found = []
    for row, own in enumerate(runs):
        shared: dict[int, int] = defaultdict(int)
        for run in own:
            for other in holders[run]:
                shared[other] += 1
            holders[run].append(row)
        for other, common in shared.items():
            alike = common / (len(own) + len(runs[other]) - common)
            if alike >= least:
                found.append(Duplicate(other, row, alike))
    return sorted(found)


def _runs(text: str) -> frozenset[tuple[str, ...]]:
    said = words(text)
    starts = range(max(len(said) - _SHINGLE + 1, 1))
    return frozenset(tuple(said[i : i + _SHINGLE]) for i in starts)


@method(
    "OPS",
    source="Kleinberg 2002, Bursty and hierarchical structure in streams, as a fixed window",
    purpose="Submissions of an account that sends more than it should in a window of time",
    check="tests/methods/test_robustness_submissions.py::test_a_burst_is_too_many_in_one_window",
    example="ops.bursts(account=['x', 'x', 'x', 'y'], time=[0, 1, 2, 0], window=5, most=2)",
)
def bursts(account: Any, time: Any, window: float, most: int) -> Bool:
    """`(n,)` submissions that lie in a window in which their account sent more than `most`.

    Args:
        account: `(n,)` who sent each.
        time: `(n,)` in the unit of `window`, in any order.
        window: length above 0; a window holds its start and not its end.
        most: submissions of one account that a window may hold.
    """
    who, when = names("account", account), finite("time", time)
    same_length(account=who, time=when)
    length, limit = above("window", window), count("most", most)
    flagged = np.zeros(len(when), np.bool_)
    for name in set(who.tolist()):
        rows = np.flatnonzero(who == name)
        rows = rows[np.argsort(when[rows], kind="stable")]
        own = when[rows]
        end = np.searchsorted(own, own + length, side="left")  # of the window that starts here
        for start in np.flatnonzero(end - np.arange(len(own)) > limit):
            flagged[rows[start : end[start]]] = True
    return flagged


@method(
    "OPS",
    source="This project's: water filling, so that no account outweighs a share of the whole",
    purpose="Weights under which no account has more than a share of a shared reward model's data",
    check="tests/methods/test_robustness_submissions.py::"
    "test_no_account_weighs_more_than_its_share_and_small_ones_keep_their_weight",
    example="ops.limit_influence(account=['x', 'x', 'x', 'y', 'z'], weight=[1, 1, 1, 1, 1], share=0.4)",
)
def limit_influence(account: Any, weight: Any, share: float) -> F64:
    """`(n,)` weights of rows, those of heavy accounts scaled down to one cap and the others kept.

    Args:
        account: `(n,)` whose each row is.
        weight: `(n,)` at or above 0.
        share: of the remaining total weight that one account may have, in (0, 1].

    Raises:
        InfeasibleError: there are fewer accounts with weight than `1 / share`.
    """
    who, w = names("account", account), finite("weight", weight, low=0)
    same_length(account=who, weight=w)
    limit = above("share", number("share", share, high=1))
    _, code = np.unique(who.astype(str), return_inverse=True)
    total = np.asarray(np.bincount(code, w), np.float64)
    some = int((total > 0).sum())
    if some * limit < 1 - 1e-12:
        message = (
            f"share: expected at least 1/{some} for {some} accounts with weight, got {limit:g}"
        )
        raise InfeasibleError(message, where="share")
    cap = _cap(total, limit)
    scale = cap / np.where(total > cap, total, cap) if cap > 0 else np.ones_like(total)
    return np.asarray(w * scale[code], np.float64)


def _cap(total: F64, share: float) -> float:
    """The most an account may weigh: with the k heaviest at the cap c, `c = share (k c + rest)`."""
    falling = np.sort(total)[::-1]
    rest = np.cumsum(falling[::-1])[::-1]  # of those from the k-th on; no difference of large sums
    for k, heaviest in enumerate(falling):
        if k * share >= 1 - 1e-12:
            return float(falling[k - 1])
        cap = share * rest[k] / (1 - k * share)
        if heaviest <= cap + 1e-15 * abs(cap):
            return float(cap)
    return float(falling[-1])
