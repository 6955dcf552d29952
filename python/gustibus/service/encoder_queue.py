"""Whether texts of one more request can be encoded in time: what waits, and how fast that went lately."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic

from gustibus.service.threads import DEADLINE, QueueFullError

_MOST = 64  # requests that may wait or be encoded
_RECENT = 0.1  # weight of the last part in the pace


@dataclass(slots=True)
class _Asked:
    """Parts of one request that are encoded or wait: those of a batch are so many requests of one client."""

    parts: int = 0
    work: float = 0.0


@dataclass(slots=True)
class Place:
    """Of a part in the queue."""

    asked: _Asked
    left: float
    """Work that is not done yet."""


class EncoderQueue:
    """What waits for an encoder, and how fast it is.

    A request with a deadline is refused at once when what waits before it will take longer than it may
    wait, for whoever is told so can go elsewhere while there is time. While nothing waits, none is: how
    slow the encoder itself is, is the affair of whoever chose it. Requests without a deadline wait for as
    long as it takes.

    Args:
        lanes: parts that are encoded at once without waiting for each other.
        longest: seconds that a request may wait, less where its deadline is nearer.
        clock: seconds that only rise, the clock of deadlines.
    """

    def __init__(
        self, *, lanes: int, longest: float, clock: Callable[[], float] = monotonic
    ) -> None:
        self._lanes, self._longest, self._clock = lanes, longest, clock
        self._asked: dict[float | None, _Asked] = {}  # by deadline, which tells requests apart
        self._parts = 0
        self._work = 0.0
        self._lock = threading.Lock()
        self._ended = 0.0  # of what was encoded last
        self._seconds = 0.0  # that the encoder worked lately, older ones counting less
        self._done = 0.0  # in that time

    @property
    def parts(self) -> int:
        """Parts of requests that wait, or that are being encoded."""
        return self._parts

    @contextmanager
    def place(self, work: float) -> Iterator[Place]:
        """A place for one part of a request, for as long as the block lasts; on the event loop.

        Args:
            work: that it is, in any unit.

        Raises:
            QueueFullError: too many wait, or it would wait for too long.
        """
        until = DEADLINE.get()
        own = self._asked.get(until, _Asked()) if until is not None else _Asked()
        if self._parts >= _MOST:
            message = f"{self._parts} requests wait for their texts to be encoded"
            raise QueueFullError(message, retry_after=self.seconds(self._work))
        if until is not None and self._parts - own.parts > self._lanes:
            wait = self.seconds(self._work - own.work)
            if wait > min(until - self._clock(), self._longest):
                message = (
                    f"texts wait for about {wait:.1f} s to be encoded, longer than this request may"
                )
                raise QueueFullError(message, retry_after=wait)
        asked = self._asked.setdefault(until, own)
        found = Place(asked, work)
        self._count(asked, 1, work)
        try:
            yield found
        finally:
            self._count(asked, -1, -found.left)
            if not asked.parts:
                del self._asked[until]

    def did(self, place: Place, work: float) -> None:
        """So much of a part is encoded; on the event loop."""
        place.left -= work
        place.asked.work -= work
        self._work -= work

    def encoded(self, work: float, *, since: float) -> None:
        """So much was encoded between `since` and now; in any thread."""
        with self._lock:
            now = self._clock()
            took = now - max(since, self._ended)  # time that two shared counts once
            self._ended = now
            self._seconds += took - _RECENT * self._seconds
            self._done += work - _RECENT * self._done

    def seconds(self, work: float) -> float:
        """That so much should take; 0 while the pace is not known."""
        return work * self._seconds / self._done if self._done else 0.0

    def _count(self, asked: _Asked, parts: int, work: float) -> None:
        asked.parts += parts
        asked.work += work
        self._parts += parts
        self._work += work
