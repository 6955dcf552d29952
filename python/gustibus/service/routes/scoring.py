"""`POST /v1/score` and `/v1/compare`: numbers for one person."""

from __future__ import annotations

import time
from functools import partial
from itertools import chain
from typing import Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta, Struct

from gustibus.scoring import compare as compare_two
from gustibus.scoring import normalize, rank, stderr
from gustibus.service.allowance import charge
from gustibus.service.call import Call, Reply, encode, ok
from gustibus.service.candidates import (
    DTYPES,
    MAX_IDS,
    AnyCandidate,
    Candidate,
    Dtype,
    Prompt,
    Represented,
    from_features,
    model_of,
    represent,
)
from gustibus.service.gate import OCTETS
from gustibus.service.ids import Id, PlainId, ulid
from gustibus.service.people import OnUnknown, UserState, find_person, person_state, spread_of
from gustibus.service.problems import invalid
from gustibus.service.repeating import refuse_repeated
from gustibus.service.routing import Route
from gustibus.service.serving import Serving
from gustibus.service.shaping import (
    Combine,
    Shaping,
    Transformed,
    Transforming,
    read_shaping,
    shaped,
)
from gustibus.service.stated import Robust, Statement, Weights
from gustibus.service.superseded import references_of, served
from gustibus.service.tables import Person
from gustibus.types import F32, F64

ModelName = Annotated[str, Meta(max_length=200, examples=["default"])]
Normalize = Literal["none", "user", "population"]


class ScoreRequest(Struct, forbid_unknown_fields=True):
    """Candidates to score for one person; without a person, for the population."""

    candidates: Annotated[list[AnyCandidate], Meta(min_length=1, max_length=MAX_IDS)]
    model: ModelName = "default"
    user: PlainId | None = None
    on_unknown_user: OnUnknown = "population"
    prompt: Prompt | None = None
    normalize: Normalize = "none"
    return_: Annotated[list[Literal["stderr", "basis"]], Meta(max_length=2)] = msgspec.field(
        name="return", default_factory=list
    )
    weights: Weights | None = None
    robust: Robust | None = None
    combine: Combine | None = None
    transform: Transforming | None = None
    wait: bool = False
    """Whether items that have no vector yet are encoded now, where they have a text."""


class BinaryQuery(Struct, forbid_unknown_fields=True):
    """Query of the binary form; without a binary body it must be empty."""

    model: ModelName = "default"
    user: Id | None = None
    dtype: Dtype = "f32"
    dim: Annotated[int, Meta(ge=1, le=65_536)] | None = None
    on_unknown_user: OnUnknown = "population"
    normalize: Normalize = "none"


class UserInfo(Struct):
    """Whose scores these are, and how well that person is known."""

    id: str | None
    state: UserState
    comparisons: int
    profile_version: int


class Score(Struct, omit_defaults=True, gc=False):
    """One candidate's reward in log-odds."""

    index: int
    object: Literal["score"]
    score: float
    stderr: float | None = None
    basis: list[float] | None = None


class Usage(Struct):
    """What the request took."""

    candidates: int
    encoded_tokens: int
    cached: int
    units: int


class ScoreReply(Struct):
    """Scores in the order of the candidates, and the order from best to worst.

    Each score is of one candidate by itself, whichever others are there. `cyclic_share` is the part of
    the person's preferences among the candidates, from 0 to 1, that no order can express; where it is
    large, rerank them, which scores them among each other, or compare pairs, instead of trusting the order.
    """

    id: str
    object: Literal["list"]
    created: int
    model: str
    user: UserInfo
    data: list[Score]
    ranking: list[int]
    cyclic_share: float
    usage: Usage
    stated: Statement | msgspec.UnsetType = msgspec.UNSET
    transform: Transformed | msgspec.UnsetType = msgspec.UNSET


class _ById(Struct, forbid_unknown_fields=True, gc=False):
    id: str


class _ScoreIds(Struct, forbid_unknown_fields=True):
    """The commonest request in the form that decodes fastest; anything else takes the full type."""

    candidates: Annotated[list[_ById], Meta(min_length=1, max_length=MAX_IDS)]
    model: str = "default"
    user: str | None = None
    on_unknown_user: OnUnknown = "population"
    normalize: Normalize = "none"
    wait: bool = False


_EMBEDDED = (Candidate(embedding=[]),)  # what a binary body is made of
_decode_ids = msgspec.json.Decoder(_ScoreIds).decode


async def score(call: Call) -> Reply:
    """Scores of candidates for one person."""
    if call.content_type == OCTETS:
        return await _score_binary(call)
    if call.query_string:
        raise invalid("query:", "parameters belong to the binary form only")
    fast = _known_ids(call)
    if fast is not None:
        return fast
    body = call.read(ScoreRequest)
    given = chain(body.candidates, references_of(body.transform))
    run = partial(_score, call, body)
    return await served(call, run, user=body.user, model=body.model, given=given)


async def _score(call: Call, body: ScoreRequest) -> Reply:
    serving = model_of(call.state, body.model)
    person = await find_person(call, body.user, body.on_unknown_user)
    shaping = await read_shaping(
        call, serving, body.user, person, body.prompt, weights=body.weights, robust=body.robust,
        combine=body.combine, transform=body.transform,
    )  # fmt: skip
    if shaping is not None:
        _check_shaped(body, shaping)
    made = await represent(call, serving, body.prompt, body.candidates, wait=body.wait)
    if shaping is not None:
        return await _shaped(call, serving, person, made, body, shaping)
    return await _scored(call, serving, body.user, person, made, body.normalize, body.return_)


def _known_ids(call: Call) -> Reply | None:
    """The reply when every candidate is the id of an item in memory, None for any other request."""
    state = call.state
    serving = state.serving
    try:
        body = _decode_ids(call.body)
        if call.laps is not None:
            call.laps.end("parse")
        rows = state.items.rows
        where = [rows[candidate.id] for candidate in body.candidates]
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError):
        return None
    if serving is None or not (body.model == "default" or serving.answers_to(body.model)):
        return None
    person = state.people.population if body.user is None else state.people.find(body.user)
    if person is None or body.normalize != "none":
        return None
    if state.superseded is not None and body.user in state.superseded.pending:
        return None
    count = len(where)
    # Names of items and people have no quotation mark: where there are no more of them than in a name and
    # a value of each candidate, nothing stands twice, and nobody has to look.
    if call.body.count(b'"') > 2 + 4 * count + (0 if body.user is None else 4):
        refuse_repeated(call.body)
    vectors = state.items.vectors.take(where, axis=0)
    if call.laps is not None:
        call.laps.end("lookup")
    value = serving.model.utility(person.mean, vectors)
    serving.candidates["id"] += count
    return _reply(call, serving, body.user, person, vectors, value, count)


async def _score_binary(call: Call) -> Reply:
    query = call.query(BinaryQuery)
    call.need("score:raw")
    run = partial(_score_rows, call, query)
    return await served(call, run, user=query.user, model=query.model, given=_EMBEDDED)


async def _score_rows(call: Call, query: BinaryQuery) -> Reply:
    serving = model_of(call.state, query.model)
    dim = serving.model.item_dim
    if query.dim is not None and query.dim != dim:
        detail = f"dimension {query.dim}, the model expects {dim}"
        raise invalid("query:dim", detail, code="dimension_mismatch")
    kind = DTYPES[query.dtype]
    count, rest = divmod(len(call.body), dim * kind.itemsize)
    if rest or not count:
        detail = f"{len(call.body)} bytes are no whole number of {dim} x {query.dtype}"
        raise invalid("", detail, code="dimension_mismatch")
    most = call.state.settings.binary_rows
    if count > most:
        raise invalid("", f"{count} rows, at most {most} are allowed", code="too_many_candidates")
    features = np.frombuffer(call.body, kind).reshape(count, dim)
    person = await find_person(call, query.user, query.on_unknown_user)
    vectors = await from_features(
        call, serving, "", features.astype(np.float32, copy=False), lambda row: f"/{row}"
    )
    serving.candidates["embedding"] += count
    made = Represented(vectors, units=count)
    return await _scored(call, serving, query.user, person, made, query.normalize, [])


async def _scored(
    call: Call, serving: Serving, user: str | None, person: Person, made: Represented,
    kind: Normalize, wanted: list[Literal["stderr", "basis"]],
) -> Reply:  # fmt: skip
    scale = 1.0
    value = serving.model.utility(person.mean, made.vectors)
    reference = None
    if kind != "none":
        mean = person.mean if kind == "user" else serving.population
        reference = serving.reference_scores(mean)
        plain, value = value, normalize(value, kind, reference)
        scale = _slope(plain, value)
    errors: F64 | None = None
    basis: F64 | None = None
    if wanted:
        _, gradient = serving.model.linearize(person.mean, made.vectors)
        basis = gradient if "basis" in wanted else None
        if "stderr" in wanted:
            errors = scale * stderr(await spread_of(call.state, user, person), gradient)
    data = _rows(value, errors, basis)
    usage = Usage(len(value), made.tokens, made.cached, made.units)
    return _reply(
        call, serving, user, person, made.vectors, value, made.units, data=data, usage=usage
    )


def _check_shaped(body: ScoreRequest, shaping: Shaping) -> None:
    """Refuse what does not go together before anything is encoded."""
    if shaping.certain and "stderr" in body.return_:
        at = body.return_.index("stderr")
        raise invalid(f"/return/{at}", "stated weights are certain; ask for a robust score instead")
    if shaping.certain and body.normalize == "population":
        raise invalid("/normalize", "stated weights are not of the population; send 'user'")
    if shaping.transform is not None and body.normalize != "none":
        raise invalid("/normalize", "a transform takes its place; send one of the two")


async def _shaped(
    call: Call, serving: Serving, person: Person, made: Represented, body: ScoreRequest,
    shaping: Shaping,
) -> Reply:  # fmt: skip
    """Scores along stated weights, of a combination, or transformed."""
    raw, value = await shaped(call, shaping, made.vectors)
    if body.normalize == "user":
        reference = serving.artifact.reference
        value = normalize(value, "user", shaping.rewards(reference) if len(reference) else None)
    basis: F64 | None = None
    errors: F64 | None = None
    if body.return_ and shaping.basis is not None:
        basis = shaping.basis(made.vectors)
    elif body.return_:
        _, gradient = serving.model.linearize(person.mean, made.vectors)
        basis = gradient if "basis" in body.return_ else None
        if "stderr" in body.return_:
            spread = await spread_of(call.state, body.user, person)
            errors = shaping.slope(raw) * stderr(spread, gradient)
    data = _rows(value, errors, basis)
    usage = Usage(len(value), made.tokens, made.cached, made.units)
    return _reply(
        call, serving, body.user, person, made.vectors, value, made.units, data=data, usage=usage,
        stated=shaping.statement, transform=shaping.told,
    )  # fmt: skip


def _rows(value: F64, errors: F64 | None, basis: F64 | None) -> list[Score]:
    return [
        Score(
            i, "score", one,
            None if errors is None else float(errors[i]),
            None if basis is None else basis[i].tolist(),
        )
        for i, one in enumerate(value.tolist())
    ]  # fmt: skip


def _slope(plain: F64, scaled: F64) -> float:
    """By how much normalising shrinks differences, so that standard errors shrink alike."""
    far = plain.max() - plain.min()
    return float((scaled.max() - scaled.min()) / far) if far > 0 else 1.0


def _reply(
    call: Call, serving: Serving, user: str | None, person: Person, vectors: F32, value: F64,
    units: int, *, data: list[Score] | None = None, usage: Usage | None = None,
    stated: Statement | msgspec.UnsetType = msgspec.UNSET,
    transform: Transformed | msgspec.UnsetType = msgspec.UNSET,
) -> Reply:  # fmt: skip
    note(call, serving, user, units)
    scores = value.tolist()
    order, cyclic = rank(value).tolist(), serving.model.cyclic_share(person.mean, vectors)
    if call.laps is not None:
        call.laps.end("head")
    if data is None:
        data = [Score(i, "score", s) for i, s in enumerate(scores)]
    return Reply(200, encode(ScoreReply(
        f"score_{ulid()}", "list", int(time.time()), serving.label,
        UserInfo(user, person_state(serving, person), person.count, person.version),
        data, order, cyclic,
        usage or Usage(len(scores), 0, 0, units), stated, transform,
    )))  # fmt: skip


def note(call: Call, serving: Serving, user: str | None, units: int) -> None:
    """Charge the key and tell the log."""
    charge(call, units)
    call.model = serving.label
    call.user = user or ""


class CompareRequest(Struct, forbid_unknown_fields=True):
    """Two candidates for one person."""

    a: AnyCandidate
    b: AnyCandidate
    model: ModelName = "default"
    user: PlainId | None = None
    on_unknown_user: OnUnknown = "population"
    prompt: Prompt | None = None
    wait: bool = False
    """Whether items that have no vector yet are encoded now, where they have a text."""


class CompareReply(Struct):
    """Probability that a is preferred to b, and how well that is known."""

    id: str
    object: Literal["comparison"]
    model: str
    user: UserInfo
    p_a: float
    stderr: float
    margin: float


async def compare(call: Call) -> Reply:
    """Probability that a person prefers a to b."""
    body = call.read(CompareRequest)
    run = partial(_compare, call, body)
    return await served(call, run, user=body.user, model=body.model, given=(body.a, body.b))


async def _compare(call: Call, body: CompareRequest) -> Reply:
    serving = model_of(call.state, body.model)
    person = await find_person(call, body.user, body.on_unknown_user)
    made = await represent(
        call, serving, body.prompt, [body.a, body.b], pointer="", names="ab", wait=body.wait
    )
    spread = await spread_of(call.state, body.user, person)
    a, b = made.vectors[:1], made.vectors[1:]
    margin, slope = serving.model.contrast(person.mean, a, b)
    answering = serving.model.answering
    result = compare_two(spread, float(margin[0]), slope[0], answering=answering)
    note(call, serving, body.user, made.units)
    who = UserInfo(body.user, person_state(serving, person), person.count, person.version)
    return ok(CompareReply(
        f"compare_{ulid()}", "comparison", serving.label, who,
        result.p_a, result.stderr, result.margin,
    ))  # fmt: skip


PROBLEMS = (
    "not_found", "item_pending", "body_too_large", "too_many_candidates", "too_many_tokens",
    "too_much_text", "dimension_mismatch", "not_finite", "rate_limited", "not_ready",
    "encoder_unavailable", "queue_full", "read_only", "user_deleted",
)  # fmt: skip

ROUTES = (
    Route(
        "POST", "/v1/score", "score", "score", score, "Scoring",
        "Scores of candidates for one person.",
        request=ScoreRequest, query=BinaryQuery, response=ScoreReply, problems=PROBLEMS,
        body="scoring", binary=True, staged=True,
        example={"user": "u-831", "candidates": [{"id": "resp-19"}, {"id": "resp-20"}]},
    ),
    Route(
        "POST", "/v1/compare", "compare", "score", compare, "Scoring",
        "Probability that a person prefers a to b.",
        request=CompareRequest, response=CompareReply, problems=PROBLEMS,
        body="scoring",
        example={"user": "u-831", "a": {"id": "resp-19"}, "b": {"id": "resp-20"}},
    ),
)  # fmt: skip
