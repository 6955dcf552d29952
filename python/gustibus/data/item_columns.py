"""A file of numbers about items, such as what reward models gave them, and its rows for comparisons."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from gustibus.data.comparisons import Comparisons
from gustibus.data.files import Table, read_table
from gustibus.data.folder import rows_by_id
from gustibus.data.origin import quoted
from gustibus.errors import InputError
from gustibus.types import F64

ITEM_COLUMNS = ("item_id", "item", "text", "response")
"""What the column that names the item may be called, best first; the last two hold its text."""
_IDS = 2  # of them hold ids
_MOST = float(np.finfo(np.float32).max)  # heads are kept in single precision


@dataclass(frozen=True, slots=True)
class ItemColumns:
    """Columns of a file with a row an item."""

    table: Table
    rows: dict[str, int]
    """Row of each item, by its id or its text."""
    by_text: bool
    names: tuple[str, ...]
    """Of the other columns, as the file has them."""

    @classmethod
    def read(cls, path: str | Path) -> ItemColumns:
        """Read Parquet, JSON Lines, CSV or TSV; numbers are checked by `of`.

        Raises:
            NotFoundError: there is no such file.
            InputError: no column names the item, a name is none or occurs twice, or there is no
                other column.
        """
        table = read_table(path)
        named = next((name for name in ITEM_COLUMNS if name in table.columns), None)
        found = sorted(table.columns)
        if named is None:
            message = (
                f"{path}: expected a column {' or '.join(map(repr, ITEM_COLUMNS))} that names the "
                f"item, found {found}"
            )
            raise InputError(message, where=str(path))
        names = tuple(name for name in table.columns if name not in ITEM_COLUMNS)
        if not names:
            message = f"{path}: expected a column of numbers beside {named!r}, found {found}"
            raise InputError(message, where=str(path))
        rows = rows_by_id(table, (named,))
        return cls(table, rows, named in ITEM_COLUMNS[_IDS:], names)

    def of(self, comparisons: Comparisons, names: Sequence[str], *, gaps: bool) -> F64:
        """`(m, k)` numbers of the items of comparisons, whatever the order of the file's rows.

        Items of the file that nobody compared are left out; items that stand in the item table but
        in no comparison, and empty cells where `gaps` allows them, are NaN.

        Args:
            comparisons: with the items.
            names: `k` columns.
            gaps: whether a cell may be empty.

        Raises:
            InputError: an item that was compared has no row, there is no such column, or a cell is
                no finite number; the message names file, row and column.
        """
        columns = np.array([self._numbers(name, gaps=gaps) for name in names]).T  # (rows, k)
        called = comparisons.item_texts if self.by_text else comparisons.item_ids
        compared = np.unique(np.concatenate([comparisons.a, comparisons.b]))
        absent = [called[code] for code in compared if called[code] not in self.rows]
        if absent:
            message = (
                f"{self.table.origin.name}: no row for {len(absent)} of {len(compared)} items that "
                f"were compared, such as {quoted(absent[0])}"
            )
            raise InputError(message, where=self.table.origin.name)
        found = np.full((len(called), len(names)), np.nan)
        found[compared] = columns[[self.rows[called[code]] for code in compared]]
        return found

    def _numbers(self, name: str, *, gaps: bool) -> F64:
        if name not in self.names:
            raise unknown_column(self.table.origin.name, name, self.names)
        expected = "a finite number or nothing" if gaps else "a finite number"
        found = np.full(len(self.table), np.nan)
        for row, cell in enumerate(self.table.columns[name]):
            empty = cell is None or cell == "" or cell != cell
            try:
                found[row] = math.nan if empty else float(cell)
            except (TypeError, ValueError):
                raise self.table.origin.problem(row, name, expected, cell) from None
            if not (empty and gaps) and not abs(found[row]) <= _MOST:
                raise self.table.origin.problem(row, name, expected, cell, finite=False)
        return found


def unknown_column(file: str, name: str, known: Collection[str]) -> InputError:
    """The error for a column that a file does not have."""
    close = get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are {sorted(known)}"
    return InputError(f"{file}: no column {name!r}; {hint}", where=file)
