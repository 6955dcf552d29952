"""Keys in memory: who may do what, and how much of it a second."""

from __future__ import annotations

import hmac
import time
from base64 import b64decode
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from hashlib import sha256

from gustibus.service.addresses import Address, among, network_of
from gustibus.service.leases import UNLIMITED, Bucket, Leased
from gustibus.store import KEY_PREFIX, KeyRow

_SECRET = 43  # characters of a secret at the end of a key
_PLACES = 1024  # addresses of which a key remembers whether it is good there


class Caller:
    """Somebody with a live key, or with a token of a session.

    Args:
        name: id of the key, for the log.
        scopes: what it allows.
        digest: SHA-256 of the secret.
        expires: seconds since the epoch, None for never.
        units: what it may use of them.
        models: names of the models that it is for, None for all.
        cidrs: ranges of the addresses that it may come from, None for all.
        session: whether it is no key but the token of a session, whose id the name is then.
    """

    __slots__ = (
        "_networks", "_places", "cidrs", "digest", "expires", "id", "limited", "models", "opened", "scopes",
        "session", "units",
    )  # fmt: skip

    def __init__(
        self, name: str, scopes: Iterable[str], *, digest: bytes = b"",
        expires: float | None = None, units: Bucket | Leased = UNLIMITED,
        models: Iterable[str] | None = None, cidrs: Sequence[str] | None = None,
        session: bool = False,
    ) -> None:  # fmt: skip
        self.id = name
        self.scopes = frozenset(scopes)
        self.digest = digest
        self.expires = expires
        self.models = None if models is None else frozenset(models)
        self.cidrs = cidrs
        self.session = session
        self._networks = tuple(map(network_of, cidrs or ()))
        self._places: dict[Address | None, bool] = {}
        self.limited = models is not None or cidrs is not None
        self.units = units
        self.opened = [0]
        """Scoring requests that are being answered; shared with the same key when it is loaded again."""

    def comes_from(self, address: Address | None) -> bool:
        """Whether the key may be used at an address."""
        if self.cidrs is None:
            return True
        found = self._places.get(address)
        if found is None:
            if len(self._places) >= _PLACES:
                self._places.clear()
            found = self._places[address] = among(address, self._networks)
        return found

    def is_for(self, model: str) -> bool:
        """Whether the key may use a model, of which a version, alias or digest may be named, too."""
        return self.models is None or model.partition("@")[0] in self.models

    def inherit(self, old: Caller) -> None:
        """Keep the balance of the same key as it was loaded before."""
        self.units, self.opened = old.units, old.opened


class KeyTable:
    """Live keys by all of a key that stands before its secret, so that there is one form of each.

    Args:
        units: what a key may use of them, by its id.
    """

    def __init__(self, units: Callable[[str], Bucket | Leased]) -> None:
        self._callers: dict[bytes, Caller] = {}
        self._units = units

    def __len__(self) -> int:
        return len(self._callers)

    def load(self, rows: Iterable[KeyRow]) -> None:
        """Replace every key; those revoked are left out."""
        old, fresh = self._callers, {}
        for row in rows:
            if row.revoked_at is not None:
                continue
            expires = None if row.expires_at is None else _seconds(row.expires_at)
            caller = Caller(
                row.id, row.scopes, digest=row.secret_sha256, expires=expires,
                models=row.models, cidrs=row.cidrs,
            )  # fmt: skip
            head = f"{KEY_PREFIX}{row.id}_".encode()
            before = old.get(head)
            if before is None:
                caller.units = self._units(row.id)
            else:
                caller.inherit(before)
            fresh[head] = caller
        self._callers = fresh

    def find(self, header: bytes) -> Caller | None:
        """Who sent this `Authorization` header, None when nobody is known to have.

        The key is found by what stands before its secret, separators included; the secret is compared as a
        digest and in constant time.
        """
        scheme, _, key = header.partition(b" ")
        if scheme.lower() != b"bearer":
            return None
        caller = self._callers.get(key[:-_SECRET])
        if caller is None:
            return None
        if not hmac.compare_digest(sha256(key[-_SECRET:]).digest(), caller.digest):
            return None
        if caller.expires is not None and caller.expires <= time.time():
            return None
        return caller


def is_bearer(header: bytes) -> bool:
    """Whether an `Authorization` header is of the kind that keys come in."""
    return header[:7].lower() == b"bearer "


def as_bearer(header: bytes) -> bytes:
    """`Authorization: Basic` with a key as the password, as bearer; anything else as it is."""
    scheme, _, told = header.partition(b" ")
    if scheme.lower() != b"basic":
        return header
    try:
        _, _, key = b64decode(told, validate=True).partition(b":")
    except ValueError:
        return header
    return b"Bearer " + key


def _seconds(moment: datetime) -> float:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.timestamp()
