"""Connections: one whole transaction at a time, over SQLite or PostgreSQL."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    NoSuchModuleError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import QueuePool

from gustibus.errors import ConfigError, MissingExtraError, OverloadedError

SCRUB = "scrub"
"""Key in `Connection.info` of a transaction whose removed rows must leave SQLite's log as well."""

AUDITED = "audited"
"""Key in `Connection.info` of what a transaction has added to the audit log: the actions of its entries."""

BUSY_SECONDS = 10.0
"""How long a transaction waits for a connection, or for SQLite's lock."""

READER_PAGES = 512
"""KiB that a reading connection to SQLite keeps: every write makes them worthless, and there are several."""

# A statement that runs for half a minute, a transaction whose process does nothing for a minute and
# a machine that has gone would hold locks, and hold back what `since` may report.
_OPTIONS = "-c statement_timeout=30000 -c idle_in_transaction_session_timeout=60000"
_READING = " -c default_transaction_read_only=on -c default_transaction_isolation=repeatable\\ read"
NETWORK = {"connect_timeout": 5, "keepalives_idle": 30, "tcp_user_timeout": 30_000}
"""How long a connection to PostgreSQL waits for a machine that has gone."""

_NO_TABLE = frozenset({"42P01", "42703"})
_NO_WRITES = frozenset({"25006", "53100", "58030"})  # read-only, disk full, I/O error
_SQLITE_NO_WRITES = frozenset({sqlite3.SQLITE_READONLY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR})
_SQLITE_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CANTOPEN})


class ReadOnlyError(OverloadedError):
    """The database answers and accepts no writes: a full or failing disk, a standby."""

    code: ClassVar[str] = "read_only"


class Store:
    """A database.

    Args:
        url: `sqlite:///file`, or `postgresql://user@host/name`.
        readers: connections for reading.
        writers: connections for writing; SQLite has one.

    Raises:
        ConfigError: the URL is not one of these.
        MissingExtraError: the driver is not installed.
    """

    def __init__(self, url: str, *, readers: int = 4, writers: int = 4) -> None:
        self.url = parse_url(url)
        self.dialect = self.url.get_backend_name()
        self._reading = make_engine(self.url, readers, writes=False)
        # Waiting for the only connection is fair and wakes at once; SQLite's own lock is polled.
        self._writing = make_engine(self.url, 1 if self.dialect == "sqlite" else writers)
        self._unscrubbed = False
        self._audited: dict[str, int] = {}
        self._counting = threading.Lock()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database and changes nothing.

        Raises:
            OverloadedError: the database cannot be used now.
        """
        with _translated(), _connected(self._reading) as conn:
            if self.dialect == "sqlite":
                conn.exec_driver_sql("BEGIN")
            yield conn
            conn.rollback()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that is durable when the block ends, and undone when it raises.

        Raises:
            OverloadedError: the database is locked for too long, or cannot be reached.
            ReadOnlyError: it can keep nothing now.
        """
        with _translated(), _connected(self._writing) as conn, self._replaced(conn):
            conn.info.pop(AUDITED, None)  # of a transaction that was undone
            if self.dialect == "sqlite":  # take the lock now: upgrading a reader could deadlock
                conn.exec_driver_sql("BEGIN IMMEDIATE")
            yield conn
            conn.commit()
            self._count(conn.info.pop(AUDITED, ()))
            removed = conn.info.pop(SCRUB, False)
            if self.dialect == "sqlite" and (removed or self._unscrubbed):
                # Those who only find what was left over are not made to wait for it.
                self._unscrubbed = not _scrub(conn, patience=1.0 if removed else 0.0)

    def _count(self, actions: Iterable[str]) -> None:
        with self._counting:
            for action in actions:
                self._audited[action] = self._audited.get(action, 0) + 1

    def audited(self) -> dict[str, int]:
        """Entries of the audit log that were committed through this store, by action."""
        with self._counting:
            return dict(self._audited)

    def in_use(self) -> dict[str, int]:
        """Connections that transactions have now, for `read` and for `write`."""
        engines = {"read": self._reading, "write": self._writing}
        return {name: _checked_out(engine) for name, engine in engines.items()}

    @contextmanager
    def _replaced(self, conn: Connection) -> Iterator[None]:
        """A connection that may only read is not used again, for it may have been opened so.

        A session of PostgreSQL keeps what its database said when it began, and SQLite opens files
        for reading where it cannot write to them; both stay so when the fault is long over. What
        connections to one file of SQLite share is opened by the first of them.
        """
        try:
            yield
        except DBAPIError as error:
            if _is_read_only(error):
                conn.invalidate()
                if self.dialect == "sqlite":
                    self.close()
            raise

    def ping(self) -> None:
        """One round trip.

        Raises:
            OverloadedError: the database does not answer.
        """
        with self.read() as conn:
            conn.exec_driver_sql("SELECT 1")

    def gather_statistics(self) -> None:
        """Have PostgreSQL look at tables that have grown, so that it plans by what they are now.

        It does so by itself, but not as fast as an import fills them.

        Raises:
            OverloadedError: the database cannot be used now.
        """
        if self.dialect == "postgresql":
            with self.write() as conn:
                conn.exec_driver_sql("ANALYZE comparisons, sides, users, profiles")

    def check_schema(self) -> None:
        """Whether this version can work on the database.

        Raises:
            ConfigError: the schema is missing, older or newer; the message says what to run.
        """
        from gustibus.store.schema import check_revision

        check_revision(self.url)

    def close(self) -> None:
        """Close every connection."""
        self._reading.dispose()
        self._writing.dispose()


def allow_time(conn: Connection) -> None:
    """Let statements of a transaction take as long as they do: a start has to read everybody."""
    if conn.dialect.name == "postgresql":
        conn.exec_driver_sql("SET LOCAL statement_timeout = 0")


def parse_url(url: str | URL) -> URL:
    """A URL of an engine that the store knows.

    Raises:
        ConfigError: any other URL; passwords are not shown.
    """
    try:
        found = make_url(url)
    except ArgumentError:
        message = "database: expected a URL such as sqlite:///gustibus.db, got something else"
        raise ConfigError(message, where="database") from None
    name = found.get_backend_name()
    if name == "postgresql":
        return found.set(drivername="postgresql+psycopg")
    if name != "sqlite":
        message = f"database: expected sqlite:// or postgresql://, got {name}://"
        raise ConfigError(message, where="database")
    if found.database in (None, "", ":memory:"):
        message = "database: a database in memory is lost between connections; name a file"
        raise ConfigError(message, where="database")
    if not Path(found.database or "").absolute().parent.is_dir():
        message = f"database: the folder of {found.database} does not exist"
        raise ConfigError(message, where="database")
    return found


def make_engine(url: URL, size: int, *, writes: bool = True) -> Engine:
    """An engine with the settings that durability needs; without `writes` it can only look."""
    more: dict[str, Any] = {"pool_size": size, "max_overflow": 0, "pool_timeout": BUSY_SECONDS}
    try:
        if url.get_backend_name() == "postgresql":
            arguments = {**NETWORK, "options": _OPTIONS if writes else _OPTIONS + _READING}
            return create_engine(url, pool_pre_ping=True, connect_args=arguments, **more)
        limits = {"timeout": BUSY_SECONDS, "check_same_thread": False}
        engine = create_engine(url, connect_args=limits, **more)
    except (NoSuchModuleError, ModuleNotFoundError):
        raise MissingExtraError.of("psycopg", "postgres") from None

    def prepare(connection: sqlite3.Connection, record: Any) -> None:
        del record
        connection.isolation_level = None  # the store begins transactions itself
        # secure_delete: what somebody asked to have removed must not stay in free pages.
        for pragma in ("synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
            connection.execute(f"PRAGMA {pragma}")
        _to_wal(connection)
        if not writes:
            connection.execute("PRAGMA query_only=ON")
            connection.execute(f"PRAGMA cache_size=-{READER_PAGES}")

    event.listen(engine, "connect", prepare)
    return engine


def _scrub(conn: Connection, *, patience: float) -> bool:
    """Empty the write-ahead log; while somebody reads it, a later checkpoint has to do it.

    Args:
        conn: with nothing to commit.
        patience: seconds to wait for readers.

    Returns:
        Whether it is empty. What was to be done is committed, so that it is no error here.
    """
    connection: Any = conn.connection.driver_connection
    connection.execute(f"PRAGMA busy_timeout={patience * 1000:.0f}")
    try:
        ((busy, *_),) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    except sqlite3.OperationalError:
        return False
    finally:
        connection.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000:.0f}")
    return not busy


def _to_wal(connection: sqlite3.Connection) -> None:
    """Readers and a writer side by side; the lock that the first change needs is not waited for."""
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if _code(error) not in _SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return


def _checked_out(engine: Engine) -> int:
    return engine.pool.checkedout() if isinstance(engine.pool, QueuePool) else 0


@contextmanager
def _connected(engine: Engine) -> Iterator[Connection]:
    """A connection; where all were closed meanwhile this one is, too.

    It would go back to a pool that nobody uses any more, and stay open until that is garbage.
    """
    pool = engine.pool
    with engine.connect() as conn:
        try:
            yield conn
        finally:
            if engine.pool is not pool:
                conn.invalidate()


@contextmanager
def _translated() -> Iterator[None]:
    """What a driver raises for load, lost connections and missing tables, as errors of ours."""
    try:
        yield
    except PoolTimeoutError as error:
        message = f"database: no connection was free for {BUSY_SECONDS:g} s"
        raise OverloadedError(message, where="database") from error
    except DBAPIError as error:
        found = _ours(error)
        if found is None:
            raise
        raise found from error


def _ours(error: DBAPIError) -> Exception | None:
    if isinstance(error.orig, sqlite3.Error):
        return _from_sqlite(error.orig)
    return _from_postgres(error)


def _is_read_only(error: DBAPIError) -> bool:
    if isinstance(error.orig, sqlite3.Error):
        return _code(error.orig) == sqlite3.SQLITE_READONLY
    return getattr(error.orig, "sqlstate", None) == "25006"


def _code(error: sqlite3.Error) -> int:
    """The primary code of a result."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _from_sqlite(error: sqlite3.Error) -> Exception | None:
    code = _code(error)
    if code in _SQLITE_NO_WRITES:
        return _no_writes(str(error))
    if code in _SQLITE_BUSY:
        return _unusable(str(error))
    return _no_table() if str(error).startswith(("no such table", "no such column")) else None


def _from_postgres(error: DBAPIError) -> Exception | None:
    state = getattr(error.orig, "sqlstate", None)
    if state in _NO_TABLE:
        return _no_table()
    if state in _NO_WRITES:
        return _no_writes(state)
    if error.connection_invalidated or isinstance(error, OperationalError | InterfaceError):
        # The text may name hosts and users, so that it stays with the cause, for the log.
        return _unusable(state or "no connection")
    return None


def _unusable(reason: str) -> OverloadedError:
    return OverloadedError(f"database: cannot be used now ({reason})", where="database")


def _no_writes(reason: str) -> ReadOnlyError:
    return ReadOnlyError(f"database: accepts no writes now ({reason})", where="database")


def _no_table() -> ConfigError:
    return ConfigError("database: tables are missing; run: gustibus db upgrade", where="database")
