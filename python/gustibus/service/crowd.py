"""Everybody who has answered, with the group that is told of each, and who of them is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gustibus.service.peoplegroups import group_of, shares
from gustibus.service.peoplemap import MOST, Plane, draw_by_group, project
from gustibus.service.smallgroups import left_out, told_apart
from gustibus.types import F32, I64, Bool

if TYPE_CHECKING:
    from gustibus.service.serving import Serving
    from gustibus.service.state import State


class Crowd(NamedTuple):
    """People who have answered under one model.

    Whatever shows single people shows those of `drawn`, and no others.
    """

    names: list[str]
    means: F32
    """`(n, u)`."""
    counts: I64
    """`(n,)` answers."""
    of: I64
    """`(n,)` row of the group that most probably holds each."""
    apart: Bool
    """`(g,)` whether a group is told under its own name."""
    hidden: Bool
    """`(n,)` whether somebody is not drawn."""

    @property
    def label(self) -> I64:
        """`(n,)` number of the group that is told of each, from 1; 0 for those told together."""
        return np.asarray(np.where(self.apart[self.of], self.of + 1, 0), np.int64)

    def drawn(self, most: int = MOST) -> I64:
        """Rows of those who are drawn, by name; of very many, the same share of every group."""
        rows = np.flatnonzero(~self.hidden)
        chosen = draw_by_group([self.names[row] for row in rows], self.label[rows], most)
        return rows[chosen]

    @property
    def plane(self) -> Plane:
        """Where everybody is on the map."""
        return project(self.means)


async def crowd_of(state: State, serving: Serving) -> Crowd:
    """Everybody who has answered by now."""
    read = state.people.answered()

    def sort_out() -> Crowd:
        names, means, counts = read()
        of = group_of(serving.model.prior, means)
        apart = told_apart(np.bincount(of, minlength=len(shares(serving.model.prior))))
        return Crowd(names, means, counts, of, apart, left_out(names, of, apart))

    return await state.threads.background(sort_out)
