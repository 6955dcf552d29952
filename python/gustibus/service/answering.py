"""Replies on their way out: what errors become, their heads, and sending them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from gustibus.errors import GustibusError, OverloadedError
from gustibus.service.bodies import CLOSE, Receive, Send, drop_pieces, linger, send_pieces
from gustibus.service.call import Call, Reply, Streamed
from gustibus.service.connections import AT_ONCE
from gustibus.service.headers import Scope
from gustibus.service.problems import MEDIA_TYPE, Problem, from_error

if TYPE_CHECKING:
    from gustibus.service.state import State

_PROBLEM = MEDIA_TYPE.encode()
_NOSNIFF = (b"x-content-type-options", b"nosniff")
_NO_STORE = (b"cache-control", b"no-store")

log = logging.getLogger("gustibus.service")


def problem_reply(state: State, error: Exception, path: str, request_id: str) -> Reply:
    """What an error is answered by; one that nobody expects is logged and told as `internal`.

    Whatever is too large is counted here, for many places find that it is.
    """
    if isinstance(error, GustibusError):
        problem = from_error(error)
        if isinstance(error, OverloadedError) and error.where == "database":
            log.warning("request %s: %s: %s", request_id, error, error.__cause__)
    elif isinstance(error, Problem):
        problem = error
    else:
        problem = state.translate(error)
    if problem.kind.status == 413:
        state.meter.reject("too_large")
    if problem.code == "internal":
        log.error("request %s failed", request_id, exc_info=error)
    body = problem.body(instance=path, request_id=request_id)
    return Reply(problem.kind.status, body, _PROBLEM, tuple(problem.headers))


def head_of(
    reply: Reply | Streamed, call: Call | None, request_id: str, started: float, seconds: float
) -> list[tuple[bytes, bytes]]:
    """The headers of a reply."""
    # Five numbers take a microsecond to write, which beside an encoder is nothing.
    if call is not None and call.encoding and call.counted is not None:
        timing = _timing(call, started, seconds)
    else:
        timing = b"total;dur=%.3f" % (seconds * 1e3)
    head = [
        (b"content-type", reply.content_type),
        (b"x-request-id", request_id.encode()),
        (b"server-timing", timing),
        _NOSNIFF,
        _NO_STORE,
        *reply.headers,
    ]
    if call is not None and call.counted is not None:
        head += call.counted.units.told()
    unread = call is not None and call.stream is not None and not call.stream.ended
    if unread and CLOSE not in head:
        head.append(CLOSE)
    return head


async def send_reply(
    reply: Reply | Streamed,
    head: list[tuple[bytes, bytes]],
    scope: Scope,
    receive: Receive,
    send: Send,
) -> None:
    """The reply, whole or piece by piece."""
    if isinstance(reply, Streamed):
        await send({"type": "http.response.start", "status": reply.status, "headers": head})
        if scope["method"] == "HEAD":
            await drop_pieces(reply)
            await send({"type": "http.response.body", "body": b""})
        else:
            await send_pieces(reply, receive, send)
        return
    if reply.status != 304:  # which has no body, and would have to tell the length of the other
        head.append((b"content-length", b"%d" % len(reply.body)))
    body = b"" if scope["method"] == "HEAD" else reply.body
    if body:
        scope[AT_ONCE] = True
    await send({"type": "http.response.start", "status": reply.status, "headers": head})
    if CLOSE in head:
        await send({"type": "http.response.body", "body": body, "more_body": True})
        await linger(receive)
        body = b""
    await send({"type": "http.response.body", "body": body})


def _timing(call: Call, started: float, seconds: float) -> bytes:
    """Milliseconds of the stages of a request with texts, and of all of it."""
    told = "auth;dur=%.3f, queue;dur=%.3f, encode;dur=%.3f, head;dur=%.3f, total;dur=%.3f"
    auth, queue = call.admitted - started, call.begun - call.admitted
    head = seconds - auth - queue - call.encoding
    stages = auth, queue, call.encoding, head, seconds
    return (told % tuple(1e3 * stage for stage in stages)).encode()
