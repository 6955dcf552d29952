"""`gustibus export`: comparisons of one person or of all into a file."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from gustibus.cli.common import JsonOption, writable
from gustibus.cli.records import DatabaseOption, UrlOption
from gustibus.errors import ConfigError

Option = typer.Option
_ROWS = 5000
_COLUMNS = (
    "id", "user", "prompt", "item_a", "response_a", "item_b", "response_b", "outcome", "strength",
    "at", "source", "created_at", "key",
)  # fmt: skip


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("export")(export_command)


def export_command(
    *,
    output: Annotated[
        Path | None,
        Option(
            "--output", "-o", help="A .jsonl or .parquet file; without, JSON Lines go to stdout."
        ),
    ] = None,
    user: Annotated[str, Option(help="One person; without, everybody.")] = "",
    url: UrlOption = "",
    database: DatabaseOption = "",
    as_json: JsonOption = False,
) -> int:
    """Export comparisons, the oldest first, as `gustibus train` and `gustibus import` read them.

    Example: gustibus export -o comparisons.parquet --database sqlite:///gustibus.db
    """
    from gustibus.cli.common import emit
    from gustibus.cli.records import opened

    suffix = ".jsonl" if output is None else output.suffix.lower()
    if suffix not in (".jsonl", ".ndjson", ".parquet"):
        message = f"--output: expected a file ending in .jsonl or .parquet, got {output}"
        raise ConfigError(message, where="--output")
    if as_json and output is None:
        message = "--json: expected --output beside it, as the rows go to standard output"
        raise ConfigError(message, where="--json")
    if output is not None:
        writable(output, "--output")
    with opened(url, database) as records:
        if user:
            records.show(user)  # nobody of that name is exit code 3, not an empty file
        rows = records.comparisons(user or None)
        if output is None:
            _lines(rows, sys.stdout)
            return 0
        scratch = output.with_name(f".{output.name}.{os.getpid()}")
        try:
            if suffix == ".parquet":
                count = _parquet(rows, scratch)
            else:
                with scratch.open("w", encoding="utf-8") as file:
                    count = _lines(rows, file)
            scratch.replace(output)  # whole or not at all
        finally:
            scratch.unlink(missing_ok=True)
    if as_json:
        emit({"output": str(output), "comparisons": count})
    else:
        sys.stdout.write(f"{count} comparisons in {output}\n")
    return 0


def _lines(rows: Iterable[dict[str, Any]], file: Any) -> int:
    count = 0
    for row in rows:
        told = {name: value for name, value in row.items() if value is not None}
        file.write(json.dumps(told, ensure_ascii=True) + "\n")
        count += 1
    return count


def _parquet(rows: Iterator[dict[str, Any]], path: Path) -> int:
    """Write in row groups, then once more without the columns that nobody filled."""
    from gustibus.data.files import require_pyarrow

    pa = require_pyarrow()
    schema = pa.schema([(n, pa.float64() if n == "strength" else pa.string()) for n in _COLUMNS])
    first = path.with_name(path.name + ".1")
    count, filled = 0, {"user", "prompt", "outcome"}
    try:
        with pa.parquet.ParquetWriter(first, schema) as writer:
            while batch := list(islice(rows, _ROWS)):
                count += len(batch)
                filled |= {name for row in batch for name in _COLUMNS if row[name] is not None}
                writer.write_table(pa.Table.from_pylist(batch, schema))
        names = [name for name in _COLUMNS if name in filled]
        kept = pa.schema([schema.field(name) for name in names])
        with pa.parquet.ParquetFile(first) as file, pa.parquet.ParquetWriter(path, kept) as writer:
            for part in file.iter_batches(batch_size=_ROWS, columns=names):
                writer.write_table(pa.Table.from_batches([part], kept))
    finally:
        first.unlink(missing_ok=True)
    return count
