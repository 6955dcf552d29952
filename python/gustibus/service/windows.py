"""How often somebody did something within a minute; whoever was seen longest ago is forgotten first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from time import monotonic
from typing import Final

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
