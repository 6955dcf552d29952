"""A person leaves: the store, this process, the files of jobs, and a line in the audit log.

What was removed is told in a signed statement; models that were trained on the person are named in it and
marked. Where a file of tombstones is kept outside the database, the removal stands in it before it is done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gustibus.service.membership import Place, look, named, places_of
from gustibus.service.statements import signed
from gustibus.service.work.task import RESULTS, result_file
from gustibus.store import (
    Connection,
    Tombstone,
    append_tombstones,
    audit,
    delete_user,
    forget_training,
    hashed_user,
    hasher,
    hashing_key,
    keep_receipt,
    key_name,
    known_key,
    mark_retrain_due,
    of_training,
)

if TYPE_CHECKING:
    from gustibus.service.settings import Settings
    from gustibus.service.state import State


class Erased(NamedTuple):
    """What came of a removal."""

    removed: dict[str, int]
    """Rows of each kind."""
    statement: dict[str, Any]
    """The same, signed, without the name."""
    files: tuple[str, ...]
    """Jobs whose results held the person and must go."""


async def erase_person(
    state: State, user: str, *, actor: str, request_id: str = "", job: str = "",
    check: Callable[[Connection], None] | None = None,
) -> Erased:  # fmt: skip
    """Remove everything that names somebody.

    Other processes forget the person when they next look at what was written. `check` is the first of the
    transaction, which an error from it ends.
    """
    settings = state.settings

    def ask(conn: Connection) -> tuple[list[Place], bytes | None]:
        return places_of(conn, settings), known_key(conn)

    places, key = await state.threads.read(ask)
    asked = {} if key is None else await asyncio.to_thread(look, places, user=user, key=key)

    def write(conn: Connection) -> Erased:
        if check is not None:
            check(conn)
        return erase(
            conn, settings, user=user, actor=actor, request_id=request_id, asked=asked, job=job
        )

    erased = await state.threads.write(write)
    state.drop_person(user)
    remove_results(settings, erased.files)
    return erased


def erase(
    conn: Connection, settings: Settings, *, user: str, actor: str, request_id: str = "",
    asked: Mapping[str, bool | None] | None = None, job: str = "", left: datetime | None = None,
) -> Erased:  # fmt: skip
    """Remove everything in the store that names somebody.

    Args:
        conn: a write transaction.
        settings: where models are, and the file of tombstones.
        user: name.
        actor: who asked for it.
        request_id: finds the line of the log.
        asked: models that were asked before whether they were trained on the person, by digest.
        job: that does this; it keeps the statement, should its worker end before it can be its result.
        left: when the person left; now without.

    Raises:
        ReadOnlyError: the file of tombstones cannot be written to.
    """
    now = datetime.now(UTC)
    left, key, name = left or now, hashing_key(conn), hashed_user(conn, user)
    forget_training(conn, user=user, at=left)
    gone = delete_user(conn, user=user, at=left)
    removed = {**gone._asdict(), "files": len(gone.files)}
    places = places_of(conn, settings)  # after that no training becomes a version until the end
    known = dict(asked or {})
    known |= look((one for one in places if one.digest not in known), user=user, key=key)
    trained = named(places, known, answer=True)
    versions = [one.version for one in places if one.label in trained and one.version is not None]
    mark_retrain_due(conn, model=settings.model_name, versions=versions, at=now)
    audit(conn, actor=actor, action="user.delete", what=name, request_id=request_id, **removed,
          retrain_due=sorted(trained))  # fmt: skip
    statement = signed(key, {
        "user": name, "at": now.isoformat(), "removed": removed, "trained_on": trained,
        "unknown": named(places, known, answer=None),
    })  # fmt: skip
    if job:
        keep_receipt(conn, job=job, receipt=statement)
    if settings.tombstones:  # last: it stays when what follows fails
        hashed = hasher(key)
        stones = [Tombstone(hashed(one), left) for one in (user, of_training(user))]
        append_tombstones(Path(settings.tombstones), stones, key=key_name(key))
    return Erased(removed, statement, gone.files)


def remove_results(settings: Settings, jobs: Iterable[str]) -> None:
    """Remove files of jobs; what a crash leaves of them, the worker removes."""
    if settings.files:
        for job in jobs:
            for ending in RESULTS.values():
                result_file(settings, job, ending).unlink(missing_ok=True)
