"""Versions of models: registered by digest, checked, promoted, rolled back, forgotten."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from gustibus.errors import ConflictError, GustibusError
from gustibus.service.call import Call, Reply, ok
from gustibus.service.cursors import Page, page_of
from gustibus.service.golden import Gate
from gustibus.service.ids import LAST
from gustibus.service.loading import open_model
from gustibus.service.problems import Problem, invalid
from gustibus.service.routing import STORE, Nothing, Route
from gustibus.store import (
    CHAMPION,
    AliasRow,
    Connection,
    VersionRow,
    audit,
    delete_alias,
    delete_version,
    get_alias,
    get_version,
    list_aliases,
    list_versions,
    move_alias,
    register_version,
    set_version_state,
)

Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$" + LAST)]


class Alias(Struct):
    """A name for one of the versions; its revision is its `ETag`."""

    alias: str
    object: Literal["model.alias"]
    model: str
    version: int
    previous: int | None
    """The other version that it pointed at before."""
    revision: int
    updated_at: datetime


class ModelState(Struct):
    """A model, its aliases, and what this process serves of it."""

    id: str
    object: Literal["model"]
    serving: str | None
    """The version that answers requests here."""
    problem: str | None
    """Why the promoted version is not served here; null when it is."""
    aliases: list[Alias]


class PostVersion(Struct, forbid_unknown_fields=True):
    """A model folder that is in the folder of models under its digest."""

    digest: Digest


class Version(Struct):
    """A version; what it is never changes."""

    id: str
    object: Literal["model.version"]
    model: str
    version: int
    digest: str
    state: Literal["registered", "validated"]
    created_at: datetime
    retrain_due: datetime | None = None
    """When somebody whom it was trained on was first deleted; null where nobody is known to have been."""
    golden: Mapping[str, Any] | None = None
    """How right it is on the golden set whose `digest` is there; null where it was judged on none."""
    card: Mapping[str, Any] | None = None
    """Of one version alone; null where its folder is gone."""


class Versions(Struct):
    """A page of versions by number."""

    object: Literal["list"]
    data: list[Version]
    has_more: bool
    next: str | None


class PutAlias(Struct, forbid_unknown_fields=True):
    """What the alias points at from now on."""

    version: Annotated[int, Meta(ge=1, le=1_000_000_000)]
    force: bool = False
    """Whether `champion` is moved though the version is worse on the golden set, or was not judged on it."""


class VersionDeleted(Struct):
    """A version that is no more; its folder stays."""

    id: str
    object: Literal["model.version"]
    deleted: Literal[True]


class AliasDeleted(Struct):
    """An alias that points at nothing any more."""

    id: str
    object: Literal["model.alias"]
    deleted: Literal[True]


def _model(call: Call) -> str:
    """The model that the path names.

    Raises:
        Problem: 404 for another than the one that is served here.
    """
    name, settings = call.param("model"), call.state.settings
    if name not in {"default", settings.model_name}:
        raise Problem("not_found", f"There is no model {name!r}; there is {settings.model_name!r}")
    return settings.model_name


def _root(call: Call) -> Path:
    if not call.state.settings.models:
        detail = "GUSTIBUS_MODELS is not set: the model of a folder is served, and has no versions"
        raise Problem("conflict", detail)
    return Path(call.state.settings.models)


async def get_model(call: Call) -> Reply:
    """A model with its aliases."""
    model, state = _model(call), call.state
    rows = await state.threads.read(lambda conn: list_aliases(conn, model=model))
    label = None if state.serving is None else state.serving.label
    aliases = [_alias(row) for row in rows]
    return ok(ModelState(model, "model", label, state.problem or None, aliases))


def _alias(row: AliasRow) -> Alias:
    return Alias(
        row.alias, "model.alias", row.model, row.version, row.previous, row.revision,
        row.updated_at,
    )  # fmt: skip


def _show(row: VersionRow, card: Mapping[str, Any] | None = None) -> Version:
    state: Literal["registered", "validated"] = (
        "validated" if row.state == "validated" else "registered"
    )
    return Version(
        f"{row.model}@{row.version}", "model.version", row.model, row.version, row.digest, state,
        row.created_at, row.retrain_due, row.golden, card,
    )  # fmt: skip


async def list_all(call: Call) -> Reply:
    """A page of versions."""
    model, page, state = _model(call), call.query(Page), call.state
    kind = f"versions {model}"
    cursor = state.cursors.open(kind, page.after)
    after = 0 if cursor is None else int(cursor)
    rows, more = page_of(
        await state.threads.read(
            lambda conn: list_versions(conn, model=model, after=after, limit=page.limit + 1)
        ),
        page.limit,
    )
    following = state.cursors.seal(kind, str(rows[-1].version)) if more else None
    return ok(Versions("list", [_show(row) for row in rows], more, following))


async def _found(call: Call, model: str) -> VersionRow:
    given = call.param("version")
    if not given.isascii() or not given.isdigit() or len(given) > 9:
        raise Problem("not_found", f"There is no version {given!r} of {model!r}")
    row = await call.state.threads.read(
        lambda conn: get_version(conn, model=model, version=int(given))
    )
    if row is None:
        raise Problem("not_found", f"There is no version {given!r} of {model!r}")
    return row


async def get(call: Call) -> Reply:
    """One version with its card."""
    row = await _found(call, _model(call))
    card = await asyncio.to_thread(_card, Path(call.state.settings.models or ".") / row.digest)
    return ok(_show(row, card))


def _card(folder: Path) -> dict[str, Any] | None:
    try:
        found = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    found.pop("params", None)
    return dict(found)


async def register(call: Call) -> Reply:
    """Number a folder; the same digest keeps its number."""
    model, body, root = _model(call), call.read(PostVersion), _root(call)
    if not await asyncio.to_thread((root / body.digest / "MANIFEST.json").is_file):
        raise invalid("/digest", "there is no such folder in the folder of models")

    def work(conn: Connection) -> tuple[VersionRow, bool]:
        row, fresh = register_version(conn, model=model, digest=body.digest)
        if fresh:
            _note(conn, call, "model.register", f"{model}@{row.version}", digest=body.digest)
        return row, fresh

    row, fresh = await call.state.threads.write(work)
    return ok(_show(row), 201 if fresh else 200)


def _note(conn: Connection, call: Call, action: str, what: str, **detail: str | int | None) -> None:
    actor = "" if call.caller is None else call.caller.id
    audit(conn, actor=actor, action=action, what=what, request_id=call.request_id, **detail)


async def validate(call: Call) -> Reply:
    """Load a version as a process would that serves it."""
    model, root = _model(call), _root(call)
    row = await _found(call, model)
    try:
        serving = await asyncio.to_thread(open_model, call.state, root / row.digest, row, beside=0)
    except GustibusError as error:
        raise Problem("conflict", f"The version cannot be served: {error.message}") from None
    serving.close()

    def work(conn: Connection) -> None:
        set_version_state(conn, model=model, version=row.version, state="validated")
        _note(conn, call, "model.validate", f"{model}@{row.version}")

    await call.state.threads.write(work)
    return ok(_show(await _found(call, model)))


async def get_one_alias(call: Call) -> Reply:
    """One alias, with its revision as `ETag`."""
    model, alias = _model(call), call.param("alias")
    row = await call.state.threads.read(lambda conn: get_alias(conn, model=model, alias=alias))
    if row is None:
        raise _no_alias(model, alias)
    return _told(row)


def _told(row: AliasRow) -> Reply:
    return ok(_alias(row), etag=f'"{row.revision}"')


async def put_alias(call: Call) -> Reply:
    """Point an alias at a version that was validated; `champion` is served within seconds."""
    model, alias, body = _model(call), call.param("alias"), call.read(PutAlias)
    state = call.state
    gate = None
    if alias == CHAMPION:
        gate = await state.threads.background(lambda: Gate.of(state.settings))

    def work(conn: Connection) -> AliasRow:
        forced = gate is not None and gate.admit(
            conn, model=model, version=body.version, force=body.force
        )
        told = {"forced": True} if forced else {}
        return _move(conn, call, model, alias, body.version, "model.promote", **told)

    return _told(await state.threads.write(work))


async def remove_alias(call: Call) -> Reply:
    """Forget an alias, so that its version can be forgotten, too."""
    model, alias = _model(call), call.param("alias")
    if alias == CHAMPION:
        detail = f"{model}@{CHAMPION} is what is served; point it at another version"
        raise Problem("conflict", detail)

    def work(conn: Connection) -> None:
        if get_alias(conn, model=model, alias=alias) is None:
            raise _no_alias(model, alias)
        row = delete_alias(conn, model=model, alias=alias, seen=call.seen)
        if row is None:
            raise _moved(alias, call.seen)
        _note(conn, call, "model.delete_alias", f"{model}@{alias}", version=row.version)

    await call.state.threads.write(work)
    return ok(AliasDeleted(f"{model}@{alias}", "model.alias", True))  # noqa: FBT003 - positional record


def _no_alias(model: str, alias: str) -> Problem:
    return Problem("not_found", f"There is no alias {alias!r} of {model!r}")


def _moved(alias: str, seen: int) -> Problem:
    detail = f"The alias {alias!r} is not at revision {seen}; read it again"
    return Problem("etag_mismatch", detail)


async def rollback(call: Call) -> Reply:
    """Point `champion` at what it pointed at before."""
    model = _model(call)

    def work(conn: Connection) -> AliasRow:
        now = get_alias(conn, model=model)
        if now is None or now.previous is None:
            raise Problem("conflict", f"{model}@{CHAMPION} has pointed at nothing before")
        if get_version(conn, model=model, version=now.previous) is None:
            detail = (
                f"{model}@{now.previous}, which was served before, was forgotten; promote another"
            )
            raise Problem("conflict", detail)
        return _move(conn, call, model, CHAMPION, now.previous, "model.rollback")

    return _told(await call.state.threads.write(work))


def _move(
    conn: Connection, call: Call, model: str, alias: str, version: int, action: str, **detail: int
) -> AliasRow:
    target = get_version(conn, model=model, version=version)
    if target is None:
        raise invalid("/version", f"there is no version {version} of {model!r}")
    if target.state != "validated":
        raise Problem("conflict", f"Version {version} was not validated yet")
    row = move_alias(conn, model=model, alias=alias, version=version, seen=call.seen)
    if row is None:
        raise _moved(alias, call.seen)
    _note(conn, call, action, f"{model}@{alias}", version=version, before=row.previous, **detail)
    return row


async def delete(call: Call) -> Reply:
    """Forget a version."""
    model = _model(call)
    row = await _found(call, model)

    def work(conn: Connection) -> None:
        if delete_version(conn, model=model, version=row.version):
            _note(conn, call, "model.delete", f"{model}@{row.version}", digest=row.digest)

    try:
        await call.state.threads.write(work)
    except ConflictError as error:
        pointer = "path:version"
        raise Problem("alias_in_use", error.message, errors=[(pointer, error.message)]) from None
    return ok(VersionDeleted(f"{model}@{row.version}", "model.version", True))  # noqa: FBT003 - positional record


_ONE = "/v1/models/{model}"
_VERSION = _ONE + "/versions/{version}"
_ALIAS = _ONE + "/aliases/{alias}"

ROUTES = (
    Route(
        "GET", _ONE, "get_model", "models:read", get_model, "Models",
        "A model with its aliases, and what is served of it.",
        response=ModelState, problems=("not_found", *STORE),
    ),
    Route(
        "GET", _ONE + "/versions", "list_versions", "models:read", list_all, "Models",
        "Versions of a model by number.",
        query=Page, response=Versions, problems=("not_found", *STORE),
    ),
    Route(
        "POST", _ONE + "/versions", "register_version", "models:write", register, "Models",
        "Register a model folder by its digest.",
        request=PostVersion, response=Version, status=201, also=(200,),
        problems=("not_found", "conflict", *STORE), example={"digest": "0" * 64},
    ),
    Route(
        "GET", _VERSION, "get_version", "models:read", get, "Models", "A version with its card.",
        response=Version, problems=("not_found", *STORE),
    ),
    Route(
        "POST", _VERSION + ":validate", "validate_version", "models:write", validate, "Models",
        "Load a version as a process would that serves it.",
        request=Nothing, optional=True, response=Version,
        problems=("not_found", "conflict", *STORE),
    ),
    Route(
        "DELETE", _VERSION, "delete_version", "models:write", delete, "Models",
        "Forget a version that no alias points at.",
        response=VersionDeleted, problems=("not_found", "alias_in_use", *STORE),
    ),
    Route(
        "GET", _ALIAS, "get_alias", "models:read", get_one_alias, "Models",
        "What an alias points at.", response=Alias, problems=("not_found", *STORE), revised=True,
    ),
    Route(
        "PUT", _ALIAS, "put_alias", "models:write", put_alias, "Models",
        "Point an alias at a validated version; the one that `champion` points at is served.",
        request=PutAlias, response=Alias, problems=("not_found", "conflict", "gate_failed", *STORE),
        conditional=True, revised=True, example={"version": 2},
    ),
    Route(
        "DELETE", _ALIAS, "delete_alias", "models:write", remove_alias, "Models",
        "Forget an alias other than `champion`; its version stays.",
        response=AliasDeleted, problems=("not_found", "conflict", *STORE), conditional=True,
    ),
    Route(
        "POST", _ONE + ":rollback", "rollback_model", "models:write", rollback, "Models",
        "Serve what was served before.",
        request=Nothing, optional=True, response=Alias,
        problems=("not_found", "conflict", "invalid_field", *STORE), conditional=True,
        revised=True,
    ),
)  # fmt: skip
