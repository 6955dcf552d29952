"""Versions judged on the golden set, and what came of it kept with them."""

from __future__ import annotations

from typing import Any

from gustibus.service.golden import golden_digest, why_not
from gustibus.service.work.children import done_aside
from gustibus.service.work.task import JobError, Task
from gustibus.store import Connection, champion, set_golden, version_of


async def judge_golden(task: Task, digest: str) -> dict[str, Any]:
    """Judge a version on the golden set, and the champion where it was not judged on that yet.

    Args:
        task: the job.
        digest: of the version.

    Returns:
        The figures of the version, and why it may not become the champion now, if anything.

    Raises:
        JobError: there is no golden set, or a version cannot be judged.
    """
    state = task.state
    name = state.settings.model_name
    golden = await state.threads.background(lambda: golden_digest(state.settings))
    if not golden:
        message = "GUSTIBUS_GOLDEN is not set, so that there is no golden set"
        raise JobError(message)
    now = await state.threads.read(lambda conn: champion(conn, model=name))
    models = [digest]
    if now is not None and now.digest != digest:
        known = now.golden is not None and now.golden["digest"] == golden
        models += [] if known else [now.digest]
    told = await done_aside(task, "golden", params={**task.job.params, "models": models})

    def keep(conn: Connection) -> list[str]:
        for model, figures in told["judged"].items():
            set_golden(conn, model=name, digest=model, figures=figures)
        row = version_of(conn, model=name, digest=digest)
        return [] if row is None else why_not(conn, row, golden)

    reasons = await state.threads.write(keep)
    return {"model": digest, "golden": told["judged"][digest], "refused": reasons}
