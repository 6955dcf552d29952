"""The trace that a request is part of: told in its line of the log, and to the encoder's server.

Source: W3C Trace Context, sections 3.2 and 4.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextvars import ContextVar
from typing import NamedTuple

_PARENT = re.compile(
    rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-[\x21-\x7e]*)?"
)
_STATE = re.compile(rb"[\x20-\x7e\t]{1,512}")
_CURRENT = b"00"  # the version whose header has nothing behind the flags


class Trace(NamedTuple):
    """Where a request belongs, as it was told."""

    id: str
    """32 hexadecimal digits."""
    headers: dict[str, str]
    """To send on as they came: this service makes no spans of its own."""


TRACE: ContextVar[Trace | None] = ContextVar("trace", default=None)
"""Of the request at hand."""


def trace_of(headers: Mapping[bytes, bytes]) -> Trace | None:
    """The trace that headers tell of; None without one, or where it is not well-formed."""
    given = headers.get(b"traceparent")
    if given is None:
        return None
    found = _PARENT.fullmatch(given)
    if found is None or (found[1] == _CURRENT and found[3]):
        return None
    on = {"traceparent": given.decode("latin-1")}
    state = headers.get(b"tracestate", b"")
    if _STATE.fullmatch(state):
        on["tracestate"] = state.decode()
    return Trace(found[2].decode(), on)
