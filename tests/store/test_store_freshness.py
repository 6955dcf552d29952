"""What has to be done again is found by any process, and one at a time works on a session."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
import tracemalloc
from datetime import UTC, datetime, timedelta

import numpy as np

from gustibus.store import (
    NewComparison,
    NewItem,
    Side,
    add_comparisons,
    create_session,
    delete_user,
    deleted_among,
    ensure_users,
    evidence,
    from_moment,
    iter_unfitted,
    mark_stale,
    marked_users,
    news_since,
    put_items,
    put_profile,
    put_user,
    reset_at,
    resets_of,
    restrict_user,
    training_forgotten,
    unready_items,
    users_with_news,
    versions_of,
)
from gustibus.store.erasure import hasher
from gustibus.store.locks import lock_session
from gustibus.store.people import reset_profile
from gustibus.store.tables import TENANT, tombstones

VECTOR = np.zeros(2, np.float32)


def fit(conn, user, *, reset=False):
    last = evidence(conn, user=user, model="m").last
    put_profile(
        conn, user=user, model="m", mean=np.zeros(2), covariance=np.eye(2), count=1,
        fitted_through=reset_at(last) if reset else last,
    )  # fmt: skip


def answer(conn, user):
    side = Side(None, "t", VECTOR)
    ensure_users(conn, users=[user])
    add_comparisons(conn, rows=[NewComparison(user, side, side, "a")], model="m")


def stale(conn):
    """Who is found by looks at everybody and at marks."""
    found, more = users_with_news(conn, model="m")
    assert not more
    return sorted({*found, *marked_users(conn, model="m")})


def test_profiles_that_are_behind_or_rest_on_what_is_gone_are_found(store):
    with store.write() as conn:
        for user in ("fresh", "behind", "never", "marked"):
            answer(conn, user)
        for user in ("fresh", "behind", "marked"):
            fit(conn, user)
        answer(conn, "behind")
        mark_stale(conn, user="marked")
    with store.read() as conn:
        assert stale(conn) == ["behind", "marked", "never"]
    with store.write() as conn:
        for user in ("behind", "marked", "never"):
            fit(conn, user)
        assert stale(conn) == []


def test_who_has_answered_lately_is_found_without_a_look_at_the_others(store):
    with store.write() as conn:
        for user in ("old", "fresh"):
            answer(conn, user)
        fit(conn, "fresh")
    time.sleep(0.002)
    moment = f"cmp_{from_moment(time.time())}"
    with store.write() as conn:
        for user in ("fresh", "new", "new", "fit"):
            answer(conn, user)
        fit(conn, "fit")
        assert news_since(conn, model="m", after=moment) == (["fresh", "new"], "")
        first, on = news_since(conn, model="m", after=moment, limit=2)
        assert first == ["fresh", "new"]
        assert news_since(conn, model="m", after=on) == (["new"], "")
        for user in ("fresh", "new"):
            fit(conn, user)
        assert news_since(conn, model="m", after=moment) == ([], "")
        assert news_since(conn, model="m", after="") == (["old"], "")


def test_a_profile_that_rests_on_no_answer_is_marked_while_there_are_some(store):
    """Its answers wait for vectors; somebody without any waits for nothing."""
    with store.write() as conn:
        answer(conn, "waits")
        put_user(conn, user="quiet")
        for user in ("waits", "quiet"):
            put_profile(
                conn, user=user, model="m", mean=np.zeros(2), covariance=np.eye(2), count=0,
                fitted_through="",
            )  # fmt: skip
        assert marked_users(conn, model="m") == ["waits"]
        assert marked_users(conn, model="m2") == []


def test_items_without_a_vector_and_versions_and_graves_are_found_in_bulk(store):
    names = [f"u{number}" for number in range(1500)]
    with store.write() as conn:
        rows = [NewItem("text", "t", None, (), None), NewItem("vector", None, None, (), VECTOR)]
        put_items(conn, rows=rows, model="m")
        ensure_users(conn, users=names)
        fit(conn, "u7")
        delete_user(conn, user="u9")
    with store.read() as conn:
        assert unready_items(conn, model="m") == ["text"]
        versions = versions_of(conn, users=[*names, "nobody"])
        assert deleted_among(conn, users=[*names, "nobody"]) == {"u9"}
    assert len(versions) == 1499
    assert versions["u7"] == 1
    assert versions["u8"] == 0


def test_many_names_are_hashed_as_one_is():
    for key in (b"", b"short", b"k" * 64, b"longer than a block" * 8):
        hashed = hasher(key)
        for name in ("", "ann", "training ann", "é" * 128):
            assert hashed(name) == hmac.digest(key, name.encode(), hashlib.sha256)


def test_whether_a_few_people_were_deleted_takes_no_more_memory_when_very_many_were(store):
    """Every process asks this every second."""
    now = datetime.now(UTC)
    with store.write() as conn:
        delete_user(conn, user="ann")
        graves = [
            {"tenant_id": TENANT, "digest": secrets.token_bytes(32), "at": now}
            for _ in range(20_000)
        ]
        conn.execute(tombstones.insert(), graves)
    with store.read() as conn:
        deleted_among(conn, users=["ann"])  # what is made once is there now
        tracemalloc.start()
        try:
            assert deleted_among(conn, users=["ann", "bob"]) == {"ann"}
            assert training_forgotten(conn, users=["ann", "bob"]) == set()
            assert tracemalloc.get_traced_memory()[1] < 200_000
        finally:
            tracemalloc.stop()


def test_one_transaction_at_a_time_works_on_a_session(store):
    with store.write() as conn:
        put_user(conn, user="ann")
        session = create_session(
            conn, user="ann", model="m", settings={}, lifetime=timedelta(hours=1)
        ).id
        assert not lock_session(conn, session="ses_nothing")
    order = []

    def second() -> None:
        with store.write() as conn:
            assert lock_session(conn, session=session)
            order.append("second")

    with store.write() as conn:
        assert lock_session(conn, session=session)
        other = threading.Thread(target=second)
        other.start()
        other.join(0.2)
        order.append("first")
    other.join()
    assert order == ["first", "second"]


def test_who_is_to_be_fitted_under_a_model_is_found_with_those_whose_answers_wait(store):
    with store.write() as conn:
        for user in ("fitted", "never", "waits", "withheld", "behind", "reset"):
            answer(conn, user)
        ensure_users(conn, users=["silent"])
        for user in ("fitted", "behind"):
            fit(conn, user)
        fit(conn, "reset", reset=True)
        put_profile(conn, user="waits", model="m", mean=np.zeros(2), covariance=np.eye(2), count=0,
                    fitted_through="")  # fmt: skip
        restrict_user(conn, user="withheld")
        answer(conn, "behind")
    with store.read() as conn:
        assert {user for page in iter_unfitted(conn, model="m") for user in page} == {
            "never", "waits",
        }  # fmt: skip
        everybody = {"fitted", "never", "waits", "behind", "reset"}
        assert {user for page in iter_unfitted(conn, model="n") for user in page} == everybody


def test_who_has_answered_since_some_time_is_told_apart(store):
    with store.write() as conn:
        for user in ("early", "late", "later"):
            answer(conn, user)
        since = evidence(conn, user="early", model="m").last
    with store.read() as conn:
        found, after = users_with_news(conn, model="m", since=since, limit=2)
        assert (found, after) == (["late"], "late")
        assert users_with_news(conn, model="m", since=since, after=after) == (["later"], "")


def test_a_profile_that_was_reset_is_not_stale_until_the_next_answer(store):
    def seen():
        with store.read() as conn:
            resets = resets_of(conn, users=["ann", "bob", "eve"], model="m")
            return set(resets), stale(conn)

    with store.write() as conn:
        answer(conn, "ann")
        ensure_users(conn, users=["bob"])
        answer(conn, "eve")
        for user in ("ann", "bob"):
            fit(conn, user, reset=True)
        fit(conn, "eve")
        last = evidence(conn, user="ann", model="m").last
        assert resets_of(conn, users=["ann", "bob"], model="m", hold=True) == {
            "ann": last,
            "bob": "",
        }
    assert seen() == ({"ann", "bob"}, [])
    with store.write() as conn:
        for user in ("ann", "bob"):
            answer(conn, user)
    assert seen() == ({"ann", "bob"}, ["ann", "bob"])
    with store.write() as conn:
        mark_stale(conn, user="bob")  # what was reset rests on no answer; he has answered since
        fit(conn, "ann")
    assert seen() == ({"bob"}, ["bob"])


def test_a_fit_and_a_reset_at_once_wait_for_each_other_in_turn(store):
    with store.write() as conn:
        answer(conn, "ann")
        fit(conn, "ann")
    wrong = []

    def reset():
        try:
            with store.write() as conn:
                reset_profile(conn, user="ann")
                fit(conn, "ann", reset=True)
        except Exception as error:
            wrong.append(error)

    thread = threading.Thread(target=reset)
    with store.write() as conn:
        resets_of(conn, users=["ann"], model="m", hold=True)
        thread.start()
        thread.join(0.5)  # it waits now, for the person or for its turn to write
        fit(conn, "ann")
    thread.join(20)
    assert not wrong
    with store.read() as conn:
        assert "ann" in resets_of(conn, users=["ann"], model="m")
