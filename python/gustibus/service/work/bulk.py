"""The best candidates of many people as a file of Parquet."""

from __future__ import annotations

from typing import Any

from gustibus.service.work.children import done_aside, require
from gustibus.service.work.task import Task


async def bulk_score(task: Task) -> dict[str, Any]:
    """Score people part by part; what a worker that died has written is not scored again.

    Raises:
        JobError: the model is not here any more, or the candidates cannot be scored.
        MissingExtraError: pyarrow is not installed here.
    """
    require("pyarrow", "train")
    return await done_aside(task, "scoring", threads=1)
