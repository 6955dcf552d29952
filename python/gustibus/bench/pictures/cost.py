"""What methods cost: seconds to fit against microseconds to place a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gustibus.bench.pictures.canvas import GREY, looks, panels, titled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gustibus.bench.standings import League, Standing

_LEAST_SECONDS = 0.05
"""Faster fits are drawn here: their time is that of reading the clock."""
_PLACES = [
    (side * x, y)
    for y in (0, 8, -8, 15, -15, 22, -22, 29, -29)
    for x, side in ((6, 1), (6, -1))
]  # fmt: skip
"""Where a name may stand, in points from its mark; the first that is free."""


class _Spot(NamedTuple):
    """A mark that is named."""

    name: str
    x: float
    y: float
    colour: str
    is_lane: bool
    """Whether it stands left of the dotted line, where names are written to the right alone."""


def draw_cost(league: League) -> Any:
    """A panel a data set, both axes logarithmic; None where nobody was placed.

    A method without a personal part places nobody; it stands left of the dotted line.
    """
    costs = {s.title: _costs(s) for s in league.judged}
    shown = [s for s in league.judged if any(place > 0 for _, place, _ in costs[s.title])]
    if not shown:
        return None
    look = looks(league)
    figure, every = panels(len(shown), width=5.2, height=4.2, columns=3)
    for axes, standing in zip(every, shown, strict=True):
        found = costs[standing.title]
        least = min(place for _, place, _ in found if place > 0)
        nobody = least / 8
        axes.set_xscale("log")
        axes.set_yscale("log")
        if any(place <= 0 for _, place, _ in found):
            axes.axvline(least / 2, color="0.5", linewidth=0.8, linestyle=":")
        spots = []
        for name, place, fit in found:
            x, y = place if place > 0 else nobody, max(fit, _LEAST_SECONDS)
            colour, mark = look.get(name, ("0.35", "o"))
            axes.plot(x, y, marker=mark, color=colour if name in look else GREY,
                      markeredgecolor=colour, markersize=5.5, linestyle="")  # fmt: skip
            spots.append(_Spot(name, x, y, colour, place <= 0))
        axes.margins(0.16, 0.1)
        axes.minorticks_off()
        titled(axes, standing)
        _name(figure, axes, spots)
    figure.supxlabel(
        "microseconds to place a person (left of the dotted line: nobody is placed)", fontsize=10
    )
    figure.supylabel("seconds to fit", fontsize=10)
    return figure


def _costs(standing: Standing) -> list[tuple[str, float, float]]:
    """`(name, microseconds, seconds)` of methods whose fit was timed."""
    return [
        (m.name, m.place_microseconds if m.personal else 0.0, m.fit_seconds)
        for m in standing.report.methods
        if np.isfinite(m.fit_seconds) and (np.isfinite(m.place_microseconds) or not m.personal)
    ]


def _name(figure: Any, axes: Any, spots: Sequence[_Spot]) -> None:
    """Write the names beside the marks, where they do not cover each other."""
    figure.draw_without_rendering()  # panels have their final size
    scale = figure.dpi / 72
    marks = [axes.transData.transform((x, y)) / scale for _, x, y, _, _ in spots]
    taken = [(x - 4, y - 4, x + 4, y + 4) for x, y in marks]
    for (name, x, y, colour, lane), (left, up) in zip(spots, marks, strict=True):
        wide = 4.4 * len(name)

        def box(
            dx: float, dy: float, *, wide: float = wide, at: Any = (left, up)
        ) -> tuple[float, float, float, float]:
            start = at[0] + dx if dx > 0 else at[0] + dx - wide
            return start, at[1] + dy - 4, start + wide, at[1] + dy + 4

        places = [place for place in _PLACES if place[0] > 0 or not lane]
        free = [place for place in places if not any(_cover(box(*place), one) for one in taken)]
        dx, dy = (free or places)[0]
        taken.append(box(dx, dy))
        axes.annotate(
            name, (x, y), (dx, dy), textcoords="offset points", fontsize=7.5, color=colour,
            ha="left" if dx > 0 else "right", va="center",
            arrowprops=None if abs(dy) < 12 else {"arrowstyle": "-", "color": GREY, "lw": 0.5},
        )  # fmt: skip


def _cover(one: Sequence[float], other: Sequence[float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
