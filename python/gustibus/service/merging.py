"""The figures of several processes as those of one, put together by the process that started them.

That one shows them on a listener, or gives them to any of the others that is asked for them. Each answers
over a pipe of its own. What one had counted before it ended goes on being counted, so that no
counter goes backwards when another takes its place.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from gustibus.service.metrics import exposition, registry_of

if TYPE_CHECKING:
    from gustibus.service.state import State

GAUGES: Final[dict[str, Literal["sum", "max"]]] = {
    "gustibus_db_pool_in_use": "sum",
    "gustibus_encoder_breaker_open": "max",
    "gustibus_encoder_queue_depth": "sum",
    "gustibus_event_loop_lag_seconds": "max",
    "gustibus_http_requests_in_flight": "sum",
    "gustibus_job_oldest_queued_seconds": "max",
    "gustibus_jobs": "max",  # every process looks at the same store
    "gustibus_model_info": "max",
    "gustibus_model_load_seconds": "max",
    "gustibus_people_stale": "max",  # every process waits for the same fits
    "gustibus_process_max_fds": "max",
    "gustibus_process_open_fds": "max",  # the limit is one of each process
    "gustibus_process_resident_memory_bytes": "sum",
    "gustibus_process_start_time_seconds": "max",
    "gustibus_process_virtual_memory_bytes": "sum",
    "gustibus_quotas_away": "max",
    "gustibus_refits_waiting": "sum",
    "gustibus_rows_in_memory": "max",  # every process keeps the same rows
    "gustibus_vector_cache_bytes": "sum",
    "python_info": "max",
}
"""What the values of a gauge are together; counters, histograms and summaries are added up."""
# Seconds for an answer of a process; of one that gives none its last one is shown.
_PATIENCE = 3.0
# Seconds for an answer of the process that puts them together, which waits for the others.
_LONG = 6.0
_ASK = b"?"


class Figures(NamedTuple):
    """The ends of a process of its pipes to the one that started it."""

    own: Connection
    """Over which it is asked for what it has counted."""
    whole: Connection | None
    """Over which it asks for what all have; None where those are shown elsewhere."""


def answer(pipe: Connection, state: Callable[[], State], loop: asyncio.AbstractEventLoop) -> None:
    """Send the figures of this process at once, and again whenever they are asked for.

    They are read on the event loop, which alone changes them, and sent by a thread, which may wait.

    Args:
        pipe: to the process that started this one.
        state: in use, another one after a new model.
        loop: of the process.
    """
    registry = registry_of(state)

    async def read() -> list[Metric]:
        return list(registry.collect())

    def send() -> None:
        try:
            while True:
                pipe.send(asyncio.run_coroutine_threadsafe(read(), loop).result())
                pipe.recv_bytes()
        except (EOFError, OSError, RuntimeError):
            return  # this process is ending, or the one that asks has ended

    threading.Thread(target=send, name="figures", daemon=True).start()


class Whole:
    """Asks the process that started this one for what all have counted.

    Args:
        pipe: to it.
    """

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._turn = threading.Lock()

    def exposition(self) -> bytes | None:
        """Prometheus text, None where none comes; any thread may ask, and waits for it."""
        with self._turn:
            try:
                while self._pipe.poll():
                    self._pipe.recv_bytes()  # came too late for the question before
                self._pipe.send_bytes(_ASK)
                return self._pipe.recv_bytes() if self._pipe.poll(_LONG) else None
            except (EOFError, OSError):
                return None


class Child:
    """A process that is asked.

    Attributes:
        pipe: to it.
        last: its figures when it answered last; None before it has begun.
        asked: whether it has not answered the last question yet.
    """

    def __init__(self, pipe: Connection) -> None:
        self.pipe = pipe
        self.last: list[Metric] | None = None
        self.asked = False


class Merged(Collector):
    """What the processes show together; any thread may ask."""

    def __init__(self) -> None:
        self._heard = threading.Condition()
        self._children: list[Child] = []
        self._past: list[Metric] = []  # counted by processes that have ended

    def attach(self, pipe: Connection) -> None:
        """Ask one more process, until it ends."""
        child = Child(pipe)
        with self._heard:
            self._children.append(child)
        threading.Thread(target=self._read, args=(child,), name="figures", daemon=True).start()

    def give(self, pipe: Connection) -> None:
        """Show what all have counted to a process whenever it asks, until it ends."""

        def answer() -> None:
            try:
                while pipe.recv_bytes():
                    pipe.send_bytes(self.exposition())
            except (EOFError, OSError):
                pipe.close()

        threading.Thread(target=answer, name="figures", daemon=True).start()

    def ask(self) -> int:
        """Ask those that have begun; how many answered in time."""
        with self._heard:
            begun = [child for child in self._children if child.last is not None]
            for child in begun:
                if not child.asked:
                    child.asked = _sent(child.pipe)
            self._heard.wait_for(lambda: not any(child.asked for child in begun), _PATIENCE)
            return sum(child in self._children and not child.asked for child in begun)

    def collect(self) -> Iterable[Metric]:
        """Families of all processes together, and how many have answered."""
        answered = self.ask()
        with self._heard:
            parts = [self._past, *(child.last or [] for child in self._children)]
        text = "Processes that have answered."
        return [*merged(parts), GaugeMetricFamily("gustibus_processes", text, value=answered)]

    def describe(self) -> Iterable[Metric]:
        """Nothing: what there is depends on the processes."""
        return []

    def exposition(self) -> bytes:
        """Prometheus text."""
        registry = CollectorRegistry()
        registry.register(self)
        return exposition(registry)

    def _read(self, child: Child) -> None:
        """Take the answers of a process as they come; at its end keep what it has counted."""
        try:
            while True:
                found = child.pipe.recv()
                with self._heard:
                    child.last, child.asked = found, False
                    self._heard.notify_all()
        except (EOFError, OSError):
            pass
        with self._heard:
            counted = [family for family in child.last or [] if family.type != "gauge"]
            self._past = merged([self._past, counted])
            self._children.remove(child)
            child.asked = False
            self._heard.notify_all()
        child.pipe.close()


def _sent(pipe: Connection) -> bool:
    """Whether a process could be asked; one that has just ended cannot."""
    try:
        pipe.send_bytes(_ASK)
    except OSError:
        return False
    return True


def merged(parts: Iterable[Iterable[Metric]]) -> list[Metric]:
    """Families of several processes as one each, in the order in which they first come."""
    families: dict[str, Metric] = {}
    samples: dict[str, dict[tuple[str, ...], Sample]] = {}
    for family in (family for part in parts for family in part):
        largest = family.type == "gauge" and GAUGES.get(family.name, "max") == "max"
        if family.name not in families:
            families[family.name] = Metric(family.name, family.documentation, family.type)
        found = samples.setdefault(family.name, {})
        for sample in family.samples:
            key = (sample.name, *(text for pair in sample.labels.items() for text in pair))
            before = found.get(key)
            if before is not None:
                both = (before.value, sample.value)
                sample = sample._replace(value=max(both) if largest else sum(both))
            found[key] = sample
    for name, family in families.items():
        family.samples = list(samples[name].values())
    return list(families.values())
