"""Spans of requests and jobs, by OpenTelemetry; imported only where a collector is named.

They say what was asked for by the route's template, which code answered and how long each stage took, and
nothing of people or texts: no path, no address of a client, no message of an error, no statement.

Source: OpenTelemetry's semantic conventions for HTTP and database spans, 1.45, as far as that leaves.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from random import getrandbits, random
from time import perf_counter, time_ns
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

from opentelemetry.context import Context
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    INVALID_SPAN,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    Tracer,
    set_span_in_context,
)

import gustibus
from gustibus.errors import GustibusError
from gustibus.service.problems import Problem, from_error
from gustibus.service.sending import Sender
from gustibus.service.tracing import TRACE, Trace, trace_of
from gustibus.store import TENANT

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from gustibus.service.call import Call
    from gustibus.service.metrics import Meter
    from gustibus.service.settings import Settings

T = TypeVar("T")

PARTS: Final = 128
"""Most spans of stages of one request: an import may have thousands of transactions."""
_SHORT = 1e-3  # seconds until the work begins that are worth no span
_METHODS = frozenset(
    {"GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", "TRACE", "CONNECT"}
)
_PARENT = slice(36, 52)  # digits of the parent in a header
_FLAGS = slice(53, 55)


class Spans:
    """Makes the spans of this process, and sends them.

    Args:
        settings: where to, and which share of the requests.
        meter: counts the spans that were sent and those that were lost.
    """

    def __init__(self, settings: Settings, meter: Meter) -> None:
        about = {
            "service.name": "gustibus",
            "service.version": gustibus.__version__,
            "service.instance.id": f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}",
        }
        # Of the environment `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME` alone: other detectors tell of
        # command lines, which may hold secrets.
        resource = Resource(about).merge(OTELResourceDetector().detect())
        provider = TracerProvider(ALWAYS_ON, resource, shutdown_on_exit=False)
        self._share = settings.trace_share
        self._sender = Sender(settings.trace_url, meter)
        provider.add_span_processor(self._sender)
        self._tracer = provider.get_tracer("gustibus", gustibus.__version__)
        scheme = settings.database.partition(":")[0].partition("+")[0]
        self._system = {"db.system.name": scheme}

    def trace_of(self, headers: Mapping[bytes, bytes]) -> Trace | None:
        """Begin the span of a request, of the caller's trace where headers tell of one.

        A trace that the caller does not record is passed on as it came.
        """
        told = trace_of(headers)
        if told is None:
            if self._leaves_out():
                return _unrecorded()
            context = Context()
        elif int(told.headers["traceparent"][_FLAGS], 16) & TraceFlags.SAMPLED:
            context = _context_of(told)
        else:
            return told
        span = self._tracer.start_span("HTTP", context, SpanKind.SERVER, record_exception=False)
        if not span.is_recording():  # OpenTelemetry was switched off by a variable of its own
            return told
        found = span.get_span_context()
        on = {**({} if told is None else told.headers), "traceparent": _header(found)}
        return Trace(f"{found.trace_id:032x}", on, Root(self._tracer, span, on, self._system))

    @contextmanager
    def job(self, kind: str, job: str) -> Iterator[dict[str, str]]:
        """A span of a job; what is put into the dictionary under `outcome` is told with it.

        It has no spans of stages: a job may take hours and thousands of transactions. What the encoder's
        server does for it is of the same trace.
        """
        about = {"gustibus.tenant": TENANT, "gustibus.job.kind": kind, "gustibus.job.id": job}
        span: Span = INVALID_SPAN
        trace = _unrecorded()
        if not self._leaves_out():
            span = self._tracer.start_span(f"job {kind}", Context(), attributes=about)
        if span.is_recording():
            found = span.get_span_context()
            trace = Trace(f"{found.trace_id:032x}", {"traceparent": _header(found)})
        before = TRACE.set(trace)
        told = {"outcome": "released"}
        try:
            yield told
        finally:
            TRACE.reset(before)
            span.set_attribute("gustibus.job.outcome", told["outcome"])
            if told["outcome"] == "failed":
                span.set_attribute("error.type", "job_failed")
                span.set_status(StatusCode.ERROR)
            span.end()

    def _leaves_out(self) -> bool:
        """Whether nothing is recorded of something that belongs to no trace yet."""
        return random() >= self._share

    def close(self, seconds: float) -> None:
        """Send what waits, for so long at most."""
        self._sender.close(seconds)


class Root:
    """The span of a request, which those of its stages are under."""

    __slots__ = ("_context", "_headers", "_left", "_left_out", "_span", "_system", "_tracer")

    def __init__(
        self, tracer: Tracer, span: Span, headers: dict[str, str], system: dict[str, str]
    ) -> None:
        self._tracer = tracer
        self._span = span
        self._headers = headers
        self._system = system
        self._context = set_span_in_context(span, Context())
        self._left = PARTS
        self._left_out = 0

    def received(self, started: float) -> None:
        """Note that the body is there, of a request that came at a time on the clock of `perf_counter`."""
        seconds = perf_counter() - started
        if seconds > _SHORT:
            begun = time_ns() - int(seconds * 1e9)
            self._begun("receive", begun=begun).end()

    @contextmanager
    def part(self, name: str, about: Mapping[str, Any]) -> Iterator[None]:
        """A span of a stage."""
        with _ended(self._begun(name, about)):
            yield

    def timed(self, kind: str, work: Callable[[], T]) -> Callable[[], T]:
        """Work for a thread that makes a span of itself when it begins, and tells how long it waited."""
        asked = perf_counter()
        stores = kind in {"read", "write"}
        name, of = (f"store {kind}", SpanKind.CLIENT) if stores else (kind, SpanKind.INTERNAL)

        def told() -> T:
            about: dict[str, Any] = {"gustibus.waited_ms": round(1e3 * (perf_counter() - asked), 3)}
            if stores:
                about |= self._system
            with _ended(self._begun(name, about, of)):
                return work()

        return told

    @contextmanager
    def asking(self, url: str, about: Mapping[str, Any]) -> Iterator[Asking]:
        """A span of a request to another server."""
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        attributes = {
            "http.request.method": "POST", "url.full": url, "server.address": parts.hostname or "",
            "server.port": port, **about,
        }  # fmt: skip
        span = self._begun("POST", attributes, SpanKind.CLIENT)
        found = span.get_span_context()
        on = {**self._headers, "traceparent": _header(found)} if found.is_valid else self._headers
        with _ended(span):
            yield Asking(span, on)

    def end(self, method: str, template: str, status: int, call: Call | None) -> None:
        """What came of the request; the span is over.

        Args:
            method: as it was sent.
            template: path of the route; `unknown` without one.
            status: of the reply; 0 where the client left before there was one.
            call: the request; None where it had no route.
        """
        known = method if method in _METHODS else "_OTHER"
        shown = "HTTP" if known == "_OTHER" else known
        about: dict[str, Any] = {"http.request.method": known, "gustibus.tenant": TENANT}
        if call is not None:
            shown = f"{shown} {template}"
            about["http.route"] = template
            if call.caller is not None and not call.caller.session:
                about["gustibus.key_id"] = call.caller.id
            if call.units:
                about |= {"gustibus.units": call.units, "gustibus.model": call.model}
        if status:
            about["http.response.status_code"] = status
        else:
            about["error.type"] = "client_left"
        if status >= 500:
            about["error.type"] = str(status)
            self._span.set_status(StatusCode.ERROR)
        if self._left_out:
            about["gustibus.spans_left_out"] = self._left_out
        self._span.update_name(shown)
        self._span.set_attributes(about)
        self._span.end()

    async def end_with(
        self, sending: Awaitable[None], method: str, template: str, status: int, call: Call | None
    ) -> None:
        """Send the reply, then end the span: a reply in pieces is made while it is sent."""
        try:
            await sending
        finally:
            self.end(method, template, status, call)

    def _begun(
        self, name: str, about: Mapping[str, Any] | None = None,
        kind: SpanKind = SpanKind.INTERNAL, *, begun: int | None = None,
    ) -> Span:  # fmt: skip
        """A span of a stage; one of nothing where there were many, or when the request is over."""
        if not self._span.is_recording():
            return INVALID_SPAN
        if self._left <= 0:
            self._left_out += 1
            return INVALID_SPAN
        self._left -= 1
        return self._tracer.start_span(
            name, self._context, kind, about, start_time=begun, record_exception=False
        )


class Asking:
    """A request to another server that is under way.

    Attributes:
        headers: to send with it, so that what the other does is of the same trace.
    """

    __slots__ = ("_span", "headers")

    def __init__(self, span: Span, headers: dict[str, str]) -> None:
        self._span = span
        self.headers = headers

    def answered(self, status: int) -> None:
        """Tell the status of the reply."""
        self._span.set_attribute("http.response.status_code", status)
        if status >= 400:
            self._span.set_attribute("error.type", str(status))
            self._span.set_status(StatusCode.ERROR)


@contextmanager
def _ended(span: Span) -> Iterator[None]:
    """End a span with the block; of an error its type is told, for its message may be about somebody."""
    try:
        yield
    except BaseException as error:
        problem = from_error(error) if isinstance(error, GustibusError) else error
        refused = problem.code if isinstance(problem, Problem) else ""
        span.set_attribute("error.type", refused or type(error).__name__)
        if not isinstance(problem, Problem) or problem.kind.status >= 500:
            span.set_status(StatusCode.ERROR)
        raise
    finally:
        span.end()


def _unrecorded() -> Trace:
    """A trace of its own that nobody is to record; others who take part in it are told so."""
    trace = f"{getrandbits(128) or 1:032x}"
    return Trace(trace, {"traceparent": f"00-{trace}-{getrandbits(64) or 1:016x}-00"})


def _context_of(told: Trace) -> Context:
    """Where a caller's span is the current one; its `tracestate`, which may say anything, only goes on."""
    header = told.headers["traceparent"]
    flags = TraceFlags(int(header[_FLAGS], 16))
    parent = SpanContext(
        int(told.id, 16), int(header[_PARENT], 16), is_remote=True, trace_flags=flags
    )
    return set_span_in_context(NonRecordingSpan(parent), Context())


def _header(found: SpanContext) -> str:
    """What tells another server of a span."""
    return f"00-{found.trace_id:032x}-{found.span_id:016x}-{found.trace_flags:02x}"
