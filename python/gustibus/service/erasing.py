"""A person leaves: the store, this process, the files of jobs, and a line in the audit log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gustibus.service.work.task import RESULTS, result_file
from gustibus.store import Connection, audit, delete_user, forget_training, hashed_user

if TYPE_CHECKING:
    from gustibus.service.state import State
    from gustibus.store import Removed


async def erase_person(
    state: State, user: str, *, actor: str, request_id: str = ""
) -> dict[str, int]:
    """Remove everything that names somebody, and return how many rows of each kind that was.

    Other processes forget the person when they next look at what was written.
    """

    def work(conn: Connection) -> Removed:
        name = hashed_user(conn, user)
        forget_training(conn, user=user)
        removed = delete_user(conn, user=user)
        audit(conn, actor=actor, action="user.delete", what=name, request_id=request_id,
              **_counts(removed))  # fmt: skip
        return removed

    removed = await state.threads.write(work)
    state.drop_person(user)
    if state.settings.files:
        for job in removed.files:  # what a crash leaves here, the worker removes
            for ending in RESULTS.values():
                result_file(state.settings, job, ending).unlink(missing_ok=True)
    return _counts(removed)


def _counts(removed: Removed) -> dict[str, int]:
    return {**removed._asdict(), "files": len(removed.files)}
