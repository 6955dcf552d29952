"""What requests and recurring looks ask costs what they ask for, and not what the tables hold."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from sqlalchemy import event

from gustibus import store as s
from gustibus.store.jobs import withdraw_results
from gustibus.store.replies import replies_about
from gustibus.store.tables import TENANT, metadata

MANY, EACH, MODEL = 3000, 4, "m"
NOW = datetime.now(UTC)
VECTOR = np.zeros(4, np.float32)
KINDS = ["delete_user", "export", "import", "refit_profiles"]


def user(number):
    return f"u{number:05}"


def session(number):
    return f"ses_{number:05}"


def answer(number):
    return f"cmp_{number:05}"


def tables():
    """Rows of every table that grows."""
    people, vector = range(MANY), VECTOR.tobytes()
    when = {"created_at": NOW, "updated_at": NOW}
    yield (
        "users",
        [
            {"id": user(n), "state": "active", "attributes": {}, "profile_version": 1, **when}
            for n in people
        ],
    )
    yield "profiles", [
        {"user_id": user(n), "model": MODEL, "version": 1, "mean": vector, "covariance": bytes(40),
         "count": 1, "fitted_through": answer(n + MANY * (EACH - 1)), "updated_at": NOW}
        for n in people
    ]  # fmt: skip
    yield "comparisons", [
        {"id": answer(n), "client_id": f"c{n}", "content": b"0" * 20, "user_id": user(n % MANY),
         "a_text": "left", "b_text": "right", "outcome": "a", "source": "x", "created_at": NOW}
        for n in range(MANY * EACH)
    ]  # fmt: skip
    yield (
        "sides",
        [
            {"comparison_id": answer(n), "model": MODEL, "a": vector, "b": vector}
            for n in range(MANY * EACH)
        ],
    )
    yield "onboarding_sessions", [
        {"id": session(n), "user_id": user(n), "model": MODEL, "state": "open", "settings": {},
         "created_at": NOW, "expires_at": NOW + timedelta(days=7)} for n in people
    ]  # fmt: skip
    yield "onboarding_questions", [
        {"session_id": session(n), "seq": seq, "row": seq, "swapped": False, "reason": "info",
         "answer": "left", "asked_at": NOW} for n in people for seq in range(EACH)
    ]  # fmt: skip
    yield (
        "neighbours",
        [{"model": MODEL, "user_id": user(n), "x": 0.0, "y": 0.0, "made_at": NOW} for n in people],
    )
    yield "items", [{"id": f"i{n}", "text": "t", "tags": [], "created_at": NOW} for n in people]
    yield "vectors", [{"item_id": f"i{n}", "model": MODEL, "data": vector} for n in people]
    yield "tombstones", [{"digest": f"{n:032}".encode(), "at": NOW} for n in people]
    yield (
        "changes",
        [{"transaction_id": n, "kind": "user", "name": user(n), "at": NOW} for n in people],
    )
    yield "idempotency", [
        {"caller": "k", "key": f"key{n}", "route": "r", "body_sha256": b"0" * 32, "status": 201,
         "reply": b"", "users": [user(n)], "expires_at": NOW + timedelta(hours=1)} for n in people
    ]  # fmt: skip
    yield "reply_users", [
        {"user_id": user(n), "caller": "k", "key": f"key{n}", "expires_at": NOW + timedelta(hours=1)}
        for n in people
    ]  # fmt: skip
    yield "jobs", [
        {"id": f"job_{n:05}", "kind": KINDS[n % 4], "state": "succeeded", "params": {},
         "user_id": user(n), "done": 0, "attempts": 1, "cancel": False, "created_by": "k",
         "created_at": NOW, "finished_at": NOW} for n in people
    ]  # fmt: skip
    yield "audit", [
        {"seq": n + 1, "at": NOW, "actor": "k", "action": "x", "object": user(n), "detail": {},
         "request_id": "r", "before": b"0" * 32, "hash": b"0" * 32} for n in people
    ]  # fmt: skip
    yield (
        "usage_daily",
        [
            {"key_id": f"k{n % 10}", "day": f"{2000 + n // 10}-01-01", "units": 1, "requests": 1}
            for n in people
        ],
    )
    yield (
        "import_errors",
        [
            {
                "import_id": f"imp_{n // 100}",
                "row": n,
                "code": "x",
                "problem": "p",
                "user_id": user(n),
            }
            for n in people
        ],
    )
    yield "quarantines", [
        {"user_id": user(n), "reasons": ["fast"], "put_at": NOW, "lifted_at": None,
         "lifted_through": None} for n in people
    ]  # fmt: skip
    yield "consents", [{"user_id": user(n), "follow_ups": True, "updated_at": NOW} for n in people]
    yield "matching_events", [
        {"matching_id": f"m{n // 100}", "seq": n, "kind": "arrival", "arrival_id": f"a{n}",
         "body": {}, "decision": {}, "at": NOW} for n in people
    ]  # fmt: skip


def fill(store):
    for name, rows in tables():
        with store.write() as conn:
            given = [{"tenant_id": TENANT, **row} for row in rows]
            conn.execute(metadata.tables[name].insert(), given)
    with store.write() as conn:
        s.settle_exposure(conn)
        s.delete_user(conn, user="somebody")  # so that there is a key of tombstones
        if store.dialect == "postgresql":
            conn.exec_driver_sql("ANALYZE")


def said(client_id: str) -> s.NewComparison:
    side = s.Side(None, "t", VECTOR)
    return s.NewComparison(user(5), side, side, "a", client_id=client_id)


FEW = [user(n) for n in range(0, MANY, 500)]
REQUESTS: dict[str, Any] = {
    "find a reply": lambda c: s.find_reply(
        c, caller="k", key="key7", route="r", body_sha256=b"0" * 32
    ),
    "keep a reply": lambda c: s.keep_reply(
        c, caller="k", key="new", route="r", body_sha256=b"0" * 32, status=201, reply=b"",
        users=[user(5)],
    ),
    "replies about a person": lambda c: replies_about(c, user=user(5)),
    "a person": lambda c: s.get_user(c, user=user(5)),
    "put a person": lambda c: s.put_user(c, user=user(5), attributes={}),
    "make people": lambda c: s.ensure_users(c, users=[*FEW, "new"]),
    "list people": lambda c: s.list_users(c, after=user(5), limit=10),
    "who was deleted": lambda c: s.deleted_users(c, users=FEW),
    "delete a person": lambda c: s.delete_user(c, user=user(5)),
    "export a person": lambda c: list(s.export_user(c, user=user(5))),
    "withdraw results": lambda c: withdraw_results(c, user=user(5)),
    "a profile": lambda c: s.get_profile(c, user=user(5), model=MODEL),
    "reset a profile": lambda c: s.reset_profile(c, user=user(5)),
    "versions": lambda c: s.versions_of(c, users=FEW),
    "keep an answer": lambda c: s.add_comparisons(c, rows=[said("c-new")], model=MODEL),
    "keep it again": lambda c: s.add_comparisons(c, rows=[said("c8")], model=MODEL),
    "answers of a person": lambda c: s.evidence(c, user=user(5), model=MODEL),
    "list them": lambda c: s.list_comparisons(c, user=user(5), newest=True),
    "delete an answer": lambda c: s.delete_comparison(c, comparison=answer(5)),
    "put an item": lambda c: s.put_items(
        c, rows=[s.NewItem("i5", "t", None, (), VECTOR)], model=MODEL
    ),
    "an item": lambda c: s.get_item(c, item="i5", model=MODEL),
    "vectors": lambda c: s.find_vectors(c, found=["i5", "i6"], model=MODEL),
    "delete an item": lambda c: s.delete_item(c, item="i5"),
    "begin a session": lambda c: s.create_session(
        c, user=user(5), model=MODEL, settings={}, lifetime=timedelta(days=7)
    ),
    "a session": lambda c: s.get_session(c, session=session(5)),
    "its questions": lambda c: s.get_questions(c, session=session(5)),
    "hold it": lambda c: s.lock_session(c, session=session(5)),
    "ask": lambda c: s.add_question(
        c, session=session(5), seq=9, row=7, swapped=False, reason="info"
    ),
    "answer": lambda c: s.set_answer(c, session=session(5), seq=1, answer="left", ms=1),
    "take back": lambda c: s.take_back(c, session=session(5), seq=1),
    "delete a session": lambda c: s.delete_session(c, session=session(5)),
    "the audit of a person": lambda c: s.list_audit(c, what=user(5)),
    "keys and when they were used": lambda c: s.list_keys(c, limit=10),
    "a key": lambda c: s.get_key(c, key_id="k5"),
    "usage of a day": lambda c: s.list_usage(c, first=date(2009, 1, 1), last=date(2009, 1, 2)),
    "decided arrivals": lambda c: s.decided_arrivals(c, matching="m5", arrivals=["a500"]),
}  # fmt: skip
LOOKS: dict[str, Any] = {
    "what others wrote": lambda c: s.since(c, s.position(c)),
    "a job that waits": lambda c: s.job_waits(c, kinds=KINDS),
    "jobs that wait or run": lambda c: s.jobs_at_work(c),
    "take a job": lambda c: s.take_job(c, owner="o", kinds=KINDS),
    "have a job": lambda c: s.ensure_job(c, kind="refit_profiles", by="k"),
    "how often questions were shown": lambda c: s.exposure(c, model=MODEL),
    "who answered lately": lambda c: s.news_since(c, model=MODEL, after=answer(MANY * EACH - 20)),
    "marked people": lambda c: s.marked_users(c, model=MODEL),
    "some of everybody": lambda c: s.users_with_news(c, model=MODEL, after=user(50), limit=20),
    "items to encode": lambda c: s.pending_items(c, names=["i5", "i6"], model="other"),
    "old replies": s.purge_replies,
    "usage": lambda c: s.add_usage(c, day="2009-01-01", used={"k5": (1, 1)}),
    "old usage": lambda c: s.remove_old_usage(c, before=datetime(2009, 1, 1, tzinfo=UTC), limit=50),
    "profiles of a few": lambda c: list(s.profiles_of(c, users=FEW, model=MODEL)),
    "training forgotten": lambda c: s.training_forgotten(c, users=FEW),
    "resets": lambda c: s.resets_of(c, users=FEW, model=MODEL, hold=True),
}
EVERYTHING = re.compile(
    r"^SCAN \w+|^SEARCH \w+ USING .*\((tenant_id=\?|tenant_id=\? AND kind=\?)\)$|Seq Scan on (\w+)"
)
SMALL = {"settings", "exposures", "aliases", "api_keys", "given"}


@pytest.fixture(scope="module")
def filled(server, tmp_path_factory):
    """Both engines, with rows in every table."""
    path = tmp_path_factory.mktemp("plans") / "plans.db"
    with server.database() as database:
        stores = {"sqlite": s.Store(f"sqlite:///{path}"), "postgresql": s.Store(database)}
        for store in stores.values():
            s.upgrade(store.url)
            fill(store)
        yield stores
        for store in stores.values():
            store.close()


def statements(conn, work):
    """What a call sends, with one set of parameters each."""
    seen = []

    def sent(conn, cursor, statement, parameters, context, many):
        del conn, cursor, context
        seen.append((statement, parameters[0] if many else parameters))

    event.listen(conn.engine, "before_cursor_execute", sent)
    try:
        work(conn)
    finally:
        event.remove(conn.engine, "before_cursor_execute", sent)
    return seen


def reads_everything(conn, statement, parameters):
    """Lines of a plan that read all rows of a table which grows."""
    if not statement.startswith(("SELECT", "UPDATE", "DELETE", "INSERT")) or "staged_" in statement:
        return []
    explain = "EXPLAIN QUERY PLAN " if conn.dialect.name == "sqlite" else "EXPLAIN "
    plan = [str(row[-1]).strip() for row in conn.exec_driver_sql(explain + statement, parameters)]
    found = [(line, EVERYTHING.search(line)) for line in plan]
    return [line for line, all_ in found if all_ and not SMALL & set(re.split(r"\W+", line))]


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
@pytest.mark.parametrize("name", [*REQUESTS, *LOOKS])
def test_nothing_reads_a_whole_table(filled, engine, name):
    work = {**REQUESTS, **LOOKS}[name]
    with filled[engine]._writing.connect() as conn:
        if engine == "sqlite":
            conn.exec_driver_sql("BEGIN IMMEDIATE")
        sent = statements(conn, work)
        conn.rollback()
        if engine == "sqlite":
            conn.exec_driver_sql("BEGIN IMMEDIATE")
        bad = {line: sql for sql, given in sent for line in reads_everything(conn, sql, given)}
        conn.rollback()
    assert sent
    assert not bad


def plan_of(conn, work):
    (sent,) = statements(conn, lambda c: list(work(c)))
    explain = "EXPLAIN QUERY PLAN " if conn.dialect.name == "sqlite" else "EXPLAIN "
    return [str(row[-1]) for row in conn.exec_driver_sql(explain + sent[0], sent[1])]


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_when_a_key_was_used_is_one_look_at_an_index(filled, engine):
    """Not one at each of its days: a service that is years old has thousands of them."""
    with filled[engine]._writing.connect() as conn:
        for number in range(10):
            fresh = {"id": f"k{number}", "name": "n", "secret_sha256": b"", "scopes": []}
            row = {"tenant_id": TENANT, "created_at": NOW, **fresh}
            conn.execute(metadata.tables["api_keys"].insert(), row)
        plan = "\n".join(plan_of(conn, s.list_keys))
        used = [row.last_used_day for row in s.list_keys(conn)]
        conn.rollback()
    assert used == [date(2299, 1, 1)] * 10
    looks = {
        "sqlite": "SEARCH usage_daily USING COVERING INDEX sqlite_autoindex_usage_daily_1 "
        "(tenant_id=? AND key_id=?)",
        "postgresql": "Index Only Scan Backward using pk_usage_daily on usage_daily",
    }
    assert looks[engine] in plan
    assert "Limit" in plan or engine == "sqlite"  # which ends at the first by itself


def test_a_start_reads_people_without_their_profiles(filled):
    """Of which most is what they are uncertain about: a page of SQLite's file each, read in no order."""
    with filled["sqlite"].read() as conn:
        placed = plan_of(conn, lambda c: s.iter_placed(c, model=MODEL))
        assert len(placed) == 1
        assert "COVERING INDEX ix_profiles_places (tenant_id=? AND model=?)" in placed[0]
        unplaced = plan_of(conn, lambda c: s.iter_unplaced(c, model=MODEL))
        assert any("SEARCH profiles USING COVERING INDEX" in line for line in unplaced)


def test_a_start_asks_for_people_once_however_many_there_are(filled, monkeypatch):
    monkeypatch.setattr("gustibus.store.people._PLACES", 100)
    for store in filled.values():
        with store.read() as conn:
            for pages in (s.iter_placed, s.iter_unplaced):
                (sent,) = statements(conn, lambda c, of=pages: list(of(c, model=MODEL)))
                assert "LIMIT" not in sent[0]


def test_a_scan_is_seen(filled):
    """The check can fail."""
    for store in filled.values():
        with store.read() as conn:
            sent = statements(conn, lambda c: s.list_comparisons(c, outcome="tie"))
            assert any(reads_everything(conn, *each) for each in sent)
