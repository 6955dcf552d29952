"""Onboarding sessions survive the process that asked."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from gustibus.errors import ConflictError
from gustibus.store import (
    NewComparison,
    Side,
    Store,
    add_comparisons,
    add_question,
    close_session,
    create_session,
    delete_user,
    drop_unanswered,
    get_questions,
    get_session,
    list_comparisons,
    lock_session,
    put_user,
    set_answer,
)
from tests.store.together import at_once

HOUR = timedelta(hours=1)


def begin(store, user="ann", model="m", **settings):
    with store.write() as conn:
        put_user(conn, user=user)
        return create_session(conn, user=user, model=model, settings=settings, lifetime=HOUR)


def ask(store, session, seq, row, *, swapped=False, reason="info"):
    with store.write() as conn:
        return add_question(conn, session=session, seq=seq, row=row, swapped=swapped, reason=reason)


def test_a_session_is_open_with_its_settings_until_it_is_closed_once(store):
    made = begin(store, seed=7, strategy="d_opt", stopping={"max_questions": 12})
    with store.read() as conn:
        kept = get_session(conn, session=made.id)
        assert get_session(conn, session="ses_nothing") is None
    assert kept == made
    assert (kept.user, kept.model, kept.state, kept.stop) == ("ann", "m", "open", None)
    assert kept.settings == {"seed": 7, "strategy": "d_opt", "stopping": {"max_questions": 12}}
    assert kept.expires_at - kept.created_at == HOUR
    with store.write() as conn:
        assert close_session(conn, session=made.id, stop="person")
        assert not close_session(conn, session=made.id, stop="max")
        assert not close_session(conn, session="ses_nothing", stop="max")
    with store.read() as conn:
        closed = get_session(conn, session=made.id)
    assert (closed.state, closed.stop) == ("finished", "person")
    assert abs(closed.closed_at - datetime.now(UTC)) < timedelta(minutes=1)


def test_questions_come_back_in_order_with_answers_that_may_change(store):
    session = begin(store).id
    ask(store, session, 1, 5, swapped=True, reason="random")
    ask(store, session, 0, 3)
    with store.write() as conn:
        assert set_answer(conn, session=session, seq=0, answer="left", ms=1200)
        assert set_answer(conn, session=session, seq=0, answer="skip", ms=None)
        assert not set_answer(conn, session=session, seq=9, answer="left", ms=1)
    with store.read() as conn:
        first, second = get_questions(conn, session=session)
    assert (first.seq, first.row, first.swapped, first.reason) == (0, 3, False, "info")
    assert (first.answer, first.ms) == ("skip", None)
    assert (second.seq, second.row, second.swapped, second.reason) == (1, 5, True, "random")
    assert second.answer is None


def test_of_two_processes_that_ask_at_one_place_the_first_decides(store):
    session = begin(store).id
    answers = []
    gate = threading.Barrier(4)

    def work(row: int) -> None:
        gate.wait()
        answers.append(ask(store, session, 0, row))

    threads = [threading.Thread(target=work, args=(row,)) for row in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({question.row for question in answers}) == 1
    with store.read() as conn:
        assert len(get_questions(conn, session=session)) == 1


def test_dropping_what_is_unanswered_leaves_a_place_to_ask_again(store):
    session = begin(store).id
    for seq in range(3):
        ask(store, session, seq, seq)
    with store.write() as conn:
        set_answer(conn, session=session, seq=0, answer="left", ms=1)
        set_answer(conn, session=session, seq=2, answer="left", ms=1)
        drop_unanswered(conn, session=session)
    assert ask(store, session, 3, 9).row == 9
    assert ask(store, session, 1, 8).row == 8
    with store.read() as conn:
        rows = [question.row for question in get_questions(conn, session=session)]
    assert rows == [0, 8, 2, 9]


def test_somebody_who_was_deleted_gets_no_session(store):
    begin(store)
    with store.write() as conn:
        delete_user(conn, user="ann")
    with pytest.raises(ConflictError, match="ann"), store.write() as conn:
        create_session(conn, user="ann", model="m", settings={}, lifetime=HOUR)


def close(conn, session, user="ann"):
    """As the service does it: hold the session, close it, keep its answers."""
    if not lock_session(conn, session=session):
        return False
    assert close_session(conn, session=session, stop="person")
    side = Side(None, "x", np.ones(2, np.float32))
    row = NewComparison(user, side, side, "a", client_id=f"{session}:0")
    add_comparisons(conn, rows=[row], model="m")
    return True


def forget(store, user="ann"):
    with store.write() as conn:
        delete_user(conn, user=user)


def left_of(store, session, user="ann"):
    with store.read() as conn:
        return get_session(conn, session=session), list_comparisons(conn, user=user)


def test_a_removal_waits_for_a_session_that_is_being_closed(migrated_database):
    """The order in which both would wait for each other if the session were held before its person."""
    store = Store(migrated_database)
    session = begin(store).id
    removing = threading.Thread(target=forget, args=(store,))
    with store.write() as conn:
        assert lock_session(conn, session=session)
        removing.start()
        removing.join(0.3)
        assert removing.is_alive()
        assert close(conn, session)
    removing.join(10)
    assert not removing.is_alive()
    assert left_of(store, session) == (None, [])
    store.close()


def test_a_session_is_closed_while_its_person_is_removed(store):
    """Whichever is first, both end well, and nothing is left of the person."""
    for turn in range(25):
        session = begin(store).id

        def finish(session: str = session) -> None:
            with store.write() as conn:
                close(conn, session)

        faults = at_once(finish, lambda: forget(store))
        assert not faults, (turn, faults)
        assert left_of(store, session) == (None, [])
