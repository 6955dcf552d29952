"""What commands share: options as NAME=VALUE, JSON on standard output, and a question first."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typer import Option

from gustibus.errors import ConfigError, InputError, NotFoundError

if TYPE_CHECKING:
    from gustibus.store import Store

JsonOption = Annotated[bool, Option("--json", help="One JSON document.")]
EngineOption = Annotated[
    Literal["threads", "ray"],
    Option(help="threads of this machine, or ray: a cluster that sees the same folders."),
]
AddressOption = Annotated[
    str,
    Option(help="Of a Ray cluster; by default RAY_ADDRESS, or one that is begun here."),
]
ColumnsOption = Annotated[
    str, Option("--map", help="Column names, such as chosen=good,user=annotator.")
]
LayoutOption = Annotated[str, Option(help="Layout of the file (default auto: by its columns).")]
IdenticalOption = Annotated[
    str, Option(help="refuse or drop rows whose two responses are the same (default refuse).")
]
StoreOption = Annotated[
    str, Option("--database", help="URL; default GUSTIBUS_DATABASE or sqlite:///gustibus.db.")
]
YesOption = Annotated[bool, Option("--yes", "-y", help="Do not ask first.")]
AtOnceOption = Annotated[
    bool, Option("--yes", "-y", help="Do not ask first; only on a terminal is anybody asked.")
]
"""Of commands whose effect can be undone, or must not wait in a script."""

DATABASE = "sqlite:///gustibus.db"
"""The store of commands that are told of none."""


def emit(value: Any) -> None:
    """One JSON document on standard output."""
    json.dump(value, sys.stdout, ensure_ascii=False, indent=1)
    sys.stdout.write("\n")


def confirmed(question: str) -> bool:
    """Ask on standard error; only a plain yes is one.

    Raises:
        ConfigError: nobody is there to answer.
    """
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not line:
        sys.stderr.write("\n")
        message = "--yes: nobody answers on standard input; give --yes to go on without asking"
        raise ConfigError(message, where="--yes")
    return line.strip().lower() in {"y", "yes"}


def refused(question: str, *, yes: bool) -> bool:
    """Whether somebody at a terminal was asked and did not say yes; scripts are not asked."""
    if yes or not sys.stdin.isatty() or confirmed(question):
        return False
    sys.stderr.write("nothing was changed\n")
    return True


def existing(url: str) -> str:
    """The URL of a database, of SQLite only where its file is: looking would make it.

    Raises:
        NotFoundError: there is no such file.
        ConfigError: no URL of an engine that the store knows.
    """
    from gustibus.store.engine import parse_url

    found = parse_url(url)
    if found.get_backend_name() == "sqlite" and not Path(found.database or "").is_file():
        message = (
            f"database: {found.database}: no such file; make it with: "
            f"gustibus db upgrade --database {url}"
        )
        raise NotFoundError(message, where="--database")
    return url


def writable(path: Path, flag: str) -> Path:
    """A file that can be made where it is wanted, found out before there is anything to write.

    Raises:
        NotFoundError: its folder is not there.
        InputError: its folder cannot be written to, or it is a folder itself.
    """
    folder = path.parent
    if not folder.is_dir():
        message = f"{flag}: {path}: there is no folder {folder}"
        raise NotFoundError(message, where=flag)
    if path.is_dir() or not os.access(folder, os.W_OK):
        reason = "it is a folder" if path.is_dir() else f"the folder {folder} cannot be written to"
        message = f"{flag}: {path}: {reason}"
        raise InputError(message, where=flag)
    return path


def parse_options(pairs: list[str]) -> dict[str, Any]:
    """`NAME=VALUE` pairs; a value is JSON where it can be, else a string.

    Raises:
        ConfigError: there is no `=`.
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            message = f"--set: expected NAME=VALUE, got {pair!r}"
            raise ConfigError(message, where="--set")
        try:
            found[name.strip()] = json.loads(value)
        except ValueError:
            found[name.strip()] = value
    return found


def named_database(given: str) -> str:
    """The flag, else the environment, else the settings file, else a file here."""
    from gustibus.service.settings import from_file, settings_file

    if given or "GUSTIBUS_DATABASE" in os.environ:
        return given or os.environ["GUSTIBUS_DATABASE"]
    return str(from_file(settings_file(os.environ)).get("database", DATABASE))


@contextmanager
def opened_store(database: str) -> Iterator[Store]:
    """The store that the flag, the environment or the settings file name, closed at the end.

    Raises:
        ConfigError: it is not there, or its schema is not that of this version; says what to run.
    """
    from gustibus.store import Store

    store = Store(existing(named_database(database)))
    try:
        store.check_schema()
        yield store
    finally:
        store.close()
