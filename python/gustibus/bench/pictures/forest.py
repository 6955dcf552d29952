"""Forest plot: the lead of the automatic choice over each other method, paired by person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gustibus.bench.pictures.canvas import known, panels, titled
from gustibus.models.automatic_options import AUTO

if TYPE_CHECKING:
    from gustibus.bench.standings import League, Standing
    from gustibus.evaluation.intervals import Estimate

_AHEAD, _BEHIND, _LEVEL = ("#0072B2", "o"), ("#D55E00", "X"), ("0.45", "s")
_SIDES = ((_AHEAD, f"`{AUTO}` ahead"), (_LEVEL, "interval holds 0"), (_BEHIND, "behind"))


def draw_forest(league: League) -> Any:
    """Leads at the focus shots, a panel a data set; None without an automatic choice."""
    leads = {s.title: _leads(s, league) for s in league.judged}
    shown = [s for s in league.judged if leads[s.title]]
    if not shown:
        return None
    mean = {
        name: float(np.mean([leads[s.title][name].value for s in shown if name in leads[s.title]]))
        for name in league.methods if any(name in leads[s.title] for s in shown)
    }  # fmt: skip
    order = sorted(mean, key=lambda name: mean[name])  # the nearest rival on top
    figure, every = panels(
        len(shown), width=3.6, height=1.1 + 0.2 * len(order), columns=4, legend=0.6
    )
    for place, (axes, standing) in enumerate(zip(every, shown, strict=True)):
        _panel(axes, standing, leads[standing.title], order)
        if not standing.has_shots(known(standing), league.focus):
            titled(axes, standing, standing.answers(known(standing), league.focus))
        axes.set_yticks(range(len(order)), order if place % min(len(shown), 4) == 0 else [])
    figure.supxlabel(
        f"accuracy of {AUTO} less that of the other method, in points,\nafter {league.focus} answers; "
        f"{shown[0].report.level:.0%} over people; arrows leave the panel", fontsize=8.5,
    )  # fmt: skip
    handles = [
        every[0].plot([], [], linestyle="", marker=mark, color=colour, label=label.replace("`", ""))[0]
        for (colour, mark), label in _SIDES
    ]  # fmt: skip
    figure.legend(handles=handles, loc="outside upper right", ncols=3, fontsize=8, frameon=False)
    return figure


def _leads(standing: Standing, league: League) -> dict[str, Estimate]:
    """Of the automatic choice, by the name of the other."""
    part = known(standing)
    found = {n: standing.lead(AUTO, n, part, league.focus) for n in league.methods if n != AUTO}
    return {n: e for n, e in found.items() if e is not None and np.isfinite(e.value)}


def _panel(axes: Any, standing: Standing, leads: dict[str, Estimate], order: list[str]) -> None:
    """Markers and intervals; what lies far outside the others is an arrow with its figure."""
    left, right = _ends(standing, leads)
    axes.axvline(0, color="0.2", linewidth=0.8)
    for row, name in enumerate(order):
        if name not in leads:
            continue
        e = leads[name]
        colour, mark = _AHEAD if e.low > 0 else _BEHIND if e.high < 0 else _LEVEL
        value, low, high = 100 * e.value, 100 * e.low, 100 * e.high
        for end, arrow, out in ((left, "<", low < left), (right, ">", high > right)):
            if out:
                axes.plot(end, row, marker=arrow, color=colour, markersize=5, linestyle="")
        if left <= value <= right:
            ends = [max(low, left), min(high, right)]
            axes.plot(ends, [row, row], color=colour, linewidth=1.3)
            axes.plot(value, row, marker=mark, color=colour, markersize=4.5, linestyle="")
            continue
        end, side = (right, 1) if value > right else (left, -1)
        axes.annotate(
            f"{value:+.1f}", (end, row), (-6 * side, 0), textcoords="offset points",
            ha="right" if side > 0 else "left", va="center", fontsize=7, color=colour,
        )  # fmt: skip
    margin = 0.05 * (right - left)
    axes.set_xlim(left - margin, right + margin)
    axes.set_ylim(len(order) - 0.5, -0.5)
    titled(axes, standing)


def _ends(standing: Standing, leads: dict[str, Estimate]) -> tuple[float, float]:
    """Points to the left and to the right that hold the intervals of nine methods in ten.

    One method far behind would otherwise press all others onto the line. Rules, which read no
    features, do not count.
    """
    kinds = {m.name: m.kind for m in standing.report.methods}
    counted = [e for name, e in leads.items() if kinds[name] != "rule"] or [*leads.values()]
    left = min(100 * float(np.quantile([e.low for e in counted], 0.1)), 0.0)
    right = max(100 * float(np.quantile([e.high for e in counted], 0.9)), 0.0)
    room = max(0.15 * (right - left), 0.1)
    return left - room, right + room
