"""The next release brings the schema forward while this one serves."""

from __future__ import annotations

import threading
import time

import httpx
import pytest
from sqlalchemy import create_engine, text

from gustibus.errors import ConfigError
from gustibus.store import Store, head
from gustibus.store.engine import parse_url
from tests.service.harness import DIM, database, running
from tests.service.test_kill import ENGINES, Writer, everything

NEXT = (
    "ALTER TABLE users ADD COLUMN novel TEXT",
    "CREATE INDEX ix_comparisons_novel ON comparisons (tenant_id, created_at)",
    "CREATE TABLE novelties (id VARCHAR(40) PRIMARY KEY, user_id VARCHAR(160))",
    "INSERT INTO novelties SELECT id, user_id FROM comparisons",
    "UPDATE alembic_version SET version_num = '9999'",
)
"""What a next release would do: it adds, in the order in which transactions write, and removes nothing."""


@pytest.mark.parametrize("engine", ENGINES)
def test_answers_are_kept_while_the_next_schema_is_made(
    tmp_path, vectors_folder, vectors_model, engine
):
    with (
        database(engine, tmp_path) as url,
        running(url, tmp_path, gustibus_model=str(vectors_folder)) as service,
    ):
        with service.client() as http:
            items = [{"id": n, "embedding": [float(k)] * DIM} for k, n in enumerate("xy")]
            assert http.post("/v1/items:batch", json={"items": items}).status_code == 200
        done = threading.Event()
        writers = [Writer(service, number, done) for number in range(3)]
        for writer in writers:
            writer.start()
        wait_for_more(writers)
        migrated = create_engine(parse_url(url))
        with migrated.begin() as conn:
            for statement in NEXT:
                conn.execute(text(statement))
                time.sleep(0.1)  # a large table takes its time, and others find it locked
        migrated.dispose()
        wait_for_more(writers)
        done.set()
        for writer in writers:
            writer.join(20)
        with service.client() as http:
            for writer in writers:
                assert not writer.wrong
                assert not writer.refusals
                kept = {row["id"] for row in everything(http, f"u{writer.number}")}
                assert set(writer.acknowledged.values()) <= kept
        store = Store(url)
        with pytest.raises(ConfigError, match="newer"):  # but it does not start on it
            store.check_schema()
        store.close()


@pytest.mark.parametrize("engine", ENGINES)
def test_readiness_minds_an_older_schema_and_not_a_newer_one(tmp_path, engine):
    with database(engine, tmp_path) as url, running(url, tmp_path) as service:
        changed = create_engine(parse_url(url))

        def ready(revision: str) -> tuple[int, str]:
            with changed.begin() as conn:
                conn.execute(text("UPDATE alembic_version SET version_num = :to"), {"to": revision})
            reply = httpx.get(f"{service.base}/readyz")
            return reply.status_code, reply.json().get("detail", "")

        assert ready("9999") == (200, "")
        assert ready("0001") == (503, "The store's schema is older than this version's")
        assert ready(head()) == (200, "")
        with changed.begin() as conn:
            conn.execute(text("DROP TABLE alembic_version"))
        assert httpx.get(f"{service.base}/readyz").json()["detail"] == "The store does not answer"
        assert httpx.get(f"{service.base}/livez").status_code == 200
        changed.dispose()


def wait_for_more(writers: list[Writer]) -> None:
    """Until each has had another answer acknowledged."""
    before = [len(writer.acknowledged) for writer in writers]
    until = time.monotonic() + 60
    while any(len(w.acknowledged) <= told for w, told in zip(writers, before, strict=True)):
        assert time.monotonic() < until, [writer.wrong for writer in writers]
        time.sleep(0.01)
