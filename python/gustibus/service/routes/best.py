"""`POST /v1/best-of-n`: the best candidate for a person and how sure that is."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from gustibus.scoring import best_of_n
from gustibus.service.call import Call, Reply, ok
from gustibus.service.candidates import MAX_IDS, AnyCandidate, Prompt, model_of, represent
from gustibus.service.ids import PlainId, ulid
from gustibus.service.people import OnUnknown, find_person, person_state, spread_of
from gustibus.service.routes.scoring import PROBLEMS, ModelName, Usage, UserInfo, note
from gustibus.service.routing import Route

_THREAD_FROM = 1 << 17  # draws times candidates; below it a hop costs more than the work
_DRAWS = 256


class BestRequest(Struct, forbid_unknown_fields=True):
    """Candidates of which the best for one person is wanted."""

    candidates: Annotated[list[AnyCandidate], Meta(min_length=1, max_length=MAX_IDS)]
    model: ModelName = "default"
    user: PlainId | None = None
    on_unknown_user: OnUnknown = "population"
    prompt: Prompt | None = None
    seed: Annotated[int, Meta(ge=0, le=(1 << 63) - 1)] = 0


class Best(Struct):
    """The best candidate."""

    index: int
    score: float


class BestReply(Struct):
    """The best candidate and how sure that is; shares come from draws of the person's posterior."""

    id: str
    object: Literal["best_of_n"]
    model: str
    user: UserInfo
    best: Best
    p_best: float
    runner_up: int | None
    expected_regret: float
    cyclic_share: float
    usage: Usage


async def best(call: Call) -> Reply:
    """The best candidate and how sure that is."""
    body = call.read(BestRequest)
    serving = model_of(call.state, body.model)
    person = await find_person(call, body.user, body.on_unknown_user)
    made = await represent(call, serving, body.prompt, body.candidates)
    spread = await spread_of(call.state, body.user, person)
    count = len(made.vectors)

    def work() -> BestReply:
        value, gradient = serving.model.linearize(person.mean, made.vectors)
        found = best_of_n(person.mean, spread, value, gradient, draws=_DRAWS, seed=body.seed)
        return BestReply(
            f"best_{ulid()}", "best_of_n", serving.label,
            UserInfo(body.user, person_state(serving, person), person.count, person.version),
            Best(found.index, found.score), found.p_best, found.runner_up, found.expected_regret,
            serving.model.cyclic_share(person.mean, made.vectors),
            Usage(count, made.tokens, made.cached, made.units),
        )  # fmt: skip

    small = count * _DRAWS < _THREAD_FROM
    reply = work() if small else await call.state.threads.compute(work)
    note(call, serving, body.user, made.units)
    return ok(reply)


ROUTES = (
    Route(
        "POST", "/v1/best-of-n", "best_of_n", "score", best, "Scoring",
        "The best candidate for a person and how sure that is.",
        request=BestRequest, response=BestReply, problems=PROBLEMS, body="scoring", strict=False,
        example={"user": "u-831", "candidates": [{"id": "resp-19"}, {"id": "resp-20"}]},
    ),
)  # fmt: skip
