"""`gustibus users`: what is held about a person, and its removal."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from gustibus.cli.common import JsonOption, YesOption, confirmed, writable
from gustibus.cli.records import DatabaseOption, UrlOption

UserArgument = Annotated[str, typer.Argument(help="Id of the person.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    users = typer.Typer(help="People of a service or a database.", no_args_is_help=True)
    users.command("show")(show_command)
    users.command("export")(export_command)
    users.command("delete")(delete_command)
    users.command("restrict")(restrict_command)
    users.command("unrestrict")(unrestrict_command)
    users.command("consent")(consent_command)
    app.add_typer(users, name="users")


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
        removed = records.delete(user)
    if as_json:
        emit({"user": user, "removed": removed})
    else:
        told = ", ".join(f"{count} {name}" for name, count in removed.items() if count)
        sys.stdout.write(f"removed {user}: {told or 'nothing was held'}\n")
    return 0


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
