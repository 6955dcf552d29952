"""The prior of a population, from everybody's answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gustibus import _core
from gustibus.errors import InputError
from gustibus.posterior.arrays import mixture
from gustibus.posterior.placing import place
from gustibus.posterior.priors import EXACT, Answering, GaussianPrior

if TYPE_CHECKING:
    from collections.abc import Callable

    from gustibus.posterior.beliefs import Evidence
    from gustibus.types import F64


@dataclass(frozen=True, slots=True)
class Population:
    """A prior fitted to a population."""

    prior: GaussianPrior
    log_evidence: tuple[float, ...]
    """Summed log evidence at the start of every round."""
    responsibilities: F64  # (p, g), in the last round
    converged: bool


def fit_population(
    evidence: Evidence,
    *,
    groups: int = 1,
    method: str = "laplace",
    structure: str = "full",
    initial: GaussianPrior | None = None,
    fit_mean: bool = True,
    rounds: int = 25,
    tolerance: float = 1e-5,
    shrinkage: tuple[float, float] = (1.0, 0.0),
    floor: float = 1e-6,
    cap: float = 1e4,
    answering: Answering = EXACT,
    seed: int = 0,
    threads: int | None = None,
    progress: Callable[[int, float], None] | None = None,
) -> Population:
    """Mixture prior by expectation maximisation with Gaussian posteriors.

    Args:
        evidence: Rows of the population.
        groups: Number of Gaussians. An `initial` of one Gaussian is split around clusters of the
            modes under it; one of several has as many as it has.
        method: Posterior of a person, as in `place`. The variational one gives a lower bound of the
            evidence and a prior with less bias.
        structure: `full`, `diagonal` or `isotropic` covariances.
        initial: Where to start, as when resuming. By default mean 0 and covariance 0.1 for one
            group; for more, modes under the fitted single group, clustered.
        fit_mean: Whether means move.
        rounds: Most rounds.
        tolerance: Stops when the evidence changes by less than this share of itself.
        shrinkage: Variance towards which covariances shrink, and how many people it counts for.
        floor: Smallest eigenvalue of a covariance.
        cap: Largest eigenvalue of a covariance.
        answering: How answers arise from margins.
        seed: Seed of the clustering.
        threads: Number of threads; every core by default.
        progress: Called with the number of every finished round and its log evidence.

    Source: Dempster, Laird and Rubin 1977, with an approximate E step.
    """
    settings: dict[str, Any] = {
        "method": method,
        "structure": structure, "fit_mean": fit_mean, "shrinkage": shrinkage, "floor": floor,
        "cap": cap, "lapse": answering.lapse, "tie": answering.tie, "max_iter": 50,
        "threads": threads,
    }  # fmt: skip
    if initial is None:
        initial = GaussianPrior.standard(evidence.delta.shape[-1], 0.1**0.5)
        if groups > 1:
            start = mixture(initial.weights, initial.means, initial.covariances)
            out = _core.fit_population(
                evidence.rows, evidence.starts, start,
                rounds=5, tolerance=tolerance, progress=None, **settings,
            )  # fmt: skip
            initial = GaussianPrior(*out[:3])
    if groups > 1 and len(initial.weights) == 1:
        initial = _split(evidence, initial, groups, answering, seed)
    start = mixture(initial.weights, initial.means, initial.covariances)
    *prior, trace, responsibilities, converged = _core.fit_population(
        evidence.rows, evidence.starts, start,
        rounds=rounds, tolerance=tolerance, progress=progress, **settings,
    )  # fmt: skip
    return Population(GaussianPrior(*prior), tuple(trace), responsibilities, converged)


def _split(
    evidence: Evidence, single: GaussianPrior, groups: int, answering: Answering, seed: int
) -> GaussianPrior:
    """Several groups around clusters of the modes under one group (k-means++, whitened)."""
    modes = place(evidence, single, answering=answering, covariance=False).mean  # (p, u)
    if len(modes) < groups:
        message = f"groups: expected at most one per person, got {groups} for {len(modes)} people"
        raise InputError(message)
    points = np.linalg.solve(np.linalg.cholesky(single.covariance), modes.T).T
    rng = np.random.default_rng(seed)
    centres = points[rng.integers(len(points), size=1)]
    for _ in range(groups - 1):
        distance = ((points[:, None] - centres) ** 2).sum(-1).min(1) + 1e-12
        chosen = rng.choice(len(points), p=distance / distance.sum())
        centres = np.concatenate([centres, points[chosen][None]])
    for _ in range(30):
        nearest = ((points[:, None] - centres) ** 2).sum(-1).argmin(1)
        centres = np.stack([
            points[nearest == g].mean(0) if np.any(nearest == g) else centres[g]
            for g in range(groups)
        ])  # fmt: skip
    counts = np.bincount(nearest, minlength=groups) + 1.0
    means = np.stack([
        modes[nearest == g].mean(0) if np.any(nearest == g) else single.mean for g in range(groups)
    ])  # fmt: skip
    return GaussianPrior(
        counts / counts.sum(), means, np.repeat(single.covariances, groups, axis=0)
    )
