"""The trace that a request is part of: told in its line of the log, and to the encoder's server.

Source: W3C Trace Context, sections 3.2 and 4.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

from gustibus.errors import MissingExtraError

if TYPE_CHECKING:
    from gustibus.service.settings import Settings
    from gustibus.service.spans import Root

_PARENT = re.compile(
    rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-[\x21-\x7e]*)?"
)
_STATE = re.compile(rb"[\x20-\x7e\t]{1,512}")
_CURRENT = b"00"  # the version whose header has nothing behind the flags
_NOTHING = nullcontext()
_EXPORTER = "opentelemetry.exporter.otlp.proto.http.trace_exporter"


class Trace(NamedTuple):
    """Where a request belongs."""

    id: str
    """32 hexadecimal digits."""
    headers: dict[str, str]
    """To send on: as they came, or those of the span that is made of the request here."""
    root: Root | None = None
    """That span; None where none is made."""


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


def part(name: str, **about: int) -> AbstractContextManager[object]:
    """A span of a stage of the request at hand; nothing where no spans are made of it.

    Args:
        name: of the stage.
        about: numbers to tell with it.
    """
    trace = TRACE.get()
    if trace is None or trace.root is None:
        return _NOTHING
    return trace.root.part(name, {f"gustibus.{key}": value for key, value in about.items()})


def check_extra(settings: Settings) -> None:
    """Refuse to start where traces are to be sent and what sends them is not installed.

    Raises:
        MissingExtraError: names the extra that brings it.
    """
    if not settings.trace_endpoint:
        return
    try:
        found = find_spec(_EXPORTER)
    except (ImportError, ValueError):  # a package above it is missing
        found = None
    if found is None:
        raise MissingExtraError.of("GUSTIBUS_TRACE_ENDPOINT is set: OpenTelemetry", "otel")
