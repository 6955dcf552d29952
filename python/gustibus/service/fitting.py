"""Where everything that is known of a person puts them: the training answers, then the new ones."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from gustibus.models.base import PreferenceModel
from gustibus.posterior import GaussianPrior, ParticlePrior, Posterior, Prior
from gustibus.types import F32, F64

_FLOOR = 1e-9  # relative: covariances are kept in single precision and may be singular


class Answers(NamedTuple):
    """Comparisons of one person as rows of evidence."""

    a: F32
    """`(n, r)`."""
    b: F32
    """`(n, r)`."""
    target: F64
    """`(n,)` in `[0, 1]`."""
    weight: F64
    """`(n,)`."""


class Fit(NamedTuple):
    """A profile to keep."""

    mean: F64
    """`(u,)`."""
    covariance: F64
    """`(u, u)`."""
    count: int  # type: ignore[assignment]  # hides a method of tuples that nobody needs
    """Answers that it rests on, those of the training included."""


def fit_person(model: PreferenceModel, answers: Answers, before: Posterior | None) -> Fit:
    """The profile of one person.

    Args:
        model: in service.
        answers: that the service has been given.
        before: what the training answers said; None for somebody who was not in the training.
    """
    told = 0 if before is None else before.comparisons
    if len(answers.target) == 0 or model.user_dim == 0:
        known = Posterior.from_prior(model.prior) if before is None else before
        return Fit(known.mean, known.covariance, told + len(answers.target))
    a, b, target, weight = answers
    informed = model if before is None else with_before(model, before)
    placed = informed.place(a, b, target, weight=weight)[0]
    if before is not None and informed is model:
        return _multiplied(placed, before, model.prior, told + len(target))
    return Fit(placed.mean, placed.covariance, told + len(target))


def with_before(model: PreferenceModel, before: Posterior) -> PreferenceModel:
    """The model with what is known of one person as its prior.

    A family whose prior cannot be exchanged is returned as it is.
    """
    prior = _informed(model.prior, before)
    exchange: Any = getattr(model, "with_prior", None)
    if exchange is not None:
        changed: PreferenceModel = exchange(prior)
        return changed
    if is_dataclass(model) and "prior" in {field.name for field in fields(model)}:
        return replace(model, prior=prior)
    return model


def _informed(prior: Prior, before: Posterior) -> Prior:
    """A prior of the same kind that says what the posterior says."""
    spread = before.covariance
    if not spread.any():  # the model was saved without covariances: as unsure as of anybody
        spread = prior.covariance
    if isinstance(prior, ParticlePrior):
        seen = _log_density(prior.particles, before.mean, spread)
        unseen = _log_density(prior.particles, prior.mean, prior.covariance)
        return ParticlePrior(prior.particles, prior.log_weights + seen - unseen)
    return GaussianPrior.single(before.mean, _safe(spread))


def _multiplied(placed: Posterior, before: Posterior, prior: Prior, count: int) -> Fit:
    """Two posteriors under one prior as one: their product divided by the prior, as Gaussians."""
    new, old, base = (
        np.linalg.inv(_safe(one.covariance))
        for one in (placed, before, Posterior.from_prior(prior))
    )
    covariance = np.linalg.inv(new + old - base)
    pull = new @ placed.mean + old @ before.mean - base @ prior.mean
    return Fit(covariance @ pull, covariance, count)


def _log_density(points: F64, mean: F64, covariance: F64) -> F64:
    """Log density `(c,)` of a Gaussian up to a constant, also where it lies in a plane."""
    away = points - mean
    return np.asarray(-0.5 * np.einsum("cu,uv,cv->c", away, np.linalg.inv(_safe(covariance)), away))


def _safe(covariance: F64) -> F64:
    """Symmetric and positive definite."""
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    floor = max(float(values[-1]), 1e-12) * _FLOOR
    return np.asarray((vectors * np.maximum(values, floor)) @ vectors.T)
