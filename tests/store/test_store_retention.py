"""Retention: what goes after its time, what stays, and that the rest of the audit log can still be checked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest

from gustibus.store import (
    NewComparison,
    Side,
    add_comparisons,
    add_question,
    add_usage,
    audit,
    close_session,
    create_session,
    ensure_users,
    exposure,
    exposure_is_off,
    get_session,
    list_audit,
    list_comparisons,
    list_usage,
    marked_users,
    put_profile,
    remove_old_audit,
    remove_old_comparisons,
    remove_old_sessions,
    remove_old_usage,
    reset_at,
    verify_audit,
)
from gustibus.store.tables import audit as audit_table
from gustibus.store.tables import sides

DAY = timedelta(days=1)
WEEK = timedelta(days=7)


def soon(*, days=0.0):
    """After everything that was written by now, in ids too, which tell milliseconds."""
    return datetime.now(UTC) + timedelta(seconds=1, days=days)


def begin(conn, user, *, lifetime=WEEK, closed=False):
    ensure_users(conn, users=[user])
    row = create_session(conn, user=user, model="m", settings={}, lifetime=lifetime)
    for seq in range(2):
        add_question(conn, session=row.id, seq=seq, row=seq, swapped=False, reason="info")
    if closed:
        close_session(conn, session=row.id, stop="person")
    return row.id


def test_sessions_go_after_they_were_closed_or_ran_out_and_no_others(store):
    with store.write() as conn:
        closed, open_, out = (
            begin(conn, "ann", closed=True), begin(conn, "bob"), begin(conn, "ann", lifetime=-DAY),
        )  # fmt: skip
        assert exposure(conn, model="m").people == 2
    with store.write() as conn:
        assert remove_old_sessions(conn, before=datetime.now(UTC) - DAY / 2) == 0  # begun since
        assert remove_old_sessions(conn, before=soon()) == 2
        assert remove_old_sessions(conn, before=soon()) == 0
        kept = [get_session(conn, session=name) is not None for name in (closed, open_, out)]
        assert kept == [False, True, False]
        shown = exposure(conn, model="m")
        assert (shown.people, shown.counts) == (1, {1: 1})
        assert not exposure_is_off(conn)
        assert remove_old_sessions(conn, before=soon(days=8)) == 1  # ran out by then


def test_sessions_go_in_parts_the_oldest_first(store):
    with store.write() as conn:
        names = [begin(conn, user, closed=True) for user in "cab"]
    with store.write() as conn:
        assert remove_old_sessions(conn, before=soon(), limit=2) == 2
        assert [get_session(conn, session=name) is None for name in names] == [True, True, False]
        assert remove_old_sessions(conn, before=soon(), limit=2) == 1


def answer(user):
    side = Side(None, "x", np.ones(2, np.float32))
    return NewComparison(user, side, side, "a")


def fit(conn, user, through):
    put_profile(
        conn, user=user, model="m", mean=np.zeros(1), covariance=np.eye(1), count=1,
        fitted_through=through,
    )  # fmt: skip


def test_comparisons_go_in_parts_and_their_people_are_fitted_without_them(store):
    with store.write() as conn:
        ensure_users(conn, users=["ann", "bob", "eve"])
        rows = [answer(user) for user in ("bob", "ann", "eve", "ann")]
        names = [one.id for one in add_comparisons(conn, rows=rows, model="m")]
        for user, through in zip(("bob", "ann", "eve"), names, strict=False):
            fit(conn, user, through)
        fit(conn, "ann", reset_at(names[3]))
    with store.write() as conn:
        assert remove_old_comparisons(conn, before=datetime.now(UTC) - DAY) == (0, [])
        assert remove_old_comparisons(conn, before=soon(), limit=2) == (2, ["ann", "bob"])
        assert [one.id for one in list_comparisons(conn)] == names[2:]
        assert len(conn.execute(sides.select()).all()) == 2
        assert marked_users(conn, model="m") == ["bob"]  # who was reset stays so
        assert remove_old_comparisons(conn, before=soon(), limit=2) == (2, ["ann", "eve"])
        assert remove_old_comparisons(conn, before=soon(), limit=2) == (0, [])
        assert sorted(marked_users(conn, model="m")) == ["bob", "eve"]


def write(conn, count):
    for n in range(count):
        audit(conn, actor="key_1", action="x.y", what=f"z-{n}")


def test_the_chain_can_be_checked_when_its_oldest_entries_are_gone(store):
    with store.write() as conn:
        write(conn, 6)
        assert remove_old_audit(conn, before=datetime.now(UTC) - DAY) == 0
        assert remove_old_audit(conn, before=soon(), limit=4) == 4
        assert [row.seq for row in list_audit(conn)] == [7, 6, 5]
        newest = list_audit(conn)[0]
        assert (newest.actor, newest.action) == ("worker", "audit.expire")
        assert (newest.detail["entries"], newest.detail["through"]) == (4, 4)
        assert verify_audit(conn) is None
        write(conn, 1)
        assert (
            remove_old_audit(conn, before=soon(), limit=99) == 4
        )  # with the entry that told of four
        assert [row.seq for row in list_audit(conn)] == [9]
        assert verify_audit(conn) is None
        write(conn, 2)
        assert verify_audit(conn) is None


@pytest.mark.parametrize(
    ("harm", "first"), [("never told of", 3), ("more than told", 4), ("altered", 5), ("made up", 7)]
)
def test_what_was_taken_out_or_altered_otherwise_is_still_found(store, harm, first):
    seq, detail = audit_table.c.seq, audit_table.c.detail
    with store.write() as conn:
        write(conn, 6)
        if harm == "never told of":
            conn.execute(audit_table.delete().where(seq <= 2))
        else:
            assert remove_old_audit(conn, before=soon(), limit=2) == 2  # 3 to 7 are left
        if harm == "altered":
            conn.execute(audit_table.update().where(seq == 5).values(object="other"))
        if harm in {"more than told", "made up"}:
            conn.execute(audit_table.delete().where(seq == 3))
        if harm == "made up":  # the entry that tells of it is altered to fit
            row = conn.execute(audit_table.select().where(seq == 4)).one()
            told = {"entries": 3, "through": 3, "hash": row.before.hex()}
            conn.execute(audit_table.update().where(seq == 7).values({detail: told}))
        assert verify_audit(conn) == first


def test_usage_goes_by_days_that_have_ended_in_parts_the_oldest_first(store):
    days = ["2025-12-31", "2026-01-01", "2026-01-02"]
    with store.write() as conn:
        for day in days:
            add_usage(conn, day=day, used={"key_1": (2, 1), "key_2": (3, 1)})
    noon = datetime(2026, 1, 2, 12, tzinfo=UTC)
    with store.write() as conn:
        assert remove_old_usage(conn, before=noon - 3 * DAY) == 0
        assert remove_old_usage(conn, before=noon, limit=3) == 3
        left = [(row.day, row.key) for row in list_usage(conn)]
        assert left == [(days[1], "key_2"), (days[2], "key_1"), (days[2], "key_2")]
        assert remove_old_usage(conn, before=noon, limit=3) == 1
        assert [row.day for row in list_usage(conn)] == [days[2]] * 2  # which has not ended
        east = datetime(2026, 1, 3, 1, tzinfo=timezone(timedelta(hours=2)))
        assert remove_old_usage(conn, before=east) == 0  # where a day has begun that has not in UTC
