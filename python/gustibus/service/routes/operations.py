"""Health, version, limits, models, metrics, and the document of the API."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from math import isfinite
from typing import Any, Literal

from msgspec import Struct

from gustibus import __version__
from gustibus.models.directions import objectives
from gustibus.service import candidates as limits
from gustibus.service.call import Call, Reply, encode, ok
from gustibus.service.gate import MAX_DEADLINE_MS, MAX_HEADERS, MAX_URL
from gustibus.service.intake import MAX_LINE, MAX_TABLE
from gustibus.service.metrics import CONTENT_TYPE, exposition, registry_of
from gustibus.service.nesting import MAX_DEPTH
from gustibus.service.problems import Problem
from gustibus.service.routes.keys import MAX_CIDRS, MAX_MODELS
from gustibus.service.routing import ANY, OPEN, Route
from gustibus.service.serving import Serving
from gustibus.service.unpacking import MAX_RATIO

API_VERSION = "1"


class Links(Struct):
    """Where to go from here, as paths of this service."""

    health: str
    ready: str
    document: str
    """OpenAPI; needs a key unless the service is set to show it to everybody."""
    compare: str
    """The page on which people answer; it asks for the token of a session."""
    admin: str
    """The operator pages; they ask for a key."""


class Root(Struct, omit_defaults=True):
    """What answers here."""

    name: Literal["gustibus"]
    api: str
    links: Links
    version: str | None = None
    """Of the build; told to keys."""


async def root(call: Call) -> Reply:
    """The name and where to go; which build it is helps an attacker, so that it takes a key."""
    links = Links("/livez", "/readyz", "/openapi.json", "/onboard", "/admin")
    known = None if call.caller is None else __version__
    return ok(Root("gustibus", API_VERSION, links, known))


class Live(Struct):
    """The event loop answers."""

    status: Literal["ok"]


async def livez(call: Call) -> Reply:
    """Whether the event loop answers; touches nothing else."""
    del call
    return ok(Live("ok"))


class ReadyQuery(Struct, forbid_unknown_fields=True):
    """`verbose=1` needs a key with scope `admin`."""

    verbose: bool = False


class Ready(Struct, omit_defaults=True):
    """The service takes requests; details are for `admin`."""

    status: Literal["ok"]
    details: dict[str, Any] | None = None


async def readyz(call: Call) -> Reply:
    """Whether requests should be sent here."""
    query = call.query(ReadyQuery)
    state = call.state
    if not state.ready or state.draining:
        raise Problem("not_ready", "The service is starting or stopping")
    if not await state.store_answers():
        raise Problem("not_ready", "The store does not answer")
    if not query.verbose:
        return ok(Ready("ok"))
    call.need("admin")
    details: dict[str, Any] = {
        "model": None if state.serving is None else state.serving.label,
        "people": len(state.people),
        "items": len(state.items),
        "keys": len(state.keys),
        "refits_waiting": state.refits.waiting,
        "sequence": state.sequence,
        "model_problem": state.problem,
    }
    if state.serving is not None and state.serving.remote is not None:
        breaker = state.serving.remote.breaker
        details["encoder"] = {"breaker": breaker.state, "tested": state.serving.tested}
    return ok(Ready("ok", details))


class Version(Struct):
    """What runs here."""

    version: str
    api: str
    model: str | None


async def version(call: Call) -> Reply:
    """Build, version of the API, and the model in service."""
    serving = call.state.serving
    return ok(Version(__version__, API_VERSION, None if serving is None else serving.label))


class Model(Struct):
    """A model in the shape of OpenAI's list, with what scoring needs to know."""

    id: str
    name: str
    """By which its versions and aliases are asked for."""
    object: Literal["model"]
    created: int
    owned_by: Literal["gustibus"]
    digest: str
    family: str
    embedding_dim: int
    longest_embedding: float | None
    """Most that an embedding of a client may be long; null where that is not bounded."""
    representation_dim: int
    user_dim: int
    min_comparisons: int
    encoder: str | None
    questions: int
    objectives: list[str]
    """Rewards that a request may weigh; empty for families that have none."""


class Models(Struct):
    """What is served."""

    object: Literal["list"]
    data: list[Model]


async def models(call: Call) -> Reply:
    """What is served."""
    serving = call.state.serving
    return ok(Models("list", [] if serving is None else [_describe(serving)]))


def _describe(serving: Serving) -> Model:
    card, model, pool = serving.artifact.card, serving.model, serving.artifact.pool
    encoder = card.get("encoder")
    return Model(
        id=serving.label, name=serving.name, object="model", created=_created(card), owned_by="gustibus",
        digest=serving.digest, family=model.family, embedding_dim=model.item_dim,
        longest_embedding=serving.longest if isfinite(serving.longest) else None,
        representation_dim=model.representation_dim, user_dim=model.user_dim,
        min_comparisons=serving.min_comparisons, encoder=encoder["name"] if encoder else None,
        questions=0 if pool is None else len(pool), objectives=list(objectives(model)),
    )  # fmt: skip


def _created(card: Mapping[str, Any]) -> int:
    """Seconds since the epoch; 0 where the card does not say."""
    try:
        return int(datetime.fromisoformat(str(card.get("created", ""))).timestamp())
    except ValueError:
        return 0


class Limits(Struct):
    """What a request may be."""

    scoring_body_bytes: int
    binary_body_bytes: int
    other_body_bytes: int
    header_bytes: int
    url_bytes: int
    compression_ratio: int
    texts: int
    base64_embeddings: int
    float_arrays: int
    ids: int
    binary_rows: int
    text_bytes: int
    comparisons: int
    refits_while_waiting: int
    units_per_second: float
    burst_units: float
    requests_open: int
    deadline_ms: int
    longest_deadline_ms: int
    head_seconds: float
    """For the head of a request."""
    body_seconds: float
    """For a body, and another second for each `body_rate` bytes of it."""
    body_rate: float
    import_bytes: int
    import_line_bytes: int
    import_table_bytes: int
    json_depth: int
    """Levels of objects and arrays."""
    key_models: int
    key_cidrs: int
    sessions_per_minute: int
    """That a key may begin; 0 is no limit, here and in the two below."""
    answers_per_minute: int
    """That a session may be sent."""
    failed_keys_per_minute: int
    """Requests with a wrong key from one address."""


async def show_limits(call: Call) -> Reply:
    """What a request may be."""
    settings = call.state.settings
    return ok(Limits(
        scoring_body_bytes=settings.scoring_body,
        binary_body_bytes=settings.binary_body,
        other_body_bytes=settings.other_body,
        header_bytes=MAX_HEADERS,
        url_bytes=MAX_URL,
        compression_ratio=MAX_RATIO,
        texts=limits.MAX_TEXTS,
        base64_embeddings=limits.MAX_BASE64,
        float_arrays=limits.MAX_ARRAYS,
        ids=limits.MAX_IDS,
        binary_rows=limits.MAX_ROWS,
        text_bytes=limits.MAX_TEXT,
        comparisons=1000,
        refits_while_waiting=50,
        units_per_second=settings.rate,
        burst_units=settings.burst,
        requests_open=settings.in_flight,
        deadline_ms=settings.deadline_ms,
        longest_deadline_ms=MAX_DEADLINE_MS,
        head_seconds=settings.head_timeout,
        body_seconds=settings.body_timeout,
        body_rate=settings.body_rate,
        import_bytes=settings.import_body,
        import_line_bytes=MAX_LINE,
        import_table_bytes=MAX_TABLE,
        json_depth=MAX_DEPTH,
        key_models=MAX_MODELS,
        key_cidrs=MAX_CIDRS,
        sessions_per_minute=settings.sessions,
        answers_per_minute=settings.answers,
        failed_keys_per_minute=settings.failed_keys,
    ))  # fmt: skip


async def metrics(call: Call) -> Reply:
    """Counters of this process as Prometheus text."""
    if call.state.settings.metrics_port:
        raise Problem("not_found", "Metrics have a listener of their own here")
    return Reply(200, exposition(registry_of(lambda: call.state)), CONTENT_TYPE)


async def openapi(call: Call) -> Reply:
    """The document of this API."""
    from gustibus.service.openapi import document

    del call
    return Reply(200, encode(document()))


ROUTES = (
    Route(
        "GET", "/", "root", OPEN, root, "Operations", "What answers here, and where to go.",
        response=Root,
    ),
    Route(
        "GET", "/livez", "livez", OPEN, livez, "Operations", "Whether the process answers.",
        response=Live,
    ),
    Route(
        "GET", "/readyz", "readyz", OPEN, readyz, "Operations",
        "Whether requests should be sent here.",
        query=ReadyQuery, response=Ready, problems=("not_ready", "forbidden", "unauthenticated"),
    ),
    Route(
        "GET", "/v1/version", "version", ANY, version, "Operations", "What runs here.",
        response=Version,
    ),
    Route(
        "GET", "/v1/models", "list_models", "models:read", models, "Operations",
        "What is served.", response=Models,
    ),
    Route(
        "GET", "/v1/limits", "limits", ANY, show_limits, "Operations", "What a request may be.",
        response=Limits,
    ),
    Route(
        "GET", "/metrics", "metrics", "admin", metrics, "Operations",
        "Counters as Prometheus text.", response="text/plain", problems=("not_found",),
    ),
    Route(
        "GET", "/openapi.json", "openapi", ANY, openapi, "Operations",
        "The document of this API.", response=dict[str, Any],
    ),
)  # fmt: skip
