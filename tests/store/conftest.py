"""A migrated, empty database of either engine for every test that asks for one.

PostgreSQL is looked for where the `PG*` variables of libpq say, else at 127.0.0.1:5432 as
`postgres`. Each session makes databases of its own with random names and drops them.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gustibus.store.engine import Store
from gustibus.store.schema import upgrade
from gustibus.store.tables import metadata

ENGINES = ("sqlite", "postgresql")


class Server:
    """A PostgreSQL server that tests may make databases on."""

    def __init__(self) -> None:
        self.host = os.environ.get("PGHOST", "127.0.0.1")
        self.port = int(os.environ.get("PGPORT", "5432"))
        self.user = os.environ.get("PGUSER", "postgres")

    def run(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(
            host=self.host, port=self.port, user=self.user, autocommit=True, connect_timeout=3,
            dbname=os.environ.get("PGDATABASE", "postgres"),
        ) as conn:  # fmt: skip
            conn.execute(statement.encode())

    @contextmanager
    def database(self) -> Iterator[str]:
        """URL of a database that lives as long as the block."""
        name = f"gustibus_test_{secrets.token_hex(6)}"
        # Of a language, where "a" comes before "B": what relies on the order of bytes must say so.
        order = "LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LOCALE 'C'"
        self.run(f"CREATE DATABASE \"{name}\" TEMPLATE template0 ENCODING 'UTF8' {order}")
        try:
            yield f"postgresql://{self.user}@{self.host}:{self.port}/{name}"
        finally:
            self.run(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
def server() -> Server:
    psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed")
    found = Server()
    try:
        found.run("SELECT 1")
    except psycopg.Error as error:
        where = f"{found.user}@{found.host}:{found.port}"
        reason = str(error).strip().splitlines()[0]
        pytest.skip(f"no PostgreSQL answers at {where}: {reason}")
    return found


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "template.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def migrated_database(server: Server) -> Iterator[str]:
    with server.database() as url:
        upgrade(url)
        yield url


@pytest.fixture(params=ENGINES)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a database without any table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/new.db"
    else:
        with request.getfixturevalue("server").database() as url:
            yield url


@pytest.fixture(params=ENGINES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a migrated database without any row."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("migrated_file"), tmp_path / "test.db")
        return f"sqlite:///{tmp_path}/test.db"
    found: str = request.getfixturevalue("migrated_database")
    emptied = Store(found)
    tables = ", ".join(f'"{table.name}"' for table in metadata.sorted_tables)
    with emptied.write() as conn:
        conn.exec_driver_sql(f"TRUNCATE {tables}")
    emptied.close()
    return found


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    found = Store(url)
    yield found
    found.close()
