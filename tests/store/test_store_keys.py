"""Keys are kept as digests; settings are decided once."""

from __future__ import annotations

import hashlib
import threading
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from gustibus.errors import ConflictError, NotFoundError
from gustibus.service.keys import KeyTable
from gustibus.service.leases import UNLIMITED
from gustibus.store import (
    add_usage,
    create_key,
    get_key,
    list_audit,
    list_keys,
    position,
    revoke_key,
    rotate_key,
    setting,
)
from tests.store.follow import follow


def test_a_new_key_opens_the_service_and_its_secret_is_not_kept(store):
    with store.write() as conn:
        key = create_key(conn, name="ci", scopes=["score", "users:read"])
    assert key.secret_text is not None
    head, secret = key.secret_text[:-44], key.secret_text[-43:]
    assert head == f"gustibus_live_{key.id}"
    assert key.secret_sha256 == hashlib.sha256(secret.encode()).digest()
    with store.read() as conn:
        (row,) = list_keys(conn)
        held = conn.exec_driver_sql("SELECT * FROM api_keys").one()
    assert row.secret_text is None
    assert not any(secret in str(value) for value in held)
    table = KeyTable(lambda name: UNLIMITED)
    table.load([row])
    caller = table.find(f"Bearer {key.secret_text}".encode())
    assert caller is not None
    assert caller.scopes == {"score", "users:read"}
    wrong = "A" if secret[0] != "A" else "B"
    assert table.find(f"Bearer {head}_{wrong}{secret[1:]}".encode()) is None


def test_a_key_has_one_form(store):
    with store.write() as conn:
        key = create_key(conn, name="ci", scopes=["score"])
    table = KeyTable(lambda name: UNLIMITED)
    table.load([key])
    name, secret = key.id, key.secret_text[-43:]
    assert table.find(f"Bearer gustibus_live_{name}_{secret}".encode()) is not None
    assert table.find(f"bearer gustibus_live_{name}_{secret}".encode()) is not None
    for other in (
        f"xxxxxxxxx_{name}X{secret}", f"gustibus_live_{name}X{secret}", f"{name}_{secret}",
        f"gustibus-live_{name}_{secret}", f"gustibus_test_{name}_{secret}", f"_{name}_{secret}",
        f"GUSTIBUS_LIVE_{name}_{secret}", f"gustibus_live_{name.upper()}_{secret}",
        f"gustibus_live_x_{name}_{secret}", f"gustibus_live_{name}_x{secret}", secret, "",
        f" gustibus_live_{name}_{secret}", f"gustibus_live_{name}_{secret} ", f"{name}_",
    ):  # fmt: skip
        assert table.find(f"Bearer {other}".encode()) is None, other


def test_keys_are_listed_from_old_to_new_with_their_times(store):
    until = datetime(2031, 5, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    with store.write() as conn:
        first = create_key(conn, name="first", scopes=["admin"], expires_at=until)
        second = create_key(conn, name="second", scopes=[])
    with store.read() as conn:
        rows = list_keys(conn)
    assert [row.id for row in rows] == [first.id, second.id]
    assert rows[0].expires_at == until
    assert rows[0].expires_at.tzinfo == UTC
    assert rows[1].expires_at is None
    assert rows[1].scopes == frozenset()


def test_a_key_tells_when_it_was_made_and_last_used(store):
    with store.write() as conn:
        used = create_key(conn, name="used", scopes=["score"])
        unused = create_key(conn, name="unused", scopes=["score"])
        for day in ("2026-02-28", "2026-10-01", "2026-09-30"):
            add_usage(conn, day=day, used={used.id: (3, 1), "another": (1, 1)})
    with store.read() as conn:
        rows = list_keys(conn)
        assert [row.last_used_day for row in rows] == [date(2026, 10, 1), None]
        assert [row.created_at for row in rows] == [used.created_at, unused.created_at]
        assert get_key(conn, key_id=used.id) == rows[0]
    with store.write() as conn:
        assert get_key(conn, key_id=used.id, hold=True) == rows[0]
    assert abs(used.created_at - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_revoked_key_stays_in_the_list_and_others_are_told(store):
    with store.write() as conn:
        key = create_key(conn, name="old", scopes=["score"])
    with store.read() as conn:
        cursor = position(conn)
    with store.write() as conn:
        revoke_key(conn, key_id=key.id)
    with store.read() as conn:
        (row,) = list_keys(conn)
    told = follow(store, cursor)[1]
    assert row.revoked_at is not None
    assert abs(row.revoked_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert told == [("key", key.id)]


def test_a_rotated_key_is_followed_by_one_like_it_and_ends_after_the_grace(store):
    limits = {"models": ["tastes"], "cidrs": ["10.0.0.0/8"], "trusted": True}
    with store.write() as conn:
        first = create_key(conn, name="app", scopes=["score", "rank"], **limits)
        made = rotate_key(conn, old=first, grace=timedelta(hours=2), actor="cli")
    with store.read() as conn:
        old, fresh = list_keys(conn)
        noted = {row.action: row for row in list_audit(conn)}
    assert (old, fresh.id) == (made.old, made.fresh.id)
    assert abs(old.expires_at - datetime.now(UTC) - timedelta(hours=2)) < timedelta(minutes=1)
    assert fresh.expires_at is None
    for field in ("name", "scopes", "models", "cidrs", "trusted"):
        assert getattr(fresh, field) == getattr(first, field)
    table = KeyTable(lambda name: UNLIMITED)
    table.load([old, fresh])
    found = [table.find(f"Bearer {key.secret_text}".encode()) for key in (first, made.fresh)]
    assert [caller.id for caller in found] == [first.id, made.fresh.id]
    assert first.secret_text != made.fresh.secret_text
    assert noted["key.create"].object == fresh.id
    assert noted["key.create"].detail == {"scopes": ["rank", "score"], "rotates": old.id, **limits}
    assert noted["key.change"].object == old.id
    assert noted["key.change"].detail == {
        "rotated_to": fresh.id, "expires_at": old.expires_at.isoformat(), "expires_at_before": None,
    }  # fmt: skip


def test_rotation_keeps_how_long_keys_live_and_gives_old_ones_no_more_time(store):
    soon = datetime.now(UTC) + timedelta(hours=6)
    with store.write() as conn:
        first = create_key(conn, name="app", scopes=["score"], expires_at=soon)
        made = rotate_key(conn, old=first, grace=timedelta(hours=24), actor="cli")
        assert made.old.expires_at == soon
        lived = made.fresh.expires_at - made.fresh.created_at
        assert abs(lived - timedelta(hours=6)) < timedelta(minutes=1)
        at_once = rotate_key(conn, old=made.fresh, grace=timedelta(0), actor="cli")
        with pytest.raises(ConflictError, match="has expired"):
            rotate_key(conn, old=at_once.old, grace=timedelta(hours=1), actor="cli")
        revoke_key(conn, key_id=at_once.fresh.id)
        revoked = get_key(conn, key_id=at_once.fresh.id)
        with pytest.raises(ConflictError, match="was revoked"):
            rotate_key(conn, old=revoked, grace=timedelta(hours=1), actor="cli")
        assert len(list_keys(conn)) == 3
    table = KeyTable(lambda name: UNLIMITED)
    table.load([at_once.old])
    assert table.find(f"Bearer {made.fresh.secret_text}".encode()) is None


def test_revoking_an_unknown_key_is_an_error(store):
    with pytest.raises(NotFoundError, match="nothing-like-it"), store.write() as conn:
        revoke_key(conn, key_id="nothing-like-it")


def test_a_setting_is_decided_by_the_first_to_ask_though_many_ask_at_once(store):
    answers = []
    gate = threading.Barrier(4)

    def ask(number: int) -> None:
        gate.wait()
        with store.write() as conn:
            answers.append(setting(conn, name="secret", default=lambda: f"from {number}"))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 4
    assert len(set(answers)) == 1
    with store.read() as conn:
        assert setting(conn, name="secret", default=lambda: "late") == answers[0]
