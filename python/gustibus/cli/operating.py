"""`gustibus serve`, `db`, `keys`, `openapi`, `demo`."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gustibus.cli.common import JsonOption, emit, existing
from gustibus.errors import ConfigError

if TYPE_CHECKING:
    from gustibus.service.settings import Settings
    from gustibus.store.keys import KeyRow

Option = typer.Option
_DATABASE = "sqlite:///gustibus.db"


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
    app.add_typer(db, name="db")
    keys = typer.Typer(help="Keys of the HTTP API.", no_args_is_help=True)
    keys.command("create")(create_key_command)
    keys.command("list")(list_keys_command)
    keys.command("revoke")(revoke_key_command)
    app.add_typer(keys, name="keys")
    log = typer.Typer(help="The audit log.", no_args_is_help=True)
    log.command("list")(list_audit_command)
    log.command("verify")(verify_audit_command)
    app.add_typer(log, name="audit")


def _database(given: str) -> str:
    """The flag, else the environment, else the settings file, else a file here."""
    from gustibus.service.settings import from_file, settings_file

    if given or "GUSTIBUS_DATABASE" in os.environ:
        return given or os.environ["GUSTIBUS_DATABASE"]
    return str(from_file(settings_file(os.environ)).get("database", _DATABASE))


DatabaseOption = Annotated[
    str, Option("--database", help="URL; default GUSTIBUS_DATABASE or sqlite:///gustibus.db.")
]


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
    database: DatabaseOption = "",
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
    database: DatabaseOption = "",
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


def upgrade_command(*, database: DatabaseOption = "", as_json: JsonOption = False) -> int:
    """Bring the schema up to date."""
    from gustibus.store import upgrade

    upgrade(_database(database))
    return current_command(database=database, as_json=as_json)


def current_command(*, database: DatabaseOption = "", as_json: JsonOption = False) -> int:
    """Print the schema's revision."""
    from gustibus.store import current, head

    found = current(_database(database))
    if as_json:
        emit({"schema": found or None, "newest": head()})
    else:
        sys.stdout.write(f"schema {found or 'none'}\n")
    return 0


def check_command(*, database: DatabaseOption = "", as_json: JsonOption = False) -> int:
    """Fail where the database differs from what this version expects."""
    from gustibus.store import check

    check(existing(_database(database)))
    if as_json:
        emit({"drift": False})
    else:
        sys.stdout.write("no drift\n")
    return 0


def create_key_command(
    *,
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    scope: Annotated[
        list[str] | None,
        Option(help="A scope such as admin, repeatable; default: all that applications need."),
    ] = None,
    expires: Annotated[
        str, Option(help="Days from now, such as 90, or an ISO time; default: never.")
    ] = "",
    model: Annotated[
        list[str] | None, Option(help="Name of a model that it is for, repeatable; default: all.")
    ] = None,
    cidr: Annotated[
        list[str] | None,
        Option(
            help="Range of addresses that it may come from, such as 10.0.0.0/8, repeatable; default: all."
        ),
    ] = None,
    database: DatabaseOption = "",
    as_json: JsonOption = False,
) -> int:
    """Create a key and print its secret, once."""
    from gustibus.errors import UnknownNameError
    from gustibus.service.routing import OPERATING, SCOPES
    from gustibus.store import Store, audit, create_key

    if not 1 <= len(name.strip()) <= 128:
        message = f"name: expected 1 to 128 characters that say what the key is for, got {name!r}"
        raise ConfigError(message, where="name")
    until = _expiry(expires)
    scopes = scope or sorted(SCOPES.keys() - OPERATING)
    for one in scopes:
        if one not in SCOPES:
            raise UnknownNameError.of("scope", one, SCOPES)
    limits = _limits(model, cidr)
    store = Store(existing(_database(database)))
    try:
        with store.write() as conn:
            key = create_key(conn, name=name, scopes=scopes, expires_at=until, **limits)
            audit(
                conn, actor="cli", action="key.create", what=key.id, scopes=sorted(scopes), **limits
            )
    finally:
        store.close()
    if as_json:
        emit({
            "id": key.id, "name": key.name, "scopes": list(key.scopes),
            "expires_at": until and until.isoformat(), "models": key.models, "cidrs": key.cidrs,
            "key": key.secret_text,
        })  # fmt: skip
    else:
        sys.stdout.write(f"{key.secret_text}\n")
    return 0


def _limits(models: list[str] | None, cidrs: list[str] | None) -> dict[str, Any]:
    """What a key is limited to, in the form in which it is kept; what is not limited is left out.

    Raises:
        ConfigError: names what is no name of a model, or no range.
    """
    from gustibus.service.addresses import normal_ranges
    from gustibus.service.routes.keys import MAX_CIDRS, MAX_MODELS, MODEL_NAME

    for one in models or ():
        if re.fullmatch(MODEL_NAME, one) is None:
            message = f"--model: expected 1 to 64 letters, digits, '.', '_' or '-', got {one!r}"
            raise ConfigError(message, where="--model")
    try:
        ranges = normal_ranges(cidrs or ())
    except ValueError as error:
        raise ConfigError(f"--cidr: {error}", where="--cidr") from None
    limits = {"models": sorted(set(models or ())), "cidrs": ranges}
    for name, most in (("models", MAX_MODELS), ("cidrs", MAX_CIDRS)):
        if len(limits[name]) > most:
            option = f"--{name.removesuffix('s')}"
            message = f"{option}: expected at most {most}, got {len(limits[name])}"
            raise ConfigError(message, where=option)
    return {name: values for name, values in limits.items() if values}


def _expiry(given: str) -> datetime | None:
    """The time that a number of days or an ISO time names; one without a zone is in UTC.

    Raises:
        ConfigError: it is neither, or has passed.
    """
    if not given:
        return None
    now = datetime.now(UTC)
    try:
        if given.isascii() and given.isdigit():
            until = now + timedelta(days=int(given))
        else:
            until = datetime.fromisoformat(given)
            until = (until if until.tzinfo else until.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        message = f"--expires: expected days, such as 90, or an ISO time, got {given!r}"
        raise ConfigError(message, where="--expires") from None
    if not now < until or until.year > 9998:
        message = f"--expires: expected a time to come, of the year 9998 or before, got {given!r}"
        raise ConfigError(message, where="--expires")
    return until


def list_keys_command(*, database: DatabaseOption = "", as_json: JsonOption = False) -> int:
    """List keys, never their secrets."""
    from gustibus.store import Store, list_keys

    store = Store(existing(_database(database)))
    try:
        with store.read() as conn:
            rows: list[dict[str, Any]] = [
                {"id": key.id, "state": _state(key), "name": key.name, "scopes": list(key.scopes),
                 "expires_at": key.expires_at and key.expires_at.isoformat(),
                 "models": key.models, "cidrs": key.cidrs}
                for key in list_keys(conn)
            ]  # fmt: skip
    finally:
        store.close()
    if as_json:
        emit(rows)
        return 0
    for row in rows:
        scopes = " ".join(row["scopes"])
        until = f"  until {row['expires_at']}" if row["expires_at"] else ""
        models = f"  for {' '.join(row['models'])}" if row["models"] else ""
        places = f"  from {' '.join(row['cidrs'])}" if row["cidrs"] else ""
        line = f"{row['id']}  {row['state']:8} {row['name']}  {scopes}{models}{places}{until}"
        sys.stdout.write(f"{line}\n")
    return 0


def _state(key: KeyRow) -> str:
    if key.revoked_at:
        return "revoked"
    expired = key.expires_at is not None and key.expires_at <= datetime.now(UTC)
    return "expired" if expired else "live"


def revoke_key_command(
    *,
    key_id: Annotated[str, typer.Argument(help="Id of the key.")],
    database: DatabaseOption = "",
    as_json: JsonOption = False,
) -> int:
    """Revoke a key; every process refuses it within 5 seconds."""
    from gustibus.store import Store, audit, revoke_key

    store = Store(existing(_database(database)))
    try:
        with store.write() as conn:
            revoke_key(conn, key_id=key_id)
            audit(conn, actor="cli", action="key.revoke", what=key_id)
    finally:
        store.close()
    if as_json:
        emit({"id": key_id, "state": "revoked"})
    return 0


def list_audit_command(
    *,
    limit: Annotated[int, Option(min=1, help="Most entries.")] = 100,
    database: DatabaseOption = "",
    as_json: JsonOption = False,
) -> int:
    """List who did what, the newest first; people appear under a hash."""
    from gustibus.store import Store, list_audit

    store = Store(existing(_database(database)))
    try:
        with store.read() as conn:
            rows = list_audit(conn, limit=limit)
    finally:
        store.close()
    if as_json:
        emit([
            {"seq": row.seq, "at": row.at.isoformat(), "actor": row.actor, "action": row.action,
             "object": row.object, "detail": row.detail, "hash": row.hash.hex()} for row in rows
        ])  # fmt: skip
        return 0
    for row in rows:
        sys.stdout.write(f"{row.seq:6} {row.at:%Y-%m-%dT%H:%M:%SZ} {row.actor:26} "
                         f"{row.action:16} {row.object}\n")  # fmt: skip
    return 0


def verify_audit_command(*, database: DatabaseOption = "", as_json: JsonOption = False) -> int:
    """Check the chain of the audit log; exit code 1 where an entry was altered or taken out."""
    from gustibus.store import Store, verify_audit

    store = Store(existing(_database(database)))
    try:
        with store.read() as conn:
            wrong = verify_audit(conn)
    finally:
        store.close()
    if as_json:
        emit({"whole": wrong is None, "broken_at": wrong})
    else:
        sys.stdout.write("whole\n" if wrong is None else f"broken at entry {wrong}\n")
    return 0 if wrong is None else 1
