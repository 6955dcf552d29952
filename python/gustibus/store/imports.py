"""Imports: how far each has come, and which of its rows were refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, select, update

from gustibus.errors import ConflictError
from gustibus.store.ids import ulid
from gustibus.store.tables import TENANT, import_errors, imports
from gustibus.store.upsert import insert_or_ignore


@dataclass(frozen=True, slots=True)
class ImportRow:
    """An import."""

    id: str
    state: str
    """`open` or `done`."""
    format: str
    columns: dict[str, str]
    """The file's own names."""
    by_id: bool
    """Whether the ids of items count where there are texts too."""
    source: str | None
    rows: int
    """Lines or rows of the data that are dealt with."""
    accepted: int
    duplicates: int
    rejected: int
    resume_from: int
    """Bytes of the data that are dealt with, always whole records."""
    created_at: datetime
    updated_at: datetime
    caller: str = ""
    """Id of the key that began it."""

    @property
    def records(self) -> int:
        """Records dealt with: lines that are blank are none."""
        return self.accepted + self.duplicates + self.rejected


class RowError(NamedTuple):
    """A record that was refused."""

    row: int
    """Counted from 1."""
    code: str
    problem: str
    user: str | None = None
    """Whom the record is about, where that is known."""


class Step(NamedTuple):
    """What a batch adds to an import."""

    rows: int
    accepted: int
    duplicates: int
    bytes: int
    errors: Sequence[RowError] = ()


def create_import(
    conn: Connection, *, caller: str, form: str, columns: Mapping[str, str], by_id: bool,
    source: str | None,
) -> ImportRow:  # fmt: skip
    """A new import, open."""
    now = datetime.now(UTC)
    name = f"imp_{ulid()}"
    conn.execute(
        imports.insert().values(
            tenant_id=TENANT, id=name, caller=caller, state="open", format=form,
            columns=dict(columns), by_id=by_id, source=source, rows=0, accepted=0, duplicates=0,
            rejected=0, resume_from=0, created_at=now, updated_at=now,
        )
    )  # fmt: skip
    found = get_import(conn, name=name)
    assert found is not None, "it was just written"
    return found


def get_import(conn: Connection, *, name: str) -> ImportRow | None:
    """An import, None when there is none of that id."""
    row = conn.execute(select(imports).where(_is(name))).first()
    return None if row is None else _import(row)


def advance_import(conn: Connection, *, seen: ImportRow, step: Step, last: bool) -> ImportRow:
    """Count a batch in the transaction that keeps its rows.

    Args:
        conn: a write transaction.
        seen: the import before the batch.
        step: what it adds.
        last: whether the import is done with it.

    Raises:
        ConflictError: another upload has come in between, or the import is done.
    """
    rejected = len(step.errors)
    raised = {
        "rows": imports.c.rows + step.rows,
        "accepted": imports.c.accepted + step.accepted,
        "duplicates": imports.c.duplicates + step.duplicates,
        "rejected": imports.c.rejected + rejected,
        "resume_from": seen.resume_from + step.bytes,
        "state": "done" if last else "open",
        "updated_at": datetime.now(UTC),
    }
    name = seen.id
    here = (
        _is(name)
        & (imports.c.resume_from == seen.resume_from)
        & (imports.c.rows == seen.rows)
        & (imports.c.state == "open")
    )
    if not conn.execute(update(imports).where(here).values(**raised)).rowcount:
        message = f"import: {name} was continued by another upload, or is done"
        raise ConflictError(message, where="import")
    rows = [
        {"tenant_id": TENANT, "import_id": name, "row": error.row, "code": error.code,
         "problem": error.problem, "user_id": error.user}
        for error in step.errors
    ]  # fmt: skip
    insert_or_ignore(conn, import_errors, rows, returning=import_errors.c.row)
    found = get_import(conn, name=name)
    assert found is not None, "it was just changed"
    return found


def import_problems(
    conn: Connection, *, name: str, after: int = 0, limit: int = 1000
) -> list[RowError]:
    """Records of an import that were refused, in order."""
    mine = (import_errors.c.tenant_id == TENANT) & (import_errors.c.import_id == name)
    query = select(import_errors).where(mine, import_errors.c.row > after)
    rows = conn.execute(query.order_by(import_errors.c.row).limit(limit))
    return [RowError(row.row, row.code, row.problem, row.user_id) for row in rows]


def _is(name: str) -> Any:
    return (imports.c.tenant_id == TENANT) & (imports.c.id == name)


def _import(row: Row[Any]) -> ImportRow:
    return ImportRow(
        row.id, row.state, row.format, dict(row._mapping["columns"]), row.by_id, row.source,
        row.rows, row.accepted, row.duplicates, row.rejected, row.resume_from, row.created_at,
        row.updated_at, row.caller,
    )  # fmt: skip
