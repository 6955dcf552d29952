"""Tokens of onboarding sessions: signed, good for one session and half an hour, kept nowhere."""

from __future__ import annotations

import hmac
import time
from base64 import urlsafe_b64encode
from hashlib import blake2b
from typing import Final, NamedTuple

from gustibus.service.keys import Caller

GOOD_FOR: Final = 30 * 60
"""Seconds that a token lives."""

_PREFIX = "gustibus_session_"


class Token(NamedTuple):
    """What a page needs to run one session."""

    text: str
    expires_at: int
    """Seconds since the epoch."""


def page_of(token: str) -> str:
    """Address of the page that runs a session, relative to the service.

    The token is in the fragment, which no browser sends: it is in no log of a server or a proxy and
    in no `Referer`.
    """
    return f"/onboard#{token}"


class SessionTokens:
    """Makes and checks tokens; every process with the same secret accepts them.

    Args:
        secret: signs tokens.
    """

    def __init__(self, secret: str) -> None:
        self._key = blake2b(secret.encode(), digest_size=32, person=b"onboarding").digest()

    def issue(self, session: str) -> Token:
        """A token for one session."""
        expires = int(time.time()) + GOOD_FOR
        return Token(f"{_PREFIX}{session}.{expires}.{self._mac(session, expires)}", expires)

    def find(self, header: bytes, session: str) -> Caller | None:
        """Who holds this `Authorization` header, None unless it is a live token of the session."""
        until = self._until(header, session)
        live = until is not None and until > time.time()
        return Caller(session, ("onboard",), session=True) if live else None

    def has_ended(self, header: bytes, session: str) -> bool:
        """Whether it was a live token of the session once."""
        until = self._until(header, session)
        return until is not None and until <= time.time()

    def _until(self, header: bytes, session: str) -> int | None:
        """When the token of a header ends, None unless this signed it for the session."""
        scheme, _, token = header.partition(b" ")
        try:
            head, expires, mac = token.decode("ascii").rsplit(".", 2)
            until = int(expires)
        except ValueError:
            return None
        if expires != str(until):  # one token has one form
            return None
        if scheme.lower() != b"bearer" or head != _PREFIX + session:
            return None
        return until if hmac.compare_digest(mac, self._mac(session, until)) else None

    def _mac(self, session: str, expires: int) -> str:
        text = f"{session}.{expires}".encode()
        return urlsafe_b64encode(blake2b(text, digest_size=24, key=self._key).digest()).decode()
