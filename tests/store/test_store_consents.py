"""Consent to learn from next turns: what an opt-out takes back, and what it keeps out."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from sqlalchemy import text

from gustibus.data.answers import Answer
from gustibus.errors import ConflictError
from gustibus.rewards.implicit import ORIGIN
from gustibus.store import (
    NewComparison,
    Side,
    add_comparisons,
    consents_of,
    delete_user,
    draft_answers,
    ensure_users,
    export_user,
    get_consent,
    list_comparisons,
    marked_users,
    put_profile,
    put_user,
    set_consent,
    take_answers,
)


def row(user: str, source: str | None, name: str | None = None) -> NewComparison:
    vector = np.ones(3, np.float32)
    sides = Side(None, "good", vector), Side(None, "bad", -vector)
    return NewComparison(user, *sides, "a", client_id=name, source=source)


def add(store, *rows):
    with store.write() as conn:
        ensure_users(conn, users={one.user for one in rows})
        return add_comparisons(conn, rows=list(rows), model="m")


def say(store, user, *, follow_ups):
    with store.write() as conn:
        return set_consent(conn, user=user, follow_ups=follow_ups)


def sources(store, user):
    with store.read() as conn:
        return [one.source for one in list_comparisons(conn, user=user)]


def test_what_a_person_said_last_is_kept(store):
    with store.read() as conn:
        assert get_consent(conn, user="ann") is None
    for said in (True, False, True):
        told, removed = say(store, "ann", follow_ups=said)
        with store.read() as conn:
            kept = get_consent(conn, user="ann")
        assert (kept.follow_ups, removed) == (said, 0)
        assert kept.updated_at == told.updated_at
    say(store, "bob", follow_ups=False)
    with store.read() as conn:
        assert consents_of(conn, users=["ann", "bob", "eve", "ann"]) == {"ann": True, "bob": False}


def test_an_opt_out_takes_back_what_was_read_off_turns_and_nothing_else(store):
    add(store, row("ann", ORIGIN), row("ann", "survey"), row("ann", None), row("bob", ORIGIN))
    with store.write() as conn:
        last = list_comparisons(conn, user="ann", newest=True)[0].id
        put_profile(
            conn, user="ann", model="m", mean=np.zeros(1), covariance=np.eye(1), count=3,
            fitted_through=last,
        )  # fmt: skip
    with store.read() as conn:
        assert "ann" not in marked_users(conn, model="m")
    _, removed = say(store, "ann", follow_ups=False)
    assert removed == 1
    assert sources(store, "ann") == ["survey", None]
    assert sources(store, "bob") == [ORIGIN]  # nobody else's
    with store.read() as conn:
        assert "ann" in marked_users(conn, model="m")
        assert conn.execute(text("SELECT count(*) FROM sides")).scalar() == 3


@pytest.mark.parametrize("others", [0, 120])  # few people are held one by one, many by one lock
def test_after_an_opt_out_nothing_of_the_kind_is_kept_until_a_yes(store, others):
    say(store, "ann", follow_ups=False)
    rest = [row(f"p{n}", ORIGIN) for n in range(others)]
    first, survey, *more = add(store, row("ann", ORIGIN, "one"), row("ann", "survey"), *rest)
    assert (first.refused, survey.refused) == (True, False)
    assert not any(one.refused for one in more)
    assert sources(store, "ann") == ["survey"]
    say(store, "ann", follow_ups=True)
    (again,) = add(store, row("ann", ORIGIN, "one"))
    assert (again.refused, again.duplicate) == (False, False)
    assert sources(store, "ann") == ["survey", ORIGIN]


def test_an_import_cannot_bring_it_back(store):
    say(store, "ann", follow_ups=False)
    rows = [
        Answer(f"{user}-{source}", user, "p", None, "x", None, "y", "a", source=source)
        for user in ("ann", "bob") for source in (ORIGIN, "log")
    ]  # fmt: skip
    with store.write() as conn:
        done = take_answers(conn, drafts=draft_answers(rows))
    assert [(one.place, one.code) for one in done.refused] == [(0, "opted_out")]
    assert (done.accepted, sources(store, "ann"), sources(store, "bob")) == (
        3, ["log"], [ORIGIN, "log"],
    )  # fmt: skip


def test_a_person_takes_along_and_leaves_behind_what_they_said(store):
    say(store, "ann", follow_ups=False)
    with store.read() as conn:
        told = [one for one in export_user(conn, user="ann") if one["kind"] == "consent"]
    assert [one["follow_ups"] for one in told] == [False]
    with store.write() as conn:
        assert delete_user(conn, user="ann").consents == 1
    with store.read() as conn:
        assert get_consent(conn, user="ann") is None
    with pytest.raises(ConflictError, match="was deleted"):
        say(store, "ann", follow_ups=True)
    with store.write() as conn:
        put_user(conn, user="ann")  # begins anew, with nothing on record
        assert get_consent(conn, user="ann") is None


@pytest.mark.parametrize("others", [0, 120])
def test_an_opt_out_waits_for_whoever_is_adding_and_takes_that_back_too(store, others):
    """Between a look at consent and the commit there is no gap that a turn could slip through."""
    held, done = threading.Event(), threading.Event()
    told = {}
    with store.write() as conn:
        put_user(conn, user="ann")

    def adding():
        with store.write() as conn:
            people = ["ann", *(f"p{n}" for n in range(others))]
            ensure_users(conn, users=people)
            add_comparisons(conn, rows=[row(user, ORIGIN) for user in people], model="m")
            held.set()
            done.wait(0.3)  # still open while the other begins

    def leaving():
        held.wait(10)
        told["removed"] = say(store, "ann", follow_ups=False)[1]
        done.set()

    threads = [threading.Thread(target=work) for work in (adding, leaving)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert told == {"removed": 1}
    assert sources(store, "ann") == []
