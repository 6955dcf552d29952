"""A person can take everything along, and leave nothing behind."""

from __future__ import annotations

import json
import shutil
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from gustibus.errors import ConflictError
from gustibus.store import (
    NewComparison,
    NewItem,
    Removed,
    Side,
    Store,
    add_comparisons,
    add_question,
    audit,
    create_job,
    create_session,
    delete_user,
    ensure_users,
    export_user,
    find_reply,
    finish_job,
    get_user,
    hashed_user,
    keep_reply,
    list_comparisons,
    position,
    purge_changes,
    put_items,
    put_neighbours,
    put_profile,
    put_user,
    set_answer,
    take_job,
)
from gustibus.store.tables import metadata
from tests.store.follow import follow

CANARY = "canary"


def vector(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(3).astype(np.float32)


def live(store: Store, user: str, mark: str) -> None:
    """Everything that the store can hold about a person, with a mark in every text."""
    with store.write() as conn:
        put_user(conn, user=user, attributes={"about": f"{mark}-attribute"})
        row = NewComparison(
            user, Side("shared-item", f"{mark}-left", vector(1)),
            Side(None, f"{mark}-right", vector(2)), "a", client_id=f"{mark}-client",
            prompt=f"{mark}-prompt", strength=0.75, at=datetime(2030, 1, 1, tzinfo=UTC),
            source=f"{mark}-source", score_id=f"{mark}-score",
        )  # fmt: skip
        add_comparisons(conn, rows=[row, row._replace(client_id=None)], model="m")
        put_profile(
            conn, user=user, model="m", mean=np.array([0.5, -1.0]),
            covariance=np.array([[4.0, 1.0], [1.0, 9.0]]), count=2, fitted_through="cmp_1",
        )  # fmt: skip
        put_neighbours(conn, model=f"{mark}-map", users=[user], points=np.ones((1, 2)))
        session = create_session(
            conn, user=user, model="m", settings={"locale": f"{mark}-locale"},
            lifetime=timedelta(hours=1),
        )  # fmt: skip
        for seq in range(2):
            add_question(
                conn, session=session.id, seq=seq, row=seq + 40, swapped=False, reason="info"
            )
        set_answer(conn, session=session.id, seq=0, answer="left", ms=4321)
        keep_reply(
            conn, caller="key", key=f"{mark}-key", route="r", body_sha256=bytes(32), status=201,
            reply=f"{mark}-reply".encode(), users=[user],
        )  # fmt: skip


def everything(store: Store) -> str:
    """Every value of every table as text."""
    with store.read() as conn:
        rows = [
            tuple(row) for table in metadata.sorted_tables for row in conn.execute(select(table))
        ]
    return "\n".join(
        value.decode("latin-1") if isinstance(value, bytes) else str(value)
        for row in rows
        for value in row
    )


def files(store: Store) -> bytes:
    """What the files of an SQLite database hold."""
    path = Path(str(store.url.database))
    return b"".join(one.read_bytes() for one in path.parent.glob(path.name + "*"))


def test_an_export_holds_all_that_is_kept_and_only_of_this_person(store):
    live(store, "ann", "ann-mark")
    live(store, "bob", "bob-mark")
    with store.read() as conn:
        rows = list(export_user(conn, user="ann"))
    text = json.dumps(rows)
    assert "bob" not in text
    parts = ("attribute", "left", "right", "client", "prompt", "source", "score", "locale", "reply")
    for part in (*parts, "key"):
        assert f"ann-mark-{part}" in text, part
    kinds = [row["kind"] for row in rows]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "user": 1, "profile": 1, "neighbour": 1, "comparison": 2, "session": 1, "question": 2,
        "reply": 1,
    }  # fmt: skip
    (profile,) = (row for row in rows if row["kind"] == "profile")
    assert profile["mean"] == [0.5, -1.0]
    assert profile["stderr"] == [2.0, 3.0]
    (comparison, _) = (row for row in rows if row["kind"] == "comparison")
    assert (comparison["outcome"], comparison["strength"]) == ("a", 0.75)
    assert comparison["at"] == "2030-01-01T00:00:00+00:00"
    question = next(row for row in rows if row["kind"] == "question")
    assert (question["row"], question["answer"], question["ms"]) == (40, "left", 4321)


def test_a_reply_about_several_people_is_named_but_not_exported(store):
    with store.write() as conn:
        put_user(conn, user="ann")
        keep_reply(
            conn, caller="key", key="k", route="r", body_sha256=bytes(32), status=201,
            reply=b"about ann and bob", users=["bob", "ann"],
        )  # fmt: skip
    with store.read() as conn:
        (_, reply) = export_user(conn, user="ann")
    assert (reply["kind"], reply["key"], reply["reply"]) == ("reply", "k", None)
    assert "bob" not in json.dumps(reply)


def test_an_export_names_the_jobs_about_a_person_and_nobody_else_of_them(store):
    asked = [["bob", "ann"], ["bob"], None, ["ann"]]
    with store.write() as conn:
        put_user(conn, user="ann")
        lists = [
            create_job(conn, kind="bulk_score", params={"items": ["bob"], "users": users}, by="key")
            for users in asked
        ]
        own = create_job(conn, kind="export", params={}, by="key", user="ann")
        begun = take_job(conn, owner="worker", kinds=["bulk_score"])
        assert begun is not None
        finish_job(
            conn, job=begun.id, owner="worker", state="succeeded", done=2, result={"best": "bob"}
        )
    with store.read() as conn:
        _, *rows = export_user(conn, user="ann")
    assert {row["kind"] for row in rows} == {"job"}
    found = {row["id"]: row for row in rows}
    assert list(found) == [own.id, lists[0].id, lists[3].id]
    assert (found[own.id]["job_kind"], found[own.id]["user_id"]) == ("export", "ann")
    first = found[begun.id]
    assert first.pop("finished_at") > first["started_at"] > first["created_at"]
    for row, state in ((first, "succeeded"), (found[lists[3].id], "queued")):
        assert (row["job_kind"], row["state"], row["named"]) == ("bulk_score", state, True)
    assert "bob" not in json.dumps(rows)


def test_an_export_of_nobody_is_empty(store):
    with store.read() as conn:
        assert list(export_user(conn, user="nobody")) == []


def test_an_export_holds_what_the_audit_log_tells_of_a_person_while_anything_else_is_kept(store):
    with store.write() as conn:
        for user in ("ann", "bob"):
            put_user(conn, user=user)
            audit(conn, actor="cli", action="user.restrict", what=hashed_user(conn, user))
        for n in range(1200):  # more than a page
            audit(conn, actor="cli", action="user.export", what=hashed_user(conn, "ann"), n=n)
    with store.read() as conn:
        _, *entries = export_user(conn, user="ann")
    assert {entry["kind"] for entry in entries} == {"audit"}
    assert [entry["detail"].get("n") for entry in entries] == [*range(1199, -1, -1), None]
    assert (entries[-1]["action"], entries[-1]["actor"]) == ("user.restrict", "cli")
    with store.write() as conn:
        delete_user(conn, user="ann")
    with store.read() as conn:
        assert list(export_user(conn, user="ann")) == []
        assert len(list(export_user(conn, user="ann", known=True))) == 1201


def test_after_deletion_nothing_holds_the_name_or_the_texts(store):
    live(store, CANARY, f"{CANARY}-mark")
    live(store, "bob", "bob-mark")
    before = everything(store)
    assert f"{CANARY}-mark-left" in before
    with store.write() as conn:
        removed = delete_user(conn, user=CANARY)
        purge_changes(conn, age=timedelta(seconds=-1))  # which tell the others, for a day
    assert removed == Removed(
        users=1, profiles=1, comparisons=2, sessions=1, questions=2, replies=1,
        neighbours=1,
    )  # fmt: skip
    after = everything(store)
    assert CANARY not in after
    assert after.count("bob-mark") == before.count("bob-mark")
    if store.dialect == "sqlite":
        assert CANARY.encode() not in files(store)
        assert b"bob-mark" in files(store)


def test_what_somebody_read_while_it_was_removed_goes_with_the_next_write(migrated_file, tmp_path):
    shutil.copy(migrated_file, tmp_path / "test.db")
    store = Store(f"sqlite:///{tmp_path}/test.db")
    live(store, CANARY, f"{CANARY}-mark")
    with store.read() as reader:
        assert reader.execute(select(metadata.tables["users"].c.id)).all()
        with store.write() as conn:
            delete_user(conn, user=CANARY)
            purge_changes(conn, age=timedelta(seconds=-1))
        assert CANARY.encode() in files(store), "the reader sees it"
        began = time.monotonic()
        with store.write() as conn:
            put_user(conn, user="bob")
        assert time.monotonic() - began < 0.9, "who removes nothing does not wait"
    with store.write() as conn:
        put_user(conn, user="eve")
    assert CANARY.encode() not in files(store)
    store.close()


def test_deletion_leaves_the_others_and_the_items(store):
    live(store, "ann", "ann-mark")
    live(store, "bob", "bob-mark")
    with store.write() as conn:
        put_items(conn, rows=[NewItem("shared-item", "text", None, (), vector(1))], model="m")
        delete_user(conn, user="ann")
    with store.read() as conn:
        assert get_user(conn, user="bob").n_comparisons == 2
        rows = list(export_user(conn, user="bob"))
        assert len(rows) == 10
        assert rows[-1] == {"kind": "item", "id": "shared-item", "text": "text", "prompt": None}
        assert (
            find_reply(conn, caller="key", key="ann-mark-key", route="r", body_sha256=b"") is None
        )
        assert find_reply(conn, caller="key", key="bob-mark-key", route="r", body_sha256=b"")


def test_names_that_look_alike_are_not_taken_for_each_other(store):
    names = ["a_b", "aXb", "A_B", "a%b", "a_", "a_b2", 'a"b', "ä_b"]
    for name in names:
        live(store, name, f"<{name}>")
    with store.write() as conn:
        removed = delete_user(conn, user="a_b")
    assert removed.replies == 1
    assert removed.comparisons == 2
    with store.read() as conn:
        for name in names[1:]:
            assert len(list(export_user(conn, user=name))) == 9, name
    with store.write() as conn:
        assert delete_user(conn, user="ä_b").replies == 1
        assert delete_user(conn, user='a"b').replies == 1


def test_deleting_is_told_to_the_others(store):
    live(store, "ann", "mark")
    with store.read() as conn:
        cursor = position(conn)
    with store.write() as conn:
        delete_user(conn, user="ann")
    assert follow(store, cursor)[1] == [("user", "ann")]


def test_somebody_without_a_row_can_be_deleted_and_twice(store):
    none = Removed(0, 0, 0, 0, 0, 0)
    for _ in range(2):
        with store.write() as conn:
            assert delete_user(conn, user="from-training") == none
    with store.read() as conn:
        assert get_user(conn, user="from-training") is None
    with pytest.raises(ConflictError), store.write() as conn:
        ensure_users(conn, users=["from-training"])


def test_a_tombstone_is_a_keyed_hash(store):
    with store.write() as conn:
        delete_user(conn, user=CANARY)
    with store.read() as conn:
        (stone,) = conn.exec_driver_sql("SELECT digest FROM tombstones").scalars()
        salt = conn.exec_driver_sql("SELECT value FROM settings").scalar_one()
    assert len(stone) == 32
    assert len(salt) == 43
    assert CANARY.encode() not in stone


def test_who_writes_while_a_person_is_deleted_leaves_nothing_behind(store):
    """Whichever comes first, afterwards there is no row of somebody who was deleted."""
    rows = [
        NewComparison("ann", Side(None, "l", vector(1)), Side(None, "r", vector(2)), "a")
        for _ in range(20)
    ]
    outcomes = set()
    for turn in range(12):
        with store.write() as conn:
            put_user(conn, user="ann")
        gate = threading.Barrier(3)

        def add(gate: threading.Barrier = gate) -> None:
            gate.wait()
            try:
                with store.write() as conn:
                    ensure_users(conn, users=["ann"])
                    add_comparisons(conn, rows=rows, model="m")
            except ConflictError:
                outcomes.add("refused")
            else:
                outcomes.add("added")

        def remove(gate: threading.Barrier = gate) -> None:
            gate.wait()
            with store.write() as conn:
                delete_user(conn, user="ann")

        threads = [threading.Thread(target=work) for work in (add, remove, add)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with store.read() as conn:
            assert list_comparisons(conn) == [], turn
            assert get_user(conn, user="ann") is None
            assert conn.exec_driver_sql("SELECT count(*) FROM sides").scalar() == 0
    assert outcomes


def test_a_deletion_waits_for_who_is_writing(migrated_database):
    """The order that a race rarely gives: answers not committed yet when the person goes."""
    store = Store(migrated_database)
    row = NewComparison("eve", Side(None, "l", vector(1)), Side(None, "r", vector(2)), "a")

    def remove() -> None:
        with store.write() as conn:
            delete_user(conn, user="eve")

    deleting = threading.Thread(target=remove)
    with store.write() as conn:
        ensure_users(conn, users=["eve"])
        add_comparisons(conn, rows=[row], model="m")
        deleting.start()
        deleting.join(0.3)
        assert deleting.is_alive()
    deleting.join(10)
    assert not deleting.is_alive()
    with store.read() as conn:
        assert list_comparisons(conn, user="eve") == []
        assert get_user(conn, user="eve") is None
    store.close()
