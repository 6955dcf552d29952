"""Few-shot curves: a panel a data set, with bands over people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gustibus.bench.pictures.canvas import GREY, Look, looks, panels, titled
from gustibus.evaluation.markdown import PARTS
from gustibus.evaluation.protocol import NEW_CELLS

if TYPE_CHECKING:
    from gustibus.bench.standings import League
    from gustibus.evaluation.report import Method

_PART = NEW_CELLS[0]
_BANDS = 2
"""Methods with bands. Those of more lie on top of each other: all judge the same few people."""


def draw_curves(league: League) -> Any:
    """Accuracy of new people by answers; None where nobody has a curve."""
    shown = [
        s for s in league.judged
        if any(p.part == _PART and p.shots > 0 for m in s.report.methods for p in m.curve)
    ]  # fmt: skip
    if not shown:
        return None
    look = looks(league)
    figure, every = panels(len(shown), width=4.4, height=3.5, columns=3, legend=1.7)
    lines: dict[str, Any] = {}
    for axes, standing in zip(every, shown, strict=True):
        report = standing.report
        sizes = [n for n in report.sizes if any(m.point(_PART, n) for m in report.methods)]
        models = [m for m in report.methods if m.kind == "model"]
        for method in sorted(models, key=lambda m: m.name in look):  # grey lines lie below
            place = [*look, method.name].index(method.name)
            line = _line(axes, method, sizes, look.get(method.name), place)
            lines[method.name if method.name in look else "other methods"] = line
        titled(axes, standing)
        axes.set_xticks(range(len(sizes)), [str(n) for n in sizes])
    names = [n for n in (*look, "other methods") if n in lines]
    figure.supxlabel("answers that place a person", fontsize=10)
    figure.supylabel(f"accuracy in %, {PARTS[_PART]}", fontsize=10)
    figure.legend(
        [lines[n] for n in names], names, loc="outside right upper", fontsize=8, frameon=False,
        title=f"bands and bars:\n{shown[0].report.level:.0%} over people", title_fontsize=8,
    )  # fmt: skip
    return figure


def _line(axes: Any, method: Method, sizes: list[int], look: Look | None, place: int) -> Any:
    """A method: the first ones with a band, further ones in colour with bars, others in grey."""
    points = [(sizes.index(n), p.accuracy) for n in sizes if (p := method.point(_PART, n))]
    x = np.array([at for at, _ in points], np.float64)
    value, low, high = 100 * np.array([(e.value, e.low, e.high) for _, e in points]).T
    if look is None:
        (line,) = axes.plot(x, value, color=GREY, linewidth=0.8)
        return line
    style = {"color": look.colour, "marker": look.mark, "markersize": 4, "linewidth": 1.3}
    (line,) = axes.plot(x, value, zorder=3, **style)
    if place < _BANDS:
        axes.fill_between(x, low, high, color=look.colour, alpha=0.13, linewidth=0)
        for edge in (low, high):
            axes.plot(x, edge, color=look.colour, linewidth=0.6, alpha=0.5)
    else:
        aside = x + 0.014 * (len(sizes) - 1) * (place - _BANDS + 1)
        axes.vlines(aside, low, high, color=look.colour, linewidth=0.8, alpha=0.7)
    return line
