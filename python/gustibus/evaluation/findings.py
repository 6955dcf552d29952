"""What the figures say: controls of the data, and whether it can tell methods apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

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

    See `separation`, here on the headline part.
    """
    told = separation(methods, differences, parts=(headline,), focus=focus)
    reasons = list(told.reasons)
    here = [d for d in differences if d.part == headline and d.shots in (0, focus, ALL)]
    _rules(methods, here, reasons)
    personal = _personal(methods, reasons)
    reasons += [f"control `{c.name}` failed: {c.found}" for c in controls if c.passed is False]
    return Verdict(told.separates, personal, tuple(reasons))


class Separation(NamedTuple):
    """Whether anything can be told apart on a data set."""

    separates: bool
    reasons: tuple[str, ...]
    """What was looked at, and the figures."""


def separation(
    methods: Sequence[Method],
    differences: Sequence[Difference],
    *,
    parts: Sequence[str],
    focus: int,
) -> Separation:
    """Whether a data set tells methods apart, by what people's answers in some parts say.

    It does when both hold, each at a level of 5 % that allows for every figure looked at:

    1. some learned method is right more often than a coin, so that there is something to learn;
    2. two contenders are told apart in any of three ways, which share the level: a method from the
       pooled reward (the first learned method that knows no people), any two learned methods from
       each other, or a personal method from itself placed on another person's answers.

    Every pair of twenty methods is hundreds of comparisons, which a difference of ten points over
    forty people does not survive; the few that a benchmark is for, with the pooled reward and with
    another person's answers, are therefore asked on their own. Figures are those without answers,
    at `focus` and with all answers. A part on which a method without people is right on `SATURATED`
    of the answers leaves personal ones nothing to show and does not count.

    Args:
        methods: of a report.
        differences: of every pair of them.
        parts: in which contenders are compared.
        focus: shots.
    """
    full = [(part, *_saturated(methods, part)) for part in parts]
    reasons = [
        f"saturated: `{name}`, which knows no people, is right on {best:.3f} of `{part}`"
        for part, best, name in full
        if best >= SATURATED
    ]
    left = tuple(part for part, best, _ in full if best < SATURATED)
    if not left:
        return Separation(separates=False, reasons=tuple(reasons))
    learns = _beats_a_coin(methods, left, focus, reasons)
    learned = [m.name for m in methods if m.kind != "rule"]
    compared = [
        d for d in differences
        if d.part in left and d.shots in (0, focus, ALL)
        and {d.first, d.second} <= {*learned} and d.accuracy.error > 0
    ]  # fmt: skip
    pooled = next((m.name for m in methods if m.name in learned and not m.personal), None)
    ways = [
        _pairs_differ(compared, left, reasons),
        _over_pooled(compared, pooled, reasons),
        _swaps_cost(methods, reasons),
    ]
    return Separation(separates=learns and any(ways), reasons=tuple(reasons))


_WAYS = 3
"""In which contenders are told apart."""


def _saturated(methods: Sequence[Method], part: str) -> tuple[float, str]:
    """The best learned method without people on a part, and how often it is right."""
    pooled = [
        (c.accuracy.value, m.name) for m in methods if not m.personal and m.kind != "rule"
        if (c := m.cell(part)) is not None
    ]  # fmt: skip
    return max(pooled, default=(0.0, ""))


def _beats_a_coin(
    methods: Sequence[Method], parts: Sequence[str], focus: int, reasons: list[str]
) -> bool:
    """Whether any learned method is right more often than one time in two."""
    found = [
        (m.name, part, e.accuracy)
        for m in methods if m.kind != "rule"
        for part in parts
        for e in (m.cell(part), m.point(part, 0), m.point(part, focus))
        if e is not None and np.isfinite(e.accuracy.value)
    ]  # fmt: skip
    if not found:
        reasons.append(f"no learned method was judged on {_named(parts)}")
        return False
    beats = any(_less_half(e).is_above_zero(tests=len(found)) for _, _, e in found)
    if not beats:
        name, part, best = max(found, key=lambda one: one[2].value)
        reasons.append(
            f"no learned method is right more often than a coin beyond chance ({len(found)} "
            f"figures; the best is `{name}` on `{part}`: {show(best)}, over {best.people} people)"
        )
    return beats


def _pairs_differ(compared: Sequence[Difference], parts: Sequence[str], reasons: list[str]) -> bool:
    """Whether any two learned methods differ."""
    clear = [d for d in compared if _differs(d.accuracy, _WAYS * len(compared))]
    largest = _largest(clear or compared)
    if clear:
        reasons.append(
            f"{len(clear)} of {len(compared)} paired differences on {_named(parts)} are beyond "
            f"chance{largest}"
        )
        return True
    reasons.append(
        f"no two learned methods differ on {_named(parts)} beyond chance "
        f"({len(compared)} paired differences{largest})"
    )
    if any(d.accuracy.excludes_zero for d in compared):
        reasons.append(
            "an interval without 0 allows for one comparison, the verdict for all of them: more "
            "held-out people would tell"
        )
    return False


def _over_pooled(compared: Sequence[Difference], pooled: str | None, reasons: list[str]) -> bool:
    """Whether any learned method differs from the pooled reward."""
    found = [d for d in compared if pooled in (d.first, d.second)]
    clear = [d for d in found if _differs(d.accuracy, _WAYS * len(found))]
    if pooled is not None and found:
        reasons.append(
            f"{len(clear) or 'none'} of {len(found)} differences from the pooled reward `{pooled}` "
            f"{'is' if len(clear) < 2 else 'are'} beyond chance{_largest(clear or found)}"
        )
    return bool(clear)


def _swaps_cost(methods: Sequence[Method], reasons: list[str]) -> bool:
    """Whether any method does worse on another person's answers, with all of them or a few."""
    found = [
        (m.name, s.drop) for m in methods for s in (m.swap, m.few_swap) if s is not None
    ]  # fmt: skip
    clear = [one for one in found if one[1].is_above_zero(tests=_WAYS * len(found))]
    if found:
        name, most = max(clear or found, key=lambda one: one[1].value)
        reasons.append(
            f"{len(clear) or 'none'} of {len(found)} falls of accuracy with another person's answers "
            f"{'is' if len(clear) < 2 else 'are'} beyond chance; the largest is that of `{name}`: "
            f"{show(most, sign=True)}, over {most.people} people"
        )
    return bool(clear)


def _named(parts: Sequence[str]) -> str:
    return " and ".join(f"`{part}`" for part in parts)


def _less_half(e: Estimate) -> Estimate:
    """An accuracy less that of a coin."""
    return Estimate(e.value - 0.5, e.low - 0.5, e.high - 0.5, e.error, e.people)


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
