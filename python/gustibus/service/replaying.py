"""Deletions done again from a file of tombstones, after a backup of before has brought people back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from gustibus.errors import ConfigError
from gustibus.service.erasing import erase, remove_results
from gustibus.store import (
    NAMING,
    Connection,
    Graves,
    Store,
    allow_time,
    append_tombstones,
    departures,
    hasher,
    hashing_key,
    iter_tombstones,
    key_name,
    known_key,
    named_people,
    put_tombstones,
    read_tombstones,
)
from gustibus.store.upsert import batched

if TYPE_CHECKING:
    from gustibus.service.settings import Settings

_ROWS = 1000


class Replayed(NamedTuple):
    """What came of a file."""

    people: int
    """Whom the database had and has no more."""
    tombstones: int
    """Of others, which the database lacked or had of an earlier time."""
    foreign: int
    """Lines under the keys of other databases, which nothing was done with."""
    broken: int
    """Lines that are none."""


class Exported(NamedTuple):
    """What was added to a file."""

    added: int
    there: int
    """What the file had already."""


def export_tombstones(store: Store, path: Path) -> Exported:
    """Add to a file what it lacks of the tombstones of a database.

    Raises:
        OSError: it cannot be read.
        ReadOnlyError: it cannot be written to.
    """
    with store.write() as conn:  # the key may have to be made
        key = key_name(hashing_key(conn))
    held = read_tombstones(path, key=key).times if path.exists() else {}
    with store.read() as conn:
        allow_time(conn)
        fresh = [
            one
            for one in iter_tombstones(conn)
            if one.digest not in held or held[one.digest] < one.at
        ]
    append_tombstones(path, fresh, key=key)
    return Exported(len(fresh), len(held))


def replay_tombstones(
    store: Store, settings: Settings, path: Path, *, tell: Callable[[int], None] = lambda _: None
) -> Replayed:
    """Delete whoever is in a file and in the database, but for those who had come back when it was copied.

    Each is a transaction of their own, so that what was stopped is begun again and goes on; a second time
    there is nothing to do.

    Args:
        store: the database, which nobody uses meanwhile.
        settings: where models, results of jobs and tombstones are.
        path: of the file.
        tell: given how many people were deleted, now and then.

    Raises:
        ConfigError: the file is of another database altogether.
        OSError: it cannot be read.
    """
    with store.read() as conn:
        key = known_key(conn)
    found = read_tombstones(path, key="" if key is None else key_name(key))
    if key is None or (found.foreign and not found.times):
        message = (
            f"FILE: {path} has no hash under the key of this database: it is of another one, or the "
            "database was copied before it had a key"
        )
        raise ConfigError(message, where="FILE")
    people, changed = 0, 0
    for user, left in _back(store, key, found):
        with store.write() as conn:
            if not _is_back(conn, user, left):
                continue
            erased = erase(conn, settings, user=user, actor="cli", left=left)
        remove_results(settings, erased.files)
        people += 1
        tell(people)
    for part in batched(sorted(found.times), _ROWS):
        with store.write() as conn:
            changed += put_tombstones(conn, times={digest: found.times[digest] for digest in part})
    return Replayed(people, changed, found.foreign, found.broken)


def _back(store: Store, key: bytes, found: Graves) -> Iterator[tuple[str, datetime]]:
    """People of the database who are in the file, and when they left; some more than once."""
    hashed = hasher(key)
    for column in NAMING:
        after = ""
        while True:
            with store.read() as conn:
                allow_time(conn)
                names = named_people(conn, column=column, after=after)
            if not names:
                break
            for name in names:
                left = found.times.get(hashed(name))
                if left is not None:
                    yield name, left
            after = names[-1]


def _is_back(conn: Connection, user: str, left: datetime) -> bool:
    """Whether the database does not know yet that somebody left then.

    Whoever left, began anew and is in the copy as they are since stays.
    """
    known = departures(conn, users=[user]).get(user)
    return known is None or known < left
