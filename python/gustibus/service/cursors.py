"""Places in a list: opaque and signed, so that a client can hold one but not make one up."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b
from typing import Annotated, Any

from msgspec import Meta, Struct

from gustibus.service.problems import invalid

_MAC = 12

Limit = Annotated[int, Meta(ge=1, le=1000)]
After = Annotated[str, Meta(max_length=400)]


class Page(Struct, forbid_unknown_fields=True):
    """Which part of a list is wanted."""

    limit: Limit = 100
    after: After | None = None


class Cursors:
    """Seals and opens cursors; they hold across processes and deployments.

    Args:
        secret: signs cursors.
    """

    def __init__(self, secret: str) -> None:
        self._key = blake2b(secret.encode(), digest_size=32, person=b"cursors").digest()

    def seal(self, kind: str, name: str) -> str:
        """The cursor after a row of a list."""
        return urlsafe_b64encode(self._mac(kind, name) + name.encode()).decode().rstrip("=")

    def open(self, kind: str, cursor: str | None) -> str | None:
        """The row that a cursor stands behind, None for the beginning.

        Raises:
            Problem: 422 for anything that `seal` did not make for this list.
        """
        if cursor is None:
            return None
        try:
            data = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
            name = data[_MAC:].decode()
        except ValueError:
            name, data = "", b""
        if not hmac.compare_digest(data[:_MAC], self._mac(kind, name)):
            raise invalid("query:after", "expected the `next` of an earlier page of this list")
        return name

    def _mac(self, kind: str, name: str) -> bytes:
        text = f"{kind}\0{name}".encode()
        return blake2b(text, digest_size=_MAC, key=self._key).digest()


def page_of(rows: list[Any], limit: int) -> tuple[list[Any], bool]:
    """The rows of one page and whether more follow, from `limit + 1` rows."""
    return rows[:limit], len(rows) > limit
