"""Who was deleted stands in a file outside the database too, whatever happens while it is written."""

from __future__ import annotations

import json
import os
import threading
from datetime import UTC, datetime, timedelta

import pytest

from gustibus.errors import ConfigError
from gustibus.service.replaying import export_tombstones, replay_tombstones
from gustibus.service.settings import Settings
from gustibus.store import (
    Store,
    Tombstone,
    append_tombstones,
    delete_user,
    departures,
    forget_training,
    get_user,
    hasher,
    hashing_key,
    iter_tombstones,
    key_name,
    make_hashing_key,
    put_user,
    read_tombstones,
    training_forgotten,
)
from gustibus.store.engine import ReadOnlyError
from gustibus.store.tombstones import NAMING, named_people

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def stones(store: Store) -> dict[bytes, datetime]:
    with store.read() as conn:
        return {one.digest: one.at for one in iter_tombstones(conn)}


def people(store: Store, *names: str) -> list[str]:
    with store.read() as conn:
        return [name for name in names if get_user(conn, user=name) is not None]


def test_a_file_holds_what_was_added_to_it_and_the_last_time_of_each(tmp_path):
    path = tmp_path / "stones.jsonl"
    one, two = bytes(range(32)), bytes(32)
    append_tombstones(path, [Tombstone(one, NOON), Tombstone(two, NOON)], key="k")
    append_tombstones(path, [Tombstone(one, NOON + timedelta(microseconds=1))], key="k")
    append_tombstones(path, [Tombstone(two, NOON + timedelta(days=1))], key="other")
    found = read_tombstones(path, key="k")
    assert found.times == {one: NOON + timedelta(microseconds=1), two: NOON}
    assert (found.foreign, found.broken) == (1, 0)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_torn_line_costs_itself_alone(tmp_path):
    path = tmp_path / "stones.jsonl"
    append_tombstones(path, [Tombstone(bytes(32), NOON)], key="k")
    torn = path.read_bytes()[:40]
    with path.open("ab") as file:
        file.write(torn)
    append_tombstones(path, [Tombstone(bytes([1] * 32), NOON)], key="k")
    found = read_tombstones(path, key="k")
    assert (set(found.times), found.broken) == ({bytes(32), bytes([1] * 32)}, 1)
    strange = ("[]", "7", '{"hash": "00", "at": "2026-01-01T00:00:00+00:00"}', '{"hash": 3}',
               json.dumps({"hash": "00" * 32, "at": "2026-01-01T00:00:00"}))  # fmt: skip
    path.write_text("\n".join(strange) + "\n\n")
    assert read_tombstones(path, key="k").broken == len(strange)


def test_many_at_once_add_whole_lines(tmp_path):
    path = tmp_path / "stones.jsonl"

    def add(number: int) -> None:
        for n in range(20):
            append_tombstones(path, [Tombstone(bytes([number, n] * 16), NOON)], key="k")

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = read_tombstones(path, key="k")
    assert (len(found.times), found.broken) == (160, 0)


def test_a_file_that_takes_nothing_is_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "stones.jsonl"
    append_tombstones(path, [Tombstone(bytes(32), NOON)], key="k")
    before = path.read_bytes()

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(ReadOnlyError, match="No space left"):
        append_tombstones(path, [Tombstone(bytes([1] * 32), NOON)], key="k")
    assert path.read_bytes() == before
    with pytest.raises(ReadOnlyError, match="cannot be written to"):
        append_tombstones(tmp_path / "none" / "x", [], key="k")


def test_a_database_is_exported_once_and_replayed_once(store, tmp_path):
    path = tmp_path / "stones.jsonl"
    with store.write() as conn:
        for name in ("ann", "bob", "eve"):
            put_user(conn, user=name)
            delete_user(conn, user=name, at=NOON)
        forget_training(conn, user="of-training", at=NOON)
    assert export_tombstones(store, path) == (4, 0)
    assert export_tombstones(store, path) == (0, 4)
    before = stones(store)
    with store.write() as conn:
        put_user(conn, user="ann")  # has begun anew, which the database knows
        conn.exec_driver_sql("DELETE FROM tombstones")  # a copy of before
        put_user(conn, user="bob")
        put_user(conn, user="zoe")
    with store.write() as conn:
        delete_user(conn, user="ann", at=NOON + timedelta(hours=1))
        put_user(conn, user="ann")
    settings = Settings()
    assert replay_tombstones(store, settings, path) == (1, 2, 0, 0)
    assert people(store, "ann", "bob", "eve", "zoe") == ["ann", "zoe"]
    with store.read() as conn:
        assert departures(conn, users=["bob", "eve"]) == {"bob": NOON, "eve": NOON}
        assert training_forgotten(conn, users=["of-training", "zoe"]) == {"of-training"}
    assert before.keys() <= stones(store).keys()
    after = stones(store)
    assert replay_tombstones(store, settings, path) == (0, 0, 0, 0)
    assert stones(store) == after


def test_a_replay_that_was_stopped_goes_on(store, tmp_path):
    path = tmp_path / "stones.jsonl"
    names = [f"user-{n}" for n in range(30)]
    with store.write() as conn:
        hashed, key = hasher(hashing_key(conn)), key_name(hashing_key(conn))
        for name in names:
            put_user(conn, user=name)
    append_tombstones(path, [Tombstone(hashed(name), NOON) for name in names], key=key)

    class StoppedError(Exception):
        pass

    def stop(done: int) -> None:
        if done == 12:
            raise StoppedError

    with pytest.raises(StoppedError):
        replay_tombstones(store, Settings(), path, tell=stop)
    assert len(people(store, *names)) == 18
    assert replay_tombstones(store, Settings(), path).people == 18
    assert people(store, *names) == []


def test_a_file_of_another_database_is_refused(store, tmp_path):
    path = tmp_path / "stones.jsonl"
    append_tombstones(path, [Tombstone(bytes(32), NOON)], key="another")
    with pytest.raises(ConfigError, match="no hash under the key of this database"):
        replay_tombstones(store, Settings(), path)
    make_hashing_key(store)
    with pytest.raises(ConfigError, match="no hash under the key of this database"):
        replay_tombstones(store, Settings(), path)


def test_whoever_is_named_anywhere_is_found(store):
    with store.write() as conn:
        put_user(conn, user="ann")
        put_user(conn, user="bob")
        conn.exec_driver_sql(
            "INSERT INTO import_errors (tenant_id, import_id, row, code, problem, user_id) "
            "VALUES ('default', 'i', 1, 'c', 'p', 'stray')"
        )
    with store.read() as conn:
        tenant = conn.exec_driver_sql("SELECT tenant_id FROM users").scalars().first()
    with store.write() as conn:
        conn.exec_driver_sql(f"UPDATE import_errors SET tenant_id = '{tenant}'")
    with store.read() as conn:
        found = [name for column in NAMING for name in named_people(conn, column=column, after="")]
        assert sorted(found) == ["ann", "bob", "stray"]
        assert named_people(conn, column=NAMING[0], after="ann") == ["bob"]
        assert named_people(conn, column=len(NAMING), after="") == []
