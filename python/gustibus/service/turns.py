"""Turns of requests on the event loop: which one begins next, and how long it may wait for that."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import Final, NamedTuple

from gustibus.service.threads import QueueFullError

TURN: Final = 0.005
"""Seconds in which requests begin before the event loop looks again at what has come in."""
_LEAST = 1e-5  # seconds of a request
_RECENT = 0.1  # weight of the last turn in the mean time of a request
_TIMES = 3.0  # the mean, which one turn counts at most: a pause of the process is no long request
_SHORT = 5 * TURN  # seconds that the queue takes at most while an overload lasts,
_FEW = 3  # or so many requests
_SOME = 32  # of them are refused in one turn


class Refusal(NamedTuple):
    """What a request that has waited for too long is told, both in seconds."""

    waited: float
    retry_after: float


class Waiting(NamedTuple):
    """A request in the queue."""

    came: float
    begins: asyncio.Future[Refusal | None]


class Turns:
    """Lets requests begin one after another, and refuses those that have waited for too long.

    What the event loop finds to be ready at one look is worked off before it looks again. Here no request
    begins after the first milliseconds of that. The others form a queue, so that those who have come in
    meanwhile are read, and the time that each has waited is known.

    As a rule the oldest is next, so that bursts are worked off in order, and of clients who ask again once
    they are answered each gets its turn. When more wait than can begin within `longest`, some will be refused,
    and the newest is next: it is answered soon, while in order all answers would be as late as they may be.
    Whom that passes over begins when there is less to do, or is refused.

    Where some of them have waited for `longest`, more comes than can be answered, and not in a burst. From
    then on the queue is kept short, and whoever finds it full is refused at once, which costs less than to
    keep a request and its body for as long as it may wait. That ends when a request finds nobody before it.

    Args:
        longest: seconds that a request may wait.
        tell: is told of each that is refused.
        clock: seconds that only rise.

    Source: Maurer 2015, "Fail at Scale", adaptive LIFO and controlled delay: in order while the queue is
    short, else newest first; a queue that does not become empty is made shorter.
    """

    def __init__(
        self, longest: float, tell: Callable[[], None], *, clock: Callable[[], float] = perf_counter
    ) -> None:
        self._longest = longest
        self._tell = tell
        self._clock = clock
        self._queue: deque[Waiting] = deque()
        self._mean = TURN  # seconds of a request
        self.number = 0
        """Of the turn at hand."""
        self._began = 0.0
        self._begun = 0  # requests in it; 0 between turns
        self._queued = 0  # of these, those that were in the queue
        self._overloaded = False

    async def wait(self) -> None:
        """Return when the request at hand may begin: as a rule at once.

        Raises:
            QueueFullError: it has waited for too long.
        """
        now = self._clock()
        if not self._queue and (self._begun == 0 or now - self._began < TURN):
            if self._begun == 0:
                self._overloaded = False
                self._start(now, queued=0)
            self._begun += 1
            return
        if self._overloaded and self._is_full():
            self._tell()
            message = "more requests come than can be answered"
            raise QueueFullError(message, retry_after=self._longest)
        waiting = Waiting(now, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        # An error kept by the future would hold the frame that it was raised in, and that frame the future:
        # under overload the garbage collector had to look for tens of thousands of them.
        refusal = await waiting.begins
        if refusal is not None:
            waited, retry_after = refusal
            message = f"requests wait for {waited:.1f} s here, more than {self._longest:g} s"
            raise QueueFullError(message, retry_after=retry_after)

    def _start(self, now: float, *, queued: int) -> None:
        self._began, self._begun, self._queued = now, queued, queued
        # What is called soon comes behind all that is ready now, and before what is read then.
        asyncio.get_running_loop().call_soon(self._end)

    def _end(self) -> None:
        # A turn behind which the queue begins went also into reading those in it.
        if self._queued or not self._queue:
            seconds = (self._clock() - self._began) / self._begun
            self._mean += _RECENT * (min(seconds, _TIMES * self._mean) - self._mean)
            self._mean = max(self._mean, _LEAST)
        self._begun = 0
        self.number += 1
        if self._queue:  # what was read during the turn gets there first
            loop = asyncio.get_running_loop()
            loop.call_soon(loop.call_soon, self._next)

    def _next(self) -> None:
        """Start a turn with as many of the queue as should fit into it."""
        now = self._clock()
        many = self._backlog() > self._longest
        while self._queue and now - self._queue[0].came > self._longest:
            self._overloaded = self._overloaded or many
            self._refuse(now, self._queue.popleft())
        for _ in range(_SOME if self._overloaded else 0):
            if not self._is_full():
                break
            self._refuse(now, self._queue.popleft())
        take = self._queue.pop if self._backlog() > self._longest else self._queue.popleft
        most, begun = max(1, int(TURN / self._mean)), 0
        while self._queue and begun < most:
            waiting = take()
            if not waiting.begins.done():  # else its client has left, or its deadline has passed
                waiting.begins.set_result(None)
                begun += 1
        if begun:
            self._start(now, queued=begun)

    def _refuse(self, now: float, waiting: Waiting) -> None:
        if waiting.begins.done():
            return
        waited = now - waiting.came
        waiting.begins.set_result(Refusal(waited, retry_after=max(waited, self._backlog())))
        self._tell()

    def _is_full(self) -> bool:
        """Whether more wait than may while an overload lasts."""
        return len(self._queue) >= _FEW and self._backlog() > _SHORT

    def _backlog(self) -> float:
        """Seconds that the queue takes."""
        return len(self._queue) * self._mean
