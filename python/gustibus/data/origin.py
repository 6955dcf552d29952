"""Where rows came from, so that every complaint about data names file, row and column."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np

from gustibus.errors import InputError, NotFiniteError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gustibus.types import I64

_SHOWN = 60
"""Longest value that is quoted whole in a message."""

MAPPING = (
    "other names can be mapped: --map user=their_name, in Python columns={'user': 'their_name'}"
)
"""What to do about columns that are called otherwise."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Name of a table, the number of each of its rows in the file, and its own column names."""

    name: str = "comparisons"
    rows: I64 | None = None
    """`(n,)` line or row number in the file, counted from 1; None: the index, in brackets."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """From the name that gustibus uses to the name in the file, where they differ."""

    def take(self, index: I64) -> Origin:
        """The origin of the rows at `index`."""
        return replace(self, rows=index if self.rows is None else self.rows[index])

    def at(self, row: int) -> str:
        """`file:row`, or `name[index]` where there is no file."""
        return f"{self.name}[{row}]" if self.rows is None else f"{self.name}:{self.rows[row]}"

    def problem(
        self, row: int, column: str, expected: str, got: object, *, finite: bool = True
    ) -> InputError:
        """The error for one cell; `finite=False` gives a `NotFiniteError`."""
        column = self.columns.get(column, column)
        kind = InputError if finite else NotFiniteError
        place = self.at(row)
        message = f"{place}: column {column!r}: expected {expected}, got {quoted(got)}"
        return kind(message, where=f"{place}:{column}")

    def missing(self, wanted: Iterable[Sequence[str]], found: Iterable[str]) -> InputError:
        """The error for absent columns; `wanted` lists the names that each may have."""
        found = sorted(found)
        lines = []
        for names in wanted:
            close = {c for n in names for c in get_close_matches(n, found, n=2, cutoff=0.7)}
            hint = f" (did you mean {sorted(close)}?)" if close else ""
            lines.append(f"{names[0]!r}, expected under one of the names {list(names)}{hint}")
        message = (
            f"{self.name}: missing column {' and column '.join(lines)}; found {found}; {MAPPING}"
        )
        return InputError(message, where=self.name)


def quoted(value: Any) -> str:
    """`repr(value)`, shortened."""
    text = repr(value.item() if isinstance(value, np.generic) else value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
