"""A version of the model, judged on answers that it was not trained on."""

from __future__ import annotations

from typing import Any

from gustibus.service.work.children import done_aside
from gustibus.service.work.golden import judge_golden
from gustibus.service.work.task import Task


async def evaluate(task: Task) -> dict[str, Any]:
    """Judge a version, and keep the report as JSON and, but for the golden set, as Markdown.

    Raises:
        JobError: there are too few answers, or the version cannot judge texts.
    """
    if task.job.params.get("golden"):
        return await judge_golden(task, str(task.job.params["model"]))
    return await done_aside(task, "judging")
