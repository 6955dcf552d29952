"""The application: one ASGI class through which every request goes.

Routing, keys, scopes, limits, ids, metrics, the log line and every error body are here and nowhere
else. It is written for speed: a stack of helper middlewares costs ten times as much CPU a request.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from functools import partial
from time import monotonic, perf_counter
from typing import TYPE_CHECKING

from gustibus.errors import GustibusError
from gustibus.service.answering import head_of, problem_reply, send_reply
from gustibus.service.bodies import (
    Gone,
    Receive,
    Send,
    Stream,
    heard,
    read_rest,
    too_large,
    too_slow,
)
from gustibus.service.call import JSON, Call, Reply, Streamed
from gustibus.service.conditions import condition_of
from gustibus.service.connections import SLOW, WHOLE
from gustibus.service.door import Door
from gustibus.service.headers import (
    Headers,
    Scope,
    accepts,
    headers_of,
    media_type,
    revision_of,
    shown_type,
)
from gustibus.service.ids import ulid
from gustibus.service.keys import as_bearer, is_bearer
from gustibus.service.leases import Leased
from gustibus.service.problems import Problem
from gustibus.service.routing import ANY, OPEN, Nothing, Route, Table
from gustibus.service.running import Running
from gustibus.service.stages import SAMPLED, Laps
from gustibus.service.stepping import Done, begin
from gustibus.service.threads import DEADLINE
from gustibus.service.tracing import TRACE, Trace, trace_of
from gustibus.service.turns import Turns
from gustibus.service.unpacking import inflate, packing_of

if TYPE_CHECKING:
    from gustibus.service.state import State

MAX_DEADLINE_MS = 60_000
OCTETS = b"application/octet-stream"

_REQUEST_ID = re.compile(rb"[A-Za-z0-9-]{1,64}")
_IDEMPOTENCY_KEY = re.compile(rb"[\x20-\x7e]{1,255}")
_LENGTH = re.compile(rb"[0-9]{1,20}")
_MILLISECONDS = re.compile(rb"0{0,9}[1-9][0-9]{0,4}")

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
        self.trace_of: Callable[[Headers], Trace | None] = trace_of
        self.closing: float | None = (
            None  # when the listener was closed, on the clock of `monotonic`
        )
        self._staged = 0  # requests whose stages might have been timed
        self.stuck = False  # whether a task went on after the stop
        settings = state.settings
        self._limits = {"scoring": settings.scoring_body, "other": settings.other_body}
        self._binary = settings.binary_body
        self._deadline_ms = settings.deadline_ms
        self._header_bytes, self._url_bytes = settings.header_bytes, settings.url_bytes
        _, _, self._most_in_flight = settings.share
        self._max_wait = settings.max_wait
        self._shared = state.quotas is not None
        self._door = Door(settings, state.quotas)
        self._running = Running()
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
            headers, size, twice = headers_of(scope)
            trace = self.trace_of(headers)
            TRACE.set(trace)
            given = headers.get(b"x-request-id")
            known = given is not None and _REQUEST_ID.fullmatch(given)
            request_id = given.decode() if given is not None and known else ulid()
            if given is not None and not known:
                detail = "X-Request-Id: expected 1 to 64 letters, digits or '-'"
                raise Problem("bad_header", detail)
            if twice:
                raise Problem("bad_header", f"{twice}: sent twice, and with different values")
            self._check_sizes(scope, size)
            found = self.table.find(scope["method"], path)
            if found is None:
                raise self._no_route(scope["method"], path)
            route, params = found
            template = route.path
            call = Call(self.state, route, params)
            call.state.open += 1
            call.request_id = request_id
            if route.staged:
                self._staged += 1
                if self._staged % SAMPLED == 1:
                    call.laps = Laps(started)
            self._identify(call, headers, scope)
            if self._shared and route.body == "scoring":
                await _leased(call)
            self._admit(call, headers)
            if call.laps is not None:
                call.laps.end("auth")
            call.admitted = perf_counter()
            call.query_string = scope["query_string"]
            if route.query is None and call.query_string:
                raise Problem("invalid_field", "query: this operation takes no parameters")
            if route.stream:
                call.stream = self._stream(route, headers, partial(heard, scope, receive))
            elif route.request is not None:
                await self._read_body(call, headers, scope, receive)
                call.begun = perf_counter()
                if trace is not None and trace.root is not None:
                    trace.root.received(started)
                if route.request is Nothing:
                    call.read_optional(Nothing)
            reply = await self._running.alone(call, partial(self._run, route, call, headers))
            if call.laps is not None:
                call.laps.end("serialise")
                call.laps.tell(meter.stages)
        except Gone:
            meter.in_flight -= 1
            if trace is not None and trace.root is not None:
                trace.root.end(scope["method"], template, 0, call)
            return
        except Exception as error:
            reply = problem_reply(self.state, error, path, request_id)
        finally:
            if call is not None:
                call.state.open -= 1
                if call.counted is not None:
                    call.counted.opened[0] -= 1
        seconds = perf_counter() - started
        head = head_of(reply, call, request_id, started, seconds)
        if call is not None and call.caller is not None:
            meter.use(call.charged, call.units)
        meter.in_flight -= 1
        meter.count(template, scope["method"], reply.status, seconds)
        self.state.journal.add(
            scope["method"], template, reply.status, seconds, request_id, call, trace
        )
        sending = send_reply(reply, head, scope, receive, send)
        if trace is not None and trace.root is not None:
            sending = trace.root.end_with(sending, scope["method"], template, reply.status, call)
        await sending

    def _check_sizes(self, scope: Scope, size: int) -> None:
        """Refuse headers or an address that are too long.

        Raises:
            Problem: 400.
        """
        if size > self._header_bytes:
            raise Problem("bad_header", f"The headers are longer than {self._header_bytes} bytes")
        if len(scope["raw_path"]) + len(scope["query_string"]) > self._url_bytes:
            raise Problem("bad_header", f"The address is longer than {self._url_bytes} bytes")

    def _identify(self, call: Call, headers: Headers, scope: Scope) -> None:
        """Key, its limits and scope: refuse unless the table allows it.

        Raises:
            Problem: 401, 403, 429 for too many wrong keys, or 503 while the service is not ready.
        """
        route = call.route
        header = headers.get(b"authorization")
        if route.scope == OPEN:
            if header is not None:
                self._greet(call, header, scope)
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

    def _greet(self, call: Call, header: bytes, scope: Scope) -> None:
        """Whose key came to an open route, which answers without one, too.

        Keys are not counted as wrong before they are loaded, nor on routes that answer the same to
        everybody: a probe that still sends a key of last year goes on being answered.

        Raises:
            Problem: 429 for too many wrong keys.
        """
        route, keys = call.route, self.state.keys
        caller = keys.find(header)
        if caller is None:
            asked = route.tells and (route.query is None or scope["query_string"])
            if asked and len(keys) and is_bearer(header):
                self._door.check_guess(call, header, scope)
        elif caller.comes_from(self._door.client(scope)):
            call.caller = caller

    def _admit(self, call: Call, headers: Headers) -> None:
        """The key's quotas, and headers that the route takes.

        Raises:
            Problem: 400, 428, 429, or 503 while requests wait for too long.
        """
        route, caller = call.route, call.caller
        if route.scope == OPEN:
            return
        if route.body == "scoring" and caller is not None:
            wait = caller.units.overdraft(caller.opened[0])
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
            call.seen = revision_of(headers, fresh=not route.matched)
        elif route.matched:
            call.seen = -1
        if route.tagged:
            call.condition = condition_of(headers)
        if route.listed:
            call.listed = accepts(headers.get(b"accept", b""), route.listed)
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
        kind = media_type(headers)
        if kind.decode("latin-1") not in route.stream:
            detail = f"Content-Type: expected {' or '.join(route.stream)}, got {shown_type(kind)}"
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
        begun = begin(route.run(call))
        if isinstance(begun, Done):
            return begun.value
        clock = asyncio.timeout(limit / 1e3)
        try:
            async with clock:
                return await begun
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
        kind = media_type(headers)
        if kind == OCTETS and route.binary:
            limit = self._binary
        length = headers.get(b"content-length", b"")
        if _LENGTH.fullmatch(length) and int(length) > limit:
            raise too_large(limit, unread=True)
        if call.counted is not None:  # who is refused then costs no reading
            await self._turns.wait()
            if call.laps is not None:
                call.laps.end("queue")
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
        if call.laps is not None:
            call.laps.skip()
        if len(body) > limit:
            raise too_large(limit)
        if call.counted is not None and turn != self._turns.number:  # the body came later
            await self._turns.wait()
            if call.laps is not None:
                call.laps.end("queue")
        call.content_type = kind
        if not body and route.optional:
            return
        if kind != JSON and not (kind == OCTETS and route.binary):
            known = "application/json" + (" or application/octet-stream" if route.binary else "")
            detail = f"Content-Type: expected {known}, got {shown_type(kind)}"
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


async def _leased(call: Call) -> None:
    """Wait until the caller's key has units here, where all machines share them, for a moment at most."""
    caller = call.caller
    if caller is None or not isinstance(caller.units, Leased):
        return
    if caller.units.is_short(caller.opened[0]):
        await caller.units.lease(caller.opened)
