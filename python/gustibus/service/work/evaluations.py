"""A version of the model, judged on answers that it was not trained on."""

from __future__ import annotations

from typing import Any

from gustibus.service.work.children import done_aside
from gustibus.service.work.task import Task


async def evaluate(task: Task) -> dict[str, Any]:
    """Judge a version, and keep the report as JSON and as Markdown.

    Raises:
        JobError: there are too few answers, or the version cannot judge texts.
    """
    return await done_aside(task, "judging")
