"""Bodies of requests and replies that come and go in pieces, over ASGI."""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from gustibus.service.connections import SLOW
from gustibus.service.decoding import MAX_RATIO
from gustibus.service.problems import Problem

if TYPE_CHECKING:
    from gustibus.service.call import Streamed

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


_PIECE = 1 << 17
"""Most bytes that are unpacked at once."""
_SMALL = 1 << 16
"""Bytes below which a packed body may grow as if it had so many: a few lines pack very well."""
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
        packed: whether it comes as gzip; what is read is unpacked.
    """

    def __init__(self, receive: Receive, kind: bytes, most: int, *, packed: bool = False) -> None:
        self.kind = kind
        self.ended = False
        self._receive = receive
        self._most = most
        self._packed = packed

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The pieces.

        Raises:
            Gone: the client has left before the end.
            Problem: 413, and 400 for what is not gzip.
        """
        size = 0
        async for piece in self._unpacked() if self._packed else self._sent():
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

    async def _unpacked(self) -> AsyncIterator[bytes]:
        """What the body holds, in pieces that are small however well it is packed."""
        unpack = zlib.decompressobj(wbits=31)
        begun, sent, made = False, 0, 0
        async for piece in self._sent():
            sent += len(piece)
            rest, full = piece, False
            while rest or full:
                begun = True
                try:
                    out = unpack.decompress(rest, _PIECE)
                except zlib.error as error:
                    raise Problem("bad_encoding", f"The body is not gzip: {error}") from None
                made += len(out)
                if made > MAX_RATIO * max(sent, _SMALL):
                    detail = f"The body unpacks to more than {MAX_RATIO} times its size"
                    raise Problem("body_too_large", detail)
                yield out
                rest, full = unpack.unconsumed_tail, len(out) == _PIECE
                if unpack.eof:  # files that were joined are one file of several members
                    rest, full = unpack.unused_data, False
                    unpack, begun = zlib.decompressobj(wbits=31), False
        if begun:
            raise Problem("bad_encoding", "The gzip body ends too early")


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
