"""Versions and aliases: numbers are given once, and aliases point at what is there."""

from __future__ import annotations

import threading

import pytest

from gustibus.errors import ConflictError, GustibusError
from gustibus.store import (
    champion,
    delete_version,
    get_alias,
    get_version,
    move_alias,
    register_version,
    set_version_state,
)

MODEL = "default"


def register(store, *digests: str) -> list[int]:
    with store.write() as conn:
        found = [register_version(conn, model=MODEL, digest=one)[0].version for one in digests]
        for version in found:
            set_version_state(conn, model=MODEL, version=version, state="validated")
    return found


def move(store, version: int, *, seen: int) -> None:
    with store.write() as conn:
        row = move_alias(conn, model=MODEL, alias="champion", version=version, seen=seen)
        assert row is not None
        assert (row.version, row.revision) == (version, seen + 1)


def test_a_number_is_given_to_one_model_and_never_again(store):
    assert register(store, "a" * 64, "b" * 64) == [1, 2]
    with store.write() as conn:
        assert delete_version(conn, model=MODEL, version=2)
    assert register(store, "c" * 64, "b" * 64, "a" * 64) == [3, 4, 1]
    with store.write() as conn:
        for version in (4, 3, 1):
            assert delete_version(conn, model=MODEL, version=version)
        assert not delete_version(conn, model=MODEL, version=4)
    assert register(store, "d" * 64) == [5]
    with store.write() as conn:
        assert register_version(conn, model="other", digest="a" * 64)[0].version == 1


def test_a_promotion_of_what_is_promoted_keeps_what_was_before(store):
    register(store, "a" * 64, "b" * 64)
    for seen, version in enumerate((1, 2, 2)):
        move(store, version, seen=seen)
    with store.read() as conn:
        row = get_alias(conn, model=MODEL)
    assert (row.version, row.previous, row.revision) == (2, 1, 3)


def test_no_alias_points_at_a_version_that_is_being_forgotten(store):
    if store.dialect == "sqlite":
        pytest.skip("one transaction writes at a time")
    register(store, "a" * 64, "b" * 64)
    move(store, 1, seen=0)
    faults: list[Exception] = []

    def forget() -> None:
        try:
            with store.write() as conn:
                delete_version(conn, model=MODEL, version=2)
        except GustibusError as error:
            faults.append(error)

    with store.write() as conn:
        assert get_version(conn, model=MODEL, version=2) is not None
        assert move_alias(conn, model=MODEL, alias="champion", version=2, seen=1) is not None
        thread = threading.Thread(target=forget)
        thread.start()
        thread.join(0.5)
    thread.join(20)
    with store.read() as conn:
        found = champion(conn, model=MODEL)
    assert found is not None
    assert found.version == 2
    assert [type(one) for one in faults] == [ConflictError]
    with store.write() as conn, pytest.raises(ConflictError, match="version 9"):
        move_alias(conn, model=MODEL, alias="champion", version=9, seen=2)
