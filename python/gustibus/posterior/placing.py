"""Posteriors of people: Gaussian, on a simplex, and by candidates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gustibus import _core
from gustibus.errors import InputError
from gustibus.posterior.arrays import floats, softmax
from gustibus.posterior.beliefs import Evidence, Posterior, Posteriors
from gustibus.posterior.priors import USUAL, Answering, GaussianPrior, ParticlePrior

if TYPE_CHECKING:
    from gustibus.types import F64


def place(
    evidence: Evidence,
    prior: GaussianPrior,
    *,
    answering: Answering = USUAL,
    method: str = "laplace",
    max_iter: int = 50,
    tolerance: float = 1e-9,
    covariance: bool = True,
    threads: int | None = None,
) -> Posteriors:
    """Gaussian posteriors of people under a mixture of Gaussians.

    Args:
        evidence: Rows of one or many people; a person without rows gets the prior exactly.
        prior: Mixture over user vectors.
        answering: How answers arise from margins.
        method: `laplace`, or `variational`: the Gaussian nearest in relative entropy, whose
            predictions are several times closer to the exact posterior's, at several times the cost.
        max_iter: Most Newton steps.
        tolerance: Length of the remaining step, in posterior standard deviations.
        covariance: Whether to compute covariances.
        threads: Number of threads; every core by default.

    Raises:
        InputError: An argument is of another kind or shape, not finite or out of its range.

    Examples:
        Three answers, the last one a tie, about a person with two unknowns.

        >>> rows = np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
        >>> evidence = Evidence.build(rows, np.array([1.0, 1.0, 0.5]))
        >>> person = place(evidence, GaussianPrior.standard(2), answering=Answering(lapse=0.0))[0]
        >>> person.mean.round(3).tolist()
        [0.267, 0.429]
        >>> bool((np.diag(person.covariance) < 1).all())
        True

    Source: Rasmussen and Williams 2006, section 3.4 and algorithm 3.1; Opper and Archambeau 2009.
    """
    if not isinstance(evidence, Evidence) or not isinstance(prior, GaussianPrior):
        name, wanted, got = (
            ("prior", "a GaussianPrior", prior)
            if isinstance(evidence, Evidence)
            else ("evidence", "what Evidence.build gives", evidence)
        )
        message = f"{name}: expected {wanted}, got {type(got).__name__}"
        raise InputError(message, where=name)
    if not isinstance(max_iter, int | np.integer) or max_iter < 1:
        message = f"max_iter: expected a whole number of at least 1, got {max_iter!r}"
        raise InputError(message, where="max_iter")
    out = _core.place(
        evidence.rows, evidence.starts, prior.factored,
        method, answering.lapse, answering.tie, max_iter, tolerance, covariance, threads,
    )  # fmt: skip
    return Posteriors(*out, np.diff(evidence.starts))


def place_simplex(
    evidence: Evidence,
    mean: F64,
    covariance: F64,
    *,
    answering: Answering = USUAL,
    max_iter: int = 100,
    tolerance: float = 1e-9,
    threads: int | None = None,
) -> Posteriors:
    """Laplace posteriors of the logits of weights on a simplex, `z = c + delta . softmax(logits)`.

    Args:
        evidence: Rows of one or many people.
        mean: `(u,)`, prior mean of the logits.
        covariance: `(u, u)`, prior covariance of the logits, positive definite.
        answering: How answers arise from margins.
        max_iter: Most scoring steps.
        tolerance: Length of the remaining step, in posterior standard deviations.
        threads: Number of threads; every core by default.

    Returns:
        Posteriors in logits; `simplex_moments` gives mean and covariance of the weights.
    """
    prior = GaussianPrior.single(mean, covariance)
    out = _core.place_simplex(
        evidence.rows, evidence.starts, prior.factored,
        answering.lapse, answering.tie, max_iter, tolerance, True, threads,  # noqa: FBT003 - flat boundary
    )  # fmt: skip
    return Posteriors(*out, np.diff(evidence.starts))


def simplex_moments(posterior: Posterior) -> tuple[F64, F64]:
    """Mean `(u,)` and covariance `(u, u)` of `softmax(logits)` for a posterior in logits.

    Cubature with two points on each principal axis of the centred logits; exact to third order, and
    the covariance is singular along the all-ones direction, as it must be.

    Source: Arasaratnam and Haykin 2009, equation 14.
    """
    mode, spread = posterior.mean, posterior.covariance
    centre = np.eye(mode.size) - 1 / mode.size
    values, axes = np.linalg.eigh(centre @ spread @ centre)
    reach = np.sqrt(np.maximum(values[1:], 0) * (mode.size - 1))  # the first is the all-ones axis
    offsets = (axes[:, 1:] * reach).T  # (u - 1, u)
    points = np.concatenate([mode + offsets, mode - offsets]) if len(offsets) else mode[None]
    weights = np.apply_along_axis(softmax, 1, points)  # (2u - 2, u)
    mean = weights.mean(0)
    return mean, (weights - mean).T @ (weights - mean) / len(weights)


def particle_weights(
    margins: F64,
    evidence: Evidence,
    prior: ParticlePrior,
    *,
    answering: Answering = USUAL,
    threads: int | None = None,
) -> tuple[F64, F64]:
    """Posterior weight `(p, c)` of every candidate and log evidence `(p,)`.

    Args:
        margins: `(n, c)`, margin of every row under every candidate, offset included.
        evidence: Targets, weights and people of the rows; `delta` and `offset` are not used.
        prior: The candidates.
        answering: How answers arise from margins.
        threads: Number of threads; every core by default.
    """
    return _core.place_particles(
        floats("margins", margins), evidence.target, evidence.weight, evidence.starts,
        floats("log_weights", prior.log_weights), answering.lapse, answering.tie, threads,
    )  # fmt: skip


def place_particles(
    margins: F64,
    evidence: Evidence,
    prior: ParticlePrior,
    *,
    answering: Answering = USUAL,
    threads: int | None = None,
) -> Posteriors:
    """Posteriors by weighting candidates: mean and covariance of the particles, as one group.

    Arguments are those of `particle_weights`.
    """
    weights, log_evidence = particle_weights(
        margins, evidence, prior, answering=answering, threads=threads
    )
    people = len(weights)
    means = weights @ prior.particles  # (p, u)
    seconds = np.einsum("pc,cu,cv->puv", weights, prior.particles, prior.particles, optimize=True)
    covariances = seconds - means[:, :, None] * means[:, None, :]
    silent = np.diff(evidence.starts) == 0  # exactly the prior, not the prior up to rounding
    means[silent], covariances[silent] = prior.mean, prior.covariance
    return Posteriors(
        np.ones((people, 1)), means[:, None], covariances[:, None], log_evidence,
        np.zeros(people), np.zeros(people, np.int64), np.ones(people, np.bool_),
        np.diff(evidence.starts),
    )  # fmt: skip
