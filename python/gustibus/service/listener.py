"""The listener of metrics: its own port, bound to a private address, one answer to everything."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from gustibus.service.metrics import CONTENT_TYPE, exposition, registry_of

if TYPE_CHECKING:
    from gustibus.service.state import State

_HEAD = b"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
_PATIENCE = 5.0  # seconds for a request
_MOST = 16 << 10  # bytes of its head


async def listen(state: Callable[[], State]) -> asyncio.Server:
    """Show this process at the settings' `metrics_host` and `metrics_port`."""
    registry, settings = registry_of(state), state().settings

    async def read() -> bytes:
        return exposition(registry)

    return await _open(read, host=settings.metrics_host, port=settings.metrics_port)


def listen_aside(read: Callable[[], bytes], sock: socket.socket) -> None:
    """Show what `read` gives at a socket, in threads that end with the process."""

    async def serve() -> None:
        server = await _open(lambda: asyncio.to_thread(read), sock=sock)
        await server.serve_forever()

    threading.Thread(target=lambda: asyncio.run(serve()), name="metrics", daemon=True).start()


async def _open(read: Callable[[], Awaitable[bytes]], **where: Any) -> asyncio.Server:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _PATIENCE)
            if head.startswith((b"GET /metrics ", b"GET /metrics?")):
                status, body = b"200 OK", await read()
            else:
                status, body = b"404 Not Found", b"only GET /metrics\n"
            writer.write(_HEAD % (status, CONTENT_TYPE, len(body)) + body)
            await asyncio.wait_for(writer.drain(), _PATIENCE)
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever asked has gone, or was too slow, or sent no HTTP
        finally:
            writer.close()

    return await asyncio.start_server(answer, limit=_MOST, **where)
