"""Health, version, limits, models, metrics, and the document of the API."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from math import isfinite
from typing import Any, Literal

from msgspec import Struct

from gustibus import __version__
from gustibus.models.directions import objectives
from gustibus.service import candidates as limits
from gustibus.service.call import Call, Reply, encode, ok
from gustibus.service.gate import MAX_DEADLINE_MS
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
    trouble = await state.trouble()
    if trouble:
        raise Problem("not_ready", trouble)
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
    serving = state.serving
    if serving is not None and serving.has_encoder:
        remote = {} if serving.remote is None else {"breaker": serving.remote.breaker.state}
        details["encoder"] = {**remote, "tested": serving.tested}
    return ok(Ready("ok", details))


class Version(Struct):
    """What runs here."""

    version: str
    api: str
    model: str | None
    aliases: dict[str, int]
    """Versions of the model by the names that point at them; empty where the model is a folder."""


async def version(call: Call) -> Reply:
    """Build, version of the API, the model in service, and the aliases of its versions."""
    serving, aliases = call.state.serving, call.state.aliases
    label = None if serving is None else serving.label
    return ok(Version(__version__, API_VERSION, label, aliases))


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
    request_tokens: int
    """Of the texts that have to be encoded."""
    embedding_dim: int
    """Numbers of an embedding, of any model that may be served here."""
    user_dim: int
    """Numbers by which a person is known."""
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
    shared: bool
    """Whether units, sessions and wrong keys are counted over all machines now; else each has these quotas
    of its own. Requests that are open are counted by each machine."""


async def show_limits(call: Call) -> Reply:
    """What a request may be."""
    settings = call.state.settings
    return ok(Limits(
        scoring_body_bytes=settings.scoring_body,
        binary_body_bytes=settings.binary_body,
        other_body_bytes=settings.other_body,
        header_bytes=settings.header_bytes,
        url_bytes=settings.url_bytes,
        compression_ratio=MAX_RATIO,
        texts=settings.candidate_texts,
        base64_embeddings=settings.candidate_base64,
        float_arrays=settings.candidate_arrays,
        ids=limits.MAX_IDS,
        binary_rows=settings.binary_rows,
        text_bytes=limits.MAX_TEXT,
        request_tokens=settings.request_tokens,
        embedding_dim=settings.embedding_dim,
        user_dim=settings.user_dim,
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
        import_line_bytes=settings.import_line,
        import_table_bytes=settings.import_table,
        json_depth=MAX_DEPTH,
        key_models=MAX_MODELS,
        key_cidrs=MAX_CIDRS,
        sessions_per_minute=settings.sessions,
        answers_per_minute=settings.answers,
        failed_keys_per_minute=settings.failed_keys,
        shared=call.state.quotas is not None and call.state.quotas.up,
    ))  # fmt: skip


async def metrics(call: Call) -> Reply:
    """Counters of all processes of this machine as Prometheus text, or of this one where it asks none."""
    if call.state.settings.metrics_port:
        raise Problem("not_found", "Metrics have a listener of their own here")
    whole = call.state.whole
    text = None if whole is None else await asyncio.to_thread(whole.exposition)
    if text is None:
        text = exposition(registry_of(lambda: call.state))
    return Reply(200, text, CONTENT_TYPE)


async def openapi(call: Call) -> Reply:
    """The document of this API."""
    from gustibus.service.openapi import document

    del call
    return Reply(200, encode(document()))


ROUTES = (
    Route(
        "GET", "/", "root", OPEN, root, "Operations", "What answers here, and where to go.",
        response=Root, tells=True,
    ),
    Route(
        "GET", "/livez", "livez", OPEN, livez, "Operations", "Whether the process answers.",
        response=Live,
    ),
    Route(
        "GET", "/readyz", "readyz", OPEN, readyz, "Operations",
        "Whether requests should be sent here.",
        query=ReadyQuery, response=Ready, problems=("not_ready", "forbidden", "unauthenticated"),
        tells=True,
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
