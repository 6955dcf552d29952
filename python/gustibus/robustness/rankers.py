"""One ranking from several rankers, and what each source contributes to an aggregate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gustibus.data.arrays import finite, names, same_length
from gustibus.errors import InputError
from gustibus.methods import method
from gustibus.types import F64

Aggregate = Callable[[F64], Any]
"""From scores `(s, n)` of sources to one score `(n,)`, higher for better."""


@method(
    "OPS",
    source="Fagin, Kumar and Sivakumar 2003, Efficient similarity search: median rank aggregation",
    purpose="A ranking that fewer than half of the rankers cannot move far",
    check="tests/methods/test_robustness_rankers.py::test_a_minority_of_rankers_cannot_lift_an_item",
    example="ops.median_rank(scores=[[3, 2, 1], [3, 1, 2], [0, 5, 1]])",
)
def median_rank(scores: Any) -> F64:
    """`(n,)` median over rankers of an item's rank, 1 for the best; ties share their mean rank.

    Args:
        scores: `(s, n)`, higher for better.
    """
    values = finite("scores", scores, dims=2)
    above = (values[:, None, :] > values[:, :, None]).sum(2)  # (s, n)
    same = (values[:, None, :] == values[:, :, None]).sum(2)
    return np.asarray(np.median(above + (same + 1) / 2, axis=0), np.float64)


@dataclass(frozen=True, slots=True)
class Influence:
    """What becomes of an aggregate without one source."""

    source: str
    winner_changes: bool
    """Whether another item is best."""
    most_places: int
    """Places that the item which moves most is moved."""
    most_score: float
    """Largest change of a score."""


def leave_one_source_out(
    scores: Any, sources: Any, aggregate: Aggregate | None = None
) -> list[Influence]:
    """The aggregate without each source in turn, the most influential source first.

    Args:
        scores: `(r, n)` of rows of sources over the same items; a source may have several rows.
        sources: `(r,)` whose each row is.
        aggregate: mean over rows unless given.

    Raises:
        InputError: there is only one source.
    """
    values, who = finite("scores", scores, dims=2), names("sources", sources)
    same_length(scores=values, sources=who)
    listed = sorted(set(who.tolist()), key=str)
    if len(listed) < 2:
        message = f"sources: expected at least two, got {listed}"
        raise InputError(message, where="sources")
    combine = aggregate or (lambda rows: rows.mean(0))
    whole = finite("aggregate", combine(values))
    found = [
        _influence(str(name), whole, finite("aggregate", combine(values[who != name])))
        for name in listed
    ]
    return sorted(found, key=lambda i: (-i.winner_changes, -i.most_places, -i.most_score, i.source))


def _influence(source: str, whole: F64, without: F64) -> Influence:
    places, moved = _places(whole), _places(without)
    return Influence(
        source, bool(np.argmax(whole) != np.argmax(without)),
        int(np.abs(places - moved).max()), float(np.abs(whole - without).max()),
    )  # fmt: skip


def _places(scores: F64) -> Any:
    return np.argsort(np.argsort(-scores, kind="stable"), kind="stable")
