"""What every model family offers: the protocol, the table, and the common case linear in the user.

A fitted model maps (prompt, response) features to a short *representation* that does not depend on
the person; a person is a short *user vector* kept outside the model. Fitted models are numpy alone:
training may need torch, scoring never does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np

from gustibus.errors import DimensionError, InputError, NotFiniteError
from gustibus.posterior import (
    Answering,
    Evidence,
    GaussianPrior,
    Posteriors,
    Prior,
    place,
    predict,
)
from gustibus.registry import Registry
from gustibus.types import F32, F64, I32, I64, Bool

Progress = Callable[[str, int, int, float], None]
"""`(stage, done, total, figure)`; `total` is 0 when it is not known."""


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """Comparisons as codes into feature matrices: all that a family sees of the data.

    Attributes:
        user: `(n,)` codes of people, `0..people-1`.
        prompt: `(n,)` rows of `prompt_features`.
        a: `(n,)` rows of `item_features`.
        b: `(n,)` rows of `item_features`.
        target: `(n,)` probability in `[0, 1]` that a is preferred; a tie is 0.5.
        weight: `(n,)`, at or above 0.
        item_features: `(m, d)` float32.
        prompt_features: `(q, dp)` float32, or None when the data has no prompt embeddings.
        people: number of people; codes without rows are people without data.
        own: number of the last columns of `item_features` that are known items' own coordinates.
        is_support: `(n,)` rows that place a validation person, the others judge the placing; None
            lets the reader halve each person's rows.
        group: `(n,)` codes of the data sets that the rows came from; None where there is one.
        margin: `(n,)` by how much the reward of the preferred side should exceed the other's; None
            for 0.
        grade: `(n, 2)` grades of a and b in the list that the row is of; None without lists.
        degree: `(n,)` at or above 1 where b is a variant of a that was degraded so much, else 0; None
            without variants.
    """

    user: I32
    prompt: I32
    a: I32
    b: I32
    target: F32
    weight: F32
    item_features: F32
    prompt_features: F32 | None
    people: int
    is_support: Bool | None = None
    own: int = 0
    group: I32 | None = None
    margin: F32 | None = None
    grade: F32 | None = None
    degree: I32 | None = None

    def __len__(self) -> int:
        return len(self.user)


BESIDE = ("group", "margin", "grade", "degree")
"""Columns of a training set that some rows of data have and others lack."""


class Fitted(tuple["PreferenceModel", dict[str, Any]]):
    """`(model, report)`: what `fit` returns; the report is JSON: history, seconds, choices."""

    __slots__ = ()

    def __new__(cls, model: PreferenceModel, report: dict[str, Any]) -> Self:
        """Pair a fitted model with the report of its fit; None where a figure is no number."""
        return super().__new__(cls, (model, without_nan(report)))

    @property
    def model(self) -> PreferenceModel:
        """The fitted model."""
        return self[0]

    @property
    def report(self) -> dict[str, Any]:
        """JSON-ready record of the fit."""
        return self[1]


def without_nan(value: Any) -> Any:
    """A JSON value whose numbers are finite: None in the place of NaN and infinity, which JSON lacks."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: without_nan(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        found = (without_nan(one) for one in value)
        return list(found) if isinstance(value, list) else tuple(found)
    return value


@runtime_checkable
class PreferenceModel(Protocol):
    """A fitted model: immutable, numpy alone, safe to share between threads."""

    @property
    def family(self) -> str:
        """Row of `MODELS`."""

    @property
    def transitive(self) -> bool:
        """Whether every margin is a difference of two utilities, so that no taste runs in a circle."""

    @property
    def item_dim(self) -> int:
        """Length `d` of an item's feature vector."""

    @property
    def prompt_dim(self) -> int:
        """Length of a prompt's feature vector; 0 when the family does not read the prompt."""

    @property
    def representation_dim(self) -> int:
        """Length `r` of a representation."""

    @property
    def user_dim(self) -> int:
        """Length `u` of a user vector; 0 when everybody gets the same reward."""

    @property
    def prior(self) -> Prior:
        """Distribution of user vectors in the population; a person without answers has its mean."""

    @property
    def answering(self) -> Answering:
        """Lapse rate and tie threshold of the population."""

    def represent(self, items: F32, prompts: F32 | None = None) -> F32:
        """`(n, d)` item features, `(n, dp)` prompt features -> `(n, r)`; no person involved."""

    def utility(self, users: F64, representations: F32) -> F64:
        """`(*b, u)` user vectors, `(n, r)` -> `(*b, n)` rewards in log-odds.

        Where tastes can run in a circle: the mean margin over a panel saved with the model.
        """

    def margin(self, users: F64, a: F32, b: F32) -> F64:
        """`(*b, u)`, `(*b, r)`, `(*b, r)` -> `(*b)`; above 0 prefers a; antisymmetric."""

    def linearize(self, user: F64, representations: F32) -> tuple[F64, F64]:
        """`(u,)`, `(n, r)` -> utility `(n,)` and its gradient in the user vector `(n, u)`."""

    def utility_among(self, users: F64, representations: F32) -> F64:
        """`(*b, u)` user vectors, `(n, r)` candidates of one prompt -> `(*b, n)` to order them by.

        The rewards; where tastes can run in a circle: the mean margin over these very candidates
        instead of the panel, so that two of them are in the order of their margin.
        """

    def linearize_among(self, user: F64, representations: F32) -> tuple[F64, F64]:
        """`(u,)`, `(n, r)` -> `utility_among` `(n,)` and its gradient in the user vector `(n, u)`."""

    def contrast(self, user: F64, a: F32, b: F32) -> tuple[F64, F64]:
        """`(u,)`, `(n, r)` twice -> margin `(n,)` and its gradient in the user vector `(n, u)`."""

    def cyclic_share(self, user: F64, representations: F32) -> float:
        """Share in `[0, 1]` of a person's squared margins among `(n, r)` that no ranking explains."""

    def place(
        self,
        a: F32,
        b: F32,
        target: F64,
        *,
        weight: F64 | None = None,
        starts: I64 | None = None,
        covariance: bool = True,
    ) -> Posteriors:
        """Posterior of one or many people from their answers.

        Args:
            a: `(s, r)` representations, all people's rows in order of person.
            b: `(s, r)`.
            target: `(s,)` in `[0, 1]`, 1 when a was preferred.
            weight: `(s,)`, default 1.
            starts: `(p + 1,)` where each person's rows begin; default one person.
            covariance: False leaves covariances at zero size and is faster.

        Returns:
            One posterior a person; without rows exactly the prior.
        """

    def save(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """JSON parameters and named arrays that `load_model` turns into an equal model."""


class Family(Protocol):
    """What the table holds: the class of a fitted model, which also knows how to be fitted.

    `fit(train, valid, *, seed, device="cpu", progress=None, checkpoint=None, **options)` where
    `options` are the family's own keyword arguments; `valid` has other people than `train`.
    """

    family: ClassVar[str]

    @classmethod
    def fit(
        cls,
        train: TrainingSet,
        valid: TrainingSet | None,
        *,
        seed: int,
        device: str,
        progress: Progress | None,
        checkpoint: Path | None,
        **options: Any,
    ) -> Fitted:
        """Learn the shared part and the population prior."""

    @classmethod
    def load(cls, params: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> PreferenceModel:
        """Inverse of `PreferenceModel.save`."""


MODELS: Registry[Any] = Registry("model")
"""Every family by name; rows are classes that satisfy `Family` and `PreferenceModel`."""


def check_features(name: str, value: Any, dim: int) -> F32:
    """Features as contiguous float32 `(n, dim)`; the message names the argument and both shapes."""
    array = np.asarray(value)
    if array.ndim != 2 or array.shape[1] != dim:
        message = f"{name}: expected shape (n, {dim}), got {array.shape}"
        raise DimensionError(message, where=name)
    if array.dtype.kind not in "fiu":
        message = f"{name}: expected numbers, got {array.dtype}"
        raise InputError(message, where=name)
    array = np.ascontiguousarray(array, np.float32)
    # A sum of squares is finite where every number is, and takes half as long; it may also overflow.
    if not np.isfinite(np.vdot(array, array)) and not np.isfinite(array).all():
        row = int(np.flatnonzero(~np.isfinite(array).all(axis=1))[0])
        message = f"{name}: row {row} holds NaN or infinity"
        raise NotFiniteError(message, where=name)
    return array


class Transitive:
    """What follows for a family whose margin is a difference of two utilities."""

    transitive: ClassVar[bool] = True

    if TYPE_CHECKING:

        def utility(self, users: F64, representations: F32) -> F64:
            """Rewards, of the family."""

        def linearize(self, user: F64, representations: F32) -> tuple[F64, F64]:
            """Utility and gradient, of the family."""

    def utility_among(self, users: F64, representations: F32) -> F64:
        """The rewards: who else is there changes no difference of two."""
        return self.utility(users, representations)

    def linearize_among(self, user: F64, representations: F32) -> tuple[F64, F64]:
        """Utility and gradient, likewise."""
        return self.linearize(user, representations)

    def contrast(self, user: F64, a: F32, b: F32) -> tuple[F64, F64]:
        """Differences of utilities and of their gradients."""
        value_a, slope_a = self.linearize(user, a)
        value_b, slope_b = self.linearize(user, b)
        return value_a - value_b, slope_a - slope_b

    def cyclic_share(self, user: F64, representations: F32) -> float:
        """Nothing runs in a circle."""
        del user, representations
        return 0.0


class LinearInUser(Transitive):
    """The personal part of a family whose reward is linear in the user vector.

    Such a family keeps representations as `[offset, phi]`: the reward that everybody shares, then
    the basis; the reward is `offset + phi . w`. What a family keeps behind the basis is its own.
    """

    if TYPE_CHECKING:

        @property
        def user_dim(self) -> int:
            """Length of w."""

        @property
        def prior(self) -> Any:
            """`GaussianPrior` of w."""

        @property
        def answering(self) -> Answering:
            """Lapse rate and tie threshold."""

    def utility(self, users: F64, representations: F32) -> F64:
        """`(*b, u)`, `(n, 1 + u)` -> `(*b, n)`."""
        rep = np.asarray(representations[:, : 1 + self.user_dim], np.float64)
        return np.asarray(np.asarray(users, np.float64) @ rep[:, 1:].T + rep[:, 0])  # (*b, n)

    def margin(self, users: F64, a: F32, b: F32) -> F64:
        """`(*b, u)`, `(*b, 1 + u)`, `(*b, 1 + u)` -> `(*b)`."""
        end = 1 + self.user_dim
        diff = np.asarray(a[..., :end], np.float64) - np.asarray(b[..., :end], np.float64)
        return np.asarray(diff[..., 0] + (diff[..., 1:] * users).sum(-1))

    def linearize(self, user: F64, representations: F32) -> tuple[F64, F64]:
        """Utility and gradient; the gradient is the basis itself."""
        phi = np.asarray(representations[:, 1 : 1 + self.user_dim], np.float64)
        return phi @ user + representations[:, 0], phi

    def place(
        self,
        a: F32,
        b: F32,
        target: F64,
        *,
        weight: F64 | None = None,
        starts: I64 | None = None,
        covariance: bool = True,
    ) -> Posteriors:
        """Damped Newton and Laplace in the compiled engine, batched over people."""
        end = 1 + self.user_dim
        diff = np.asarray(a[:, :end], np.float64) - np.asarray(b[:, :end], np.float64)
        return place_lines(
            self.prior, self.answering, diff[:, 1:], diff[:, 0], target,
            weight=weight, starts=starts, covariance=covariance,
        )  # fmt: skip


def place_lines(
    prior: GaussianPrior,
    answering: Answering,
    delta: F64,
    offset: F64,
    target: F64,
    *,
    weight: F64 | None,
    starts: I64 | None,
    covariance: bool,
) -> Posteriors:
    """Posteriors from answers whose margins are `offset (s,) + delta (s, u) . w`."""
    rows = len(offset)
    if prior.dim == 0:
        return _place_nobody(offset, target, answering, weight=weight, starts=starts)
    evidence = Evidence(
        delta=np.ascontiguousarray(delta),
        offset=np.ascontiguousarray(offset),
        target=np.asarray(target, np.float64),
        weight=np.ones(rows) if weight is None else np.asarray(weight, np.float64),
        starts=np.array([0, rows], np.int64) if starts is None else np.asarray(starts, np.int64),
    )
    return place(evidence, prior, answering=answering, covariance=covariance)


def _place_nobody(
    margin: F64, target: F64, answering: Answering, *, weight: F64 | None, starts: I64 | None
) -> Posteriors:
    """The empty posterior of a family without a personal part, with the evidence of the answers."""
    edges = np.array([0, len(margin)], np.int64) if starts is None else np.asarray(starts, np.int64)
    p = predict(margin, np.zeros_like(margin), answering=answering)
    target = np.asarray(target, np.float64)
    tiny = np.finfo(np.float64).tiny
    each = target * np.log(np.maximum(p, tiny)) + (1 - target) * np.log(np.maximum(1 - p, tiny))
    total = np.concatenate([[0.0], np.cumsum(each if weight is None else each * weight)])
    people = len(edges) - 1
    return Posteriors(
        np.ones((people, 1)), np.zeros((people, 1, 0)), np.zeros((people, 1, 0, 0)),
        total[edges[1:]] - total[edges[:-1]], np.zeros(people), np.zeros(people, np.int64),
        np.ones(people, np.bool_), np.diff(edges),
    )  # fmt: skip
