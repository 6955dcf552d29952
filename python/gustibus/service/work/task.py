"""A job while it is worked on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gustibus.store import JobRow

if TYPE_CHECKING:
    from gustibus.service.state import State


class JobError(Exception):
    """A job cannot be done, now or later; the message is for whoever asked for it."""


@dataclass(slots=True)
class Task:
    """What a kind of job is given.

    Attributes:
        now: the state of the process, which is another after a new model.
        job: what is to be done.
        done: units that are done, shown to whoever asks.
        total: units in all, None while that is not known.
    """

    now: Callable[[], State]
    job: JobRow
    done: int = 0
    total: int | None = None

    @property
    def state(self) -> State:
        """Of the process, as it is now."""
        return self.now()

    @property
    def file(self) -> Path:
        """Where the result goes.

        Raises:
            JobError: there is no folder for results.
        """
        return result_file(self.state, self.job.id)


def result_file(state: State, job: str) -> Path:
    """Where the result of a job is.

    Raises:
        JobError: there is no folder for results.
    """
    if not state.settings.files:
        message = "GUSTIBUS_FILES is not set, so that there is nowhere for the result"
        raise JobError(message)
    return Path(state.settings.files) / f"{job}.ndjson"


Work = Callable[[Task], Awaitable[dict[str, Any]]]
"""Does a job and returns its result as JSON."""
