"""A file of JSON lines sent to a service as it is, from wherever an earlier run was stopped."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

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
    return file.suffix.lower() in {".jsonl", ".ndjson"}


def stream(
    client: Client, file: Path, columns: Mapping[str, str], target: Path, *, by_id: bool
) -> Counts:
    """Send a file and write down what was refused.

    The import is named after the file and what it holds, so that the same command goes on where an
    earlier one was stopped; one that was finished is begun anew, and finds duplicates.
    """
    from gustibus.cli.progress import Bars

    size = file.stat().st_size
    found = _begun(client, file, columns, by_id=by_id)
    with file.open("rb") as data, Bars() as bars:
        while found.state != "done":
            data.seek(found.resume_from)
            part = data.read(_PART)
            end = found.resume_from + len(part) >= size
            before = found.resume_from
            found = client.imports.send(found.id, part, start=before, final=end)
            if not end and found.resume_from == before:  # a record that is longer than a part
                found = client.imports.send(found.id, data.read(), start=before)
            words = Counts(found.rows, found.accepted, found.duplicates, found.rejected).words
            bars.show("importing", found.resume_from, size, words)
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
    with file.open("rb") as lines, target.open("w", encoding="utf-8") as out:
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
