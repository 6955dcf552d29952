"""Jobs: work that takes longer than a request."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gustibus.client.decoding import decoder
from gustibus.client.wire import Page, Request, body_of, segment


@dataclass(frozen=True, slots=True)
class Job:
    """A job."""

    id: str
    kind: str
    state: str
    """`queued`, `running`, `succeeded`, `failed` or `cancelled`."""
    done: int
    total: int | None
    attempts: int
    result: dict[str, Any] | None
    error: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    error_code: str | None = None
    """What kind of problem it is, such as `infeasible`."""

    @property
    def ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state in {"succeeded", "failed", "cancelled"}


def create_job(kind: str, *, idempotency_key: str | None = None, **params: Any) -> Request[Job]:
    """Queue a job.

    Args:
        kind: `export` (`user`), `import` (`file`, `format`, `columns`, `by_id`), `refit_profiles`,
            `map_neighbours`, `delete_user` (`user`), `bulk_score` (one of `file`, `items` and `tag`,
            `prompt`, `users`, `top`), `evaluate` (`version`, `file`, `golden`, `draws`, `seed`) or `train`
            (`family`, `options`, `objective`, `objective_options`, `split`, `questions`, `minutes`,
            `seed`).
        idempotency_key: makes the request one that is taken once.
        params: of the kind.

    Example:
        job = client.jobs.create("export", user="ada", idempotency_key="export-ada-1")
        job.state
    """
    body = body_of(kind=kind, **params)
    return Request(
        "POST", "/v1/jobs", decoder(Job), body=body, writes=True, key=idempotency_key
    )  # fmt: skip


def get_job(job: str) -> Request[Job]:
    """One job.

    Example:
        client.jobs.get(job.id).state
    """
    return Request("GET", f"/v1/jobs/{segment(job)}", decoder(Job))


def list_jobs(
    *, state: str | None = None, kind: str | None = None, limit: int = 100,
    after: str | None = None,
) -> Request[Page[Job]]:  # fmt: skip
    """Jobs, the newest first.

    Example:
        page = client.jobs.list(state="succeeded")
        kinds = [one.kind for one in client.jobs.iterate(kind="export")]
    """
    query = {"state": state, "kind": kind, "limit": limit, "after": after}
    return Request("GET", "/v1/jobs", decoder(Page[Job]), query)


def cancel_job(job: str) -> Request[Job]:
    """Stop a job; one that has ended stays as it is.

    Example:
        client.jobs.cancel(job.id).state
    """
    return Request("POST", f"/v1/jobs/{segment(job)}:cancel", decoder(Job), writes=True)


def job_result(job: str, *, form: str | None = None) -> Request[bytes]:
    """The file that came out of a job.

    Args:
        job: that has succeeded.
        form: of an evaluation, `json` (default) or `markdown`.

    Example:
        data = client.jobs.result(job.id)  # of one that has succeeded
    """
    query = {"format": form}
    return Request("GET", f"/v1/jobs/{segment(job)}/result", bytes, query)
