"""`gustibus users`: what is held about a person, and its removal."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gustibus.cli.common import JsonOption, YesOption, confirmed, opened_store, writable
from gustibus.cli.records import DatabaseOption, UrlOption
from gustibus.errors import ConfigError, InputError, NotFoundError

if TYPE_CHECKING:
    pass

UserArgument = Annotated[str, typer.Argument(help="Id of the person.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    users = typer.Typer(help="People of a service or a database.", no_args_is_help=True)
    users.command("list")(list_command)
    users.command("show")(show_command)
    users.command("export")(export_command)
    users.command("delete")(delete_command)
    users.command("trained")(trained_command)
    users.command("verify")(verify_command)
    users.command("restrict")(restrict_command)
    users.command("unrestrict")(unrestrict_command)
    users.command("release")(release_command)
    users.command("consent")(consent_command)
    app.add_typer(users, name="users")


def list_command(
    *,
    state: Annotated[
        str, typer.Option("--state", help="Only people who are `restricted` or `quarantined`.")
    ] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="Most people.")] = 100,
    url: UrlOption = "",
    database: DatabaseOption = "",
    as_json: JsonOption = False,
) -> int:
    """List people by name, with their state, and why somebody is in quarantine.

    Example: gustibus users list --state quarantined
    """
    from gustibus.cli.common import emit
    from gustibus.cli.records import opened

    if state not in {"", "restricted", "quarantined"}:
        message = f"--state: expected restricted or quarantined, got {state!r}"
        raise ConfigError(message, where="--state")
    with opened(url, database) as records:
        found = records.people(state or None, limit)
    if as_json:
        emit(found)
        return 0
    for one in found:
        why = f"  {', '.join(one['signals'])}" if one["signals"] else ""
        sys.stdout.write(f"{one['id']}  {one['state']}  {one['comparisons']} comparisons{why}\n")
    return 0


def show_command(
    *,
    user: UserArgument,
    url: UrlOption = "",
    database: DatabaseOption = "",
    as_json: JsonOption = False,
) -> int:
    """Show a person: how many answers, which state, which attributes."""
    from gustibus.cli.common import emit
    from gustibus.cli.records import opened

    with opened(url, database) as records:
        found = records.show(user)
    if as_json:
        emit(found)
        return 0
    wide = max(map(len, found))
    sys.stdout.write("".join(f"{name:{wide}}  {value}\n" for name, value in found.items()))
    return 0


def export_command(
    *,
    user: UserArgument,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A .jsonl file; without, stdout.")
    ] = None,
    url: UrlOption = "",
    database: DatabaseOption = "",
    as_json: JsonOption = False,
) -> int:
    """Everything held about a person, one JSON value a line, or one document with --json."""
    from gustibus.cli.common import emit
    from gustibus.cli.records import opened

    if output is not None:
        writable(output, "--output")
    with opened(url, database) as records:
        rows = records.export(user)
    text = "".join(json.dumps(row) + "\n" for row in rows)
    if output is not None:
        output.write_text(text, encoding="utf-8")
        told = {"output": str(output), "rows": len(rows)}
        if as_json:
            emit(told)
        else:
            sys.stdout.write(f"{len(rows)} rows in {output}\n")
    elif as_json:
        emit(rows)
    else:
        sys.stdout.write(text)
    return 0


def delete_command(
    *,
    user: UserArgument,
    yes: YesOption = False,
    url: UrlOption = "",
    database: DatabaseOption = "",
    as_json: JsonOption = False,
) -> int:
    """Remove everything that names a person, for ever."""
    from gustibus.cli.common import emit
    from gustibus.cli.records import opened

    with opened(url, database) as records:
        if not yes:
            held = records.show(user)["comparisons"]
            if not confirmed(f"Remove {user!r} with {held} comparisons, for ever?"):
                sys.stderr.write("nothing was removed\n")
                return 1
        done = records.delete(user)
    if as_json:
        emit({"user": user, **done})
        return 0
    told = ", ".join(f"{count} {name}" for name, count in done["removed"].items() if count)
    sys.stdout.write(f"removed {user}: {told or 'nothing was held'}\n")
    statement = done["statement"] or {}
    for models, verb in (("trained_on", "were"), ("unknown", "may have been")):
        if statement.get(models):
            sys.stdout.write(f"{verb} trained on {user}: {', '.join(sorted(statement[models]))}\n")
    return 0


def trained_command(
    *,
    user: UserArgument,
    database: DatabaseOption = "",
    as_json: JsonOption = False,
) -> int:
    """Which versions of the model were trained on a person, also on one who was deleted since.

    It asks the keyed hashes that trainings by the service leave, in the folder of GUSTIBUS_MODELS.

    Example: gustibus users trained ada
    """
    from gustibus.cli.common import emit
    from gustibus.service.membership import look, named, places_of
    from gustibus.service.settings import Settings
    from gustibus.store import known_key

    with opened_store(database) as store, store.read() as conn:
        places, key = places_of(conn, Settings.from_env()), known_key(conn)
    asked = look(places, user=user, key=key or b"")
    told = {
        "user": user, "trained_on": named(places, asked, answer=True),
        "not_trained_on": named(places, asked, answer=False),
        "unknown": named(places, asked, answer=None),
    }  # fmt: skip
    if as_json:
        emit(told)
        return 0
    words = {True: "trained on them", False: "not trained on them", None: "does not tell"}
    for place in places:
        sys.stdout.write(f"{place.label:32} {place.digest[:12]:12}  {words[asked[place.digest]]}\n")
    if not places:
        sys.stdout.write("there are no models\n")
    return 0


def verify_command(
    *,
    file: Annotated[
        Path,
        typer.Argument(help="JSON with a statement, as `delete --json`, the API or a job gives."),
    ],
    user: Annotated[
        str, typer.Option("--user", help="Whom it should be of; without, whoever it is of.")
    ] = "",
    database: DatabaseOption = "",
    as_json: JsonOption = False,
) -> int:
    """Check the signature of a statement of what was removed; exit code 1 where it is not of this database.

    Example: gustibus users verify ada.json --user ada
    """
    from gustibus.cli.common import emit
    from gustibus.service.statements import is_signed
    from gustibus.store import hashed_user, known_key

    statement = _statement(file)
    with opened_store(database) as store, store.read() as conn:
        key = known_key(conn)
        name = hashed_user(conn, user) if user and key is not None else ""
    whole = key is not None and is_signed(key, statement)
    theirs = not user or statement.get("user") == name
    if as_json:
        emit({"signed": whole, "user": theirs if user else None, "statement": statement})
    elif not whole:
        sys.stdout.write("not signed with the key of this database, or altered since\n")
    elif not theirs:
        sys.stdout.write(f"signed with the key of this database, and not of {user}\n")
    else:
        whose = f" for {user}" if user else ""
        sys.stdout.write(f"signed with the key of this database{whose}: {statement.get('at')}\n")
    return 0 if whole and theirs else 1


def _statement(file: Path) -> dict[str, Any]:
    """The statement of a file, or of the reply or the job that is in it.

    Raises:
        NotFoundError: there is no such file.
        InputError: it has no statement.
    """
    if not file.is_file():
        message = f"file: {file}: no such file"
        raise NotFoundError(message, where="file")
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        found = None
    for name in ("result", "statement"):
        if isinstance(found, dict) and isinstance(found.get(name), dict):
            found = found[name]
    if not isinstance(found, dict) or "signature" not in found:
        message = f"file: {file}: expected JSON with a statement of a deletion, there is none in it"
        raise InputError(message, where="file")
    return found


def restrict_command(
    *,
    user: UserArgument,
    url: UrlOption = "",
    database: DatabaseOption = "",
    as_json: JsonOption = False,
) -> int:
    """Keep what a person has said and use nothing of it: no fit, no questions, no training.

    Scores of theirs are those of the population until `gustibus users unrestrict`.

    Example: gustibus users restrict ada
    """
    return _changed(user, url, database, lift=False, as_json=as_json)


def unrestrict_command(
    *,
    user: UserArgument,
    url: UrlOption = "",
    database: DatabaseOption = "",
    as_json: JsonOption = False,
) -> int:
    """Lift the restriction of a person, who is fitted from all that they have said.

    Example: gustibus users unrestrict ada
    """
    return _changed(user, url, database, lift=True, as_json=as_json)


def _changed(user: str, url: str, database: str, *, lift: bool, as_json: bool) -> int:
    from gustibus.cli.common import emit
    from gustibus.cli.records import opened

    with opened(url, database) as records:
        found = records.restrict(user, lift=lift)
    if as_json:
        emit(found)
    else:
        sys.stdout.write(f"{user}: {found['state']}, {found['comparisons']} comparisons kept\n")
    return 0


def release_command(
    *,
    user: UserArgument,
    url: UrlOption = "",
    database: DatabaseOption = "",
    as_json: JsonOption = False,
) -> int:
    """Lift the quarantine of a person: what they have said is trained on again, and not held against them.

    Over a service it needs a key with the scope `admin`.

    Example: gustibus users release ada
    """
    from gustibus.cli.common import emit
    from gustibus.cli.records import opened

    with opened(url, database) as records:
        found = records.release(user)
    if as_json:
        emit(found)
    else:
        sys.stdout.write(f"{user}: {found['state']}, {found['comparisons']} comparisons kept\n")
    return 0


def consent_command(
    *,
    user: UserArgument,
    follow_ups: Annotated[
        bool | None,
        typer.Option(
            "--follow-ups/--no-follow-ups",
            help="Whether what they say next may be read as a preference; without, what they said.",
        ),
    ] = None,
    url: UrlOption = "",
    database: DatabaseOption = "",
    as_json: JsonOption = False,
) -> int:
    """Show or change whether a person's next turns may teach their reward; a no removes what they taught.

    Example: gustibus users consent ada --no-follow-ups
    """
    from gustibus.cli.common import emit
    from gustibus.cli.records import opened

    with opened(url, database) as records:
        found = records.consent(user, follow_ups=follow_ups)
    if as_json:
        emit(found)
        return 0
    said = {True: "yes", False: "no", None: "nothing on record"}[found["follow_ups"]]
    removed = f"; {found['removed']} comparisons removed" if found["removed"] else ""
    sys.stdout.write(f"{user}: {said}{removed}\n")
    return 0
