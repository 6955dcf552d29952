"""Arrivals in compressed rows, and conversion of arrays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gustibus.errors import InputError
from gustibus.types import F64, I64

_ITEM_TYPES = (np.dtype(np.int64), np.dtype(np.uint32), np.dtype(np.int32))
_NUMBER_TYPES = (np.dtype(np.float64), np.dtype(np.float32))


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Edges of `m` arrivals; arrival `v` owns edges `indptr[v]` up to `indptr[v + 1]`.

    Attributes:
        indptr: `(m + 1,)`, rises from 0 to the number of edges.
        items: `(edges,)`, item numbers, each once in a row, in any order.
        values: `(edges,)`, a probability, bid or weight per edge, or None where all are 1.
    """

    indptr: I64
    items: Any
    values: F64 | None = None

    @classmethod
    def of(cls, rows: Iterable[Any], values: Iterable[Any] | None = None) -> Arrivals:
        """Arrivals from one sequence of item numbers each, and one of values each.

        Examples:
            >>> Arrivals.of([[0, 2], [], [1]]).indptr.tolist()
            [0, 2, 2, 3]
        """
        lists = [_row("rows", row, np.int64) for row in rows]
        indptr = np.zeros(len(lists) + 1, np.int64)
        np.cumsum([len(row) for row in lists], out=indptr[1:])
        flat = np.concatenate([np.zeros(0, np.int64), *lists])
        if values is None:
            return cls(indptr, flat)
        numbers = [_row("values", row, np.float64) for row in values]
        if [len(row) for row in numbers] != [len(row) for row in lists]:
            message = "values: expected as many values in every row as items"
            raise InputError(message, where="values")
        return cls(indptr, flat, np.concatenate([np.zeros(0), *numbers]))

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def row(self, arrival: int) -> tuple[Any, F64 | None]:
        """Items and values of one arrival."""
        part = slice(int(self.indptr[arrival]), int(self.indptr[arrival + 1]))
        return self.items[part], None if self.values is None else self.values[part]

    def take(self, first: int, last: int) -> Arrivals:
        """Arrivals `first` up to `last`."""
        start, end = int(self.indptr[first]), int(self.indptr[last])
        values = None if self.values is None else self.values[start:end]
        return Arrivals(self.indptr[first : last + 1] - start, self.items[start:end], values)


def _row(name: str, row: Any, kind: type[np.generic]) -> Any:
    try:
        if isinstance(row, np.ndarray) and row.dtype.kind == "c":  # its real part would be taken
            raise TypeError
        return np.asarray(row, dtype=kind).ravel()
    except (TypeError, ValueError, OverflowError):
        message = f"{name}: expected numbers in every row, got {row!r}"
        raise InputError(message, where=name) from None


def rectangular(name: str, value: Any) -> Any:
    """An array of what was given.

    Raises:
        InputError: rows differ in length, or a number is too large for any type.
    """
    try:
        return np.asarray(value)
    except (ValueError, OverflowError):
        message = f"{name}: expected rows of one length, got rows of several"
        raise InputError(message, where=name) from None


def whole_numbers(name: str, array: Any) -> Any:
    """One dimension of item numbers in a type that the core reads."""
    array = rectangular(name, array)
    if array.size == 0 and array.ndim == 1:
        return array.astype(np.int64)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        message = (
            f"{name}: expected one dimension of whole numbers, "
            f"got {array.dtype} of shape {array.shape}"
        )
        raise InputError(message, where=name)
    if array.dtype in _ITEM_TYPES:
        return array
    return array.astype(np.int64)


def numbers(name: str, array: Any) -> Any:
    """One dimension of floating-point numbers in a type that the core reads."""
    array = rectangular(name, array)
    if array.ndim != 1 or array.dtype.kind not in "fiub":
        message = (
            f"{name}: expected one dimension of numbers, got {array.dtype} of shape {array.shape}"
        )
        raise InputError(message, where=name)
    return array if array.dtype in _NUMBER_TYPES else array.astype(np.float64)


def boundaries(array: Any) -> I64:
    """Row boundaries as `int64`."""
    return np.asarray(whole_numbers("indptr", array), dtype=np.int64)


def per_item(name: str, value: Any, n: int | None = None) -> F64:
    """`(n,)` numbers from one number or an array."""
    array = rectangular(name, value)
    if array.ndim == 0 and n is not None:
        array = np.full(n, array)
    array = np.ascontiguousarray(numbers(name, array), dtype=np.float64)
    if n is not None and len(array) != n:
        message = f"{name}: expected shape ({n},), got ({len(array)},)"
        raise InputError(message, where=name)
    return array
