"""Maps of neighbours are replaced whole, belong to one model, and hold nobody who left."""

from __future__ import annotations

import threading

import numpy as np

from gustibus.store import (
    create_job,
    delete_user,
    filled_columns,
    get_neighbours,
    last_job,
    put_neighbours,
    put_user,
    reset_profile,
    take_job,
)


def test_a_map_is_replaced_whole_and_is_of_one_model(store):
    with store.write() as conn:
        assert put_neighbours(conn, model="m", users=["b", "a"], points=np.eye(2)) == 2
        put_neighbours(conn, model="n", users=["a"], points=np.full((1, 2), 7.5))
    with store.read() as conn:
        found = get_neighbours(conn, model="m")
        assert found.users == ["a", "b"]
        np.testing.assert_array_equal(found.points, [[0, 1], [1, 0]])
        assert found.made_at is not None
    with store.write() as conn:
        put_neighbours(conn, model="m", users=["c"], points=np.zeros((1, 2)))
    with store.read() as conn:
        assert get_neighbours(conn, model="m").users == ["c"]
        assert get_neighbours(conn, model="n").points.tolist() == [[7.5, 7.5]]
        nothing = get_neighbours(conn, model="none")
    assert (nothing.users, nothing.points.shape, nothing.made_at) == ([], (0, 2), None)


def test_somebody_who_is_forgotten_or_was_deleted_is_on_no_map(store):
    with store.write() as conn:
        for user in ("ann", "bob", "eve"):
            put_user(conn, user=user)
        put_neighbours(conn, model="m", users=["ann", "bob", "eve"], points=np.zeros((3, 2)))
        reset_profile(conn, user="ann")
        assert delete_user(conn, user="bob").neighbours == 1
    with store.read() as conn:
        assert get_neighbours(conn, model="m").users == ["eve"]
    with store.write() as conn:  # a job that began before
        assert put_neighbours(conn, model="m", users=["bob", "eve"], points=np.ones((2, 2))) == 1
    with store.read() as conn:
        assert get_neighbours(conn, model="m").users == ["eve"]


def test_a_removal_waits_for_a_map_that_is_being_written(store):
    """What is written along with a removal is seen by it, so that nobody is on the map behind it."""
    with store.write() as conn:
        put_user(conn, user="bob")
    written = threading.Event()

    def leave() -> None:
        assert written.wait(10)
        with store.write() as conn:
            delete_user(conn, user="bob")

    leaving = threading.Thread(target=leave)
    leaving.start()
    with store.write() as conn:
        put_neighbours(conn, model="m", users=["bob"], points=np.zeros((1, 2)))
        written.set()
        leaving.join(0.3)
        assert leaving.is_alive()  # until this transaction is done
    leaving.join(10)
    with store.read() as conn:
        assert get_neighbours(conn, model="m").users == []


def test_the_newest_job_about_a_model_is_found(store):
    with store.write() as conn:
        jobs = [
            create_job(conn, kind="map_neighbours", params={"model": model}, by="k")
            for model in ("m", "n", "m")
        ]
        create_job(conn, kind="export", params={"model": "m"}, by="k")
        take_job(conn, owner="w", kinds=["map_neighbours"])
    with store.read() as conn:
        assert last_job(conn, kind="map_neighbours", model="m").id == jobs[2].id
        assert last_job(conn, kind="map_neighbours", model="n").state == "queued"
        assert last_job(conn, kind="map_neighbours", model="x") is None


def test_columns_are_filled_where_one_of_the_chosen_rows_holds_something(store):
    from gustibus.store import NewComparison, Side, add_comparisons, ensure_users

    rows = [
        NewComparison("ann", Side("i", None, None), Side("j", None, None), "a", strength=0.5),
        NewComparison("bob", Side(None, "x", None), Side(None, "y", None), "b", source="app"),
    ]
    with store.write() as conn:
        ensure_users(conn, users=["ann", "bob"])
        add_comparisons(conn, rows=rows, model="m")
    with store.read() as conn:
        ann, bob = filled_columns(conn, user="ann"), filled_columns(conn, outcome="b")
        both, none = filled_columns(conn), filled_columns(conn, source="no")
    assert {"a_item", "b_item", "strength"} <= ann
    assert not {"a_text", "b_text", "source"} & ann
    assert {"a_text", "b_text", "source"} <= bob
    assert both == ann | bob
    assert none == set()
