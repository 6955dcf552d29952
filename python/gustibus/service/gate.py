"""The application: one ASGI class through which every request goes.

Routing, keys, scopes, limits, ids, metrics, the log line and every error body are here and nowhere
else. It is written for speed: a stack of helper middlewares costs ten times as much CPU a request.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Any

from gustibus.errors import GustibusError, OverloadedError
from gustibus.service.bodies import (
    CLOSE,
    Gone,
    Receive,
    Send,
    Stream,
    drop_pieces,
    heard,
    linger,
    read_rest,
    send_pieces,
    too_large,
    too_slow,
)
from gustibus.service.call import JSON, Call, Reply, Streamed
from gustibus.service.connections import AT_ONCE, SLOW, WHOLE
from gustibus.service.door import Door
from gustibus.service.ids import ulid
from gustibus.service.keys import as_bearer
from gustibus.service.problems import MEDIA_TYPE, Problem, from_error
from gustibus.service.routing import ANY, OPEN, Nothing, Route, Table
from gustibus.service.threads import DEADLINE
from gustibus.service.tracing import TRACE, Trace, trace_of
from gustibus.service.turns import Turns
from gustibus.service.unpacking import inflate, packing_of

if TYPE_CHECKING:
    from gustibus.service.state import State

Scope = MutableMapping[str, Any]
Headers = dict[bytes, bytes]

MAX_HEADERS = 16 << 10
MAX_URL = 4 << 10
MAX_DEADLINE_MS = 60_000
OCTETS = b"application/octet-stream"

_REQUEST_ID = re.compile(rb"[A-Za-z0-9-]{1,64}")
_IDEMPOTENCY_KEY = re.compile(rb"[\x20-\x7e]{1,255}")
_LENGTH = re.compile(rb"[0-9]{1,20}")
_MILLISECONDS = re.compile(rb"0{0,9}[1-9][0-9]{0,4}")
_ETAG = re.compile(rb'"([1-9][0-9]{0,8})"')
_PROBLEM = MEDIA_TYPE.encode()
_NOSNIFF = (b"x-content-type-options", b"nosniff")
_NO_STORE = (b"cache-control", b"no-store")

log = logging.getLogger("gustibus.service")


class Gate:
    """ASGI application over a route table."""

    def __init__(
        self, state: State, table: Table, *, start: Callable[[], Awaitable[None]],
        stop: Callable[[], Awaitable[None]],
    ) -> None:  # fmt: skip
        self.state = state
        self.table = table
        self.start = start
        self.stop = stop
        self.closing: float | None = (
            None  # when the listener was closed, on the clock of `monotonic`
        )
        settings = state.settings
        self._limits = {"scoring": settings.scoring_body, "other": settings.other_body}
        self._binary = settings.binary_body
        self._deadline_ms = settings.deadline_ms
        _, _, self._most_in_flight = settings.share
        self._max_wait = settings.max_wait
        self._door = Door(settings)
        self._turns = Turns(settings.max_wait, lambda: self.state.meter.reject("queue_full"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or take part in start and stop."""
        if scope["type"] != "http":
            await self._other(scope, receive, send)
            return
        started = perf_counter()
        meter = self.state.meter
        meter.in_flight += 1
        path = scope["path"]
        call: Call | None = None
        trace: Trace | None = None
        reply: Reply | Streamed
        template = "unknown"
        request_id = ""
        try:
            headers, size = _headers(scope)
            trace = trace_of(headers)
            TRACE.set(trace)
            given = headers.get(b"x-request-id")
            known = given is not None and _REQUEST_ID.fullmatch(given)
            request_id = given.decode() if given is not None and known else ulid()
            if given is not None and not known:
                detail = "X-Request-Id: expected 1 to 64 letters, digits or '-'"
                raise Problem("bad_header", detail)
            _check_sizes(scope, size)
            found = self.table.find(scope["method"], path)
            if found is None:
                raise self._no_route(scope["method"], path)
            route, params = found
            template = route.path
            call = Call(self.state, route, params)
            call.state.open += 1
            call.request_id = request_id
            self._admit(call, headers, scope)
            call.query_string = scope["query_string"]
            if route.query is None and call.query_string:
                raise Problem("invalid_field", "query: this operation takes no parameters")
            if route.stream:
                call.stream = self._stream(route, headers, partial(heard, scope, receive))
            elif route.request is not None:
                await self._read_body(call, headers, scope, receive)
                if route.request is Nothing:
                    call.read_optional(Nothing)
            reply = await self._run(route, call, headers)
        except Gone:
            meter.in_flight -= 1
            return
        except Exception as error:
            reply = problem_reply(self.state, error, path, request_id)
        finally:
            if call is not None:
                call.state.open -= 1
                if call.counted is not None:
                    call.counted.opened[0] -= 1
        seconds = perf_counter() - started
        head = _head(reply, call, request_id, seconds)
        if call is not None and call.caller is not None:
            meter.use(call.caller.id, call.units)
        meter.in_flight -= 1
        meter.count(template, scope["method"], reply.status, seconds)
        self.state.journal.add(
            scope["method"], template, reply.status, seconds, request_id, call, trace
        )
        await _send(reply, head, scope, receive, send)

    def _admit(self, call: Call, headers: Headers, scope: Scope) -> None:
        """Key, its limits, scope and rate: refuse unless the table allows it.

        Raises:
            Problem: 401, 403, 429, or 503 while the service is not ready.
        """
        route = call.route
        header = headers.get(b"authorization")
        if route.scope == OPEN:
            if header is not None:
                caller = self.state.keys.find(header)
                if caller is not None and caller.comes_from(self._door.client(scope)):
                    call.caller = caller
            call.unpacks = headers.get(b"accept-encoding", b"")
            return
        if not self.state.ready:
            raise Problem("not_ready", "The service is starting or stopping")
        if header is None:
            raise Problem("unauthenticated", "Send the header Authorization: Bearer <key>")
        if route.basic:
            header = as_bearer(header)
        caller = self.state.keys.find(header)
        if caller is None and route.session:
            caller = self.state.sessions.find(header, call.params.get("session", ""))
        if caller is None:
            raise self._door.wrong_key(call, header, scope)
        if caller.limited:
            self._door.check_limits(call, caller, scope)
        call.caller = caller
        if route.scope != ANY and route.scope not in caller.scopes:
            raise Problem("forbidden", f"This needs the scope {route.scope!r}, which the key lacks")
        if route.body == "scoring":
            wait = caller.overdraft()
            if wait > 0.0:
                self.state.meter.reject("rate")
                detail = "The key has used up its units; wait as Retry-After says"
                raise Problem("rate_limited", detail, retry_after=wait)
            if caller.opened[0] >= self._most_in_flight:
                self.state.meter.reject("concurrency")
                detail = f"The key has {caller.opened[0]} requests open, at most that many may be"
                raise Problem("tenant_concurrency", detail)
            lag = self.state.meter.lag
            if lag > self._max_wait:
                self.state.meter.reject("queue_full")
                detail = f"Requests wait for {lag:.1f} s here, more than {self._max_wait:g} s"
                raise Problem("queue_full", detail, retry_after=lag)
            caller.opened[0] += 1
            call.counted = caller
        if route.conditional or (route.matched and b"if-match" in headers):
            call.seen = _revision(headers, fresh=not route.matched)
        elif route.matched:
            call.seen = -1
        if route.idempotent:
            given = headers.get(b"idempotency-key")
            if given is not None:
                if _IDEMPOTENCY_KEY.fullmatch(given) is None:
                    detail = "Idempotency-Key: expected 1 to 255 printable characters"
                    raise Problem("bad_header", detail)
                call.idempotency_key = given.decode()
            elif route.keyed:
                raise Problem("bad_header", "Idempotency-Key: this operation needs one")

    def _stream(self, route: Route, headers: Headers, receive: Receive) -> Stream:
        """The body as it comes, of a kind that the route takes.

        Raises:
            Problem: 415.
        """
        kind = _media_type(headers)
        if kind.decode("latin-1") not in route.stream:
            detail = f"Content-Type: expected {' or '.join(route.stream)}, got {_shown(kind)}"
            raise Problem("unsupported_media_type", detail)
        encoding = headers.get(b"content-encoding", b"").decode("latin-1").strip().lower()
        most = self.state.settings.import_body
        return Stream(receive, kind, most, packing=packing_of(encoding))

    async def _run(self, route: Route, call: Call, headers: Headers) -> Reply | Streamed:
        """The handler's reply, or 504 when it is not there in time.

        What has not begun by then never does; a transaction that has begun is finished.
        """
        given = headers.get(b"x-deadline-ms")
        if given is not None:
            if not _MILLISECONDS.fullmatch(given) or int(given) > MAX_DEADLINE_MS:
                detail = f"X-Deadline-Ms: expected a whole number from 1 to {MAX_DEADLINE_MS}"
                raise Problem("bad_header", detail)
            limit = int(given)
        elif route.body == "scoring" and not route.patient:
            limit = self._deadline_ms
        else:
            limit = 0
        if not limit:
            return await route.run(call)
        DEADLINE.set(monotonic() + limit / 1e3)
        clock = asyncio.timeout(limit / 1e3)
        try:
            async with clock:
                return await route.run(call)
        except TimeoutError:
            if not clock.expired():
                raise
            self.state.meter.reject("deadline")
            detail = f"The reply was not ready within the deadline of {limit} ms"
            raise Problem("deadline_exceeded", detail) from None

    async def _read_body(
        self, call: Call, headers: Headers, scope: Scope, receive: Receive
    ) -> None:
        """The body, once it is the request's turn.

        Raises:
            Gone: the client has left.
            QueueFullError: the request has waited for too long.
            Problem: 400, 408, 413, 415.
        """
        route = call.route
        limit = self._limits[route.body]
        kind = _media_type(headers)
        if kind == OCTETS and route.binary:
            limit = self._binary
        length = headers.get(b"content-length", b"")
        if _LENGTH.fullmatch(length) and int(length) > limit:
            raise too_large(limit, unread=True)
        if call.counted is not None:  # who is refused then costs no reading
            await self._turns.wait()
        turn = self._turns.number
        scope[WHOLE] = True
        message = await receive()
        body: bytes = message.get("body", b"")
        if message.get("more_body", False):
            if SLOW in scope:
                raise too_slow()
            body = await read_rest(body, limit, partial(heard, scope, receive))
        elif message["type"] == "http.disconnect":
            raise Gone
        if len(body) > limit:
            raise too_large(limit)
        if call.counted is not None and turn != self._turns.number:  # the body came later
            await self._turns.wait()
        call.content_type = kind
        if not body and route.optional:
            return
        if kind != JSON and not (kind == OCTETS and route.binary):
            known = "application/json" + (" or application/octet-stream" if route.binary else "")
            detail = f"Content-Type: expected {known}, got {_shown(kind)}"
            raise Problem("unsupported_media_type", detail)
        encoding = headers.get(b"content-encoding")
        if encoding is not None:
            body = inflate(body, encoding.decode("latin-1").strip().lower(), most=limit)
        call.body = body

    def _no_route(self, method: str, path: str) -> Problem:
        known = self.table.methods(path)
        if not known:
            return Problem("not_found", f"There is nothing at {path[:200]!r}")
        allow = ", ".join(known)
        detail = f"{method} is not possible here; possible: {allow}"
        return Problem("method_not_allowed", detail, headers=[(b"allow", allow.encode())])

    async def _other(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000})
            return
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    await self.start()
                except Exception as error:
                    expected = isinstance(error, GustibusError)
                    log.error("start failed: %s", error, exc_info=None if expected else error)
                    await send({"type": "lifespan.startup.failed", "message": str(error)})
                    return
                await send({"type": "lifespan.startup.complete"})
            else:
                await self.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return


def problem_reply(state: State, error: Exception, path: str, request_id: str) -> Reply:
    """What an error is answered by; one that nobody expects is logged and told as `internal`."""
    if isinstance(error, GustibusError):
        problem = from_error(error)
        if isinstance(error, OverloadedError) and error.where == "database":
            log.warning("request %s: %s: %s", request_id, error, error.__cause__)
    elif isinstance(error, Problem):
        problem = error
    else:
        problem = state.translate(error)
    if problem.code == "internal":
        log.error("request %s failed", request_id, exc_info=error)
    body = problem.body(instance=path, request_id=request_id)
    return Reply(problem.kind.status, body, _PROBLEM, tuple(problem.headers))


def _revision(headers: Headers, *, fresh: bool) -> int:
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


def _media_type(headers: Headers) -> bytes:
    return headers.get(b"content-type", b"").partition(b";")[0].strip().lower()


def _shown(kind: bytes) -> str:
    return repr(kind.decode("latin-1"))


def _headers(scope: Scope) -> tuple[Headers, int]:
    """The headers by their name, and how many bytes they are."""
    headers: Headers = {}
    size = 0
    for name, value in scope["headers"]:
        size += len(name) + len(value)
        headers[name] = value
    return headers, size


def _check_sizes(scope: Scope, size: int) -> None:
    """Refuse headers or an address that are too long.

    Raises:
        Problem: 400.
    """
    if size > MAX_HEADERS:
        raise Problem("bad_header", f"The headers are longer than {MAX_HEADERS} bytes")
    if len(scope["raw_path"]) + len(scope["query_string"]) > MAX_URL:
        raise Problem("bad_header", f"The address is longer than {MAX_URL} bytes")


def _head(
    reply: Reply | Streamed, call: Call | None, request_id: str, seconds: float
) -> list[tuple[bytes, bytes]]:
    """The headers of a reply."""
    head = [
        (b"content-type", reply.content_type),
        (b"x-request-id", request_id.encode()),
        (b"server-timing", b"total;dur=%.3f" % (seconds * 1e3)),
        _NOSNIFF,
        _NO_STORE,
        *reply.headers,
    ]
    if call is not None and call.counted is not None:
        head += call.counted.told()
    unread = call is not None and call.stream is not None and not call.stream.ended
    if unread and CLOSE not in head:
        head.append(CLOSE)
    return head


async def _send(
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
