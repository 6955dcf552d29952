"""`gustibus keys`: who may use the HTTP API, for what, and how much their answers weigh."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gustibus.cli.common import (
    AtOnceOption,
    JsonOption,
    StoreOption,
    emit,
    opened_store,
    refused,
)
from gustibus.errors import ConfigError, ConflictError, NotFoundError

if TYPE_CHECKING:
    from gustibus.store import Connection
    from gustibus.store.keys import KeyRow

Option = typer.Option


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    keys = typer.Typer(help="Keys of the HTTP API.", no_args_is_help=True)
    keys.command("create")(create_key_command)
    keys.command("list")(list_keys_command)
    keys.command("rotate")(rotate_key_command)
    keys.command("revoke")(revoke_key_command)
    keys.command("trust")(trust_key_command)
    app.add_typer(keys, name="keys")


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
    trusted: Annotated[
        bool, Option("--trusted", help="Its answers may weigh whatever they do in a training.")
    ] = False,
    database: StoreOption = "",
    as_json: JsonOption = False,
) -> int:
    """Create a key and print its secret, once."""
    from gustibus.errors import UnknownNameError
    from gustibus.service.routing import OPERATING, SCOPES
    from gustibus.store import audit, create_key

    if not 1 <= len(name.strip()) <= 128:
        message = f"name: expected 1 to 128 characters that say what the key is for, got {name!r}"
        raise ConfigError(message, where="name")
    until = _expiry(expires)
    scopes = scope or sorted(SCOPES.keys() - OPERATING)
    for one in scopes:
        if one not in SCOPES:
            raise UnknownNameError.of("scope", one, SCOPES)
    limits = _limits(model, cidr) | ({"trusted": True} if trusted else {})
    with opened_store(database) as store, store.write() as conn:
        key = create_key(conn, name=name, scopes=scopes, expires_at=until, **limits)
        audit(conn, actor="cli", action="key.create", what=key.id, scopes=sorted(scopes), **limits)
    if as_json:
        emit({
            "id": key.id, "name": key.name, "scopes": list(key.scopes),
            "expires_at": until and until.isoformat(), "models": key.models, "cidrs": key.cidrs,
            "trusted": key.trusted, "key": key.secret_text,
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


def list_keys_command(*, database: StoreOption = "", as_json: JsonOption = False) -> int:
    """List keys and the day of their last use in UTC, never their secrets."""
    from gustibus.store import list_keys

    with opened_store(database) as store, store.read() as conn:
        rows: list[dict[str, Any]] = [
            {"id": key.id, "state": _state(key), "name": key.name, "scopes": list(key.scopes),
             "expires_at": key.expires_at and key.expires_at.isoformat(),
             "models": key.models, "cidrs": key.cidrs, "trusted": key.trusted,
             "created_at": key.created_at.isoformat(),
             "last_used_day": key.last_used_day and key.last_used_day.isoformat()}
            for key in list_keys(conn)
        ]  # fmt: skip
    if as_json:
        emit(rows)
        return 0
    for row in rows:
        scopes = " ".join(row["scopes"])
        until = f"  until {row['expires_at']}" if row["expires_at"] else ""
        models = f"  for {' '.join(row['models'])}" if row["models"] else ""
        places = f"  from {' '.join(row['cidrs'])}" if row["cidrs"] else ""
        trusted = "  trusted" if row["trusted"] else ""
        used = f"  used {row['last_used_day']}" if row["last_used_day"] else "  never used"
        about = f"{scopes}{models}{places}{trusted}{until}{used}"
        sys.stdout.write(f"{row['id']}  {row['state']:8} {row['name']}  {about}\n")
    return 0


def _state(key: KeyRow) -> str:
    if key.revoked_at:
        return "revoked"
    expired = key.expires_at is not None and key.expires_at <= datetime.now(UTC)
    return "expired" if expired else "live"


def rotate_key_command(
    *,
    name: Annotated[str, typer.Argument(help="Id of the key, or its name if one live key has it.")],
    grace: Annotated[int, Option(min=0, max=24 * 366, help="Hours that the old key goes on.")] = 24,
    database: StoreOption = "",
    as_json: JsonOption = False,
) -> int:
    """Create a key like another, which ends after the grace, and print its secret, once.

    The new key has the name, scopes, limits and trust of the old one, and is live for as long as that was
    made for.

    Example: gustibus keys rotate backend --grace 48
    """
    from gustibus.store import rotate_key

    with opened_store(database) as store, store.write() as conn:
        old = _meant(conn, name)
        made = rotate_key(conn, old=old, grace=timedelta(hours=grace), actor="cli")
    fresh, until = made.fresh, made.old.expires_at
    assert until is not None, "a key that is rotated ends"
    if as_json:
        emit({
            "id": fresh.id, "name": fresh.name, "scopes": sorted(fresh.scopes),
            "expires_at": fresh.expires_at and fresh.expires_at.isoformat(),
            "models": fresh.models, "cidrs": fresh.cidrs, "trusted": fresh.trusted,
            "key": fresh.secret_text, "rotates": old.id, "old_expires_at": until.isoformat(),
        })  # fmt: skip
    else:
        sys.stdout.write(f"{fresh.secret_text}\n")
        sys.stderr.write(f"{old.id}, which it replaces, ends at {until.isoformat()}\n")
    return 0


def _meant(conn: Connection, name: str) -> KeyRow:
    """The key of an id, or the only live one of a name; nobody else changes it meanwhile.

    Raises:
        ConflictError: several live keys have the name.
        NotFoundError: there is none.
    """
    from gustibus.store import get_key, list_keys

    found = get_key(conn, key_id=name, hold=True)
    if found is not None:
        return found
    live = [key.id for key in list_keys(conn) if key.name == name and _state(key) == "live"]
    if len(live) > 1:
        message = (
            f"name: {len(live)} live keys are called {name!r}; name one by its id: {' '.join(live)}"
        )
        raise ConflictError(message, where="name")
    found = get_key(conn, key_id=live[0], hold=True) if live else None
    if found is None:
        message = f"name: there is no live key with the id or name {name!r}"
        raise NotFoundError(message, where="name")
    return found


def revoke_key_command(
    *,
    key_id: Annotated[str, typer.Argument(help="Id of the key.")],
    yes: AtOnceOption = False,
    database: StoreOption = "",
    as_json: JsonOption = False,
) -> int:
    """Revoke a key; every process of the service refuses it from its next look at the database.

    It looks every `GUSTIBUS_REFRESH` seconds of its own setting, 1 by default; on PostgreSQL it is told at
    once as a rule.
    """
    from gustibus.store import audit, get_key, revoke_key

    with opened_store(database) as store:
        with store.read() as conn:
            row = get_key(conn, key_id=key_id)
        if row is not None and refused(f"Revoke the key {key_id} of {row.name!r}?", yes=yes):
            return 1
        with store.write() as conn:
            revoke_key(conn, key_id=key_id)
            audit(conn, actor="cli", action="key.revoke", what=key_id)
    if as_json:
        emit({"id": key_id, "state": "revoked"})
    return 0


def trust_key_command(
    *,
    key_id: Annotated[str, typer.Argument(help="Id of the key.")],
    off: Annotated[bool, Option("--off", help="Trust it no longer.")] = False,
    database: StoreOption = "",
    as_json: JsonOption = False,
) -> int:
    """Trust a key: its answers are not held to 20 % of the loss when a model is trained.

    Example: gustibus keys trust 01jd3m7x9q --database sqlite:///gustibus.db
    """
    from gustibus.store import audit, change_key, get_key

    trusted = not off
    with opened_store(database) as store, store.write() as conn:
        row = get_key(conn, key_id=key_id, hold=True)
        if row is None:
            message = f"key: there is none with the id {key_id!r}"
            raise NotFoundError(message, where="key_id")
        if row.trusted != trusted:
            if change_key(conn, key_id=key_id, seen=row.revision, trusted=trusted) is None:
                message = f"key: {key_id!r} was revoked, and stays as it is"
                raise ConflictError(message, where="key_id")
            audit(conn, actor="cli", action="key.change", what=key_id,
                  trusted=trusted, trusted_before=row.trusted)  # fmt: skip
    if as_json:
        emit({"id": key_id, "trusted": trusted})
    else:
        sys.stdout.write(f"{key_id} is {'trusted' if trusted else 'not trusted'}\n")
    return 0
