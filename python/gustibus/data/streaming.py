"""Rows of a file one by one, however long it is; a broken row is a value, not the end."""

from __future__ import annotations

import csv
import gzip
import json
import os
import sys
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO

from gustibus.data.files import require_pyarrow, table_suffix
from gustibus.data.origin import quoted
from gustibus.errors import InputError, NotFoundError

_BATCH = 1000  # rows of Parquet that are in memory
_BYTES = 16 << 20  # of them, as far as the file tells how long rows are
MOST_ROW = 1 << 20
"""Most characters of a row of Parquet; a few bytes of it can stand for as many texts as one likes."""


@dataclass(frozen=True, slots=True)
class Row:
    """One record.

    Attributes:
        number: its line, or its row counted from 1 for Parquet.
        values: by column, absent ones left out; or what is wrong with the record.
        position: bytes of the file, or rows, that are read.
        size: of the file in the same unit.
    """

    number: int
    values: dict[str, Any] | InputError
    position: int
    size: int


def rows_of(path: str | Path) -> Iterator[Row]:
    """Records of Parquet, JSON Lines or delimited text, in order, in memory that does not grow.

    Args:
        path: a file whose name ends as `read_table` wants it, text forms optionally with `.gz`.

    Raises:
        NotFoundError: there is no such file.
        InputError: unknown ending, or nothing of the file can be read.
        MissingExtraError: Parquet without pyarrow.
    """
    path = Path(path)
    if not path.is_file():
        message = f"{path}: no such file"
        raise NotFoundError(message, where=str(path))
    suffix = table_suffix(path)
    if suffix == ".parquet":
        return _parquet(path)
    if suffix in {".jsonl", ".ndjson"}:
        return _json_lines(path)
    return _delimited(path, "\t" if suffix == ".tsv" else ",")


def is_packed(path: Path) -> bool:
    """Whether a file is gzip, by its name."""
    return path.suffix.lower() == ".gz"


def opened(path: Path) -> gzip.GzipFile | BufferedReader:
    """A file for reading; one that is gzip is unpacked, and its positions are of what it holds."""
    return gzip.open(path) if is_packed(path) else path.open("rb")


def _parquet(path: Path) -> Iterator[Row]:
    pa = require_pyarrow()
    try:
        with pa.parquet.ParquetFile(path) as file:
            size, number, told = file.metadata.num_rows, 0, file.metadata
            length = sum(told.row_group(i).total_byte_size for i in range(told.num_row_groups))
            texts = [field.name for field in file.schema_arrow if _is_text(pa, field.type)]
        rows = max(1, min(_BATCH, _BYTES * size // max(length, 1)))
        with pa.parquet.ParquetFile(path, read_dictionary=texts) as file:
            for batch in file.iter_batches(batch_size=rows):
                columns = [_cells_of(pa, column) for column in batch.columns]
                for cells in zip(*columns, strict=True):
                    number += 1
                    yield Row(number, _kept(path, number, batch.schema.names, cells), number, size)
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        # The last two are of values that Python does not have: a year 20000, text that is not UTF-8.
        message = f"{path}: cannot be read as Parquet (truncated or not Parquet): {error}"
        raise InputError(message, where=str(path)) from None


def _is_text(pa: Any, kind: Any) -> bool:
    return any(
        test(kind)
        for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary)
    )  # fmt: skip


def _cells_of(pa: Any, column: Any) -> list[Any]:
    """Values of a column; equal texts are one object, however often they stand in the file."""
    if not pa.types.is_dictionary(column.type):
        listed: list[Any] = column.to_pylist()
        return listed
    column.validate(full=True)  # a damaged file may name texts that it does not have
    texts = [*column.dictionary.to_pylist(), None]
    return [texts[code] for code in column.indices.fill_null(len(texts) - 1).to_pylist()]


def _kept(
    path: Path, number: int, names: list[str], cells: tuple[Any, ...]
) -> dict[str, Any] | InputError:
    """The record in a row, or what is wrong with it."""
    if sum(len(cell) for cell in cells if isinstance(cell, str | bytes)) > MOST_ROW:
        place = f"{path}:{number}"
        return InputError(f"{place}: longer than {MOST_ROW} characters", where=place)
    return {name: cell for name, cell in zip(names, cells, strict=True) if cell is not None}


@dataclass(slots=True)
class _Lines:
    """Lines of a file, and how far it is read."""

    path: Path
    raw: BinaryIO
    size: int

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from gzip.GzipFile(fileobj=self.raw) if is_packed(self.path) else self.raw
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            message = f"{self.path}: cannot be unpacked (truncated or not gzip): {error}"
            raise InputError(message, where=str(self.path)) from None

    def close(self) -> None:
        self.raw.close()

    @classmethod
    def of(cls, path: Path) -> _Lines:
        raw = path.open("rb")
        return cls(path, raw, os.fstat(raw.fileno()).st_size)


def _json_lines(path: Path) -> Iterator[Row]:
    with closing(_Lines.of(path)) as lines:
        done = 0
        for number, line in enumerate(lines, start=1):
            done += len(line)
            if not line.strip(b" \t\r\n\xef\xbb\xbf"):
                continue
            yield Row(number, _object(f"{path}:{number}", line), min(done, lines.size), lines.size)


def _object(place: str, line: bytes) -> dict[str, Any] | InputError:
    try:
        value = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return InputError(f"{place}: not UTF-8: {error.reason} at byte {error.start}", where=place)
    except (ValueError, RecursionError) as error:
        return InputError(f"{place}: not valid JSON: {error}", where=place)
    if not isinstance(value, dict):
        message = f"{place}: expected a JSON object per line, got {quoted(value)}"
        return InputError(message, where=place)
    return {name: cell for name, cell in value.items() if cell is not None}


def _delimited(path: Path, delimiter: str) -> Iterator[Row]:
    csv.field_size_limit(sys.maxsize)  # the library's own is too short for texts
    with closing(_Lines.of(path)) as lines:
        done = 0

        def texts() -> Iterator[str]:
            nonlocal done
            for line in lines:
                done += len(line)
                yield line.decode("utf-8-sig" if done == len(line) else "utf-8", "strict")

        reader = csv.reader(texts(), delimiter=delimiter, strict=True)
        start = 1
        try:
            header = next(reader, [])
            if not header or len(set(header)) < len(header):
                message = f"{path}:1: expected a header of different names, got {header}"
                raise InputError(message, where=f"{path}:1")
            start = reader.line_num + 1
            for cells in reader:
                if cells:
                    values = _cells(f"{path}:{start}", header, cells)
                    yield Row(start, values, min(done, lines.size), lines.size)
                start = reader.line_num + 1
        except (csv.Error, UnicodeDecodeError) as error:
            message = f"{path}:{start}: not well-formed delimited text: {error}"
            raise InputError(message, where=f"{path}:{start}") from None


def _cells(place: str, header: list[str], cells: list[str]) -> dict[str, Any] | InputError:
    if len(cells) != len(header):
        message = f"{place}: expected {len(header)} fields, got {len(cells)}"
        return InputError(message, where=place)
    return {name: cell for name, cell in zip(header, cells, strict=True) if cell != ""}
