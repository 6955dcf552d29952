"""The listener of metrics: its own port, bound to a private address, one answer to everything."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from gustibus.service.metrics import CONTENT_TYPE, exposition, registry_of

if TYPE_CHECKING:
    from gustibus.service.state import State

_HEAD = b"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
_PATIENCE = 5.0  # seconds for a request
_MOST = 16 << 10  # bytes of its head


async def listen(state: Callable[[], State]) -> asyncio.Server:
    """Open the listener of the settings' `metrics_host` and `metrics_port`."""
    registry = registry_of(state)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _PATIENCE)
            if head.startswith((b"GET /metrics ", b"GET /metrics?")):
                status, body = b"200 OK", exposition(registry)
            else:
                status, body = b"404 Not Found", b"only GET /metrics\n"
            writer.write(_HEAD % (status, CONTENT_TYPE, len(body)) + body)
            await asyncio.wait_for(writer.drain(), _PATIENCE)
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever asked has gone, or was too slow, or sent no HTTP
        finally:
            writer.close()

    settings = state().settings
    return await asyncio.start_server(
        answer, settings.metrics_host, settings.metrics_port, limit=_MOST
    )
