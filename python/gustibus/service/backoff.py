"""Waiting ever longer for what does not come."""

from __future__ import annotations


class BackOff:
    """How long to wait for what does not come: twice as long after every look that found nothing new.

    Args:
        first: seconds after a look that found something.
        most: seconds at most.
    """

    def __init__(self, *, first: float, most: float) -> None:
        self._first = first
        self._most = most
        self._seen: object = None
        self.pause = first
        self.waits = False
        """Whether something is missing since the last look."""

    def look(self, signs: object) -> None:
        """Begin a look.

        Args:
            signs: equal to those of the look before when nothing can have come.
        """
        again = self.waits and signs == self._seen
        self.pause = min(2 * self.pause, self._most) if again else self._first
        self._seen = signs
        self.waits = False

    def worth(self, signs: object) -> bool:
        """Whether something has come since the last look that may be what is missing."""
        return self.waits and signs != self._seen
