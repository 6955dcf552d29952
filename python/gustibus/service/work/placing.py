"""Models that trainings put among the others, which go again where they never become versions.

Beside each stands a mark in the folder of results, a file of the job. It is there before the model is, and
until the model is a version, so that a job that is stopped in between leaves something to find it by.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from gustibus.folders import put_in_place, scratch_folder
from gustibus.service.settings import Settings
from gustibus.service.work.task import files_of_jobs, remove, result_file
from gustibus.store import Connection, known_digests

if sys.platform != "win32":
    import fcntl

_ENDING: Final = ".placed"
_OURS, _OTHERS = "placed here", "was there before"


def place(settings: Settings, job: str, folder: Path, digest: str) -> None:
    """Copy a model to where it is whole or not at all, under its digest; one that is there stays."""
    target = Path(settings.models) / digest
    mark = result_file(settings, job, f".{digest}{_ENDING}")
    with _alone(settings):
        if not mark.is_file():
            beside = [path for _, path in _marks(settings) if _digest(path) == digest]
            ours = not target.is_dir() or any(map(_is_ours, beside))
            mark.write_text(_OURS if ours else _OTHERS, encoding="utf-8")
        if target.is_dir():
            return
        with scratch_folder(target) as scratch:
            shutil.copytree(folder, scratch, dirs_exist_ok=True)
            put_in_place(scratch, target)


def marks_of(settings: Settings, jobs: Collection[str]) -> list[Path]:
    """Marks of jobs."""
    return [path for job, path in _marks(settings) if job in jobs]


def settle(conn: Connection, settings: Settings, marks: Collection[Path]) -> None:
    """Remove marks of jobs that are done with them, and models beside which they stand that are no versions.

    A model that was there before, or that another job has a mark of, stays.
    """
    with _alone(settings):
        kept = {_digest(path) for _, path in _marks(settings) if path not in marks}
        kept |= known_digests(
            conn
        )  # after the marks: a job removes its own once it has its version
        for mark in marks:
            target = Path(settings.models) / _digest(mark)
            if _is_ours(mark) and target.name not in kept and target.is_dir():
                with scratch_folder(
                    target
                ) as scratch:  # at once, as half a model may be taken for one
                    target.rename(scratch / "left")
            remove(mark)


def _marks(settings: Settings) -> list[tuple[str, Path]]:
    """All marks, each with its job."""
    found = files_of_jobs(Path(settings.files))
    return [(job, path) for job, path in found if path.suffix == _ENDING]


def _digest(mark: Path) -> str:
    return mark.stem.rpartition(".")[2]


def _is_ours(mark: Path) -> bool:
    """Whether it was a training that put the model there."""
    return mark.is_file() and mark.read_text(encoding="utf-8") == _OURS


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """No other process places or removes models meanwhile."""
    with (Path(settings.files) / ".placing.lock").open("wb") as held:
        if sys.platform != "win32":
            with suppress(OSError):  # of a file system without locks
                fcntl.flock(held, fcntl.LOCK_EX)
        yield
