"""Headers of requests, by their names, and what some of them say."""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from typing import Any

from gustibus.service.problems import Problem

Scope = MutableMapping[str, Any]
"""What the server knows of a request (ASGI)."""
Headers = dict[bytes, bytes]
"""Values by names in lower case; of a name that stands twice the last, or all of what is a list."""

_LISTS = frozenset({b"if-match", b"if-none-match", b"accept", b"accept-encoding"})
"""Headers whose lines are parts of one list (RFC 9110, section 5.3)."""
_ONCE = {
    name.lower().encode(): name
    for name in ("Authorization", "Content-Encoding", "Content-Type", "Idempotency-Key",
                 "X-Deadline-Ms", "X-Request-Id")
}  # fmt: skip
"""Headers of one value: of two, one would be left out, and nobody would know which."""
_ETAG = re.compile(rb'"([1-9][0-9]{0,8})"')


def headers_of(scope: Scope) -> tuple[Headers, int, str]:
    """The headers by their name, how many bytes they are, and one that is there twice and may not be."""
    headers: Headers = {}
    size, twice = 0, ""
    for name, value in scope["headers"]:
        size += len(name) + len(value)
        if name in headers and headers[name] != value:
            if name in _LISTS:
                headers[name] += b", " + value
                continue
            twice = _ONCE.get(name, twice)
        headers[name] = value
    return headers, size, twice


def media_type(headers: Headers) -> bytes:
    """What a body is said to be, without parameters."""
    return headers.get(b"content-type", b"").partition(b";")[0].strip().lower()


def shown_type(kind: bytes) -> str:
    """A media type for a message."""
    return repr(kind.decode("latin-1"))


def accepts(header: bytes, kind: str) -> bool:
    """Whether `Accept` names a media type; one that takes anything does not."""
    for part in header.decode("latin-1").lower().split(","):
        name, *parameters = (one.strip() for one in part.split(";"))
        if name == kind and not any(re.fullmatch(r"q=0(\.0*)?", one) for one in parameters):
            return True
    return False


def revision_of(headers: Headers, *, fresh: bool) -> int:
    """The revision that a change is based on; 0 for something that is not there yet.

    Args:
        headers: of the request.
        fresh: whether it may be about something that is not there yet.

    Raises:
        Problem: 428 without one, 400 for anything that is not a revision.
    """
    absent, given = headers.get(b"if-none-match"), headers.get(b"if-match")
    if absent is not None and fresh:
        if absent.strip() != b"*":
            raise Problem(
                "bad_header", "If-None-Match: expected *, for something that is not there"
            )
        return 0
    if given is None:
        detail = "If-Match: send the ETag of what is to change"
        more = ", or If-None-Match: * for a new one" if fresh else ""
        raise Problem("etag_required", detail + more)
    found = _ETAG.fullmatch(given.strip())
    if found is None:
        raise Problem("bad_header", 'If-Match: expected an ETag as it was given, such as "3"')
    return int(found[1])
