"""Tables to files, whole or not at all."""

from __future__ import annotations

import json
import os
import secrets
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from gustibus.data.files import require_pyarrow
from gustibus.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from gustibus.data.comparisons import Comparisons


def write_comparisons(comparisons: Comparisons, path: Path) -> None:
    """What `Comparisons.write` does: the columns of the layout `gustibus`."""
    columns = comparisons.decoded()
    columns["item_a"], columns["item_b"] = columns.pop("a"), columns.pop("b")
    if comparisons.item_texts != comparisons.item_ids:
        texts = np.array([*comparisons.item_texts, None], dtype=object)
        columns["response_a"], columns["response_b"] = texts[comparisons.a], texts[comparisons.b]
    write_table(columns, path)


def write_table(columns: Mapping[str, np.ndarray[Any, Any]], path: Path) -> None:
    """Columns of equal length as Parquet or JSON Lines.

    Raises:
        InputError: The ending of `path` is neither.
    """
    if path.suffix == ".parquet":
        write_whole(path, lambda file: _parquet(columns, file))
    elif path.suffix in {".jsonl", ".ndjson"}:
        write_whole(path, lambda file: _json_lines(columns, file))
    else:
        message = f"{path}: expected a name ending in .parquet or .jsonl"
        raise InputError(message, where=str(path))


def write_whole(path: Path, fill: Callable[[BinaryIO], None]) -> None:
    """Fill a temporary file beside `path` and rename it; nothing is left behind on failure."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        with temporary.open("xb") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _parquet(columns: Mapping[str, np.ndarray[Any, Any]], file: BinaryIO) -> None:
    pa = require_pyarrow()
    arrays = {}
    for name, column in columns.items():
        try:
            arrays[name] = pa.array(column.tolist() if column.dtype == object else column)
        except pa.ArrowException as error:
            message = f"column {name!r}: expected values of one type: {error}"
            raise InputError(message, where=name) from None
    pa.parquet.write_table(pa.table(arrays), file)


def _json_lines(columns: Mapping[str, np.ndarray[Any, Any]], file: BinaryIO) -> None:
    names = list(columns)
    encode = json.JSONEncoder(ensure_ascii=False, check_circular=False).encode
    for values in zip(*(column.tolist() for column in columns.values()), strict=True):
        row = {n: v for n, v in zip(names, values, strict=True) if v is not None}
        file.write(encode(row).encode() + b"\n")
