"""Keys: made, listed, changed and revoked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from gustibus.client.decoding import decoder
from gustibus.client.wire import Page, Request, body_of, segment, several, whole_body
from gustibus.showing import shown


@dataclass(frozen=True, slots=True)
class Key:
    """A key."""

    id: str
    name: str
    scopes: tuple[str, ...]
    live: bool
    expires_at: datetime | None
    models: tuple[str, ...] | None
    """Names of the models that it is for; None for all."""
    cidrs: tuple[str, ...] | None
    """Ranges of the addresses that it may come from; None for all."""
    revision: int
    """What a change has to name."""
    trusted: bool = False
    """Whether its answers may weigh whatever they do in a training."""
    secret: str | None = None
    """The whole key, told to the call that made it alone."""
    created_at: datetime | None = None
    """None where the service is too old to tell."""
    last_used_day: date | None = None
    """The last day, in UTC, on which a request came with it; None for never, and as above."""

    def __repr__(self) -> str:
        """Without the secret."""
        return shown(self, id=self.id, name=self.name, live=self.live, revision=self.revision)


_ALL = "/v1/keys"


def _one(key: str) -> str:
    return f"{_ALL}/{segment(key)}"


def create_key(
    name: str,
    scopes: Sequence[str],
    *,
    expires_at: datetime | None = None,
    models: Sequence[str] | None = None,
    cidrs: Sequence[str] | None = None,
    trusted: bool | None = None,
    idempotency_key: str | None = None,
) -> Request[Key]:
    """Make a key; its secret is in the reply, and is told once.

    Args:
        name: what it is for.
        scopes: what it may do.
        expires_at: when it ends, with a zone; None for never.
        models: names of the models that it is for; None for all.
        cidrs: ranges of the addresses that it may come from; None for all.
        trusted: whether its answers may weigh whatever they do in a training, instead of 20 % at most;
            None for no.
        idempotency_key: a request that is sent again under it makes no second key.

    Example:
        key = client.keys.create("backend", ["score", "onboard"], cidrs=["10.0.0.0/8"])
        key.secret
    """
    body = body_of(
        name=name, scopes=several("scopes", scopes, "scopes"), expires_at=expires_at, models=models,
        cidrs=cidrs, trusted=trusted,
    )  # fmt: skip
    return Request("POST", _ALL, decoder(Key), body=body, writes=True, key=idempotency_key)


def list_keys(*, limit: int = 100, after: str | None = None) -> Request[Page[Key]]:
    """Keys, revoked ones included, the oldest first.

    Example:
        page = client.keys.list(limit=10)
        live = [one.name for one in client.keys.iterate() if one.live]
        unused = [one.name for one in client.keys.iterate() if one.last_used_day is None]
    """
    return Request("GET", _ALL, decoder(Page[Key]), {"limit": limit, "after": after})


def get_key(key: str) -> Request[Key]:
    """A key without its secret.

    Example:
        key = client.keys.get(key.id)
        key.revision
    """
    return Request("GET", _one(key), decoder(Key))


def update_key(key: str, changes: Mapping[str, Any], *, revision: int) -> Request[Key]:
    """Change a live key.

    Args:
        key: its id.
        changes: of `name`, `scopes`, `expires_at`, `models`, `cidrs` and `trusted`; None takes a
            limit away.
        revision: of the key as it was last read.

    Example:
        key = client.keys.update(key.id, {"scopes": ["score"], "cidrs": None}, revision=key.revision)
    """
    return Request(
        "PATCH", _one(key), decoder(Key), body=whole_body(changes), writes=True, revision=revision
    )


def rotate_key(
    key: str,
    *,
    grace_hours: int | None = None,
    revision: int | None = None,
    idempotency_key: str | None = None,
) -> Request[Key]:
    """Make a key of the same name, scopes, limits and trust; its secret is in the reply, and is told once.

    Args:
        key: id of the old one, which has to be live.
        grace_hours: that the old key goes on; None for 24.
        revision: of the old key, where it must still be at that.
        idempotency_key: a request that is sent again under it makes no second key.

    Example:
        fresh = client.keys.rotate(key.id, grace_hours=1)
        fresh.secret
    """
    body = body_of(grace_hours=grace_hours)
    return Request(
        "POST", f"{_one(key)}:rotate", decoder(Key), body=body, writes=True, revision=revision,
        key=idempotency_key,
    )  # fmt: skip


def revoke_key(key: str, *, revision: int | None = None) -> Request[Key]:
    """Make a key useless; with a `revision` only if it is still at that.

    Processes refuse it from their next look at the store, which they take every `GUSTIBUS_REFRESH`
    seconds (1 by default), on PostgreSQL at once as a rule.

    Example:
        client.keys.revoke(key.id).live
    """
    return Request("DELETE", _one(key), decoder(Key), writes=True, revision=revision)
