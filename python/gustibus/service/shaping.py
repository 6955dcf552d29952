"""What a request makes of raw rewards: which of them it combines, and how it transforms the result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta, Struct

from gustibus.errors import InputError, UnknownNameError
from gustibus.models.directions import objectives, rewards
from gustibus.rewards import COMBINE, Transform, ref_quantile
from gustibus.scoring import own_transform, reference_rewards
from gustibus.service.candidates import AnyCandidate, Prompt, represent
from gustibus.service.problems import invalid
from gustibus.service.stated import Robust, Stated, Statement, Weights, read_stated

if TYPE_CHECKING:
    from gustibus.models.base import PreferenceModel
    from gustibus.service.call import Call
    from gustibus.service.serving import Serving
    from gustibus.service.tables import Person
    from gustibus.types import F32, F64, I64

MAX_REFERENCES = 64
_THREAD_FROM = 1 << 17  # candidates times references; below it a hop costs more than the work

Name = Annotated[str, Meta(max_length=64, examples=["par"])]


class TransformSpec(Struct, forbid_unknown_fields=True):
    """A transform with options, and what it compares with."""

    name: Name
    """Row of the table of transforms, or `model` for the one that was saved with the model."""
    options: Annotated[dict[str, float | str], Meta(max_length=8)] = {}
    references: Annotated[list[AnyCandidate], Meta(max_length=MAX_REFERENCES)] = []
    """Responses to the same prompt; the model's reference set unless given."""


Transforming = Annotated[
    Name | TransformSpec,
    Meta(
        description=(
            "Report rewards as a transform makes them: by name, `model` for the one that was saved "
            "with the model, or with options and reference responses. Never changes whose rewards "
            "they are."
        )
    ),
]
Combine = Annotated[
    str,
    Meta(
        max_length=64,
        extra_json_schema={"enum": sorted(COMBINE)},
        description=(
            "Combine the model's objectives, those that `weights` names or all, into one number "
            "instead of taking the person's reward. Each is compared with a high quantile of the "
            "model's reference set."
        ),
    ),
]


Origin = Literal["request", "model", "frozen", "none"]


class Transformed(Struct):
    """The transform that scores went through, and what they were compared with."""

    name: str
    options: dict[str, float | str]
    references: Origin


@dataclass(slots=True)
class Shaping:
    """How a request makes numbers of representations."""

    rewards: Callable[[F32], F64]
    """`(n, r)` -> `(n,)`, before the transform; of each response by itself."""
    among: Callable[[F32], F64]
    """The same of candidates that are to be ordered, as `PreferenceModel.utility_among` has it."""
    certain: bool
    """Whether nothing about the rewards is estimated from a person's answers."""
    statement: Statement | msgspec.UnsetType
    basis: Callable[[F32], F64] | None
    """`(n, r)` -> `(n, m)` what the rewards are made of; None for a person's own."""
    transform: Transform | None = None
    compared: F64 | None = None
    """`(p,)` rewards that the transform compares with; None where its own count."""
    told: Transformed | msgspec.UnsetType = msgspec.UNSET
    """The transform for the reply."""

    @property
    def size(self) -> int:
        """Rewards that each candidate is compared with."""
        return 1 if self.compared is None else len(self.compared)

    def scores(self, raw: F64) -> F64:
        """`(n,)` rewards -> `(n,)` what is reported."""
        if self.transform is None:
            return raw
        return np.asarray(self.transform(raw, self.compared))

    def slope(self, raw: F64) -> F64:
        """`(n,)` by how much the transform stretches small differences around each reward."""
        if self.transform is None:
            return np.ones_like(raw)
        return np.asarray(self.transform.slope(raw, self.compared))


async def shaped(
    call: Call, shaping: Shaping, vectors: F32, *, among: bool = False
) -> tuple[F64, F64]:
    """Rewards `(n,)` of `(n, r)`, and what is reported; large ones off the event loop.

    Args:
        call: the request.
        shaping: what it asks for.
        vectors: representations.
        among: whether they are to be ordered, instead of each being scored by itself.
    """
    rewards = shaping.among if among else shaping.rewards

    def work() -> tuple[F64, F64]:
        raw = rewards(vectors)
        return raw, shaping.scores(raw)

    large = shaping.size * len(vectors) >= _THREAD_FROM
    return await call.state.threads.compute(work) if large else work()


async def read_shaping(
    call: Call, serving: Serving, user: str | None, person: Person, prompt: Prompt | None, *,
    weights: Weights | None, robust: Robust | None, combine: str | None,
    transform: str | TransformSpec | None,
) -> Shaping | None:  # fmt: skip
    """What a request asks for beyond the person's reward; None where it asks for nothing.

    Raises:
        Problem: 422 with a pointer to what cannot be done, and the problems of candidates.
    """
    if weights is None and robust is None and combine is None and transform is None:
        return None
    source: Stated | Combined | None
    if combine is None:
        source = await read_stated(call, serving, user, person, weights, robust)
    elif robust is not None:
        raise invalid("/robust", "an angle around a direction; a combination has none")
    else:
        source = _read_combined(serving, combine, weights)
    model, mean = serving.model, person.mean
    shaping = Shaping(
        rewards=(lambda v: model.utility(mean, v)) if source is None else source.scores,
        among=(lambda v: model.utility_among(mean, v)) if source is None else source.scores,
        certain=source is not None,
        statement=msgspec.UNSET if source is None else source.statement,
        basis=None if source is None else source.rewards,
    )  # fmt: skip
    if transform is not None:
        spec = TransformSpec(transform) if isinstance(transform, str) else transform
        await _transform_too(call, serving, prompt, spec, shaping)
    return shaping


async def _transform_too(
    call: Call, serving: Serving, prompt: Prompt | None, spec: TransformSpec, shaping: Shaping
) -> None:
    """Add a transform, and find out before any candidate is encoded whether it can be had."""
    chosen, given = _read_transform(serving, spec), None
    if spec.references:
        at = "/transform/references"
        given = (await represent(call, serving, prompt, spec.references, pointer=at)).vectors
    reference = serving.artifact.reference
    compared = reference_rewards(chosen, shaping.rewards, reference=reference, given=given)
    origin: Origin = "none" if chosen.references is None else "frozen"
    if compared is not None:
        origin = "model" if given is None else "request"
    shaping.transform, shaping.compared = chosen, compared
    shaping.told = Transformed(chosen.name, dict(chosen.options), origin)
    try:
        shaping.scores(np.zeros(1))
    except InputError as error:
        raise invalid("/transform", error.message) from None


def _read_transform(serving: Serving, spec: TransformSpec) -> Transform:
    if spec.name == "model" and spec.options:
        raise invalid("/transform/options", "those of the saved transform are kept")
    try:
        if spec.name == "model":
            return own_transform(serving.artifact)
        return Transform(spec.name, spec.options)
    except UnknownNameError as error:
        at = "/transform" if error.where == "transform" else "/transform/options"
        raise invalid(at, error.message) from None
    except InputError as error:
        raise invalid("/transform", error.message.removeprefix("transform: ")) from None


@dataclass(slots=True)
class Combined:
    """Objectives of a model that are combined into one number."""

    model: PreferenceModel
    row: str
    columns: I64
    """`(d,)` places of the objectives."""
    refs: F64
    """`(d,)`."""
    weights: F64 | None

    def rewards(self, vectors: F32) -> F64:
        """`(n, r)` -> `(n, m)`."""
        return rewards(self.model, vectors)

    def scores(self, vectors: F32) -> F64:
        """`(n, r)` -> `(n,)`."""
        run = COMBINE[self.row].run
        return np.asarray(run(self.rewards(vectors)[:, self.columns], self.refs, self.weights))

    @property
    def statement(self) -> Statement:
        """For the reply."""
        names = [objectives(self.model)[column] for column in self.columns]
        weights = np.ones(len(names)) if self.weights is None else self.weights
        return Statement(dict(zip(names, weights.tolist(), strict=True)), 0.0, combine=self.row)


def _read_combined(serving: Serving, row: str, weights: Weights | None) -> Combined:
    model, reference = serving.model, serving.artifact.reference
    names = objectives(model)
    if row not in COMBINE:
        raise invalid("/combine", UnknownNameError.of("combination", row, COMBINE).message)
    if not names:
        detail = f"a model of family {model.family!r} has one reward, nothing to combine"
        raise invalid("/combine", detail)
    if not len(reference):
        raise invalid("/combine", "needs a model with a reference set, this one has none")
    for name in weights or ():
        if name not in names:
            where = name.replace("~", "~0").replace("/", "~1")
            detail = UnknownNameError.of("objective", name, names).message
            raise invalid(f"/weights/{where}", detail)
    chosen = list(weights or names)
    columns = np.array([names.index(name) for name in chosen])
    given = None if weights is None else np.array([weights[name] for name in chosen])
    refs = np.asarray(ref_quantile(rewards(model, reference)[:, columns].T))  # (d,)
    found = Combined(model, row, columns, refs, given)
    try:
        found.scores(reference[:1])
    except InputError as error:
        raise invalid("/weights", error.message.removeprefix("weights: ")) from None
    return found
