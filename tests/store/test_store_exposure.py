"""Counts of who was shown what are those of the questions themselves, whatever becomes of these."""

from __future__ import annotations

import threading
from datetime import timedelta
from random import Random

import pytest
from sqlalchemy import create_engine, func, literal, select, text

from gustibus.store import (
    Store,
    add_question,
    create_session,
    delete_session,
    delete_user,
    drop_unanswered,
    empty_session,
    exposure,
    exposure_is_off,
    fold_exposure,
    lock_session,
    put_user,
    set_answer,
    settle_exposure,
    take_back,
)
from gustibus.store.engine import parse_url
from gustibus.store.schema import upgrade
from gustibus.store.tables import exposures, questions, sessions

HOUR = timedelta(hours=1)
MODELS = ("m", "m2")


def begin(store, user="ann", model="m"):
    with store.write() as conn:
        put_user(conn, user=user)
        return create_session(conn, user=user, model=model, settings={}, lifetime=HOUR).id


def ask(store, session, *rows, first=0):
    with store.write() as conn:
        lock_session(conn, session=session)
        for seq, row in enumerate(rows, first):
            add_question(conn, session=session, seq=seq, row=row, swapped=False, reason="info")


def plain(conn, model):
    """The same by reading every question."""
    people = func.count(sessions.c.user_id.distinct())
    joined = questions.join(sessions, sessions.c.id == questions.c.session_id)
    rows = conn.execute(
        select(questions.c.row, people)
        .select_from(joined)
        .where(sessions.c.model == model, questions.c.seq > 0)
        .group_by(questions.c.row)
    )
    total = conn.execute(select(people).where(sessions.c.model == model)).scalar_one()
    return dict(rows.all()), total


def assert_right(store):
    with store.read() as conn:
        for model in MODELS:
            found = exposure(conn, model=model)
            assert (found.counts, found.people) == plain(conn, model)
        assert not exposure_is_off(conn)


def test_people_are_counted_once_and_first_questions_and_other_models_are_left_out(store):
    one, two, again = begin(store), begin(store, "bob"), begin(store)
    other = begin(store, "cy", "m2")
    for session, rows in ((one, [7, 1, 2, 1]), (two, [7, 1]), (again, [7, 1]), (other, [7, 1])):
        ask(store, session, *rows)
    with store.read() as conn:
        assert exposure(conn, model="m")[:2] == ({1: 2, 2: 1}, 2)
        assert exposure(conn, model="m2")[:2] == ({1: 1}, 1)
        assert exposure(conn, model="m3") == ({}, 0, 0)
    assert_right(store)


def test_a_question_that_another_process_had_asked_already_is_not_counted_again(store):
    session = begin(store)
    ask(store, session, 7, 1)
    ask(store, session, 7, 2)
    with store.read() as conn:
        assert exposure(conn, model="m").counts == {1: 1}


def test_who_is_deleted_no_longer_counts_and_may_come_back(store):
    for user in ("ann", "bob"):
        ask(store, begin(store, user), 7, 1, 2)
        ask(store, begin(store, user, "m2"), 7, 1)
    with store.write() as conn:
        delete_user(conn, user="ann")
    assert_right(store)
    with store.read() as conn:
        assert exposure(conn, model="m")[:2] == ({1: 1, 2: 1}, 1)
    ask(store, begin(store), 7, 2)
    assert_right(store)


def change(conn, rng, known):
    """One of the things that happen to sessions, at random; returns whom it was about."""
    kind = rng.choice(["begin", "ask", "ask", "ask", "ask", "answer", "drop", "back", "new", "end"])
    if kind == "begin" or not known:
        user = f"u{rng.randrange(5)}"
        put_user(conn, user=user)
        model = rng.choice(MODELS)
        made = create_session(conn, user=user, model=model, settings={}, lifetime=HOUR)
        known.append(made.id)
        return
    session, seq = rng.choice(known), rng.randrange(6)
    if not lock_session(conn, session=session):
        return
    if kind == "ask":
        row = rng.randrange(4)
        add_question(conn, session=session, seq=seq, row=row, swapped=False, reason="info")
    elif kind == "answer":
        set_answer(conn, session=session, seq=seq, answer="left", ms=None)
    elif kind == "drop":
        drop_unanswered(conn, session=session)
    elif kind == "back":
        take_back(conn, session=session, seq=seq)
    elif kind == "new":
        empty_session(conn, session=session, settings={}, lifetime=HOUR)
    else:
        delete_session(conn, session=session)


@pytest.mark.parametrize("seed", range(3))
def test_counts_are_those_of_the_questions_after_anything_that_happens(store, seed):
    rng, known = Random(seed), []
    for _ in range(30):
        with store.write() as conn:
            for _ in range(20):
                change(conn, rng, known)
            if rng.random() < 0.3:
                delete_user(conn, user=f"u{rng.randrange(5)}")
            if rng.random() < 0.3:
                fold_exposure(conn, model=rng.choice(MODELS))
        assert_right(store)


def together(count, work):
    """Run something in several threads that begin at once."""
    gate = threading.Barrier(count)

    def run(number):
        gate.wait()
        work(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_counts_are_right_when_sessions_of_the_same_people_change_at_once(store):
    """On PostgreSQL none of them sees what the others have not committed yet."""
    known = [begin(store, f"u{number % 2}") for number in range(6)]

    def work(seed):
        rng, mine = Random(seed), list(known)
        for _ in range(60):
            with store.write() as conn:
                change(conn, rng, mine)
            if rng.random() < 0.1:
                with store.write() as conn:
                    fold_exposure(conn, model="m")

    together(4, work)
    assert_right(store)


def test_sessions_of_a_person_that_begin_at_once_are_one_person(store):
    for user in range(8):
        together(4, lambda _, user=user: ask(store, begin(store, f"u{user}"), 7, 1, 2, 3))
    with store.read() as conn:
        assert exposure(conn, model="m")[:2] == ({1: 8, 2: 8, 3: 8}, 8)


def test_changes_are_added_up_and_what_comes_out_is_the_same(store):
    for number in range(30):
        ask(store, begin(store, f"u{number}"), 7, number % 3, 3 + number % 2)
    with store.read() as conn:
        before = exposure(conn, model="m")
    assert before.changes == 30 * 3 - 6
    with store.write() as conn:
        fold_exposure(conn, model="m")
    with store.read() as conn:
        after = exposure(conn, model="m")
        assert after == (before.counts, before.people, 0)
        assert conn.execute(select(func.count()).select_from(exposures)).scalar_one() == 6
    assert_right(store)


def test_what_a_release_that_does_not_count_has_asked_is_counted_later(store):
    kept, lost, gone = begin(store, "ann"), begin(store, "bob"), begin(store, "cy")
    for session in (kept, gone):
        ask(store, session, 7, 1, 2)
    copied = select(questions.c.tenant_id, literal(lost), *list(questions.c)[2:]).where(
        questions.c.session_id == kept
    )
    with store.write() as conn:
        conn.execute(questions.insert().from_select(questions.c, copied))
        conn.execute(questions.delete().where(questions.c.session_id == gone))
        conn.execute(sessions.delete().where(sessions.c.id == gone))
    with store.read() as conn:
        assert exposure_is_off(conn)

    def settle(_):
        with store.write() as conn:
            settle_exposure(conn)

    together(3, settle)
    assert_right(store)


def test_the_migration_counts_what_was_asked_before(empty_url):
    upgrade(empty_url, "0005")
    engine = create_engine(parse_url(empty_url))
    made = {"tenant_id": "default", "settings": "{}", "at": "2026-01-01 00:00:00"}
    with engine.begin() as conn:
        for session, user, model in (("s1", "ann", "m"), ("s2", "ann", "m"), ("s3", "bob", "m2")):
            conn.execute(
                text("INSERT INTO onboarding_sessions (tenant_id, id, user_id, model, state, settings,"
                     " created_at, expires_at) VALUES (:tenant_id, :id, :user, :model, 'open',"
                     " :settings, :at, :at)"),
                {**made, "id": session, "user": user, "model": model},
            )  # fmt: skip
            for seq in range(4):
                conn.execute(
                    text("INSERT INTO onboarding_questions (tenant_id, session_id, seq, \"row\", swapped,"
                         " reason, asked_at) VALUES (:tenant_id, :id, :seq, :row, :no, 'info', :at)"),
                    {**made, "id": session, "seq": seq, "row": seq % 3, "no": False},
                )  # fmt: skip
    engine.dispose()
    upgrade(empty_url)
    store = Store(empty_url)
    with store.read() as conn:
        assert exposure(conn, model="m")[:2] == ({0: 1, 1: 1, 2: 1}, 1)
    assert_right(store)
    store.close()
