"""Migrations: up, down, up again, by several processes at once, and what does not fit."""

from __future__ import annotations

import subprocess
import sys

import pytest
from sqlalchemy import create_engine, inspect, text

from gustibus.errors import ConfigError
from gustibus.store.engine import Store, parse_url
from gustibus.store.schema import check, current, downgrade, head, upgrade
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
