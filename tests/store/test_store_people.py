"""People and their profiles."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from gustibus.errors import ConflictError
from gustibus.store import (
    delete_user,
    deleted_users,
    ensure_users,
    get_profile,
    get_user,
    iter_placed,
    iter_profiles,
    iter_unplaced,
    list_users,
    position,
    put_profile,
    put_user,
    reset_profile,
)
from tests.store.follow import follow

NAMES = ["u-10", "U-9", "ann", "Zoe", "a.b", "a_b", "a@b", "a:b", "0", "_"]


def spread(dim: int, seed: int) -> np.ndarray:
    root = np.random.default_rng(seed).standard_normal((dim, dim))
    return root @ root.T


def put(conn, user, model="m1", *, count=3, seed=0, dim=4, through="cmp_1"):
    mean = np.random.default_rng(seed).standard_normal(dim)
    return put_profile(
        conn, user=user, model=model, mean=mean, covariance=spread(dim, seed), count=count,
        fitted_through=through,
    )  # fmt: skip


def test_putting_a_person_creates_them_once_and_keeps_attributes_unless_given(store):
    with store.write() as conn:
        row, created = put_user(conn, user="ann", attributes={"locale": "de", "näme": ["Ä", None]})
    assert created
    assert (row.id, row.profile_version, row.n_comparisons) == ("ann", 0, 0)
    with store.write() as conn:
        again, created = put_user(conn, user="ann")
    assert not created
    assert again.attributes == {"locale": "de", "näme": ["Ä", None]}
    assert again.created_at == row.created_at
    with store.write() as conn:
        assert put_user(conn, user="ann", attributes={})[0].attributes == {}
    with store.read() as conn:
        assert get_user(conn, user="bob") is None
        assert get_user(conn, user="ann").attributes == {}


def test_people_are_listed_in_the_order_of_python_page_by_page(store):
    with store.write() as conn:
        assert sorted(ensure_users(conn, users=NAMES)) == sorted(NAMES)
    seen, after = [], None
    with store.read() as conn:
        while page := list_users(conn, after=after, limit=3):
            seen += [row.id for row in page]
            after = seen[-1]
    assert seen == sorted(NAMES)


def test_making_people_says_who_is_new(store):
    with store.write() as conn:
        assert ensure_users(conn, users=["b", "a", "b"]) == ["a", "b"]
        assert ensure_users(conn, users=["c", "a"]) == ["c"]
        assert ensure_users(conn, users=[]) == []
        assert list(iter_unplaced(conn, model="m1")) == [{"a": 0, "b": 0, "c": 0}]


def test_very_many_people_are_made_at_once(store):
    names = [f"u{number}" for number in range(20_000)]
    with store.write() as conn:
        assert len(ensure_users(conn, users=names)) == 20_000
    with store.read() as conn:
        assert sum(len(page) for page in iter_unplaced(conn, model="m1")) == 20_000
        assert deleted_users(conn, users=names) == set()


def test_people_made_by_several_threads_at_once_are_each_new_for_one(store):
    names = [f"u{number}" for number in range(2000)]
    made = []
    gate = threading.Barrier(6)

    def work(seed: int) -> None:
        mixed = list(np.random.default_rng(seed).permutation(names))
        gate.wait()
        with store.write() as conn:
            made.append(ensure_users(conn, users=map(str, mixed)))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(name for part in made for name in part) == sorted(names)


def test_a_profile_comes_back_in_single_precision(store):
    with store.write() as conn:
        put_user(conn, user="ann")
        assert put(conn, "ann", seed=1) == 1
    with store.read() as conn:
        row = get_profile(conn, user="ann", model="m1")
        assert get_profile(conn, user="ann", model="m2") is None
        assert get_user(conn, user="ann").profile_version == 1
    assert (row.version, row.count, row.fitted_through) == (1, 3, "cmp_1")
    mean = np.random.default_rng(1).standard_normal(4)
    assert np.array_equal(row.mean, mean.astype(np.float32))
    assert np.array_equal(row.covariance, spread(4, 1).astype(np.float32))
    assert np.array_equal(row.covariance, row.covariance.T)


def test_a_profile_of_no_dimensions_is_kept(store):
    with store.write() as conn:
        put_user(conn, user="ann")
        put_profile(
            conn, user="ann", model="m", mean=np.zeros(0), covariance=np.zeros((0, 0)), count=0,
            fitted_through="",
        )  # fmt: skip
        assert get_profile(conn, user="ann", model="m").covariance.shape == (0, 0)


def test_the_version_rises_with_every_profile_of_every_model(store):
    with store.write() as conn:
        put_user(conn, user="ann")
        assert [put(conn, "ann", "m1"), put(conn, "ann", "m2"), put(conn, "ann", "m1")] == [1, 2, 3]
        assert get_profile(conn, user="ann", model="m2").version == 2
        assert reset_profile(conn, user="ann") == 4
        assert get_profile(conn, user="ann", model="m1") is None
        assert get_profile(conn, user="ann", model="m2") is None
        assert put(conn, "ann") == 5


def test_a_profile_never_makes_a_person(store):
    with store.write() as conn:
        assert put(conn, "ghost") == 0
        assert get_user(conn, user="ghost") is None
        assert get_profile(conn, user="ghost", model="m1") is None
        assert reset_profile(conn, user="ghost") == 0


def test_all_profiles_of_a_model_are_read_in_pages(store, monkeypatch):
    monkeypatch.setattr("gustibus.store.people._PAGE", 3)
    with store.write() as conn:
        ensure_users(conn, users=NAMES)
        for seed, name in enumerate(NAMES):
            put(conn, name, seed=seed)
        put(conn, "ann", "other")
    with store.read() as conn:
        rows = list(iter_profiles(conn, model="m1"))
    assert [row.user for row in rows] == sorted(NAMES)
    want = np.random.default_rng(NAMES.index("Zoe")).standard_normal(4).astype(np.float32)
    assert np.array_equal(next(row for row in rows if row.user == "Zoe").mean, want)


def test_all_places_under_a_model_are_read_in_pages_without_what_is_uncertain(store, monkeypatch):
    monkeypatch.setattr("gustibus.store.people._PLACES", 3)
    with store.write() as conn:
        ensure_users(conn, users=NAMES)
        for seed, name in enumerate(NAMES):
            put(conn, name, seed=seed)
        put(conn, "ann", "other")
    with store.read() as conn:
        pages = list(iter_placed(conn, model="m1"))
        rows = list(iter_profiles(conn, model="m1"))
        assert list(iter_placed(conn, model="nothing")) == []
    assert [len(page.users) for page in pages] == [3, 3, 3, 1]
    assert all(page.means.dtype == np.float32 for page in pages)
    each = [one for page in pages for one in zip(*page, strict=True)]
    for (user, mean, count, version), row in zip(sorted(each, key=first), rows, strict=True):
        assert (user, count, version) == (row.user, row.count, row.version)
        assert np.array_equal(mean, row.mean)


def first(told):
    return told[0]


def test_those_who_have_no_place_under_a_model_come_with_their_versions(store, monkeypatch):
    monkeypatch.setattr("gustibus.store.people._PLACES", 3)
    with store.write() as conn:
        ensure_users(conn, users=NAMES)
        for name in ("ann", "Zoe"):
            put(conn, name)
        put(conn, "0", "other")
        put(conn, "0", "other")
    want = dict.fromkeys(NAMES, 0) | {"0": 2}
    with store.read() as conn:
        pages = list(iter_unplaced(conn, model="m1"))
        assert {k: v for page in pages for k, v in page.items()} == {
            user: version for user, version in want.items() if user not in {"ann", "Zoe"}
        }
        assert [len(page) for page in pages] == [3, 3, 2]
        assert sum(map(len, iter_unplaced(conn, model=""))) == len(NAMES)


def test_changes_of_people_are_told(store):
    with store.read() as conn:
        cursor = position(conn)
    with store.write() as conn:
        put_user(conn, user="ann")
        put(conn, "ann")
    cursor, told = follow(store, cursor)
    assert told == [("user", "ann")]
    with store.write() as conn:
        reset_profile(conn, user="ann")
    assert follow(store, cursor)[1] == [("user", "ann")]


def test_a_deleted_person_comes_back_only_when_they_are_put(store):
    with store.write() as conn:
        put_user(conn, user="ann", attributes={"old": True})
        delete_user(conn, user="ann")
    with store.read() as conn:
        assert deleted_users(conn, users=["ann", "bob"]) == {"ann"}
    with pytest.raises(ConflictError, match="ann"), store.write() as conn:
        ensure_users(conn, users=["bob", "ann"])
    with store.read() as conn:
        assert get_user(conn, user="ann") is None
        assert get_user(conn, user="bob") is None
    with store.write() as conn:
        row, created = put_user(conn, user="ann")
    assert created
    assert row.attributes == {}
    with store.read() as conn:
        assert deleted_users(conn, users=["ann"]) == set()


def test_profiles_written_by_several_threads_each_get_a_version_of_their_own(store):
    with store.write() as conn:
        put_user(conn, user="ann")
    versions = []

    def work() -> None:
        for _ in range(5):
            with store.write() as conn:
                version = put(conn, "ann", seed=len(versions))
            versions.append(version)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(versions) == list(range(1, 21))
    with store.read() as conn:
        assert get_profile(conn, user="ann", model="m1").version == 20
