"""Ballots in data frames: a row per ballot and a column per place, or one column of lists."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gustibus.social.interning import Coded, Labels, code_lists, code_table, in_order


def library(values: Any) -> str:
    """The package that a value's type comes from."""
    return type(values).__module__.partition(".")[0]


def is_frame(values: Any) -> bool:
    """Whether a value is a data frame, a table or one of their columns."""
    return library(values) in ("pandas", "polars", "pyarrow")


def code_frame(frame: Any, labels: Labels | None) -> Coded:
    """Numbers of the ballots in a frame, a table, or a column of lists."""
    if not hasattr(frame, "columns"):
        return _code_column(frame, labels)
    columns = frame.columns  # of Arrow and polars: the data or the names; of pandas: the names
    named = [c if hasattr(c, "type") else frame[c] for c in columns]
    coded = [_dictionary(column) for column in named]
    names = {name for _, dictionary in coded for name in dictionary}
    if labels is None:
        met = (name for _, dictionary in coded for name in dictionary)
        union = in_order(names, met)
    else:
        union = labels
    if not names <= set(union):  # items called by number, or unknown ones: found with all others
        return code_table(_objects(coded), labels)
    number = {name: i for i, name in enumerate(union)}
    table = np.full((len(coded[0][0]), len(coded)), -1, np.int64)
    for place, (codes, dictionary) in enumerate(coded):
        lookup = np.array([number[name] for name in dictionary] + [-1], np.int64)
        table[:, place] = lookup[codes]
    used = code_table(table, tuple(range(len(union))))
    return Coded(used.starts, used.items, None, union)


def _dictionary(column: Any) -> tuple[NDArray[np.int64], list[Any]]:
    """Codes, -1 where a value is missing, and the values that they stand for."""
    if library(column) == "pandas":
        if hasattr(column.dtype, "categories"):
            used = column.cat.remove_unused_categories()
            return used.cat.codes.to_numpy(np.int64), used.cat.categories.tolist()
        codes, values = column.factorize()
        return codes.astype(np.int64), values.tolist()
    array = column.to_arrow() if library(column) == "polars" else column
    array = array.combine_chunks() if hasattr(array, "combine_chunks") else array
    encoded = array if hasattr(array, "dictionary") else array.dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    values = encoded.dictionary.to_pylist()
    used_codes = np.unique(codes[codes >= 0])
    short = np.full(len(values) + 1, -1, np.int64)
    short[used_codes] = np.arange(len(used_codes))
    return short[codes], [values[code] for code in used_codes]


def _objects(coded: list[tuple[NDArray[np.int64], list[Any]]]) -> NDArray[Any]:
    table = np.empty((len(coded[0][0]), len(coded)), object)
    for place, (codes, dictionary) in enumerate(coded):
        values = np.empty(len(dictionary) + 1, object)
        values[:-1] = dictionary
        table[:, place] = values[codes]
    return table


def _code_column(column: Any, labels: Labels | None) -> Coded:
    """A column with one list per ballot; nested lists are tied items."""
    if library(column) == "pandas":
        return code_lists(column.tolist(), labels)
    array = column.to_arrow() if library(column) == "polars" else column
    return code_lists([ballot or [] for ballot in array.to_pylist()], labels)
