"""A circuit breaker: what fails again and again is left alone for a while, then tried once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Literal

from gustibus.errors import OverloadedError


class OpenError(OverloadedError):
    """The breaker is open.

    Args:
        message: what is left alone.
        retry_after: seconds until it is tried again.
    """

    code = "encoder_unavailable"

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Breaker:
    """Safe to share between threads.

    Args:
        failures: consecutive ones that open it.
        pause: seconds that it stays open; then one call is let through, whose outcome closes it or
            opens it again.
        clock: seconds that only rise.
    """

    def __init__(
        self, *, failures: int = 5, pause: float = 5.0, clock: Callable[[], float] = monotonic
    ) -> None:
        self._most = failures
        self._pause = pause
        self._clock = clock
        self._lock = threading.Lock()
        self._failed = 0
        self._until = 0.0
        self._trying = False

    @property
    def state(self) -> Literal["closed", "open", "half_open"]:
        """Whether calls go through: all, none, or one to see."""
        if self._failed < self._most:
            return "closed"
        return "open" if self._clock() < self._until else "half_open"

    @contextmanager
    def call(self, *, undecided: type[Exception]) -> Iterator[None]:
        """One call, which failed when the block raises.

        Args:
            undecided: what says nothing of whether calls succeed, such as a caller who cannot wait.

        Raises:
            OpenError: calls are not let through now.
        """
        with self._lock:
            if self.state == "open" or (self.state == "half_open" and self._trying):
                wait = max(self._until - self._clock(), 0.0) or self._pause
                message = f"it failed {self._failed} times in a row and is left alone for now"
                raise OpenError(message, retry_after=wait)
            mine = self._trying = self.state == "half_open"
        failed = None
        try:
            yield
            failed = False
        except undecided:
            raise
        except Exception:
            failed = True
            raise
        finally:
            with self._lock:
                if failed is not None:
                    self._failed = self._failed + 1 if failed else 0
                    self._until = self._clock() + self._pause
                if mine:
                    self._trying = False
