"""Parquet, JSON Lines and delimited text into columns that remember their row numbers."""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
import threading
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from gustibus.data.origin import Origin, quoted
from gustibus.errors import InputError, MissingExtraError, NotFoundError

if TYPE_CHECKING:
    from gustibus.types import I64

Column: TypeAlias = Sequence[Any] | np.ndarray[Any, Any]
"""One value per row: a list, or an array of numbers or objects. Absent values are None."""

SUFFIXES = (".parquet", ".jsonl", ".ndjson", ".csv", ".tsv")
"""Endings that `read_table` understands; the text forms also with `.gz` after them."""

_FIELD_LIMIT = threading.Lock()


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of equal length and where they came from."""

    columns: Mapping[str, Column]
    origin: Origin

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0


def read_table(path: str | Path) -> Table:
    """Read one file into columns.

    Args:
        path: A file whose name ends in one of `SUFFIXES`, text forms optionally with `.gz`.

    Returns:
        The columns; row numbers are line numbers for text (a record of several lines has the number
        of its first) and rows counted from 1 for Parquet.

    Raises:
        NotFoundError: There is no such file.
        InputError: Unknown ending, no rows, or the content cannot be decoded; the message names the
            file and, for text, the line.
        MissingExtraError: Parquet without pyarrow.
    """
    path = Path(path)
    if not path.is_file():
        message = f"{path}: no such file"
        raise NotFoundError(message, where=str(path))
    suffix = table_suffix(path)
    if suffix == ".parquet":
        table = _read_parquet(path)
    elif suffix in {".jsonl", ".ndjson"}:
        table = _read_json_lines(path)
    else:
        table = _read_delimited(path, "\t" if suffix == ".tsv" else ",")
    if not len(table):
        message = f"{path}: the file has no rows"
        raise InputError(message, where=str(path))
    return table


def table_suffix(path: Path) -> str:
    """The ending of `path` that says how to read it, without `.gz`."""
    suffixes = [s.lower() for s in path.suffixes]
    packed = bool(suffixes) and suffixes[-1] == ".gz"
    suffix = (suffixes[-2:-1] or [""])[0] if packed else (suffixes or [""])[-1]
    if suffix not in SUFFIXES or (packed and suffix == ".parquet"):
        message = f"{path}: expected a file ending in one of {list(SUFFIXES)}, or text with .gz"
        raise InputError(message, where=str(path))
    return suffix


def require_pyarrow() -> Any:
    """The `pyarrow` module with its Parquet part, or the error that says how to get it."""
    try:
        import pyarrow as pa
        import pyarrow.parquet
    except ImportError:
        raise MissingExtraError.of(package="pyarrow", extra="train") from None
    return pa


def _read_parquet(path: Path) -> Table:
    pa = require_pyarrow()
    try:
        with pa.parquet.ParquetFile(path) as file:
            table = file.read()
            columns = {name: _arrow_column(pa, table[name]) for name in table.column_names}
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        # The last two are of values that Python does not have: a year 20000, text that is not UTF-8.
        message = f"{path}: cannot be read as Parquet (truncated or not Parquet): {error}"
        raise InputError(message, where=str(path)) from None
    return Table(columns, Origin(str(path), np.arange(1, table.num_rows + 1)))


def _arrow_column(pa: Any, column: Any) -> Column:
    """Values of an Arrow column; equal strings are one Python object, which keeps rows cheap."""
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        coded = column.combine_chunks().dictionary_encode()
        if isinstance(coded, pa.ChunkedArray):
            coded = coded.combine_chunks() if coded.num_chunks != 1 else coded.chunk(0)
        values = np.array([*coded.dictionary.to_pylist(), None], dtype=object)
        codes = coded.indices.fill_null(len(values) - 1).to_numpy(zero_copy_only=False)
        shared: np.ndarray[Any, Any] = values[codes]
        return shared
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    if number and not column.null_count:
        plain: np.ndarray[Any, Any] = column.to_numpy()
        return plain
    listed: list[Any] = column.to_pylist()
    return listed


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Number and text of every line; strict UTF-8, with or without a byte order mark."""
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        message = f"{path}:{number}: not UTF-8: {error.reason} at byte {error.start} of the line"
        raise InputError(message, where=f"{path}:{number}") from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        message = f"{path}: cannot be unpacked (truncated or not gzip): {error}"
        raise InputError(message, where=str(path)) from None


def _read_json_lines(path: Path) -> Table:
    rows: list[dict[str, Any]] = []
    numbers: list[int] = []
    names: dict[str, None] = {}
    for number, line in _lines(path):
        if line.isspace():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            message = f"{path}:{number}: not valid JSON: {error}"
            raise InputError(message, where=f"{path}:{number}") from None
        except RecursionError:
            message = f"{path}:{number}: JSON is nested too deeply"
            raise InputError(message, where=f"{path}:{number}") from None
        if not isinstance(row, dict):
            message = f"{path}:{number}: expected a JSON object per line, got {quoted(row)}"
            raise InputError(message, where=f"{path}:{number}")
        rows.append(row)
        numbers.append(number)
        if row.keys() - names.keys():
            names.update(dict.fromkeys(row))
    columns = {name: [row.get(name) for row in rows] for name in names}
    return Table(columns, Origin(str(path), _numbered(numbers)))


def _read_delimited(path: Path, delimiter: str) -> Table:
    text = io.StringIO("".join(line for _, line in _lines(path)), newline="")
    with (
        _FIELD_LIMIT
    ):  # the limit is one setting of the whole process: 128 KiB, too short for texts
        before = csv.field_size_limit(sys.maxsize)
        try:
            header, rows, numbers = _records(
                path, csv.reader(text, delimiter=delimiter, strict=True)
            )
        finally:
            csv.field_size_limit(before)
    columns = dict(zip(header, map(list, zip(*rows, strict=True)), strict=False))
    return Table(columns, Origin(str(path), _numbered(numbers)))


def _records(path: Path, reader: Any) -> tuple[list[str], list[list[str]], list[int]]:
    """Header, rows and line numbers of delimited text, every row as wide as the header."""
    rows: list[list[str]] = []
    numbers: list[int] = []
    start = 1
    try:
        header: list[str] = next(reader, [])
        if len(set(header)) < len(header):
            message = f"{path}:1: a column name occurs twice in {header}"
            raise InputError(message, where=f"{path}:1")
        start = reader.line_num + 1
        for row in reader:
            if row and len(row) != len(header):
                message = f"{path}:{start}: expected {len(header)} fields, got {len(row)}"
                raise InputError(message, where=f"{path}:{start}")
            if row:
                rows.append(row)
                numbers.append(start)
            start = reader.line_num + 1
    except csv.Error as error:
        message = f"{path}:{start}: not well-formed delimited text: {error}"
        raise InputError(message, where=f"{path}:{start}") from None
    return header, rows, numbers


def _numbered(numbers: list[int]) -> I64:
    return np.asarray(numbers, dtype=np.int64)
