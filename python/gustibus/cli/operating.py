"""`gustibus serve`, `worker`, `db`, `openapi`, `demo`."""

from __future__ import annotations

import os
import sys
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gustibus.cli.common import (
    JsonOption,
    StoreOption,
    emit,
    existing,
    named_database,
    opened_store,
    writable,
)
from gustibus.errors import ConfigError, NotFoundError

if TYPE_CHECKING:
    from gustibus.service.settings import Settings

Option = typer.Option


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("serve")(serve_command)
    app.command("worker")(worker_command)
    app.command("demo")(demo_command)
    app.command("openapi")(openapi_command)
    db = typer.Typer(help="The database's schema.", no_args_is_help=True)
    db.command("upgrade")(upgrade_command)
    db.command("current")(current_command)
    db.command("check")(check_command)
    stones = typer.Typer(
        help="Who was deleted, as keyed hashes in a file outside the database.",
        no_args_is_help=True,
    )
    stones.command("export")(export_tombstones_command)
    stones.command("replay")(replay_tombstones_command)
    db.add_typer(stones, name="tombstones")
    app.add_typer(db, name="db")


ModelOption = Annotated[str, Option(help="Folder of a trained model; default GUSTIBUS_MODEL.")]
ModelsOption = Annotated[
    str, Option(help="Folder of registered models, instead of one; default GUSTIBUS_MODELS.")
]
FilesOption = Annotated[
    str, Option(help="Folder for results of jobs; default GUSTIBUS_FILES, without it none.")
]
SettingsOption = Annotated[
    list[str] | None,
    Option("--set", help="Any other setting, NAME=VALUE, as GUSTIBUS_NAME would be; may repeat."),
]


def serve_command(
    *,
    model: ModelOption = "",
    models: ModelsOption = "",
    database: StoreOption = "",
    host: Annotated[str, Option(help="Address to listen on; default GUSTIBUS_HOST.")] = "",
    port: Annotated[int | None, Option(help="Port to listen on; default GUSTIBUS_PORT.")] = None,
    workers: Annotated[
        int | None, Option(help="Processes that share the port; default GUSTIBUS_WORKERS.")
    ] = None,
    metrics_port: Annotated[
        int | None, Option(help="Port of /metrics; default GUSTIBUS_METRICS_PORT.")
    ] = None,
    files: FilesOption = "",
    given: SettingsOption = None,
    upgrade: Annotated[bool, Option(help="Bring the database's schema up to date first.")] = False,
) -> int:
    """Serve a model over HTTP.

    Example: gustibus serve --model runs/first --workers 2 --set rate=1000
    """
    from gustibus.service.run import serve
    from gustibus.store import check_revision
    from gustibus.store import upgrade as upgrade_schema

    settings = _settings(
        given, model=model, models=models, database=database, host=host, port=port,
        workers=workers, metrics_port=metrics_port, files=files,
    )  # fmt: skip
    if upgrade:
        upgrade_schema(settings.database)
    check_revision(existing(settings.database))  # here it is one line, from the server a log
    serve(settings)
    return 0


def worker_command(
    *,
    model: ModelOption = "",
    models: ModelsOption = "",
    database: StoreOption = "",
    files: FilesOption = "",
    given: SettingsOption = None,
) -> int:
    """Work on jobs: imports, exports, refits, removals, bulk scores, evaluations and trainings.

    Run as many as there is work for.
    """
    from gustibus.service.run import work
    from gustibus.store import check_revision

    settings = _settings(given, model=model, models=models, database=database, files=files)
    check_revision(existing(settings.database))
    work(settings)
    return 0


def _settings(pairs: list[str] | None, **flags: str | int | None) -> Settings:
    """Settings of the flags over `--set` over the environment over the settings file.

    Raises:
        ConfigError: a setting is wrong.
        UnknownNameError: `--set` names none.
    """
    from gustibus.errors import UnknownNameError
    from gustibus.service.settings import PREFIX, Settings

    told: dict[str, str] = {}
    known = [field.name for field in fields(Settings)]
    for pair in pairs or ():
        name, equals, value = pair.partition("=")
        if not equals:
            message = f"--set: expected NAME=VALUE, got {pair!r}"
            raise ConfigError(message, where="--set")
        if name not in known:
            raise UnknownNameError.of("setting", name, known)
        told[name] = value
    told |= {name: str(value) for name, value in flags.items() if value not in ("", None)}
    return Settings.from_env(
        {**os.environ, **{PREFIX + name.upper(): value for name, value in told.items()}}
    )


def demo_command(
    *,
    once: Annotated[bool, Option("--once", help="Exit after showing the results.")] = False,
    folder: Annotated[str, Option(help="Where the model and the database go.")] = "demo",
    port: Annotated[int, Option(help="Port of the service; 0 takes a free one.")] = 8321,
    seed: Annotated[int, Option(help="Seed of the sample and the training.")] = 0,
) -> int:
    """Train on a generated sample, serve, onboard a person, and show three people's rankings."""
    from gustibus.cli.progress import Bars
    from gustibus.demo import run_demo

    with Bars() as bars:
        return run_demo(folder=folder, port=port, once=once, seed=seed, progress=bars.update)


def openapi_command() -> int:
    """Print the OpenAPI 3.1 document of the HTTP API."""
    from gustibus.service.openapi import document

    emit(document())
    return 0


def upgrade_command(*, database: StoreOption = "", as_json: JsonOption = False) -> int:
    """Bring the schema up to date."""
    from gustibus.store import make_hashing_key, upgrade

    url = named_database(database)
    upgrade(url)
    with opened_store(url) as store:
        make_hashing_key(store)
    return current_command(database=database, as_json=as_json)


def current_command(*, database: StoreOption = "", as_json: JsonOption = False) -> int:
    """Print the schema's revision."""
    from gustibus.store import current, head

    found = current(named_database(database))
    if as_json:
        emit({"schema": found or None, "newest": head()})
    else:
        sys.stdout.write(f"schema {found or 'none'}\n")
    return 0


def check_command(*, database: StoreOption = "", as_json: JsonOption = False) -> int:
    """Fail where the database differs from what this version expects."""
    from gustibus.store import check

    check(existing(named_database(database)))
    if as_json:
        emit({"drift": False})
    else:
        sys.stdout.write("no drift\n")
    return 0


TombstonesArgument = Annotated[Path, typer.Argument(metavar="FILE", help="The file.")]


def export_tombstones_command(
    *, file: TombstonesArgument, database: StoreOption = "", as_json: JsonOption = False
) -> int:
    """Add to a file what it lacks of those who were deleted: keyed hashes and times.

    Keep it outside the database and its backups, so that `gustibus db tombstones replay` can follow a restore.

    Example: gustibus db tombstones export /srv/tombstones.jsonl
    """
    from gustibus.service.replaying import export_tombstones

    writable(file, "FILE")
    with opened_store(database) as store:
        done = export_tombstones(store, file)
    if as_json:
        emit({"file": str(file), **done._asdict()})
    else:
        sys.stdout.write(f"{done.added} tombstones added to {file}, which had {done.there}\n")
    return 0


def replay_tombstones_command(
    *, file: TombstonesArgument, database: StoreOption = "", as_json: JsonOption = False
) -> int:
    """Delete whoever is in a file of tombstones again, after a backup was restored and before it is served.

    What was stopped is simply repeated. Exit code 4 where lines of the file could not be used.

    Example: gustibus db tombstones replay /srv/tombstones.jsonl
    """
    from gustibus.service.replaying import replay_tombstones

    if not file.is_file():
        message = f"FILE: {file}: no such file"
        raise NotFoundError(message, where="FILE")

    def tell(people: int) -> None:
        if people % 100 == 0:
            sys.stderr.write(f"{people} people deleted\n")

    with opened_store(database) as store:
        done = replay_tombstones(
            store, _settings(None, database=named_database(database)), file, tell=tell
        )
    if as_json:
        emit({"file": str(file), **done._asdict()})
    else:
        sys.stdout.write(
            f"{done.people} people deleted again, {done.tombstones} tombstones of others set\n"
        )
    if done.foreign or done.broken:
        sys.stderr.write(
            f"{done.foreign} lines are of other databases, {done.broken} are no tombstones\n"
        )
    return 4 if done.foreign or done.broken else 0
