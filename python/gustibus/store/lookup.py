"""Rows by name, at a cost that follows the names and not the table.

PostgreSQL plans by statistics that are gathered now and then. While a table grows faster, a join may read
all of it for every few rows; one descent of an index for each name does not.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import (
    ARRAY,
    JSON,
    Column,
    ColumnElement,
    Connection,
    FromClause,
    Select,
    Table,
    Text,
    any_,
    bindparam,
    cast,
    column,
    func,
    literal,
    literal_column,
    select,
    true,
)

from gustibus.store.tables import TENANT
from gustibus.store.upsert import batched

_NAMES = 1000  # that a statement asks about; engines bound the parameters of one


def one_of(column: ColumnElement[Any], names: Sequence[Any]) -> ColumnElement[bool]:
    """Whether a column holds one of some names.

    The last is told again until there are a power of two of them. Otherwise every length would be a
    statement of its own: each connection keeps a hundred or so prepared, and all of these take memory.
    """
    told = list(names)
    if len(told) <= _NAMES:
        told += told[-1:] * ((1 << (len(told) - 1).bit_length()) - len(told))
    return column.in_(told)


def among(conn: Connection, column: Column[Any], names: Sequence[str]) -> ColumnElement[bool]:
    """Whether a column holds one of many names.

    PostgreSQL takes them as one array: a statement with a parameter for each costs more to read than
    to answer.
    """
    if conn.dialect.name == "postgresql":
        return column == any_(literal(list(names), ARRAY(Text)))
    return one_of(column, names)


def absent(conn: Connection, key: Column[Any], names: Sequence[str]) -> list[str]:
    """Those of some different names that a key does not hold, in their order.

    As a rule there are few, so that this brings less over the wire than those it does hold.
    """
    found: list[str] = []
    for part in batched(names, _NAMES):
        if conn.dialect.name == "postgresql":
            asked = {"names": json.dumps(part)}
            lacking = set(conn.execute(_absent(key), asked).scalars().all())
        else:
            known = select(key).where(key.table.c.tenant_id == TENANT, one_of(key, part))
            lacking = set(part).difference(conn.execute(known).scalars().all())
        found += [name for name in part if name in lacking]
    return found


@lru_cache(maxsize=16)
def _absent(key: Column[Any]) -> Select[Any]:
    given = listed()
    return select(given.c.name).where(_probe((key,), key, given).scalar_subquery().is_(None))


@lru_cache(maxsize=16)
def held(columns: tuple[Column[Any], ...], key: Column[Any]) -> Select[Any]:
    """Columns of the rows of PostgreSQL whose keys are the names that are given as `names`."""
    given = listed()
    found = _probe(columns, key, given).lateral()
    return select(found).select_from(given.join(found, true()))


def _probe(columns: tuple[Column[Any], ...], key: Column[Any], given: Any) -> Select[Any]:
    """The row of a given name; the limit keeps PostgreSQL from making a join of it."""
    mine = (key.table.c.tenant_id == TENANT) & (key == given.c.name)
    return select(*columns).where(mine).limit(literal_column("1")).correlate(given)


class Beside(NamedTuple):
    """Rows of one table, each with its row of another where there is one."""

    joined: FromClause
    found: FromClause
    """Of the other, for its columns."""


def beside(
    conn: Connection, each: FromClause, table: Table, same: ColumnElement[bool], model: str
) -> Beside:
    """A left join to a table that has at most one row of a model for each row."""
    mine = (table.c.tenant_id == TENANT) & (table.c.model == model) & same
    if conn.dialect.name != "postgresql":
        return Beside(each.outerjoin(table, mine), table)
    found = select(table).where(mine).limit(literal_column("1")).correlate(each).lateral()
    return Beside(each.outerjoin(found, true()), found)


def listed() -> Any:
    """Names as rows of PostgreSQL, from the parameter `names`, a list as JSON.

    They go as one text because a driver writes an array name by name.
    """
    told = cast(bindparam("names", type_=Text), JSON)
    rows = func.json_array_elements_text(told).table_valued(column("name", Text), name="given")
    return rows.render_derived()
