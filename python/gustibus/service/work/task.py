"""A job while it is worked on."""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gustibus.store import JobRow

if TYPE_CHECKING:
    from gustibus.service.settings import Settings
    from gustibus.service.state import State

RESULTS: Final = {"bulk_score": ".parquet", "evaluate": ".json", "export": ".ndjson"}
"""How the file that comes out of a kind of job ends."""

UNEXPECTED: Final = "something went wrong here; the log has the reason"
"""What a job says of an error that nobody foresaw."""


class JobError(Exception):
    """A job cannot be done, now or later; the message is for whoever asked for it.

    Args:
        message: why.
        code: what kind of problem it is.
    """

    def __init__(self, message: str, *, code: str = "conflict") -> None:
        super().__init__(message)
        self.code = code


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
        return result_file(self.state.settings, self.job.id, RESULTS[self.job.kind])

    def need_folder(self) -> None:
        """Refuse a job that works with files where there is no folder for them.

        Raises:
            JobError: there is no folder for results.
        """
        result_file(self.state.settings, self.job.id, "")


def result_file(settings: Settings, job: str, ending: str) -> Path:
    """Where a result of a job is.

    Raises:
        JobError: there is no folder for results.
    """
    if not settings.files:
        message = "GUSTIBUS_FILES is not set, so that there is nowhere for the result"
        raise JobError(message)
    return Path(settings.files) / f"{job}{ending}"


def files_of_jobs(folder: Path) -> list[tuple[str, Path]]:
    """What jobs have in the folder of results, each with the job."""
    found = [(path.name.lstrip(".").partition(".")[0], path) for path in folder.glob("*job_*")]
    return [(job, path) for job, path in found if job.startswith("job_")]


def remove(*paths: Path) -> None:
    """Remove files and folders, where they are there."""
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


Work = Callable[[Task], Awaitable[dict[str, Any]]]
"""Does a job and returns its result as JSON."""
