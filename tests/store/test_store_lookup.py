"""Rows by name: a few statements for lists of any length."""

from __future__ import annotations

import numpy as np
import pytest
from sqlalchemy import event

from gustibus.store import (
    NewItem,
    deleted_among,
    ensure_users,
    existing_items,
    find_vectors,
    profiles_of,
    put_items,
    versions_of,
)
from gustibus.store.freshness import forget_training
from gustibus.store.lookup import one_of
from gustibus.store.tables import users

NAMES = [f"n{number:03}" for number in range(300)]


@pytest.fixture
def filled(store):
    """A store in which everybody exists, every item has a vector, and somebody was deleted once."""
    with store.write() as conn:
        ensure_users(conn, users=NAMES)
        rows = [NewItem(name, None, None, (), np.zeros(2, np.float32)) for name in NAMES]
        put_items(conn, rows=rows, model="m")
        forget_training(conn, user="n007")
    return store


def test_lists_of_every_length_find_what_they_name(filled):
    with filled.read() as conn:
        for size in (0, 1, 2, 3, 4, 5, 127, 128, 129, 300):
            names = NAMES[:size]
            assert versions_of(conn, users=[*names, "nobody"]) == dict.fromkeys(names, 0)
            assert sorted(find_vectors(conn, found=[*names, "nothing"], model="m")) == names
            assert existing_items(conn, items=[*names, "nothing"]) == set(names)
            told = [f"training {name}" for name in names]
            assert deleted_among(conn, users=told) == set(told[7:8])


def test_a_connection_has_few_statements_to_keep(filled):
    """Every process asks every second for those that have changed, one more or fewer each time."""
    seen: set[str] = set()
    with filled.read() as conn:
        event.listen(conn, "before_cursor_execute", lambda _, __, text, *___: seen.add(text))
        for size in range(1, len(NAMES)):
            names = NAMES[:size]
            versions_of(conn, users=names)
            list(profiles_of(conn, users=names, model="m"))
            find_vectors(conn, found=names, model="m")
            existing_items(conn, items=names)
            deleted_among(conn, users=names)
    assert len(seen) < 60, "five questions and nine sizes"


def test_a_list_that_is_longer_than_a_statement_is_whole_stays_as_it_is():
    names = [str(number) for number in range(1001)]
    assert len(one_of(users.c.id, names[:1000]).right.value) == 1024
    assert len(one_of(users.c.id, names).right.value) == 1001
