"""Counts that read whole tables: told again for a while, with their age.

What an operator looks at must not take more of the machine than a small share, however large the store
is and however often it is asked for. What is counted fast is counted at every look.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from gustibus.service.threads import Threads
    from gustibus.store import Connection

T = TypeVar("T")

FAST = 0.25
"""Seconds; what takes less is never told again."""
_TIMES = 20  # as long as it took is a count told again: a twentieth of a core at most


class Counted(NamedTuple, Generic[T]):
    """What was counted."""

    value: T
    age: float
    """Seconds since that began."""


class Counts:
    """The last count of each kind.

    Args:
        clock: seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self._clock = clock
        self._kept: dict[str, _Kept] = {}
        self._busy: dict[str, asyncio.Lock] = {}

    async def of(self, threads: Threads, kind: str, count: Callable[[Connection], T]) -> Counted[T]:
        """A count of this kind, made now or not long ago; of those who ask at once one counts.

        Args:
            threads: where it is made.
            kind: what is counted; the same kind is always counted alike.
            count: reads it.
        """
        async with self._busy.setdefault(kind, asyncio.Lock()):
            kept = self._kept.get(kind)
            if kept is None or self._clock() >= kept.until:
                kept = await threads.read(lambda conn: self._made(conn, count))
                self._kept[kind] = kept
            return Counted(kept.value, self._clock() - kept.began)

    def _made(self, conn: Connection, count: Callable[[Connection], object]) -> _Kept:
        """In a thread: what waits for it is not part of what it costs."""
        began = self._clock()
        value = count(conn)
        took = self._clock() - began
        return _Kept(value, began, began + took * (1 + _TIMES) if took >= FAST else 0.0)


class _Kept(NamedTuple):
    value: Any
    began: float
    until: float
    """When it is to be made again."""
