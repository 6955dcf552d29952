"""Placing a new person as LoRe's public code does, kept for comparison with the posterior."""

from __future__ import annotations

import zlib
from itertools import pairwise

import numpy as np

from gustibus.models.mixtures import softmax, sums_by_person
from gustibus.posterior import Evidence, GaussianPrior, Posteriors
from gustibus.types import F64


def onboarded(
    evidence: Evidence, prior: GaussianPrior, *, steps: int, lr: float, seed: int
) -> Posteriors:
    """Weights `(p, k)` by Adam on the mean log loss of each person, from logits N(0, I).

    The start is drawn from the seed and the person's own answers, so that it does not depend on who
    else is placed. Nothing says how sure the weights are: covariances are zero. People without rows
    have the prior.

    Source: Bose et al. 2025, arXiv 2504.14439, public code: full batch, learning rate 0.1, 500
    steps.
    """
    delta, offset, target, weight = evidence.rows
    counts = np.diff(evidence.starts)
    people, k = len(counts), delta.shape[1]
    person = np.repeat(np.arange(people), counts)
    logits = _starts(evidence, k, seed)
    total = np.maximum(np.bincount(person, weight, people), 1e-12)
    moment, second = np.zeros_like(logits), np.zeros_like(logits)
    for step in range(1, steps + 1):
        w = softmax(logits)
        z = offset + (delta * w[person]).sum(1)
        pull = weight * (1 / (1 + np.exp(-np.clip(z, -500, 500))) - target)
        slope = sums_by_person(delta * pull[:, None], evidence) / total[:, None]
        gradient = w * (slope - (slope * w).sum(1, keepdims=True))
        moment += 0.1 * (gradient - moment)
        second += 0.001 * (gradient**2 - second)
        scale = np.sqrt(second / (1 - 0.999**step)) + 1e-8
        logits -= lr * moment / (1 - 0.9**step) / scale
    mean, covariance = softmax(logits), np.zeros((people, k, k))
    mean[counts == 0], covariance[counts == 0] = prior.mean, prior.covariance
    w = mean[person]
    each = -np.logaddexp(0, (1 - 2 * target) * (offset + (delta * w).sum(1)))
    return Posteriors(
        np.ones((people, 1)), mean[:, None], covariance[:, None],
        np.asarray(np.bincount(person, weight * each, people), np.float64), np.zeros(people),
        np.full(people, steps, np.int64), np.ones(people, np.bool_), counts,
    )  # fmt: skip


def _starts(evidence: Evidence, k: int, seed: int) -> F64:
    """`(p, k)` logits from N(0, I), one stream for what each person answered.

    In whatever order, on whichever side and how often it was answered: rows are signed, rounded, and
    taken once in their own order.
    """
    delta, _, target, weight = evidence.rows
    signed = (delta * (2 * target - 1)[:, None] + 0.0).astype(np.float32)  # no -0: same bytes
    logits = np.zeros((evidence.people, k))
    for person, (start, stop) in enumerate(pairwise(evidence.starts)):
        told = np.unique(signed[start:stop][weight[start:stop] > 0], axis=0)
        stream = np.random.default_rng([seed, zlib.crc32(told.tobytes())])
        logits[person] = stream.standard_normal(k)
    return logits
