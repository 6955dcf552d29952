"""EM that also learns the basis in which people differ, and the turn to a standard population.

The learned basis has rank k: `w_u = theta + V z_u` with `z_u ~ N(0, I)`. The E step is the
posterior engine's; the M step maximises the expected log likelihood under those posteriors less a
ridge, in features of partly equalised variance. A ridge on V prunes directions that carry nothing:
the maximum a posteriori form of automatic relevance determination.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gustibus.models.base import TrainingSet
from gustibus.models.hierarchical import Hierarchical
from gustibus.models.hierarchical_objective import Objective
from gustibus.models.hierarchical_start import Frame, spectral_start
from gustibus.posterior import Answering, Evidence, GaussianPrior, Posteriors, fit_population, place
from gustibus.types import F64

_WARM_ROUNDS = 4
SETTLING = 2
"""EM rounds over the distribution of z where nobody can choose them."""
_MOST_DIRECTIONS = 64


def population_reward(
    objective: Objective, frame: Frame, pulls: Sequence[float], valid: TrainingSet | None
) -> tuple[Tensor, float]:
    """The shared reward without personal parts, and the ridge that serves held-out people best."""
    theta = torch.zeros(frame.items.shape[1], device=objective.device)
    found: list[tuple[float, float, Tensor]] = []
    for pull in sorted(pulls, reverse=True):
        theta, _ = objective.minimise(theta, torch.zeros(0, 0), (pull, 0.0), None, 100)
        loss = 0.0
        if valid is not None:
            reward = frame.items @ theta.double().cpu().numpy()
            z = reward[valid.a] - reward[valid.b]
            loss = float(((np.logaddexp(0, z) - valid.target * z) * valid.weight).mean())
        found.append((loss, pull, theta))
    _, pull, theta = min(found, key=lambda row: row[0])
    return theta, pull


def evidence_of(train: TrainingSet, frame: Frame, theta: F64, basis: F64) -> Evidence:
    """Everybody's answers as rows in the basis, the shared reward as the offset."""
    offset, phi = frame.items @ theta, frame.items @ basis
    return Evidence.build(
        phi[train.a] - phi[train.b], train.target.astype(np.float64),
        offset=offset[train.a] - offset[train.b], weight=train.weight.astype(np.float64),
        person=train.user.astype(np.int64), people=train.people,
    )  # fmt: skip


def _second_moment(posteriors: Posteriors) -> F64:
    """Mean of `E[z z^T]` over people: the M step of a zero-mean covariance."""
    mean = posteriors.mean  # (p, k)
    return np.asarray(mean.T @ mean + posteriors.covariance.sum(0)) / max(len(mean), 1)


def learn(
    objective: Objective, train: TrainingSet, frame: Frame, theta: Tensor, *,
    pull: float, ridges: Sequence[float], rank: int, rounds: int,
) -> Iterator[tuple[float, F64, F64]]:  # fmt: skip
    """EM over people's z, theta and V, from the weakest ridge on V to the strongest.

    Each ridge starts where the one before ended: a stronger one prunes further.

    Yields:
        The ridge, theta `(q,)` and V `(q, k)` with `z ~ N(0, I)`.
    """
    wide = theta.double().cpu().numpy()
    basis = spectral_start(train, frame, wide, rank, objective.device)
    for number, ridge in enumerate(sorted(ridges)):
        for _ in range(rounds if number == 0 else min(_WARM_ROUNDS, rounds)):
            posterior, root = _standardised(train, frame, wide, basis)
            start = torch.as_tensor(basis @ root, dtype=torch.float32, device=objective.device)
            theta, learned = objective.minimise(theta, start, (pull, ridge), posterior, 8)
            basis, wide = learned.double().cpu().numpy(), theta.double().cpu().numpy()
        yield ridge, wide, basis


def _standardised(
    train: TrainingSet, frame: Frame, theta: F64, basis: F64
) -> tuple[tuple[F64, F64], F64]:
    """The E step in units in which z has second moment I, and the square root that undoes them."""
    k = basis.shape[1]
    standard = GaussianPrior.standard(k)
    placed = place(evidence_of(train, frame, theta, basis), standard, answering=Answering(0.0))
    root: F64 = np.asarray(np.linalg.cholesky(_second_moment(placed) + 1e-9 * np.eye(k)))
    inverse = np.linalg.inv(root)
    # R^-1 C R^-T of everybody as two large products
    half = (placed.covariance.reshape(-1, k) @ inverse.T).reshape(-1, k, k)
    covariances = (half.transpose(0, 2, 1).reshape(-1, k) @ inverse.T).reshape(-1, k, k)
    return (placed.mean @ inverse.T, covariances), root


@dataclass(frozen=True)
class Population:
    """`w_u = theta + V z_u` with the distribution of z, in the coordinates of a frame."""

    frame: Frame
    theta: F64
    """`(q,)`."""
    basis: F64
    """`(q, k)`."""
    prior: GaussianPrior
    """Of z."""

    def export(self, residual: float = 0.0) -> Hierarchical:
        """The served model.

        Args:
            residual: standard deviation of what people's rewards have beside V, along the features
                as they were before they were equalised: people also like what resembles what they
                liked. 1 is a margin of typical size.
        """
        if residual == 0.0:
            return _export(self.frame, self.theta, self.basis, self.prior)
        more = (residual * self.frame.plain)[:, :_MOST_DIRECTIONS]
        k, r = self.basis.shape[1], more.shape[1]
        groups = len(self.prior.weights)
        means = np.concatenate([self.prior.means, np.zeros((groups, r))], axis=1)
        covariances = np.zeros((groups, k + r, k + r))
        covariances[:, :k, :k], covariances[:, k:, k:] = self.prior.covariances, np.eye(r)
        prior = GaussianPrior(self.prior.weights, means, covariances)
        return _export(self.frame, self.theta, np.concatenate([self.basis, more], axis=1), prior)


def exact(train: TrainingSet, frame: Frame, *, groups: int, rounds: int) -> Population:
    """Full mean and covariance by EM, in all coordinates."""
    q = frame.items.shape[1]
    delta = frame.items * np.sqrt(q)  # unit variance a coordinate: the scale of a prior of 0.1 I
    evidence = Evidence.build(
        delta[train.a] - delta[train.b], train.target.astype(np.float64),
        weight=train.weight.astype(np.float64), person=train.user.astype(np.int64),
        people=train.people,
    )  # fmt: skip
    population = fit_population(
        evidence, initial=GaussianPrior.standard(q, 0.1**0.5), groups=groups,
        rounds=max(rounds, 25), tolerance=1e-7, answering=Answering(0.0),
    )  # fmt: skip
    return Population(frame, np.zeros(q), np.eye(q) * np.sqrt(q), population.prior)


def settle(
    frame: Frame, theta: F64, basis: F64, train: TrainingSet, *,
    groups: Sequence[int], rounds: Sequence[int],
) -> Iterator[tuple[int, int, Population]]:  # fmt: skip
    """The distribution of z in a learned basis, after every wanted number of EM rounds.

    V was learned on the same people, and shrunk by its ridge. A round or two gives z the spread that
    the ridge took away; with more of them EM follows these people further than new ones go. Their
    mean stays 0, since theta holds it.

    Args:
        frame: coordinates.
        theta: `(q,)`.
        basis: `(q, k)`.
        train: the people that both were learned on.
        groups: numbers of Gaussians.
        rounds: numbers of EM rounds.

    Yields:
        Groups, rounds, and the population.
    """
    evidence = evidence_of(train, frame, theta, basis)
    for count in groups:
        prior, done = GaussianPrior.standard(basis.shape[1]), 0
        for wanted in sorted(rounds):
            prior = fit_population(
                evidence, initial=prior, groups=count, rounds=wanted - done, tolerance=0.0,
                answering=Answering(0.0),
            ).prior  # fmt: skip
            done = wanted
            centred = GaussianPrior(prior.weights, prior.means - prior.mean, prior.covariances)
            yield count, wanted, Population(frame, theta, basis, centred)


def finish(
    frame: Frame, theta: F64, basis: F64, train: TrainingSet, *, groups: int = 1,
    rounds: int = SETTLING,
) -> Population:  # fmt: skip
    """The last population of `settle`."""
    *_, (_, _, last) = settle(frame, theta, basis, train, groups=(groups,), rounds=(rounds,))
    return last


def _export(frame: Frame, theta: F64, basis: F64, prior: GaussianPrior) -> Hierarchical:
    """Turn to a basis in which the population is standard normal and directions are sorted.

    The mean moves into the shared reward. Directions are the principal axes of the personal part of
    the margin; those after 99.9 % of its variance, or after the 64th, are dropped.
    """
    mean, covariance = prior.mean, prior.covariance
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0))  # (k, k): w = mean + root z
    phi = frame.items @ basis @ root
    _, spread, axes = np.linalg.svd(phi - phi.mean(0), full_matrices=False)
    share = np.cumsum(spread**2) / max(float((spread**2).sum()), 1e-300)
    keep = int(np.searchsorted(share, 0.999)) + 1 if spread[0] > 1e-9 else 1
    keep = min(keep, _MOST_DIRECTIONS)
    turn = root @ axes[:keep].T  # (k, kept)
    inverse = axes[:keep] @ ((vectors / np.sqrt(np.maximum(values, 1e-12))).T)
    if len(prior.weights) == 1:
        standard = GaussianPrior.standard(keep)
    else:
        standard = GaussianPrior(
            prior.weights, (prior.means - mean) @ inverse.T,
            inverse @ prior.covariances @ inverse.T + 1e-9 * np.eye(keep),
        )  # fmt: skip
    return Hierarchical(
        frame.center,
        (frame.turn @ (theta + basis @ mean)).astype(np.float32),
        (frame.turn @ basis @ turn).astype(np.float32),
        standard,
        Answering(lapse=0.0),
    )
