"""The stages of a request: how long each took, of some requests."""

from __future__ import annotations

from time import perf_counter
from typing import Final, Literal

from gustibus.service.instruments import Histogram

Stage = Literal["auth", "queue", "parse", "lookup", "encode", "head", "serialise"]

SAMPLED: Final = 16
"""Of so many requests the stages of one are timed: of all, that would cost what a stage costs."""


class Laps:
    """A clock that is read at the end of each stage; a stage that comes twice is one.

    Args:
        since: when the first stage began, on the clock of `perf_counter`.
    """

    __slots__ = ("_since", "_told")

    def __init__(self, since: float) -> None:
        self._since = since
        self._told: dict[str, float] = {}

    def end(self, stage: Stage) -> None:
        """What has passed since the last reading was this stage."""
        now = perf_counter()
        self._told[stage] = self._told.get(stage, 0.0) + now - self._since
        self._since = now

    def skip(self) -> None:
        """What has passed since the last reading was none, but time of the client's."""
        self._since = perf_counter()

    def tell(self, durations: Histogram) -> None:
        """Count the stages that there were."""
        for stage, seconds in self._told.items():
            durations.observe(seconds, stage)
