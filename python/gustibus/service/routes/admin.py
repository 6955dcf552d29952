"""What the operator pages show: counts and traffic, questions, models, and what others list."""

from __future__ import annotations

import math
from collections.abc import Mapping
from time import monotonic
from typing import Any, Literal

import numpy as np
from msgspec import Struct

from gustibus import __version__
from gustibus.onboarding import QUESTIONS
from gustibus.posterior import Posterior
from gustibus.service.call import Call, Reply, ok
from gustibus.service.cursors import Page
from gustibus.service.interviews import pool_of
from gustibus.service.problems import invalid
from gustibus.service.routes import auditing, comparisons, jobs, users
from gustibus.service.routes import models as versions
from gustibus.service.routes.mapping import served
from gustibus.service.routing import STORE, Route
from gustibus.service.serving import Serving
from gustibus.service.smallgroups import SMALL
from gustibus.store import job_counts, question_statistics, totals
from gustibus.types import F64


class RouteTraffic(Struct):
    """What one route has answered, in this process."""

    route: str
    method: str
    requests: int
    refused: int
    """Replies of 400 to 499."""
    failed: int
    """Replies of 500 and above."""
    mean_ms: float
    median_ms: float | None
    """Rounded up to the next edge of the histogram; null beyond the last."""
    p99_ms: float | None


class Overview(Struct):
    """How the service is doing; traffic is that of the process that answers."""

    object: Literal["overview"]
    version: str
    model: str | None
    uptime_seconds: float
    workers: int
    people: int
    people_answered: int
    items: int
    comparisons: int
    sessions: dict[str, int]
    requests: int
    refused: int
    failed: int
    in_flight: int
    refits_waiting: int
    refit_failures: int
    jobs: dict[str, int]
    """By state; those that ended are forgotten after 30 days."""
    rejected: dict[str, int]
    routes: list[RouteTraffic]
    counted_seconds_ago: float
    """Age of items, comparisons, sessions and jobs: a large store is not counted at every look."""


async def overview(call: Call) -> Reply:
    """Versions, counts and traffic."""
    state = call.state
    (kept, counted), age = await state.counts.of(
        state.threads, "totals", lambda conn: (totals(conn), job_counts(conn))
    )
    jobs: dict[str, int] = {}
    for (_, now), count in counted.items():
        jobs[now] = jobs.get(now, 0) + count
    traffic = state.meter.traffic()
    return ok(Overview(
        object="overview", version=__version__,
        model=None if state.serving is None else state.serving.label,
        uptime_seconds=monotonic() - state.meter.started, workers=state.settings.workers,
        people=len(state.people), people_answered=state.people.count_answered(), items=kept.items,
        comparisons=kept.comparisons, sessions=kept.sessions,
        requests=sum(row.requests for row in traffic), refused=sum(row.refused for row in traffic),
        failed=sum(row.failed for row in traffic), in_flight=state.meter.in_flight,
        refits_waiting=state.refits.waiting, refit_failures=state.meter.refit_failures,
        jobs=jobs, rejected=dict(state.meter.rejected),
        routes=[
            RouteTraffic(
                row.route, row.method, row.requests, row.refused, row.failed, 1e3 * row.mean,
                _ms(row.median), _ms(row.p99),
            )
            for row in traffic
        ],
        counted_seconds_ago=age,
    ))  # fmt: skip


def _ms(seconds: float) -> float | None:
    return 1e3 * seconds if math.isfinite(seconds) else None


class QuestionShown(Struct):
    """A question of the pool with what became of it."""

    id: str
    prompt: str
    a: str
    b: str
    held_out: bool
    """Whether it is never asked, because confidence is measured on it."""
    information: float
    """Nats that an answer of somebody unknown is expected to bring."""
    people: int
    """Who were shown it."""
    answered: int
    skip_rate: float | None
    """Null where fewer than 10 people were shown it."""
    both_bad_rate: float | None
    tie_rate: float | None
    seconds: float | None
    """Mean time of an answer; null where fewer than 10 people were shown it."""


class Questions(Struct):
    """A page of the pool, the most telling questions first."""

    object: Literal["list"]
    data: list[QuestionShown]
    has_more: bool
    next: str | None
    counted_seconds_ago: float
    """Age of people and answers: a large store is not counted at every look."""


async def questions(call: Call) -> Reply:
    """Questions with their information, exposure and how they were answered."""
    page, state = call.query(Page), call.state
    serving = served(state)
    pool = pool_of(serving)
    kind = f"questions {serving.digest}"
    cursor = state.cursors.open(kind, page.after)
    start = 0 if cursor is None else _place(cursor)
    counts, age = await state.counts.of(
        state.threads, kind, lambda conn: question_statistics(conn, model=serving.digest)
    )
    value = await state.threads.compute(lambda: _information(serving))
    # The order does not change while the model does not, so a place in it is a place in the list.
    order = np.argsort(-value, kind="stable")
    rows = order[start : start + page.limit].tolist()
    more = start + page.limit < len(pool)
    shown = []
    for row in rows:
        told = counts.get(row)
        people, answered = (0, 0) if told is None else (told.people, told.answered)
        rate = None if told is None or people < SMALL or not answered else told
        shown.append(QuestionShown(
            pool.ids[row], pool.prompts[row], pool.texts_a[row], pool.texts_b[row],
            bool(pool.held_out[row]), float(value[row]), people, answered,
            None if rate is None else rate.skipped / answered,
            None if rate is None else rate.both_bad / answered,
            None if rate is None else rate.tied / answered,
            None if rate is None or rate.milliseconds is None else rate.milliseconds / 1e3,
        ))  # fmt: skip
    following = state.cursors.seal(kind, str(start + page.limit)) if more else None
    return ok(Questions("list", shown, more, following, age))


def _place(cursor: str) -> int:
    if not cursor.isdigit():
        raise invalid("query:after", "expected the `next` of an earlier page of this list")
    return int(cursor)


def _information(serving: Serving) -> F64:
    """`(m,)` nats of every question's answer by somebody of whom nothing is known."""
    prior = Posterior.from_prior(serving.model.prior)
    return QUESTIONS["information"].run(
        serving.model, prior, pool_of(serving), np.random.default_rng(0)
    )


class ModelShown(Struct):
    """A model with its card."""

    id: str
    name: str
    """By which its versions and aliases are asked for."""
    digest: str
    family: str
    user_dim: int
    people: int
    """Of the training."""
    questions: int
    min_comparisons: int
    card: Mapping[str, Any]


class ModelsShown(Struct):
    """Models in service."""

    object: Literal["list"]
    data: list[ModelShown]


async def models(call: Call) -> Reply:
    """Models in service with their cards."""
    serving = call.state.serving
    if serving is None:
        return ok(ModelsShown("list", []))
    artifact = serving.artifact
    return ok(ModelsShown("list", [ModelShown(
        serving.label, serving.name, serving.digest, serving.model.family, serving.model.user_dim,
        len(artifact.people.ids), 0 if artifact.pool is None else len(artifact.pool),
        serving.min_comparisons, artifact.card,
    )]))  # fmt: skip


_ROOT = "/v1/admin"

ROUTES = (
    Route(
        "GET", _ROOT + "/overview", "admin_overview", "admin", overview, "Operators",
        "Versions, counts, traffic and errors.", response=Overview, problems=STORE,
    ),
    Route(
        "GET", _ROOT + "/people", "admin_people", "admin", users.list_all, "Operators",
        "People whom this service has met, by name: those in quarantine, say, and why.",
        query=users.ListUsers, response=users.Users, problems=STORE,
    ),
    Route(
        "GET", _ROOT + "/people/{user}", "admin_person", "admin", users.profile, "Operators",
        "What is known of a person.", response=users.Profile, problems=("not_found", *STORE),
    ),
    Route(
        "GET", _ROOT + "/questions", "admin_questions", "admin", questions, "Operators",
        "Questions with what they bring, to whom they were shown and how they were answered.",
        query=Page, response=Questions, problems=("conflict", *STORE),
    ),
    Route(
        "GET", _ROOT + "/models", "admin_models", "admin", models, "Operators",
        "Models in service with their cards.", response=ModelsShown,
    ),
    Route(
        "GET", _ROOT + "/comparisons", "admin_comparisons", "admin", comparisons.list_all,
        "Operators", "Comparisons of one person or of all, by outcome and source where wanted.",
        query=comparisons.ListQuery, response=comparisons.Comparisons, problems=STORE,
    ),
    Route(
        "GET", _ROOT + "/models/{model}", "admin_model", "admin", versions.get_model, "Operators",
        "A model with its aliases, and what is served of it.",
        response=versions.ModelState, problems=("not_found", *STORE),
    ),
    Route(
        "GET", _ROOT + "/models/{model}/versions", "admin_versions", "admin", versions.list_all,
        "Operators", "Versions of a model by number.",
        query=Page, response=versions.Versions, problems=("not_found", *STORE),
    ),
    Route(
        "GET", _ROOT + "/jobs", "admin_jobs", "admin", jobs.list_all, "Operators",
        "Jobs, the newest first.", query=jobs.JobsQuery, response=jobs.Jobs, problems=STORE,
    ),
    Route(
        "GET", _ROOT + "/audit", "admin_audit", "admin", auditing.list_all, "Operators",
        "Who did what, the newest first.",
        query=auditing.AuditQuery, response=auditing.Entries, problems=STORE,
    ),
)  # fmt: skip
