"""Histograms of one process: plain counts that any thread may add to, shown on demand."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Sequence

from prometheus_client.core import HistogramMetricFamily

BOUNDS = sorted([*(0.00025 * 2.0**i for i in range(19)), 0.05])
"""Upper edges of latency in seconds: 0.25 ms to 66 s, beyond any deadline, and the objective's 50 ms."""


class Histogram:
    """How often values fell between edges, by labels.

    Args:
        name: without the prefix that all metrics have.
        text: what it says of itself.
        bounds: upper edges, rising; beyond the last there is one more bucket.
        labels: names of labels, whose values are of small enumerations.
    """

    def __init__(
        self, name: str, text: str, bounds: Sequence[float], *, labels: Sequence[str] = ()
    ) -> None:
        self._name, self._text = f"gustibus_{name}", text
        self._bounds = [float(bound) for bound in bounds]
        self._labels = list(labels)
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, ...], list[int]] = {}
        self._sums: dict[tuple[str, ...], float] = {}
        if not labels:
            self.expect()

    def expect(self, *values: str) -> None:
        """Show a combination of labels before the first value comes."""
        with self._lock:
            self._begin(values)

    def observe(self, value: float, *values: str) -> None:
        """One value, under values of the labels in their order."""
        with self._lock:
            counts = self._counts.get(values)
            if counts is None:
                counts = self._begin(values)
            counts[bisect_left(self._bounds, value)] += 1
            self._sums[values] += value

    def _begin(self, values: tuple[str, ...]) -> list[int]:
        self._sums.setdefault(values, 0.0)
        return self._counts.setdefault(values, [0] * (len(self._bounds) + 1))

    def family(self) -> HistogramMetricFamily:
        """What there is to show."""
        found = HistogramMetricFamily(self._name, self._text, labels=self._labels)
        with self._lock:
            rows = [(key, list(row), self._sums[key]) for key, row in self._counts.items()]
        for values, counts, total in rows:
            found.add_metric(list(values), cumulated(self._bounds, counts), total)
        return found


def cumulated(bounds: Sequence[float], counts: Sequence[int]) -> list[tuple[str, float]]:
    """Edges with how many values are at or below each, from counts `(n + 1,)` of buckets."""
    total, rows = 0, []
    for bound, count in zip([*bounds, float("inf")], counts, strict=True):
        total += count
        rows.append(("+Inf" if bound == float("inf") else str(bound), float(total)))
    return rows
