"""Jobs: work that takes longer than a request, with its progress and what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from gustibus.service.call import Call, Reply, Streamed, encode, ok
from gustibus.service.cursors import After, Limit, page_of
from gustibus.service.decoding import refuse_unstorable
from gustibus.service.ids import Id
from gustibus.service.once import once
from gustibus.service.problems import Problem, invalid
from gustibus.service.routes.imports import Name, names_of
from gustibus.service.routes.longjobs import (
    BulkScore,
    Evaluate,
    Train,
    digest_of,
    judging,
    learning,
    need_files,
    refuse_unknown,
    scoring,
)
from gustibus.service.routing import STORE, Nothing, Route
from gustibus.service.work.imports import source_of
from gustibus.service.work.task import RESULTS, JobError, result_file
from gustibus.store import (
    Connection,
    JobRow,
    audit,
    cancel_job,
    create_import,
    create_job,
    get_job,
    get_user,
    last_job,
    list_jobs,
)

State = Literal["queued", "running", "succeeded", "failed", "cancelled"]
_ENDED = frozenset({"succeeded", "failed", "cancelled"})
_PIECE = 1 << 18
_LOOK = 0.5  # seconds between looks at a job that somebody follows
_SILENCE = 15.0  # seconds after which a comment keeps the connection open


class RefitProfiles(Struct, forbid_unknown_fields=True, tag_field="kind", tag="refit_profiles"):
    """Fit everybody whose answers are ahead of their profile."""


class Export(Struct, forbid_unknown_fields=True, tag_field="kind", tag="export"):
    """Comparisons as a file of JSON lines."""

    user: Id | None = None
    """One person; everybody without."""


class ImportFile(Struct, forbid_unknown_fields=True, tag_field="kind", tag="import"):
    """A file of the operator's folder, imported."""

    file: Annotated[str, Meta(min_length=1, max_length=512)]
    """Relative to the folder."""
    format: Literal["ndjson", "parquet"] = "ndjson"
    columns: Annotated[dict[Name, Name], Meta(max_length=32)] = {}
    by_id: bool = False


class DeleteUser(Struct, forbid_unknown_fields=True, tag_field="kind", tag="delete_user"):
    """Remove everything that names a person."""

    user: Id


class MapNeighbours(Struct, forbid_unknown_fields=True, tag_field="kind", tag="map_neighbours"):
    """Make the map of neighbours for the model in service; one that is being made will do."""


PostJob = (
    RefitProfiles | Export | ImportFile | DeleteUser | MapNeighbours | BulkScore | Evaluate | Train
)
"""What is to be done; `kind` says which."""


class Job(Struct):
    """A job."""

    id: str
    object: Literal["job"]
    kind: str
    state: State
    done: int
    total: int | None
    attempts: int
    result: dict[str, Any] | None
    error: str | None
    """Why it failed, or was cancelled by somebody else."""
    error_code: str | None
    """What kind of problem it is: a `code` of replies, or of the library's errors."""
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class Jobs(Struct):
    """A page of jobs, the newest first."""

    object: Literal["list"]
    data: list[Job]
    has_more: bool
    next: str | None


class JobsQuery(Struct, forbid_unknown_fields=True):
    """Which jobs, and which part of the list."""

    state: State | None = None
    kind: (
        Literal[
            "bulk_score",
            "decision",
            "delete_user",
            "evaluate",
            "export",
            "import",
            "map_neighbours",
            "refit_profiles",
            "train",
        ]
        | None
    ) = None
    limit: Limit = 100
    after: After | None = None


async def post(call: Call) -> Reply:
    """Queue a job."""
    body: Any = call.read(PostJob)  # type: ignore[arg-type]  # a union is a type here
    caller, state = call.caller, call.state
    assert caller is not None, "the route needs a key"
    params: dict[str, Any] = {}
    user: str | None = None
    columns: dict[str, str] = {}
    if isinstance(body, Export | DeleteUser):
        user = body.user
        call.user = user or ""
        _may_hold(call, body)
        if user is not None and isinstance(body, DeleteUser):
            params["user"] = user
    elif isinstance(body, ImportFile):
        call.need("ingest")
        refuse_unstorable(body.file, "/file")
        source_of(state.settings.import_folder, body.file)
        params["file"] = body.file
        columns = names_of(body.columns)
    elif isinstance(body, MapNeighbours):
        call.need("admin")
        if state.serving is None:
            raise Problem("not_ready", "No model is loaded", retry_after=30)
        params["model"] = state.digest
    elif isinstance(body, BulkScore):
        params |= scoring(call, body)
    elif isinstance(body, Evaluate):
        params |= judging(call, body)
    elif isinstance(body, Train):
        params |= learning(call, body)

    def work(conn: Connection) -> Reply:
        if isinstance(body, BulkScore):
            refuse_unknown(conn, call, body)
        elif isinstance(body, Evaluate) and body.version is not None:
            params["model"] = digest_of(conn, call, body.version)
        if user is not None and user not in state.people and get_user(conn, user=user) is None:
            detail = f"/user: there is nobody called {user!r}"
            raise Problem("not_found", detail, errors=[("/user", detail)])
        if isinstance(body, ImportFile):
            row = create_import(
                conn, caller=caller.id, form=body.format, columns=columns, by_id=body.by_id,
                source=None,
            )  # fmt: skip
            params["import"] = row.id
        kind = body.__struct_config__.tag
        if isinstance(body, MapNeighbours):
            last = last_job(conn, kind=kind, model=state.digest)
            if last is not None and last.state not in _ENDED:
                return Reply(202, encode(show_job(last)))
        job = create_job(conn, kind=kind, params=params, by=caller.id, user=user)
        audit(conn, actor=caller.id, action="job.create", what=job.id,
              request_id=call.request_id, kind=kind)  # fmt: skip
        return Reply(202, encode(show_job(job)))

    return await once(call, work, users=[] if user is None else [user])


def _may_hold(call: Call, body: Export | DeleteUser) -> None:
    call.need("users:read" if isinstance(body, Export) else "users:write")
    if isinstance(body, Export):
        need_files(call)


def show_job(row: JobRow) -> Job:
    """A job as replies have it."""
    state: State = row.state  # type: ignore[assignment]  # only these are written
    return Job(
        row.id, "job", row.kind, state, row.done, row.total, row.attempts, row.result, row.error,
        row.error_code, row.created_at, row.started_at, row.finished_at,
    )  # fmt: skip


async def _found(call: Call) -> JobRow:
    name = call.param("job")
    row = await call.state.threads.read(lambda conn: get_job(conn, job=name))
    if row is None:
        raise Problem("not_found", f"There is no job {name!r}")
    return row


async def get(call: Call) -> Reply:
    """One job."""
    return ok(show_job(await _found(call)))


async def list_all(call: Call) -> Reply:
    """A page of jobs."""
    query, state = call.query(JobsQuery), call.state
    kind = f"jobs {query.state or ''} {query.kind or ''}"
    after = state.cursors.open(kind, query.after)
    rows, more = page_of(
        await state.threads.read(
            lambda conn: list_jobs(
                conn, state=query.state, kind=query.kind, after=after, limit=query.limit + 1
            )
        ),
        query.limit,
    )
    following = state.cursors.seal(kind, rows[-1].id) if more else None
    return ok(Jobs("list", [show_job(row) for row in rows], more, following))


async def cancel(call: Call) -> Reply:
    """Stop a job; one that has ended stays as it is."""
    name, caller = call.param("job"), call.caller
    assert caller is not None, "the route needs a key"

    def work(conn: Connection) -> JobRow | None:
        row = cancel_job(conn, job=name)
        if row is not None:
            audit(conn, actor=caller.id, action="job.cancel", what=name,
                  request_id=call.request_id)  # fmt: skip
        return row

    row = await call.state.threads.write(work)
    if row is None:
        raise Problem("not_found", f"There is no job {name!r}")
    return ok(show_job(row))


async def events(call: Call) -> Streamed:
    """A job as it changes, until it has ended."""
    return Streamed(_changes(call, await _found(call)), b"text/event-stream")


async def _changes(call: Call, row: JobRow | None) -> AsyncIterator[bytes]:
    state = call.state
    shown, silent = b"", 0.0
    while row is not None:
        told = encode(show_job(row))
        if told != shown:
            shown, silent = told, 0.0
            yield b"event: job\ndata: " + told + b"\n\n"
        if row.state in _ENDED or state.draining:
            return
        await asyncio.sleep(_LOOK)
        silent += _LOOK
        if silent >= _SILENCE:
            silent = 0.0
            yield b": still here\n\n"
        row = await state.threads.read(partial(get_job, job=row.id))


class ResultQuery(Struct, forbid_unknown_fields=True):
    """In which form a result is wanted."""

    format: Literal["json", "markdown"] | None = None
    """Of an evaluation; `json` unless given."""


_MEDIA = {
    ".json": "application/json", ".md": "text/markdown", ".ndjson": "application/x-ndjson",
    ".parquet": "application/vnd.apache.parquet",
}  # fmt: skip


async def result(call: Call) -> Streamed:
    """The file that came out of a job."""
    query, row = call.query(ResultQuery), await _found(call)
    ending = RESULTS.get(row.kind, ".ndjson")
    if row.kind != "evaluate":
        call.need("users:read")
        if query.format is not None:
            raise invalid("query:format", "belongs to an evaluation")
    elif query.format == "markdown":
        ending = ".md"
    if row.state != "succeeded":
        raise Problem("conflict", f"The job {row.id} is {row.state}; it has no file")
    try:
        path = result_file(call.state.settings, row.id, ending)
    except JobError as error:
        raise Problem("not_found", str(error)) from None
    if not path.is_file():
        raise Problem("not_found", f"The job {row.id} has no file, or it was removed")
    return Streamed(_pieces(path), _MEDIA[ending].encode())


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while piece := await asyncio.to_thread(file.read, _PIECE):
            yield piece


_ONE = "/v1/jobs/{job}"

ROUTES = (
    Route(
        "POST", "/v1/jobs", "post_job", "jobs", post, "Jobs", "Queue a job.",
        request=PostJob, response=Job, status=202, problems=("not_found", *STORE), idempotent=True, keyed=True,
        example={"kind": "export"},
    ),
    Route(
        "GET", "/v1/jobs", "list_jobs", "jobs", list_all, "Jobs", "Jobs, the newest first.",
        query=JobsQuery, response=Jobs, problems=STORE,
    ),
    Route(
        "GET", _ONE, "get_job", "jobs", get, "Jobs", "One job.",
        response=Job, problems=("not_found", *STORE),
    ),
    Route(
        "POST", _ONE + ":cancel", "cancel_job", "jobs", cancel, "Jobs", "Stop a job.",
        request=Nothing, optional=True, response=Job, problems=("not_found", *STORE),
    ),
    Route(
        "GET", _ONE + "/events", "follow_job", "jobs", events, "Jobs",
        "A job as it changes, as server-sent events, until it has ended.",
        response="text/event-stream", problems=("not_found", *STORE),
    ),
    Route(
        "GET", _ONE + "/result", "job_result", "jobs", result, "Jobs",
        "The file that came out of a job.",
        query=ResultQuery, response=tuple(sorted(_MEDIA.values())),
        problems=("not_found", "conflict", *STORE),
    ),
)  # fmt: skip
