"""What the pictures of a league share: panels, and which methods are in colour.

Importing this file needs no matplotlib; drawing does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gustibus.bench.claims import POOLED
from gustibus.evaluation.protocol import NEW_CELLS
from gustibus.models.automatic_options import AUTO

if TYPE_CHECKING:
    from gustibus.bench.standings import League, Standing

GREY = "0.72"
"""Of methods that only the tables name."""
MOST = 6
"""Methods in colour: more of them, with their bands, are not told apart by eye."""
# black, blue, vermilion, green, purple, orange of Okabe and Ito 2008, whose order keeps neighbours
# apart for every kind of colour vision; marks say the same without colour
_LOOKS = (
    ("#000000", "o"), ("#0072B2", "s"), ("#D55E00", "D"), ("#009E73", "^"), ("#CC79A7", "v"),
    ("#E69F00", "P"),
)  # fmt: skip


class Look(NamedTuple):
    """Of a method, the same in every panel and picture."""

    colour: str
    mark: str


def looks(league: League) -> Mapping[str, Look]:
    """Methods in colour: the choice, the pooled one, and those of the best mean rank."""
    models = {m.name: m for s in league.judged for m in s.report.methods if m.kind == "model"}
    ranks: dict[str, list[int]] = {name: [] for name in models}
    for s in league.judged:
        part = known(s)
        found = {n: e.value for n in models if (e := s.accuracy(n, part, league.focus)) is not None}
        for rank, name in enumerate(sorted(found, key=lambda n: -found[n])):
            ranks[name].append(rank)
    first = [name for name in (AUTO, POOLED) if name in models]
    others = sorted(
        (n for n in models if n not in first and ranks[n]), key=lambda n: float(np.mean(ranks[n]))
    )
    return {
        name: Look(*look)
        for name, look in zip([*first, *others][:MOST], _LOOKS, strict=False)
    }  # fmt: skip


def known(standing: Standing) -> str:
    """The cell that pictures show: new people on known items, or what there is."""
    return NEW_CELLS[0] if standing.has_cell(NEW_CELLS[0]) else standing.report.headline


def panels(
    count: int, *, width: float, height: float, columns: int, legend: float = 0.0
) -> tuple[Any, Sequence[Any]]:
    """A figure and its axes, row by row.

    Args:
        count: panels.
        width: of one, in inches.
        height: of one, in inches.
        columns: at most that many beside each other.
        legend: inches beside the panels.
    """
    from matplotlib.figure import Figure

    across = min(count, columns)
    down = -(-count // across)
    figure = Figure(
        figsize=(width * across + legend, height * down + 0.4), layout="constrained"
    )  # fmt: skip
    axes = [figure.add_subplot(down, across, place + 1) for place in range(count)]
    for one in axes:
        one.grid(alpha=0.25, linewidth=0.6)
        one.spines[["top", "right"]].set_visible(False)
        one.tick_params(labelsize=8)
    return figure, axes


def titled(axes: Any, standing: Standing, note: str = "") -> None:
    """Name a panel by its data set and the people behind it, and by what else is to be known of it."""
    title = f"{standing.title} ({standing.report.people['new']} new people)"
    axes.set_title(f"{title}\n{note}" if note else title, fontsize=10)
