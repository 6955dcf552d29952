"""Weights that a request states: scores along a direction of the model's rewards, not of a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import numpy as np
from msgspec import Meta, Struct

from gustibus.errors import InputError, UnknownNameError
from gustibus.models.directions import direction, objectives, rewards, robust_scores, width
from gustibus.posterior import Posterior
from gustibus.service.people import spread_of
from gustibus.service.problems import invalid

if TYPE_CHECKING:
    from gustibus.models.base import PreferenceModel
    from gustibus.service.call import Call
    from gustibus.service.serving import Serving
    from gustibus.service.tables import Person
    from gustibus.types import F32, F64

Weights = Annotated[
    dict[str, float],
    Meta(
        min_length=1,
        max_length=256,
        description=(
            "Weights of the model's objectives by name, as GET /v1/models lists them; only their "
            "proportions count, negative ones turn an objective round, and what is not named is 0. "
            "Scores are then in standard deviations of the rewards."
        ),
    ),
]
Robust = (
    Annotated[
        float,
        Meta(
            ge=0,
            le=90,
            description="Score by the worst direction within so many degrees of the stated one.",
        ),
    ]
    | Annotated[
        Literal["auto"],
        Meta(description="Take the angle from how uncertain the direction of `user` is."),
    ]
)


class Statement(Struct, omit_defaults=True):
    """The direction that scores are along, and the angle of which they are the least."""

    direction: dict[str, float]
    """Of length 1; for a combination the weights of its objectives."""
    degrees: float
    combine: str | None = None
    """How the objectives were combined, where they were not along a direction."""


class Stated(NamedTuple):
    """Stated weights, read for a model."""

    model: PreferenceModel
    along: F64
    """`(m,)` of length 1."""
    degrees: float

    def rewards(self, vectors: F32) -> F64:
        """`(n, r)` -> `(n, m)`."""
        return rewards(self.model, vectors)

    def scores(self, vectors: F32) -> F64:
        """`(n, r)` -> `(n,)`."""
        return robust_scores(self.rewards(vectors), self.along, degrees=self.degrees)

    @property
    def statement(self) -> Statement:
        """For the reply."""
        names = objectives(self.model)
        return Statement(dict(zip(names, self.along.tolist(), strict=True)), self.degrees)


async def read_stated(
    call: Call,
    serving: Serving,
    user: str | None,
    person: Person,
    weights: dict[str, float] | None,
    robust: float | Literal["auto"] | None,
) -> Stated | None:
    """The weights of a request; None where it states none.

    Raises:
        Problem: 422 when the model has no objectives, there is no such one, all weights are 0, or
            an angle is asked for that nothing gives.
    """
    if weights is None:
        if robust is not None:
            raise invalid("/robust", "an angle around stated weights; send weights too")
        return None
    model = serving.model
    try:
        along = direction(model, weights)
    except UnknownNameError as error:
        name = next(name for name in weights if name not in objectives(model))
        where = name.replace("~", "~0").replace("/", "~1")
        raise invalid(f"/weights/{where}", error.message) from None
    except InputError as error:
        raise invalid("/weights", error.message.removeprefix("weights: ")) from None
    if robust != "auto":
        return Stated(model, along, 0.0 if robust is None else robust)
    spread = await spread_of(call.state, user, person)
    here = Posterior(
        np.ones(1), person.mean[None], spread[None], 0.0, 0, converged=True,
        comparisons=person.count,
    )  # fmt: skip
    try:
        return Stated(model, along, width(model, here))
    except InputError as error:
        detail = f"'auto' needs a person's direction; {error.message.removeprefix('model: ')}"
        raise invalid("/robust", detail) from None
