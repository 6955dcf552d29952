"""A person's right to see what is kept about them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, Table, select

from gustibus.store.auditing import AuditRow, hashed_user, list_audit
from gustibus.store.erasure import known_key
from gustibus.store.items import texts_of
from gustibus.store.jobs import AT_WORK, BULK_SCORE, ENDED
from gustibus.store.replies import replies_about
from gustibus.store.tables import (
    TENANT,
    comparisons,
    consents,
    idempotency,
    import_errors,
    jobs,
    neighbours,
    profiles,
    quarantines,
    questions,
    sessions,
    users,
)
from gustibus.store.upsert import batched

_PAGE = 500
_SECRET_COLUMNS = frozenset({"tenant_id", "content"})


def export_user(conn: Connection, *, user: str, known: bool = False) -> Iterator[dict[str, Any]]:
    """Everything kept about a person, one JSON value a row, its table under `kind`.

    Items that they judged follow with their texts, and what the audit log tells of them where anything
    else is kept: the log remembers also people who have left.

    Args:
        conn: a transaction.
        user: name.
        known: whether something else of the person is kept elsewhere.
    """
    judged: set[str] = set()
    for row in _tables(conn, user):
        known = True
        judged |= {row[side] for side in ("a_item", "b_item") if row.get(side)}
        yield row
    for names in batched(sorted(judged), _PAGE):
        for name, (text, prompt) in sorted(texts_of(conn, names=names).items()):
            yield {"kind": "item", "id": name, "text": text, "prompt": prompt}
    if known and known_key(conn) is not None:
        for entry in _entries(conn, hashed_user(conn, user)):
            yield {
                "kind": "audit", "seq": entry.seq, "at": entry.at.isoformat(), "actor": entry.actor,
                "action": entry.action, "object": entry.object, "detail": entry.detail,
                "request_id": entry.request_id,
            }  # fmt: skip


def _entries(conn: Connection, what: str) -> Iterator[AuditRow]:
    """Entries about somebody, the newest first."""
    after: int | None = None
    while page := list_audit(conn, what=what, after=after, limit=_PAGE):
        yield from page
        after = page[-1].seq


def _tables(conn: Connection, user: str) -> Iterator[dict[str, Any]]:
    """Rows that name a person."""
    for row in _rows(conn, users, (users.c.tenant_id == TENANT) & (users.c.id == user)):
        yield {"kind": "user", **row}
    for row in _rows(conn, consents, _of(consents, user)):
        yield {"kind": "consent", **row}
    for row in _rows(conn, quarantines, _of(quarantines, user)):
        yield {"kind": "quarantine", **row}
    for row in _rows(conn, profiles, _of(profiles, user)):
        mean = np.frombuffer(row.pop("mean"), "<f4")
        upper = np.frombuffer(row.pop("covariance"), "<f4")
        diagonal = np.cumsum(np.arange(len(mean), 0, -1)) - np.arange(len(mean), 0, -1)
        stderr = np.sqrt(np.maximum(upper[diagonal], 0))
        yield {"kind": "profile", **row, "mean": mean.tolist(), "stderr": stderr.tolist()}
    for row in _rows(conn, neighbours, _of(neighbours, user)):
        yield {"kind": "neighbour", **row}
    for row in _comparisons(conn, user):
        yield {"kind": "comparison", **row}
    for row in _rows(conn, sessions, _of(sessions, user)):
        yield {"kind": "session", **row}
        mine = (questions.c.tenant_id == TENANT) & (questions.c.session_id == row["id"])
        for question in _rows(conn, questions, mine):
            yield {"kind": "question", **question}
    for row in _rows(conn, import_errors, _of(import_errors, user)):
        yield {"kind": "import_error", **row}
    for row in _rows(conn, jobs, _of(jobs, user)):
        kind = row.pop("kind")
        yield {"kind": "job", "job_kind": kind, **row}
    yield from _lists(conn, user)
    for caller, key, _ in replies_about(conn, user=user):
        where = (idempotency.c.caller == caller) & (idempotency.c.key == key)
        for row in _rows(conn, idempotency, (idempotency.c.tenant_id == TENANT) & where):
            alone, body = row.pop("users") == [user], row.pop("reply")
            del row["caller"], row["body_sha256"]
            # What was said of several people at once is not one person's to read.
            yield {
                "kind": "reply",
                **row,
                "reply": body.decode("utf-8", "replace") if alone else None,
            }


def _comparisons(conn: Connection, user: str) -> Iterator[dict[str, Any]]:
    """Answers of a person page by page, for there may be very many."""
    mine, after = _of(comparisons, user), ""
    while True:
        query = select(comparisons).where(mine, comparisons.c.id > after)
        page = conn.execute(query.order_by(comparisons.c.id).limit(_PAGE)).all()
        yield from map(_shown, page)
        if len(page) < _PAGE:
            return
        after = page[-1].id


def _lists(conn: Connection, user: str) -> Iterator[dict[str, Any]]:
    """Jobs for people by name, this one among them; who the others are is not this one's to read."""
    times = (jobs.c.created_at, jobs.c.started_at, jobs.c.finished_at)
    mine = (jobs.c.tenant_id == TENANT) & jobs.c.user_id.is_(None)
    kinds = mine & (jobs.c.kind == BULK_SCORE) & jobs.c.state.in_([*AT_WORK, *ENDED])
    rows = conn.execute(select(jobs.c.params, jobs.c.id, jobs.c.state, *times).where(kinds))
    named = [row[1:] for row in rows if user in (row.params.get("users") or ())]
    for job, state, *moments in sorted(named, key=lambda row: row[0]):
        told = [None if at is None else at.isoformat() for at in moments]
        yield {
            "kind": "job", "job_kind": BULK_SCORE, "id": job, "state": state,
            **{column.name: at for column, at in zip(times, told, strict=True)}, "named": True,
        }  # fmt: skip


def _of(table: Table, user: str) -> Any:
    return (table.c.tenant_id == TENANT) & (table.c.user_id == user)


def _rows(conn: Connection, table: Table, where: Any) -> Iterator[dict[str, Any]]:
    """Rows by their key; sorted here, or SQLite would read all of the table in that order."""
    key = [column.name for column in table.primary_key.columns]
    rows = conn.execute(select(table).where(where)).all()
    yield from map(_shown, sorted(rows, key=lambda row: [row._mapping[name] for name in key]))


def _shown(row: Row[Any]) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in row._mapping.items()
        if name not in _SECRET_COLUMNS
    }
