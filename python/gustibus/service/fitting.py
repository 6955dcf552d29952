"""Where everything that is known of a person puts them: the training answers, then the new ones."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from gustibus.data.strengths import Strengths
from gustibus.models.base import PreferenceModel
from gustibus.onboarding.doubt import CARELESS, carelessness, doubt
from gustibus.onboarding.information import effective_each
from gustibus.posterior import GaussianPrior, ParticlePrior, Posterior, Prior
from gustibus.service.clipping import clipped
from gustibus.store import EvidenceRows
from gustibus.types import F32, F64

_DOUBTED = 5  # answers from which they can look like a coin's; one that surprises is only that
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


def answers_of(rows: EvidenceRows, strengths: Strengths | None) -> Answers:
    """Answers as they count for a model.

    Args:
        rows: of one person.
        strengths: the model's rule; None where all strengths count alike.
    """
    return Answers(rows.a, rows.b, rows.target, counted(rows.weight, rows.strength, strengths))


def counted(weight: F64, strength: F64, strengths: Strengths | None) -> F64:
    """`(n,)` weights of answers with strengths `(n,)`, NaN where none was said, under a model's rule."""
    return weight if strengths is None else weight * strengths.weights(strength)


class Fit(NamedTuple):
    """A profile to keep."""

    mean: F64
    """`(u,)`."""
    covariance: F64
    """`(u, u)`."""
    count: int  # type: ignore[assignment]  # hides a method of tuples that nobody needs
    """Answers that it rests on, those of the training included."""
    careless: float = 0.0
    """Probability that the answers were given at random, as they alone tell; 0 without any."""


def fit_person(
    model: PreferenceModel,
    answers: Answers,
    before: Posterior | None,
    *,
    careless: float = CARELESS,
) -> Fit:
    """The profile of one person: what their answers say, as far as it is to be believed.

    Where something else tells of answers at random, those that look like a coin's draw it less far from
    where the person was before; the profile of anybody else is the library's. None is drawn out of the
    region where people are.

    Args:
        model: in service.
        answers: that the service has been given.
        before: what the training answers said; None for somebody who was not in the training.
        careless: probability that the person answers at random, before the answers are looked at; the
            usual one doubts nothing, as it would cost people with a taste 0.1 to 0.4 points.
    """
    told = 0 if before is None else before.comparisons
    if len(answers.target) == 0 or model.user_dim == 0:
        known = Posterior.from_prior(model.prior) if before is None else before
        return Fit(known.mean, known.covariance, told + len(answers.target))
    a, b, target, weight = answers
    informed = model if before is None else with_before(model, before)
    placed = informed.place(a, b, target, weight=weight)[0]
    count, counted_as = told + len(target), float(weight.sum())
    fit = Fit(placed.mean, placed.covariance, count)
    if before is not None and informed is model:
        fit = _multiplied(placed, before, model.prior, count)
    share = 0.0
    if careless > CARELESS and len(target) >= _DOUBTED:
        share = doubt(placed, model.answering, careless=careless, answers=counted_as)
    if share > 0.0:
        known = Posterior.from_prior(model.prior) if before is None else before
        unsure = known.covariance if known.covariance.any() else model.prior.covariance
        fit = _doubted(fit, known.mean, unsure, share)
    random = 0.0
    if np.isfinite(placed.log_evidence):
        random = carelessness(placed, model.answering, answers=counted_as)
    return fit._replace(mean=clipped(model.prior, fit.mean), careless=random)


def _doubted(fit: Fit, before: F64, unsure: F64, share: float) -> Fit:
    """A fit mixed with what was known before the answers, by the share of them that is not believed.

    Args:
        fit: by the answers.
        before: `(u,)` mean without them.
        unsure: `(u, u)` covariance without them.
        share: from 0 to 1.
    """
    away, kept = fit.mean - before, 1.0 - share
    spread = kept * fit.covariance + share * unsure + kept * share * np.outer(away, away)
    return fit._replace(mean=before + kept * away, covariance=spread)


def agreement(model: PreferenceModel, answers: Answers, fit: Fit) -> float | None:
    """Share of a person's answers that their profile agrees with; None where none decides anything."""
    decided = answers.target != 0.5
    if not decided.any() or model.user_dim == 0:
        return None
    margin, _ = model.contrast(fit.mean, answers.a[decided], answers.b[decided])
    return float(((margin > 0) == (answers.target[decided] > 0.5)).mean())


def worth_of(model: PreferenceModel, posterior: Posterior, answers: Answers) -> float:
    """How many answers at even odds a person's are worth, each by the weight that it counts with.

    Args:
        model: in service.
        posterior: of the person.
        answers: theirs.
    """
    if len(answers.target) == 0 or model.user_dim == 0:
        return 0.0
    margin = model.margin(posterior.mean, answers.a, answers.b)
    each = effective_each(np.asarray(margin, np.float64), model.answering)
    return float(each @ np.minimum(answers.weight, 1.0))


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
