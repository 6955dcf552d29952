"""Columns of plain values into codes and numbers, with errors that name the cell."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from gustibus.data.files import Column
    from gustibus.data.origin import Origin
    from gustibus.types import F64, I32


class Coder:
    """Numbers strings in order of first appearance, over one or more columns."""

    def __init__(
        self,
        kind: str,
        origin: Origin,
        *,
        start: Iterable[str] = (),
        empty: bool = False,
        closed: bool = False,
    ) -> None:
        """Start a table.

        Args:
            kind: What is coded, for messages; also the column, unless `code` is told another.
            origin: What errors call the rows.
            start: Strings that get the first codes.
            empty: Whether the empty string is allowed; None then counts as it.
            closed: Whether a string that is not in `start` is an error.
        """
        self._kind = kind
        self._origin = origin
        self._empty = empty
        self._closed = closed
        self._codes: dict[str, int] = {}
        for name in start:
            self._codes.setdefault(name, len(self._codes))

    @property
    def names(self) -> tuple[str, ...]:
        """The strings by code."""
        return tuple(self._codes)

    def code(self, values: Column, *, column: str | None = None) -> I32:
        """`(n,)` codes of `values`; new strings are added to the table unless it is closed."""
        raw: dict[Any, int] = {}
        try:
            local = np.fromiter(
                (raw.setdefault(v, len(raw)) for v in values), np.int32, len(values)
            )
        except TypeError:  # something that cannot be a key, such as a list
            row = next(i for i, v in enumerate(values) if not isinstance(v, Hashable))
            raise self._problem(row, column, values[row]) from None
        table = np.empty(len(raw), dtype=np.int32)
        for value, position in raw.items():
            code = self._code_of(value)
            if code is None:
                row = int(np.flatnonzero(local == position)[0])
                raise self._problem(row, column, value)
            table[position] = code
        coded: I32 = table[local]
        return coded

    def _code_of(self, value: Any) -> int | None:
        """Code of one distinct value, or None where it is not acceptable."""
        if isinstance(value, int | np.integer) and not isinstance(value, bool):
            value = str(value)
        if value is None and self._empty:
            value = ""
        if not isinstance(value, str) or not encodable(value):
            return None
        if not self._empty and not value.strip():
            return None
        if self._closed:
            return self._codes.get(value)
        return self._codes.setdefault(value, len(self._codes))

    def _problem(self, row: int, column: str | None, value: Any) -> Exception:
        if isinstance(value, int | np.integer) and not isinstance(value, bool):
            value = str(value)
        known = self._closed and isinstance(value, str) and value.strip()
        expected = f"an id of the {self._kind} table" if known else "a non-empty string"
        if self._empty:
            expected = "a string"
        if isinstance(value, str) and not encodable(value):
            expected = "valid Unicode (no lone surrogates)"
        return self._origin.problem(row, column or self._kind, expected, value)


def numbers(
    values: Column, column: str, origin: Origin, expected: str, *, absent: float | None = None
) -> F64:
    """`(n,)` finite-or-infinite numbers; None and "" become `absent`, or are errors without it.

    Raises:
        InputError: A value is no number or, as `NotFiniteError`, is NaN.
    """
    if not (isinstance(values, np.ndarray) and values.dtype != object):
        values = [None if isinstance(v, str) and not v.strip() else v for v in values]
        if absent is not None:
            values = [absent if v is None else v for v in values]
    try:
        result = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        row = next(i for i, v in enumerate(values) if not _is_number(v))
        raise origin.problem(row, column, expected, values[row]) from None
    bad = np.flatnonzero(np.isnan(result))
    if len(bad):
        row = int(bad[0])
        raise origin.problem(row, column, expected, values[row], finite=values[row] is None)
    return result


def optional_text(values: Column, column: str, origin: Origin) -> np.ndarray[Any, Any]:
    """`(n,)` object array of non-empty str or None; integers become their digits."""
    result = np.empty(len(values), dtype=object)
    for row, value in enumerate(values):
        if value is None or value == "":
            continue
        if isinstance(value, int | np.integer) and not isinstance(value, bool):
            result[row] = str(value)
        elif isinstance(value, str) and encodable(value):
            result[row] = value
        else:
            raise origin.problem(row, column, "a string or nothing", value)
    return result


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return value is None
    return True


def encodable(value: str) -> bool:
    """Whether a string has no lone surrogates, so that it can be stored and hashed."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
