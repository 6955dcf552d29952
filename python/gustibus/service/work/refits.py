"""Fit everybody whose answers are ahead of their profile."""

from __future__ import annotations

from functools import partial
from time import time
from typing import Any

from gustibus.service.refits import ACTIVE, comparison_from
from gustibus.service.work.task import JobError, Task
from gustibus.store import marked_users, users_with_news

_PAGE = 256  # people that are looked at, and fitted, before the next are
_PATIENCE = 600.0  # seconds for a page; texts may have to be encoded


async def refit_profiles(task: Task) -> dict[str, Any]:
    """Fit people by name, who have answered lately first, then those whose profile was marked as wrong.

    Raises:
        JobError: a page of people took too long, as when no text can be encoded.
    """
    model, after = task.state.digest, ""
    active = comparison_from(time() - ACTIVE)
    while True:
        state = task.state
        if state.digest != model:  # everybody is to be fitted under the new one
            model, after = state.digest, ""
            active = comparison_from(time() - ACTIVE)
        found, after = await state.threads.read(
            partial(users_with_news, model=model, after=after, limit=_PAGE, since=active)
        )
        await _fit(task, found)
        if not after and not active:
            break
        if not after:  # now those whose last answer is long ago
            active = ""
    await _fit(task, await state.threads.read(lambda conn: marked_users(conn, model=model)))
    return {"people": task.done, "model": model}


async def _fit(task: Task, users: list[str]) -> None:
    if users and await task.state.refits.wait(users, _PATIENCE) is None:
        message = f"{len(users)} people were not fitted within {_PATIENCE:g} s"
        raise JobError(message)
    task.done += len(users)
