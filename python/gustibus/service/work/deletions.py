"""A person's removal as a job, for those who cannot wait for it or come back to it."""

from __future__ import annotations

from typing import Any

from gustibus.service.erasing import erase_person
from gustibus.service.work.task import Task


async def delete_user(task: Task) -> dict[str, Any]:
    """Remove somebody; the name leaves the job in the same transaction."""
    user = task.job.params.get("user")
    if user is None:  # a worker ended between the removal and the end of the job
        return {"deleted": True}
    removed = await erase_person(task.state, str(user), actor=task.job.created_by)
    task.done = 1
    return {"deleted": True, "removed": removed}
