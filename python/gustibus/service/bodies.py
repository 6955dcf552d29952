"""Bodies of requests and replies that come and go in pieces, over ASGI."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from gustibus.service.connections import SLOW
from gustibus.service.problems import Problem
from gustibus.service.unpacking import Packing, Unpacking

if TYPE_CHECKING:
    from gustibus.service.call import Streamed

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


_LINGER = 5.0
"""Seconds for which a refused body is still read."""
_LINGER_SIZE = 64 << 20
"""Bytes of a refused body that are still read."""
CLOSE = (b"connection", b"close")
"""Header of a reply behind which unread bytes must not be read as the next request."""


class Gone(Exception):  # noqa: N818 - not an error
    """The client has left."""


class Stream:
    """A body in pieces, as they come.

    Args:
        receive: of ASGI.
        kind: media type.
        most: bytes in all, as they are sent and as they are read.
        packing: how it comes packed; what is read is unpacked.
    """

    def __init__(
        self, receive: Receive, kind: bytes, most: int, *, packing: Packing | None = None
    ) -> None:
        self.kind = kind
        self.ended = False
        self._receive = receive
        self._most = most
        self._packing = packing

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The pieces.

        Raises:
            Gone: the client has left before the end.
            Problem: 413, and 400 for what is packed otherwise than it says.
        """
        size = 0
        packing = self._packing
        async for piece in self._sent() if packing is None else self._unpacked(packing):
            size += len(piece)
            if size > self._most:
                raise too_large(self._most)
            yield piece

    async def _sent(self) -> AsyncIterator[bytes]:
        size = 0
        while not self.ended:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Gone
            piece: bytes = message.get("body", b"")
            size += len(piece)
            if size > self._most:
                raise too_large(self._most)
            self.ended = not message.get("more_body", False)
            yield piece

    async def _unpacked(self, packing: Packing) -> AsyncIterator[bytes]:
        """What the body holds."""
        unpacking = Unpacking(packing)
        async for piece in self._sent():
            for out in unpacking.feed(piece):
                yield out
        unpacking.end()


async def heard(scope: Mapping[str, Any], receive: Receive) -> Message:
    """The next message of a body.

    Raises:
        Problem: 408 when the client is given up.
    """
    message = await receive()
    if message.get("more_body", False) and SLOW in scope:
        raise too_slow()
    return message


async def read_rest(first: bytes, limit: int, receive: Receive) -> bytes:
    """A body that came in several pieces; reading ends as soon as it is too long."""
    parts, size = [first], len(first)
    while True:
        if size > limit:
            raise too_large(limit, unread=True)
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        part = message.get("body", b"")
        parts.append(part)
        size += len(part)
        if not message.get("more_body", False):
            return b"".join(parts)


async def send_pieces(reply: Streamed, receive: Receive, send: Send) -> None:
    """Send a reply as it is made; what it holds is closed, also when the client leaves."""
    left = asyncio.create_task(_until_gone(receive))
    try:
        async for piece in reply.pieces:
            if left.done():
                break
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        left.cancel()
        await drop_pieces(reply)


async def drop_pieces(reply: Streamed) -> None:
    """Let go of what a reply holds, without what is left of it."""
    close = getattr(reply.pieces, "aclose", None)
    if close is not None:
        await close()


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def linger(receive: Receive) -> None:
    """Read and drop what is left of a refused body, within bounds.

    Closing a connection on unread bytes resets it, and a client that is still sending loses the
    reply that says why (RFC 9112, section 9.6).
    """
    left = _LINGER_SIZE
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LINGER):
            while left > 0:
                message = await receive()
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    return
                left -= len(message.get("body", b""))


def too_slow() -> Problem:
    """408 for a body that does not come."""
    detail = "The body of the request came too slowly"
    return Problem("request_timeout", detail, headers=[CLOSE])


def too_large(limit: int, *, unread: bool = False) -> Problem:
    """413 for a body that is too long; `unread` when some of it is still on its way."""
    detail = f"The body is longer than {limit} bytes"
    return Problem("body_too_large", detail, headers=[CLOSE] if unread else [])
