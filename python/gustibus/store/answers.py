"""Comparisons: written once however often they are sent, and read back as evidence."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from json.encoder import encode_basestring_ascii
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Column, ColumnElement, Connection, Row, delete, func, select

from gustibus.errors import ConflictError
from gustibus.rewards.implicit import ORIGIN, WEIGHT
from gustibus.store.erasure import departures, hold_users
from gustibus.store.ids import ulid
from gustibus.store.items import pack, unpack
from gustibus.store.locks import lock_person
from gustibus.store.lookup import among, beside, held, one_of
from gustibus.store.quarantines import quarantined
from gustibus.store.restrictions import restricted, restricted_among
from gustibus.store.tables import TENANT, comparisons, consents, sides
from gustibus.store.upsert import batched, insert_or_ignore
from gustibus.types import F32, F64

_ROWS = 500
TARGET: dict[str, float | None] = {"a": 1.0, "b": 0.0, "tie": 0.5, "both_bad": 0.5, "skip": None}
"""What an outcome says about the probability that a is preferred; None says nothing."""


def weight_of(source: str | None) -> float:
    """How much an answer counts: what nobody was asked counts less."""
    return WEIGHT if source == ORIGIN else 1.0


class Side(NamedTuple):
    """What was compared."""

    item: str | None
    text: str | None
    vector: F32 | None
    """`(r,)` representation under the model, None when it is to be made from the text."""


_NOTHING = Side(None, None, None)


class NewComparison(NamedTuple):
    """An answer to keep."""

    user: str
    a: Side
    b: Side
    outcome: str
    client_id: str | None = None
    prompt: str | None = None
    strength: float | None = None
    at: datetime | None = None
    source: str | None = None
    score_id: str | None = None
    created_at: datetime | None = None
    """When it was first kept, where it comes from an export."""
    key: str | None = None
    """Id of the key that brought it; None where none did."""

    @property
    def hollow(self) -> bool:
        """Whether a side is not told: then it can only be an answer that is kept already."""
        a, b = self.a, self.b  # vectors are not compared
        return (a.vector is None and a == _NOTHING) or (b.vector is None and b == _NOTHING)

    def content(self) -> bytes:
        """Digest of what was said; two answers of one client id must agree in it."""
        said = [
            "null" if part is None else encode_basestring_ascii(part)
            for part in (self.user, self.prompt, *self.a[:2], *self.b[:2], self.outcome)
        ]  # written as json.dumps would, at a third of its cost
        strength = self.strength
        said.append(repr(strength) if type(strength) is float else json.dumps(strength))
        digest = blake2b(f"[{', '.join(said)}]".encode(), digest_size=20)
        for side in (self.a, self.b):
            if side.item is None and side.text is None and side.vector is not None:
                digest.update(pack(side.vector))
        return digest.digest()


class Added(NamedTuple):
    """What became of an answer."""

    id: str
    """Id of the kept comparison: this one, or the one that came before."""
    duplicate: bool
    conflict: bool
    """Whether the one before said something else."""
    refused: bool = False
    """Whether it was read off a turn of somebody who opted out of that; then it was not kept."""
    unknown: bool = False
    """Whether it tells of no sides, as an export of embeddings does, and is no answer kept here."""
    departed: bool = False
    """Whether it is of before the person was deleted, who has begun anew since; it is not kept."""
    withheld: bool = False
    """Whether the person's processing is restricted; then it was not kept."""


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """A comparison as it is kept."""

    id: str
    client_id: str | None
    user: str
    prompt: str | None
    a_item: str | None
    a_text: str | None
    b_item: str | None
    b_text: str | None
    outcome: str
    strength: float | None
    source: str | None
    score_id: str | None
    at: datetime | None
    created_at: datetime
    key: str | None = None
    """Id of the key that brought it; None where none did, and for answers of before keys were noted."""


@dataclass(frozen=True, slots=True)
class EvidenceRows:
    """A person's answers as a model reads them, in the order of their ids."""

    a: F32
    """`(n, r)`."""
    b: F32
    target: F64
    weight: F64
    """`(n,)` 1 for answers to questions, less for what was only read off behaviour."""
    strength: F64
    """`(n,)` how strongly the one was preferred; NaN where that was not said."""
    last: str
    """Id of the last one; empty without any."""
    missing: tuple[ComparisonRow, ...]
    """Answers with texts and without vectors under the model."""
    ids: tuple[str, ...]
    """Of the rows."""


class Draft(NamedTuple):
    """An answer that is ready to be kept; made outside the transaction, where others do not wait."""

    row: NewComparison
    content: bytes
    """Of the row."""
    values: dict[str, Any]
    """Columns but for those that depend on when it is kept."""


def draft(rows: Sequence[NewComparison], *, store_text: bool = True) -> list[Draft]:
    """Answers made ready to be kept once.

    Args:
        rows: answers.
        store_text: False keeps no texts, only digests and vectors.
    """
    return [
        Draft(row, content := row.content(), _values(row, content, store_text=store_text))
        for row in rows
    ]


def _values(row: NewComparison, content: bytes, *, store_text: bool) -> dict[str, Any]:
    return {
        "tenant_id": TENANT, "id": "", "client_id": row.client_id, "content": content,
        "user_id": row.user, "prompt": row.prompt if store_text else None,
        "a_item": row.a.item, "a_text": row.a.text if store_text else None,
        "b_item": row.b.item, "b_text": row.b.text if store_text else None,
        "outcome": row.outcome, "strength": row.strength, "source": row.source,
        "score_id": row.score_id, "at": row.at, "created_at": None, "key_id": row.key,
    }  # fmt: skip


def add_comparisons(
    conn: Connection, *, rows: Sequence[NewComparison], model: str, store_text: bool = True
) -> list[Added]:
    """Keep answers; one with a client id that is known is not kept again.

    Nor is one whose client id is what an answer is called here, as in an export. What was read off
    turns of people who opted out of that is refused, and everything of those who are restricted.

    Args:
        conn: a write transaction.
        rows: answers.
        model: digest of the model that the vectors are of.
        store_text: False keeps no texts, only digests and vectors.

    Raises:
        ConflictError: somebody was deleted meanwhile.
    """
    return add_drafts(conn, drafts=draft(rows, store_text=store_text), model=model)


def add_drafts(
    conn: Connection, *, drafts: Sequence[Draft], model: str, replayed: bool = False
) -> list[Added]:
    """Keep answers that were made ready; as `add_comparisons`.

    Ids are given here, in the order of transactions: what a profile was fitted to is told by the
    last of them. Of somebody who was deleted and has begun anew, what was said before is refused.

    Args:
        conn: a write transaction.
        drafts: answers.
        model: digest of the model that the vectors are of.
        replayed: whether they come from a log: then one without a time counts as said before.
    """
    hold_users(conn, users={one.row.user for one in drafts})
    out = _opted_out(conn, {one.row.user for one in drafts if one.row.source == ORIGIN})
    late = _of_before(conn, drafts, replayed=replayed)
    still = restricted_among(conn, users={one.row.user for one in drafts})
    if not out and not late and not still:
        return _keep(conn, drafts, model)
    nothing = Added("", duplicate=False, conflict=False)
    not_kept = {
        n: nothing._replace(refused=True)
        for n, one in enumerate(drafts) if one.row.source == ORIGIN and one.row.user in out
    }  # fmt: skip
    not_kept |= dict.fromkeys(late, nothing._replace(departed=True))
    held_back = [n for n, one in enumerate(drafts) if one.row.user in still]
    not_kept |= dict.fromkeys(held_back, nothing._replace(withheld=True))
    kept = iter(_keep(conn, [one for n, one in enumerate(drafts) if n not in not_kept], model))
    return [not_kept[n] if n in not_kept else next(kept) for n in range(len(drafts))]


def _of_before(conn: Connection, drafts: Sequence[Draft], *, replayed: bool) -> set[int]:
    """Places of what people said before they were deleted; asked once they are held."""
    dated = [(n, one.row, one.row.created_at or one.row.at) for n, one in enumerate(drafts)]
    asked = {row.user for _, row, at in dated if replayed or at is not None}
    left = departures(conn, users=sorted(asked)) if asked else {}
    if not left:
        return set()
    return {
        n for n, row, at in dated
        if row.user in left and (replayed if at is None else at <= left[row.user])
    }  # fmt: skip


def _opted_out(conn: Connection, users: set[str]) -> set[str]:
    """Those of some people whose turns teach nothing; asked once they are held."""
    found: set[str] = set()
    for part in batched(sorted(users), _ROWS):
        mine = (consents.c.tenant_id == TENANT) & among(conn, consents.c.user_id, part)
        query = select(consents.c.user_id).where(mine, consents.c.follow_ups.is_(False))
        found.update(conn.execute(query).scalars())
    return found


def _keep(conn: Connection, drafts: Sequence[Draft], model: str) -> list[Added]:
    """Keep answers of people who are held, but for those that are kept under the name they come with."""
    named = [(one.row.client_id or "", one, one.row.hollow) for one in drafts]
    before = _known(conn, comparisons.c.id, [name for name, *_ in named if _OURS.fullmatch(name)])
    lost = [name for name, _, hollow in named if hollow and name not in before]
    before |= _known(conn, comparisons.c.client_id, lost)
    fresh = [one for name, one, hollow in named if not hollow and name not in before]
    made = iter(_add(conn, fresh, model))
    nothing = Added("", duplicate=False, conflict=False, unknown=True)
    return [
        _duplicate(before, name, one.content)
        if name in before
        else (nothing if hollow else next(made))
        for name, one, hollow in named
    ]


_OURS = re.compile("cmp_[0-9A-HJKMNP-TV-Z]{26}")


def _add(conn: Connection, drafts: Sequence[Draft], model: str) -> list[Added]:
    """Keep answers that tell of their sides, each client id once."""
    now = datetime.now(UTC)
    names = [f"cmp_{name}" for name in ulid.many(len(drafts))]
    for name, one in zip(names, drafts, strict=True):
        one.values["id"], one.values["created_at"] = name, now
    # In one order everywhere, or two requests with the same client ids could wait for each other.
    values = sorted((one.values for one in drafts), key=_client_id)
    kept = set(insert_or_ignore(conn, comparisons, values, returning=comparisons.c.id))
    found = {
        name: (one.row.a.vector, one.row.b.vector)
        for name, one in zip(names, drafts, strict=True)
        if one.row.a.vector is not None and one.row.b.vector is not None and name in kept
    }
    _put_sides(conn, found, model)
    if len(kept) == len(drafts):
        return [Added(name, duplicate=False, conflict=False) for name in names]
    pairs = list(zip(names, drafts, strict=True))
    known = [one.row.client_id for name, one in pairs if name not in kept and one.row.client_id]
    before = _known(conn, comparisons.c.client_id, known)
    return [
        Added(name, duplicate=False, conflict=False)
        if name in kept
        else _duplicate(before, str(one.row.client_id), one.content)
        for name, one in pairs
    ]


def _client_id(values: Mapping[str, Any]) -> str:
    return str(values["client_id"])


def _duplicate(before: Mapping[str, tuple[str, bytes]], client_id: str, content: bytes) -> Added:
    if client_id not in before:
        message = f"comparison: {client_id!r} was deleted while it was sent again"
        raise ConflictError(message, where="comparisons")
    name, said = before[client_id]
    return Added(name, duplicate=True, conflict=said != content)


def _known(
    conn: Connection, key: Column[Any], wanted: Sequence[str]
) -> dict[str, tuple[str, bytes]]:
    """Id and content of the answers that are called so, by that name."""
    found: dict[str, tuple[str, bytes]] = {}
    columns = _CALLED[key.name]
    for part in batched(wanted, _ROWS):
        if conn.dialect.name == "postgresql":
            rows = conn.execute(held(columns, key), {"names": json.dumps(part)})
        else:
            mine = comparisons.c.tenant_id == TENANT
            rows = conn.execute(select(*columns).where(mine, one_of(key, part)))
        found |= {name: (kept, content) for name, kept, content in rows.all()}
    return found


_CALLED = {
    key.name: (key.label("name"), comparisons.c.id.label("kept"), comparisons.c.content)
    for key in (comparisons.c.id, comparisons.c.client_id)
}


def kept_as(conn: Connection, *, ids: Sequence[str]) -> dict[str, ComparisonRow]:
    """Some comparisons by their ids."""
    found: dict[str, ComparisonRow] = {}
    for part in batched(ids, _ROWS):
        mine = (comparisons.c.tenant_id == TENANT) & one_of(comparisons.c.id, part)
        found |= {row.id: _row(row) for row in conn.execute(select(comparisons).where(mine))}
    return found


def set_sides(conn: Connection, *, found: Mapping[str, tuple[F32, F32]], model: str) -> None:
    """Keep vectors of both sides of comparisons, made after they were."""
    _put_sides(conn, found, model)


def _put_sides(conn: Connection, found: Mapping[str, tuple[Any, Any]], model: str) -> None:
    rows = [
        {"tenant_id": TENANT, "comparison_id": name, "model": model, "a": pack(a), "b": pack(b)}
        for name, (a, b) in found.items()
    ]
    insert_or_ignore(conn, sides, rows, returning=sides.c.comparison_id)


def list_comparisons(
    conn: Connection, *, user: str | None = None, outcome: str | None = None,
    source: str | None = None, after: str | None = None, limit: int = 100, newest: bool = False,
    all_people: bool = True,
) -> list[ComparisonRow]:  # fmt: skip
    """Comparisons of one person or of all, from old to new or from new to old.

    Args:
        conn: a transaction.
        user: whose; None for everybody's.
        outcome: which; None for all.
        source: where from; None for everywhere.
        after: id of the row before the first.
        limit: most rows.
        newest: whether the newest comes first.
        all_people: False leaves out those whose processing is restricted, as for training.
    """
    query = select(comparisons).where(_filtered(user, outcome, source, all_people=all_people))
    if after is not None:
        query = query.where(comparisons.c.id < after if newest else comparisons.c.id > after)
    order = comparisons.c.id.desc() if newest else comparisons.c.id
    return [_row(row) for row in conn.execute(query.order_by(order).limit(limit))]


def filled_columns(
    conn: Connection, *, user: str | None = None, outcome: str | None = None,
    source: str | None = None, all_people: bool = True,
) -> set[str]:  # fmt: skip
    """Columns in which one of these comparisons, chosen as by `list_comparisons`, holds something."""
    counted = [func.count(column).label(column.name) for column in comparisons.columns]
    wanted = _filtered(user, outcome, source, all_people=all_people)
    row = conn.execute(select(*counted).where(wanted)).one()
    return {name for name, count in row._mapping.items() if count}


def _filtered(
    user: str | None, outcome: str | None, source: str | None, *, all_people: bool
) -> ColumnElement[bool]:
    found: ColumnElement[bool] = comparisons.c.tenant_id == TENANT
    if not all_people:
        found &= comparisons.c.user_id.not_in(restricted())
        found &= comparisons.c.user_id.not_in(quarantined())
    for column, value in ((comparisons.c.user_id, user), (comparisons.c.outcome, outcome),
                          (comparisons.c.source, source)):  # fmt: skip
        if value is not None:
            found &= column == value
    return found


def delete_comparison(conn: Connection, *, comparison: str) -> str | None:
    """Remove a comparison; returns whose it was, None when there was none."""
    mine = (comparisons.c.tenant_id == TENANT) & (comparisons.c.id == comparison)
    user = conn.execute(select(comparisons.c.user_id).where(mine)).scalar()
    if user is None:
        return None
    lock_person(conn, user=user)
    return user if delete_rows(conn, mine) else None


def delete_answers(conn: Connection, *, user: str, client_ids: Sequence[str]) -> int:
    """Remove those of a person's comparisons that have these client ids; returns how many."""
    whose = (comparisons.c.tenant_id == TENANT) & (comparisons.c.user_id == user)
    return sum(
        delete_rows(conn, whose & one_of(comparisons.c.client_id, part))
        for part in batched(client_ids, _ROWS)
    )


def delete_implicit(conn: Connection, *, user: str) -> int:
    """Remove those of a person's comparisons that were read off their turns; returns how many."""
    whose = (comparisons.c.tenant_id == TENANT) & (comparisons.c.user_id == user)
    return delete_rows(conn, whose & (comparisons.c.source == ORIGIN))


def delete_rows(conn: Connection, mine: ColumnElement[bool]) -> int:
    """Remove some comparisons and the vectors of their sides; returns how many."""
    gone = list(conn.execute(delete(comparisons).where(mine).returning(comparisons.c.id)).scalars())
    for part in batched(gone, _ROWS):
        conn.execute(
            delete(sides).where(sides.c.tenant_id == TENANT, one_of(sides.c.comparison_id, part))
        )
    return len(gone)


def evidence(conn: Connection, *, user: str, model: str, limit: int = 10_000) -> EvidenceRows:
    """A person's last answers under a model."""
    both = beside(conn, comparisons, sides, sides.c.comparison_id == comparisons.c.id, model)
    query = (
        select(comparisons, both.found.c.a, both.found.c.b)
        .select_from(both.joined)
        .where(comparisons.c.tenant_id == TENANT, comparisons.c.user_id == user)
        .order_by(comparisons.c.id.desc())
        .limit(limit)
    )
    rows = conn.execute(query).all()[::-1]
    told = [row for row in rows if TARGET[row.outcome] is not None]
    ready = [row for row in told if row.a is not None]
    empty = np.zeros((0, 0), np.float32)
    return EvidenceRows(
        a=np.stack([unpack(row.a) for row in ready]) if ready else empty,
        b=np.stack([unpack(row.b) for row in ready]) if ready else empty,
        target=np.array([TARGET[row.outcome] for row in ready], np.float64),
        weight=np.array([weight_of(row.source) for row in ready], np.float64),
        strength=np.array([row.strength for row in ready], np.float64),  # None is NaN
        last=rows[-1].id if rows else "",
        missing=tuple(_row(row) for row in told if row.a is None),
        ids=tuple(row.id for row in ready),
    )


def _row(row: Row[Any]) -> ComparisonRow:
    return ComparisonRow(
        row.id, row.client_id, row.user_id, row.prompt, row.a_item, row.a_text, row.b_item,
        row.b_text, row.outcome, row.strength, row.source, row.score_id, row.at, row.created_at,
        row.key_id,
    )  # fmt: skip
