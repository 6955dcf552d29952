"""Keys: made, listed and revoked; a secret is shown once and kept as a digest."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from gustibus.service.call import Call, Reply, encode, ok
from gustibus.service.decoding import refuse_unstorable
from gustibus.service.once import given_again, once
from gustibus.service.problems import Problem, invalid
from gustibus.service.routing import SCOPES, STORE, Route
from gustibus.store import Connection, KeyRow, audit, create_key, list_keys, revoke_key

Scope = Annotated[str, Meta(extra_json_schema={"enum": sorted(SCOPES)})]


class PostKey(Struct, forbid_unknown_fields=True):
    """What the key is called and what it may do; no more than the key that makes it."""

    name: Annotated[str, Meta(min_length=1, max_length=128)]
    scopes: Annotated[list[Scope], Meta(min_length=1, max_length=32)]
    expires_at: Annotated[datetime, Meta(tz=True)] | None = None


class Key(Struct, omit_defaults=True):
    """A key; the secret is in the reply that makes it and nowhere else."""

    id: str
    object: Literal["key"]
    name: str
    scopes: list[str]
    live: bool
    expires_at: datetime | None
    secret: str | None = None


class Keys(Struct):
    """Every key, the oldest first."""

    object: Literal["list"]
    data: list[Key]


def _show(row: KeyRow) -> Key:
    now = datetime.now(UTC)
    live = row.revoked_at is None and (row.expires_at is None or row.expires_at > now)
    return Key(row.id, "key", row.name, sorted(row.scopes), live, row.expires_at, row.secret_text)


async def post(call: Call) -> Reply:
    """Make a key."""
    body, caller = call.read(PostKey), call.caller
    assert caller is not None, "the route needs a key"
    refuse_unstorable(body.name, "/name")
    for place, scope in enumerate(body.scopes):
        if scope not in SCOPES:
            raise invalid(f"/scopes/{place}", f"expected one of {sorted(SCOPES)}, got {scope!r}")
        call.need(scope)
    if body.expires_at is not None:
        if not 2000 <= body.expires_at.year <= 9998:
            raise invalid("/expires_at", "expected a year from 2000 to 9998")
        if body.expires_at <= datetime.now(UTC):
            raise invalid("/expires_at", "expected a time to come: the key would never be live")
    made: list[KeyRow] = []

    def work(conn: Connection) -> Reply:
        row = create_key(conn, name=body.name, scopes=set(body.scopes), expires_at=body.expires_at)
        audit(conn, actor=caller.id, action="key.create", what=row.id,
              request_id=call.request_id, scopes=sorted(set(body.scopes)))  # fmt: skip
        made.append(row)
        return Reply(
            201, encode(_show(replace(row, secret_text=None)))
        )  # kept, so without the secret

    reply = await once(call, work)
    if given_again(reply):
        name = msgspec.json.decode(reply.body, type=Key).id
        detail = f"The key {name} was made by this request before; its secret was told once"
        raise Problem("conflict", f"{detail}. Revoke it and make another if the secret was lost")
    return reply._replace(body=encode(_show(made[-1])))


async def list_all(call: Call) -> Reply:
    """Every key."""
    rows = await call.state.threads.read(list_keys)
    return ok(Keys("list", [_show(row) for row in rows]))


async def revoke(call: Call) -> Reply:
    """Make a key useless, in every process within seconds."""
    name, caller = call.param("key"), call.caller
    assert caller is not None, "the route needs a key"

    def work(conn: Connection) -> KeyRow | None:
        known = {row.id: row for row in list_keys(conn)}
        if name not in known:
            return None
        revoke_key(conn, key_id=name)
        audit(conn, actor=caller.id, action="key.revoke", what=name,
              request_id=call.request_id)  # fmt: skip
        return next(row for row in list_keys(conn) if row.id == name)

    row = await call.state.threads.write(work)
    if row is None:
        raise Problem("not_found", f"There is no key {name!r}")
    return ok(_show(row))


ROUTES = (
    Route(
        "POST", "/v1/keys", "post_key", "admin", post, "Operations", "Make a key.",
        request=PostKey, response=Key, status=201, problems=("conflict", *STORE), idempotent=True,
        example={"name": "backend", "scopes": ["score", "onboard"]},
    ),
    Route(
        "GET", "/v1/keys", "list_keys", "admin", list_all, "Operations", "Every key.",
        response=Keys, problems=STORE,
    ),
    Route(
        "DELETE", "/v1/keys/{key}", "revoke_key", "admin", revoke, "Operations",
        "Make a key useless.", response=Key, problems=("not_found", *STORE),
    ),
)  # fmt: skip
