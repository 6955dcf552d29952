"""Jobs: work that takes longer than a request, with its progress and what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from functools import partial
from inspect import Parameter, signature
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from gustibus.data.files import table_suffix
from gustibus.errors import GustibusError, InputError
from gustibus.models import MODELS
from gustibus.models.automatic_options import AUTO, auto_options
from gustibus.service.call import Call, Reply, Streamed, encode, ok
from gustibus.service.cursors import After, Limit, page_of
from gustibus.service.decoding import refuse_unstorable
from gustibus.service.ids import Id
from gustibus.service.once import once
from gustibus.service.problems import Problem, invalid, pointer_to
from gustibus.service.routes.imports import Name, names_of
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
    existing_items,
    get_job,
    get_user,
    get_version,
    last_job,
    list_jobs,
    unknown_users,
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


File = Annotated[str, Meta(min_length=1, max_length=512)]


class BulkScore(Struct, forbid_unknown_fields=True, tag_field="kind", tag="bulk_score"):
    """The best candidates of many people under the model in service, as a file of Parquet.

    Candidates are exactly one of a file, items by name, and the items with a tag.
    """

    file: File | None = None
    """A table relative to the operator's folder, with the columns id and text, or id and embedding."""
    items: Annotated[list[Id], Meta(min_length=1, max_length=10_000)] | None = None
    tag: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    prompt: Annotated[str, Meta(max_length=32_768)] | None = None
    """That the texts of a file answer."""
    users: Annotated[list[Id], Meta(min_length=1, max_length=10_000)] | None = None
    """Whom it is for; everybody who has answered without."""
    top: Annotated[int, Meta(ge=1, le=1000)] = 10
    """Candidates of each person; all of them where there are fewer."""


class Evaluate(Struct, forbid_unknown_fields=True, tag_field="kind", tag="evaluate"):
    """A version of the model, judged on answers that it was not trained on."""

    version: Annotated[int, Meta(ge=1, le=1_000_000_000)] | None = None
    """The one in service without."""
    file: File | None = None
    """Comparisons relative to the operator's folder; those of the store without."""
    draws: Annotated[int, Meta(ge=1, le=100)] = 10
    """Of every person's first answers."""
    seed: Annotated[int, Meta(ge=0, le=(1 << 32) - 1)] = 0


class Train(Struct, forbid_unknown_fields=True, tag_field="kind", tag="train"):
    """Another version of the model, learned from the comparisons of the store; it is not promoted."""

    family: Annotated[str, Meta(min_length=1, max_length=64)] = AUTO
    """A family, or `auto` to choose one on held-out people."""
    options: Annotated[dict[Name, Any], Meta(max_length=64)] = {}
    """Of the family, as `gustibus train --set` takes them."""
    objective: Annotated[str, Meta(max_length=64)] = ""
    """What a family that trains by name minimises; its own unless given."""
    objective_options: Annotated[dict[Name, Any], Meta(max_length=64)] = {}
    split: Literal["four_cells", "all"] = "four_cells"
    """Whether people and prompts are held out, by which the version can be judged."""
    questions: Annotated[int, Meta(ge=0, le=20_000)] = 500
    """Size of the pool for onboarding."""
    minutes: Annotated[float, Meta(gt=0, le=10_080)] = 60.0
    """That it may take; `auto` chooses what it tries by them."""
    seed: Annotated[int, Meta(ge=0, le=(1 << 32) - 1)] = 0


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
        params |= _scoring(call, body)
    elif isinstance(body, Evaluate):
        params |= _judging(call, body)
    elif isinstance(body, Train):
        params |= _learning(call, body)

    def work(conn: Connection) -> Reply:
        if isinstance(body, BulkScore):
            _refuse_unknown(conn, call, body)
        elif isinstance(body, Evaluate) and body.version is not None:
            params["model"] = _digest_of(conn, call, body.version)
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
                return Reply(202, encode(_show(last)))
        job = create_job(conn, kind=kind, params=params, by=caller.id, user=user)
        audit(conn, actor=caller.id, action="job.create", what=job.id,
              request_id=call.request_id, kind=kind)  # fmt: skip
        return Reply(202, encode(_show(job)))

    return await once(call, work, users=[] if user is None else [user])


def _may_hold(call: Call, body: Export | DeleteUser) -> None:
    call.need("users:read" if isinstance(body, Export) else "users:write")
    if isinstance(body, Export) and not call.state.settings.files:
        raise invalid("/kind", "GUSTIBUS_FILES is not set, so that there is nowhere for a result")


def _need_files(call: Call) -> None:
    if not call.state.settings.files:
        raise invalid("/kind", "GUSTIBUS_FILES is not set, so that there is nowhere for a result")


def _digest_in_service(call: Call) -> str:
    if call.state.serving is None:
        raise Problem("not_ready", "No model is loaded", retry_after=30)
    return call.state.digest


def _scoring(call: Call, body: BulkScore) -> dict[str, Any]:
    """What a bulk scoring is asked to do."""
    call.need("users:read")
    _need_files(call)
    given = {
        name: value for name in ("file", "items", "tag")
        if (value := getattr(body, name)) is not None
    }  # fmt: skip
    if len(given) != 1:
        raise invalid("", f"expected exactly one of file, items and tag, got {sorted(given)}")
    if body.file is None and body.prompt is not None:
        raise invalid("/prompt", "goes with a file; items have prompts of their own")
    for name in ("tag", "prompt"):
        if getattr(body, name) is not None:
            refuse_unstorable(getattr(body, name), f"/{name}")
    if body.file is not None:
        _check_file(call, body.file)
    if body.items is not None:
        given["items"] = list(dict.fromkeys(body.items))
    if body.prompt is not None:
        given["prompt"] = body.prompt
    if body.users is not None:
        given["users"] = sorted(set(body.users))
    return {**given, "top": body.top, "model": _digest_in_service(call)}


def _check_file(call: Call, name: str) -> None:
    """Refuse a table that is not in the operator's folder, or of no kind that is read."""
    refuse_unstorable(name, "/file")
    try:
        table_suffix(source_of(call.state.settings.import_folder, name))
    except InputError as error:
        if error.where == "/file":
            raise
        endings = "expected a file that ends in .parquet, .jsonl, .csv or .tsv"
        raise invalid("/file", f"{endings}, got {name!r}") from None


def _refuse_unknown(conn: Connection, call: Call, body: BulkScore) -> None:
    """Refuse people and items that do not exist."""
    people = call.state.people
    given = {
        "users": unknown_users(conn, users=(u for u in body.users or () if u not in people)),
        "items": set(body.items or ()) - existing_items(conn, items=body.items or ()),
    }
    for field, unknown in given.items():
        for place, name in enumerate(getattr(body, field) or ()):
            if name in unknown:
                who = "nobody called" if field == "users" else "no item"
                pointer = f"/{field}/{place}"
                detail = f"{pointer}: there is {who} {name!r}"
                raise Problem("not_found", detail, errors=[(pointer, detail)])


def _judging(call: Call, body: Evaluate) -> dict[str, Any]:
    """What an evaluation is asked to do."""
    call.need("models:read")
    _need_files(call)
    params: dict[str, Any] = {"draws": body.draws, "seed": body.seed}
    if body.file is not None:
        _check_file(call, body.file)
        params["file"] = body.file
    if body.version is None:
        params["model"] = _digest_in_service(call)
    elif not call.state.settings.models:
        raise invalid("/version", "GUSTIBUS_MODELS is not set, so that there are no versions")
    return params


def _digest_of(conn: Connection, call: Call, version: int) -> str:
    model = call.state.settings.model_name
    row = get_version(conn, model=model, version=version)
    if row is None:
        raise invalid("/version", f"there is no version {version} of {model!r}")
    return row.digest


def _learning(call: Call, body: Train) -> dict[str, Any]:
    """What a training is asked to do."""
    call.need("models:write")
    _need_files(call)
    if not call.state.settings.models:
        raise invalid("/kind", "GUSTIBUS_MODELS is not set, so that there is nowhere for a version")
    for field in ("options", "objective_options"):
        _check_options(getattr(body, field), f"/{field}")
    _check_family(body.family, body.options)
    return {name: getattr(body, name) for name in body.__struct_fields__}


def _check_family(family: str, options: dict[str, Any]) -> None:
    """Refuse a family that is not known, and names of options that it has not, as far as it says."""
    try:
        fit = None if family == AUTO else MODELS[family].run.fit
    except GustibusError as error:
        raise invalid("/family", error.message) from None
    if fit is None:
        try:
            auto_options(options)
        except (GustibusError, TypeError) as error:
            raise invalid("/options", str(error)) from None
        return
    known = signature(fit).parameters
    if any(one.kind is Parameter.VAR_KEYWORD for one in known.values()):
        return  # its process tells
    own = sorted(
        known.keys() - {"self", "train", "valid", "seed", "device", "progress", "checkpoint"}
    )
    for name in options:
        if name not in {*own, "known_items"}:
            detail = f"{family} has no option {name!r}; known: {own}"
            raise invalid("/options" + pointer_to(name), detail)


def _check_options(value: Any, pointer: str) -> None:
    """Refuse what no engine keeps, however deep it is."""
    if isinstance(value, str):
        refuse_unstorable(value, pointer)
    elif isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
        raise invalid(pointer, "expected a number of 64 bits")
    elif isinstance(value, dict):
        for name, one in value.items():
            refuse_unstorable(name, pointer)
            _check_options(one, pointer + pointer_to(name))
    elif isinstance(value, list):
        for place, one in enumerate(value):
            _check_options(one, pointer + pointer_to(place))


def _show(row: JobRow) -> Job:
    state: State = row.state  # type: ignore[assignment]  # only these are written
    return Job(
        row.id, "job", row.kind, state, row.done, row.total, row.attempts, row.result, row.error,
        row.created_at, row.started_at, row.finished_at,
    )  # fmt: skip


async def _found(call: Call) -> JobRow:
    name = call.param("job")
    row = await call.state.threads.read(lambda conn: get_job(conn, job=name))
    if row is None:
        raise Problem("not_found", f"There is no job {name!r}")
    return row


async def get(call: Call) -> Reply:
    """One job."""
    return ok(_show(await _found(call)))


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
    return ok(Jobs("list", [_show(row) for row in rows], more, following))


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
    return ok(_show(row))


async def events(call: Call) -> Streamed:
    """A job as it changes, until it has ended."""
    return Streamed(_changes(call, await _found(call)), b"text/event-stream")


async def _changes(call: Call, row: JobRow | None) -> AsyncIterator[bytes]:
    state = call.state
    shown, silent = b"", 0.0
    while row is not None:
        told = encode(_show(row))
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
