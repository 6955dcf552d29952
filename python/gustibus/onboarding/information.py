"""What answers say about a person: per answer, after a question, and in all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gustibus.onboarding.pool import Linear
from gustibus.posterior import Answering, Posterior, Prior
from gustibus.posterior import target_gain as gain
from gustibus.types import F64


def answer_information(margin: F64, answering: Answering) -> F64:
    """Fisher information of one answer about the margin, `sum over outcomes of P'^2 / P`.

    Args:
        margin: `(*b)`, in log-odds.
        answering: lapses and ties; without either the value is `p (1 - p)`.

    Returns:
        `(*b)`, from 0 to 0.25 without ties.

    Source: Rao and Kupper 1967 for ties.
    """
    z = np.asarray(margin, np.float64)
    keep, tie = 1.0 - answering.lapse, answering.tie
    near, far = _logistic(z - tie), _logistic(-z - tie)
    near_, far_ = _logistic(tie - z), _logistic(tie + z)  # one minus the above, with all digits
    slope_a, slope_b = keep * near * near_, keep * far * far_
    total = _ratio(slope_a, 0.5 * answering.lapse + keep * near)
    total += _ratio(slope_b, 0.5 * answering.lapse + keep * far)
    if tie > 0.0:
        total += _ratio(slope_a - slope_b, -np.expm1(-2.0 * tie) * keep * near_ * far_)
    return total


def margin_variance(delta: F64, covariance: F64) -> F64:
    """Variance of margins: `(m, u)`, `(u, u)` -> `(m,)`, at or above 0."""
    return np.asarray(np.maximum(((delta @ covariance) * delta).sum(axis=1), 0.0), np.float64)


def after_answers(posterior: Posterior, delta: F64, information: F64) -> Posterior:
    """The posterior with its covariances as they are expected after one more answer.

    `S - a S d d' S / (1 + a v)` in every group; means stay where they are.

    Args:
        posterior: of one person, `g` groups.
        delta: `(u,)` of the question.
        information: `(g,)` of an answer at each group's mean.
    """
    reach = posterior.covariances @ delta  # (g, u)
    variance = np.maximum(reach @ delta, 0.0)  # (g,)
    shrink = information / (1.0 + information * variance)
    update = shrink[:, None, None] * reach[:, :, None] * reach[:, None, :]
    return replace(posterior, covariances=posterior.covariances - update)


def target_gain(line: Linear, posterior: Posterior, *, targets: F64, answering: Answering) -> F64:
    """What an answer about each pair takes from the mean variance of target margins, groups averaged.

    `a mean_j (t_j' S d)^2 / (1 + a v)`, through the second moments of the targets: however many they
    are, a pair costs two quadratic forms.

    Args:
        line: of `m` pairs.
        posterior: of one person, `g` groups.
        targets: `(t, u)` how the margins of the targets change with the user vector; none bring nothing.
        answering: lapses and ties.

    Returns:
        `(m,)` at or above 0, in squared log-odds.

    Source: Yu, Bi and Tresp 2006.
    """
    delta, offset = line
    moments = targets.T @ targets / max(len(targets), 1)  # (u, u)
    return gain(delta, posterior, moments, offset=offset, answering=answering)


def information_gained(prior: Prior, posterior: Posterior) -> float:
    """Nats learned about a person: `log(det prior / det posterior) / 2`.

    Both are taken as one Gaussian with the mixture's covariance, in the directions in which the
    prior has any variance (weights over prototypes sum to one, which leaves a direction without).
    """
    before, after = Posterior.from_prior(prior).covariance, posterior.covariance
    values, vectors = np.linalg.eigh(before)
    open_ = values > 1e-10 * max(float(values.max(initial=0.0)), 1e-300)
    if not open_.any():
        return 0.0
    root = vectors[:, open_] / np.sqrt(values[open_])  # whitens the prior
    ratio = np.linalg.eigvalsh(root.T @ after @ root)
    return float(-0.5 * np.log(np.maximum(ratio, 1e-12)).sum())


def effective_answers(line: Linear, posterior: Posterior, answering: Answering) -> float:
    """How many ideal answers the given ones are worth: the sum of `a(z) / max a`.

    An answer to a question whose outcome was certain counts 0, one at even odds counts 1.

    Args:
        line: the answered questions, `(s, u)` and `(s,)`.
        posterior: of the person who answered.
        answering: lapses and ties.
    """
    return float(effective_each(line.offset + line.delta @ posterior.mean, answering).sum())


def effective_each(margin: F64, answering: Answering) -> F64:
    """What part of an ideal answer each given one is worth: `a(z) / max a`, `(n,)`.

    Args:
        margin: `(n,)` of the answered questions under the person who answered.
        answering: lapses and ties.
    """
    best = float(answer_information(np.linspace(0.0, answering.tie + 2.0, 64), answering).max())
    return answer_information(margin, answering) / best


def _ratio(slope: F64, probability: F64) -> F64:
    """`slope^2 / probability`, which vanishes where both do."""
    safe = np.maximum(probability, 1e-300)
    return np.asarray(slope * (slope / safe), np.float64)


def _logistic(z: F64) -> F64:
    """Logistic function without overflow."""
    small = np.exp(-np.abs(z))
    return np.asarray(np.where(z >= 0, 1.0, small) / (1.0 + small), np.float64)
