"""Imports: logs of any length, streamed, committed four thousand records at a time, resumed anywhere."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from functools import partial
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from gustibus.data import parse_columns
from gustibus.errors import InputError
from gustibus.service.call import Call, Reply, Streamed, encode, ok
from gustibus.service.cursors import Page, page_of
from gustibus.service.decoding import refuse_unstorable
from gustibus.service.intake import PARQUET, STREAMS, take_lines, take_table
from gustibus.service.once import once
from gustibus.service.problems import Problem, invalid, pointer_to
from gustibus.service.routing import STORE, Route
from gustibus.service.tabular import NDJSON, Rows, ndjson
from gustibus.store import Connection, ImportRow, create_import, get_import, import_problems

Name = Annotated[str, Meta(min_length=1, max_length=128)]


class PostImport(Struct, forbid_unknown_fields=True):
    """How the records are to be read."""

    format: Literal["ndjson", "parquet"] = "ndjson"
    columns: Annotated[dict[Name, Name], Meta(max_length=32)] = {}
    """The log's own names, such as `{"chosen": "good", "user": "annotator"}`."""
    by_id: bool = False
    """Whether the ids of items count where a record has texts too."""
    source: Annotated[str, Meta(max_length=64)] | None = None
    """Where the log is from, for records that do not say it."""


class Import(Struct):
    """An import and how far it has come."""

    id: str
    object: Literal["import"]
    state: Literal["open", "done"]
    format: Literal["ndjson", "parquet"]
    upload: str
    """Path that the data is PUT to."""
    rows: int
    """Records so far; lines that are blank are none."""
    accepted: int
    duplicates: int
    rejected: int
    bytes: int
    """Of the data, unpacked, that are dealt with; a Parquet file's are when all of it is."""
    resume_from: int
    """Bytes of the data, unpacked, that need not be sent again."""
    created_at: datetime
    updated_at: datetime


class UploadQuery(Struct, forbid_unknown_fields=True):
    """Which part of the data is sent."""

    start: Annotated[int, Meta(ge=0, le=1 << 60)] = field(default=0, name="from")
    """Byte of the whole, unpacked, that the body begins with."""
    final: bool = True
    """Whether the data ends with the body."""


class RowProblem(Struct):
    """A record that was refused."""

    row: int
    code: str
    problem: str


class RowProblems(Struct):
    """A page of records that were refused."""

    object: Literal["list"]
    data: list[RowProblem]
    has_more: bool
    next: str | None


async def post(call: Call) -> Reply:
    """Begin an import."""
    body = call.read_optional(PostImport)
    columns = names_of(body.columns)
    if body.source is not None:
        refuse_unstorable(body.source, "/source")
    caller = call.caller
    assert caller is not None, "the route needs a key"

    def work(conn: Connection) -> Reply:
        row = create_import(
            conn, caller=caller.id, form=body.format, columns=columns, by_id=body.by_id,
            source=body.source,
        )  # fmt: skip
        return Reply(201, encode(_show(row)))

    return await once(call, work)


def names_of(columns: dict[str, str]) -> dict[str, str]:
    """The log's own names of columns.

    Raises:
        Problem: 422 for a column that gustibus does not know.
    """
    known: dict[str, str] = {}
    for name, column in columns.items():
        at = pointer_to("columns", name)
        refuse_unstorable(name, at)
        refuse_unstorable(column, at)
        try:
            known |= parse_columns(f"{name}={column}")
        except InputError as error:
            raise invalid(at, error.message) from None
    return known


def _show(row: ImportRow) -> Import:
    state: Literal["open", "done"] = "done" if row.state == "done" else "open"
    form: Literal["ndjson", "parquet"] = "parquet" if row.format == "parquet" else "ndjson"
    return Import(
        row.id, "import", state, form, f"/v1/imports/{row.id}/data", row.records, row.accepted,
        row.duplicates, row.rejected, row.resume_from, row.resume_from, row.created_at, row.updated_at,
    )  # fmt: skip


async def _found(call: Call) -> ImportRow:
    name = call.param("import")
    row = await call.state.threads.read(lambda conn: get_import(conn, name=name))
    if row is None:
        raise Problem("not_found", f"There is no import {name!r}")
    return row


async def get(call: Call) -> Reply:
    """How far an import has come."""
    return ok(_show(await _found(call)))


async def put_data(call: Call) -> Reply:
    """Take data; what was taken before is passed over."""
    query, row = call.query(UploadQuery), await _found(call)
    stream = call.stream
    assert stream is not None, "the route streams"
    if (stream.kind == PARQUET) != (row.format == "parquet"):
        detail = f"Content-Type: the import is of {row.format}, got {stream.kind.decode()!r}"
        raise Problem("unsupported_media_type", detail)
    if row.state == "done":
        raise Problem("conflict", f"The import {row.id} is done; begin another")
    if query.start > row.resume_from:
        detail = f"The import goes on at byte {row.resume_from}, the body begins at {query.start}"
        raise Problem("conflict", detail)
    if row.format == "parquet":
        if query.start or not query.final:
            raise invalid("query:from", "a Parquet file is sent whole")
        return ok(_show(await take_table(call.state, row, stream)))
    return ok(_show(await take_lines(call.state, row, stream, query.start, final=query.final)))


async def problems(call: Call) -> Reply | Streamed:
    """Records of an import that were refused, page by page, or all of them as JSON lines."""
    page, row, state = call.query(Page), await _found(call), call.state
    if call.listed:
        if call.query_string:
            raise invalid("query:", "JSON lines are all records; parameters belong to pages")
        return Streamed(ndjson(_all_problems(call, row.id), state.threads), NDJSON.encode())
    kind = f"import {row.id}"
    cursor = state.cursors.open(kind, page.after)
    after = 0 if cursor is None else int(cursor)
    found, more = page_of(
        await state.threads.read(
            lambda conn: import_problems(conn, name=row.id, after=after, limit=page.limit + 1)
        ),
        page.limit,
    )
    following = state.cursors.seal(kind, str(found[-1].row)) if more else None
    data = [RowProblem(one.row, one.code, one.problem) for one in found]
    return ok(RowProblems("list", data, more, following))


async def _all_problems(call: Call, name: str) -> AsyncIterator[Rows]:
    after, most = 0, 1000
    while True:
        found = await call.state.threads.read(
            partial(import_problems, name=name, after=after, limit=most)
        )
        yield [{"row": one.row, "code": one.code, "problem": one.problem} for one in found]
        if len(found) < most:
            return
        after = found[-1].row


_ONE = "/v1/imports/{import}"
_LINES = """\
{"user": "u-831", "prompt": "How do I boil an egg?", "chosen": "Briefly.", "rejected": "At length."}
{"user": "u-832", "item_a": "resp-19", "item_b": "resp-20", "outcome": "tie"}
"""

ROUTES = (
    Route(
        "POST", "/v1/imports", "post_import", "ingest", post, "Imports",
        "Begin an import of a log of comparisons.",
        request=PostImport, optional=True, response=Import, status=201, problems=STORE,
        idempotent=True, keyed=True, example={"columns": {"chosen": "good", "rejected": "bad"}},
    ),
    Route(
        "GET", _ONE, "get_import", "ingest", get, "Imports", "How far an import has come.",
        response=Import, problems=("not_found", *STORE),
    ),
    Route(
        "PUT", _ONE + "/data", "put_import_data", "ingest", put_data, "Imports",
        "Send data of an import, whole or from a byte on, plain, as gzip or as zstd; records are kept as they "
        "come.",
        query=UploadQuery, response=Import, stream=STREAMS, example=_LINES,
        problems=("not_found", "conflict", "encoder_unavailable", *STORE),
    ),
    Route(
        "GET", _ONE + "/errors", "list_import_errors", "ingest", problems, "Imports",
        "Records of an import that were refused, and why; all of them where JSON lines are asked for.",
        query=Page, response=RowProblems, listed=NDJSON, problems=("not_found", *STORE),
    ),
)  # fmt: skip
