"""Jobs and their leases, versions and aliases, the audit chain, usage."""

from __future__ import annotations

import threading
import time
from datetime import date, timedelta

import pytest

from gustibus.errors import ConflictError
from gustibus.store import (
    Store,
    add_usage,
    audit,
    cancel_job,
    champion,
    create_job,
    delete_version,
    ensure_job,
    finish_job,
    get_job,
    jobs_at_work,
    list_audit,
    list_jobs,
    list_usage,
    move_alias,
    register_version,
    release_job,
    renew_job,
    take_job,
    verify_audit,
)
from gustibus.store.tables import audit as audit_table

KIND = ["refit_profiles"]
NONE = timedelta(seconds=0)


def queue(store: Store, count: int = 1) -> list[str]:
    with store.write() as conn:
        return [create_job(conn, kind=KIND[0], params={}, by="t").id for _ in range(count)]


def take(store: Store, owner: str, **more):
    with store.write() as conn:
        return take_job(conn, owner=owner, kinds=KIND, **more)


def test_a_job_is_not_taken_before_what_was_written_with_it_can_be_seen(store):
    """Else the job would end without it, and nobody would do it."""
    queue(store)
    seen: list[int] = []

    def work() -> None:
        until = time.monotonic() + 20
        while (job := take(store, "w")) is None and time.monotonic() < until:
            time.sleep(0.005)
        if job is not None:
            with store.read() as conn:
                seen.append(len(list_audit(conn)))

    with store.write() as conn:
        audit(conn, actor="a", action="test", what="k")
        ensure_job(conn, kind=KIND[0], by="t")
        worker = threading.Thread(target=work)
        worker.start()
        time.sleep(0.2)
        assert seen == []
    worker.join(30)
    assert seen == [1]
    with store.read() as conn:
        assert len(list_jobs(conn)) == 1


def test_every_job_is_taken_once_however_many_ask(store):
    wanted = queue(store, 24)
    taken: list[str] = []

    def work(owner: str) -> None:
        while (job := take(store, owner)) is not None:
            taken.append(job.id)

    threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(taken) == sorted(wanted)


def test_a_lease_that_ran_out_is_anothers_and_the_first_worker_learns_of_it(store):
    (name,) = queue(store)
    first = take(store, "a", lease=NONE)
    assert first is not None
    second = take(store, "b")
    assert second is not None
    assert (second.id, second.attempts) == (name, 2)
    with store.write() as conn:
        assert not renew_job(conn, job=name, owner="a", done=1, total=2)
        assert not finish_job(conn, job=name, owner="a", state="succeeded", done=1)
        assert renew_job(conn, job=name, owner="b", done=1, total=2)
        assert finish_job(conn, job=name, owner="b", state="succeeded", done=2, result={"n": 2})
        row = get_job(conn, job=name)
    assert row is not None
    assert (row.state, row.done, row.result) == ("succeeded", 2, {"n": 2})
    assert take(store, "c") is None


def test_a_job_that_kills_its_workers_is_given_up(store):
    (name,) = queue(store)
    for number in range(5):
        assert take(store, f"w{number}", lease=NONE) is not None
    assert take(store, "last") is None
    with store.read() as conn:
        row = get_job(conn, job=name)
    assert row is not None
    assert row.state == "failed"
    assert "5 times" in str(row.error)


def test_a_worker_that_is_to_end_gives_its_job_back_without_a_try(store):
    (name,) = queue(store)
    take(store, "a")
    with store.write() as conn:
        release_job(conn, job=name, owner="a")
    again = take(store, "b")
    assert again is not None
    assert again.attempts == 1


def test_a_job_that_waits_is_cancelled_at_once_and_one_that_runs_when_it_next_looks(store):
    first, second = queue(store, 2)
    taken = take(store, "a")
    assert taken is not None
    assert taken.id == first
    with store.write() as conn:
        assert cancel_job(conn, job=second).state == "cancelled"
        assert cancel_job(conn, job=first).cancel
        assert not renew_job(conn, job=first, owner="a", done=0, total=None)
        assert cancel_job(conn, job="job_none") is None


def test_one_job_of_a_kind_waits_is_enough(store):
    with store.write() as conn:
        for _ in range(3):
            ensure_job(conn, kind=KIND[0], by="t")
        assert len(list_jobs(conn)) == 1


def test_jobs_that_wait_or_run_are_counted_with_the_age_of_the_oldest(store):
    def at_work():
        with store.read() as conn:
            return jobs_at_work(conn)

    assert at_work() == {}
    first, second, third = queue(store, 3)
    with store.read() as conn:
        made = {name: get_job(conn, job=name).created_at for name in (first, second)}
    assert at_work() == {(KIND[0], "queued"): (3, made[first])}
    assert take(store, "w").id == first
    assert at_work() == {
        (KIND[0], "queued"): (2, made[second]), (KIND[0], "running"): (1, made[first]),
    }  # fmt: skip
    with store.write() as conn:
        assert finish_job(conn, job=first, owner="w", state="succeeded", done=1)
        for name in (second, third):
            cancel_job(conn, job=name)
    assert at_work() == {}


def test_versions_are_numbered_by_digest_and_aliases_move_by_revision(store):
    with store.write() as conn:
        one, fresh = register_version(conn, model="m", digest="1" * 64)
        same, again = register_version(conn, model="m", digest="1" * 64)
        two, _ = register_version(conn, model="m", digest="2" * 64)
        assert (one.version, fresh, same.version, again, two.version) == (1, True, 1, False, 2)
        assert champion(conn, model="m") is None
        assert move_alias(conn, model="m", alias="champion", version=1, seen=0).revision == 1
        assert move_alias(conn, model="m", alias="champion", version=2, seen=0) is None
        moved = move_alias(conn, model="m", alias="champion", version=2, seen=1)
        assert (moved.version, moved.previous, moved.revision) == (2, 1, 2)
        assert move_alias(conn, model="m", alias="champion", version=1, seen=1) is None
        assert champion(conn, model="m").digest == "2" * 64
        with pytest.raises(ConflictError, match="champion"):
            delete_version(conn, model="m", version=2)
        assert delete_version(conn, model="m", version=1)
        assert not delete_version(conn, model="m", version=1)


@pytest.mark.parametrize("harm", ["alter", "remove", "none"])
def test_the_chain_breaks_where_it_was_touched(store, harm):
    def write(number: int) -> None:
        for each in range(5):
            with store.write() as conn:
                audit(conn, actor=f"w{number}", action="test", what=f"x-{each}", n=each)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    here = audit_table.c.seq == 7
    with store.write() as conn:
        assert [row.seq for row in list_audit(conn, limit=99)] == list(range(15, 0, -1))
        if harm == "alter":
            conn.execute(audit_table.update().where(here).values(object="y"))
        if harm == "remove":
            conn.execute(audit_table.delete().where(here))
        expected = {"alter": 7, "remove": 8, "none": None}[harm]
        assert verify_audit(conn) == expected


def test_usage_adds_up_by_day(store):
    with store.write() as conn:
        add_usage(conn, day="2026-01-01", used={"a": (3, 1), "b": (5, 2)})
        add_usage(conn, day="2026-01-01", used={"a": (4, 1)})
        add_usage(conn, day="2026-01-02", used={"a": (1, 1)})
        rows = list_usage(conn)
        assert [tuple(row) for row in rows] == [
            ("a", "2026-01-01", 7, 2), ("b", "2026-01-01", 5, 2), ("a", "2026-01-02", 1, 1),
        ]  # fmt: skip
        assert list_usage(conn, after=("2026-01-01", "a"))[0].key == "b"
        assert len(list_usage(conn, first=date(2026, 1, 2))) == 1
        assert len(list_usage(conn, last=date(2026, 1, 1))) == 2
