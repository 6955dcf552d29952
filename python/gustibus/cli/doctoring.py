"""`gustibus doctor`: the effective settings, and whether what they name can be used."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from gustibus.cli.common import JsonOption
from gustibus.errors import GustibusError

if TYPE_CHECKING:
    from gustibus.service.settings import Settings

Option = typer.Option
Status = Literal["ok", "warn", "fail"]

_MIB = 1 << 20
_DISK_FAIL, _DISK_WARN = 256 * _MIB, 2048 * _MIB
_FILES_FAIL, _FILES_WARN = 256, 1024
_SKEW = 5.0  # seconds that a clock may be off


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    status: Status
    detail: str


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("doctor")(doctor_command)


def doctor_command(
    *,
    model: Annotated[str, Option(help="Folder of a trained model; default GUSTIBUS_MODEL.")] = "",
    database: Annotated[str, Option(help="URL; default GUSTIBUS_DATABASE.")] = "",
    as_json: JsonOption = False,
) -> int:
    """Show the settings, secrets masked, and check what a service needs; exit code 1 on a failure."""
    from gustibus.cli.common import emit
    from gustibus.service.settings import Settings, doubtful

    given = {"GUSTIBUS_MODEL": model, "GUSTIBUS_DATABASE": database}
    environment = {**os.environ, **{name: value for name, value in given.items() if value}}
    try:
        settings = Settings.from_env(environment)
    except GustibusError as error:
        checks = [Check("settings", "fail", error.message)]
        shown: dict[str, Any] = {}
    else:
        shown = masked(settings, environment)
        checks = [Check("settings", "ok", "complete"), *examine(settings)]
        checks[1:1] = [Check("unread", "warn", told) for told in doubtful(environment)]
    healthy = all(check.status != "fail" for check in checks)
    if as_json:
        emit({
            "healthy": healthy, "settings": shown,
            "checks": [{"name": c.name, "status": c.status, "detail": c.detail} for c in checks],
        })  # fmt: skip
        return 0 if healthy else 1
    wide = max((len(name) for name in shown), default=0)
    for name, row in shown.items():
        sys.stdout.write(f"{name:{wide}}  {row['value']}  ({row['from']})\n")
    sys.stdout.write("\n" if shown else "")
    for check in checks:
        sys.stdout.write(f"{check.status:5} {check.name:11} {check.detail}\n")
    return 0 if healthy else 1


def masked(settings: Settings, environment: Mapping[str, str]) -> dict[str, Any]:
    """Every setting with where it comes from; passwords and secrets are not shown."""
    from gustibus.service.quotas import place_of
    from gustibus.service.settings import PREFIX, from_file, settings_file

    file = settings_file(environment)
    in_file = from_file(file)
    found: dict[str, Any] = {}
    for field in fields(settings):
        name, value = PREFIX + field.name.upper(), getattr(settings, field.name)
        if field.name in {"secret", "encoder_key"}:
            value = "***" if value else "(kept in the store)" if field.name == "secret" else ""
        elif field.name == "database":
            value = _without_password(value)
        elif field.name == "quotas" and value:
            value = place_of(value)
        source = "default" if field.name not in in_file else str(file)
        found[name] = {"value": value, "from": "given" if name in environment else source}
    return found


def _without_password(url: str) -> str:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return "***"


def examine(settings: Settings) -> list[Check]:
    """Every check, each on its own: one that breaks does not hide the others."""
    rows: list[tuple[str, Callable[[Settings], tuple[Status, str]]]] = [
        ("database", _database),
        ("model", _model),
        ("device", _device),
        ("clock", _clock),
        ("disk", _disk),
        ("open files", _files),
    ]
    if settings.trace_endpoint:
        rows.append(("traces", _traces))
    if settings.quotas:
        rows.append(("quotas", _quotas))
    found = []
    for name, check in rows:
        try:
            status, detail = check(settings)
        except GustibusError as error:
            status, detail = "fail", error.message
        except OSError as error:
            status, detail = "fail", f"{type(error).__name__}: {error}"
        found.append(Check(name, status, detail))
    return found


def _sqlite_file(settings: Settings) -> Path | None:
    """The file of a SQLite database, None for another engine."""
    from gustibus.store.engine import parse_url

    url = parse_url(settings.database)
    return Path(url.database or "") if url.get_backend_name() == "sqlite" else None


def _database(settings: Settings) -> tuple[Status, str]:
    from gustibus.store import Store, current

    file = _sqlite_file(settings)
    if file is not None and not file.is_file():  # looking would make it
        return "fail", f"{file}: no such file; run: gustibus db upgrade"
    if file is not None and not os.access(file, os.W_OK):
        return "fail", f"{file}: cannot be written"
    store = Store(settings.database, readers=1, writers=1)
    try:
        store.check_schema()
        started = time.perf_counter()
        store.ping()
        seconds = time.perf_counter() - started
    finally:
        store.close()
    engine = store.dialect
    return "ok", f"{engine} answers in {seconds * 1e3:.1f} ms, schema {current(settings.database)}"


def _model(settings: Settings) -> tuple[Status, str]:
    from gustibus import selftest
    from gustibus.artifact import Artifact

    folder = _folder(settings)
    if folder is None:
        what = "no version is promoted" if settings.models else "none is set"
        return "warn", f"{what}; a service keeps people and answers, and scores nothing"
    artifact = Artifact.load(folder)
    encoder = artifact.card.get("encoder")
    asks = 0 if artifact.pool is None else len(artifact.pool)
    named = encoder["name"] if encoder else "no encoder"
    told = f"{artifact.model.family} {artifact.digest[:12]}, {named}, {asks} questions"
    texts = artifact.pool is not None and any(artifact.pool.texts_a)
    if encoder and not texts and not selftest.tells(artifact.card):
        return "warn", f"{told}; it keeps nothing by which another encoder would be noticed"
    return "ok", told


def _folder(settings: Settings) -> Path | None:
    """Of the model that a service would load: the one that is set, else the version that is promoted."""
    from gustibus.store import Store, champion

    if settings.model or not settings.models:
        return Path(settings.model) if settings.model else None
    file = _sqlite_file(settings)
    if file is not None and not file.is_file():
        return None
    store = Store(settings.database, readers=1, writers=1)
    try:
        with store.read() as conn:
            row = champion(conn, model=settings.model_name)
    finally:
        store.close()
    return None if row is None else Path(settings.models) / row.digest


def _device(settings: Settings) -> tuple[Status, str]:
    """What texts would be encoded on; heads and stored vectors need no device."""
    from importlib.util import find_spec

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if find_spec("torch") is None:
        wanted = _encoder_name(settings) == "transformers"
        missing = "no torch, which the encoder of the model needs" if wanted else "no torch"
        return ("fail" if wanted else "ok"), f"cpu, {cores} cores, {missing}"
    import torch

    if torch.cuda.is_available():
        return "ok", f"{torch.cuda.get_device_name(0)}, {cores} cores, torch {torch.__version__}"
    return "ok", f"cpu, {cores} cores, torch {torch.__version__}"


def _encoder_name(settings: Settings) -> str:
    import json

    folder = None
    with suppress(GustibusError):  # the check of the model says what is wrong
        folder = _folder(settings)
    if folder is None or not (card := folder / "card.json").is_file():
        return ""
    spec = json.loads(card.read_text(encoding="utf-8")).get("encoder")
    return str(spec["name"]) if spec else ""


def _clock(settings: Settings) -> tuple[Status, str]:
    """Against the database's clock, or against what was written before now."""
    file = _sqlite_file(settings)
    if file is None:
        from sqlalchemy import text

        from gustibus.store import Store

        store = Store(settings.database, readers=1, writers=1)
        try:
            with store.read() as conn:
                asked = time.time()
                told = float(
                    conn.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one()
                )
        finally:
            store.close()
        skew = abs(told - asked)
        return ("ok" if skew <= _SKEW else "fail"), f"{skew:.1f} s from the clock of the database"
    earlier = [Path(__file__).stat().st_mtime]
    if file.is_file():
        earlier.append(file.stat().st_mtime)
    behind = max(earlier) - time.time()
    if behind > _SKEW:
        return "fail", f"{behind:.0f} s behind the last write to this machine's files"
    return "ok", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _disk(settings: Settings) -> tuple[Status, str]:
    file = _sqlite_file(settings)
    folder = Path.cwd() if file is None else file.absolute().parent
    free = shutil.disk_usage(folder).free
    status: Status = "fail" if free < _DISK_FAIL else "warn" if free < _DISK_WARN else "ok"
    return status, f"{free / 2**30:.1f} GiB free in {folder}"


def _traces(settings: Settings) -> tuple[Status, str]:
    """Whether the collector takes spans; requests are answered where it does not."""
    from gustibus.service.tracing import check_extra

    check_extra(settings)
    from gustibus.service.sending import why_not

    reason = why_not(settings.trace_url)
    if reason:
        return "warn", f"{settings.trace_url} does not take them: {reason}"
    return "ok", f"{settings.trace_share:.0%} of what has no trace yet, to {settings.trace_url}"


def _quotas(settings: Settings) -> tuple[Status, str]:
    """Whether Redis answers; each machine has quotas of its own while it does not."""
    import asyncio

    from gustibus.service.quotas import answer_time, check_client, place_of, without_password

    check_client(settings)
    from redis.exceptions import RedisError

    place = place_of(settings.quotas)
    try:
        seconds = asyncio.run(answer_time(settings))
    except (RedisError, OSError, TimeoutError) as error:
        reason = without_password(f"{type(error).__name__}: {error}", settings.quotas)
        return "warn", f"{place} does not answer: {reason}; each machine has quotas of its own"
    return "ok", f"shared by all machines through {place}, which answers in {seconds * 1e3:.1f} ms"


def _files(settings: Settings) -> tuple[Status, str]:
    del settings
    try:
        import resource
    except ImportError:  # not on this system
        return "ok", "this system has no such limit"
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return "ok", "no limit"
    status: Status = "fail" if soft < _FILES_FAIL else "warn" if soft < _FILES_WARN else "ok"
    return status, f"{soft} (a connection takes one; raise with: ulimit -n)"
