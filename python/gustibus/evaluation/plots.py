"""A report as pictures: few-shot curve, calibration, people by accuracy. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gustibus.errors import MissingExtraError
from gustibus.evaluation.judging import HISTOGRAM
from gustibus.evaluation.markdown import PARTS
from gustibus.evaluation.report import Method, Report

_MARKS = "osD^vP*X<>"


def save_plots(report: Report, folder: Path) -> list[str]:
    """Write the pictures that the report has figures for.

    Returns:
        Their file names.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    drawn: dict[str, Callable[[Report, Any], bool]] = {
        "curve.png": _curve, "calibration.png": _calibration, "people.png": _people,
    }  # fmt: skip
    names = []
    for name, draw in drawn.items():
        figure = _figure()
        axes = figure.add_subplot()
        if draw(report, axes):
            axes.grid(alpha=0.3)
            figure.savefig(folder / name, dpi=150)
            names.append(name)
    return names


def _figure() -> Any:
    """A figure of its own, without a window and without the state of pyplot."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError.of("matplotlib", "train") from None
    return Figure(figsize=(7, 4.5), layout="constrained")


def _curve(report: Report, axes: Any) -> bool:
    part = report.headline
    shown = [m for m in report.methods if any(p.part == part for p in m.curve)]
    if not shown:
        return False
    sizes = [s for s in report.sizes if any(m.point(part, s) for m in shown)]
    for place, method in enumerate(shown):
        points = [p for s in sizes if (p := method.point(part, s)) is not None]
        x = [sizes.index(p.shots) for p in points]
        style = {"marker": _MARKS[place % len(_MARKS)], "markersize": 5, **_line(method)}
        (line,) = axes.plot(x, [p.accuracy.value for p in points], label=method.name, **style)
        axes.fill_between(
            x, [p.accuracy.low for p in points], [p.accuracy.high for p in points],
            color=line.get_color(), alpha=0.12, linewidth=0,
        )  # fmt: skip
    axes.set_xticks(range(len(sizes)), [str(s) for s in sizes])
    axes.set_xlabel("answers that place a person")
    axes.set_ylabel("accuracy, mean over people")
    axes.set_title(f"{report.dataset}: {PARTS[part]}, {report.level:.0%} intervals over people")
    axes.legend(fontsize=8)
    return True


def _calibration(report: Report, axes: Any) -> bool:
    shown = _learned(report)
    axes.plot([0.5, 1], [0.5, 1], color="0.6", linewidth=1)
    for place, method in enumerate(shown):
        cell = method.cell(report.headline)
        assert cell is not None, "chosen for having it"
        axes.plot(
            [b.confidence for b in cell.bins], [b.accuracy for b in cell.bins],
            marker=_MARKS[place % len(_MARKS)], markersize=5,
            label=f"{method.name} ({cell.calibration_error.value:.3f})", **_line(method),
        )  # fmt: skip
    axes.set_xlabel("probability of the side thought likelier")
    axes.set_ylabel("share of these answers that were right")
    axes.set_title(f"{report.dataset}: calibration, {PARTS[report.headline]} (error)")
    axes.legend(fontsize=8)
    return bool(shown)


def _people(report: Report, axes: Any) -> bool:
    shown = _learned(report)
    edges = np.linspace(0, 1, HISTOGRAM + 1)
    for method in shown:
        cell = method.cell(report.headline)
        assert cell is not None, "chosen for having it"
        axes.stairs(cell.histogram, edges, label=method.name, linewidth=1.5)
    axes.set_xlabel("a person's accuracy")
    axes.set_ylabel("people")
    axes.set_title(f"{report.dataset}: people by accuracy, {PARTS[report.headline]}")
    axes.legend(fontsize=8)
    return bool(shown)


def _learned(report: Report) -> Sequence[Method]:
    """Methods that read features and were judged on the headline part."""
    return [
        m for m in report.methods
        if m.kind != "rule" and (c := m.cell(report.headline)) is not None and c.bins
    ]  # fmt: skip


def _line(method: Method) -> dict[str, Any]:
    """Models in full lines, baselines dashed, rules dotted."""
    return {"linestyle": {"model": "-", "baseline": "--"}.get(method.kind, ":")}
