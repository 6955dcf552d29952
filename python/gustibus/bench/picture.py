"""The league as a picture: a panel a data set, the gain of every method over the pooled one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gustibus.evaluation.markdown import PARTS

if TYPE_CHECKING:
    from gustibus.bench.standings import Standing

_MARKS = "osD^vP*X<>"
_COLUMNS = 3


def draw(standings: Sequence[Standing], path: Path, *, part: str) -> bool:
    """Few-shot curves of new people; False where matplotlib is missing or nobody has a curve."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    shown = [s for s in standings if any(m.curve for m in s.report.methods)]
    if not shown:
        return False
    rows = -(-len(shown) // _COLUMNS)
    figure = Figure(figsize=(5 * _COLUMNS, 3.8 * rows), layout="constrained")
    lines: dict[str, Any] = {}
    every = [m.name for s in shown for m in s.report.methods if m.kind == "model"]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(every))}
    for place, standing in enumerate(shown):
        axes = figure.add_subplot(rows, _COLUMNS, place + 1)
        report = standing.report
        sizes = [n for n in report.sizes if any(m.point(part, n) for m in report.methods)]
        models = [m for m in report.methods if m.kind == "model"]
        for method in models:
            number = numbers[method.name]  # the same colour in every panel
            points = [
                (sizes.index(n), p) for n in sizes if (p := method.point(part, n)) is not None
            ]
            (line,) = axes.plot(
                [x for x, _ in points], [100 * p.accuracy.value for _, p in points],
                marker=_MARKS[number % len(_MARKS)], markersize=4, linewidth=1.2,
                color=f"C{number % 10}", linestyle="-" if number < 10 else "--",
            )  # fmt: skip
            lines.setdefault(method.name, line)
        axes.set_title(f"{standing.title} ({report.people['new']} new people)", fontsize=10)
        axes.set_xticks(range(len(sizes)), [str(n) for n in sizes])
        axes.grid(alpha=0.3)
    figure.supxlabel("answers that place a person")
    figure.supylabel(f"accuracy in %, {PARTS[part]}")
    figure.legend(
        [lines[name] for name in numbers if name in lines],
        [n for n in numbers if n in lines],
        loc="outside right upper",
        fontsize=8,
        frameon=False,
    )
    figure.savefig(path, dpi=130)
    return True
