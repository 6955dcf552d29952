"""A repeated request gets the reply that was given, and has one effect."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from sqlalchemy import create_engine, select, text

from gustibus.store import Store, find_reply, keep_reply, purge_replies, put_user, replies
from gustibus.store.engine import parse_url
from gustibus.store.replies import delete_replies, replies_about
from gustibus.store.schema import upgrade
from gustibus.store.tables import reply_users

SAME = {"caller": "key1", "key": "abc", "route": "POST /v1/x", "body_sha256": b"1" * 32}


def keep(conn, reply=b"{}", status=201, users=(), **other) -> bool:
    return keep_reply(conn, **{**SAME, **other}, status=status, reply=reply, users=users)


def test_a_reply_is_found_again_and_says_whether_the_request_was_the_same(store):
    with store.write() as conn:
        assert find_reply(conn, **SAME) is None
        assert keep(conn, b'{"n": 1}\x00\xff')
    with store.read() as conn:
        found = find_reply(conn, **SAME)
        assert (found.status, found.body, found.matches) == (201, b'{"n": 1}\x00\xff', True)
        assert not find_reply(conn, **{**SAME, "body_sha256": b"2" * 32}).matches
        assert not find_reply(conn, **{**SAME, "route": "POST /v1/y"}).matches
        assert find_reply(conn, **{**SAME, "caller": "key2"}) is None
        assert find_reply(conn, **{**SAME, "key": "abcd"}) is None


def test_a_reply_is_kept_once(store):
    with store.write() as conn:
        assert keep(conn, b"first")
    with store.write() as conn:
        assert not keep(conn, b"second")
    with store.read() as conn:
        assert find_reply(conn, **SAME).body == b"first"


def test_a_reply_goes_with_the_transaction_of_its_effect(store):
    def fail() -> None:
        with store.write() as conn:
            put_user(conn, user="ann")
            keep(conn)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with store.read() as conn:
        assert find_reply(conn, **SAME) is None


def test_of_requests_at_once_one_has_its_effect(store):
    won = []
    gate = threading.Barrier(5)

    class TakenError(Exception):
        pass

    def work(number: int) -> None:
        gate.wait()
        try:
            with store.write() as conn:
                put_user(conn, user=f"u{number}")
                if not keep(conn, b"%d" % number):
                    raise TakenError
        except TakenError:
            return
        won.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    with store.read() as conn:
        assert find_reply(conn, **SAME).body == b"%d" % won[0]
        made = conn.exec_driver_sql("SELECT id FROM users").scalars().all()
    assert made == [f"u{won[0]}"]


def test_old_replies_are_not_given_again_and_are_forgotten(store, monkeypatch):
    monkeypatch.setattr("gustibus.store.replies.LIFETIME", timedelta(seconds=-1))
    with store.write() as conn:
        keep(conn, b"old")
        keep(conn, b"other", key="other")
    monkeypatch.setattr("gustibus.store.replies.LIFETIME", timedelta(hours=24))
    with store.write() as conn:
        assert find_reply(conn, **SAME) is None
        assert keep(conn, b"new")
        assert find_reply(conn, **SAME).body == b"new"
        assert purge_replies(conn) == 1
        assert purge_replies(conn) == 0
        assert find_reply(conn, **SAME).body == b"new"


def test_a_person_is_found_in_the_replies_that_name_them_and_in_no_other(store):
    with store.write() as conn:
        keep(conn, users=["ann", "bob"])
        keep(conn, users=["bob"], key="second")
        keep(conn, users=["anna"], key="third")
        assert replies_about(conn, user="ann") == [("key1", "abc", ["ann", "bob"])]
        assert delete_replies(conn, user="ann") == 1
        assert find_reply(conn, **SAME) is None
        assert replies_about(conn, user="bob") == [("key1", "second", ["bob"])]
        keep(conn, users=["cy"])  # the key that the others had
        assert delete_replies(conn, user="bob") == 1
        assert find_reply(conn, **SAME) is not None
        assert delete_replies(conn, user="ann") == 0


def test_who_was_in_a_reply_is_forgotten_with_it(store, monkeypatch):
    monkeypatch.setattr(replies, "LIFETIME", timedelta(seconds=-1))
    with store.write() as conn:
        keep(conn, users=["ann"])
    monkeypatch.undo()
    with store.write() as conn:
        assert keep(conn, users=["ann"])  # in place of the one that is too old
        assert purge_replies(conn) == 0
        assert len(replies_about(conn, user="ann")) == 1
    monkeypatch.setattr(replies, "LIFETIME", timedelta(seconds=-1))
    with store.write() as conn:
        keep(conn, users=["bob"], key="old")
        assert purge_replies(conn) == 1
        assert conn.execute(select(reply_users.c.user_id)).scalars().all() == ["ann"]


def test_the_migration_finds_people_in_replies_that_were_kept_before(empty_url):
    upgrade(empty_url, "0006")
    engine = create_engine(parse_url(empty_url))
    with engine.begin() as conn:
        for key, users in (("abc", '["ann", "b\\u00f6b"]'), ("none", "[]")):
            row = {"key": key, "users": users, "blob": b"1" * 32, "at": "2099-01-01 00:00:00"}
            conn.execute(
                text("INSERT INTO idempotency VALUES ('default', 'key1', :key, 'r', :blob, 201,"
                     " :blob, :users, :at)"), row,
            )  # fmt: skip
    engine.dispose()
    upgrade(empty_url)
    store = Store(empty_url)
    with store.read() as conn:
        assert replies_about(conn, user="böb") == [("key1", "abc", ["ann", "böb"])]
    store.close()
