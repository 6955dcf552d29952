"""How right a model is on comparisons that are trusted, and whether another is as good there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gustibus.artifact import Artifact
from gustibus.data import Dataset
from gustibus.errors import InputError
from gustibus.evaluation.contenders import Modelled
from gustibus.evaluation.rows import people_with, rows_of
from gustibus.types import F64, Bool

LOSS, GROUP_LOSS = 0.005, 0.02
"""Of accuracy, what a candidate may lose on all answers and on those of a group."""
GROUP_PEOPLE = 50
"""Fewest people of a group that is looked at."""
_EXACT = 1e-9  # of an accuracy, below which two are the same


@dataclass(frozen=True, slots=True)
class Figure:
    """How right a model is on some answers."""

    accuracy: float
    """Share in [0, 1] of the answers other than ties; a margin of 0 is half right."""
    answers: int
    people: int


@dataclass(frozen=True, slots=True)
class GoldenFigures:
    """How right a model is on a golden set, in all and for each of its large groups of people."""

    overall: Figure
    groups: Mapping[str, Figure]

    def as_json(self) -> dict[str, Any]:
        """Plain values, for `from_json`."""
        groups = {name: _plain(one) for name, one in self.groups.items()}
        return {"overall": _plain(self.overall), "groups": groups}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> GoldenFigures:
        """Figures from what `as_json` made of them."""
        groups = {name: Figure(**one) for name, one in value["groups"].items()}
        return cls(Figure(**value["overall"]), groups)


def _plain(one: Figure) -> dict[str, Any]:
    return {"accuracy": one.accuracy, "answers": one.answers, "people": one.people}


def golden_figures(
    artifact: Artifact, dataset: Dataset, groups: Mapping[str, str] | None = None
) -> GoldenFigures:
    """How right a model is on a golden set, whomever it was trained on.

    Everybody is placed twice, on every other one of their answers, and judged on those between; who gave a
    single answer is judged as the population. So two models are compared on the same answers, and neither
    by what it knew of these people.

    Args:
        artifact: the model.
        dataset: the golden set, with features of the model's encoder.
        groups: of people, by their names; people without one are in none.

    Raises:
        InputError: there is no answer other than ties.
    """
    c = dataset.comparisons
    people = people_with(dataset, np.flatnonzero(c.weight > 0))
    everything = rows_of(dataset, np.arange(len(c)), people)
    place = np.arange(len(everything.row)) - np.repeat(everything.starts[:-1], everything.counts)
    odd = np.asarray(place % 2 == 1)
    contender = Modelled.of("golden", artifact, dataset)
    right: F64 = np.full(len(everything.row), np.nan)
    for mine in (odd, ~odd):
        judged = everything.keep(mine)
        margin = contender.predict(everything.keep(~mine), judged).margin
        target = c.target[judged.row].astype(np.float64) - 0.5
        right[mine] = np.where(target == 0, np.nan, (np.sign(margin * target) + 1) / 2)
    told = np.isfinite(right)
    if not told.any():
        message = "golden: expected answers other than ties, got none"
        raise InputError(message, where="golden")
    names = np.array([(groups or {}).get(c.user_ids[code], "") for code in people], object)
    of_row = names[everything.person]
    large = [
        name for name in sorted(set(names.tolist()) - {""})
        if len(np.unique(everything.person[told & (of_row == name)])) >= GROUP_PEOPLE
    ]  # fmt: skip
    return GoldenFigures(
        _figure(right, everything.person, told),
        {name: _figure(right, everything.person, told & (of_row == name)) for name in large},
    )


def _figure(right: F64, person: Any, rows: Bool) -> Figure:
    return Figure(float(right[rows].mean()), int(rows.sum()), len(np.unique(person[rows])))


def losses(candidate: GoldenFigures, champion: GoldenFigures) -> Sequence[str]:
    """What a candidate loses more of than it may, in words; nothing where it may take the champion's place.

    Args:
        candidate: of the same golden set as those of the champion.
        champion: of the version in its place now.
    """
    compared = [("the golden set", candidate.overall, champion.overall, LOSS)]
    compared += [
        (f"group {name!r}", candidate.groups[name], one, GROUP_LOSS)
        for name, one in sorted(champion.groups.items()) if name in candidate.groups
    ]  # fmt: skip
    return [
        f"{name}: right on {100 * ours.accuracy:.2f} % of {ours.answers} answers, the champion on "
        f"{100 * theirs.accuracy:.2f} %; at most {100 * allowed:g} points less are allowed"
        for name, ours, theirs, allowed in compared
        if theirs.accuracy - ours.accuracy > allowed + _EXACT
    ]
