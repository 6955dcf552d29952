"""An order or a committee that takes longer than a request."""

from __future__ import annotations

from typing import Any, Final

from gustibus.service.work.children import done_aside
from gustibus.service.work.task import Task

DECISION: Final = "decision"
"""The kind of these jobs."""


async def decision(task: Task) -> dict[str, Any]:
    """Decide; the result is what the request would have been answered by.

    Raises:
        JobError: an argument is wrong, or there was nothing within the time limit.
    """
    return await done_aside(task, "deciding", files=False)
