"""People and what was learned about them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Connection, Row, Select, delete, func, insert, literal_column, select, update

from gustibus.store.changes import note
from gustibus.store.erasure import buried, hold_many, hold_users, refuse_buried
from gustibus.store.lookup import absent, among, one_of
from gustibus.store.tables import (
    ACTIVE,
    QUARANTINED,
    RESTRICTED,
    TENANT,
    comparisons,
    neighbours,
    profiles,
    quarantines,
    users,
)
from gustibus.store.upsert import batched, insert_or_ignore
from gustibus.types import F32, F64

_PAGE, _PLACES = 1000, 10_000
_RARE = {name: name for name in (QUARANTINED, RESTRICTED)}
STALE = "!"  # before the id of every comparison: rests on an answer that is gone, or may do so
_RESET = " "  # behind the id of an answer: sorts between it and the next one


@dataclass(frozen=True, slots=True)
class UserRow:
    """A person."""

    id: str
    state: str
    attributes: dict[str, Any]
    profile_version: int
    """Rises whenever the profile changes; 0 before the first."""
    n_comparisons: int
    created_at: datetime
    updated_at: datetime
    signals: tuple[str, ...] = ()
    """Why the person is in quarantine; empty for those who are not."""


@dataclass(frozen=True, slots=True)
class ProfileRow:
    """Where a person's answers put them under one model."""

    user: str
    model: str
    """Digest of the model."""
    version: int
    mean: F64
    """`(u,)`."""
    covariance: F64
    """`(u, u)`."""
    count: int
    """Answers that it rests on."""
    fitted_through: str
    """Id of the last comparison that was used; empty without any."""
    updated_at: datetime


class Placed(NamedTuple):
    """Where many people are under one model, without their uncertainty."""

    users: list[str]
    means: F32
    """`(n, u)`."""
    counts: list[int]
    versions: list[int]


def put_user(
    conn: Connection, *, user: str, attributes: Mapping[str, Any] | None = None
) -> tuple[UserRow, bool]:
    """Make or change a person; attributes of None stay. The flag says whether they are new.

    Somebody who was deleted begins anew: what they said before stays out, as `add_drafts` tells.
    """
    created = bool(_make(conn, [user]))
    hold_users(conn, users=[user])
    if attributes is not None:
        values = {"attributes": dict(attributes), "updated_at": datetime.now(UTC)}
        conn.execute(update(users).where(_is(user)).values(**values))
    found = get_user(conn, user=user)
    assert found is not None, "it was just written"
    return found, created


def ensure_users(conn: Connection, *, users: Iterable[str]) -> list[str]:
    """Make the people that do not exist yet, and say who they are.

    Raises:
        ConflictError: one of them was deleted; only `put_user` begins anew.
    """
    fresh = _make(conn, users)
    if fresh:
        refuse_buried(conn, users=fresh)
    return fresh


_users = users


def _make(conn: Connection, users: Iterable[str]) -> list[str]:
    wanted = sorted(set(users))  # in one order everywhere: no deadlock
    hold_many(conn, len(wanted))
    now = datetime.now(UTC)
    rows = [
        {"tenant_id": TENANT, "id": user, "state": ACTIVE, "attributes": {},
         "profile_version": 0, "created_at": now, "updated_at": now}
        for user in absent(conn, _users.c.id, wanted)
    ]  # fmt: skip
    fresh: list[str] = sorted(insert_or_ignore(conn, _users, rows, returning=_users.c.id))
    note(conn, "user", fresh)
    return fresh


def get_user(conn: Connection, *, user: str, hold: bool = False) -> UserRow | None:
    """A person, None when there is none of that name.

    Args:
        conn: a transaction.
        user: name.
        hold: whether nobody else changes them until the transaction ends.
    """
    query = _with_counts().where(_is(user))
    if hold:
        # Not more than an update holds: others may hold them against a removal at the same time.
        query = query.with_for_update(of=users, key_share=True)
    row = conn.execute(query).first()
    return None if row is None else _user(row)


def list_users(
    conn: Connection, *, after: str | None = None, limit: int = 100, state: str | None = None
) -> list[UserRow]:
    """People by name.

    Args:
        conn: a transaction.
        after: name behind which the list begins.
        limit: of so many.
        state: only people in this one, `restricted` or `quarantined`, which few are.
    """
    query = _with_counts().where(users.c.tenant_id == TENANT)
    if state is not None:  # written out, because a parameter would keep engines from their index
        query = query.where(users.c.state == literal_column(f"'{_RARE[state]}'"))
    if state == QUARANTINED:
        query = query.where(quarantines.c.user_id.is_not(None))
    if after is not None:
        query = query.where(users.c.id > after)
    return [_user(row) for row in conn.execute(query.order_by(users.c.id).limit(limit))]


def deleted_users(conn: Connection, *, users: Iterable[str]) -> set[str]:
    """Which of these people were deleted and have not come back themselves."""
    found = buried(conn, users=list(users))
    return set(absent(conn, _users.c.id, sorted(found))) if found else found


def put_profile(
    conn: Connection, *, user: str, model: str, mean: F64, covariance: F64, count: int,
    fitted_through: str, read: int | None = None,
) -> int:  # fmt: skip
    """Replace a person's profile under a model, and return its version; 0 if they are gone or restricted.

    Args:
        conn: a write transaction.
        user: name.
        model: digest.
        mean: `(k,)`.
        covariance: `(k, k)`.
        count: of the answers that it was fitted to.
        fitted_through: id of the last of them; empty while answers wait for vectors.
        read: version of the person when the answers were read. Where it is another by now, an answer may
            have been taken away: then the profile is marked, so that they are fitted again.
    """
    now = datetime.now(UTC)
    raised = {"profile_version": users.c.profile_version + 1, "updated_at": now}
    free = _is(user) & (users.c.state != RESTRICTED)
    version = conn.execute(
        update(users).where(free).values(**raised).returning(users.c.profile_version)
    ).scalar()
    if version is None:
        return 0
    if read is not None and version != read + 1 and fitted_through:
        fitted_through = STALE
    conn.execute(delete(profiles).where(_of(user), profiles.c.model == model))
    conn.execute(
        insert(profiles).values(
            tenant_id=TENANT,
            user_id=user,
            model=model,
            version=version,
            mean=_pack(mean),
            covariance=_pack(covariance[np.triu_indices(len(mean))]),
            count=count,
            fitted_through=fitted_through,
            updated_at=now,
        )
    )
    note(conn, "user", [user])
    return int(version)


def get_profile(conn: Connection, *, user: str, model: str) -> ProfileRow | None:
    """A person's profile under a model, None without one."""
    row = conn.execute(select(profiles).where(_of(user), profiles.c.model == model)).first()
    return None if row is None else _profile(row)


def reset_profile(conn: Connection, *, user: str) -> int:
    """Forget what was learned, under every model; the comparisons stay. Returns the version."""
    raised = {"profile_version": users.c.profile_version + 1, "updated_at": datetime.now(UTC)}
    version = conn.execute(  # the person first, as whoever fits them does: no deadlock
        update(users).where(_is(user)).values(**raised).returning(users.c.profile_version)
    ).scalar()
    conn.execute(delete(profiles).where(_of(user)))
    placed = (neighbours.c.tenant_id == TENANT) & (neighbours.c.user_id == user)
    conn.execute(delete(neighbours).where(placed))
    note(conn, "user", [user])
    return int(version or 0)


def reset_at(last: str) -> str:
    """What a profile is fitted through that was reset after an answer: it rests on none of them."""
    return last + _RESET


def resets_of(
    conn: Connection, *, users: Sequence[str], model: str, hold: bool = False
) -> dict[str, str]:
    """Those of some people whose profile was reset, and the id of the last answer before that.

    Whoever was reset under an earlier version and has no profile under this one yet is so here, too.

    Args:
        conn: a transaction.
        users: people.
        model: digest.
        hold: whether nobody else resets them until the transaction ends.
    """
    if hold and conn.dialect.name == "postgresql":  # SQLite has one writer
        mine = (_users.c.tenant_id == TENANT) & one_of(_users.c.id, sorted(users))
        conn.execute(select(_users.c.id).where(mine).order_by(_users.c.id).with_for_update())
    through: dict[str, str] = {}
    for part in batched(sorted(users), _PAGE):
        mine = (profiles.c.tenant_id == TENANT) & among(conn, profiles.c.user_id, part)
        query = select(profiles.c.user_id, profiles.c.model, profiles.c.fitted_through)
        rows = conn.execute(query.where(mine)).all()
        through |= {  # of a reset no profile of another version is left
            row.user_id: max(row.fitted_through, through.get(row.user_id, ""))
            for row in rows if row.fitted_through.endswith(_RESET)
        }  # fmt: skip
        through |= {row.user_id: row.fitted_through for row in rows if row.model == model}
    return {user: at.removesuffix(_RESET) for user, at in through.items() if at.endswith(_RESET)}


def iter_profiles(conn: Connection, *, model: str) -> Iterator[ProfileRow]:
    """Every profile under a model, by name of the person, read in pages."""
    after = ""
    while True:
        query = select(profiles).where(
            profiles.c.tenant_id == TENANT, profiles.c.model == model, profiles.c.user_id > after
        )
        rows = conn.execute(query.order_by(profiles.c.user_id).limit(_PAGE)).all()
        yield from map(_profile, rows)
        if len(rows) < _PAGE:
            return
        after = rows[-1].user_id


def iter_placed(conn: Connection, *, model: str) -> Iterator[Placed]:
    """Everybody's place under a model, in no order, in pages.

    A start reads them all; what they are uncertain about is most of a profile, and is not wanted there.
    They come as one answer: to ask by name for page after page has PostgreSQL look for each person.
    """
    columns = (profiles.c.user_id, profiles.c.mean, profiles.c.count, profiles.c.version)
    query = select(*columns).where(profiles.c.tenant_id == TENANT, profiles.c.model == model)
    for rows in _pages(conn, query):
        yield _placed(rows)


def placed_page(conn: Connection, *, model: str, after: str, limit: int) -> Placed:
    """The places under a model of the first people by name behind a name."""
    columns = (profiles.c.user_id, profiles.c.mean, profiles.c.count, profiles.c.version)
    mine = (profiles.c.tenant_id == TENANT) & (profiles.c.model == model)
    query = select(*columns).where(mine, profiles.c.user_id > after)
    return _placed(conn.execute(query.order_by(profiles.c.user_id).limit(limit)).all())


def places_of(conn: Connection, *, users: Sequence[str], model: str) -> Placed:
    """The places under a model of those of some people who have one."""
    columns = (profiles.c.user_id, profiles.c.mean, profiles.c.count, profiles.c.version)
    mine = (profiles.c.tenant_id == TENANT) & (profiles.c.model == model)
    rows: list[Any] = []
    for part in batched(users, _PAGE):
        query = select(*columns).where(mine, one_of(profiles.c.user_id, part))
        rows += conn.execute(query).all()
    return _placed(rows)


def _placed(rows: Sequence[Any]) -> Placed:
    if not rows:
        return Placed([], np.zeros((0, 0), np.float32), [], [])
    users, means, counts, versions = map(list, zip(*rows, strict=True))
    shape = (len(users), len(means[0]) // 4)
    return Placed(users, np.frombuffer(b"".join(means), "<f4").reshape(shape), counts, versions)


def unknown_users(conn: Connection, *, users: Iterable[str]) -> set[str]:
    """Which of some people have no row."""
    return set(absent(conn, _users.c.id, sorted(set(users))))


def attributes_of(conn: Connection, *, users: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Attributes of those of some people who are here."""
    found: dict[str, dict[str, Any]] = {}
    for part in batched(sorted(set(users)), _PAGE):
        mine = (_users.c.tenant_id == TENANT) & among(conn, _users.c.id, part)
        query = select(_users.c.id, _users.c.attributes).where(mine)
        found |= {row.id: dict(row.attributes) for row in conn.execute(query)}
    return found


def inactive_users(conn: Connection) -> set[str]:
    """People whose state is another than `active`."""
    query = select(_users.c.id).where(_users.c.tenant_id == TENANT, _users.c.state != "active")
    return set(conn.execute(query).scalars())


def iter_unplaced(conn: Connection, *, model: str) -> Iterator[dict[str, int]]:
    """Everybody without a profile under a model, with the version of their profile, in pages."""
    same = (profiles.c.tenant_id == TENANT) & (profiles.c.user_id == _users.c.id)
    placed = select(profiles.c.user_id).where(same, profiles.c.model == model).exists()
    query = select(_users.c.id, _users.c.profile_version).where(_users.c.tenant_id == TENANT)
    for rows in _pages(conn, query.where(~placed)):
        yield {row.id: int(row.profile_version) for row in rows}


def _pages(conn: Connection, query: Select[Any]) -> Iterator[Sequence[Row[Any]]]:
    """Rows of an answer that is read as it is made, and is never in memory as a whole."""
    with conn.execute(query.execution_options(yield_per=_PLACES)) as rows:
        yield from rows.partitions()


def profiles_of(conn: Connection, *, users: Sequence[str], model: str) -> Iterator[ProfileRow]:
    """The profiles under a model that some people have, read in pages."""
    for part in batched(users, _PAGE):
        mine = (profiles.c.tenant_id == TENANT) & (profiles.c.model == model)
        yield from map(
            _profile, conn.execute(select(profiles).where(mine, one_of(profiles.c.user_id, part)))
        )


def _is(user: str) -> Any:
    return (_users.c.tenant_id == TENANT) & (_users.c.id == user)


def _of(user: str) -> Any:
    return (profiles.c.tenant_id == TENANT) & (profiles.c.user_id == user)


def _with_counts() -> Any:
    counted = (
        select(func.count())
        .where(comparisons.c.tenant_id == TENANT, comparisons.c.user_id == users.c.id)
        .scalar_subquery()
    )
    held = quarantines.c.lifted_at.is_(None)
    same = (quarantines.c.tenant_id == users.c.tenant_id) & (quarantines.c.user_id == users.c.id)
    columns = (users, counted.label("n_comparisons"), quarantines.c.reasons)
    return select(*columns).select_from(users.outerjoin(quarantines, same & held))


def _user(row: Row[Any]) -> UserRow:
    return UserRow(
        row.id, row.state, dict(row.attributes), int(row.profile_version), int(row.n_comparisons),
        row.created_at, row.updated_at, tuple(row.reasons or ()),
    )  # fmt: skip


def _profile(row: Row[Any]) -> ProfileRow:
    mean = np.frombuffer(row.mean, "<f4").astype(np.float64)
    covariance = np.zeros((len(mean), len(mean)))
    upper = np.triu_indices(len(mean))
    covariance[upper] = np.frombuffer(row.covariance, "<f4")
    covariance.T[upper] = covariance[upper]
    return ProfileRow(
        row.user_id, row.model, int(row.version), mean, covariance, int(row._mapping["count"]),
        row.fitted_through, row.updated_at,
    )  # fmt: skip


def _pack(values: F64) -> bytes:
    return np.ascontiguousarray(values, "<f4").tobytes()
