"""Jobs with leases: whoever holds the lease works; a lease that runs out is taken by somebody else.

A job is run at least once, so that what it does must be the same when it is done twice.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, delete, func, select, update

from gustibus.store.ids import ulid
from gustibus.store.tables import TENANT, jobs
from gustibus.store.wakeups import tell_job

LEASE = timedelta(seconds=60)
EXPORT, REMOVAL, BULK_SCORE = "export", "delete_user", "bulk_score"
"""Kinds that hold people: in the file that comes out, or in what they are asked to do."""
HOLDING = (BULK_SCORE, "evaluate", "train")
"""Kinds that hold people in the files that they work with."""
ROUND = "round"
"""Entry of the params of those: another value has a job begin again, with nothing of what it had."""
RECEIPT = "statement"
"""Entry of the params of a removal that was done."""
AT_WORK, ENDED = ("queued", "running"), ("cancelled", "failed", "succeeded")
"""States of jobs."""
MOST_ATTEMPTS = 5
"""A job whose worker died this often is given up: it may be what kills them."""


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job."""

    id: str
    kind: str
    state: str
    """`queued`, `running`, `succeeded`, `failed` or `cancelled`."""
    params: dict[str, Any]
    user: str | None
    """Whom it is about, for jobs about one person."""
    done: int
    total: int | None
    attempts: int
    owner: str | None
    cancel: bool
    """Whether it is to stop."""
    result: dict[str, Any] | None
    error: str | None
    error_code: str | None
    """What kind of problem it failed with; jobs that failed before there were codes have none."""
    created_by: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class AtWork(NamedTuple):
    """Jobs of a kind that wait, or that run."""

    count: int  # type: ignore[assignment]  # hides a method of tuples that nobody needs
    oldest: datetime
    """When the first of them was made."""


def create_job(
    conn: Connection, *, kind: str, params: Mapping[str, Any], by: str, user: str | None = None
) -> JobRow:
    """A new job, queued."""
    name = f"job_{ulid()}"
    conn.execute(
        jobs.insert().values(
            tenant_id=TENANT, id=name, kind=kind, state="queued", params=dict(params),
            user_id=user, done=0, attempts=0, cancel=False, created_by=by,
            created_at=datetime.now(UTC),
        )
    )  # fmt: skip
    tell_job(conn)
    found = get_job(conn, job=name)
    assert found is not None, "it was just written"
    return found


def ensure_job(conn: Connection, *, kind: str, by: str) -> None:
    """Have a job of a kind queued; one that waits already will do.

    It is held until the transaction ends, so that nobody takes it before what was written along with
    this call can be seen.
    """
    waiting = (jobs.c.tenant_id == TENANT) & (jobs.c.kind == kind) & (jobs.c.state == "queued")
    held = select(jobs.c.id).where(waiting).limit(1).with_for_update(read=True)
    if conn.execute(held).first() is None:
        create_job(conn, kind=kind, params={}, by=by)


def get_job(conn: Connection, *, job: str) -> JobRow | None:
    """A job, None when there is none of that id."""
    row = conn.execute(select(jobs).where(_is(job))).first()
    return None if row is None else _job(row)


def list_jobs(
    conn: Connection, *, state: str | None = None, kind: str | None = None,
    after: str | None = None, limit: int = 100,
) -> list[JobRow]:  # fmt: skip
    """Jobs, the newest first."""
    query = select(jobs).where(jobs.c.tenant_id == TENANT)
    for column, value in ((jobs.c.state, state), (jobs.c.kind, kind)):
        if value is not None:
            query = query.where(column == value)
    if after is not None:
        query = query.where(jobs.c.id < after)
    return [_job(row) for row in conn.execute(query.order_by(jobs.c.id.desc()).limit(limit))]


def last_job(conn: Connection, *, kind: str, model: str) -> JobRow | None:
    """The newest job of a kind about a model, None when there is none."""
    query = select(jobs).where(jobs.c.tenant_id == TENANT, jobs.c.kind == kind)
    for row in conn.execute(query.order_by(jobs.c.id.desc())):
        if row.params.get("model") == model:
            return _job(row)
    return None


def job_waits(conn: Connection, *, kinds: Collection[str]) -> bool:
    """Whether there is a job to take; writes nothing, so that a worker may ask often."""
    mine = (jobs.c.tenant_id == TENANT) & jobs.c.kind.in_(sorted(kinds))
    return conn.execute(select(jobs.c.id).where(mine, _free()).limit(1)).first() is not None


def _free() -> Any:
    late = (jobs.c.state == "running") & (jobs.c.lease_until <= datetime.now(UTC))
    # Said twice, because SQLite uses no index for one or the other.
    return jobs.c.state.in_(["queued", "running"]) & ((jobs.c.state == "queued") | late)


def take_job(
    conn: Connection, *, owner: str, kinds: Collection[str], lease: timedelta = LEASE
) -> JobRow | None:
    """The oldest job that waits, or whose worker has not been heard of, now this worker's."""
    now = datetime.now(UTC)
    mine = (jobs.c.tenant_id == TENANT) & jobs.c.kind.in_(sorted(kinds))
    # Of what is free, which an index finds; in the order of ids alone every ended job is passed.
    found = select(jobs).where(mine, _free()).order_by(jobs.c.id + "").limit(1)
    row = conn.execute(found.with_for_update(skip_locked=True)).first()
    if row is None:
        return None
    if row.attempts >= MOST_ATTEMPTS:
        error = f"its worker ended {row.attempts} times before it was done"
        _end(conn, row.id, "failed", error=error, code="internal")
        return take_job(conn, owner=owner, kinds=kinds, lease=lease)
    values = {
        "state": "running", "owner": owner, "lease_until": now + lease,
        "attempts": jobs.c.attempts + 1, "started_at": func.coalesce(jobs.c.started_at, now),
    }  # fmt: skip
    conn.execute(update(jobs).where(_is(row.id)).values(**values))
    return get_job(conn, job=row.id)


def renew_job(
    conn: Connection, *, job: str, owner: str, done: int, total: int | None,
    lease: timedelta = LEASE,
) -> bool:  # fmt: skip
    """Go on holding a job, and say how far it is; False when it is to stop, or is another's."""
    values = {"lease_until": datetime.now(UTC) + lease, "done": done, "total": total}
    held = _is(job) & (jobs.c.owner == owner) & (jobs.c.state == "running") & ~jobs.c.cancel
    return bool(conn.execute(update(jobs).where(held).values(**values)).rowcount)


def is_held(conn: Connection, *, job: str, owner: str) -> bool:
    """Whether a job is still to be worked on by a worker; writes nothing, so that it may ask often."""
    held = _is(job) & (jobs.c.owner == owner) & (jobs.c.state == "running") & ~jobs.c.cancel
    return conn.execute(select(jobs.c.id).where(held)).first() is not None


def finish_job(
    conn: Connection, *, job: str, owner: str, state: str, done: int, total: int | None = None,
    result: Mapping[str, Any] | None = None, error: str | None = None, code: str | None = None,
) -> bool:  # fmt: skip
    """End a job that is still this worker's; False when it is another's by now."""
    held = _is(job) & (jobs.c.owner == owner) & (jobs.c.state == "running")
    if conn.execute(select(jobs.c.id).where(held).with_for_update()).first() is None:
        return False
    conn.execute(update(jobs).where(_is(job)).values(done=done, total=total))
    _end(conn, job, state, result=result, error=error, code=code)
    return True


def release_job(conn: Connection, *, job: str, owner: str) -> None:
    """Give a job back unfinished, as a worker does that is told to end."""
    held = _is(job) & (jobs.c.owner == owner) & (jobs.c.state == "running")
    values = {
        "state": "queued", "owner": None, "lease_until": None, "attempts": jobs.c.attempts - 1
    }  # fmt: skip
    if conn.execute(update(jobs).where(held).values(**values)).rowcount:
        tell_job(conn)


def cancel_job(conn: Connection, *, job: str) -> JobRow | None:
    """Stop a job: at once if it waits, else when its worker next looks; ended ones stay as they are."""
    row = conn.execute(select(jobs).where(_is(job)).with_for_update()).first()
    if row is None:
        return None
    if row.state == "queued":
        _end(conn, job, "cancelled")
    elif row.state == "running":
        conn.execute(update(jobs).where(_is(job)).values(cancel=True))
    return get_job(conn, job=job)


def withdraw_results(conn: Connection, *, user: str) -> list[str]:
    """Forget jobs about a person, and the results of those that were about everybody.

    Returns:
        Jobs whose files must go.
    """
    about = (jobs.c.tenant_id == TENANT) & (jobs.c.user_id == user)
    # Their kind is asked for apart from that, or SQLite would look through all removals.
    named = conn.execute(select(jobs.c.id, jobs.c.kind).where(about)).all()
    for row in named:
        if row.kind == REMOVAL:  # the receipt stays, without the name
            conn.execute(update(jobs).where(_is(row.id)).values(params={}, user_id=None))
    gone = list(conn.execute(delete(jobs).where(about).returning(jobs.c.id)).scalars())
    mine = (jobs.c.tenant_id == TENANT) & jobs.c.user_id.is_(None)
    ended = mine & jobs.c.kind.in_([BULK_SCORE, EXPORT]) & (jobs.c.state == "succeeded")
    values = {"result": None, "state": "cancelled", "error": "somebody in it was deleted"}
    gone += conn.execute(update(jobs).where(ended).values(**values).returning(jobs.c.id)).scalars()
    _begin_anew(conn, user)
    again = {"state": "queued", "owner": None, "lease_until": None, "done": 0}
    running = mine & (jobs.c.kind == EXPORT) & (jobs.c.state == "running")
    begun = conn.execute(update(jobs).where(running).values(**again).returning(jobs.c.id)).scalars()
    if anew := list(begun):
        tell_job(conn)
    return [*gone, *anew]


def keep_receipt(conn: Connection, *, job: str, receipt: Mapping[str, Any]) -> None:
    """Keep what came of a removal with its job, which no longer names anybody."""
    conn.execute(update(jobs).where(_is(job)).values(params={RECEIPT: dict(receipt)}))


def _begin_anew(conn: Connection, user: str) -> None:
    """Have jobs that hold a person in their files begin without them, and forget lists with the name."""
    for kinds, states in ((HOLDING, AT_WORK), ((BULK_SCORE,), ENDED)):
        mine = (jobs.c.tenant_id == TENANT) & jobs.c.kind.in_(kinds) & jobs.c.state.in_(states)
        for row in conn.execute(select(jobs.c.id, jobs.c.params).where(mine)).all():
            params = dict(row.params)
            if user in (params.get("users") or ()):
                params["users"] = [name for name in params["users"] if name != user]
            values: dict[str, Any] = {}
            if states == AT_WORK:
                params[ROUND] = params.get(ROUND, 0) + 1
                values = {"state": "queued", "owner": None, "lease_until": None, "done": 0}
            if params != row.params:
                conn.execute(update(jobs).where(_is(row.id)).values(params=params, **values))
            if values:
                tell_job(conn)


def jobs_with_files(conn: Connection, *, after: datetime) -> set[str]:
    """Jobs whose files are still wanted: those that run or wait, and those that ended after a moment."""
    kept = jobs.c.state.in_(["queued", "running"]) | (
        (jobs.c.state == "succeeded") & (jobs.c.finished_at > after)
    )
    return set(conn.execute(select(jobs.c.id).where(jobs.c.tenant_id == TENANT, kept)).scalars())


def purge_jobs(conn: Connection, *, age: timedelta = timedelta(days=30)) -> int:
    """Forget jobs that ended long ago; returns how many."""
    old = jobs.c.finished_at < datetime.now(UTC) - age
    return int(conn.execute(delete(jobs).where(jobs.c.tenant_id == TENANT, old)).rowcount)


def job_counts(conn: Connection) -> dict[tuple[str, str], int]:
    """How many jobs of each kind are in each state."""
    query = select(jobs.c.kind, jobs.c.state, func.count()).where(jobs.c.tenant_id == TENANT)
    return {
        (kind, state): int(count)
        for kind, state, count in conn.execute(query.group_by(jobs.c.kind, jobs.c.state))
    }


def jobs_at_work(conn: Connection) -> dict[tuple[str, str], AtWork]:
    """Jobs that wait or run, by kind and state; those that have ended are not read."""
    kind = (jobs.c.kind + "").label("of_kind")  # by kinds alone SQLite would read every job
    query = select(kind, jobs.c.state, func.count(), func.min(jobs.c.created_at)).where(
        jobs.c.tenant_id == TENANT, jobs.c.state.in_(["queued", "running"])
    )
    return {
        (name, state): AtWork(int(count), oldest)
        for name, state, count, oldest in conn.execute(query.group_by("of_kind", jobs.c.state))
    }


def _end(
    conn: Connection, job: str, state: str, *, result: Mapping[str, Any] | None = None,
    error: str | None = None, code: str | None = None,
) -> None:  # fmt: skip
    values = {
        "state": state, "result": None if result is None else dict(result), "error": error,
        "error_code": code, "owner": None, "lease_until": None, "finished_at": datetime.now(UTC),
    }  # fmt: skip
    conn.execute(update(jobs).where(_is(job)).values(**values))


def _is(job: str) -> Any:
    return (jobs.c.tenant_id == TENANT) & (jobs.c.id == job)


def _job(row: Row[Any]) -> JobRow:
    return JobRow(
        row.id, row.kind, row.state, dict(row.params), row.user_id, row.done, row.total,
        row.attempts, row.owner, row.cancel, None if row.result is None else dict(row.result),
        row.error, row.error_code, row.created_by, row.created_at, row.started_at, row.finished_at,
    )  # fmt: skip
