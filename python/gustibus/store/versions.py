"""Versions of models and the aliases that point at them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, case, delete, func, select, update

from gustibus.errors import ConflictError
from gustibus.store.changes import note
from gustibus.store.tables import TENANT, aliases, model_versions, settings
from gustibus.store.upsert import insert_or_ignore

CHAMPION = "champion"
"""The alias that requests mean which name none."""
_HIGHEST = "forgotten version of "


@dataclass(frozen=True, slots=True)
class VersionRow:
    """A version of a model; what it is never changes."""

    model: str
    version: int
    digest: str
    state: str
    """`registered` or `validated`."""
    created_at: datetime
    retrain_due: datetime | None = None
    """When somebody whom it was trained on was first deleted; None where nobody was."""
    golden: dict[str, Any] | None = None
    """How right it was on a golden set, whose `digest` is there; None where it was judged on none."""


@dataclass(frozen=True, slots=True)
class AliasRow:
    """A name for one of the versions."""

    model: str
    alias: str
    version: int
    previous: int | None
    """The other version that it pointed at before; a roll-back goes there."""
    revision: int
    """Rises with every move."""
    updated_at: datetime


def register_version(conn: Connection, *, model: str, digest: str) -> tuple[VersionRow, bool]:
    """Number a model folder by its digest; the flag says whether it is new.

    Numbers of versions that were forgotten are not given again: replies, logs and aliases name them.
    """
    mine = (model_versions.c.tenant_id == TENANT) & (model_versions.c.model == model)
    fresh = False
    for _ in range(100):  # another process may take the number
        known = conn.execute(select(model_versions).where(mine, model_versions.c.digest == digest))
        row = known.first()
        if row is not None:
            return _version(row), fresh
        last = select(func.coalesce(func.max(model_versions.c.version), 0)).where(mine)
        value = {
            "tenant_id": TENANT, "model": model, "digest": digest, "state": "registered",
            "version": max(int(conn.execute(last).scalar_one()), _forgotten(conn, model)) + 1,
            "created_at": datetime.now(UTC),
        }  # fmt: skip
        made = insert_or_ignore(conn, model_versions, [value], returning=model_versions.c.version)
        fresh = bool(made)
    message = f"model: versions of {model!r} are being registered by too many at once"
    raise ConflictError(message, where="model")


def set_version_state(conn: Connection, *, model: str, version: int, state: str) -> None:
    """Note what a version has been through."""
    conn.execute(update(model_versions).where(_is(model, version)).values(state=state))


def set_golden(conn: Connection, *, model: str, digest: str, figures: Mapping[str, Any]) -> None:
    """Note how right a version is on a golden set; what was noted of it before goes."""
    mine = (model_versions.c.tenant_id == TENANT) & (model_versions.c.model == model)
    this = mine & (model_versions.c.digest == digest)
    conn.execute(update(model_versions).where(this).values(golden=dict(figures)))


def version_of(conn: Connection, *, model: str, digest: str) -> VersionRow | None:
    """The version that a model folder is, None when it is none."""
    mine = (model_versions.c.tenant_id == TENANT) & (model_versions.c.model == model)
    row = conn.execute(
        select(model_versions).where(mine, model_versions.c.digest == digest)
    ).first()
    return None if row is None else _version(row)


def mark_retrain_due(
    conn: Connection, *, model: str, versions: Iterable[int], at: datetime
) -> None:
    """Note that somebody whom versions were trained on was deleted; the first such time stays."""
    for version in versions:
        first = _is(model, version) & model_versions.c.retrain_due.is_(None)
        conn.execute(update(model_versions).where(first).values(retrain_due=at))


def get_version(conn: Connection, *, model: str, version: int) -> VersionRow | None:
    """A version, None when there is none of that number."""
    row = conn.execute(select(model_versions).where(_is(model, version))).first()
    return None if row is None else _version(row)


def list_versions(
    conn: Connection, *, model: str, after: int = 0, limit: int = 1000
) -> list[VersionRow]:
    """Versions of a model by number."""
    mine = (model_versions.c.tenant_id == TENANT) & (model_versions.c.model == model)
    query = select(model_versions).where(mine, model_versions.c.version > after)
    rows = conn.execute(query.order_by(model_versions.c.version).limit(limit))
    return [_version(row) for row in rows]


def known_digests(conn: Connection) -> set[str]:
    """Digests of the versions of every model."""
    return set(conn.execute(select(model_versions.c.digest)).scalars())


def delete_version(conn: Connection, *, model: str, version: int) -> bool:
    """Forget a version; False when there was none.

    Raises:
        ConflictError: an alias points at it.
    """
    # The version is held first, as `move_alias` does: no alias comes to it after the look at aliases.
    held = select(model_versions.c.version).where(_is(model, version)).with_for_update()
    if conn.execute(held).first() is None:
        return False
    mine = (aliases.c.tenant_id == TENANT) & (aliases.c.model == model)
    used = select(aliases.c.alias).where(mine, aliases.c.version == version)
    alias = conn.execute(used).scalar()
    if alias is not None:
        message = f"version: the alias {alias!r} points at version {version} of {model!r}"
        raise ConflictError(message, where="version")
    if version > _forgotten(conn, model):
        _note_forgotten(conn, model, version)
    return bool(conn.execute(delete(model_versions).where(_is(model, version))).rowcount)


def _forgotten(conn: Connection, model: str) -> int:
    """The highest number of a version that was forgotten, 0 where none was."""
    found = conn.execute(select(settings.c.value).where(_highest(model))).scalar()
    return 0 if found is None else int(found)


def _note_forgotten(conn: Connection, model: str, version: int) -> None:
    value = {"tenant_id": TENANT, "name": _HIGHEST + model, "value": str(version)}
    if not insert_or_ignore(conn, settings, [value], returning=settings.c.name):
        conn.execute(update(settings).where(_highest(model)).values(value=str(version)))


def _highest(model: str) -> Any:
    return (settings.c.tenant_id == TENANT) & (settings.c.name == _HIGHEST + model)


def get_alias(conn: Connection, *, model: str, alias: str = CHAMPION) -> AliasRow | None:
    """An alias, None when there is none of that name."""
    row = conn.execute(select(aliases).where(_named(model, alias))).first()
    return None if row is None else _alias(row)


def list_aliases(conn: Connection, *, model: str) -> list[AliasRow]:
    """Aliases of a model by name."""
    mine = (aliases.c.tenant_id == TENANT) & (aliases.c.model == model)
    return [_alias(row) for row in conn.execute(select(aliases).where(mine).order_by("alias"))]


def move_alias(
    conn: Connection, *, model: str, alias: str, version: int, seen: int
) -> AliasRow | None:
    """Point an alias at a version.

    Args:
        conn: a write transaction.
        model: whose.
        alias: name.
        version: one that exists.
        seen: the revision that the caller knows; 0 for an alias that is new.

    Returns:
        The alias; None when its revision is another by now.

    Raises:
        ConflictError: there is no such version, or not any more.
    """
    now = datetime.now(UTC)
    held = select(model_versions.c.version).where(_is(model, version))
    if conn.execute(held.with_for_update(read=True, key_share=True)).first() is None:
        message = f"version: there is no version {version} of {model!r}"
        raise ConflictError(message, where="version")
    if seen == 0:
        value = {
            "tenant_id": TENANT, "model": model, "alias": alias, "version": version,
            "previous": None, "revision": 1, "updated_at": now,
        }  # fmt: skip
        if not insert_or_ignore(conn, aliases, [value], returning=aliases.c.revision):
            return None
    else:
        values = {
            "previous": case((aliases.c.version == version, aliases.c.previous), else_=aliases.c.version),
            "version": version, "revision": seen + 1, "updated_at": now,
        }  # fmt: skip
        here = _named(model, alias) & (aliases.c.revision == seen)
        if not conn.execute(update(aliases).where(here).values(**values)).rowcount:
            return None
    note(conn, "model", [model])
    return get_alias(conn, model=model, alias=alias)


def delete_alias(conn: Connection, *, model: str, alias: str, seen: int) -> AliasRow | None:
    """Forget an alias, and return what it was; None when its revision is another by now.

    Args:
        conn: a write transaction.
        model: whose.
        alias: name.
        seen: the revision that the caller knows.
    """
    row = get_alias(conn, model=model, alias=alias)
    here = _named(model, alias) & (aliases.c.revision == seen)
    if row is None or not conn.execute(delete(aliases).where(here)).rowcount:
        return None
    note(conn, "model", [model])
    return row


def champion(conn: Connection, *, model: str) -> VersionRow | None:
    """The version that is to be served, None when no version was promoted."""
    found = get_alias(conn, model=model)
    return None if found is None else get_version(conn, model=model, version=found.version)


def _is(model: str, version: int) -> Any:
    return (
        (model_versions.c.tenant_id == TENANT)
        & (model_versions.c.model == model)
        & (model_versions.c.version == version)
    )


def _named(model: str, alias: str) -> Any:
    return (aliases.c.tenant_id == TENANT) & (aliases.c.model == model) & (aliases.c.alias == alias)


def _version(row: Row[Any]) -> VersionRow:
    return VersionRow(
        row.model, row.version, row.digest, row.state, row.created_at, row.retrain_due, row.golden
    )


def _alias(row: Row[Any]) -> AliasRow:
    return AliasRow(
        row.model, row.alias, row.version, row.previous, row.revision, row.updated_at
    )  # fmt: skip
