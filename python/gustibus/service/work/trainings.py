"""Another version of the model, learned from what the store holds."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

from gustibus.errors import GustibusError
from gustibus.service.loading import open_model
from gustibus.service.work.children import done_aside, require
from gustibus.service.work.placing import marks_of, settle
from gustibus.service.work.task import JobError, Task, result_file
from gustibus.store import (
    Connection,
    VersionRow,
    audit,
    hold_everybody,
    is_held,
    register_version,
    set_version_state,
)


async def train(task: Task) -> dict[str, Any]:
    """Train, put the model among the others under its digest, check it, and give it the next number.

    Nothing is promoted. A model that becomes no version goes again, at the latest when a worker next looks for
    what ended jobs have left. What a worker that died has fitted is gone on from, where the family keeps
    that.

    Raises:
        JobError: there are too few answers, the options are wrong, time was up, or what came of it
            cannot be served.
        MissingExtraError: PyTorch is not installed here.
    """
    require("torch", "train")
    settings, params = task.state.settings, task.job.params
    if not settings.models:
        message = "GUSTIBUS_MODELS is not set, so that there is nowhere for a version"
        raise JobError(message)
    minutes = None if params["family"] == "auto" else float(params["minutes"])
    try:
        async with asyncio.timeout(None if minutes is None else 60 * minutes):
            found = await done_aside(task, "learning")
    except TimeoutError:
        message = f"the training was not done within {minutes:g} minutes"
        raise JobError(message, code="deadline_exceeded") from None
    row = await _register(task, str(found["digest"]))
    marks = await asyncio.to_thread(marks_of, settings, {task.job.id})
    await task.state.threads.read(lambda conn: settle(conn, settings, marks))
    work = result_file(settings, task.job.id, ".work")
    await asyncio.to_thread(shutil.rmtree, work, ignore_errors=True)
    return {"id": f"{row.model}@{row.version}", "version": row.version, **found}


async def _register(task: Task, digest: str) -> VersionRow:
    """Number a model that can be served; the same one keeps its number."""
    state, job = task.state, task.job
    model, folder = state.settings.model_name, Path(state.settings.models) / digest
    try:
        serving = await asyncio.to_thread(open_model, state, folder, None, beside=0)
    except GustibusError as error:
        message = f"what was trained cannot be served: {error.message}"
        raise JobError(message, code=error.code) from None
    serving.close()

    def work(conn: Connection) -> VersionRow | None:
        hold_everybody(conn)  # or somebody could be deleted who is in a version not known yet
        if job.owner is None or not is_held(conn, job=job.id, owner=job.owner):
            return None  # it is to stop, or to begin again without somebody
        row, fresh = register_version(conn, model=model, digest=digest)
        set_version_state(conn, model=model, version=row.version, state="validated")
        if fresh:
            for action, detail in (("model.register", {"digest": digest}), ("model.validate", {})):
                audit(conn, actor=job.created_by, action=action, what=f"{model}@{row.version}",
                      request_id="", job=job.id, **detail)  # fmt: skip
        return row

    row = await state.threads.write(work)
    if row is None:
        message = "it was stopped"
        raise JobError(message)
    return row
