"""What was exported is there already: an import of it leaves a store as it is."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime

import numpy as np
import pytest

from gustibus.cli.records import Stored
from gustibus.data.answers import answer_of
from gustibus.store import (
    NewComparison,
    NewItem,
    Side,
    add_comparisons,
    delete_comparison,
    delete_user,
    deleted_among,
    departures,
    ensure_users,
    put_items,
    put_user,
)
from gustibus.store.tables import comparisons

TEXTS = ["short", "", 'Ünï 🤖 \\ "', "\n\nHuman: hello\n\nAssistant: well", "user: a\n\nuser: b"]
OUTCOMES = ["a", "b", "tie", "both_bad", "skip"]


def vector(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(3).astype(np.float32)


def side(rng: np.random.Generator) -> Side:
    kind, number = rng.integers(3), int(rng.integers(5))
    if kind == 0:
        return Side(f"i{number}", None, vector(number))
    if kind == 1:
        return Side(None, TEXTS[number], None if rng.integers(2) else vector(number))
    return Side(None, None, vector(number))


def answer(rng: np.random.Generator, number: int) -> NewComparison:
    name = [None, f"c{number}", f"ses_{number:026}:3"][int(rng.integers(3))]
    prompt = [None, "", "why?", TEXTS[3]][int(rng.integers(4))]
    strength = [None, 0.1, 2.0][int(rng.integers(3))]
    return NewComparison(
        f"u{rng.integers(3)}", side(rng), side(rng), OUTCOMES[int(rng.integers(5))], name, prompt,
        strength, source=[None, "onboarding"][int(rng.integers(2))],
    )  # fmt: skip


def stock(store, rows, *, store_text=True):
    with store.write() as conn:
        items = [NewItem(f"i{n}", "text", None, (), None) for n in range(5)]
        put_items(conn, rows=items, model="m")
        ensure_users(conn, users={row.user for row in rows})
        return add_comparisons(conn, rows=rows, model="m", store_text=store_text)


def exported(store) -> list[str]:
    rows = Stored(store).comparisons(None)
    return [json.dumps({k: v for k, v in row.items() if v is not None}) for row in rows]


def imported(store, lines):
    rows = [answer_of(json.loads(line), place=f"row {n}") for n, line in enumerate(lines, 1)]
    return Stored(store).add(rows)


def whole(store) -> list[tuple[object, ...]]:
    with store.read() as conn:
        held = conn.execute(comparisons.select().order_by(comparisons.c.id)).all()
        sides = conn.exec_driver_sql("SELECT * FROM sides ORDER BY comparison_id").all()
        people = conn.exec_driver_sql("SELECT * FROM users ORDER BY id").all()
    return [*map(tuple, held), *map(tuple, sides), *map(tuple, people)]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("store_text", [True, False])
def test_an_export_changes_nothing_however_often_it_is_imported(store, seed, store_text):
    rng = np.random.default_rng(seed)
    rows = [answer(rng, number) for number in range(150)]
    stock(store, rows, store_text=store_text)
    before, lines = whole(store), exported(store)
    for count in (len(lines), 7, len(lines)):
        found = imported(store, [lines[n] for n in rng.permutation(len(lines))[:count]])
        assert (found.accepted, found.duplicates, found.rejected) == (0, count, []), seed
        assert whole(store) == before
    assert exported(store) == lines


def test_the_name_that_an_answer_has_here_is_a_name_of_it_that_a_sender_may_use(store):
    row = NewComparison("ann", Side("i0", None, None), Side("i1", None, None), "a")
    (first,) = stock(store, [row])
    again = row._replace(client_id=first.id)
    with store.write() as conn:
        same, other, theirs = add_comparisons(
            conn, rows=[again, again._replace(outcome="b"), again._replace(user="bob")], model="m"
        )
    assert same == (first.id, True, False, False, False, False, False)
    assert (other.conflict, theirs.conflict) == (True, True)
    assert len(exported(store)) == 1


def test_an_answer_that_was_deleted_may_be_sent_again_under_either_name(store):
    row = NewComparison("ann", Side("i0", None, None), Side("i1", None, None), "a")
    (first,) = stock(store, [row])
    lines = exported(store)
    with store.write() as conn:
        delete_comparison(conn, comparison=first.id)
    for accepted in (1, 0, 0):
        found = imported(store, lines)
        assert (found.accepted, found.duplicates) == (accepted, 1 - accepted)
    assert [json.loads(line)["id"] for line in exported(store)] == [first.id]


def test_embeddings_cannot_be_read_off_an_export_and_that_is_said(store, tmp_path):
    row = NewComparison("ann", Side(None, None, vector(1)), Side("i1", None, None), "a")
    stock(store, [row])
    lines = exported(store)
    lost = json.loads(lines[0]) | {"id": "another", "user": "bob"}
    found = imported(store, [json.dumps(lost), lines[0]])
    ((place, code, problem),) = found.rejected
    assert (found.accepted, found.duplicates, place, code) == (0, 1, 0, "invalid_field")
    assert "embeddings" in problem
    with store.read() as conn:
        assert conn.exec_driver_sql("SELECT count(*) FROM users").scalar() == 1


def test_imports_of_one_export_at_once_change_nothing(store):
    rng = np.random.default_rng(9)
    stock(store, [answer(rng, number) for number in range(300)])
    before, lines = whole(store), exported(store)
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(imported(store, lines))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(one.accepted, one.duplicates) for one in found] == [(0, 300)] * 4
    assert whole(store) == before


def test_what_was_said_before_a_removal_stays_out_after_a_new_beginning(store):
    rows = [
        NewComparison("ann", Side("i0", None, None), Side("i1", None, None), "a", client_id=name)
        for name in (None, "c1")
    ]
    stock(store, rows)
    old = exported(store)
    untimed = {k: v for k, v in json.loads(old[0]).items() if k not in ("created_at", "id")}
    early = untimed | {"at": "2020-01-02T00:00:00Z"}
    logs = [*old, json.dumps(untimed), json.dumps(early), json.dumps(untimed | {"id": "c9"})]
    for _ in range(2):  # also when somebody leaves more than once
        with store.write() as conn:
            delete_user(conn, user="ann")
        assert [code for _, code, _ in imported(store, logs).rejected] == ["user_deleted"] * 5
        with store.write() as conn:
            assert put_user(conn, user="ann")[1]
            assert not put_user(conn, user="ann")[1]
        found = imported(store, logs)
        assert (found.accepted, found.duplicates) == (0, 0)
        assert [code for _, code, _ in found.rejected] == ["user_deleted"] * 5
        assert "begun anew" in found.rejected[0][2]
        with store.write() as conn:
            (now,) = add_comparisons(conn, rows=rows[:1], model="m")
        assert not now.departed
        later = json.dumps(untimed | {"at": "2100-01-02T00:00:00Z", "id": "c2"})
        found = imported(store, [*logs, *exported(store), later])
        assert (found.accepted, found.duplicates, len(found.rejected)) == (1, 1, 5)
        with store.write() as conn:
            (past,) = add_comparisons(
                conn, model="m", rows=[rows[0]._replace(at=datetime(2020, 1, 1, tzinfo=UTC))]
            )
        assert past.departed


def test_others_are_taken_beside_somebody_who_began_anew(store):
    rng = np.random.default_rng(3)
    rows = [answer(rng, number)._replace(a=Side("i0", None, None)) for number in range(150)]
    rows = [row._replace(b=Side("i1", None, None), prompt=None) for row in rows]
    stock(store, rows)
    lines = exported(store)
    with store.write() as conn:
        delete_user(conn, user="u1")
        put_user(conn, user="u1")
        assert departures(conn, users=["u0", "u1"]).keys() == {"u1"}
        assert deleted_among(conn, users=["u0", "u1"]) == set()
    found = imported(store, lines)
    theirs = sum(json.loads(line)["user"] == "u1" for line in lines)
    assert (found.accepted, found.duplicates) == (0, 150 - theirs)
    assert {lines[place] for place, _, _ in found.rejected} == {
        line for line in lines if json.loads(line)["user"] == "u1"
    }
