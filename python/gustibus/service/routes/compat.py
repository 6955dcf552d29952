"""Rewards in the shapes that trainers ask for: OpenRLHF's remote reward, a pooling server's classify.

Such clients send no key of their own. It goes into the address, as the password, from where they make
`Authorization: Basic`; and whose reward is wanted goes into the query string.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta, Struct, field

from gustibus.service.call import Call, Reply, ok
from gustibus.service.candidates import MAX_IDS, model_of, represent
from gustibus.service.ids import Id, ulid
from gustibus.service.people import OnUnknown, find_person
from gustibus.service.problems import invalid
from gustibus.service.routes.scoring import PROBLEMS, ModelName, note
from gustibus.service.routing import Route
from gustibus.service.superseded import served
from gustibus.types import F64

Texts = Annotated[list[str], Meta(min_length=1, max_length=MAX_IDS)]


class WhoseQuery(Struct, forbid_unknown_fields=True):
    """Whose reward, under which model; without a person, the population's."""

    user: Id | None = None
    model: ModelName = "default"
    on_unknown_user: OnUnknown = "population"


class RewardRequest(Struct):
    """What OpenRLHF sends; fields that it may add are not looked at."""

    query: Texts
    """Prompts with their responses."""
    prompts: list[str] | None = None
    """The prompts alone; what of a query comes after its prompt is the response."""
    labels: list[Any] | None = None
    """Of no effect."""


class RewardReply(Struct):
    """A reward in log-odds for every query; `scores` are the same as probabilities."""

    rewards: list[float]
    scores: list[float]
    extra_logs: dict[str, float]


class ClassifyRequest(Struct):
    """What clients of a pooling server send; fields that they may add are not looked at."""

    input: str | Texts
    """Responses."""
    model: ModelName = "default"
    user: Id | None = None
    """In place of that of the query string."""
    activation: bool | None = None
    """Whether `probs` are probabilities; rewards in log-odds unless asked for."""
    use_activation: bool | None = None
    """The same."""


class Classified(Struct):
    """One label, whose `probs` hold the one number."""

    index: int
    label: Literal["LABEL_0"]
    probs: list[float]
    num_classes: int


class ClassifyUsage(Struct):
    """In the shape of OpenAI."""

    prompt_tokens: int
    total_tokens: int
    completion_tokens: int = 0


class ClassifyReply(Struct):
    """In the order of the inputs."""

    id: str
    object: Literal["list"]
    created: int
    model: str
    data: list[Classified]
    usage: ClassifyUsage = field(default_factory=lambda: ClassifyUsage(0, 0))


async def get_reward(call: Call) -> Reply:
    """Rewards of queries for one person."""
    query, body = call.query(WhoseQuery), await call.read_aside(RewardRequest)
    prompts = body.prompts or [""] * len(body.query)
    if len(prompts) != len(body.query):
        detail = f"expected {len(body.query)}, one for each of query, got {len(prompts)}"
        raise invalid("/prompts", detail)
    responses = [q.removeprefix(p) for q, p in zip(body.query, prompts, strict=True)]
    value, _ = await _rewards(call, query, query.user, query.model, prompts, responses, "/query")
    return ok(RewardReply(value.tolist(), _probabilities(value).tolist(), {}))


async def classify(call: Call) -> Reply:
    """Rewards of responses for one person, as the one label of each."""
    query, body = call.query(WhoseQuery), await call.read_aside(ClassifyRequest)
    texts = [body.input] if isinstance(body.input, str) else body.input
    model = query.model if body.model == "default" else body.model
    value, tokens = await _rewards(
        call, query, body.user or query.user, model, [""] * len(texts), texts, "/input"
    )
    shown = _probabilities(value) if body.activation or body.use_activation else value
    data = [Classified(i, "LABEL_0", [one], 1) for i, one in enumerate(shown.tolist())]
    usage = ClassifyUsage(tokens, tokens)
    return ok(ClassifyReply(
        f"classify_{ulid()}", "list", int(time.time()), call.model, data, usage
    ))  # fmt: skip


async def _rewards(
    call: Call, query: WhoseQuery, user: str | None, model: str, prompts: Sequence[str],
    responses: Sequence[str], pointer: str,
) -> tuple[F64, int]:  # fmt: skip
    """`(n,)` rewards and the tokens, under the version that serves the person."""
    run = partial(_made, call, query, user, model, prompts, responses, pointer)
    return await served(call, run, user=user, model=model, given=responses)


async def _made(
    call: Call, query: WhoseQuery, user: str | None, model: str, prompts: Sequence[str],
    responses: Sequence[str], pointer: str,
) -> tuple[F64, int]:  # fmt: skip
    """The same, encoded prompt by prompt where the model reads prompts."""
    serving = model_of(call.state, model)
    person = await find_person(call, user, query.on_unknown_user)
    groups: dict[str, list[int]] = {}
    for place, prompt in enumerate(prompts):
        groups.setdefault(prompt if serving.model.prompt_dim else "", []).append(place)
    value = np.empty(len(responses))
    tokens = units = 0
    most = call.state.settings.candidate_texts
    for prompt, places in groups.items():
        for start in range(0, len(places), most):
            part = places[start : start + most]
            names = [str(place) for place in part]
            call.allowance = (
                None  # a part may have what a request may, for trainers send many texts
            )
            made = await represent(
                call, serving, prompt, [responses[i] for i in part], pointer=pointer, names=names
            )
            value[part] = serving.model.utility(person.mean, made.vectors)
            tokens, units = tokens + made.tokens, units + made.units
    note(call, serving, user, units)
    return value, tokens


def _probabilities(value: F64) -> F64:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(value, -500.0, 500.0))))


def _route(path: str, operation: str, run: Any, summary: str, **more: Any) -> Route:
    return Route(
        "POST", f"/v1/compat/{path}", operation, "score", run, "Scoring", summary,
        query=WhoseQuery, problems=PROBLEMS, body="scoring", patient=True, basic=True, **more,
    )  # fmt: skip


ROUTES = (
    _route(
        "openrlhf/get_reward", "get_reward", get_reward,
        "Rewards in the shape of OpenRLHF's remote reward models.",
        request=RewardRequest, response=RewardReply,
        example={"query": ["How do I boil an egg? Briefly."], "prompts": ["How do I boil an egg? "],
                 "labels": [None]},
    ),
    _route(
        "vllm/classify", "classify", classify,
        "Rewards in the shape of a pooling server's classification, one label.",
        request=ClassifyRequest, response=ClassifyReply,
        example={"model": "default", "input": ["Briefly.", "At length."]},
    ),
)  # fmt: skip
