"""What a worker removes by itself once it has been kept for as long as the settings say."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from gustibus.cli.app import run as cli
from gustibus.errors import ConfigError
from gustibus.service.settings import Settings
from gustibus.store import (
    NewComparison,
    Side,
    Store,
    add_comparisons,
    add_usage,
    audit,
    close_session,
    create_session,
    ensure_users,
    upgrade,
)
from tests.service.harness import Service

INSTANT = "0.000001"  # days: what was there before the start is older


class LongAgo(datetime):
    """A clock that is three years slow."""

    @classmethod
    def now(cls, tz=None):
        return datetime.now(tz) - timedelta(days=3 * 365)


@pytest.fixture
def aged(tmp_path, monkeypatch):
    """URL of a database with a session that was closed, an answer, entries and usage of three years ago."""
    url = f"sqlite:///{tmp_path}/aged.db"
    upgrade(url)
    store = Store(url)
    with monkeypatch.context() as patch, store.write() as conn:
        patch.setattr("gustibus.store.auditing.datetime", LongAgo)
        for n in range(3):
            audit(conn, actor="key_1", action="x.y", what=f"z-{n}")
    with store.write() as conn:
        ensure_users(conn, users=["ann"])
        side = Side(None, None, np.ones(4, np.float32))
        add_comparisons(conn, rows=[NewComparison("ann", side, side, "a")], model="m")
        row = create_session(conn, user="ann", model="m", settings={}, lifetime=timedelta(days=7))
        close_session(conn, session=row.id, stop="person")
        audit(conn, actor="key_1", action="x.y", what="new")
        for at in (LongAgo.now(UTC), datetime.now(UTC) - timedelta(days=2)):
            add_usage(conn, day=at.date().isoformat(), used={"key_1": (1, 1), "key_2": (1, 1)})
    store.close()
    return url


def held(http):
    """Sessions, comparisons, entries and days of usage of the keys that are there."""
    kinds = [json.loads(line)["kind"] for line in http.post("/v1/users/ann:export").iter_lines()]
    entries = [one["action"] for one in http.get("/v1/audit").json()["data"]]
    used = [one["key"] for one in http.get("/v1/usage").json()["data"]]
    return (
        kinds.count("session"), kinds.count("comparison"), entries.count("x.y"),
        used.count("key_1") + used.count("key_2"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "left", "removed"),
    [
        ({}, (1, 1, 1, 2), {"sessions": 0, "comparisons": 0, "entries": 3, "usage": 2}),
        (
            {"SESSIONS": INSTANT, "COMPARISONS": INSTANT, "AUDIT": "0", "USAGE": "0"}, (0, 0, 4, 4),
            {"sessions": 1, "comparisons": 1, "entries": 0, "usage": 0},
        ),
    ],
)  # fmt: skip
def test_a_worker_removes_what_is_older_than_the_settings_say(
    aged, tmp_path, capsys, settings, left, removed
):
    time.sleep(0.1)  # an instant
    given = {f"GUSTIBUS_KEEP_{name}_DAYS": value for name, value in settings.items()}
    service = Service(aged, tmp_path, given)
    try:
        service.start()
        until = time.monotonic() + 60
        while not (told := [x for x in service.lines() if x.get("event") == "removed_old"]):
            assert time.monotonic() < until
            time.sleep(0.05)
        assert {name: told[0][name] for name in removed} == removed
        with service.client() as http:
            assert held(http) == left
    finally:
        service.kill()
    assert cli(["audit", "verify", "--database", aged]) == 0
    assert capsys.readouterr().out


@pytest.mark.parametrize("kind", ["SESSIONS", "COMPARISONS", "AUDIT", "USAGE"])
def test_a_time_that_cannot_be_is_named(kind):
    with pytest.raises(ConfigError, match=f"GUSTIBUS_KEEP_{kind}_DAYS: expected a number from 0"):
        Settings.from_env({f"GUSTIBUS_KEEP_{kind}_DAYS": "-1"})


def test_sessions_are_kept_for_90_days_audit_and_usage_for_two_years_and_answers_for_ever():
    settings = Settings()
    kept = settings.keep_sessions_days, settings.keep_audit_days, settings.keep_comparisons_days
    assert (*kept, settings.keep_usage_days) == (90, 731, 0, 731)
