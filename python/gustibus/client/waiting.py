"""Results that come later: the job that makes one, and waiting for its end; no network."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf
from numbers import Real
from typing import Any, Generic, TypeVar

from gustibus.client.calls.jobs import Job, get_job
from gustibus.client.decoding import decoder
from gustibus.client.errors import (
    ApiConnectionError,
    ApiError,
    ApiTimeoutError,
    ClientClosedError,
    JobCancelledError,
    JobFailedError,
)
from gustibus.client.wire import Request, adding
from gustibus.errors import ConfigError, InputError
from gustibus.showing import shown

T = TypeVar("T")

_FIRST, _GROWTH, _LONGEST = 0.05, 1.5, 2.0  # seconds between looks: the first, its factor, the most
_SHORTEST = 1e-3  # seconds that a look at a job has at least


@dataclass(frozen=True, slots=True)
class Pending(Generic[T]):
    """A result that a job is making; `client.jobs.wait` gives it.

    Attributes:
        job: as it was when it was queued.
    """

    job: Job
    read: Callable[[bytes], T]

    def __repr__(self) -> str:
        """Which job it is: what came of it may hold what people wrote."""
        return shown(self, id=self.id, state=self.job.state)

    @property
    def id(self) -> str:
        """Of the job, for `client.jobs.get` and `client.jobs.cancel`."""
        return self.job.id


def queued(request: Request[T]) -> Request[Pending[T]]:
    """The request for a job that is to end with what the given request would be answered by."""
    read = request.read

    def pending(content: bytes) -> Pending[T]:
        return Pending(decoder(Job)(content), read)

    found: Any = request  # of another type of result from here on
    made: Request[Pending[T]] = replace(
        found, read=pending, body=adding(request.body, {"async": True}), writes=True
    )
    return made


class Waiting:
    """Looks at a job until it has ended: after each look or failure, how long to pause before the next.

    Args:
        job: that is waited for, or its id.
        timeout: seconds to wait; None for as long as it takes.
        outage: seconds that the service may be out of reach, as it is while it starts again.
        progress: is told of the job at the first look and whenever it has changed.
        clock: monotonic seconds.

    Raises:
        ConfigError: times that cannot be meant.
    """

    def __init__(
        self, job: Job | Pending[T] | str, timeout: float | None, outage: float,
        progress: Callable[[Job], object] | None, *, clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        if timeout is not None:
            _check("timeout", timeout, zero=False)
        _check("outage", outage, zero=True)
        if not isinstance(job, Job | Pending | str):
            message = f"job: expected a job or its id, got {type(job).__name__}"
            raise InputError(message, where="job")
        self._name = job if isinstance(job, str) else job.id
        self._pending = job if isinstance(job, Pending) else None
        self._timeout, self._outage = timeout, float(outage)
        self._progress, self._clock = progress, clock
        self._until = inf if timeout is None else clock() + timeout
        self._missing_since: float | None = None
        self._pause = _FIRST
        self._last: Job | None = None

    def request(self) -> Request[Job]:
        """A look at the job, which takes no longer than there is time."""
        left = self._until - self._clock()
        within = self._outage if self._outage > 0.0 else inf
        seconds = min(within, max(left, _SHORTEST))
        return replace(get_job(self._name), within=None if seconds == inf else seconds)

    def seen(self, job: Job) -> float:
        """Seconds to pause after a look, 0 where the job has ended.

        Raises:
            ApiTimeoutError: there is no time left.
        """
        self._missing_since = None
        if job != self._last and self._progress is not None:
            self._progress(job)
        self._last = job
        return 0.0 if job.ended else self._next(None)

    def missed(self, error: ApiError | ApiConnectionError) -> float:
        """Seconds to pause after a look that failed.

        Raises:
            ApiError: of the look, where another would fail alike, or the outage has lasted too long.
            ApiConnectionError: likewise; `ApiTimeoutError` where there is no time left.
        """
        if isinstance(error, ClientClosedError):
            raise error
        wait = None
        if isinstance(error, ApiError):
            if error.status not in {408, 429} and error.status < 500:
                raise error
            wait = error.retry_after
        now = self._clock()
        self._missing_since = now if self._missing_since is None else self._missing_since
        if now < self._until and now - self._missing_since >= self._outage:
            raise error
        return self._next(wait, error)

    def outcome(self, job: Job) -> Any:
        """Of a job that has ended: what it made where a result was waited for, else the job.

        Raises:
            JobFailedError: it has failed; the error tells why.
            JobCancelledError: it was cancelled.
            BadReplyError: the result is of another form.
        """
        if job.state == "failed":
            message = job.error or "it failed, and nothing tells why"
            raise JobFailedError(job.id, message, reason=job.error_code)
        if job.state == "cancelled":
            raise JobCancelledError(job.id, "it was cancelled before it was done")
        return job if self._pending is None else self._pending.read(json.dumps(job.result).encode())

    def _next(self, wait: float | None, error: Exception | None = None) -> float:
        left = self._until - self._clock()
        if left <= 0.0:
            state = "not known" if self._last is None else self._last.state
            message = (
                f"job: {self._name} has not ended within {self._timeout:g} s (its state: {state}); "
                "it goes on, and can be waited for again"
            )
            raise ApiTimeoutError(message) from error
        pause = max(self._pause, wait or 0.0)
        self._pause = min(_LONGEST, self._pause * _GROWTH)
        return min(pause, left)


def _check(name: str, seconds: object, *, zero: bool) -> None:
    """Refuse seconds that are none."""
    number = float(seconds) if isinstance(seconds, Real) else inf
    if not (0.0 if zero else _SHORTEST) <= number < inf:
        least = "at or above 0" if zero else f"at or above {_SHORTEST:g}"
        message = f"{name}: expected a number of seconds {least}, got {seconds!r}"
        raise ConfigError(message, where=name)
