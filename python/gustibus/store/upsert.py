"""Inserts that meet rows which exist, in the words of either engine.

Statements are built once; one with a thousand rows written out takes a third of a second to compile. A
few rows go to PostgreSQL as one array a column. Many go through COPY into a table of the session and
from there into theirs, which costs a tenth of the CPU, and to SQLite straight through its driver.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    DateTime,
    Float,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    TypeDecorator,
    bindparam,
    cast,
    column,
    func,
    select,
)
from sqlalchemy import table as named_table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError

T = TypeVar("T")
_ARRAYS_FROM = 4  # rows; below it arrays cost more than they save
_STREAM_FROM = 100  # rows; below it a table of the session costs more than it saves


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
    if len(rows) >= _STREAM_FROM:
        stream = _through_driver if conn.dialect.name == "sqlite" else _through_copy
        return stream(conn, table, names, rows, clash, keep, returning)
    if conn.dialect.name == "postgresql" and len(rows) >= _ARRAYS_FROM:
        statement = _statement("arrays", table, names, clash, keep, returning)
        given: Any = {name: _array(table.c[name], rows) for name in names}
    else:
        statement = _statement(conn.dialect.name, table, names, clash, keep, returning)
        given = list(rows)
    return list(conn.execute(statement, given).scalars().all())


@lru_cache(maxsize=64)
def _statement(
    kind: str, table: Table, names: tuple[str, ...], clash: str, keep: tuple[str, ...],
    returning: Column[Any],
) -> Any:  # fmt: skip
    insert: Any = (sqlite if kind == "sqlite" else postgresql).insert(table)
    if kind == "sqlite":
        insert = insert.values({name: bindparam(name, type_=table.c[name].type) for name in names})
    if kind == "arrays":
        insert = insert.from_select(list(names), select(*(_unnested(table.c[n]) for n in names)))
    if kind == "copy":
        staged = named_table(_staging(table), *(column(name) for name in names))
        insert = insert.from_select(list(names), select(*(staged.c[name] for name in names)))
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


def _through_driver(
    conn: Connection, table: Table, names: tuple[str, ...], rows: Sequence[Mapping[str, Any]],
    clash: str, keep: tuple[str, ...], returning: Column[Any],
) -> list[Any]:  # fmt: skip
    """Row by row over one prepared statement of SQLite, without a layer between."""
    statement = _statement("sqlite", table, names, clash, keep, returning)
    compiled = statement.compile(dialect=conn.dialect)
    order = compiled.positiontup
    values = zip(*(_bound(conn, table.c[name], rows) for name in order), strict=True)
    driver: Any = conn.connection.driver_connection
    cursor, text, found = driver.cursor(), str(compiled), []
    try:
        for each in values:
            found += [told for (told,) in cursor.execute(text, each)]
    except driver.Error as error:  # as what the layer would have raised, which the store translates
        raise DBAPIError.instance(text, None, error, driver.Error, dialect=conn.dialect) from error
    finally:
        cursor.close()
    return found


def _through_copy(
    conn: Connection, table: Table, names: tuple[str, ...], rows: Sequence[Mapping[str, Any]],
    clash: str, keep: tuple[str, ...], returning: Column[Any],
) -> list[Any]:  # fmt: skip
    """Binary COPY into a table of the session, and one statement from there."""
    staged, listed = _staging(table), ", ".join(f'"{name}"' for name in names)
    conn.exec_driver_sql(
        f'CREATE TEMP TABLE IF NOT EXISTS "{staged}" (LIKE "{table.name}") ON COMMIT DELETE ROWS'
    )
    conn.exec_driver_sql(f'DELETE FROM "{staged}"')  # TRUNCATE would write to the catalogue
    driver: Any = conn.connection.driver_connection
    values = zip(*(_bound(conn, table.c[name], rows) for name in names), strict=True)
    try:
        with (
            driver.cursor() as cursor,
            cursor.copy(f'COPY "{staged}" ({listed}) FROM STDIN (FORMAT BINARY)') as copy,
        ):
            copy.set_types([_postgres_type(table.c[name]) for name in names])
            for each in values:
                copy.write_row(each)
    except conn.dialect.dbapi.Error as error:  # type: ignore[union-attr]  # the driver is there
        dbapi: Any = conn.dialect.dbapi
        raise DBAPIError.instance(
            f"COPY {staged}", None, error, dbapi.Error, dialect=conn.dialect,
            connection_invalidated=driver.closed,
        ) from error  # fmt: skip
    statement = _statement("copy", table, names, clash, keep, returning)
    return list(conn.execute(statement).scalars().all())


def _staging(table: Table) -> str:
    return f"staged_{table.name}"


def _bound(
    conn: Connection, column: Column[Any], rows: Sequence[Mapping[str, Any]]
) -> Sequence[Any]:
    """Values of a column as the driver takes them."""
    process = column.type.dialect_impl(conn.dialect).bind_processor(conn.dialect)
    values = [row[column.name] for row in rows]
    if isinstance(column.type, JSON) and conn.dialect.name == "postgresql":
        return [json.dumps(value) for value in values]
    if process is None or isinstance(column.type, LargeBinary):  # either driver takes bytes
        return values
    first = values[0]
    if all(value is first for value in values):
        return [process(first)] * len(values)
    return [process(value) for value in values]


def _postgres_type(column: Column[Any]) -> str:
    kind = column.type
    if isinstance(kind, TypeDecorator):
        kind = kind.impl_instance
    return next(name for known, name in _POSTGRES_TYPES if isinstance(kind, known))


_POSTGRES_TYPES: tuple[tuple[type[Any], str], ...] = (
    (JSON, "json"), (Text, "text"), (String, "varchar"), (LargeBinary, "bytea"),
    (DateTime, "timestamptz"), (Boolean, "bool"), (BigInteger, "int8"), (Integer, "int4"),
    (Float, "float8"),
)  # fmt: skip
