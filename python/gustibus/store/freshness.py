"""What has to be done again: profiles that are behind the answers, items without a vector."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain, islice

from sqlalchemy import Connection, and_, exists, func, select, update

from gustibus.store.erasure import buried, bury, hasher, hashing_key
from gustibus.store.lookup import absent, among, one_of
from gustibus.store.people import STALE, reset_at
from gustibus.store.restrictions import restricted_among
from gustibus.store.tables import (
    RESTRICTED,
    TENANT,
    comparisons,
    profiles,
    tombstones,
    vectors,
)
from gustibus.store.tables import items as _items
from gustibus.store.tables import users as _users
from gustibus.store.upsert import batched

_ROWS = 500
_PLACES = 10_000
_FEW = 1000  # people whose tombstones are looked up one by one
_TRAINING = "training "  # with a space, which no name has


def mark_stale(conn: Connection, *, user: str) -> None:
    """Note in the transaction that takes an answer away that the profile still rests on it.

    Should the process end before it has fitted the person again, the next one does. A fit that is being
    made of what was read before, maybe of another version, notices by the person's version. A profile that
    was reset rests on no answer, and stays as it is.
    """
    mark_all_stale(conn, users=[user])


def mark_all_stale(conn: Connection, *, users: Sequence[str]) -> None:
    """The same of many."""
    for part in batched(sorted(users), _ROWS):
        _raise_versions(conn, part)
        mine = (profiles.c.tenant_id == TENANT) & among(conn, profiles.c.user_id, part)
        rests = ~profiles.c.fitted_through.endswith(reset_at(""))
        conn.execute(update(profiles).where(mine, rests).values(fitted_through=STALE))


def _raise_versions(conn: Connection, names: Sequence[str]) -> None:
    """Let no fit be written until the transaction ends, and let those that have been made be seen as old.

    The people come before their profiles, and in one order, as fits take them: no deadlock.
    """
    mine = (_users.c.tenant_id == TENANT) & among(conn, _users.c.id, names)
    if conn.dialect.name == "postgresql":
        held = select(_users.c.id).where(mine).order_by(_users.c.id)
        conn.execute(held.with_for_update(key_share=True))
    raised = {"profile_version": _users.c.profile_version + 1}
    conn.execute(update(_users).where(mine).values(**raised))


def users_with_news(
    conn: Connection, *, model: str, after: str = "", limit: int = 1000, since: str = ""
) -> tuple[list[str], str]:
    """People whose last comparison is later than what their profile under a model was fitted to.

    Args:
        conn: a transaction.
        model: digest.
        after: name behind which the look begins.
        limit: most people who are looked at, with news or without.
        since: only those whose last comparison has a later id are told.

    Returns:
        Those with news by name, and the name to go on behind; empty when everybody was looked at.
    """
    newest = func.max(comparisons.c.id).label("newest")
    answered = (
        select(comparisons.c.user_id, newest)
        .where(comparisons.c.tenant_id == TENANT, comparisons.c.user_id > after)
        .group_by(comparisons.c.user_id)
        .order_by(comparisons.c.user_id)
        .limit(limit)
    )
    last = {str(user): str(name) for user, name in conn.execute(answered)}
    told = {user: name for user, name in last.items() if name > since}
    return _behind(conn, told, model), max(last) if len(last) == limit else ""


def news_since(
    conn: Connection, *, model: str, after: str, limit: int = 1000
) -> tuple[list[str], str]:
    """The same of those who have answered lately, without a look at everybody.

    Args:
        conn: a transaction.
        model: digest.
        after: comparisons with later ids are looked at.
        limit: of so many.

    Returns:
        People with news by name, and the id to go on behind; empty when all were looked at.
    """
    newer = (comparisons.c.tenant_id == TENANT) & (comparisons.c.id > after)
    query = select(comparisons.c.id, comparisons.c.user_id).where(newer)
    rows = conn.execute(query.order_by(comparisons.c.id).limit(limit)).all()
    last = {row.user_id: row.id for row in rows}
    return _behind(conn, last, model), rows[-1].id if len(rows) == limit else ""


def _behind(conn: Connection, last: Mapping[str, str], model: str) -> list[str]:
    """Those of some people whose profile was fitted to less than their last comparison.

    Those whose processing is restricted have none, and are to have none.
    """
    fitted: dict[str, str] = {}
    for part in batched(sorted(last), _ROWS):
        mine = (profiles.c.tenant_id == TENANT) & among(conn, profiles.c.user_id, part)
        query = select(profiles.c.user_id, profiles.c.fitted_through)
        rows = conn.execute(query.where(mine, profiles.c.model == model))
        fitted |= {str(user): str(through) for user, through in rows}
    behind = {user for user, name in last.items() if fitted.get(user, "") < name}
    return sorted(behind - restricted_among(conn, users=behind))


def iter_unfitted(conn: Connection, *, model: str) -> Iterator[list[str]]:
    """People with answers who are not fitted under a model, or not to those that wait for vectors, in pages.

    They come in no order, and those whose processing is restricted are left out.
    """
    theirs = (comparisons.c.tenant_id == TENANT) & (comparisons.c.user_id == _users.c.id)
    same = (profiles.c.tenant_id == TENANT) & (profiles.c.user_id == _users.c.id)
    whole = same & (profiles.c.model == model) & (profiles.c.fitted_through != "")
    query = select(_users.c.id).where(
        _users.c.tenant_id == TENANT, _users.c.state != RESTRICTED,
        select(comparisons.c.id).where(theirs).exists(),
        ~select(profiles.c.user_id).where(whole).exists(),
    )  # fmt: skip
    with conn.execute(query.execution_options(yield_per=_PLACES)) as rows:
        for page in rows.scalars().partitions():
            yield [str(user) for user in page]


def marked_users(conn: Connection, *, model: str, limit: int = 1000) -> list[str]:
    """People whose profile rests on an answer that is gone, or not on answers that wait for vectors."""
    marked = profiles.c.fitted_through == STALE
    some = (comparisons.c.tenant_id == TENANT) & (comparisons.c.user_id == profiles.c.user_id)
    waiting = (profiles.c.fitted_through == "") & select(comparisons.c.id).where(some).exists()
    either = profiles.c.fitted_through.in_(["", STALE])  # an index finds these
    mine = (profiles.c.tenant_id == TENANT) & (profiles.c.model == model) & either
    query = select(profiles.c.user_id).where(mine, marked | waiting).limit(limit)
    return list(conn.execute(query).scalars())


def unready_items(conn: Connection, *, model: str) -> list[str]:
    """Names of items that have no vector under a model."""
    same = and_(
        vectors.c.tenant_id == _items.c.tenant_id,
        vectors.c.item_id == _items.c.id,
        vectors.c.model == model,
    )
    query = select(_items.c.id).where(_items.c.tenant_id == TENANT, ~exists().where(same))
    return list(conn.execute(query).scalars())


def deleted_among(conn: Connection, *, users: Iterable[str]) -> set[str]:
    """Which of some people were deleted and have not come back themselves.

    Of a few, each tombstone is looked up: those who ask every second must not read all that there are.
    Of very many, all are read once.
    """
    more = iter(users)
    first = list(islice(more, _FEW + 1))
    if len(first) <= _FEW:
        return _still_gone(conn, users=buried(conn, users=first)) if first else set()
    graves = set(
        conn.execute(select(tombstones.c.digest).where(tombstones.c.tenant_id == TENANT)).scalars()
    )
    if not graves:
        return set()
    hashed = hasher(hashing_key(conn))
    return _still_gone(conn, users={u for u in chain(first, more) if hashed(u) in graves})


def _still_gone(conn: Connection, *, users: Iterable[str]) -> set[str]:
    """Those of some people who were deleted that have not begun anew."""
    found = sorted(users)
    return set(absent(conn, _users.c.id, found)) if found else set()


def versions_of(conn: Connection, *, users: Sequence[str]) -> dict[str, int]:
    """Profile versions of those of some people that exist."""
    found: dict[str, int] = {}
    for start in range(0, len(users), _ROWS):
        part = users[start : start + _ROWS]
        query = select(_users.c.id, _users.c.profile_version).where(
            _users.c.tenant_id == TENANT, one_of(_users.c.id, part)
        )
        found |= {user: int(version) for user, version in conn.execute(query)}
    return found


def existing_items(conn: Connection, *, items: Sequence[str]) -> set[str]:
    """Which of some items there are."""
    return set(items).difference(missing_items(conn, items=items))


def missing_items(conn: Connection, *, items: Iterable[str]) -> set[str]:
    """Which of some items there are not."""
    return set(absent(conn, _items.c.id, sorted(set(items))))


def forget_training(conn: Connection, *, user: str, at: datetime | None = None) -> None:
    """Remember that what a model's training says of somebody must not be used, should they return."""
    bury(conn, user=of_training(user), at=at)


def of_training(user: str) -> str:
    """The name under which that is remembered."""
    return _TRAINING + user


def training_forgotten(conn: Connection, *, users: Iterable[str]) -> set[str]:
    """Those of some people of whom nothing that a training says may be used."""
    found = deleted_among(conn, users=(_TRAINING + user for user in users))
    return {name.removeprefix(_TRAINING) for name in found}
