"""A file of the operator's folder, imported."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from gustibus.data.streaming import opened
from gustibus.errors import InputError
from gustibus.service.intake import keep_table, take_lines
from gustibus.service.problems import Problem
from gustibus.service.work.task import JobError, Task
from gustibus.store import get_import

_PIECE = 1 << 18


class File:
    """The bytes of a file from a place on, in pieces; one that ends in `.gz` is unpacked."""

    def __init__(self, path: Path, start: int) -> None:
        self._path = path
        self._start = start

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The pieces."""
        with opened(self._path) as file:
            try:
                await asyncio.to_thread(file.seek, self._start)
                while piece := await asyncio.to_thread(file.read, _PIECE):
                    yield piece
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                message = f"file: {self._path.name}: cannot be unpacked: {error}"
                raise InputError(message, where="/file") from None


def source_of(folder: str, name: str) -> Path:
    """A file in the operator's folder.

    Raises:
        InputError: there is no folder, no such file, or it is elsewhere.
    """
    if not folder:
        message = "file: GUSTIBUS_IMPORT_FOLDER is not set; files are sent to /v1/imports instead"
        raise InputError(message, where="/file")
    root = Path(folder).resolve()
    try:
        path = (root / name).resolve()
        known = path.is_relative_to(root) and path.is_file()
    except (OSError, RuntimeError, ValueError):  # a name that no file can have
        known = False
    if not known:
        message = f"file: there is no file {name!r} in the folder that may be imported"
        raise InputError(message, where="/file")
    return path


async def import_file(task: Task) -> dict[str, Any]:
    """Go on with an import where it was left.

    Raises:
        JobError: the file is gone or cannot be read.
    """
    state, params = task.state, task.job.params
    name = str(params["import"])
    row = await state.threads.read(lambda conn: get_import(conn, name=name))
    if row is None:
        message = f"there is no import {name!r}"
        raise JobError(message)
    try:
        path = source_of(state.settings.import_folder, str(params["file"]))
        if row.state == "open":
            if row.format == "parquet":
                row = await keep_table(state, row, path)
            else:
                file = File(path, row.resume_from)
                row = await take_lines(state, row, file, row.resume_from, final=True)
    except (InputError, Problem) as error:
        raise JobError(str(error), code=error.code) from None
    task.done = row.records
    return {
        "import": row.id, "rows": row.records, "accepted": row.accepted,
        "duplicates": row.duplicates, "rejected": row.rejected,
    }  # fmt: skip
