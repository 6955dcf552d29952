"""The data of an import: cut into records, read in a thread, kept a few thousand at a time.

While one batch is being committed the next is read, and no more than these two are in memory.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from gustibus.data.answers import Answer, answer_of
from gustibus.data.streaming import Row, rows_of
from gustibus.errors import InputError, MissingExtraError
from gustibus.service.decoding import why_no_json
from gustibus.service.problems import Problem, invalid
from gustibus.service.repeating import has_repeated
from gustibus.store import (
    Connection,
    Draft,
    ImportRow,
    RowError,
    Step,
    advance_import,
    draft_answers,
    ensure_job,
    take_answers,
)

if TYPE_CHECKING:
    from gustibus.service.bodies import Stream
    from gustibus.service.state import State

PARQUET: Final = b"application/vnd.apache.parquet"
STREAMS: Final = (
    "application/x-ndjson", "application/octet-stream", PARQUET.decode(),
)  # fmt: skip
"""Kinds of data; octets are taken as lines of JSON."""

ROWS: Final = 4000
"""Records that are committed together."""
BATCH: Final = 16 << 20
"""Bytes of records that are committed together, though they be few."""


class Batch(NamedTuple):
    """Records that are kept together."""

    lines: list[bytes | Row]
    bytes: int
    """Of the data, ends of lines included; all of a table are those of its last batch."""
    last: bool


async def take_lines(
    state: State, row: ImportRow, stream: AsyncIterable[bytes], start: int, *, final: bool
) -> ImportRow:
    """Keep the records of a stream of lines.

    Args:
        state: of the process.
        row: the import.
        stream: its data from byte `start` on.
        start: at or before what is kept already.
        final: whether the data ends with the stream.

    Returns:
        The import as it is then.

    Raises:
        Problem: 409 when another upload comes in between, 413 for a line that is too long, 503.
    """
    longest = state.settings.import_line
    batches = _cut(stream, row.resume_from - start, final=final, longest=longest)
    return await _keep_all(state, row, batches)


async def take_table(state: State, row: ImportRow, stream: Stream) -> ImportRow:
    """Keep the records of a Parquet file, which has to be there whole before it can be read.

    Raises:
        Problem: as `take_lines`, and 422 for a file that is not Parquet.
    """
    with tempfile.TemporaryDirectory(prefix="gustibus-import-") as folder:
        path = Path(folder) / "data.parquet"
        await _spool(stream, path, most=state.settings.import_table)
        try:
            return await keep_table(state, row, path)
        except MissingExtraError as error:
            raise Problem("encoder_unavailable", error.message, retry_after=60) from None
        except InputError:
            raise invalid("", "cannot be read as Parquet (truncated or not Parquet)") from None


async def keep_table(state: State, row: ImportRow, path: Path) -> ImportRow:
    """Keep the records of a Parquet file on this machine.

    Raises:
        InputError: it is not Parquet.
        MissingExtraError: pyarrow is not installed.
    """
    return await _keep_all(state, row, _rows(path, row.rows))


async def _spool(stream: Stream, path: Path, *, most: int) -> None:
    size = 0
    with path.open("wb") as file:
        async for piece in stream:
            size += len(piece)
            if size > most:
                raise Problem("body_too_large", f"A Parquet file of more than {most} bytes")
            await asyncio.to_thread(file.write, piece)


async def _rows(path: Path, done: int) -> AsyncIterator[Batch]:
    """Batches of a table from a row on."""
    rows = rows_of(path)

    def more(count: int) -> list[bytes | Row]:
        return list(islice(rows, count))

    left = done
    while left > 0:
        left -= len(await asyncio.to_thread(more, min(left, ROWS))) or left
    while True:
        found = await asyncio.to_thread(more, ROWS)
        last = len(found) < ROWS
        size = (await asyncio.to_thread(path.stat)).st_size if last else 0
        yield Batch(found, size, last)
        if last:
            return


async def _cut(
    stream: AsyncIterable[bytes], passed: int, *, final: bool, longest: int
) -> AsyncIterator[Batch]:
    """Batches of whole lines, without the first `passed` bytes.

    Unless the data ends here, a line that has no end yet is left for the next upload.
    """
    rest = b""
    lines: list[bytes | Row] = []
    size = 0
    async for piece in stream:
        if passed:
            passed, piece = passed - min(passed, len(piece)), piece[passed:]
        rest += piece
        *whole, rest = rest.split(b"\n")
        if len(rest) > longest:
            raise Problem("body_too_large", f"A record is longer than {longest} bytes")
        for line in whole:
            lines.append(line)
            size += len(line) + 1
            if len(lines) == ROWS or size >= BATCH:
                yield Batch(lines, size, last=False)
                lines, size = [], 0
    if final and rest:
        lines.append(rest)
        size += len(rest)
    yield Batch(lines, size, last=final)


@dataclass(slots=True)
class _Read:
    """A batch once it is understood."""

    drafts: list[Draft]
    places: list[int]
    """Numbers of the records of the answers."""
    errors: list[RowError]


async def _keep_all(state: State, row: ImportRow, batches: AsyncIterator[Batch]) -> ImportRow:
    keeping: asyncio.Task[ImportRow] | None = None
    first, kept = row.rows, 0
    try:
        async for batch in batches:
            if not batch.lines and not batch.last:
                continue
            read = await state.threads.ingest(partial(_read, state, row, batch.lines, first))
            first += len(batch.lines)
            if keeping is not None:
                row, kept = await keeping, kept + 1
                if kept & (kept - 1) == 0:  # whenever it has doubled
                    await state.threads.ingest(state.store.gather_statistics)
            keeping = asyncio.create_task(_keep(state, row, batch, read))
        return row if keeping is None else await keeping
    except BaseException:
        if keeping is not None:  # what was begun is whole
            await asyncio.gather(keeping, return_exceptions=True)
        raise


async def _keep(state: State, row: ImportRow, batch: Batch, read: _Read) -> ImportRow:
    kept: list[str] = []

    def work(conn: Connection) -> ImportRow:
        taken = take_answers(conn, drafts=read.drafts)
        kept[:] = taken.outcomes
        refused = []
        for one in taken.refused:
            user: str | None = read.drafts[one.place].row.user
            if one.code == "user_deleted":  # nothing is written down of them, not even this
                user = None
            refused.append(RowError(read.places[one.place], one.code, one.problem, user))
        step = Step(
            len(batch.lines), taken.accepted, taken.duplicates, batch.bytes,
            [*read.errors, *refused],
        )  # fmt: skip
        if taken.accepted:
            ensure_job(conn, kind="refit_profiles", by="import")
        return advance_import(conn, seen=row, step=step, last=batch.last)

    after = await state.threads.write(work)
    state.meter.compare("import", kept)
    counts = state.meter.imported
    counts["accepted"] += after.accepted - row.accepted
    counts["duplicate"] += after.duplicates - row.duplicates
    counts["rejected"] += after.rejected - row.rejected
    return after


def _read(state: State, row: ImportRow, lines: Sequence[bytes | Row], first: int) -> _Read:
    """Understand records, in a thread."""
    read, answers = _Read([], [], []), list[Answer]()
    for number, line in enumerate(lines, start=first + 1):
        if isinstance(line, bytes) and not line.strip(b" \t\r\xef\xbb\xbf"):
            continue
        try:
            values = _values(line, state.settings.import_line)
            answer = answer_of(values, place=f"row {number}", columns=row.columns, by_id=row.by_id)
            answers.append(_allowed(state, answer, row))
        except InputError as error:
            read.errors.append(RowError(number, "invalid_field", error.message))
        else:
            read.places.append(number)
    read.drafts = draft_answers(answers, key=row.caller or None)
    return read


def _allowed(state: State, answer: Answer, row: ImportRow) -> Answer:
    """An answer that can be kept here.

    Raises:
        InputError: it has texts, and those are not kept or cannot be understood here.
    """
    if answer.a_text is not None or answer.b_text is not None:
        if not state.settings.store_text:
            raise InputError("texts are not kept here; import items by id")
        if state.serving is not None and not state.serving.has_encoder:
            raise InputError("the model has no text encoder; import items by id")
    if row.source is not None and answer.source is None:
        return answer._replace(source=row.source)
    return answer


def _values(line: bytes | Row, longest: int) -> dict[str, Any]:
    """A record by column.

    Raises:
        InputError: it is not one.
    """
    if isinstance(line, Row):
        if isinstance(line.values, InputError):
            raise line.values
        return line.values
    if len(line) > longest:
        raise InputError(f"longer than {longest} bytes")
    try:
        value = _decode(line.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"not valid JSON: {why_no_json(line, error)}") from None
    if not isinstance(value, dict):
        raise InputError("expected a JSON object a line")
    if has_repeated(line):
        raise InputError("a name occurs twice in one object")  # it may be as long as the line
    return {name: cell for name, cell in value.items() if cell is not None}


_decode = msgspec.json.Decoder().decode
