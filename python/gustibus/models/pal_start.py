"""A warm start for the linear members of PAL: prototypes around directions in which people differ.

With `f(x) = s x` and small s, `-|f(x) - a_u|^2` is the linear reward `2 s x . a_u` up to a small
common curvature, so the low-rank model of `hierarchical_learn` is a PAL model: its people, whose
reward directions are `theta + V z_u`, lie in a simplex of prototypes around theta. From random
prototypes stochastic gradients need many passes to get there, and by then they overfit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from gustibus.models.base import TrainingSet
from gustibus.models.hierarchical import Hierarchical
from gustibus.models.hierarchical_learn import evidence_of, finish, learn, population_reward
from gustibus.models.hierarchical_objective import Objective
from gustibus.models.hierarchical_start import Frame
from gustibus.models.pal_options import PalOptions
from gustibus.models.validation import held_out_losses, hold_out, simplest
from gustibus.posterior import Answering, GaussianPrior, place
from gustibus.types import F64

REACH = 3.0
"""Standard deviations of the population that the simplex of prototypes holds in every direction."""
_CURVATURE = 0.02
"""Share of a typical margin's variance that the common curvature may take."""
_LEAST = 0.02
"""Smallest weight of a person at the start, in units of 1 / K."""


class Start(NamedTuple):
    """Where the gradients begin."""

    scale: float
    """s of `f(x) = s x`."""
    prototypes: F64
    """`(K, q)`."""
    logits: F64
    """`(p, K)`."""


def warm_start(
    train: TrainingSet,
    valid: TrainingSet | None,
    frame: Frame,
    options: PalOptions,
    device: torch.device,
) -> Start:
    """Prototypes and people's logits of the low-rank model that held-out people choose.

    Args:
        train: seen people.
        valid: people who choose the ridge; None takes the strongest but one.
        frame: coordinates in which typical differences have length 1.
        options: `prototypes` K gives K - 1 directions.
        device: where torch works.
    """
    k = options.prototypes
    objective = Objective(train, frame, device)
    theta, pull = population_reward(objective, frame, options.ridge_population, valid)
    if k == 1:
        return _placed(
            theta.double().cpu().numpy(), np.zeros((frame.items.shape[1], 0)), train, frame
        )
    found: list[tuple[F64, F64]] = []
    models: list[Hierarchical] = []
    for _, wide, basis in learn(
        objective, train, frame, theta, pull=pull, ridges=options.ridges, rank=k - 1, rounds=10
    ):
        spare = np.zeros((len(basis), k - 1 - basis.shape[1]))  # fewer features than prototypes
        basis = np.column_stack([basis, spare])
        found.append((wide, basis))
        models.append(finish(frame, wide, basis, train).export())
    chosen = max(len(found) - 2, 0)
    if valid is not None:
        split = hold_out(valid)
        losses = np.column_stack([held_out_losses(m, valid, split) for m in models[::-1]])
        chosen = len(found) - 1 - simplest(losses)
    return _placed(*found[chosen], train, frame)


def _placed(theta: F64, basis: F64, train: TrainingSet, frame: Frame) -> Start:
    """The low-rank model in the words of PAL."""
    k = basis.shape[1] + 1
    root = np.sqrt(frame.items.shape[1])  # PAL's coordinates are longer by this
    scale = _CURVATURE / root
    corners = simplex_corners(k)  # (K, k - 1), unit vectors
    spread = REACH * (k - 1)  # the ball in a simplex has 1 / (K - 1) of the radius around it
    prototypes = (theta + spread * corners @ basis.T) / (2 * scale * root)
    weights = np.full((train.people, k), 1 / k)
    if k > 1:
        standard = GaussianPrior.standard(k - 1)
        placed = place(
            evidence_of(train, frame, theta, basis), standard, answering=Answering(0.0),
            covariance=False,
        )  # fmt: skip
        weights += (k - 1) / k * placed.mean @ corners.T / spread
        weights = np.maximum(weights, _LEAST / k)
        weights /= weights.sum(axis=1, keepdims=True)
    logits = np.log(weights)
    return Start(scale, prototypes, logits - logits.mean(axis=1, keepdims=True))


def simplex_corners(k: int) -> F64:
    """`(k, k - 1)` corners of a regular simplex around 0, at distance 1."""
    centred = np.eye(k) - 1 / k
    _, _, axes = np.linalg.svd(centred)
    corners = centred @ axes[: k - 1].T
    return (
        np.asarray(corners / np.linalg.norm(corners, axis=1, keepdims=True)) if k > 1 else corners
    )
