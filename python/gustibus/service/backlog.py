"""Jobs that wait or run, as the store had them when it was last looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from time import time
from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily, Metric

if TYPE_CHECKING:
    from gustibus.store import AtWork

_STATES = ("queued", "running")


class Backlog:
    """Counts by kind and state, and since when the oldest of each kind waits.

    Args:
        clock: seconds since the epoch.
    """

    def __init__(self, clock: Callable[[], float] = time) -> None:
        self._clock = clock
        self._counts: dict[tuple[str, str], int] = {}
        self._oldest: dict[str, float] = {}  # when it was made; of kinds of which one waits

    def expect(self, kinds: Iterable[str]) -> None:
        """Show kinds of jobs of which there are none."""
        for kind in kinds:
            for state in _STATES:
                self._counts.setdefault((kind, state), 0)

    def see(self, found: Mapping[tuple[str, str], AtWork]) -> None:
        """What there is now, by kind and state."""
        self.expect(kind for kind, _ in found)
        self._counts = {key: found[key].count if key in found else 0 for key in self._counts}
        self._oldest = {
            kind: one.oldest.timestamp()
            for (kind, state), one in found.items()
            if state == "queued"
        }

    def families(self) -> Iterator[Metric]:
        """What there is to show; jobs grow older also while the store does not answer."""
        counts = GaugeMetricFamily(
            "gustibus_jobs", "Jobs that wait or run.", labels=["kind", "state"]
        )
        for key, count in self._counts.items():
            counts.add_metric(list(key), count)
        yield counts
        oldest = GaugeMetricFamily(
            "gustibus_job_oldest_queued_seconds", "Age of the oldest that waits; 0 if none does.",
            labels=["kind"],
        )  # fmt: skip
        now = self._clock()
        for kind in dict.fromkeys(kind for kind, _ in self._counts):
            oldest.add_metric([kind], max(now - self._oldest.get(kind, now), 0.0))
        yield oldest
