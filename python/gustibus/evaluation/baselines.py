"""Methods that every model has to beat, fitted on the same rows and asked in the same way.

`linear` is one logistic reward on the embeddings for everybody; `shrunk` gives each person a reward
of their own that is drawn towards it; `item_mean` scores an item by how often it was preferred and
reads no features.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from gustibus.data import Dataset, Split
from gustibus.errors import UnknownNameError
from gustibus.evaluation.contenders import Contender, Fixed, Modelled
from gustibus.evaluation.logistic import Pairs, Pooled, Span, fit_logistic, fit_pooled
from gustibus.evaluation.rows import fitting_sets
from gustibus.models.base import (
    LinearInUser,
    TrainingSet,
    check_features,
)
from gustibus.models.validation import everybody, held_out_loss, hold_out
from gustibus.posterior import Answering, GaussianPrior
from gustibus.types import F32, F64

SPREADS = (0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0)
"""Candidates: standard deviation of a person's own part of the margin of a typical pair."""


@dataclass(frozen=True)
class LinearReward(LinearInUser):
    """`r(x) = x . (w + v)` with a shared `w` and a personal `v ~ N(0, spread^2 I)`."""

    span: Span
    weights: F64
    """`(q,)` the shared reward."""
    spread: float
    """Standard deviation of the entries of `v`; 0 for a reward without a personal part."""

    family: ClassVar[str] = "linear"
    prompt_dim: ClassVar[int] = 0

    @property
    def answering(self) -> Answering:
        """Logistic answers without lapses."""
        return Answering(lapse=0.0)

    @property
    def item_dim(self) -> int:
        """Length of an item's feature vector."""
        return len(self.span.center)

    @property
    def user_dim(self) -> int:
        """One number a feature, or none."""
        return len(self.weights) if self.spread else 0

    @property
    def representation_dim(self) -> int:
        """The shared reward and the personal features."""
        return 1 + self.user_dim

    @cached_property
    def prior(self) -> GaussianPrior:
        """Standard normal: representations carry the spread."""
        return GaussianPrior.standard(self.user_dim)

    def represent(self, items: F32, prompts: F32 | None = None) -> F32:
        """`(n, d)` -> `(n, 1 + u)`."""
        del prompts
        x = self.span(check_features("items", items, self.item_dim))
        shared = x @ self.weights
        return np.column_stack([shared, self.spread * x[:, : self.user_dim]]).astype(np.float32)

    def save(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """JSON parameters and arrays."""
        arrays: dict[str, np.ndarray] = {
            "center": self.span.center, "turn": self.span.turn, "weights": self.weights,
        }  # fmt: skip
        return {"spread": self.spread}, arrays

    @classmethod
    def load(cls, params: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> LinearReward:
        """Inverse of `save`."""
        return cls(Span(arrays["center"], arrays["turn"]), arrays["weights"], params["spread"])


def fit_linear(
    train: TrainingSet, valid: TrainingSet | None, *, chosen: Pooled | None = None
) -> LinearReward:
    """One reward for everybody: the validation people choose the ridge, then count as well.

    Args:
        train: comparisons of the seen people.
        valid: of other people.
        chosen: what `fit_pooled` found for these, if it is there already.
    """
    span, ridge, weights = chosen or fit_pooled(train, valid)
    if valid is not None:
        both = everybody(train, valid)
        features = span(both.item_features).astype(np.float64)
        weights = fit_logistic(features, Pairs.of(both), ridge=ridge, start=weights)
    return LinearReward(span, weights, 0.0)


def fit_shrunk(
    train: TrainingSet, valid: TrainingSet | None, *, chosen: Pooled | None = None
) -> LinearReward:
    """Logistic regression of each person, shrunk to the pooled one.

    The spread is the one with the least log loss on the validation people, placed on at most 20
    answers and judged on others; that of typical margins without validation people.

    Args:
        train: fits the pooled reward.
        valid: other people; they choose the ridge and the spread.
        chosen: what `fit_pooled` found for these, if it is there already.
    """
    chosen = chosen or fit_pooled(train, valid)
    typical = np.sqrt(2.0 * max(len(chosen.span.center), 1))  # length of a difference of features
    spread = 1.0
    if valid is not None:
        split = hold_out(valid)
        models = [LinearReward(chosen.span, chosen.weights, sd / typical) for sd in SPREADS]
        losses = [held_out_loss(model, valid, split) for model in models]
        if np.isfinite(losses).all():  # else nobody can be judged
            spread = SPREADS[int(np.argmin(losses))]
    return replace(fit_linear(train, valid, chosen=chosen), spread=spread / typical)


def item_margins(dataset: Dataset, train: TrainingSet, valid: TrainingSet | None) -> F64:
    """`(n,)` margins of every row from the items' strengths over all people; 0 for unknown items.

    One factor, fitted on the validation people, turns differences of strengths into log-odds.
    """
    strength = item_strengths(train)
    factor = fit_logistic(strength[:, None], Pairs.of(valid or train), ridge=1e-3)[0]
    if valid is not None:
        strength = item_strengths(everybody(train, valid))
    c = dataset.comparisons
    return np.asarray(factor * (strength[c.a] - strength[c.b]), np.float64)


def item_strengths(data: TrainingSet) -> F64:
    """`(m,)` logarithm of wins over losses of each item, with a few imaginary ones added."""
    m = len(data.item_features)
    weight, target = data.weight.astype(np.float64), data.target.astype(np.float64)
    wins = np.bincount(data.a, weight * target, m) + np.bincount(data.b, weight * (1 - target), m)
    losses = np.bincount(data.a, weight, m) + np.bincount(data.b, weight, m) - wins
    return np.asarray(np.log((wins + _IMAGINARY) / (losses + _IMAGINARY)), np.float64)


_IMAGINARY = 3.0
"""Wins and losses that every item starts with."""


def fit_baselines(names: tuple[str, ...], dataset: Dataset, split: Split) -> list[Contender]:
    """The named baselines, fitted on the training part.

    Raises:
        UnknownNameError: a name is none of `BASELINES`.
        InputError: the split has no `train`, or the data set no item features.
    """
    for name in names:
        if name not in BASELINES:
            raise UnknownNameError.of("baseline", name, BASELINES)
    train, valid = fitting_sets(dataset, split)
    found: list[Contender] = []
    chosen: Pooled | None = None
    for name in [n for n in BASELINES if n in names]:
        started = time.perf_counter()
        if name == "item_mean":
            margin = item_margins(dataset, train, valid)
            found.append(Fixed(name, margin, time.perf_counter() - started))
            continue
        chosen = chosen or fit_pooled(train, valid)
        model = (fit_linear if name == "linear" else fit_shrunk)(train, valid, chosen=chosen)
        found.append(
            Modelled(
                name,
                model,
                dataset,
                kind="baseline",
                fit_seconds=time.perf_counter() - started,
            )
        )
    return found


BASELINES = ("linear", "shrunk", "item_mean")
"""Names of the baselines, in the order of the tables; `length` comes with the controls."""
