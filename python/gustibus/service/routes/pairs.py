"""`POST /v1/users/{user}:next-pair`: what to ask next, for applications with their own pages."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta, Struct

from gustibus.onboarding import QUESTIONS, QuestionPool, choose
from gustibus.posterior import Posterior
from gustibus.service.call import Call, Reply, ok
from gustibus.service.candidates import AnyCandidate, Prompt, model_of, represent
from gustibus.service.people import find_person, spread_of
from gustibus.service.problems import Problem, invalid
from gustibus.service.routes.onboarding import Strategy
from gustibus.service.routes.scoring import PROBLEMS, ModelName, note
from gustibus.service.routing import STORE, Route
from gustibus.service.serving import Serving
from gustibus.service.state import restricted
from gustibus.types import F32

MAX_CANDIDATES = 64

Place = Annotated[int, Meta(ge=0, lt=MAX_CANDIDATES)]


class NextPair(Struct, forbid_unknown_fields=True):
    """Which pairs there are to ask: of the model's pool, or of the candidates sent."""

    model: ModelName = "default"
    strategy: Strategy = "d_opt"
    prompt: Prompt | None = None
    candidates: (
        Annotated[list[AnyCandidate], Meta(min_length=2, max_length=MAX_CANDIDATES)] | None
    ) = None
    pairs: Annotated[list[tuple[Place, Place]], Meta(min_length=1, max_length=2016)] | None = None
    """Places of candidates that may be compared; all pairs where they are left out."""
    exclude: Annotated[list[Annotated[str, Meta(max_length=400)]], Meta(max_length=1000)] = []
    """Ids of pairs of the pool that are not to be asked."""


class PairSide(Struct, omit_defaults=True):
    """A candidate by its place, or a text of the pool."""

    index: int | None = None
    text: str | None = None


class Pair(Struct, omit_defaults=True):
    """The pair to ask."""

    object: Literal["pair"]
    model: str
    user: str
    a: PairSide
    b: PairSide
    information: float
    """Nats that the answer is expected to bring."""
    id: str | None = None
    """Of a pair of the pool."""
    prompt: str | None = None


async def next_pair(call: Call) -> Reply:
    """The pair whose answer would teach most about a person."""
    user, body = call.param("user"), call.read_optional(NextPair)
    state = call.state
    serving = model_of(state, body.model)
    if body.strategy not in QUESTIONS:
        detail = f"expected one of {sorted(QUESTIONS)}, got {body.strategy!r}"
        raise invalid("/strategy", detail)
    person = await find_person(call, user, "population")
    if person.restricted:
        raise restricted(user)
    spread = await spread_of(state, user, person)
    here = Posterior(np.ones(1), person.mean[None], spread[None], 0.0, 0, True, person.count)  # noqa: FBT003 - positional record
    if person.count == 0:
        here = Posterior.from_prior(serving.model.prior)
    pairs: list[tuple[int, int]] | None = None
    asked: list[int] = []
    if body.candidates is None:
        pool = _own_pool(serving, body)
        asked = [row for row, name in enumerate(pool.ids) if name in set(body.exclude)]
    else:
        made = await represent(call, serving, body.prompt, body.candidates)
        pairs = _pairs(body)
        pool = _pool(made.vectors, pairs)
        note(call, serving, user, made.units)
    row, nats = await state.threads.compute(
        lambda: _choose(serving, here, pool, body.strategy, asked)
    )
    if pairs is None:
        return ok(Pair(
            "pair", serving.label, user, PairSide(text=pool.texts_a[row]),
            PairSide(text=pool.texts_b[row]), nats, pool.ids[row], pool.prompts[row],
        ))  # fmt: skip
    a, b = pairs[row]
    return ok(Pair("pair", serving.label, user, PairSide(a), PairSide(b), nats))


def _own_pool(serving: Serving, body: NextPair) -> QuestionPool:
    """The model's pool."""
    if body.pairs is not None:
        raise invalid("/pairs", "pairs are places of candidates, and there are none")
    pool = serving.artifact.pool
    if pool is None:
        detail = f"The model {serving.label} was trained without questions; send candidates"
        raise Problem("conflict", detail)
    return pool


def _pairs(body: NextPair) -> list[tuple[int, int]]:
    """Places of the candidates that may be compared."""
    assert body.candidates is not None, "the caller has looked"
    count = len(body.candidates)
    if body.exclude:
        raise invalid("/exclude", "names pairs of the pool; send pairs instead")
    if body.pairs is None:
        return list(combinations(range(count), 2))
    for place, (a, b) in enumerate(body.pairs):
        if a == b or max(a, b) >= count:
            detail = f"expected two different places below {count}, got {a} and {b}"
            raise invalid(f"/pairs/{place}", detail)
    return body.pairs


def _pool(vectors: F32, pairs: Sequence[tuple[int, int]]) -> QuestionPool:
    """Pairs of candidates as a pool."""
    a, b = np.array(pairs, np.int64).T
    nothing = ("",) * len(pairs)
    names = tuple(str(row) for row in range(len(pairs)))
    return QuestionPool(vectors[a], vectors[b], nothing, nothing, nothing, names)


def _choose(
    serving: Serving, here: Posterior, pool: QuestionPool, strategy: str, asked: Sequence[int]
) -> tuple[int, float]:
    """Row of the best pair, and what its answer is worth in nats.

    Raises:
        Problem: 409 when every pair is excluded.
    """
    rng: Any = np.random.default_rng()
    row = choose(
        serving.model, here, pool, rule=strategy, asked=asked, rng=rng, temperature=0.0, top=1.0
    )
    if row is None:
        raise Problem("conflict", "Every pair is excluded")
    worth = QUESTIONS["information"].run(serving.model, here, pool, rng)
    return row, float(worth[row])


ROUTES = (
    Route(
        "POST", "/v1/users/{user}:next-pair", "next_pair", "onboard", next_pair, "People",
        "The pair whose answer would teach most about a person.",
        request=NextPair, optional=True, response=Pair,
        problems=(*PROBLEMS, "conflict", "restricted", *STORE),
        body="scoring",
        example={"candidates": [{"id": "resp-19"}, {"id": "resp-20"}, {"id": "resp-21"}]},
    ),
)  # fmt: skip
