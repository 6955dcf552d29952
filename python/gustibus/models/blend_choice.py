"""Which families to blend: those whose mean log-odds foretell best whom none of them was fitted on.

Source: Caruana et al. 2004, "Ensemble Selection from Libraries of Models", forward selection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gustibus.models.blend import BLEND, mean_answering
from gustibus.models.candidates import Candidate, Judged
from gustibus.models.judges import Draw
from gustibus.models.validation import Foretold, HeldOut, losses_of

MOST = 3
"""Members at most: each costs a fit, and time at serving."""


class Blended(Candidate):
    """A blend of candidates in equal shares."""

    def __init__(self, members: Sequence[Candidate], settings: Mapping[str, Any]) -> None:
        rows = [{"family": m.family, **settings.get(m.family, {}), **m.options} for m in members]
        super().__init__(BLEND, {"members": rows})
        self.members = tuple(members)

    @property
    def title(self) -> str:
        """The members' titles."""
        return f"{BLEND} of {' and '.join(m.title for m in self.members)}"


def blended(
    candidates: Sequence[Candidate], draw: Draw, split: HeldOut, settings: Mapping[str, Any]
) -> Blended | None:
    """The best blend of candidates that one draw of people has judged; None without a gain.

    Starts from the best candidate and takes, as long as that lowers the loss, the one with which it
    foretells best.

    Args:
        candidates: that the draw, the first, has judged.
        draw: its people.
        split: of the judging people's answers.
        settings: options of a family that all its fits have.
    """
    able = sorted((c for c in candidates if c.draws and c.draws[0].transitive), key=_first_loss)
    members, best = able[:1], _first_loss(able[0]) if able else np.inf
    while len(members) < min(MOST, len(able)):
        tried = [[*members, one] for one in able if one not in members]
        losses = [float(np.nanmean(_judged(each, draw, split, 0).losses)) for each in tried]
        if min(losses) >= best:
            break
        best, members = min(losses), tried[int(np.argmin(losses))]
    return Blended(members, settings) if len(members) > 1 else None


def judge_blend(one: Blended, number: int, draw: Draw, split: HeldOut) -> Judged | None:
    """How a blend does in a draw that all its members were judged in; None otherwise."""
    if any(len(m.draws) <= number for m in one.members):
        return None
    return _judged(one.members, draw, split, number)


def _judged(members: Sequence[Candidate], draw: Draw, split: HeldOut, number: int) -> Judged:
    each = [m.draws[number] for m in members]
    told = Foretold(
        np.mean([one.told.margin for one in each], axis=0),
        np.mean([one.told.variance for one in each], axis=0),
        mean_answering([one.told.answering for one in each], [1 / len(each)] * len(each)),
    )
    seconds = sum(one.seconds for one in each)
    return Judged(told, losses_of(told, draw.judges, split), transitive=True, seconds=seconds)


def _first_loss(one: Candidate) -> float:
    return float(np.nanmean(one.draws[0].losses))
