"""Restriction of a person's processing: what it keeps, what it keeps out, and who waits for whom."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from gustibus.data.answers import Answer
from gustibus.store import (
    RESTRICTED,
    NewComparison,
    Side,
    add_comparisons,
    delete_user,
    draft_answers,
    ensure_users,
    evidence,
    export_user,
    filled_columns,
    get_profile,
    get_user,
    iter_placed,
    iter_unplaced,
    list_comparisons,
    marked_users,
    news_since,
    put_neighbours,
    put_profile,
    put_user,
    restrict_user,
    restricted_among,
    restricted_users,
    take_answers,
    unrestrict_user,
    users_with_news,
    versions_of,
)
from gustibus.store.tables import users


def row(user, name=None):
    vector = np.ones(3, np.float32)
    sides = Side(None, "good", vector), Side(None, "bad", -vector)
    return NewComparison(user, *sides, "a", client_id=name)


def add(store, *rows):
    with store.write() as conn:
        ensure_users(conn, users={one.user for one in rows})
        return add_comparisons(conn, rows=list(rows), model="m")


def fit(store, user):
    with store.write() as conn:
        return put_profile(
            conn, user=user, model="m", mean=np.zeros(1), covariance=np.eye(1), count=1,
            fitted_through="cmp_0",
        )  # fmt: skip


def restrict(store, *users):
    with store.write() as conn:
        return [restrict_user(conn, user=user) for user in users]


def lift(store, user):
    with store.write() as conn:
        return unrestrict_user(conn, user=user)


def behind(store):
    """Who would be fitted, by each of the ways to find them."""
    with store.read() as conn:
        everybody, _ = users_with_news(conn, model="m")
        late, _ = news_since(conn, model="m", after="")
        return everybody, late, marked_users(conn, model="m")


def test_a_restriction_keeps_the_answers_and_no_profile(store):
    add(store, row("ann"), row("bob"))
    before = fit(store, "ann")
    assert restrict(store, "ann") == [True]
    with store.read() as conn:
        found = get_user(conn, user="ann")
        assert (found.state, found.n_comparisons) == ("restricted", 1)
        assert found.profile_version > before  # so that other processes read it again
        assert get_profile(conn, user="ann", model="m") is None
        assert len(evidence(conn, user="ann", model="m").target) == 1
        assert restricted_users(conn) == ["ann"]
        assert [name for page in iter_placed(conn, model="m") for name in page.users] == []
        assert {name for page in iter_unplaced(conn, model="m") for name in page} == {"ann", "bob"}
    assert behind(store) == (["bob"], ["bob"], [])


def test_saying_it_again_changes_nothing_and_nobody_can_be_restricted_who_is_not_there(store):
    add(store, row("ann"))
    assert restrict(store, "ann", "ann", "nobody") == [True, False, False]
    with store.read() as conn:
        first = versions_of(conn, users=["ann", "nobody"])
    assert restrict(store, "ann") == [False]
    with store.read() as conn:
        assert versions_of(conn, users=["ann", "nobody"]) == first
    assert [lift(store, user) for user in ("nobody", "ann", "ann")] == [False, True, False]


def test_no_profile_and_no_place_on_a_map_can_be_written_meanwhile(store):
    add(store, row("ann"), row("bob"))
    restrict(store, "ann")
    assert fit(store, "ann") == 0
    assert fit(store, "bob") > 0
    with store.write() as conn:
        kept = put_neighbours(conn, model="m", users=["ann", "bob"], points=np.zeros((2, 2)))
    assert kept == 1


@pytest.mark.parametrize("others", [0, 600])  # few people are asked about by name
def test_nothing_they_say_is_added_until_it_is_lifted(store, others):
    add(store, row("ann", "one"))
    restrict(store, "ann")
    rest = [row(f"p{n:04}") for n in range(others)]
    again, other, *more = add(store, row("ann", "two"), row("bob"), *rest)
    assert (again.withheld, other.withheld) == (True, False)
    assert not any(one.withheld for one in more)
    with store.read() as conn:
        assert [one.client_id for one in list_comparisons(conn, user="ann")] == ["one"]
    lift(store, "ann")
    (again,) = add(store, row("ann", "two"))
    assert (again.withheld, again.duplicate) == (False, False)
    assert "ann" in behind(store)[0]  # to be fitted from both


def test_of_very_many_restricted_people_each_is_found_by_name(store):
    names = [f"p{n:04}" for n in range(601)]
    with store.write() as conn:
        ensure_users(conn, users=[*names, "free"])
        conn.execute(users.update().where(users.c.id != "free").values(state=RESTRICTED))
    with store.read() as conn:
        asked = [*names[:600:-1], *names[:599], "free", "nobody"]
        assert restricted_among(conn, users=asked) == set(asked) - {"free", "nobody"}
        assert restricted_among(conn, users=["free", names[3]]) == {names[3]}
        assert restricted_among(conn, users=[]) == set()


def test_an_import_refuses_their_rows_one_by_one(store):
    add(store, row("ann"))
    restrict(store, "ann")
    rows = [Answer(f"r{n}", user, "p", None, "x", None, "y", "a")
            for n, user in enumerate(["ann", "bob", "ann"])]  # fmt: skip
    with store.write() as conn:
        done = take_answers(conn, drafts=draft_answers(rows))
    assert [(one.place, one.code) for one in done.refused] == [(0, "restricted"), (2, "restricted")]
    assert done.accepted == 1


def test_what_is_taken_for_training_leaves_them_out(store):
    with store.write() as conn:
        ensure_users(conn, users=["ann", "bob"])
        add_comparisons(conn, rows=[row("bob"), row("ann", "named")], model="m")
    restrict(store, "ann")
    with store.read() as conn:
        assert [one.user for one in list_comparisons(conn, all_people=False)] == ["bob"]
        assert [one.user for one in list_comparisons(conn)] == ["bob", "ann"]
        assert "client_id" in filled_columns(conn)
        assert "client_id" not in filled_columns(conn, all_people=False)


def test_a_person_takes_everything_along_and_may_leave(store):
    add(store, row("ann"))
    restrict(store, "ann")
    with store.write() as conn:
        assert put_user(conn, user="ann", attributes={"a": 1})[0].state == "restricted"
    with store.read() as conn:
        kinds = [one["kind"] for one in export_user(conn, user="ann")]
    assert kinds == ["user", "comparison"]
    with store.write() as conn:
        assert delete_user(conn, user="ann").comparisons == 1
    with store.write() as conn:
        row_, _ = put_user(conn, user="ann")  # begins anew, under no restriction
    assert row_.state == "active"
    with store.read() as conn:
        assert restricted_users(conn) == []


@pytest.mark.parametrize("others", [0, 120])  # few people are held one by one, many by one lock
def test_a_restriction_waits_for_whoever_is_adding(store, others):
    """Between the look at the restriction and the commit no answer slips through."""
    held, done = threading.Event(), threading.Event()
    told = {}
    with store.write() as conn:
        put_user(conn, user="ann")

    def adding():
        with store.write() as conn:
            rows = [row("ann"), *(row(f"p{n}") for n in range(others))]
            ensure_users(conn, users={one.user for one in rows})
            told["added"] = add_comparisons(conn, rows=rows, model="m")[0]
            held.set()
            told["early"] = done.wait(0.2)

    def restricting():
        restrict(store, "ann")
        done.set()

    threads = [threading.Thread(target=adding)]
    threads[0].start()
    assert held.wait(10)
    threads.append(threading.Thread(target=restricting))
    threads[1].start()
    for thread in threads:
        thread.join(20)
    assert (told["added"].withheld, told["early"]) == (False, False)
    (refused,) = add(store, row("ann"))
    assert refused.withheld
