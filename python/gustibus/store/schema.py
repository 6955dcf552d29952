"""The version of the schema: bring it up to date, look at it, compare it with what is expected."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError

from gustibus.errors import ConfigError
from gustibus.store.engine import make_engine, parse_url
from gustibus.store.tables import ONLY, metadata

_LOCK = 0x67757374  # advisory lock of PostgreSQL while migrations run

logging.getLogger("alembic").setLevel(logging.WARNING)


def head() -> str:
    """The revision that this version of gustibus works on."""
    return str(_scripts().get_current_head())


def current(url: str | URL) -> str:
    """The revision of a database; empty before the first."""
    with _connected(url) as conn:
        return MigrationContext.configure(conn).get_current_revision() or ""


def upgrade(url: str | URL, revision: str = "head") -> None:
    """Bring a database up to a revision; safe when several processes do it at once."""
    _run(url, command.upgrade, revision)


def downgrade(url: str | URL, revision: str) -> None:
    """Take a database back to a revision, `base` for nothing."""
    _run(url, command.downgrade, revision)


def check(url: str | URL) -> None:
    """Compare a database with the tables that this version expects.

    Raises:
        ConfigError: they differ; the message names what.
    """
    check_revision(url)
    with _connected(url) as conn:
        engine = conn.dialect.name

        def is_ours(found: Any, *_: Any) -> bool:
            return bool(found.info.get(ONLY, engine) == engine)

        opts = {"compare_type": True, "include_object": is_ours}
        context = MigrationContext.configure(conn, opts=opts)
        found = compare_metadata(context, metadata)
    if found:
        message = f"database: differs from the schema of this version: {_named(found)}"
        raise ConfigError(message, where="database")


def check_revision(url: str | URL) -> None:
    """Whether a database has the revision that this version works on.

    Raises:
        ConfigError: it has another; the message says what to run.
    """
    found, expected = current(url), head()
    if found == expected:
        return
    _refuse_unknown(found)
    message = f"database: revision {found or 'none'}, expected {expected}; run: gustibus db upgrade"
    raise ConfigError(message, where="database")


def is_behind(conn: Connection) -> bool:
    """Whether the schema is older than this version works on.

    A newer one is no fault: the next release brings it forward while this one serves.
    """
    found = set(conn.execute(text("SELECT version_num FROM alembic_version")).scalars())
    return not found or not found.isdisjoint(_older())


@cache
def _older() -> frozenset[str]:
    """The revisions before that which this version works on."""
    return frozenset(script.revision for script in _scripts().walk_revisions()) - {head()}


def _refuse_unknown(found: str) -> None:
    if found and found not in {script.revision for script in _scripts().walk_revisions()}:
        message = (
            f"database: revision {found} is newer than this version knows ({head()}); "
            "upgrade gustibus"
        )
        raise ConfigError(message, where="database")


def _config() -> Config:
    config = Config()
    folder = str(Path(__file__).parent / "migrations").replace("%", "%%")
    config.set_main_option("script_location", folder)
    config.set_main_option("path_separator", "os")
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _run(url: str | URL, what: Any, revision: str) -> None:
    config = _config()
    with _connected(url) as conn:
        if conn.dialect.name == "sqlite":
            conn.execute(text("BEGIN IMMEDIATE"))
        else:  # a table may be large, and another process may be at work on it
            conn.execute(text("SET LOCAL statement_timeout = 0"))
            conn.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        _refuse_unknown(MigrationContext.configure(conn).get_current_revision() or "")
        config.attributes["connection"] = conn
        try:
            what(config, revision)
        except CommandError as error:
            message = f"revision: {error}"
            raise ConfigError(message, where="revision") from None
        conn.commit()


@contextmanager
def _connected(url: str | URL) -> Iterator[Connection]:
    engine = make_engine(parse_url(url), 1)
    try:
        with engine.connect() as conn:
            yield conn
    except OperationalError as error:
        reason = str(error.orig).strip().split("\n")[0]
        message = f"database: cannot be opened ({reason})"
        raise ConfigError(message, where="database") from None
    finally:
        engine.dispose()


def _named(found: list[Any]) -> str:
    """Differences in words: what is to be done, and to which object."""
    rows = [row if isinstance(row, tuple) else row[0] for row in found]
    return "; ".join(" ".join(str(getattr(part, "name", part)) for part in row) for row in rows)
