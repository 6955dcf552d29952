"""Reports of several methods on the same people as one, so that one of them can be judged again."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

from gustibus.evaluation.findings import verdict
from gustibus.evaluation.intervals import Resamples
from gustibus.evaluation.judging import Paired, correct_swaps, paired
from gustibus.evaluation.protocol import NEW_CELLS
from gustibus.evaluation.report import Difference, Method, Report

Kept = Mapping[tuple[str, int], Paired]
"""Figures of people by part and number of shots."""


def without(report: Report, names: Collection[str]) -> Report:
    """A report that never heard of some methods."""
    return _concluded(
        report,
        [m for m in report.methods if m.name not in names],
        [d for d in report.differences if d.first not in names and d.second not in names],
    )


def merged(
    kept: Report, new: Report, scores: Mapping[str, Kept], *, order: Sequence[str] = ()
) -> Report:
    """Two reports of the same people, rows and draws.

    A method that both have comes from the new one if it is a model, or if its scores were not kept;
    rows of the others are as they were, to the last digit. Differences between a kept method and a
    new one are made from scores, those whose scores are missing are left out. Which personal signal
    is beyond chance hangs on the number of methods and is decided again.

    Args:
        kept: what there was.
        new: what was judged now; data, split, settings and controls are taken from it.
        scores: of people, by method; those of all new methods are among them.
        order: names in the order of the tables; others come after them.
    """
    fresh = {m.name: m for m in new.methods}
    stay = {
        m.name: m for m in kept.methods
        if m.name not in fresh or (m.kind != "model" and m.name in scores)
    }  # fmt: skip
    methods = _ordered([*(fresh | stay).values()], order)
    over = {True: _draws(new, "new"), False: _draws(new, "seen")}
    of_kept, of_new = _pairs(kept), _pairs(new)
    differences: list[Difference] = []
    for first, second in combinations([m.name for m in methods], 2):
        if (first in stay) == (second in stay):
            pairs = of_kept if first in stay else of_new
            differences += pairs.get((first, second), ()) or pairs.get((second, first), ())
        elif first in scores and second in scores:
            differences += [
                paired(
                    over[where[0] in NEW_CELLS], where,
                    (first, scores[first][where]), (second, scores[second][where]),
                )
                for where in scores[first] if where in scores[second]
            ]  # fmt: skip
    return _concluded(new, methods, differences)


def _concluded(
    report: Report, methods: Sequence[Method], differences: Sequence[Difference]
) -> Report:
    """The report with other methods, and what hangs on all of them decided again."""
    decided = correct_swaps(methods)
    return replace(
        report, methods=tuple(decided), differences=tuple(differences),
        verdict=verdict(
            decided, differences, report.controls, headline=report.headline, focus=report.focus
        ),
    )  # fmt: skip


def _ordered(methods: Sequence[Method], order: Sequence[str]) -> list[Method]:
    """Models, baselines, rules; those in `order` first among their like."""
    kinds = ("model", "baseline", "rule")
    place = {name: n for n, name in enumerate(dict.fromkeys(order))}
    return sorted(methods, key=lambda m: (kinds.index(m.kind), place.get(m.name, len(place))))


def _draws(report: Report, who: str) -> Resamples:
    return Resamples(report.people[who], report.resamples, report.seed, report.level)


def _pairs(report: Report) -> dict[tuple[str, str], list[Difference]]:
    """The differences of each two methods, as they are kept."""
    found: dict[tuple[str, str], list[Difference]] = {}
    for one in report.differences:
        found.setdefault((one.first, one.second), []).append(one)
    return found
