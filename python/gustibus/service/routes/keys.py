"""Keys: made, listed and revoked; a secret is shown once and kept as a digest."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal, cast

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from gustibus.service.addresses import normal_range, normal_ranges, within
from gustibus.service.call import Call, Reply, encode, ok
from gustibus.service.cursors import Page, page_of
from gustibus.service.decoding import refuse_unstorable
from gustibus.service.ids import LAST
from gustibus.service.once import given_again, once
from gustibus.service.problems import Problem, invalid
from gustibus.service.routing import SCOPES, STORE, Route
from gustibus.store import (
    Connection,
    KeyRow,
    audit,
    change_key,
    create_key,
    get_key,
    list_keys,
    revoke_key,
    rotate_key,
)

MAX_MODELS = 32
MAX_CIDRS = 64
MAX_GRACE = 24 * 366
"""Hours that a key may go on beside the one that replaces it."""
GRACE = 24
"""The same where nobody says."""
MODEL_NAME = "^[A-Za-z0-9._-]{1,64}$"

_SHOWN = "keys"  # kind of the list, for its cursors

Name = Annotated[str, Meta(min_length=1, max_length=128)]
Scope = Annotated[str, Meta(extra_json_schema={"enum": sorted(SCOPES)})]
Scopes = Annotated[list[Scope], Meta(min_length=1, max_length=32)]
Moment = Annotated[datetime, Meta(tz=True)]
Models = Annotated[
    list[Annotated[str, Meta(pattern=MODEL_NAME + LAST)]], Meta(min_length=1, max_length=MAX_MODELS)
]
Cidrs = Annotated[
    list[Annotated[str, Meta(max_length=64)]], Meta(min_length=1, max_length=MAX_CIDRS)
]


class PostKey(Struct, forbid_unknown_fields=True):
    """What the key is called and what it may do; no more than the key that makes it."""

    name: Name
    scopes: Scopes
    expires_at: Moment | None = None
    models: Models | None = None
    """Names of the models that it is for, as `GUSTIBUS_MODEL_NAME` says them; null for all."""
    cidrs: Cidrs | None = None
    """Ranges of the addresses that it may come from, of IPv4 and IPv6; null for all."""
    trusted: bool = False
    """Whether its answers may weigh whatever they do in a training, instead of 20 % at most."""


class PatchKey(Struct, forbid_unknown_fields=True):
    """What changes; what is left out stays, and null takes a limit away."""

    name: Name | UnsetType = UNSET
    scopes: Scopes | UnsetType = UNSET
    expires_at: Moment | UnsetType | None = UNSET
    models: Models | UnsetType | None = UNSET
    cidrs: Cidrs | UnsetType | None = UNSET
    trusted: bool | UnsetType = UNSET


class RotateKey(Struct, forbid_unknown_fields=True):
    """How long the old key goes on."""

    grace_hours: Annotated[int, Meta(ge=0, le=MAX_GRACE)] = GRACE
    """From now; a key that would end sooner does."""


class Key(Struct, omit_defaults=True):
    """A key; the secret is in the reply that makes it and nowhere else."""

    id: str
    object: Literal["key"]
    name: str
    scopes: list[str]
    live: bool
    expires_at: datetime | None
    models: list[str] | None
    cidrs: list[str] | None
    trusted: bool
    """Whether its answers may weigh whatever they do in a training."""
    revision: int
    """What a change has to name; it is the `ETag`, too."""
    created_at: datetime
    last_used_day: date | None
    """The last day, in UTC, on which a request came with it, known some seconds later; null for never."""
    secret: str | None = None


class Keys(Struct):
    """A page of keys, the oldest first."""

    object: Literal["list"]
    data: list[Key]
    has_more: bool
    next: str | None


class _Made(Struct):
    id: str


def _show(row: KeyRow) -> Key:
    now = datetime.now(UTC)
    live = row.revoked_at is None and (row.expires_at is None or row.expires_at > now)
    return Key(
        row.id, "key", row.name, sorted(row.scopes), live, row.expires_at, _list(row.models),
        _list(row.cidrs), row.trusted, row.revision, row.created_at, row.last_used_day,
        row.secret_text,
    )  # fmt: skip


def _list(values: Iterable[str] | None) -> list[str] | None:
    return None if values is None else list(values)


def _etag(row: KeyRow) -> str:
    return f'"{row.revision}"'


def _told(row: KeyRow) -> Reply:
    return ok(_show(row), etag=_etag(row))


async def post(call: Call) -> Reply:
    """Make a key."""
    body, caller = call.read(PostKey), call.caller
    assert caller is not None, "the route needs a key"
    values = _checked(call, msgspec.structs.asdict(body))
    _refuse_more(call, values["scopes"])
    made: list[KeyRow] = []

    def work(conn: Connection) -> Reply:
        row = create_key(conn, **values)
        limits = {name: values[name] for name in ("models", "cidrs") if values[name] is not None}
        limits |= {"trusted": True} if values["trusted"] else {}
        audit(conn, actor=caller.id, action="key.create", what=row.id,
              request_id=call.request_id, scopes=values["scopes"], **limits)  # fmt: skip
        made.append(row)
        return Reply(
            201, encode(_show(replace(row, secret_text=None)))
        )  # kept, so without the secret

    _refuse_again(await once(call, work))
    return ok(_show(made[-1]), 201, etag=_etag(made[-1]))


def _refuse_again(reply: Reply) -> None:
    """Tell no secret a second time.

    Raises:
        Problem: 409.
    """
    if given_again(reply):
        name = msgspec.json.decode(reply.body, type=_Made).id
        detail = f"The key {name} was made by this request before; its secret was told once"
        raise Problem("conflict", f"{detail}. Revoke it and make another if the secret was lost")


def _refuse_more(call: Call, scopes: Iterable[str], had: Iterable[str] = ()) -> None:
    """Let nobody give a scope that is not their own, nor the key's by now.

    Raises:
        Problem: 403.
    """
    for scope in sorted(set(scopes) - set(had)):
        call.need(scope)


def _checked(call: Call, given: dict[str, Any]) -> dict[str, Any]:
    """Values of a key in the form in which they are kept.

    Args:
        call: the request; its key may be no more limited than what it gives.
        given: by the name of the field.

    Raises:
        Problem: 403 or 422 with a pointer.
    """
    values = dict(given)
    if "name" in given:
        refuse_unstorable(given["name"], "/name")
    if "scopes" in given:
        for place, scope in enumerate(given["scopes"]):
            if scope not in SCOPES:
                detail = f"expected one of {sorted(SCOPES)}, got {scope!r}"
                raise invalid(f"/scopes/{place}", detail)
        values["scopes"] = sorted(set(given["scopes"]))
    if given.get("expires_at") is not None:
        _check_expiry(given["expires_at"])
    if "models" in given:
        values["models"] = _checked_models(call, given["models"])
    if "cidrs" in given:
        values["cidrs"] = _checked_cidrs(call, given["cidrs"])
    return values


def _check_expiry(until: datetime) -> None:
    if not 2000 <= until.year <= 9998:
        raise invalid("/expires_at", "expected a year from 2000 to 9998")
    if until <= datetime.now(UTC):
        raise invalid("/expires_at", "expected a time to come: the key would never be live")


def _checked_models(call: Call, given: list[str] | None) -> list[str] | None:
    mine = None if call.caller is None else call.caller.models
    if mine is not None and (given is None or not mine.issuperset(given)):
        raise _too_wide("/models", sorted(mine))
    return None if given is None else sorted(set(given))


def _checked_cidrs(call: Call, given: list[str] | None) -> list[str] | None:
    for place, text in enumerate(given or ()):
        try:
            normal_range(text)
        except ValueError as error:
            raise invalid(f"/cidrs/{place}", str(error)) from None
    ranges = None if given is None else normal_ranges(given)
    mine = None if call.caller is None else call.caller.cidrs
    if mine is not None and (ranges is None or not within(ranges, mine)):
        raise _too_wide("/cidrs", list(mine))
    return ranges


def _too_wide(pointer: str, mine: list[str]) -> Problem:
    detail = f"{pointer}: this key is limited to {mine} itself; send some of these"
    return Problem("forbidden", detail, errors=[(pointer, detail)])


async def list_all(call: Call) -> Reply:
    """A page of keys."""
    page, state = call.query(Page), call.state
    after = state.cursors.open(_SHOWN, page.after) or ""
    rows, more = page_of(
        await state.threads.read(lambda conn: list_keys(conn, after=after, limit=page.limit + 1)),
        page.limit,
    )
    following = state.cursors.seal(_SHOWN, rows[-1].id) if more else None
    return ok(Keys("list", [_show(row) for row in rows], more, following))


async def show(call: Call) -> Reply:
    """One key, with its revision as `ETag`."""
    name = call.param("key")
    row = await call.state.threads.read(lambda conn: get_key(conn, key_id=name))
    if row is None:
        raise _no_key(name)
    return _told(row)


async def patch(call: Call) -> Reply:
    """Change what a live key is called, may do, is limited to and counts for; everywhere at the next look."""
    body, name, caller = call.read(PatchKey), call.param("key"), call.caller
    assert caller is not None, "the route needs a key"
    given = {
        field: value for field, value in msgspec.structs.asdict(body).items() if value is not UNSET
    }
    values = _checked(call, given)

    def work(conn: Connection) -> KeyRow:
        row = _held(conn, name, call.seen)
        _refuse_more(call, given.get("scopes", ()), row.scopes)
        if row.revoked_at is not None:
            raise Problem("conflict", f"The key {name!r} was revoked, and stays as it is")
        before = {field: _plain(getattr(row, field)) for field in given}
        changed = {field: value for field, value in values.items() if value != before[field]}
        if not changed:
            return row
        found = change_key(conn, key_id=name, seen=call.seen, **changed)
        assert found is not None, "the transaction holds the key"
        was = {f"{field}_before": _noted(before[field]) for field in changed}
        is_now = {field: _noted(value) for field, value in changed.items()}
        audit(conn, actor=caller.id, action="key.change", what=name,
              request_id=call.request_id, **is_now, **was)  # fmt: skip
        return found

    return _told(await call.state.threads.write(work))


def _plain(value: Any) -> Any:
    """A value of a row in the form of `_checked`."""
    if isinstance(value, frozenset):
        return sorted(value)
    return list(value) if isinstance(value, tuple) else value


def _noted(value: Any) -> str | bool | list[str] | None:
    """A value as the audit log holds it."""
    return (
        value.isoformat()
        if isinstance(value, datetime)
        else cast("str | bool | list[str] | None", value)
    )


async def revoke(call: Call) -> Reply:
    """Make a key useless, in every process at its next look at the store; a revision is checked if named."""
    name, caller = call.param("key"), call.caller
    assert caller is not None, "the route needs a key"

    def work(conn: Connection) -> KeyRow:
        _held(conn, name, call.seen)
        revoke_key(conn, key_id=name)
        audit(conn, actor=caller.id, action="key.revoke", what=name,
              request_id=call.request_id)  # fmt: skip
        row = get_key(conn, key_id=name)
        assert row is not None, "the transaction holds the key"
        return row

    return _told(await call.state.threads.write(work))


async def rotate(call: Call) -> Reply:
    """Make a key like another, which goes on for the grace; no more than the key that does it may do."""
    grace, name, caller = call.read_optional(RotateKey).grace_hours, call.param("key"), call.caller
    assert caller is not None, "the route needs a key"
    made: list[KeyRow] = []

    def work(conn: Connection) -> Reply:
        old = _held(conn, name, call.seen)
        _refuse_more(call, old.scopes)
        _checked_models(call, _list(old.models))
        _checked_cidrs(call, _list(old.cidrs))
        if not _show(old).live:
            raise Problem("conflict", f"The key {name!r} is not live, and stays as it is")
        fresh, _ = rotate_key(
            conn, old=old, grace=timedelta(hours=grace), actor=caller.id,
            request_id=call.request_id,
        )  # fmt: skip
        made.append(fresh)
        return Reply(201, encode(_show(replace(fresh, secret_text=None))))

    _refuse_again(await once(call, work))
    return ok(_show(made[-1]), 201, etag=_etag(made[-1]))


def _held(conn: Connection, name: str, seen: int) -> KeyRow:
    """A key that nobody else changes until the transaction ends.

    Raises:
        Problem: 404 when there is none, 412 when its revision is another than was seen.
    """
    row = get_key(conn, key_id=name, hold=True)
    if row is None:
        raise _no_key(name)
    if seen not in {-1, row.revision}:
        raise Problem("etag_mismatch", f"The key {name!r} is not at revision {seen}; read it again")
    return row


def _no_key(name: str) -> Problem:
    return Problem("not_found", f"There is no key {name!r}")


_ONE = "/v1/keys/{key}"

ROUTES = (
    Route(
        "POST", "/v1/keys", "post_key", "admin", post, "Operations", "Make a key.",
        request=PostKey, response=Key, status=201, problems=("conflict", *STORE), idempotent=True,
        revised=True, example={"name": "backend", "scopes": ["score", "onboard"], "cidrs": ["10.0.0.0/8"]},
    ),
    Route(
        "GET", "/v1/keys", "list_keys", "admin", list_all, "Operations", "Keys, the oldest first.",
        query=Page, response=Keys, problems=STORE,
    ),
    Route(
        "GET", _ONE, "get_key", "admin", show, "Operations", "A key without its secret.",
        response=Key, problems=("not_found", *STORE), revised=True,
    ),
    Route(
        "PATCH", _ONE, "patch_key", "admin", patch, "Operations",
        "Change what a key is called, may do and is limited to.",
        request=PatchKey, response=Key, problems=("not_found", "conflict", *STORE),
        conditional=True, matched=True, revised=True,
        example={"scopes": ["score"], "cidrs": ["10.0.0.0/8", "2001:db8::/32"]},
    ),
    Route(
        "POST", _ONE + ":rotate", "rotate_key", "admin", rotate, "Operations",
        "Make a key like another, which ends after a grace.",
        request=RotateKey, optional=True, response=Key, status=201,
        problems=("not_found", "conflict", *STORE), idempotent=True, matched=True, revised=True,
        example={"grace_hours": 24},
    ),
    Route(
        "DELETE", _ONE, "revoke_key", "admin", revoke, "Operations",
        "Make a key useless; without `If-Match` whatever it is by now.",
        response=Key, problems=("not_found", *STORE), matched=True, revised=True,
    ),
)  # fmt: skip
