"""A file of JSON lines sent to a service as it is, from wherever an earlier run was stopped."""

from __future__ import annotations

import gzip
import json
import sys
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from gustibus.data.files import table_suffix
from gustibus.data.streaming import is_packed, opened
from gustibus.errors import InputError

if TYPE_CHECKING:
    from gustibus.client import Client
    from gustibus.client.calls.imports import Import

_PART = 4 << 20
"""Bytes that are sent together; a part is sent again when the connection is lost."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of records."""

    read: int
    accepted: int
    duplicates: int
    rejected: int
    skipped: int = 0

    @property
    def words(self) -> str:
        """The counts."""
        return f"{self.accepted} accepted, {self.duplicates} duplicates, {self.rejected} rejected"


def can_stream(file: Path) -> bool:
    """Whether the service reads the file as it is."""
    return table_suffix(file) in {".jsonl", ".ndjson"}


def stream(
    client: Client, file: Path, columns: Mapping[str, str], target: Path, *, by_id: bool
) -> Counts:
    """Send a file and write down what was refused; one that is gzip is sent so, part by part.

    The import is named after the file and what it holds, so that the same command goes on where an
    earlier one was stopped; one that was finished is begun anew, and finds duplicates.

    Raises:
        InputError: the file cannot be unpacked.
    """
    from gustibus.cli.progress import Bars

    packed, size = is_packed(file), file.stat().st_size
    found = _begun(client, file, columns, by_id=by_id)
    try:
        with file.open("rb") as raw, Bars() as bars:
            data = gzip.GzipFile(fileobj=raw) if packed else raw
            data.seek(found.resume_from)
            part = b""
            while found.state != "done":
                before = found.resume_from
                part += data.read(_PART - len(part))
                found = client.imports.send(
                    found.id, part, start=before, final=len(part) < _PART, compress=packed
                )
                part = part[found.resume_from - before :]  # a record that is not whole yet
                words = Counts(found.rows, found.accepted, found.duplicates, found.rejected).words
                bars.show("importing", raw.tell(), size, words)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        message = f"{file}: cannot be unpacked (truncated or not gzip): {error}"
        raise InputError(message, where=str(file)) from None
    if found.rejected:
        _write_down(client, found, file, target)
    return Counts(found.rows, found.accepted, found.duplicates, found.rejected)


def _begun(client: Client, file: Path, columns: Mapping[str, str], *, by_id: bool) -> Import:
    """The import of this file that is open, or a new one."""
    state = file.stat()
    told = [str(file.resolve()), state.st_size, state.st_mtime_ns, dict(columns), by_id]
    digest = blake2b(json.dumps(told, sort_keys=True).encode(), digest_size=16).hexdigest()
    number = 0
    while True:
        found = client.imports.create(
            columns=columns or None, by_id=by_id, idempotency_key=f"import-{digest}-{number}"
        )
        found = client.imports.get(found.id)  # a reply that is given again tells of the beginning
        if found.state != "done":
            if found.resume_from:
                sys.stderr.write(f"going on after {found.rows} records\n")
            return found
        number += 1


def _write_down(client: Client, found: Import, file: Path, target: Path) -> None:
    """Records that were refused, with what is wrong with each."""
    wrong = {error.row: error for error in client.imports.iterate_errors(found.id)}
    with opened(file) as lines, target.open("w", encoding="utf-8") as out:
        for number, line in enumerate(lines, start=1):
            error = wrong.get(number)
            if error is None:
                continue
            try:
                record = json.loads(line)
            except ValueError:
                record = None
            told = {"row": number, "code": error.code, "problem": error.problem, "record": record}
            out.write(json.dumps(told, ensure_ascii=True) + "\n")
