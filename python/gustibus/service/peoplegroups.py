"""Groups of people with like tastes, as the model's prior has them, and how well each is foretold."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gustibus.evaluation.metrics import Calibration, calibration, correctness
from gustibus.models.base import PreferenceModel
from gustibus.posterior import GaussianPrior, Posterior, Prior, predict
from gustibus.service.fitting import Answers, fit_person
from gustibus.service.peoplemap import BLOCK
from gustibus.types import F32, F64, I64

BINS = 5
"""Of a calibration curve."""
_LEAST = 4  # answers of somebody whose later half is foretold from the earlier one


def shares(prior: Prior) -> F64:
    """`(g,)` share of the population that each group is, one for a prior without groups."""
    return np.asarray(prior.weights if isinstance(prior, GaussianPrior) else np.ones(1), np.float64)


def group_of(prior: Prior, means: F32 | F64) -> I64:
    """Row `(n,)` of the group that most probably holds each of `(n, u)` user vectors.

    The largest of `log share_g + log N(mean; mu_g, Sigma_g)`; the first of equal ones.
    """
    if not isinstance(prior, GaussianPrior) or len(prior.weights) == 1 or means.shape[1] == 0:
        return np.zeros(len(means), np.int64)
    lower = [np.linalg.cholesky(covariance) for covariance in prior.covariances]
    with np.errstate(divide="ignore"):
        share = np.log(prior.weights)
    found = np.empty(len(means), np.int64)
    for at in range(0, len(means), BLOCK):
        some = means[at : at + BLOCK].astype(np.float64)
        likely = np.empty((len(some), len(lower)))
        for row, half in enumerate(lower):
            away = np.linalg.solve(half, (some - prior.means[row]).T)  # (u, n)
            likely[:, row] = -0.5 * np.einsum("un,un->n", away, away) - np.log(np.diag(half)).sum()
        found[at : at + BLOCK] = np.argmax(likely + share, axis=1)
    return found


class Foretold(NamedTuple):
    """Later answers of one person, as their earlier ones foretell them."""

    probability: F64
    """`(n,)` that the side called a is preferred."""
    correct: F64
    """`(n,)` how right that was, in `[0, 1]`."""
    unknowing: F64
    """`(n,)` how right the population's reward was, which knows nothing of the person."""


def foretell(model: PreferenceModel, answers: Answers, before: Posterior | None) -> Foretold | None:
    """The later half of a person's answers, foretold from the earlier one; ties are left out.

    Args:
        model: in service.
        answers: from the first to the last.
        before: what the training answers said; None for somebody who was not in the training.

    Returns:
        None where there are too few answers.
    """
    half = len(answers.target) // 2
    if len(answers.target) < _LEAST:
        return None
    a, b, target, weight = answers
    fit = fit_person(model, Answers(a[:half], b[:half], target[:half], weight[:half]), before)
    sided = np.flatnonzero(target != 0.5)
    sided = sided[sided >= half]
    a, b, target = a[sided], b[sided], target[sided]
    if len(target) == 0:
        return None
    margin, slope = model.contrast(fit.mean, a, b)  # (n,), (n, u)
    variance = np.einsum("nu,uv,nv->n", slope, fit.covariance, slope)
    preferred = predict(margin, np.maximum(variance, 0.0), answering=model.answering)
    other = predict(-margin, np.maximum(variance, 0.0), answering=model.answering)
    return Foretold(
        np.asarray(preferred / (preferred + other), np.float64), correctness(margin, target),
        correctness(model.margin(np.asarray(model.prior.mean, np.float64), a, b), target),
    )  # fmt: skip


class Accuracy(NamedTuple):
    """How well people are foretold; everybody counts alike."""

    people: int
    answers: int
    mean: float
    stderr: float
    """Of the mean over people."""
    unknowing: float
    """Of the population's reward."""
    curve: Calibration


def accuracy(found: list[Foretold]) -> Accuracy:
    """Over at least one person."""
    each = np.array([one.correct.mean() for one in found])
    spread = float(each.std(ddof=1) / np.sqrt(len(each))) if len(each) > 1 else 0.0
    curve = calibration(
        np.concatenate([one.probability for one in found]),
        np.concatenate([one.correct for one in found]), bins=BINS,
    )  # fmt: skip
    return Accuracy(
        len(found), int(curve.rows.sum()), float(each.mean()), spread,
        float(np.mean([one.unknowing.mean() for one in found])), curve,
    )  # fmt: skip
