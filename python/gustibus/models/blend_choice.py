"""Which families to blend: those whose mean log-odds foretell best whom none of them was fitted on.

Source: Caruana et al. 2004, "Ensemble Selection from Libraries of Models".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gustibus.models.blend import BLEND, mean_answering
from gustibus.models.candidates import Candidate, Judged
from gustibus.models.judges import Draw
from gustibus.models.validation import Foretold, HeldOut, losses_of
from gustibus.types import I64

MOST = 3
"""Members at most: each costs a fit, and time at serving."""
_PARTS = 8
"""Shares are multiples of one over as many."""
_SAME = 1e-6
"""Log-odds by which two candidates differ at most that foretell the same."""


class Blended(Candidate):
    """A blend of candidates."""

    def __init__(
        self,
        members: Sequence[Candidate],
        shares: Sequence[float],
        settings: Mapping[str, Mapping[str, Any]],
    ) -> None:
        rows = [{"family": m.family, **settings.get(m.family, {}), **m.options} for m in members]
        super().__init__(BLEND, {"members": rows, "shares": list(shares)})
        self.members, self.shares = tuple(members), tuple(shares)

    @property
    def title(self) -> str:
        """The members' shares and titles."""
        pairs = zip(self.shares, self.members, strict=True)
        return f"{BLEND} of {' and '.join(f'{share:.2f} {m.title}' for share, m in pairs)}"


def blended(
    candidates: Sequence[Candidate],
    draw: Draw,
    split: HeldOut,
    settings: Mapping[str, Mapping[str, Any]],
) -> Blended | None:
    """The best blend of candidates that one draw of people has judged; None without a gain.

    Starts from the best candidate alone, and moves an eighth of the blend from one candidate to
    another, the best such move, as long as that lowers the loss, which is convex in the shares but
    for the variances.

    Args:
        candidates: that the draw, the first, has judged.
        draw: its people.
        split: of the judging people's answers.
        settings: options of a family that all its fits have.
    """
    able = _different([c for c in candidates if c.draws and c.draws[0].transitive])
    if not able:
        return None
    taken, best = _PARTS * np.eye(len(able), dtype=np.int64)[0], _first_loss(able[0])
    while tried := _moves(taken):
        losses = [
            float(np.nanmean(_judged(*_shared(able, counts), draw, split, 0).losses))
            for counts in tried
        ]
        if min(losses) >= best:
            break
        best, taken = min(losses), tried[int(np.argmin(losses))]
    members, shares = _shared(able, taken)
    return Blended(members, shares, settings) if len(members) > 1 else None


def _moves(taken: I64) -> list[I64]:
    """Every way to take one part from one and give it to another, with no more than `MOST` left."""
    each = np.eye(len(taken), dtype=np.int64)
    moved = [
        taken - each[i] + each[j]
        for i in np.flatnonzero(taken)
        for j in range(len(taken))
        if i != j
    ]
    return [counts for counts in moved if (counts > 0).sum() <= MOST]


def _different(candidates: Sequence[Candidate]) -> list[Candidate]:
    """From the best on, without those that foretell the same as a better one.

    Such as a `gpm` that left its blocks out, which is the `hierarchical` that it started from.
    """
    kept: list[Candidate] = []
    for one in sorted(candidates, key=_first_loss):
        margin = one.draws[0].told.margin
        if all(np.abs(margin - other.draws[0].told.margin).max() > _SAME for other in kept):
            kept.append(one)
    return kept


def _shared(able: list[Candidate], taken: I64) -> tuple[list[Candidate], list[float]]:
    """Those that were taken, and the share of each."""
    used = np.flatnonzero(taken).tolist()
    return [able[i] for i in used], [float(x) for x in taken[used] / taken.sum()]


def judge_blend(one: Blended, number: int, draw: Draw, split: HeldOut) -> Judged | None:
    """How a blend does in a draw that all its members were judged in; None otherwise."""
    if any(len(m.draws) <= number for m in one.members):
        return None
    return _judged(one.members, one.shares, draw, split, number)


def _judged(
    members: Sequence[Candidate],
    shares: Sequence[float],
    draw: Draw,
    split: HeldOut,
    number: int,
) -> Judged:
    each = [m.draws[number] for m in members]
    told = Foretold(
        np.average([one.told.margin for one in each], axis=0, weights=shares),
        np.average([one.told.variance for one in each], axis=0, weights=shares),
        mean_answering([one.told.answering for one in each], shares),
    )
    seconds = sum(one.seconds for one in each)
    return Judged(told, losses_of(told, draw.judges, split), transitive=True, seconds=seconds)


def _first_loss(one: Candidate) -> float:
    return float(np.nanmean(one.draws[0].losses))
