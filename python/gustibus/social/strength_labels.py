"""From labels of items to dense numbers, once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from itertools import count
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gustibus import _core
from gustibus.errors import InputError

Labels: TypeAlias = Sequence[Any]
"""Label of every item; a `range` when items are numbers."""
Codes: TypeAlias = NDArray[Any]
"""Numbers of items in an integer type that the compiled core reads as it is."""

READABLE = ("uint8", "uint16", "uint32", "uint64", "int16", "int32", "int64")
SPARSE = 4
"""Integers spread over more than this many times their count are labels to be hashed."""


def intern(
    columns: dict[str, Any], items: int | Iterable[Hashable] | None = None
) -> tuple[list[Codes], Labels]:
    """Numbers `(n,)` of every column, and the labels that they stand for.

    Integer arrays are taken as they are when their range is small. Arrow dictionary columns and
    pandas categoricals lend their codes. Anything else is hashed, and numbered by first appearance.

    Args:
        columns: Columns by argument name: arrays, lists, pandas series, Arrow arrays.
        items: How many items there are (the columns then hold their numbers), or all labels.

    Raises:
        InputError: A column is not one-dimensional, holds missing or unhashable labels, or a label
            that is not among `items`.
    """
    known = None if items is None or isinstance(items, int) else _distinct(items)
    if isinstance(items, int) and items < 0:
        message = f"items: expected a number of at least 0 or labels, got {items}"
        raise InputError(message)
    read = {name: _read(name, column) for name, column in columns.items()}
    numbers = all(isinstance(c, np.ndarray) for c in read.values())
    if numbers and (known is None or not any(isinstance(label, int) for label in known)):
        arrays = _same_type([c for c in read.values() if isinstance(c, np.ndarray)])
        if known is not None:
            return arrays, known
        if isinstance(items, int):
            return arrays, range(items)
        if not _spread(arrays):
            return arrays, range(max((int(a.max()) + 1 for a in arrays if a.size), default=0))
    if isinstance(items, int):
        message = "items: expected labels, or integer columns with a number of items"
        raise InputError(message)
    return _hash(read, known)


class _Coded:
    """A column that already has codes into a short list of its own labels."""

    def __init__(self, codes: Codes, labels: list[Any]) -> None:
        self.codes, self.labels = codes, labels


def _read(name: str, column: Any) -> Codes | _Coded | list[Any]:
    """A column as integers, as codes with labels, or as a list of labels."""
    module = type(column).__module__.partition(".")[0]
    if module == "pyarrow":
        return _arrow(name, column)
    if module == "polars":
        return _arrow(name, column.to_arrow())
    if module == "pandas":
        return _pandas(name, column)
    if isinstance(column, str | bytes) or not hasattr(column, "__len__"):
        message = f"{name}: expected a column of labels, got {type(column).__name__}"
        raise InputError(message)
    if isinstance(column, list | tuple) and column and not isinstance(column[0], int):
        return column if isinstance(column, list) else list(column)
    array = np.asarray(column) if not isinstance(column, np.ndarray) else column
    if array.ndim != 1:
        message = f"{name}: expected one dimension, got shape {array.shape}"
        raise InputError(message)
    if array.dtype.kind in "iu":
        return array
    if array.dtype.kind == "f" and array.size == 0:
        return array.astype(np.int64)
    return list(column) if isinstance(column, list | tuple) else list(array.tolist())


def _arrow(name: str, column: Any) -> Codes | _Coded | list[Any]:
    if column.null_count:
        message = f"{name}: expected a label in every row, got {column.null_count} nulls"
        raise InputError(message)
    if type(column).__name__ == "ChunkedArray":
        column = column.combine_chunks()
        if type(column).__name__ == "ChunkedArray":  # older versions keep one chunk
            column = column.chunk(0) if column.num_chunks else column.cast("string")
    kind = str(column.type)
    if kind.startswith(("int", "uint")):
        return np.asarray(column.to_numpy(zero_copy_only=False))
    if not kind.startswith("dictionary"):
        column = column.dictionary_encode()
    codes = np.asarray(column.indices.to_numpy(zero_copy_only=False))
    return _Coded(codes, column.dictionary.to_pylist())


def _pandas(name: str, column: Any) -> Codes | _Coded | list[Any]:
    if not hasattr(column, "isna"):
        return _read(name, np.asarray(column))
    if bool(column.isna().any()):
        message = f"{name}: expected a label in every row, got missing values"
        raise InputError(message)
    values = column.values if hasattr(column, "values") else column
    if hasattr(values, "categories"):
        return _Coded(np.asarray(values.codes), list(values.categories))
    if hasattr(values, "__arrow_array__") and hasattr(values, "dtype"):
        try:
            return _arrow(name, values.__arrow_array__())
        except ImportError:  # pandas without Arrow
            pass
    array = np.asarray(values)
    return array if array.dtype.kind in "iu" else list(array.tolist())


def _same_type(arrays: list[Codes]) -> list[Codes]:
    """Arrays of one readable integer type, contiguous; those that are so already are not copied."""
    common = np.result_type(*arrays) if arrays else np.dtype(np.int64)
    if common.name not in READABLE:
        common = np.dtype(np.int32 if common.itemsize < 4 else np.int64)
    return [np.ascontiguousarray(a, dtype=common) for a in arrays]


def _spread(arrays: list[Codes]) -> bool:
    """Whether integers are too few for their range, or negative, so that they are labels."""
    rows = sum(a.size for a in arrays)
    filled = [a for a in arrays if a.size]
    most = max((int(a.max()) for a in filled), default=0)
    least = min((int(a.min()) for a in filled if a.dtype.kind == "i"), default=0)
    return least < 0 or most > SPARSE * rows + 1024


def _distinct(items: Iterable[Hashable]) -> list[Any]:
    labels = items.tolist() if isinstance(items, np.ndarray) else list(items)
    try:
        repeated = len(set(labels)) != len(labels)
    except TypeError as error:
        message = f"items: expected hashable labels, {error}"
        raise InputError(message) from error
    if repeated:
        message = "items: expected every label once, got a label twice"
        raise InputError(message)
    return labels


def _hash(
    read: dict[str, Codes | _Coded | list[Any]], known: list[Any] | None
) -> tuple[list[Codes], Labels]:
    """Numbers by one table over all columns, which numbers a new label when it meets it."""
    if all(
        isinstance(column, list) and column and type(column[0]) is str for column in read.values()
    ):
        names = _core.intern_strings(list(read.values()), known)  # type: ignore[arg-type]
        if names is not None:  # otherwise something is no string, or unknown
            return list(names[0]), tuple(names[1])
    number: dict[Any, int] = defaultdict(count().__next__)
    if known is not None:
        number = {label: i for i, label in enumerate(known)}
    codes = []
    for name, column in read.items():
        if isinstance(column, _Coded):
            codes.append(_numbers(name, column.labels, number)[column.codes])
        else:
            codes.append(
                _numbers(
                    name, column.tolist() if isinstance(column, np.ndarray) else column, number
                )
            )
    labels = tuple(number)
    if any(label is None or label != label for label in labels):  # NaN, too
        message = f"{' and '.join(read)}: expected a label in every row, got a missing one"
        raise InputError(message)
    return codes, labels


def _numbers(name: str, labels: list[Any], number: dict[Any, int]) -> NDArray[np.uint32]:
    try:
        return np.fromiter(map(number.__getitem__, labels), np.uint32, len(labels))
    except KeyError as error:
        message = f"{name}: expected labels among items, got {error.args[0]!r}"
        raise InputError(message) from None
    except TypeError as error:
        message = f"{name}: expected hashable labels, {error}"
        raise InputError(message) from error
