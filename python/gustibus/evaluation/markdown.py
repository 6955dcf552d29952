"""A report as Markdown: what it says first, then tables with intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gustibus.evaluation.findings import show
from gustibus.evaluation.judging import ALL
from gustibus.evaluation.protocol import NEW_CELLS
from gustibus.evaluation.report import Cell, Flip, Method, Point, Report

PARTS = {
    "test": "seen people, known items",
    "test_new_items": "seen people, new items",
    "query": "new people, known items",
    "query_new_items": "new people, new items",
}
"""The four cells in words."""
_FIGURES = {
    "accuracy": "accuracy", "pooled_accuracy": "over answers", "log_loss": "log loss",
    "brier": "Brier", "calibration_error": "calibration error", "worst_decile": "worst decile",
}  # fmt: skip


def markdown(report: Report) -> str:
    """All tables of a report."""
    parts = [
        f"# Evaluation on {report.dataset}",
        _says(report),
        *(_curve(report, part) for part in NEW_CELLS if _shots(report, part)),
        _focus(report),
        *(_cell(report, part) for part in PARTS if any(m.cell(part) for m in report.methods)),
        _differences(report),
        _controls(report),
        _costs(report),
        _made(report),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others are figures."""
    marks = ["---", *["---:"] * (len(head) - 1)]
    lines = [head, marks, *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def yes(value: bool | None) -> str:  # noqa: FBT001 - the value is the subject
    """A finding in a word."""
    return "not asked" if value is None else "yes" if value else "no"


def _says(report: Report) -> str:
    found = report.verdict
    lines = [
        f"**Tells methods apart: {yes(found.separates)}. "
        f"Personal signal: {yes(found.personal_signal)}.**",
    ]
    if not found.separates:
        lines.append("\nThis benchmark cannot separate these methods; do not rank them by it.")
    return "\n".join([*lines, "", *(f"- {reason}" for reason in found.reasons)])


def _shots(report: Report, part: str) -> list[int]:
    """Sizes that any method has on a part."""
    return sorted({p.shots for m in report.methods for p in m.curve if p.part == part})


def _curve(report: Report, part: str) -> str:
    sizes = _shots(report, part)
    points = {s: next(filter(None, (m.point(part, s) for m in report.methods))) for s in sizes}
    rows = [
        [f"`{m.name}`", *(_value(m.point(part, s)) for s in sizes), _area(m, part)]
        for m in report.methods
    ]
    rows.append(["*people*", *(str(points[s].accuracy.people) for s in sizes), ""])
    rows.append(["*with too few answers*", *(str(points[s].left_out) for s in sizes), ""])
    return (
        f"## Accuracy after n answers: {PARTS[part]} (`{part}`)\n\n"
        f"Mean over people, {report.draws} nested draws of each person's answers, the same for "
        "every method; the area is the mean along the curve over log2(1 + n).\n\n"
        + table(["shots", *map(str, sizes), "area"], rows)
    )


def _value(point: Point | None) -> str:
    return "–" if point is None else show(point.accuracy)


def _area(method: Method, part: str) -> str:
    area = method.area(part)
    return f"{area:.3f}" if np.isfinite(area) else "–"


def _focus(report: Report) -> str:
    part, floor = report.headline, "linear"
    rows = []
    for m in report.methods:
        point = m.point(part, report.focus)
        if point is None:
            continue
        beside = report.difference(m.name, floor)
        rows.append([
            f"`{m.name}`", *(show(getattr(point, name)) for name in _FIGURES),
            show(point.gain, sign=True), show(point.harmed),
            "–" if beside is None else show(beside.harmed),
        ])  # fmt: skip
    if not rows:
        return ""
    head = [
        "method", *_FIGURES.values(), "gain over 0 shots", "people worse than at 0 shots",
        f"people worse than by `{floor}`",
    ]  # fmt: skip
    return f"## At {report.focus} shots: {PARTS[part]} (`{part}`)\n\n" + table(head, rows)


def _cell(report: Report, part: str) -> str:
    def row(method: Method, cell: Cell) -> list[str]:
        return [f"`{method.name}`", *(show(getattr(cell, name)) for name in _FIGURES)]

    cells = [(m, c) for m in report.methods if (c := m.cell(part)) is not None]
    first = cells[0][1]
    return (
        f"## {PARTS[part].capitalize()} (`{part}`)\n\n"
        f"{first.accuracy.people} people, {first.rows} answers; people are placed on all the "
        "answers that may place them.\n\n"
        + table(["method", *_FIGURES.values()], [row(m, c) for m, c in cells])
    )


def _differences(report: Report) -> str:
    part = report.headline
    found = [d for d in report.differences if d.part == part]
    names = [m.name for m in report.methods if m.kind != "rule"]
    pairs = dict.fromkeys((d.first, d.second) for d in found if {d.first, d.second} <= {*names})
    if not pairs:
        return ""
    sizes = sorted({d.shots for d in found}, key=lambda s: (s == ALL, s))
    by = {(d.first, d.second, d.shots): d.accuracy for d in found}
    rows = [
        [f"`{one}` − `{two}`",
         *(show(by[one, two, s], sign=True) if (one, two, s) in by else "–" for s in sizes)]
        for one, two in pairs
    ]  # fmt: skip
    head = ["shots", *("all" if s == ALL else str(s) for s in sizes)]
    return (
        f"## Differences of accuracy on `{part}`\n\n"
        "On the same people, rows and draws; an interval without 0 is a difference.\n\n"
        + table(head, rows)
    )


def _controls(report: Report) -> str:
    rows = []
    for m in report.methods:
        if m.swap is None:
            continue
        flip = "–" if m.flip is None else f"{show(m.flip.share)}, {_turned(m.flip)}"
        circles = "–" if m.cyclic_share is None else show(m.cyclic_share)
        blind = "–" if m.unshuffled_gain is None else show(m.unshuffled_gain, sign=True)
        few = "–" if m.few_swap is None else show(m.few_swap.drop, sign=True)
        rows.append([
            f"`{m.name}`", show(m.swap.own), show(m.swap.other), show(m.swap.drop, sign=True),
            yes(m.swap.personal), few, flip, blind, circles,
        ])  # fmt: skip
    head = [
        "method", "own answers", "another person's", "difference", "personal",
        f"difference at {report.focus} shots", "predictions turned by opposite answers",
        "over training on shuffled people", "preferences that run in circles",
    ]  # fmt: skip
    people = [table(head, rows), ""] if rows else []
    data = table(
        ["control", "found", "expected", "passed"],
        [[c.name, c.found, c.expected, yes(c.passed)] for c in report.controls],
    )
    return "\n".join([f"## Controls on `{report.headline}`", "", *people, data])


def _turned(flip: Flip) -> str:
    return "well over half" if flip.turned else "not well over half"


def _costs(report: Report) -> str:
    def number(value: float, digits: int) -> str:
        return f"{value:.{digits}f}" if np.isfinite(value) else "–"

    rows = [
        [f"`{m.name}`", m.family, number(m.fit_seconds, 1), number(m.place_microseconds, 1),
         str(m.bytes_per_person)] for m in report.methods
    ]  # fmt: skip
    head = ["method", "family", "fit, s", f"placing a person on {report.focus} shots, µs",
            "bytes a person"]  # fmt: skip
    return "## Costs\n\n" + table(head, rows)


def _made(report: Report) -> str:
    split = ", ".join(f"{name} {rows}" for name, rows in report.split.items())
    lost = ", ".join(f"{name} {rows}" for name, rows in report.dropped.items() if rows) or "none"
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    return (
        "## How it was made\n\n"
        f"- data digest `{report.digest}`; rows: {split}; left out: {lost}\n"
        f"- intervals: {report.level:.0%}, percentile bootstrap over people, {report.resamples} "
        f"draws, seed {report.seed}\n"
        f"- {versions}, {report.created}"
    )
