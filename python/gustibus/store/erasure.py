"""A person's right to have removed what is kept about them, and to have it stay so."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, delete, func, select

from gustibus.errors import ConflictError
from gustibus.store.changes import note
from gustibus.store.engine import SCRUB
from gustibus.store.exposure import uncount_person
from gustibus.store.jobs import withdraw_results
from gustibus.store.keys import setting
from gustibus.store.lookup import absent, among, one_of
from gustibus.store.replies import delete_replies
from gustibus.store.tables import (
    TENANT,
    changes,
    comparisons,
    consents,
    import_errors,
    neighbours,
    profiles,
    quarantines,
    questions,
    sessions,
    settings,
    sides,
    tombstones,
    users,
)
from gustibus.store.upsert import batched, insert_or_ignore, insert_or_update

_users = users  # functions have arguments of that name
_SALT = "tombstone"
_ROWS = 500
_MANY = 100  # people; from here on one lock for all of them costs less than one each
_LEAVING = 0x67757375  # advisory lock of PostgreSQL: shared by those who add, alone for who removes


class Removed(NamedTuple):
    """What was removed: how many rows of each kind."""

    users: int
    profiles: int
    comparisons: int
    sessions: int
    questions: int
    replies: int
    import_errors: int = 0
    consents: int = 0
    neighbours: int = 0
    """Places on maps."""
    quarantines: int = 0
    files: tuple[str, ...] = ()
    """Jobs whose results held the person and must go."""


def delete_user(conn: Connection, *, user: str, at: datetime | None = None) -> Removed:
    """Remove everything that names a person, and remember by a keyed hash that they left.

    Works for names without a row too: people may be known from a model's training alone.

    Args:
        conn: a write transaction.
        user: name.
        at: when they left; now without.
    """
    wait_for_many(conn)
    new = _stand_in(conn, user)
    mine = select(comparisons.c.id).where(_of(comparisons, user))
    conn.execute(delete(sides).where(sides.c.tenant_id == TENANT, sides.c.comparison_id.in_(mine)))
    asked = list(
        conn.execute(select(sessions.c.id).where(_of(sessions, user)).with_for_update()).scalars()
    )
    uncount_person(conn, user=user)
    about = (questions.c.tenant_id == TENANT) & one_of(questions.c.session_id, asked)
    n_questions = conn.execute(delete(questions).where(about)).rowcount
    replies = delete_replies(conn, user=user)
    removed = Removed(
        users=conn.execute(
            delete(users).where(users.c.tenant_id == TENANT, users.c.id == user)
        ).rowcount
        - new,
        profiles=conn.execute(delete(profiles).where(_of(profiles, user))).rowcount,
        comparisons=conn.execute(delete(comparisons).where(_of(comparisons, user))).rowcount,
        sessions=conn.execute(delete(sessions).where(_of(sessions, user))).rowcount,
        questions=n_questions,
        replies=replies,
        import_errors=conn.execute(delete(import_errors).where(_of(import_errors, user))).rowcount,
        consents=conn.execute(delete(consents).where(_of(consents, user))).rowcount,
        neighbours=conn.execute(delete(neighbours).where(_of(neighbours, user))).rowcount,
        quarantines=conn.execute(delete(quarantines).where(_of(quarantines, user))).rowcount,
        files=tuple(withdraw_results(conn, user=user)),
    )
    bury(conn, user=user, at=at)
    conn.execute(delete(changes).where(changes.c.kind == "user", changes.c.name == user))
    note(conn, "user", [user])  # other processes forget the person when they read this
    conn.info[SCRUB] = True
    return removed


def _stand_in(conn: Connection, user: str) -> int:
    """Hold a person's row, so that nobody adds to them until they are gone.

    Somebody who is being made by another transaction is waited for, which takes a row of that name:
    1 if there was none.
    """
    now = datetime.now(UTC)
    row = {
        "tenant_id": TENANT, "id": user, "state": "deleted", "attributes": {},
        "profile_version": 0, "created_at": now, "updated_at": now,
    }  # fmt: skip
    made = insert_or_ignore(conn, users, [row], returning=users.c.id)
    mine = (users.c.tenant_id == TENANT) & (users.c.id == user)
    conn.execute(select(users.c.id).where(mine).with_for_update())
    return len(made)


def hold_users(conn: Connection, *, users: Iterable[str]) -> None:
    """Let nobody delete these people until the transaction ends.

    Raises:
        ConflictError: one of them has just been deleted.
    """
    wanted = sorted(set(users))
    if hold_many(conn, len(wanted)):
        refuse_buried(conn, users=absent(conn, _users.c.id, wanted))
        return
    mine = (_users.c.tenant_id == TENANT) & among(conn, _users.c.id, wanted)
    query = select(_users.c.id).where(mine).order_by(_users.c.id)
    held = query.with_for_update(read=True, key_share=True)
    found = set(conn.execute(held).scalars())
    refuse_buried(conn, users=[user for user in wanted if user not in found])


def hold_many(conn: Connection, count: int) -> bool:
    """Hold everybody at once where a transaction is about very many people; False for a few.

    Must come before the transaction makes any of them, or it could wait in a circle with a removal.
    """
    if count < _MANY:
        return False
    hold_everybody(conn)
    return True


def hold_everybody(conn: Connection) -> None:
    """Let nobody be deleted until the transaction ends."""
    if conn.dialect.name == "postgresql":
        conn.execute(select(func.pg_advisory_xact_lock_shared(_LEAVING)))


def wait_for_many(conn: Connection) -> None:
    """Wait for transactions that hold everybody at once, and keep new ones out.

    Must come before the transaction makes or holds a person.
    """
    if conn.dialect.name == "postgresql":
        conn.execute(select(func.pg_advisory_xact_lock(_LEAVING)))


def refuse_buried(conn: Connection, *, users: Sequence[str]) -> None:
    """Raise for people who were deleted.

    Raises:
        ConflictError: names one of them.
    """
    gone = buried(conn, users=users) if users else set()
    if gone:
        message = f"user: {min(gone)!r} was deleted"
        raise ConflictError(message, where="user")


def bury(conn: Connection, *, user: str, at: datetime | None = None) -> None:
    """Set a tombstone of now or another time, or the time of the one that is there.

    It stays when the person begins anew: what was said before must not come back by old files.
    """
    row = {"tenant_id": TENANT, "digest": _hashed(conn, user), "at": at or datetime.now(UTC)}
    insert_or_update(conn, tombstones, [row])


def buried(conn: Connection, *, users: Sequence[str]) -> set[str]:
    """Which of these people were deleted; changes nothing, so that a reader may ask."""
    return set(departures(conn, users=users))


def departures(conn: Connection, *, users: Sequence[str]) -> dict[str, datetime]:
    """When those of some people who were deleted were last; also of who has begun anew since."""
    key = known_key(conn)
    if key is None:  # nobody has been deleted yet
        return {}
    mine = (tombstones.c.tenant_id == TENANT) & (tombstones.c.digest > b"")  # along the index
    first = select(tombstones.c.digest).where(mine).order_by(tombstones.c.digest).limit(1)
    if conn.execute(first).first() is None:  # the key was made for something else
        return {}
    hashed = hasher(key)
    digests = {hashed(user): user for user in users}
    found: dict[str, datetime] = {}
    for part in batched(list(digests), _ROWS):
        mine = (tombstones.c.tenant_id == TENANT) & one_of(tombstones.c.digest, part)
        rows = conn.execute(select(tombstones.c.digest, tombstones.c.at).where(mine))
        found |= {digests[digest]: at for digest, at in rows.all()}
    return found


def hashing_key(conn: Connection) -> bytes:
    """Key of the hashes, so that names cannot be tried out against a copy of the table alone."""
    return setting(conn, name=_SALT, default=lambda: secrets.token_urlsafe(32)).encode()


def known_key(conn: Connection) -> bytes | None:
    """The same where there is one already; None makes none, so that a reader may ask."""
    named = (settings.c.tenant_id == TENANT) & (settings.c.name == _SALT)
    found = conn.execute(select(settings.c.value).where(named)).scalar()
    return None if found is None else str(found).encode()


def key_name(key: bytes) -> str:
    """What tells a key from others, and nothing else about it."""
    return hmac.digest(key, b"which key", hashlib.sha256).hex()[:16]


def hasher(key: bytes) -> Callable[[str], bytes]:
    """HMAC-SHA256 of names under one key, which is taken in once: a third of the cost for very many."""
    block = (hashlib.sha256(key).digest() if len(key) > 64 else key).ljust(64, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
    outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def hashed(name: str) -> bytes:
        told, whole = inner.copy(), outer.copy()
        told.update(name.encode())
        whole.update(told.digest())
        return whole.digest()

    return hashed


def _hashed(conn: Connection, user: str) -> bytes:
    return hmac.digest(hashing_key(conn), user.encode(), hashlib.sha256)


def _of(table: Table, user: str) -> Any:
    return (table.c.tenant_id == TENANT) & (table.c.user_id == user)
