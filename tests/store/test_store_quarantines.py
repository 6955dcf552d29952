"""Quarantine in the store: who is put there, what lifts it, and what is kept of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np

from gustibus.store import (
    QUARANTINED,
    RESTRICTED,
    add_question,
    create_session,
    delete_user,
    evidence,
    export_user,
    get_profile,
    get_user,
    given_in_sessions,
    list_comparisons,
    list_users,
    put_user,
    quarantine_user,
    quarantined_users,
    quarantines_of,
    release_user,
    restrict_user,
    set_answer,
    unrestrict_user,
)
from tests.store.test_store_restrictions import add, fit, row


def held(store, *users, reasons=("fast", "side")):
    with store.write() as conn:
        return [quarantine_user(conn, user=user, reasons=reasons) for user in users]


def test_who_is_put_into_quarantine_keeps_the_profile_and_may_be_fitted(store):
    (kept,) = add(store, row("ann"))
    fit(store, "ann")
    assert held(store, "ann", "ann", "nobody") == [True, False, False]
    with store.read() as conn:
        found = get_user(conn, user="ann")
        assert (found.state, found.signals) == (QUARANTINED, ("fast", "side"))
        assert get_profile(conn, user="ann", model="m") is not None
        assert evidence(conn, user="ann", model="m").ids == (kept.id,)
        assert quarantined_users(conn) == ["ann"]
    assert fit(store, "ann") == found.profile_version + 1


def test_lists_for_training_and_by_state(store):
    add(store, row("ann"), row("bob"), row("cyd"), row("dan"))
    held(store, "bob", "dan")
    with store.write() as conn:
        restrict_user(conn, user="cyd")
    with store.read() as conn:
        training = {one.user for one in list_comparisons(conn, all_people=False)}
        named = {state: [one.id for one in list_users(conn, state=state)]
                 for state in (None, QUARANTINED, RESTRICTED)}  # fmt: skip
        second = list_users(conn, state=QUARANTINED, after="bob", limit=1)
    assert training == {"ann"}
    assert named == {
        None: ["ann", "bob", "cyd", "dan"], QUARANTINED: ["bob", "dan"], RESTRICTED: ["cyd"],
    }  # fmt: skip
    assert [one.id for one in second] == ["dan"]


def test_a_release_tells_what_the_operator_could_judge_by(store):
    first, last = add(store, row("ann", "one"), row("ann", "two"))
    before = datetime.now(UTC)
    held(store, "ann")
    with store.write() as conn:
        assert not release_user(conn, user="nobody")
        assert release_user(conn, user="ann")
        assert not release_user(conn, user="ann")
        found = quarantines_of(conn, users=["ann", "bob"])["ann"]
        assert get_user(conn, user="ann").signals == ()
    assert found.reasons == ("fast", "side")
    assert before <= found.put_at <= found.lifted_at <= datetime.now(UTC)
    assert found.lifted_through == max(first.id, last.id)
    assert held(store, "ann", reasons=("repeats", "crowd")) == [True]
    with store.read() as conn:
        again = quarantines_of(conn, users=["ann"])["ann"]
        assert (again.reasons, again.lifted_at) == (("repeats", "crowd"), None)
        assert again.lifted_through == ""


def test_a_restriction_hides_a_quarantine_and_does_not_end_it(store):
    add(store, row("ann"))
    held(store, "ann")
    with store.write() as conn:
        assert restrict_user(conn, user="ann")
        assert not quarantine_user(conn, user="ann", reasons=["fast"])
        assert unrestrict_user(conn, user="ann")
        assert get_user(conn, user="ann").state == QUARANTINED
        restrict_user(conn, user="ann")
        assert release_user(conn, user="ann")
        assert get_user(conn, user="ann").state == RESTRICTED
        unrestrict_user(conn, user="ann")
        assert get_user(conn, user="ann").state == "active"


def test_an_export_tells_of_it_and_a_removal_takes_it(store):
    add(store, row("ann"))
    held(store, "ann")
    with store.write() as conn:
        (told,) = [one for one in export_user(conn, user="ann") if one["kind"] == "quarantine"]
        assert told["reasons"] == ["fast", "side"]
        assert delete_user(conn, user="ann").quarantines == 1
        assert quarantined_users(conn) == []
    with store.write() as conn:
        assert put_user(conn, user="ann")[0].state == "active"


def test_answers_in_sessions_are_found_with_their_times(store):
    add(store, row("ann"), row("bob"))
    with store.write() as conn:
        made = create_session(conn, user="ann", model="m", settings={}, lifetime=timedelta(days=1))
        for seq in range(3):
            add_question(conn, session=made.id, seq=seq, row=seq, swapped=bool(seq), reason="info")
        set_answer(conn, session=made.id, seq=0, answer="left", ms=120)
        set_answer(conn, session=made.id, seq=1, answer="skip", ms=None)
        found = given_in_sessions(conn, users=["ann", "bob"])
    assert list(found) == ["ann"]
    assert [(one.question.answer, one.question.ms) for one in found["ann"]] == [
        ("left", 120), ("skip", None),
    ]  # fmt: skip
    assert all(
        abs((datetime.now(UTC) - one.answered_at).total_seconds()) < 60 for one in found["ann"]
    )
    assert np.all([one.session == made.id for one in found["ann"]])
