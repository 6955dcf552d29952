"""Responses that are scored by name, and their vectors under each model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, Text, and_, cast, delete, select

from gustibus.store.changes import note
from gustibus.store.lookup import one_of
from gustibus.store.tables import TENANT, items, vectors
from gustibus.store.upsert import batched, insert_or_update
from gustibus.types import F32

_PAGE = 2000
_ROWS = 500


@dataclass(frozen=True, slots=True)
class NewItem:
    """An item to keep."""

    id: str
    text: str | None
    prompt: str | None
    tags: tuple[str, ...]
    vector: F32 | None
    """`(r,)` representation under the model; None when it is to be made from the text."""


@dataclass(frozen=True, slots=True)
class ItemRow:
    """An item."""

    id: str
    text: str | None
    prompt: str | None
    tags: tuple[str, ...]
    ready: bool
    """Whether it has a vector under the model."""
    created_at: datetime


def put_items(conn: Connection, *, rows: Sequence[NewItem], model: str) -> None:
    """Add or replace items; their vectors under other models go, as they may be of another text."""
    now = datetime.now(UTC)
    last = {row.id: row for row in rows}
    kept = [last[name] for name in sorted(last)]  # in one order everywhere: no deadlock
    for part in batched(kept, _ROWS):
        values = [
            {"tenant_id": TENANT, "id": r.id, "text": r.text, "prompt": r.prompt,
             "tags": list(r.tags), "created_at": now} for r in part
        ]  # fmt: skip
        insert_or_update(conn, items, values, keep=("created_at",))
        stale = (vectors.c.tenant_id == TENANT) & one_of(vectors.c.item_id, [r.id for r in part])
        conn.execute(delete(vectors).where(stale))
    found = {row.id: row.vector for row in kept if row.vector is not None}
    _put_vectors(conn, found, model)
    note(conn, "item", [row.id for row in kept])


def set_vectors(
    conn: Connection, *, found: Mapping[str, F32], model: str, seen: Iterable[ItemRow] = ()
) -> list[str]:
    """Keep vectors of items, and return of which.

    Args:
        conn: a write transaction.
        found: vectors by name; names without an item are left out.
        model: digest of the model.
        seen: the items that vectors were made of; those with another text by now are left out.
    """
    before = {row.id: (row.text, row.prompt) for row in seen}
    kept: dict[str, F32] = {}
    for part in batched(sorted(found), _ROWS):
        mine = (items.c.tenant_id == TENANT) & one_of(items.c.id, part)
        query = select(items.c.id, items.c.text, items.c.prompt).where(mine).order_by(items.c.id)
        for row in conn.execute(query.with_for_update(read=True)):
            if before.get(row.id, (row.text, row.prompt)) == (row.text, row.prompt):
                kept[row.id] = found[row.id]
    _put_vectors(conn, kept, model)
    note(conn, "item", kept)
    return list(kept)


def _put_vectors(conn: Connection, found: Mapping[str, F32], model: str) -> None:
    rows = [
        {"tenant_id": TENANT, "item_id": item, "model": model, "data": pack(vector)}
        for item, vector in found.items()
    ]
    insert_or_update(conn, vectors, rows)


def get_item(conn: Connection, *, item: str, model: str, hold: bool = False) -> ItemRow | None:
    """An item, None when there is none of that name.

    Args:
        conn: a transaction.
        item: name.
        model: digest of the model whose vectors are meant.
        hold: whether nobody else changes it until the transaction ends.
    """
    query = _joined(model).where(items.c.id == item)
    if hold:
        query = query.with_for_update(of=items, key_share=True)
    row = conn.execute(query).first()
    return None if row is None else _item(row)


def tagged_texts(conn: Connection, *, prefix: str) -> list[tuple[str, list[str]]]:
    """Texts of the items that have a tag which begins so, with those tags; looks at every item.

    Args:
        conn: a transaction.
        prefix: letters, digits and `:`.
    """
    query = select(items.c.text, items.c.tags).where(
        items.c.tenant_id == TENANT, items.c.text.is_not(None),
        cast(items.c.tags, Text).contains(f'"{prefix}', autoescape=True),
    )  # fmt: skip
    found = (
        (row.text, [tag for tag in row.tags if tag.startswith(prefix)])
        for row in conn.execute(query)
    )
    return [(text, tags) for text, tags in found if tags]


def list_items(
    conn: Connection, *, model: str, after: str | None = None, limit: int = 100
) -> list[ItemRow]:
    """Items by name."""
    query = _joined(model)
    if after is not None:
        query = query.where(items.c.id > after)
    return [_item(row) for row in conn.execute(query.order_by(items.c.id).limit(limit))]


def items_with_tag(conn: Connection, *, tag: str) -> list[str]:
    """Names of the items that have a tag, sorted; all items are read, in pages."""
    found: list[str] = []
    after = ""
    while True:
        query = select(items.c.id, items.c.tags).where(
            items.c.tenant_id == TENANT, items.c.id > after
        )
        rows = conn.execute(query.order_by(items.c.id).limit(_PAGE)).all()
        found += [row.id for row in rows if tag in row.tags]
        if len(rows) < _PAGE:
            return found
        after = rows[-1].id


def texts_of(conn: Connection, *, names: Sequence[str]) -> dict[str, tuple[str, str | None]]:
    """Text and prompt of those of some items that have a text."""
    found: dict[str, tuple[str, str | None]] = {}
    for part in batched(names, _ROWS):
        query = select(items.c.id, items.c.text, items.c.prompt).where(
            items.c.tenant_id == TENANT, items.c.text.is_not(None), one_of(items.c.id, part)
        )
        found |= {row.id: (row.text, row.prompt) for row in conn.execute(query)}
    return found


def delete_item(conn: Connection, *, item: str) -> bool:
    """Remove an item with its vectors; False when there was none."""
    gone = conn.execute(delete(items).where(items.c.tenant_id == TENANT, items.c.id == item))
    conn.execute(delete(vectors).where(vectors.c.tenant_id == TENANT, vectors.c.item_id == item))
    if gone.rowcount:
        note(conn, "item", [item])
    return bool(gone.rowcount)


def pending_items(conn: Connection, *, names: Sequence[str], model: str) -> list[ItemRow]:
    """Those of some items that have a text, and no vector under the model."""
    found: list[ItemRow] = []
    for part in batched(names, _ROWS):
        mine = one_of(items.c.id, part) & vectors.c.model.is_(None) & items.c.text.is_not(None)
        found += [_item(row) for row in conn.execute(_joined(model).where(mine))]
    return found


def items_with_text(conn: Connection, *, names: Sequence[str]) -> set[str]:
    """Which of some items have a text, so that an encoder can give them vectors."""
    found: set[str] = set()
    for part in batched(names, _ROWS):
        query = select(items.c.id).where(
            items.c.tenant_id == TENANT, items.c.text.is_not(None), one_of(items.c.id, part)
        )
        found.update(conn.execute(query).scalars())
    return found


def find_vectors(conn: Connection, *, found: Sequence[str], model: str) -> dict[str, F32]:
    """Vectors of items by name, as far as there are any."""
    query = select(vectors.c.item_id, vectors.c.data).where(
        vectors.c.tenant_id == TENANT, vectors.c.model == model, one_of(vectors.c.item_id, found)
    )
    return {item: unpack(data) for item, data in conn.execute(query)}


def iter_vectors(conn: Connection, *, model: str) -> Iterator[tuple[str, F32]]:
    """Every item's vector under a model, by name, read in pages."""
    after = ""
    while True:
        query = select(vectors.c.item_id, vectors.c.data).where(
            vectors.c.tenant_id == TENANT, vectors.c.model == model, vectors.c.item_id > after
        )
        rows = conn.execute(query.order_by(vectors.c.item_id).limit(_PAGE)).all()
        for item, data in rows:
            yield item, unpack(data)
        if len(rows) < _PAGE:
            return
        after = rows[-1].item_id


def pack(vector: F32) -> bytes:
    """Little-endian float32 bytes."""
    return np.ascontiguousarray(vector, "<f4").tobytes()


def unpack(data: bytes) -> F32:
    """Inverse of `pack`."""
    return np.frombuffer(data, "<f4").astype(np.float32)


def _joined(model: str) -> Any:
    same = and_(
        vectors.c.tenant_id == items.c.tenant_id, vectors.c.item_id == items.c.id,
        vectors.c.model == model,
    )  # fmt: skip
    found = select(items, vectors.c.model.label("model")).select_from(
        items.outerjoin(vectors, same)
    )
    return found.where(items.c.tenant_id == TENANT)


def _item(row: Row[Any]) -> ItemRow:
    ready = row.model is not None
    return ItemRow(row.id, row.text, row.prompt, tuple(row.tags), ready, row.created_at)
