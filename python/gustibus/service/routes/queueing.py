"""Decisions of groups that are put into a job, because they take longer than a request may."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from msgspec import structs, to_builtins

from gustibus.service.call import Call, Reply, encode
from gustibus.service.once import once
from gustibus.service.problems import Problem
from gustibus.service.routes.jobs import show_job
from gustibus.service.voters import Ballots, Voters, decided
from gustibus.service.work.decisions import DECISION
from gustibus.social import UtilityProfile
from gustibus.store import Connection, audit, create_job

B = TypeVar("B", bound=Voters)
MOST = 1 << 20
"""Most bytes of what a job is asked to do."""


async def queue(
    call: Call, body: B, ballots: Ballots, check: Callable[[B, Ballots], None]
) -> Reply:
    """202 with the job that decides.

    Args:
        call: the request.
        body: what is wanted.
        ballots: makes them.
        check: refuses what cannot succeed.

    Raises:
        Problem: 403 without the scope `jobs`, 413, 422.
    """
    call.need("jobs")
    assert call.caller is not None, "the route needs a key"
    caller = call.caller.id

    def made() -> dict[str, Any]:
        check(body, ballots)
        return _kept(body, ballots)

    params = {"operation": call.route.operation, **await decided(call, made, body)}
    if len(encode(params)) > MOST:
        detail = (
            f"The ballots are longer than {MOST} bytes as JSON, which is the most that a job holds"
        )
        raise Problem("too_many_candidates", detail)

    def work(conn: Connection) -> Reply:
        job = create_job(conn, kind=DECISION, params=params, by=caller)
        audit(conn, actor=caller, action="job.create", what=job.id,
              request_id=call.request_id, kind=DECISION)  # fmt: skip
        return Reply(202, encode(show_job(job)))

    return await once(call, work)


def _kept(body: Voters, ballots: Ballots) -> dict[str, Any]:
    """A request that asks for the same; people are their utilities in it, and have no names."""
    if body.users is None:
        return {"request": to_builtins(body)}
    profile = ballots()
    assert isinstance(profile, UtilityProfile), "people have utilities"
    kept = {
        **to_builtins(structs.replace(body, users=None, candidates=None, prompt=None, labels=None)),
        "utilities": profile.values.tolist(), "transform": "none",
    }  # fmt: skip
    return {"request": kept, "transform": profile.transform}
