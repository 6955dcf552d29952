"""How often somebody did something within a minute; whoever was seen longest ago is forgotten first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from time import monotonic
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gustibus.service.quotas import Quotas

MINUTE: Final = 60.0
"""Seconds of a window; it begins with the first thing that is counted in it."""
MOST: Final = 10_000
"""Whose windows are kept, about 3 MB of them."""


def share_of(limit: int, processes: int) -> int:
    """What each of several processes takes of a limit, one at least; 0 is no limit."""
    return 0 if limit == 0 else max(1, limit // processes)


class Windows:
    """Counts by name.

    Args:
        limit: how often something may be done in a window; 0 for no limit.
        most: names that are kept.
    """

    def __init__(self, limit: int, *, most: int = MOST) -> None:
        self.limit = limit
        self._most = most
        self._seen: OrderedDict[Hashable, tuple[float, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    def count(self, name: Hashable, *, now: float | None = None) -> float:
        """Count once more; seconds until it may be done again, 0 where it may be done now.

        What is refused is not counted, so that waiting is all that it takes.

        Args:
            name: who does it.
            now: on the clock of `monotonic`.
        """
        if not self.limit:
            return 0.0
        now = monotonic() if now is None else now
        begun, count = self._seen.pop(name, (now, 0))
        if now >= begun + MINUTE:
            begun, count = now, 0
        refused = count >= self.limit
        self._seen[name] = (begun, count if refused else count + 1)
        if len(self._seen) > self._most:
            self._seen.popitem(last=False)
        return max(begun + MINUTE - now, 0.001) if refused else 0.0


class SharedWindows:
    """Counts by name within a minute that all machines share: each counts at once, and hears of the others.

    Args:
        quotas: tells Redis.
        kind: what is counted.
        limit: how often something may be done in a window on all machines; above 0.
        local: counts of this process, for when Redis is away.
    """

    def __init__(self, quotas: Quotas, kind: str, limit: int, local: Windows) -> None:
        self.kind = kind
        self._quotas = quotas
        self._limit = limit
        self._local = local
        self._seen: OrderedDict[Hashable, tuple[float, int]] = OrderedDict()

    @property
    def limit(self) -> int:
        """How often something may be done in a window."""
        return self._limit if self._quotas.up else self._local.limit

    def count(self, name: Hashable) -> float:
        """Count once more; seconds until it may be done again, 0 where it may be done now."""
        if not self._quotas.up:
            return self._local.count(name)
        now = monotonic()
        ends, count = self._seen.pop(name, (0.0, 0))
        if now >= ends:
            ends, count = now + MINUTE, 0
        refused = count >= self._limit
        if not refused:
            count += 1
            self._quotas.count(self, name)
        self._keep(name, ends, count)
        return max(ends - now, 0.001) if refused else 0.0

    def hear(self, name: Hashable, count: int, seconds: float) -> None:
        """Take what all machines have counted.

        Args:
            name: who did it.
            count: how often, what this process has told included.
            seconds: until the end of the window.
        """
        self._seen.pop(name, None)
        self._keep(name, monotonic() + seconds, count + self._quotas.uncounted(self, name))

    def _keep(self, name: Hashable, ends: float, count: int) -> None:
        self._seen[name] = (ends, count)
        if len(self._seen) > MOST:
            self._seen.popitem(last=False)


def counts_of(
    quotas: Quotas | None, kind: str, limit: int, processes: int
) -> Windows | SharedWindows:
    """Counts of all machines, or of this process where they share none.

    Args:
        quotas: that they share.
        kind: what is counted.
        limit: how often something may be done in a minute; 0 for no limit.
        processes: of this machine.
    """
    local = Windows(share_of(limit, processes))
    return local if quotas is None or limit == 0 else SharedWindows(quotas, kind, limit, local)
