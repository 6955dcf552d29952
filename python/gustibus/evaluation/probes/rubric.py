"""Rubrics: test points named by criterion and sub-criterion, each met or not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gustibus.data.arrays import texts
from gustibus.errors import InputError
from gustibus.methods import method

SEPARATOR = " - "
"""Between a criterion and its sub-criterion."""


@dataclass(frozen=True, slots=True)
class Rubric(Mapping[str, float]):
    """Counts of test points by name; a mapping of `overall` and every criterion to its accuracy.

    `rubric["Style"]` is an accuracy, `rubric.sub_criteria["Attribute - Color"]` another.
    """

    met: Mapping[str, int]
    """Test points that were met, by full name."""
    asked: Mapping[str, int]
    """Test points that were judged, by full name."""

    @property
    def criteria(self) -> dict[str, float]:
        """Accuracy of each criterion, pooled over its test points, in order of name."""
        met: dict[str, int] = {}
        asked: dict[str, int] = {}
        for name, total in self.asked.items():
            criterion = name.split(SEPARATOR)[0]
            met[criterion] = met.get(criterion, 0) + self.met[name]
            asked[criterion] = asked.get(criterion, 0) + total
        return {name: met[name] / asked[name] for name in sorted(asked)}

    @property
    def sub_criteria(self) -> dict[str, float]:
        """Accuracy of each test point that has a sub-criterion, in order of name."""
        return {
            name: self.met[name] / self.asked[name]
            for name in sorted(self.asked)
            if SEPARATOR in name
        }

    @property
    def overall(self) -> float:
        """Mean of the criteria."""
        found = self.criteria
        return sum(found.values()) / len(found)

    def __add__(self, other: Rubric) -> Rubric:
        """Two runs together: their counts added."""
        names = sorted({*self.asked, *other.asked})
        return Rubric(
            {name: self.met.get(name, 0) + other.met.get(name, 0) for name in names},
            {name: self.asked.get(name, 0) + other.asked.get(name, 0) for name in names},
        )

    def __getitem__(self, name: str) -> float:
        return {"overall": self.overall, **self.criteria, **self.sub_criteria}[name]

    def __iter__(self) -> Iterator[str]:
        return iter({"overall": None, **self.criteria, **self.sub_criteria})

    def __len__(self) -> int:
        return 1 + len(self.criteria) + len(self.sub_criteria)


@method(
    "PROBES",
    source="Wang et al. 2025, Pref-GRPO (UniGenBench); the overall score is this project's",
    purpose="Share of a rubric's test points that responses meet, by criterion and sub-criterion",
    check="tests/methods/test_probes_rubric.py::test_the_worked_rubric",
    example="ops.rubric_scores(points=[['Style', 'Attribute - Color']], verdicts=[[1, 0]])",
    laws=("user_renaming", "row_order", "perfect"),
)
def rubric_scores(points: Sequence[Sequence[str]], verdicts: Sequence[Sequence[int]]) -> Rubric:
    """Accuracy per sub-criterion, per criterion pooled over its points, and their mean.

    Args:
        points: names of each item's test points, `Criterion` or `Criterion - sub-criterion`.
        verdicts: of a judge on each, 1 or 0.

    Raises:
        InputError: a list of verdicts has another length than its points, or holds something else.
    """
    for given, value in (("points", points), ("verdicts", verdicts)):
        if not all(isinstance(row, Sequence | np.ndarray) for row in value):
            message = f"{given}: expected a list for each item, got {value!r:.80}"
            raise InputError(message, where=given)
    if len(points) != len(verdicts):
        message = f"verdicts: expected a list for each of {len(points)} items, got {len(verdicts)}"
        raise InputError(message, where="verdicts")
    met: dict[str, int] = {}
    asked: dict[str, int] = {}
    for row, (names, said) in enumerate(zip(points, verdicts, strict=True)):
        if len(names) != len(said):
            message = f"verdicts[{row}]: expected {len(names)} verdicts, got {len(said)}"
            raise InputError(message, where="verdicts")
        for name, verdict in zip(texts(f"points[{row}]", names), said, strict=True):
            if verdict not in (0, 1):
                message = f"verdicts[{row}]: expected 0 or 1, got {verdict!r:.40}"
                raise InputError(message, where="verdicts")
            met[name] = met.get(name, 0) + int(verdict)
            asked[name] = asked.get(name, 0) + 1
    if not asked:
        message = "points: expected at least one test point, got none"
        raise InputError(message, where="points")
    return Rubric(met, asked)
