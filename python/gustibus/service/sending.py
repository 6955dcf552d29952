"""Spans on their way to a collector: in batches, by a thread, and dropped rather than waited for."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

if TYPE_CHECKING:
    from gustibus.service.metrics import Meter

MOST: Final = 8192
"""Spans that wait; what comes while there are so many is dropped."""
_BATCH = 512  # spans of a request to the collector
_EVERY = 1.0  # seconds between requests, less where a batch is full
_TIMEOUT = 5.0  # seconds that one may take with all its repetitions
_SHOWN = 300  # characters of a reason

log = logging.getLogger("gustibus.service")


class _Reasons(logging.Handler):
    """Keeps what the exporter last complained of: it would do so at every batch, we once an outage."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.last = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a message; the final one of a timeout says less than those of the tries before."""
        message = record.getMessage()
        if not (self.last and "due to timeout" in message):
            self.last = message[:_SHOWN]


def exporter_to(endpoint: str) -> tuple[SpanExporter, _Reasons]:
    """What sends spans, by OTLP over HTTP, and what tells why it could not.

    Headers and certificates are those of `OTEL_EXPORTER_OTLP_HEADERS` and its like.
    """
    reasons = _Reasons()
    complaints = logging.getLogger("opentelemetry.exporter")
    complaints.handlers = [reasons]
    complaints.propagate = False
    return OTLPSpanExporter(endpoint=endpoint, timeout=_TIMEOUT), reasons


def why_not(endpoint: str) -> str:
    """Why a collector takes no spans, from one request without any; empty where it would."""
    exporter, reasons = exporter_to(endpoint)
    try:
        taken = _taken(exporter, reasons, [])
    finally:
        exporter.shutdown()
    return "" if taken else reasons.last or "it gives no reason"


def _taken(exporter: SpanExporter, reasons: _Reasons, batch: Sequence[ReadableSpan]) -> bool:
    """Whether a collector took spans; an exporter that raises has failed like one that says so."""
    try:
        return exporter.export(batch) is SpanExportResult.SUCCESS
    except Exception as error:
        reasons.last = f"{type(error).__name__}: {error}"[:_SHOWN]
        return False


class Sender(SpanProcessor):
    """Takes spans that have ended, on any thread, and sends them from one of its own.

    Args:
        endpoint: where to.
        meter: counts those that were sent and those that were lost.
    """

    def __init__(self, endpoint: str, meter: Meter) -> None:
        self._endpoint = endpoint
        self._exporter, self._reasons = exporter_to(endpoint)
        self._counts = meter.spans
        self._counts.update(sent=0, lost=0)
        self._counting = threading.Lock()
        self._waiting: deque[ReadableSpan] = deque()
        self._wake = threading.Event()
        self._ending = self._given_up = self._failing = False
        self._thread = threading.Thread(target=self._run, name="spans", daemon=True)
        self._thread.start()

    def on_end(self, span: ReadableSpan) -> None:
        """Put a span behind those that wait."""
        if len(self._waiting) >= MOST or self._ending:
            self._count("lost", 1)
            return
        self._waiting.append(span)
        if len(self._waiting) >= _BATCH:
            self._wake.set()

    def close(self, seconds: float) -> None:
        """Send what waits, for so long at most; what is left then is lost."""
        self._ending = True
        self._wake.set()
        self._thread.join(seconds)
        self._given_up = True
        self._exporter.shutdown()  # ends the wait for another try
        left = len(self._waiting)
        if left:
            self._count("lost", left)
            log.warning("%d spans were not sent to %s before the end", left, self._endpoint)

    def _run(self) -> None:
        while not self._ending:
            self._wake.wait(_EVERY)
            self._wake.clear()
            self._send()
        self._send()

    def _send(self) -> None:
        while self._waiting and not self._given_up:
            size = min(_BATCH, len(self._waiting))
            batch = [self._waiting.popleft() for _ in range(size)]
            sent = _taken(self._exporter, self._reasons, batch)
            self._count("sent" if sent else "lost", size)
            if not sent and not self._failing:
                why = self._reasons.last or "no reason is given"
                log.warning("spans are dropped: %s does not take them: %s", self._endpoint, why)
            self._failing = not sent
            self._reasons.last = ""

    def _count(self, outcome: str, spans: int) -> None:
        with self._counting:
            self._counts[outcome] += spans
