"""`POST /v1/best-of-n`: the best candidate for a person and how sure that is."""

from __future__ import annotations

import time
from functools import partial
from itertools import chain
from typing import Annotated, Literal

import numpy as np
from msgspec import UNSET, Meta, Struct, UnsetType

from gustibus.scoring import BestOf, best_of_n, rank
from gustibus.selection import Selected, select
from gustibus.service.call import Call, Reply, ok
from gustibus.service.candidates import (
    MAX_IDS,
    AnyCandidate,
    Prompt,
    Represented,
    model_of,
    represent,
)
from gustibus.service.ids import PlainId, ulid
from gustibus.service.people import OnUnknown, find_person, person_state, spread_of
from gustibus.service.problems import invalid
from gustibus.service.routes.scoring import (
    PROBLEMS,
    ModelName,
    Score,
    Usage,
    UserInfo,
    note,
)
from gustibus.service.routing import Route
from gustibus.service.serving import Serving
from gustibus.service.shaping import Combine, Shaping, Transformed, Transforming, read_shaping
from gustibus.service.stated import Robust, Statement, Weights
from gustibus.service.superseded import references_of, served
from gustibus.service.tables import Person
from gustibus.types import F64

_THREAD_FROM = 1 << 17  # draws times candidates; below it a hop costs more than the work
_DRAWS = 256

SelectionMethod = Literal["best_of_n", "majority_vote", "best_of_majority"]
Answer = Annotated[str, Meta(max_length=4096)]


class BestRequest(Struct, forbid_unknown_fields=True):
    """Candidates of which the best for one person is wanted."""

    candidates: Annotated[list[AnyCandidate], Meta(min_length=1, max_length=MAX_IDS)]
    model: ModelName = "default"
    user: PlainId | None = None
    on_unknown_user: OnUnknown = "population"
    prompt: Prompt | None = None
    seed: Annotated[int, Meta(ge=0, le=(1 << 63) - 1)] = 0
    method: SelectionMethod | None = None
    """Choose among distinct answers of the candidates instead of among the candidates."""
    answers: Annotated[list[Answer], Meta(max_length=MAX_IDS)] | None = None
    """The final answer of each candidate; their texts unless given."""
    k: Annotated[int, Meta(ge=1, le=MAX_IDS)] | None = None
    """How many answers `selection` tells; 1 unless given."""
    alpha: Annotated[float, Meta(ge=0, le=1)] | None = None
    """Of `best_of_majority`: least share of the candidates that give an answer."""
    weights: Weights | None = None
    robust: Robust | None = None
    combine: Combine | None = None
    transform: Transforming | None = None
    wait: bool = False
    """Whether items that have no vector yet are encoded now, where they have a text."""


class Best(Struct):
    """The best candidate."""

    index: int
    score: float


class SelectedAnswer(Struct):
    """One of the answers chosen, and the candidate that stands for it."""

    answer: str
    index: int
    count: int
    """Candidates that gave it."""
    score: float | None
    """By which it was chosen, after any transform; none for a vote."""


class BestReply(Struct):
    """What `/v1/score` replies, the best candidate, and how sure that is.

    Where tastes can run in circles the scores are of the candidates among each other. Shares come from
    draws of the person's posterior. With a method, `best` is the candidate that stands for the first
    answer chosen, and its chances are those of being the candidate with the best
    reward. `expected_regret` is in log-odds, before any transform.
    """

    id: str
    object: Literal["best_of_n"]
    created: int
    model: str
    user: UserInfo
    data: list[Score]
    """In the order of the candidates."""
    ranking: list[int]
    """From best to worst, by score."""
    best: Best
    p_best: float
    runner_up: int | None
    expected_regret: float
    cyclic_share: float
    usage: Usage
    selection: list[SelectedAnswer] | UnsetType = UNSET
    stated: Statement | UnsetType = UNSET
    transform: Transformed | UnsetType = UNSET


async def best(call: Call) -> Reply:
    """The best candidate and how sure that is."""
    body = call.read(BestRequest)
    given = chain(body.candidates, references_of(body.transform))
    run = partial(_best, call, body)
    return await served(call, run, user=body.user, model=body.model, given=given)


async def _best(call: Call, body: BestRequest) -> Reply:
    serving = model_of(call.state, body.model)
    person = await find_person(call, body.user, body.on_unknown_user)
    answers = _answers(body)
    shaping = await read_shaping(
        call, serving, body.user, person, body.prompt, weights=body.weights, robust=body.robust,
        combine=body.combine, transform=body.transform,
    )  # fmt: skip
    made = await represent(call, serving, body.prompt, body.candidates, wait=body.wait)
    spread = await spread_of(call.state, body.user, person)

    def work() -> BestReply:
        return _reply(serving, person, spread, made, body, answers, shaping)

    each = _DRAWS if shaping is None else max(_DRAWS, shaping.size)
    small = len(made.vectors) * each < _THREAD_FROM
    reply = work() if small else await call.state.threads.compute(work)
    note(call, serving, body.user, made.units)
    return ok(reply)


def _answers(body: BestRequest) -> list[str] | None:
    """The answer of each candidate; None where no method is asked for.

    Raises:
        Problem: 422 for fields that do not go together.
    """
    if body.method is None:
        for name in ("answers", "k", "alpha"):
            if getattr(body, name) is not None:
                raise invalid(f"/{name}", "belongs to a method; send one too")
        return None
    if (body.method == "best_of_majority") != (body.alpha is not None):
        raise invalid("/alpha", "expected with the method 'best_of_majority', and with no other")
    if body.answers is not None:
        if len(body.answers) != len(body.candidates):
            detail = f"expected {len(body.candidates)}, one a candidate, got {len(body.answers)}"
            raise invalid("/answers", detail)
        return body.answers
    texts = [one if isinstance(one, str) else one.text for one in body.candidates]
    known = [text for text in texts if text is not None]
    if len(known) < len(texts):
        raise invalid("/answers", "needed where a candidate is not a text")
    return known


def _reply(
    serving: Serving, person: Person, spread: F64, made: Represented, body: BestRequest,
    answers: list[str] | None, shaping: Shaping | None,
) -> BestReply:  # fmt: skip
    model = serving.model
    raw, gradient = model.linearize_among(person.mean, made.vectors)
    if shaping is not None and shaping.certain:
        raw, spread = shaping.rewards(made.vectors), np.zeros_like(spread)
    value = raw if shaping is None else shaping.scores(raw)
    chosen: list[Selected] = []
    if body.method is not None and answers is not None:
        chosen = select(body.method, answers, value, k=body.k or 1, alpha=body.alpha or 0.0)
    at = chosen[0].index if chosen else None
    found: BestOf = best_of_n(
        person.mean, spread, raw, gradient, draws=_DRAWS, seed=body.seed, chosen=at
    )
    reply = BestReply(
        f"best_{ulid()}", "best_of_n", int(time.time()), serving.label,
        UserInfo(body.user, person_state(serving, person), person.count, person.version),
        [Score(i, "score", one) for i, one in enumerate(value.tolist())], rank(value).tolist(),
        Best(found.index, float(value[found.index])), found.p_best, found.runner_up,
        found.expected_regret, model.cyclic_share(person.mean, made.vectors),
        Usage(len(raw), made.tokens, made.cached, made.units),
    )  # fmt: skip
    if chosen:
        reply.selection = [SelectedAnswer(c.answer, c.index, c.count, c.reward) for c in chosen]
    if shaping is not None:
        reply.stated, reply.transform = shaping.statement, shaping.told
    return reply


ROUTES = (
    Route(
        "POST", "/v1/best-of-n", "best_of_n", "score", best, "Scoring",
        "The best candidate for a person and how sure that is.",
        request=BestRequest, response=BestReply, problems=PROBLEMS, body="scoring",
        example={"user": "u-831", "candidates": [{"id": "resp-19"}, {"id": "resp-20"}]},
    ),
)  # fmt: skip
