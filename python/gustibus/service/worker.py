"""The worker: takes jobs one at a time, keeps their leases, and gives back what it cannot finish."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import socket
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from gustibus.errors import GustibusError, OverloadedError
from gustibus.service.retention import remove_old
from gustibus.service.work.bulk import bulk_score
from gustibus.service.work.decisions import DECISION, decision
from gustibus.service.work.deletions import delete_user
from gustibus.service.work.evaluations import evaluate
from gustibus.service.work.exports import export
from gustibus.service.work.imports import import_file
from gustibus.service.work.neighbours import map_neighbours
from gustibus.service.work.placing import marks_of, settle
from gustibus.service.work.refits import refit_profiles
from gustibus.service.work.task import UNEXPECTED, JobError, Task, Work, files_of_jobs, remove
from gustibus.service.work.trainings import train
from gustibus.store import (
    JobRow,
    finish_job,
    is_held,
    job_waits,
    jobs_with_files,
    purge_jobs,
    release_job,
    renew_job,
    take_job,
)

if TYPE_CHECKING:
    from gustibus.service.state import State

KINDS: Final[dict[str, Work]] = {
    "bulk_score": bulk_score,
    DECISION: decision,
    "delete_user": delete_user,
    "evaluate": evaluate,
    "export": export,
    "import": import_file,
    "map_neighbours": map_neighbours,
    "refit_profiles": refit_profiles,
    "train": train,
}
"""What there is to do, by the name of its kind."""

_MODELS = frozenset({"map_neighbours", "refit_profiles"})  # kinds that wait for a model
_TIDY = 600.0  # seconds between looks for results that nobody wants any more
_BACK_OFF = 2.0  # seconds after the store could not be used
_LOOK = 0.4  # seconds between looks at whether somebody wants the job stopped
_RENEW = 2.0  # seconds between renewals of a lease, less where it is short

log = logging.getLogger("gustibus.service")


class Failure(NamedTuple):
    """Why a job failed."""

    message: str
    code: str
    """Of replies, or of the library's errors."""


class Worker:
    """Works off jobs until it is cancelled.

    Args:
        state: of the process, asked for anew with each job, as the model may have changed.
    """

    def __init__(self, state: Callable[[], State]) -> None:
        self._state = state
        self.owner = f"{socket.gethostname()[:40]}:{os.getpid()}:{secrets.token_hex(4)}"

    async def run(self) -> None:
        """Take and do jobs; when cancelled, the one at hand is given back."""
        tidied = -_TIDY
        self._state().meter.expect_jobs(KINDS)
        while True:
            state = self._state()
            try:
                if perf_counter() > tidied + _TIDY:
                    tidied = perf_counter()
                    await tidy(state)
                job = await self._take(state)
                if job is None:
                    await state.alarm.jobs(state.settings.refresh)
                else:
                    await self._do(state, job)
            except GustibusError as error:
                self._state().meter.retry("job")
                log.warning("jobs wait: %s", error)
                await asyncio.sleep(_BACK_OFF)
            except Exception as error:  # the task must not end while the process lives
                log.error("the worker failed", exc_info=error)
                await asyncio.sleep(_BACK_OFF)

    async def _take(self, state: State) -> JobRow | None:
        kinds = [kind for kind in KINDS if kind not in _MODELS or state.serving is not None]
        if not await state.threads.read(lambda conn: job_waits(conn, kinds=kinds)):
            return None
        lease = timedelta(seconds=state.settings.lease)
        return await state.threads.write(
            lambda conn: take_job(conn, owner=self.owner, kinds=kinds, lease=lease)
        )

    async def _do(self, state: State, job: JobRow) -> None:
        """One job, and a span of it where jobs are traced."""
        if state.spans is None:
            await self._done(state, job)
            return
        with state.spans.job(job.kind, job.id) as told:
            told["outcome"] = await self._done(state, job)

    async def _done(self, state: State, job: JobRow) -> str:
        """What came of one job under its lease; it is stopped when somebody cancels it or takes it over."""
        task, started = Task(self._state, job), perf_counter()
        work: asyncio.Task[dict[str, Any]] = asyncio.ensure_future(KINDS[job.kind](task))
        lease = asyncio.create_task(self._hold(task, work))
        outcome, result, failure = "succeeded", None, None
        try:
            result = await asyncio.shield(work)
        except asyncio.CancelledError:
            if not work.cancelled():  # this worker is to end, not the job
                await _stopped(work)
                with contextlib.suppress(GustibusError):
                    await self._release(state, job)
                raise
            outcome = "cancelled"
        except OverloadedError:  # a store that cannot be used now fails no job
            await self._when_possible(state, lambda: self._release(state, job))
            raise
        except (JobError, GustibusError) as problem:
            outcome, failure = "failed", Failure(str(problem), problem.code)
        except Exception as problem:
            log.error("job %s failed", job.id, exc_info=problem)
            outcome, failure = "failed", Failure(UNEXPECTED, "internal")
        finally:
            lease.cancel()
        await self._finish(task, outcome, result, failure)
        state.meter.job(job.kind, outcome, perf_counter() - started)
        return outcome

    async def _finish(
        self, task: Task, outcome: str, result: dict[str, Any] | None, failure: Failure | None
    ) -> None:
        """Write down the end."""
        state, job = task.state, task.job
        error, code = failure or (None, None)

        async def write() -> None:
            await state.threads.write(
                lambda conn: finish_job(
                    conn, job=job.id, owner=self.owner, state=outcome, result=result,
                    error=error, code=code, done=task.done, total=task.total,
                )
            )  # fmt: skip

        await self._when_possible(state, write)

    async def _release(self, state: State, job: JobRow) -> None:
        """Give a job back, for this worker or another to begin it again."""
        await state.threads.write(lambda conn: release_job(conn, job=job.id, owner=self.owner))

    async def _when_possible(self, state: State, write: Callable[[], Awaitable[None]]) -> None:
        """Write; a store that cannot be used now is tried again while the lease holds."""
        until = perf_counter() + state.settings.lease
        while True:
            try:
                await write()
            except GustibusError:
                if perf_counter() > until:
                    raise
                self._state().meter.retry("job")
                await asyncio.sleep(_BACK_OFF)
            else:
                return

    async def _hold(self, task: Task, work: asyncio.Task[dict[str, Any]]) -> None:
        """Renew the lease while the job runs, and stop it when it is not to run any more."""
        state, job = task.state, task.job
        lease = timedelta(seconds=state.settings.lease)
        renewed, every = perf_counter(), min(state.settings.lease / 5, _RENEW)
        while True:
            await asyncio.sleep(min(every, _LOOK))
            try:
                if perf_counter() < renewed + every:
                    held = await state.threads.read(
                        lambda conn: is_held(conn, job=job.id, owner=self.owner)
                    )
                else:
                    renewed = perf_counter()
                    held = await state.threads.write(
                        lambda conn: renew_job(
                            conn, job=job.id, owner=self.owner, done=task.done, total=task.total,
                            lease=lease,
                        )
                    )  # fmt: skip
            except GustibusError as error:
                log.warning("a lease could not be renewed: %s", error)
                continue
            if not held:
                work.cancel()
                return


async def _stopped(work: asyncio.Task[dict[str, Any]]) -> None:
    work.cancel()
    with contextlib.suppress(BaseException):
        await work


async def tidy(state: State) -> None:
    """Remove what has been kept for long enough.

    Those are old jobs, results of jobs that are too old, of no job, or of somebody who was deleted, models
    that trainings left before they were versions, and what `remove_old` removes.
    """
    await state.threads.write(purge_jobs)
    await remove_old(state)
    if not state.settings.files:
        return
    folder = Path(state.settings.files)
    found = await state.threads.background(lambda: files_of_jobs(folder))  # first: others may begin
    since = datetime.now(UTC) - timedelta(seconds=state.settings.keep_files)
    kept = await state.threads.read(lambda conn: jobs_with_files(conn, after=since))
    others = [path for job, path in found if job not in kept]
    if state.settings.models:
        gone = {job for job, _ in found if job not in kept}
        marks = await state.threads.background(lambda: marks_of(state.settings, gone))
        await state.threads.read(lambda conn: settle(conn, state.settings, marks))
    await state.threads.background(lambda: remove(*others))
