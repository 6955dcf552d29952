"""`gustibus models`: what is served, and what is in folders."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gustibus.cli.common import AtOnceOption, JsonOption, refused
from gustibus.cli.records import UrlOption
from gustibus.errors import ConfigError, GustibusError, NotFoundError

if TYPE_CHECKING:
    from gustibus.client import Alias, Client, Version
    from gustibus.client.calls.versions import ModelState

Option = typer.Option
_MANIFEST = "MANIFEST.json"
_CHAMPION = "champion"


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    models = typer.Typer(help="Models of a service or of folders.", no_args_is_help=True)
    models.command("list")(list_command)
    models.command("show")(show_command)
    models.command("register")(register_command)
    models.command("validate")(validate_command)
    models.command("diff")(diff_command)
    models.command("promote")(promote_command)
    models.command("rollback")(rollback_command)
    app.add_typer(models, name="models")


def list_command(
    *,
    root: Annotated[
        Path | None, typer.Argument(help="A folder of model folders; without, a service is asked.")
    ] = None,
    url: UrlOption = "",
    as_json: JsonOption = False,
) -> int:
    """List models with their digest and what they need; a folder that is damaged is said to be."""
    from gustibus.cli.common import emit

    rows = _served(url) if root is None else _in_folder(root)
    if as_json:
        emit(rows)
    else:
        for row in rows:
            state = row.get("problem") or (
                f"{row['family']:13} {row['encoder'] or 'embeddings'}, {row['questions']} questions"
            )
            sys.stdout.write(f"{row['id']:32} {(row['digest'] or '')[:12]:12}  {state}\n")
    return 1 if any(row.get("problem") for row in rows) else 0


def show_command(
    *,
    model: Annotated[str, typer.Argument(help="A model folder, or a name that a service knows.")],
    url: UrlOption = "",
    as_json: JsonOption = False,
) -> int:
    """Show a model: its card, verified against its digest."""
    from gustibus.artifact import Artifact
    from gustibus.cli.common import emit

    if (Path(model) / _MANIFEST).is_file() or (not url and Path(model).is_dir()):
        artifact = Artifact.load(model)
        found: dict[str, Any] = {**artifact.card, "digest": artifact.digest}
    else:
        named = [one for one in _served(url) if model in (one["id"], one["digest"], "default")]
        if not named:
            message = f"model: there is no folder and no served model {model!r}"
            raise NotFoundError(message, where="model")
        found = named[0]
    if as_json:
        emit(found)
        return 0
    plain = {n: v for n, v in found.items() if isinstance(v, str | int | float | None)}
    wide = max(map(len, plain))
    sys.stdout.write("".join(f"{name:{wide}}  {value}\n" for name, value in plain.items()))
    nested = sorted(found.keys() - plain.keys())
    if nested:
        sys.stdout.write(f"with --json also: {', '.join(nested)}\n")
    return 0


def diff_command(
    *,
    first: Annotated[str, typer.Argument(help="A model folder, or the number of a version.")],
    second: Annotated[str, typer.Argument(help="Another.")],
    url: UrlOption = "",
    as_json: JsonOption = False,
) -> int:
    """What the cards of two models say differently: data, settings, figures."""
    from gustibus.cli.common import emit
    from gustibus.cli.comparing import as_table, differences

    found = differences(_card(first, "first", url), _card(second, "second", url))
    if as_json:
        emit({name: list(pair) for name, pair in found.items()})
    elif found:
        sys.stdout.write(as_table(found, (first, second)))
    else:
        sys.stdout.write("no differences\n")
    return 0


def _card(model: str, where: str, url: str) -> dict[str, Any]:
    """The card of a folder, or of a version by number, with its digest.

    Raises:
        NotFoundError: there is neither.
    """
    from gustibus.artifact import Artifact

    if (Path(model) / _MANIFEST).is_file():
        artifact = Artifact.load(model)
        return {"digest": artifact.digest, **artifact.card}
    if not model.isdecimal():
        message = f"{where}: expected a model folder or the number of a version, got {model!r}"
        raise NotFoundError(message, where=where)
    with _client(url) as client:
        version = client.versions.get(int(model))
    return {"digest": version.digest, **(version.card or {})}


def register_command(
    *,
    folder: Annotated[Path, typer.Argument(help="A trained model.")],
    root: Annotated[
        Path | None, Option(help="The service's folder of models; default GUSTIBUS_MODELS.")
    ] = None,
    url: UrlOption = "",
    as_json: JsonOption = False,
) -> int:
    """Put a model into the service's folder of models, and give it the next number.

    The service is asked first; where it refuses the model, no copy of it stays.
    """
    from gustibus.artifact import Artifact

    root = _models_folder(root)
    artifact = Artifact.load(folder)
    with _client(url) as client:
        client.version()  # nothing is copied for a service that cannot be reached, or refuses the key
        copied = _copy(folder, root / artifact.digest)
        try:
            row = client.versions.register(artifact.digest)
        except BaseException:
            if copied:
                shutil.rmtree(root / artifact.digest, ignore_errors=True)
            raise
        return _told(client.versions.validate(row.version), as_json=as_json)


def _models_folder(given: Path | None) -> Path:
    """The folder of models that a flag or the environment names.

    Raises:
        ConfigError: none is named, or it is no folder.
    """
    named = given or os.environ.get("GUSTIBUS_MODELS")
    if not named:
        message = "--root: expected the service's folder of models, here or as GUSTIBUS_MODELS"
        raise ConfigError(message, where="--root")
    root = Path(named)
    if not root.is_dir():
        message = f"--root: expected the service's folder of models, got {root}"
        raise ConfigError(message, where="--root")
    return root


def _copy(folder: Path, target: Path) -> bool:
    """A whole copy under its own name, or none; False where it is there already."""
    if target.exists():
        return False
    scratch = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        shutil.copytree(folder, scratch)
        scratch.rename(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return True


def validate_command(
    *,
    version: Annotated[int, typer.Argument(help="Number of a registered version.")],
    url: UrlOption = "",
    as_json: JsonOption = False,
) -> int:
    """Load a version as a process would that serves it, its own test included; nothing changes hands."""
    with _client(url) as client:
        return _told(client.versions.validate(version), as_json=as_json)


def promote_command(
    *,
    version: Annotated[int, typer.Argument(help="Number of a registered version.")],
    force: Annotated[
        bool,
        typer.Option("--force", help="Though it is worse on the golden set, or was not judged."),
    ] = False,
    yes: AtOnceOption = False,
    url: UrlOption = "",
    as_json: JsonOption = False,
) -> int:
    """Serve a version; running processes change to it without losing a request."""
    with _client(url) as client:
        client.versions.validate(version)
        model = client.versions.model()
        if refused(f"Serve version {version} to everybody, now {_now(model)}?", yes=yes):
            return 1
        found = client.versions.promote(version, revision=model.revision(), force=force or None)
        return _said(found, as_json=as_json)


def rollback_command(
    *, yes: AtOnceOption = False, url: UrlOption = "", as_json: JsonOption = False
) -> int:
    """Serve what was served before."""
    with _client(url) as client:
        model = client.versions.model()
        if refused(f"Serve what was served before to everybody, now {_now(model)}?", yes=yes):
            return 1
        return _said(client.versions.rollback(revision=model.revision()), as_json=as_json)


def _now(model: ModelState) -> str:
    """What is served, and what was before."""
    served = next((one for one in model.aliases if one.alias == _CHAMPION), None)
    return "none" if served is None else f"{served.version}, before {served.previous or 'none'}"


def _told(row: Version, *, as_json: bool) -> int:
    from gustibus.cli.common import emit

    if as_json:
        emit({"id": row.id, "version": row.version, "digest": row.digest, "state": row.state})
    else:
        sys.stdout.write(f"{row.id} {row.digest[:12]} {row.state}\n")
    return 0


def _said(alias: Alias, *, as_json: bool) -> int:
    from gustibus.cli.common import emit

    if as_json:
        emit({"model": alias.model, "version": alias.version, "previous": alias.previous})
    else:
        sys.stdout.write(f"{alias.model}@{alias.version} is served, before {alias.previous}\n")
    return 0


def _client(url: str) -> Client:
    from gustibus.client import Client

    return Client(url or os.environ.get("GUSTIBUS_URL") or None)


def _served(url: str) -> list[dict[str, Any]]:
    with _client(url) as client:
        return [asdict(one) for one in client.models().data]


def _in_folder(root: Path) -> list[dict[str, Any]]:
    from gustibus.artifact import Artifact

    if not root.is_dir():
        message = f"{root}: no such folder"
        raise NotFoundError(message, where=str(root))
    folders = sorted(found.parent for found in root.glob(f"*/{_MANIFEST}"))
    if (root / _MANIFEST).is_file():
        folders = [root, *folders]
    rows: list[dict[str, Any]] = []
    for folder in folders:
        try:
            artifact = Artifact.load(folder)
        except GustibusError as error:
            rows.append({"id": str(folder), "digest": None, "problem": error.message})
            continue
        encoder = artifact.card.get("encoder")
        rows.append({
            "id": str(folder), "digest": artifact.digest, "family": artifact.model.family,
            "encoder": encoder["name"] if encoder else None,
            "questions": 0 if artifact.pool is None else len(artifact.pool),
            "created": artifact.card.get("created"),
        })  # fmt: skip
    return rows
