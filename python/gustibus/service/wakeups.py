"""Waking what follows the store, so that it looks when there is something to see and not only now and then.

Over PostgreSQL a process listens for what others write; a message makes the look that is due within
`refresh` seconds happen at once. Nothing depends on it: what is missed is seen at the next look.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from math import inf
from random import uniform
from typing import TYPE_CHECKING

from gustibus.errors import GustibusError
from gustibus.store import JOB, listen

if TYPE_CHECKING:
    from gustibus.service.state import State

_TOGETHER = 0.1  # seconds between two looks: what is told meanwhile is one look
_AGAIN = 0.1  # seconds, twice as long each time, until a look that came too early is repeated
_LATEST = 1.0  # seconds at most
_FIRST = 0.1  # seconds, twice as long each time, until a lost connection is made again
_LAST = 30.0  # seconds at most

log = logging.getLogger("gustibus.service")


class Alarm:
    """Wakes the look at what others wrote, and the one for jobs, before they are due."""

    def __init__(self) -> None:
        self._changes = asyncio.Event()
        self._jobs = asyncio.Event()
        self._through = -1  # the last transaction that was told of
        self._again = inf

    def ring(self, told: str) -> None:
        """Take a message; the empty one wakes everybody, for others may have been missed."""
        if told != JOB:
            if told.isdecimal():
                self._through = max(self._through, int(told))
            self._again = _AGAIN
            self._changes.set()
        if not told or told == JOB:
            self._jobs.set()

    async def changes(self, seconds: float) -> None:
        """Wait until there may be changes to read, for so long at most."""
        await asyncio.sleep(min(_TOGETHER, seconds))
        await _rung(self._changes, min(seconds, self._again) - _TOGETHER)

    def looked(self, sequence: int) -> None:
        """Note how far a look has seen.

        A change is shown only once every transaction that began before it has ended, so that a look
        right after a message may come too early.
        """
        if sequence > self._through:
            self._again = inf
        else:
            self.failed()

    def failed(self) -> None:
        """Note that a look has to be repeated."""
        self._again = min(2 * self._again, _LATEST)

    async def jobs(self, seconds: float) -> None:
        """Wait until a job may wait, for so long at most."""
        await _rung(self._jobs, seconds)


async def _rung(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, which is forgotten before what it tells of is looked at."""
    try:
        async with asyncio.timeout(max(seconds, 0.0)):
            await event.wait()
    except TimeoutError:
        pass
    event.clear()


async def hear(state: Callable[[], State]) -> None:
    """Ring the alarm of the state in use whenever others tell something, until cancelled."""
    pause = _FIRST
    while True:
        try:
            async for told in listen(state().store.url):
                pause = _FIRST
                state().alarm.ring(told)
        except GustibusError as error:
            if pause == _FIRST:
                every = state().settings.refresh
                log.warning("%s; what others write is looked for every %g s", error, every)
        except Exception as error:  # the task must not end while the process lives
            log.error("nothing is listened to", exc_info=error)
        await asyncio.sleep(uniform(0.5, 1.0) * pause)
        pause = min(2 * pause, _LAST)
