"""Inserts that meet rows which exist, in the words of either engine.

Statements are built once. Many rows go to PostgreSQL as one array a column, and to SQLite as one
statement that is compiled once and lengthened as text; a statement with a thousand rows written out
takes a third of a second to compile.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from sqlalchemy import (
    ARRAY,
    JSON,
    Column,
    Connection,
    String,
    Table,
    Text,
    bindparam,
    cast,
    func,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite

T = TypeVar("T")
_ARRAYS_FROM = 4  # rows; below it arrays cost more than they save


def batched(rows: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Slices of at most `size`: engines bound the parameters of one statement."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def insert_or_ignore(
    conn: Connection, table: Table, rows: Sequence[Mapping[str, Any]], *, returning: Column[Any]
) -> list[Any]:
    """Insert rows, but none whose key, or any unique column, is taken.

    Args:
        conn: a write transaction.
        table: where.
        rows: of the same columns; without any nothing happens.
        returning: a column.

    Returns:
        That column of the rows that were inserted, in any order.
    """
    return _insert(conn, table, rows, _IGNORE, (), returning)


def insert_or_update(
    conn: Connection, table: Table, rows: Sequence[Mapping[str, Any]], *, keep: tuple[str, ...] = ()
) -> None:
    """Insert rows, or replace what those of the same primary key hold.

    Args:
        conn: a write transaction.
        table: where.
        rows: of the same columns and different keys; without any nothing happens.
        keep: columns that stay as they are in rows that exist, beside those that `rows` lack.
    """
    _insert(conn, table, rows, _UPDATE, keep, list(table.primary_key.columns)[-1])


_IGNORE, _UPDATE = "ignore", "update"


def _insert(
    conn: Connection, table: Table, rows: Sequence[Mapping[str, Any]], clash: str,
    keep: tuple[str, ...], returning: Column[Any],
) -> list[Any]:  # fmt: skip
    if not rows:
        return []
    names = tuple(rows[0])
    if conn.dialect.name == "postgresql" and len(rows) >= _ARRAYS_FROM:
        statement = _statement("arrays", table, names, clash, keep, returning)
        given: Any = {name: _array(table.c[name], rows) for name in names}
    else:
        statement = _statement(conn.dialect.name, table, names, clash, keep, returning)
        given = list(rows)
    return list(conn.execute(statement, given).scalars())


@lru_cache(maxsize=64)
def _statement(
    kind: str, table: Table, names: tuple[str, ...], clash: str, keep: tuple[str, ...],
    returning: Column[Any],
) -> Any:  # fmt: skip
    insert: Any = (sqlite if kind == "sqlite" else postgresql).insert(table)
    if kind == "arrays":
        insert = insert.from_select(list(names), select(*(_unnested(table.c[n]) for n in names)))
    if clash == _IGNORE:
        return insert.on_conflict_do_nothing().returning(returning)
    key = [column.name for column in table.primary_key.columns]
    fresh = {name: insert.excluded[name] for name in names if name not in (*key, *keep)}
    return insert.on_conflict_do_update(index_elements=key, set_=fresh).returning(returning)


def _unnested(column: Column[Any]) -> Any:
    """An array as rows. Names go as text without their order, which the column knows."""
    if isinstance(column.type, JSON):
        return cast(func.unnest(bindparam(column.name, type_=ARRAY(Text))), JSON)
    kind = Text() if isinstance(column.type, String) else column.type
    return func.unnest(bindparam(column.name, type_=ARRAY(kind)))


def _array(column: Column[Any], rows: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Values of a column; JSON as text, because a list in an array would be a second dimension."""
    values = [row[column.name] for row in rows]
    return [json.dumps(value) for value in values] if isinstance(column.type, JSON) else values
