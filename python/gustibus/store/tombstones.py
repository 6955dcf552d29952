"""Who was deleted, kept outside the database as well, so that a backup of before does not bring them back.

A file of JSON lines that is only added to. Each has a keyed hash as the table has it, when that person
left, and what tells the key from others.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Column, Connection, select

from gustibus.errors import OverloadedError
from gustibus.store.engine import ReadOnlyError, Store
from gustibus.store.erasure import hashing_key, known_key
from gustibus.store.lookup import one_of
from gustibus.store.tables import (
    TENANT,
    consents,
    import_errors,
    jobs,
    neighbours,
    reply_users,
    sessions,
    tombstones,
    users,
)
from gustibus.store.upsert import batched, insert_or_update

if sys.platform != "win32":
    import fcntl

_ROWS = 500
_PAGE = 5000
_BYTES = 32
_NAMING: tuple[Column[Any], ...] = (
    users.c.id, sessions.c.user_id, consents.c.user_id, neighbours.c.user_id, jobs.c.user_id,
    import_errors.c.user_id, reply_users.c.user_id,
)  # fmt: skip
"""Columns that name people; whoever has answered or has a profile is among `users`."""


class Tombstone(NamedTuple):
    """Somebody who left."""

    digest: bytes
    at: datetime


@dataclass
class Graves:
    """What a file of tombstones holds.

    Attributes:
        times: when each hash left last, of the key that was asked for.
        foreign: lines under other keys.
        broken: lines that are none, as a crash of the machine may leave one.
    """

    times: dict[bytes, datetime] = field(default_factory=dict)
    foreign: int = 0
    broken: int = 0


def read_tombstones(path: Path, *, key: str) -> Graves:
    """Read a file of tombstones.

    Args:
        path: of the file.
        key: what tells the key of the store from others.

    Raises:
        OSError: it cannot be read.
    """
    found = Graves()
    with path.open("rb") as file:
        for line in file:
            if not line.strip():
                continue
            try:
                told = json.loads(line)
                digest, at = bytes.fromhex(told["hash"]), datetime.fromisoformat(told["at"])
                whole = len(digest) == _BYTES and at.tzinfo is not None
            except (ValueError, LookupError, TypeError):
                whole = False
            if not whole:
                found.broken += 1
            elif told.get("key") != key:
                found.foreign += 1
            else:
                found.times[digest] = max(at, found.times.get(digest, at))
    return found


def append_tombstones(path: Path, stones: Iterable[Tombstone], *, key: str) -> None:
    """Add to a file of tombstones, which is on the disk when this returns; one that fails leaves it as it was.

    Raises:
        ReadOnlyError: it cannot be written to.
    """
    lines = (
        json.dumps({"hash": one.digest.hex(), "at": one.at.isoformat(), "key": key}) + "\n"
        for one in stones
    )
    data = "".join(lines).encode()
    try:
        with closing(_Held(path)) as file:
            file.append(data)
    except OSError as error:
        reason = error.strerror or error
        message = f"tombstones: {path} cannot be written to ({reason}), and nobody is deleted"
        raise ReadOnlyError(message, where="tombstones") from error


class _Held:
    """A file that nobody else adds to meanwhile."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        if sys.platform != "win32":
            with suppress(OSError):  # of a file system without locks
                fcntl.flock(self._file, fcntl.LOCK_EX)

    def append(self, data: bytes) -> None:
        """Add bytes behind a line that is whole."""
        size = os.fstat(self._file).st_size
        if size:
            os.lseek(self._file, size - 1, os.SEEK_SET)
            if os.read(self._file, 1) != b"\n":  # a crash of the machine tore the last line
                data = b"\n" + data
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(self._file, left) :]
            os.fsync(self._file)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._file, size)
            raise
        if not size and sys.platform != "win32":
            folder = os.open(self._path.absolute().parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def close(self) -> None:
        """Let others add."""
        os.close(self._file)


def iter_tombstones(conn: Connection) -> Iterator[Tombstone]:
    """All that the store has, by their hash."""
    after = b""
    while True:
        mine = (tombstones.c.tenant_id == TENANT) & (tombstones.c.digest > after)
        query = select(tombstones.c.digest, tombstones.c.at).where(mine)
        rows = conn.execute(query.order_by(tombstones.c.digest).limit(_PAGE)).all()
        yield from (Tombstone(bytes(row.digest), row.at) for row in rows)
        if len(rows) < _PAGE:
            return
        after = bytes(rows[-1].digest)


def put_tombstones(conn: Connection, *, times: Mapping[bytes, datetime]) -> int:
    """Set tombstones, or the times of those that are older; returns how many."""
    changed = 0
    for part in batched(sorted(times), _ROWS):
        mine = (tombstones.c.tenant_id == TENANT) & one_of(tombstones.c.digest, part)
        query = select(tombstones.c.digest, tombstones.c.at).where(mine)
        there = {bytes(digest): at for digest, at in conn.execute(query).all()}
        rows = [
            {"tenant_id": TENANT, "digest": digest, "at": times[digest]}
            for digest in part
            if digest not in there or there[digest] < times[digest]
        ]
        insert_or_update(conn, tombstones, rows)
        changed += len(rows)
    return changed


def make_hashing_key(store: Store) -> None:
    """Have the key of the hashes before anybody is deleted, so that backups of before have it, too.

    Without it a file could not be told to be of the people of such a backup.
    """
    with store.read() as conn:
        missing = known_key(conn) is None
    if missing:
        with suppress(OverloadedError), store.write() as conn:  # a standby has it later
            hashing_key(conn)


def named_people(conn: Connection, *, column: int, after: str) -> list[str]:
    """Names of people behind one, of one of the columns that have any; none for a column too many."""
    if column >= len(_NAMING):
        return []
    named = _NAMING[column]
    mine = (named.table.c.tenant_id == TENANT) & (named > after)
    query = select(named).where(mine).distinct().order_by(named).limit(_PAGE)
    return list(conn.execute(query).scalars())


NAMING = range(len(_NAMING))
"""Columns for `named_people`."""
