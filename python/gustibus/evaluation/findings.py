"""What the figures say: controls of the data, and whether it can tell methods apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gustibus.data.leaks import HELD_OUT
from gustibus.evaluation.controls import always_first, duplicates
from gustibus.evaluation.intervals import Estimate, Resamples
from gustibus.evaluation.judging import ALL, Judge
from gustibus.evaluation.protocol import judge_cells
from gustibus.evaluation.report import Control, Difference, Method, Verdict
from gustibus.evaluation.surface import length_rule, surface_rule
from gustibus.models.base import TrainingSet

SATURATED = 0.98
"""Accuracy of a method without people above which nothing is left for personal ones to show."""
_POSITION = 0.02


def data_controls(judge: Judge, train: TrainingSet) -> list[Control]:
    """Position, surface and duplicates: whether answers can be told without reading the texts."""
    return [_position(judge), _surface(judge, train), _duplicates(judge)]


def _position(judge: Judge) -> Control:
    right, rows = always_first(judge.trial)
    found = Resamples(len(rows), judge.draws, judge.trial.seed).ratio(right, rows)
    near = found.low <= 0.5 + _POSITION and found.high >= 0.5 - _POSITION
    return Control(
        "position", near, f'"always a" is right on {show(found)} of the answers',
        f"within {_POSITION} of 0.5",
    )  # fmt: skip


def _surface(judge: Judge, train: TrainingSet) -> Control:
    """A classifier on surface features against the length rule, on the same people.

    On new items where the split has any: on known ones it may recognise items by their length.
    """
    dataset = judge.trial.dataset
    judged = [name for group in judge.trial.groups for name in group.cells]
    fresh = [name for name in reversed(HELD_OUT) if name in judged]
    part = fresh[0] if fresh else judge.trial.headline
    expected = "no better than the length rule"
    if len({len(text) for text in dataset.comparisons.item_texts}) < 2:
        return Control("surface", None, "the texts do not differ in length", expected)
    length = judge_cells(judge.trial, length_rule(dataset, train))[part][0]
    surface = judge_cells(judge.trial, surface_rule(dataset, train))[part][0]
    over = judge.over(part)
    gain = over.mean(surface.accuracy - length.accuracy)
    return Control(
        "surface", gain.low <= 0,
        f"length, marks and format are right on {show(over.mean(surface.accuracy))} of `{part}`, "
        f"length alone on {show(over.mean(length.accuracy))}, difference {show(gain, sign=True)}",
        expected,
    )  # fmt: skip


def _duplicates(judge: Judge) -> Control:
    split = judge.trial.split
    count = duplicates(judge.trial.dataset, split)
    return Control(
        "duplicates", count == 0, f"{count} held-out {split.unit}s have the text of a fitted one",
        "none",
    )  # fmt: skip


def verdict(
    methods: Sequence[Method],
    differences: Sequence[Difference],
    controls: Sequence[Control],
    *,
    headline: str,
    focus: int,
) -> Verdict:
    """Whether the data set tells methods apart, and whether people's own answers matter.

    Methods are compared without answers, at `focus` and with all answers; the level of each
    comparison allows for their number.
    """
    differences = [d for d in differences if d.part == headline and d.shots in (0, focus, ALL)]
    reasons: list[str] = []
    separates = _separates(methods, differences, headline, reasons)
    _rules(methods, differences, reasons)
    personal = _personal(methods, reasons)
    reasons += [f"control `{c.name}` failed: {c.found}" for c in controls if c.passed is False]
    return Verdict(separates, personal, tuple(reasons))


def _separates(
    methods: Sequence[Method], differences: Sequence[Difference], headline: str, reasons: list[str]
) -> bool:
    learned = {m.name for m in methods if m.kind != "rule"}
    compared = [
        d for d in differences
        if {d.first, d.second} <= learned and d.accuracy.error > 0
    ]  # fmt: skip
    clear = [d for d in compared if _differs(d.accuracy, len(compared))]
    pooled = [
        (c.accuracy.value, m.name) for m in methods if not m.personal and m.name in learned
        if (c := m.cell(headline)) is not None
    ]  # fmt: skip
    best, name = max(pooled, default=(0.0, ""))
    if best >= SATURATED:
        reasons.append(
            f"saturated: `{name}`, which knows no people, is right on {best:.3f} of `{headline}`"
        )
    largest = _largest(clear or compared)
    if not clear:
        reasons.append(
            f"no two learned methods differ on `{headline}` beyond chance "
            f"({len(compared)} paired differences{largest})"
        )
        if any(d.accuracy.low > 0 or d.accuracy.high < 0 for d in compared):
            reasons.append(
                "an interval without 0 allows for one comparison, the verdict for all of them: more "
                "held-out people would tell"
            )
    else:
        reasons.append(
            f"{len(clear)} of {len(compared)} paired differences on `{headline}` are beyond "
            f"chance{largest}"
        )
    return bool(clear) and best < SATURATED


def _largest(differences: Sequence[Difference]) -> str:
    if not differences:
        return ""
    most = max(differences, key=lambda d: abs(d.accuracy.value))
    where = "all support" if most.shots == ALL else f"{most.shots} shots"
    return (
        f"; the largest is `{most.first}` minus `{most.second}` at {where}: "
        f"{show(most.accuracy, sign=True)}, over {most.accuracy.people} people"
    )


def _rules(
    methods: Sequence[Method], differences: Sequence[Difference], reasons: list[str]
) -> None:
    """Say so where a rule that reads no features beats everything that does."""
    learned = {m.name for m in methods if m.kind != "rule"}
    for rule in (m.name for m in methods if m.kind == "rule"):
        gains = [
            d.accuracy.low if d.first == rule else -d.accuracy.high
            for d in differences
            if d.shots == ALL and rule in (d.first, d.second) and {d.first, d.second} & learned
        ]
        if gains and min(gains) > 0:
            reasons.append(f"`{rule}`, which reads no features, does better than every method here")


def _personal(methods: Sequence[Method], reasons: list[str]) -> bool | None:
    swapped = [m for m in methods if m.swap is not None]
    if not swapped:
        return None
    for m in swapped:
        assert m.swap is not None, "filtered above"
        word = "drops" if m.swap.personal else "does not drop beyond chance"
        reasons.append(
            f"user-swap: accuracy of `{m.name}` {word} with another person's answers "
            f"({show(m.swap.drop, sign=True)})"
        )
    return any(m.swap.personal for m in swapped if m.swap is not None)


def _differs(found: Estimate, tests: int) -> bool:
    other = Estimate(-found.value, -found.high, -found.low, found.error, found.people)
    return found.is_above_zero(tests=tests) or other.is_above_zero(tests=tests)


def show(found: Estimate, *, sign: bool = False, digits: int = 3) -> str:
    """`0.712 [0.698, 0.726]`; a dash where nobody has the figure."""
    if not np.isfinite(found.value):
        return "–"
    form = f"{'+' if sign else ''}.{digits}f"
    value, low, high = (round(x, digits) + 0.0 for x in (found.value, found.low, found.high))
    return f"{value:{form}} [{low:{form}}, {high:{form}}]"  # adding 0 takes the sign from -0
