"""`POST /v1/rerank`, `/v2/rerank` and `/rerank`, in the shape of Cohere's and Jina's clients."""

from __future__ import annotations

from functools import partial
from itertools import chain
from typing import Annotated

import numpy as np
from msgspec import UNSET, Meta, Struct, UnsetType

from gustibus.scoring import rank
from gustibus.service.call import Call, Reply, ok
from gustibus.service.candidates import MAX_IDS, AnyCandidate, model_of, represent, text_of
from gustibus.service.ids import PlainId, ulid
from gustibus.service.people import OnUnknown, UserState, find_person, person_state
from gustibus.service.routes.scoring import PROBLEMS, ModelName, note
from gustibus.service.routing import Route
from gustibus.service.shaping import Combine, Transformed, Transforming, read_shaping, shaped
from gustibus.service.stated import Robust, Weights
from gustibus.service.superseded import references_of, served

_EDGE = 1e-9  # relevance stays off 0 and 1


class RerankRequest(Struct, forbid_unknown_fields=True):
    """Documents to order for one person; `query` is what they answer."""

    query: str
    documents: Annotated[list[AnyCandidate], Meta(min_length=1, max_length=MAX_IDS)]
    model: ModelName = "default"
    top_n: Annotated[int, Meta(ge=1)] | None = None
    return_documents: bool = False
    user: PlainId | None = None
    on_unknown_user: OnUnknown = "population"
    raw_scores: bool = False
    weights: Weights | None = None
    robust: Robust | None = None
    combine: Combine | None = None
    transform: Transforming | None = None
    """Relevance is then what the transform gives, as it is."""
    wait: bool = False
    """Whether items that have no vector yet are encoded now, where they have a text."""
    max_tokens_per_doc: Annotated[int, Meta(ge=1)] | None = None
    """Accepted from clients that send it; texts are never cut."""
    priority: Annotated[int, Meta(ge=0)] | None = None
    """Accepted from clients that send it; of no effect."""
    truncation: bool | None = None
    """Accepted from clients that send it; texts are never cut."""


class Document(Struct):
    """A document as it was sent."""

    text: str


class Result(Struct, omit_defaults=True):
    """One document, best first."""

    index: int
    relevance_score: float
    document: Document | None = None


class RerankUsage(Struct):
    """In the shape of Jina."""

    total_tokens: int


class ApiVersion(Struct):
    """In the shape of Cohere."""

    version: str


class BilledUnits(Struct):
    """In the shape of Cohere."""

    search_units: float


class RerankMeta(Struct):
    """In the shape of Cohere, with the state of the person."""

    api_version: ApiVersion
    billed_units: BilledUnits
    user_state: UserState
    transform: Transformed | UnsetType = UNSET


class RerankReply(Struct):
    """Documents from best to worst.

    `cyclic_share` is the part of the person's preferences among all documents, from 0 to 1, that no
    order can express; null for a model whose preferences never run in circles.
    """

    id: str
    model: str
    results: list[Result]
    usage: RerankUsage
    meta: RerankMeta
    cyclic_share: float | None


async def rerank(call: Call) -> Reply:
    """Documents in a person's order."""
    body = call.read(RerankRequest)
    given = chain(body.documents, references_of(body.transform))
    run = partial(_rerank, call, body)
    return await served(call, run, user=body.user, model=body.model, given=given)


async def _rerank(call: Call, body: RerankRequest) -> Reply:
    serving = model_of(call.state, body.model)
    person = await find_person(call, body.user, body.on_unknown_user)
    shaping = await read_shaping(
        call, serving, body.user, person, body.query, weights=body.weights, robust=body.robust,
        combine=body.combine, transform=body.transform,
    )  # fmt: skip
    made = await represent(
        call, serving, body.query, body.documents, pointer="/documents", wait=body.wait
    )
    told: Transformed | UnsetType = UNSET
    if shaping is None:
        value = serving.model.utility_among(person.mean, made.vectors)
    else:
        (_, value), told = await shaped(call, shaping, made.vectors, among=True), shaping.told
    shown = value if body.raw_scores or told is not UNSET else _relevance(value)
    order = rank(value)[: body.top_n]
    note(call, serving, body.user, made.units)
    results = [
        Result(
            int(i), float(shown[i]), _document(body.documents[i]) if body.return_documents else None
        )
        for i in order
    ]
    version = "1" if call.route.path == "/v1/rerank" else "2"
    meta = RerankMeta(ApiVersion(version), BilledUnits(1.0), person_state(serving, person), told)
    cyclic = None
    if not serving.model.transitive:
        cyclic = serving.model.cyclic_share(person.mean, made.vectors)
    return ok(RerankReply(
        f"rerank_{ulid()}", serving.label, results, RerankUsage(made.tokens), meta, cyclic
    ))  # fmt: skip


def _relevance(value: np.ndarray) -> np.ndarray:
    """Log-odds as probabilities, strictly between 0 and 1."""
    return np.clip(1.0 / (1.0 + np.exp(-np.clip(value, -500, 500))), _EDGE, 1.0 - _EDGE)


def _document(candidate: AnyCandidate) -> Document | None:
    if isinstance(candidate, str):
        return Document(candidate)
    text = candidate.text if candidate.text is not None else candidate.messages
    return None if text is None else Document(text_of(text, "/documents"))


_EXAMPLE = {
    "model": "default", "query": "How do I boil an egg?", "user": "u-831",
    "documents": ["Briefly.", "At length."], "top_n": 1,
}  # fmt: skip


def _route(path: str, operation: str) -> Route:
    return Route(
        "POST", path, operation, "score", rerank, "Scoring",
        "Documents in a person's order, in the shape of Cohere's and Jina's clients.",
        request=RerankRequest, response=RerankReply, problems=PROBLEMS,
        body="scoring", example=_EXAMPLE,
    )  # fmt: skip


ROUTES = (
    _route("/v1/rerank", "rerank"),
    _route("/v2/rerank", "rerank_v2"),
    _route("/rerank", "rerank_plain"),
)
