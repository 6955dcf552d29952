"""How strongly people preferred, and how much each answer counts for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gustibus.data.dataset import Dataset
from gustibus.errors import InputError
from gustibus.types import F64

MOST = 10.0
"""Answers that a single one counts for at most, however strong; a tenth is the least."""


@dataclass(frozen=True, slots=True)
class Strengths:
    """What a strength counts: `(strength / typical) ** exponent` answers.

    A preference that somebody calls strong is less often given by chance than one that they call
    slight, as two answers that agree are less often wrong than one. With an exponent of 0 all answers
    count alike.

    Attributes:
        column: of the comparisons that says the strengths.
        exponent: in `[0, 1]`.
        typical: strength that counts for one answer, above 0, in the units of the column.
    """

    column: str
    exponent: float
    typical: float

    @classmethod
    def fitted(cls, column: str, exponent: float, strength: F64) -> Strengths:
        """Such that the answers with a strength count for one in the mean.

        Args:
            column: its name.
            exponent: in `[0, 1]`.
            strength: `(n,)` of the answers to fit on; NaN where none was said.
        """
        said = strength[np.isfinite(strength)]
        if exponent == 0 or len(said) == 0:
            return cls(column, float(exponent), 1.0)
        return cls(column, float(exponent), float(np.mean(said**exponent) ** (1 / exponent)))

    @classmethod
    def of_json(cls, found: Mapping[str, Any]) -> Strengths:
        """As it is kept in a model's card."""
        return cls(str(found["column"]), float(found["exponent"]), float(found["typical"]))

    def weights(self, strength: F64) -> F64:
        """`(n,)` answers that each counts for, in `[1 / MOST, MOST]`; 1 where the strength is NaN."""
        said = np.isfinite(strength)
        found = np.ones(len(strength))
        found[said] = (strength[said] / self.typical) ** self.exponent
        return np.asarray(np.clip(found, 1 / MOST, MOST), np.float64)

    def applied(self, dataset: Dataset) -> Dataset:
        """The same comparisons, each with the weight that its strength gives it.

        A data set that has neither the column nor one named `strength`, as exports of the service do,
        stays as it is.
        """
        column = next((n for n in (self.column, "strength") if n in dataset.row_table), None)
        if column is None or self.exponent == 0:
            return dataset
        c = dataset.comparisons
        weight = c.weight * self.weights(strengths_of(dataset, column)).astype(np.float32)
        return replace(dataset, comparisons=replace(c, weight=weight))


def strengths_of(dataset: Dataset, column: str) -> F64:
    """Strengths `(n,)` of a further column of the comparisons; NaN where a cell is empty.

    A tie may say 0, which says nothing.

    Raises:
        InputError: there is no such column, or a cell holds something else than a number above 0; the
            message names the row.
    """
    if column not in dataset.row_table:
        message = f"strengths: no column {column!r}; further columns: {sorted(dataset.row_table)}"
        raise InputError(message, where="data.strengths")
    cells = dataset.row_table[column]
    c = dataset.comparisons
    found = np.full(len(c), np.nan)
    for row, cell in enumerate(cells.tolist()):
        if cell is None or cell == "" or cell != cell:
            continue
        try:
            value = float(cell)
        except (TypeError, ValueError):
            value = np.nan
        if value == 0 and c.target[row] == 0.5:
            continue
        if not 0 < value < np.inf:
            at = row if c.source_row is None else int(c.source_row[row])
            message = f"strengths: expected numbers above 0 in column {column!r}, got {cell!r} in row {at}"
            raise InputError(message, where="data.strengths")
        found[row] = value
    return found
