"""Connections whose client is slow: what they may keep waiting for, and for how long.

uvicorn bounds nothing but the pause between two requests, and a single byte ends that. Here time is
counted while it is the client that everybody waits for. Each connection is looked at once a second, some at a
time, so that a thousand of them hold up nobody else, and neither do many that are given up at once.
"""

from __future__ import annotations

from asyncio import Transport, get_running_loop
from collections.abc import Callable, MutableMapping
from itertools import count
from time import monotonic
from typing import Any, Final, NamedTuple

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from gustibus.service.ids import ulid
from gustibus.service.problems import MEDIA_TYPE, Problem

SLOW: Final = "gustibus.slow"
"""In the scope of a request whose body is given up; the empty piece that comes with it says so."""
WHOLE: Final = "gustibus.whole"
"""In the scope of a request of which nothing can be done before all of its body is there."""
AT_ONCE: Final = "gustibus.at_once"
"""In the scope of a request whose reply has a body that follows its head at once."""
MAX_HEAD: Final = 64 << 10
"""Bytes of a head that has no end, at which it is given up; the gate refuses shorter ones."""
_HEAD = b"content-type: %s\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
_NEVER = -1.0
_PARTS = 10
_PIECE = 4 << 10  # bytes of a body that are worth waking up those who read it
_LUMP = 256 << 10  # the same for those who wait for all of it
_SOME = 16  # connections that are looked at in one turn of the event loop
_FEW = 4  # that are given up in one, which takes longer
_TICK = 0.1  # seconds between calls
_MOST = 2.0  # seconds counted at one look: a pause of this process is no client's fault

_numbers = count()


class Patience(NamedTuple):
    """What clients get."""

    head: float
    """Seconds for the head of a request."""
    body: float
    """Seconds for a body, and for any progress in taking a reply."""
    rate: float
    """Bytes of a body that earn it another second."""
    idle: float
    """Seconds between two requests."""


class _Outlet:
    """What a reply is written to: a head waits for a body that follows at once, and both are one write.

    Each write is a system call and a packet of its own, a tenth of what it costs to score by id.
    """

    __slots__ = ("_head", "_scope", "_transport", "close", "is_closing")

    def __init__(self, transport: Transport, scope: MutableMapping[str, Any]) -> None:
        self.close = transport.close
        self.is_closing = transport.is_closing
        self._transport = transport
        self._scope = scope
        self._head = b""

    def write(self, data: bytes) -> None:
        """Of a reply first the head, then the body."""
        if self._head:
            self._transport.writelines((self._head, data))
            self._head = b""
        elif self._scope.pop(AT_ONCE, False):
            self._head = data
        else:
            self._transport.write(data)


class ClientConnection(HttpToolsProtocol):
    """uvicorn's connection, which also knows for how long it has waited for its client."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.part = next(_numbers) % _PARTS
        self._waited = _NEVER  # seconds, or not looked at yet
        self._size = 0
        self._held: bytes | bytearray = b""  # the latest of a body, not passed on yet
        self._heading = False  # within a head
        self._coming = False  # behind a head, before the end of its body
        self._unsent = 0
        self._stuck = 0.0

    def data_received(self, data: bytes) -> None:
        """Read on; a head that has no end is given up."""
        super().data_received(data)
        if self._heading:
            self._size += len(data)
            if self._size > MAX_HEAD and self._silent():
                detail = f"The head is longer than {MAX_HEAD} bytes"
                self._refuse(Problem("bad_header", detail))

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        self._heading, self._waited, self._size = True, _NEVER, 0
        self._held = b""

    def on_headers_complete(self) -> None:
        """The end of a head."""
        self._heading, self._coming = False, True
        self._waited, self._size = _NEVER, 0
        super().on_headers_complete()
        scope: MutableMapping[str, Any] = self.scope  # type: ignore[assignment]  # a typed dict
        self.cycle.transport = _Outlet(self.transport, scope)  # type: ignore[assignment]

    def on_body(self, body: bytes) -> None:
        """A piece of a body; small ones are passed on together.

        Each that is passed on takes a turn of the event loop, ten times what it takes to receive it.
        """
        self._size += len(body)
        enough = _LUMP if WHOLE in self.scope else _PIECE
        if self._held or len(body) < enough:
            if not self._held:
                self._held = body  # as a rule all of it, and not copied then
            else:
                if isinstance(self._held, bytes):
                    self._held = bytearray(self._held)
                self._held += body
            if len(self._held) < enough:
                return
            body = self._taken()
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The end of a request."""
        self._coming = False
        if self._held:
            super().on_body(self._taken())
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The end of a reply."""
        super().on_response_complete()
        if not self._heading and not self._coming:
            self._waited = _NEVER

    def _taken(self) -> bytes:
        """What was held back."""
        body, self._held = bytes(self._held), b""
        return body

    def look(self, seconds: float, patience: Patience) -> bool:
        """Count the time since the last look; true when the client is given up.

        Args:
            seconds: since the last look.
            patience: what clients get.
        """
        unsent = self.transport.get_write_buffer_size()
        self._stuck = self._stuck + seconds if unsent > 0 and unsent == self._unsent else 0.0
        self._unsent = unsent
        if self._stuck > patience.body:  # nobody takes the reply
            self.transport.abort()
            return True
        if self.transport.is_closing():
            return False
        if self._coming:
            return self._body(seconds, patience)
        if not self._silent():
            return False
        self._wait(seconds)
        if self._heading and self._waited > patience.head:
            detail = f"The head of the request was not there within {patience.head:g} s"
            self._refuse(Problem("request_timeout", detail))
            return True
        if not self._heading and self._waited > patience.idle:
            self.transport.close()
        return False

    def _body(self, seconds: float, patience: Patience) -> bool:
        if self.flow.read_paused or SLOW in self.scope:
            return False
        self._wait(seconds)
        if self._waited <= patience.body + self._size / patience.rate:
            return False
        if self.cycle.response_complete:  # it was refused, and comes all the same
            self.transport.close()
        else:
            scope: MutableMapping[str, Any] = self.scope  # type: ignore[assignment]  # a typed dict
            scope[SLOW] = True
            self.cycle.message_event.set()
        return True

    def _wait(self, seconds: float) -> None:
        """Count; what began between two looks is not blamed for all of the time between them."""
        self._waited = 0.0 if self._waited == _NEVER else self._waited + seconds

    def _silent(self) -> bool:
        """Whether no reply is being made."""
        return self.cycle is None or self.cycle.response_complete

    def _refuse(self, problem: Problem) -> None:
        """Answer what has not become a request, and close."""
        body = problem.body(instance="", request_id=ulid())
        head = _HEAD % (MEDIA_TYPE.encode(), len(body))
        self.transport.write(STATUS_LINE[problem.kind.status] + head + body)
        self.transport.close()


class Connections(set[Any]):
    """uvicorn's set of connections, which also has a tenth of them at hand for each look."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[set[ClientConnection]] = [set() for _ in range(_PARTS)]

    def add(self, one: Any) -> None:
        """One that was opened."""
        super().add(one)
        self.parts[one.part].add(one)

    def discard(self, one: Any) -> None:
        """One that was closed."""
        super().discard(one)
        self.parts[one.part].discard(one)


class Watch:
    """Looks at every connection once a second when it is called ten times a second.

    Args:
        patience: what clients get.
        tell: is told of each client that is given up.
    """

    def __init__(self, patience: Patience, tell: Callable[[], None]) -> None:
        self.connections = Connections()
        self._patience = patience
        self._tell = tell
        self._looked = [monotonic()] * _PARTS
        self._turn = 0

    def __call__(self) -> None:
        """Look at a tenth of the connections: some now, the others until it is called again."""
        self._turn = (self._turn + 1) % _PARTS
        now = monotonic()
        seconds = min(now - self._looked[self._turn], _MOST)
        self._looked[self._turn] = now
        part = list(self.connections.parts[self._turn])
        self._look(part[:_SOME], seconds)
        for start in range(_SOME, len(part), _SOME):
            later = _TICK * start / len(part)
            some = part[start : start + _SOME]
            get_running_loop().call_later(later, self._look, some, seconds)

    def _look(self, connections: list[ClientConnection], seconds: float) -> None:
        given_up = 0
        for place, one in enumerate(connections):
            if given_up == _FEW:
                pause = _TICK * _FEW / _SOME
                get_running_loop().call_later(pause, self._look, connections[place:], seconds)
                return
            if one.look(seconds, self._patience):
                given_up += 1
                self._tell()
