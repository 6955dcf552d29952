"""What jobs about very many people need of the store: places in pages, items by tag, and removals."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from sqlalchemy import update

from gustibus.store import (
    ROUND,
    NewItem,
    cancel_job,
    create_job,
    delete_user,
    ensure_users,
    finish_job,
    get_job,
    inactive_users,
    is_held,
    items_with_tag,
    jobs_with_files,
    placed_page,
    places_of,
    put_items,
    put_profile,
    take_job,
    texts_of,
    unknown_users,
)
from gustibus.store.tables import users

HOLDING = ("bulk_score", "evaluate", "train")


def test_places_come_in_pages_by_name_and_of_those_asked_for(store):
    names = ["b", "A", "c", "a"]
    with store.write() as conn:
        ensure_users(conn, users=[*names, "nowhere"])
        for number, user in enumerate(names):
            put_profile(
                conn, user=user, model="m", mean=np.array([number, 1.0]), covariance=np.eye(2),
                count=number, fitted_through="",
            )  # fmt: skip
        put_profile(
            conn, user="c", model="other", mean=np.zeros(2), covariance=np.eye(2), count=1,
            fitted_through="",
        )  # fmt: skip
    with store.read() as conn:
        first = placed_page(conn, model="m", after="", limit=3)
        assert (first.users, first.counts) == (["A", "a", "b"], [1, 3, 0])
        np.testing.assert_array_equal(first.means, [[1, 1], [3, 1], [0, 1]])
        assert placed_page(conn, model="m", after="b", limit=3).users == ["c"]
        assert placed_page(conn, model="m", after="c", limit=3).users == []
        assert sorted(places_of(conn, users=["c", "nowhere", "A"], model="m").users) == ["A", "c"]
        assert unknown_users(conn, users=["c", "nowhere", "nobody"]) == {"nobody"}


def test_who_is_set_apart_is_known(store):
    with store.write() as conn:
        ensure_users(conn, users=["in", "out"])
        conn.execute(update(users).where(users.c.id == "out").values(state="quarantined"))
        assert inactive_users(conn) == {"out"}


def test_items_are_found_by_tag_and_tell_their_texts(store):
    rows = [
        NewItem("b", "bee", None, ("x", "y"), None), NewItem("a", "ay", "say", ("x",), None),
        NewItem("c", None, None, ("xy",), np.zeros(2, np.float32)),
    ]  # fmt: skip
    with store.write() as conn:
        put_items(conn, rows=rows, model="m")
        assert items_with_tag(conn, tag="x") == ["a", "b"]
        assert items_with_tag(conn, tag="z") == []
        assert texts_of(conn, names=["a", "b", "c", "d"]) == {
            "a": ("ay", "say"),
            "b": ("bee", None),
        }


def test_a_job_is_held_until_it_is_anothers_or_to_stop(store):
    with store.write() as conn:
        job = create_job(conn, kind="train", params={}, by="k").id
        assert not is_held(conn, job=job, owner="w")
        take_job(conn, owner="w", kinds=["train"])
        assert is_held(conn, job=job, owner="w")
        assert not is_held(conn, job=job, owner="v")
        cancel_job(conn, job=job)
        assert not is_held(conn, job=job, owner="w")


@pytest.mark.parametrize("kind", HOLDING)
def test_a_removal_has_what_runs_and_what_waits_begin_anew_without_the_person(store, kind):
    with store.write() as conn:
        params = {"users": ["gone", "here"]} if kind == "bulk_score" else {}
        running = create_job(conn, kind=kind, params=params, by="k").id
        take_job(conn, owner="w", kinds=[kind])
        waiting = create_job(conn, kind=kind, params=params, by="k").id
        ensure_users(conn, users=["gone"])
    with store.write() as conn:
        assert delete_user(conn, user="gone").files == ()
        assert not is_held(conn, job=running, owner="w")
        assert not finish_job(conn, job=running, owner="w", state="succeeded", done=1)
        for name in (running, waiting):
            row = get_job(conn, job=name)
            assert row.state == "queued"
            assert row.params == {**({"users": ["here"]} if params else {}), ROUND: 1}
        assert jobs_with_files(conn, after=datetime.now(UTC)) == {running, waiting}


@pytest.mark.parametrize("kind", HOLDING)
def test_a_removal_takes_results_along_that_hold_the_person(store, kind):
    with store.write() as conn:
        named = {"users": ["gone"]} if kind == "bulk_score" else {}
        job = create_job(conn, kind=kind, params=named, by="k").id
        take_job(conn, owner="w", kinds=[kind])
        finish_job(conn, job=job, owner="w", state="succeeded", done=1, result={"people": 1})
        ensure_users(conn, users=["gone"])
    with store.write() as conn:
        holds = kind == "bulk_score"
        assert delete_user(conn, user="gone").files == ((job,) if holds else ())
        row = get_job(conn, job=job)
        assert row.state == ("cancelled" if holds else "succeeded")
        assert row.params == ({"users": []} if holds else {})  # nobody, which is not everybody
