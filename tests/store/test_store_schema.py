"""Migrations: up, down, up again, by several processes at once, and what does not fit."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

import pytest
from sqlalchemy import (
    JSON,
    Boolean,
    DateTime,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    String,
    create_engine,
    inspect,
    select,
    text,
)

from gustibus.errors import ConfigError
from gustibus.store.engine import Store, parse_url
from gustibus.store.schema import _scripts, check, current, downgrade, head, upgrade
from gustibus.store.tables import metadata


def run(url: str, statement: str) -> None:
    engine = create_engine(parse_url(url))
    with engine.begin() as conn:
        conn.execute(text(statement))
    engine.dispose()


def tables(url: str) -> set[str]:
    engine = create_engine(parse_url(url))
    found = set(inspect(engine).get_table_names())
    engine.dispose()
    return found - {"alembic_version"}


def test_up_down_up_leaves_no_drift(empty_url):
    assert current(empty_url) == ""
    upgrade(empty_url)
    assert current(empty_url) == head()
    assert tables(empty_url) == set(metadata.tables)
    check(empty_url)
    downgrade(empty_url, "base")
    assert current(empty_url) == ""
    assert tables(empty_url) == set()
    upgrade(empty_url)
    check(empty_url)


def test_upgrading_twice_changes_nothing(url, store):
    with store.write() as conn:
        conn.exec_driver_sql("INSERT INTO settings VALUES ('default', 'kept', 'yes')")
    upgrade(url)
    with store.read() as conn:
        assert conn.exec_driver_sql("SELECT value FROM settings").scalar() == "yes"


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("ALTER TABLE settings ADD COLUMN stray TEXT", "stray"),
        ("DROP TABLE tombstones", "tombstones"),
        ("CREATE TABLE extra (id INTEGER PRIMARY KEY)", "extra"),
        ("DROP INDEX ix_comparisons_tenant_id_user_id_id", "ix_comparisons_tenant_id_user_id_id"),
    ],
)
def test_check_names_the_drift(empty_url, statement, named):
    upgrade(empty_url)
    run(empty_url, statement)
    with pytest.raises(ConfigError, match=named):
        check(empty_url)


def test_a_database_without_schema_says_what_to_run(empty_url):
    store = Store(empty_url)
    with pytest.raises(ConfigError, match="gustibus db upgrade"):
        store.check_schema()
    store.close()


def test_a_newer_schema_is_refused_with_both_revisions(empty_url):
    upgrade(empty_url)
    run(empty_url, "UPDATE alembic_version SET version_num = '9999'")
    store = Store(empty_url)
    with pytest.raises(ConfigError, match=f"9999.*newer.*{head()}"):
        store.check_schema()
    with pytest.raises(ConfigError, match="9999"):
        upgrade(empty_url)
    assert current(empty_url) == "9999"
    store.close()


def test_a_current_schema_is_accepted(store):
    store.check_schema()


def test_processes_that_upgrade_at_once_all_succeed(empty_url):
    code = "import sys; from gustibus.store.schema import upgrade; upgrade(sys.argv[1])"
    command = [sys.executable, "-c", code, empty_url]
    started = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    errors = [process.communicate(timeout=120)[1] for process in started]
    assert [process.returncode for process in started] == [0] * 4, errors
    check(empty_url)


OLDER = sorted(script.revision for script in _scripts().walk_revisions())[:-1]


def value(column):
    """Something that a column takes."""
    if isinstance(column.type, JSON):
        return []
    return next(
        given
        for kind, given in (
            (Boolean, True), (Integer, 7), (Float, 0.5), (LargeBinary, b"bytes"), (String, "text"),
            (DateTime, datetime(2026, 1, 2, tzinfo=UTC)),
        )
        if isinstance(column.type, kind)
    )  # fmt: skip


def rows(url, *, put=False):
    """Every row of every table by its name; first one is put into each if asked for."""
    engine, found = create_engine(parse_url(url)), MetaData()
    with engine.begin() as conn:
        found.reflect(conn)
        known = [table for table in found.sorted_tables if table.name != "alembic_version"]
        for table in known if put else []:
            conn.execute(table.insert().values({c.name: value(c) for c in table.columns}))
        told = {
            table.name: [dict(row._mapping) for row in conn.execute(select(table))]
            for table in known
        }
    engine.dispose()
    return told


@pytest.mark.parametrize("revision", OLDER)
def test_what_an_older_release_kept_is_there_after_the_upgrade(empty_url, revision):
    upgrade(empty_url, revision)
    before = rows(empty_url, put=True)
    upgrade(empty_url)
    check(empty_url)
    after = rows(empty_url)
    assert all(before.values())
    for name, kept in before.items():
        for row in kept:
            assert any(row.items() <= now.items() for now in after[name]), name
    downgrade(empty_url, revision)
    assert rows(empty_url) == before


def test_a_migration_that_fails_leaves_the_database_as_it_was(empty_url):
    run(empty_url, "CREATE TABLE tombstones (id INTEGER PRIMARY KEY)")
    with pytest.raises(Exception, match="already exists"):
        upgrade(empty_url)
    assert tables(empty_url) == {"tombstones"}
    assert current(empty_url) == ""


def test_a_revision_that_does_not_exist_is_an_error(empty_url):
    with pytest.raises(ConfigError, match="nowhere"):
        upgrade(empty_url, "nowhere")
    assert tables(empty_url) == set()
