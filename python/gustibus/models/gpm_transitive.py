"""The transitive part of a personal general preference model, and each person's size of the blocks.

The transitive part is that of the hierarchical family: a reward that all share, and directions in
which people differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gustibus.models.base import Progress, TrainingSet
from gustibus.models.gpm import GeneralPreference
from gustibus.models.hierarchical import Hierarchical
from gustibus.models.hierarchical_fit import fit_chosen, fit_hierarchical
from gustibus.models.hierarchical_options import hierarchical_options
from gustibus.models.validation import representations
from gustibus.posterior import Answering, Evidence, GaussianPrior, fit_population
from gustibus.types import F32, F64

_ROUNDS, _START, _FLOOR = 15, 0.1, 1e-4
"""Of the population of sizes: rounds, variance at the start, smallest variance."""


@dataclass(frozen=True)
class Transitive:
    """`(x - center) . (population + basis z)`."""

    population: F32
    basis: F32
    prior: GaussianPrior
    """Of z."""
    answering: Answering
    model: Hierarchical | None
    """What it was taken from; None where there is no transitive part yet."""

    def offsets(self, train: TrainingSet, *, shared: bool) -> F64:
        """`(n,)` margin of each row for its person, as the person's other rows place them.

        A person's rows are dealt to two hands and each is placed by the other, so that an answer
        does not explain itself.

        Args:
            train: comparisons.
            shared: whether the reward that all share counts.
        """
        if self.model is None:
            return np.zeros(len(train))
        order = np.argsort(train.user, kind="stable")
        a, b = representations(self.model, train, order)
        counts = np.bincount(train.user, minlength=train.people)
        position = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
        user, target = train.user[order], train.target[order].astype(np.float64)
        weight, margin = train.weight[order].astype(np.float64), np.zeros(len(order))
        for hand in (0, 1):
            placing, asked = position % 2 == hand, position % 2 != hand
            sizes = np.bincount(user[placing], minlength=train.people)
            placed = self.model.place(
                a[placing], b[placing], target[placing], weight=weight[placing],
                starts=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64), covariance=False,
            )  # fmt: skip
            margin[asked] = self.model.margin(placed.mean[user[asked]], a[asked], b[asked])
        if not shared:
            margin -= a[:, 0].astype(np.float64) - b[:, 0]
        out = np.empty(len(order))
        out[order] = margin
        return out


def nobody(train: TrainingSet) -> Transitive:
    """The part of a model that is the same for everybody: nothing yet."""
    d = train.item_features.shape[1]
    zero = np.zeros(d, np.float32)
    return Transitive(
        zero, np.zeros((d, 0), np.float32), GaussianPrior.standard(0), Answering(lapse=0.0), None
    )


def fit_transitive(
    train: TrainingSet, valid: TrainingSet | None, options: Mapping[str, Any], *, seed: int,
    device: str, progress: Progress | None, checkpoint: Path | None,
) -> tuple[Transitive, dict[str, Any]]:  # fmt: skip
    """The part for everybody, training and held-out people, and the settings that were chosen."""
    model, report = fit_hierarchical(
        train, valid, options=hierarchical_options(options),
        seed=seed, device=device, progress=progress, checkpoint=checkpoint,
    )  # fmt: skip
    assert isinstance(model, Hierarchical), "the family fits its own class"
    return _of(model), {**report["chosen"], "lapse": report["lapse"]}


def refit_transitive(
    train: TrainingSet, chosen: Mapping[str, Any], options: Mapping[str, Any],
    device: torch.device,
) -> Transitive:  # fmt: skip
    """The part with chosen settings, for the training people alone: what the choice saw."""
    model = fit_chosen(train, chosen, hierarchical_options(options), device)
    return _of(replace(model, answering=Answering(chosen["lapse"], model.answering.tie)))


def _of(model: Hierarchical) -> Transitive:
    return Transitive(model.population, model.basis, model.prior, model.answering, model)


def with_scales(
    model: GeneralPreference, base: Transitive, train: TrainingSet, offset: F64
) -> GeneralPreference:
    """The model with a distribution of `[w, z]`: sizes w by empirical Bayes, z as it was.

    Args:
        model: fitted, one size for all.
        base: its transitive part.
        train: comparisons.
        offset: `(n,)` transitive margins of the rows for their people.
    """
    k = model.size
    if k == 0:
        return model
    one = replace(model, prior=_joined(_sizes(np.ones(k), _START * np.eye(k)), base.prior))
    a, b = representations(one, train, np.arange(len(train)))
    _, slope = one.contrast(one.prior.mean, a, b)
    evidence = Evidence.build(
        slope[:, :k], train.target.astype(np.float64), offset=offset,
        weight=train.weight.astype(np.float64), person=train.user.astype(np.int64),
        people=train.people,
    )  # fmt: skip
    sizes = fit_population(
        evidence, initial=_sizes(np.ones(k), _START * np.eye(k)), rounds=_ROUNDS, floor=_FLOOR,
        answering=base.answering,
    ).prior  # fmt: skip
    return replace(model, prior=_joined(sizes, base.prior))


def _sizes(mean: F64, covariance: F64) -> GaussianPrior:
    return GaussianPrior.single(mean, covariance)


def _joined(sizes: GaussianPrior, shift: GaussianPrior) -> GaussianPrior:
    """Independent: one Gaussian of sizes beside every group of the shift."""
    k, s, groups = sizes.dim, shift.dim, len(shift.weights)
    covariances = np.zeros((groups, k + s, k + s))
    covariances[:, :k, :k], covariances[:, k:, k:] = sizes.covariance, shift.covariances
    means = np.concatenate([np.repeat(sizes.mean[None], groups, 0), shift.means], axis=1)
    return GaussianPrior(shift.weights, means, covariances)
