"""A person's removal as a job, for those who cannot wait for it or come back to it."""

from __future__ import annotations

from typing import Any

from gustibus.service.erasing import erase_person
from gustibus.service.work.task import Task
from gustibus.store import RECEIPT


async def delete_user(task: Task) -> dict[str, Any]:
    """Remove somebody; in the same transaction the statement takes the place of the name in the job."""
    user = task.job.params.get("user")
    if (
        user is None
    ):  # it was done, if not by this job, or by a worker that ended before the job did
        told = task.job.params.get(RECEIPT)
        return _result(told) if told else {"deleted": True}
    erased = await erase_person(task.state, str(user), actor=task.job.created_by, job=task.job.id)
    task.done = 1
    return _result(erased.statement)


def _result(statement: dict[str, Any]) -> dict[str, Any]:
    return {"deleted": True, "removed": statement["removed"], "statement": statement}
