"""Logs of answers, many at once: what is kept, what is refused, and how much is read for it."""

from __future__ import annotations

import json
from hashlib import blake2b

import numpy as np
import pytest
from sqlalchemy import text

from gustibus.data.answers import Answer
from gustibus.store import (
    NewComparison,
    NewItem,
    Side,
    add_comparisons,
    delete_user,
    draft_answers,
    ensure_users,
    evidence,
    existing_items,
    put_items,
    take_answers,
)
from gustibus.store.ids import Ulids
from gustibus.store.lookup import absent
from gustibus.store.tables import users

ROWS = 1000


def answers(start: int, count: int = ROWS, *, outcome: str = "a") -> list[Answer]:
    return [
        Answer(f"r{n}", f"u{n % 700}", None, f"i{n % 60}", None, f"i{(n + 1) % 60}", None, outcome)
        for n in range(start, start + count)
    ]


@pytest.fixture
def stocked(store):
    with store.write() as conn:
        rows = [NewItem(f"i{n}", "text", None, (), None) for n in range(60)]
        put_items(conn, rows=rows, model="")
    return store


def take(store, rows):
    with store.write() as conn:
        return take_answers(conn, drafts=draft_answers(rows))


def test_each_answer_of_a_large_batch_is_kept_once(stocked):
    first = take(stocked, answers(0))
    assert (first.accepted, first.duplicates, first.refused) == (ROWS, 0, [])
    half = take(stocked, answers(ROWS // 2))
    assert (half.accepted, half.duplicates, half.refused) == (ROWS // 2, ROWS // 2, [])


def test_what_is_wrong_with_some_of_many_is_told_of_each(stocked):
    take(stocked, answers(0, 200))
    with stocked.write() as conn:
        delete_user(conn, user="u350")
    rows = answers(0, 200, outcome="b")[:3] + answers(200)
    rows.append(answers(0, 1)[0]._replace(id="lost", a_item="gone"))
    rows.append(answers(0, 1)[0]._replace(id="lost too", b_item="gone"))
    done = take(stocked, rows)
    about = [n for n, row in enumerate(rows) if row.user == "u350"]
    assert [(one.place, one.code) for one in done.refused] == [
        *((n, "conflict") for n in range(3)),
        *((n, "user_deleted") for n in about),
        *((n, "not_found") for n in (len(rows) - 2, len(rows) - 1)),
    ]
    assert done.accepted == len(rows) - len(done.refused)


def test_a_batch_reads_no_more_of_a_table_that_has_grown(stocked):
    if stocked.dialect != "postgresql":
        pytest.skip("SQLite looks every key up in its index")
    for start in range(0, 4 * ROWS, ROWS):
        take(stocked, answers(start))
    stocked.gather_statistics()
    read = text(
        "SELECT relname, seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables"
        " WHERE relname IN ('comparisons', 'users')"
    )
    for start in (0, 9 * ROWS):  # duplicates, and fresh ones
        with stocked.write() as conn:
            before = dict(conn.execute(read).all())  # what is not reported yet is counted too
            take_answers(conn, drafts=draft_answers(answers(start)))
            after = dict(conn.execute(read).all())
        for table, count in after.items():
            assert count - before[table] <= 4 * ROWS, table


def test_reading_one_person_reads_no_more_when_there_are_many(stocked):
    if stocked.dialect != "postgresql":
        pytest.skip("SQLite looks every key up in its index")
    vector = np.zeros(2, np.float32)
    side = Side(None, None, vector)
    with stocked.write() as conn:
        ensure_users(conn, users=["ann", "bob"])
        rows = [NewComparison("ann" if n % 10 else "bob", side, side, "a") for n in range(2000)]
        add_comparisons(conn, rows=rows, model="m")
    read = text(
        "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_xact_user_tables"
        " WHERE relname IN ('comparisons', 'sides')"
    )
    with stocked.read() as conn:
        before = conn.execute(read).scalar_one()
        assert len(evidence(conn, user="bob", model="m").target) == 200
        assert conn.execute(read).scalar_one() - before <= 3 * 200


def test_names_that_are_absent_are_told_in_their_order(store):
    known = [f"n{k}" for k in range(0, 2500, 2)]
    with store.write() as conn:
        ensure_users(conn, users=known)
        wanted = [f"n{k}" for k in range(2500)][::-1]
        assert absent(conn, users.c.id, wanted) == [f"n{k}" for k in range(2499, 0, -2)]
        assert absent(conn, users.c.id, []) == []
        assert absent(conn, users.c.id, ['"', "\\", "ü", "N0"]) == ['"', "\\", "ü", "N0"]
        assert existing_items(conn, items=["i1", "i1"]) == set()


def test_content_is_what_it_was_in_every_release():
    row = NewComparison(
        "ann", Side("i1", None, None), Side(None, 'Ünï "🤖" \\ \n', None), "tie", prompt="p",
        strength=0.25,
    )  # fmt: skip
    for one in (row, row._replace(prompt=None, strength=None)):
        said = [one.user, one.prompt, "i1", None, None, one.b.text, "tie", one.strength]
        assert one.content() == blake2b(json.dumps(said).encode(), digest_size=20).digest()


def test_many_ids_rise_like_single_ones():
    ulids = Ulids()
    found = [ulids(), *ulids.many(3000), ulids(), *ulids.many(0), *ulids.many(5)]
    assert found == sorted(set(found))
    assert {len(name) for name in found} == {26}
