"""Predicted answers, and what a question is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gustibus import _core
from gustibus.posterior.arrays import floats, mixture
from gustibus.posterior.priors import USUAL, Answering

if TYPE_CHECKING:
    from gustibus.posterior.beliefs import Posterior
    from gustibus.types import F64, I64

QUESTION_RULES = ("d_opt", "information", "eubo")
"""Names that [`acquire`][gustibus.posterior.acquire] knows."""


def predict(
    mean: F64, variance: F64, *, answering: Answering = USUAL, weights: F64 | None = None
) -> F64:
    """Probability that left is preferred, averaged over Gaussian margins, within 1e-7.

    Args:
        mean: `(n,)`, or `(g, n)` for a mixture.
        variance: Of the shape of `mean`, at or above 0.
        answering: How answers arise from margins.
        weights: `(g,)`, for a mixture.
    """
    return _predict(mean, variance, answering, weights, of_tie=False)


def predict_tie(
    mean: F64, variance: F64, *, answering: Answering = USUAL, weights: F64 | None = None
) -> F64:
    """Probability of a tie, averaged likewise; 0 when `answering` has none."""
    return _predict(mean, variance, answering, weights, of_tie=True)


def acquire(
    rule: str,
    delta: F64,
    posterior: Posterior,
    *,
    offset: F64 | None = None,
    base: F64 | None = None,
    answering: Answering = USUAL,
    threads: int | None = None,
) -> F64:
    """Value `(m,)` of asking each of `m` pairs; larger is better.

    `d_opt` is `log(1 + a v) / 2`, `information` the mutual information of answer and user vector in
    nats (`bald` is the same), `eubo` the expected utility of the better response.

    Args:
        rule: One of `QUESTION_RULES`.
        delta: `(m, k)`, left minus right.
        posterior: What is known of the person; covariances may be singular.
        offset: `(m,)`, part of the margin that is the same for everybody.
        base: `(m,)`, for `eubo` the expected utility of the right response.
        answering: How answers arise from margins.
        threads: Number of threads; every core by default.

    Source: Chaloner and Verdinelli 1995; Houlsby et al. 2011; Lin et al. 2022.
    """
    delta = floats("delta", delta)
    return _core.acquire(
        rule, delta, np.zeros(len(delta)) if offset is None else floats("offset", offset),
        None if base is None else floats("base", base),
        mixture(posterior.weights, posterior.means, posterior.covariances),
        answering.lapse, answering.tie, threads,
    )  # fmt: skip


def target_gain(
    delta: F64,
    posterior: Posterior,
    moments: F64,
    *,
    offset: F64 | None = None,
    answering: Answering = USUAL,
    threads: int | None = None,
) -> F64:
    """What an answer about each of `m` pairs takes from the mean variance of target margins, `(m,)`.

    `a d' S M S d / (1 + a v)`, averaged over groups; at or above 0, in squared log-odds.

    Args:
        delta: `(m, k)`, left minus right.
        posterior: What is known of the person; covariances may be singular.
        moments: `(k, k)`, the mean of `t t'` over how the margins of targets change with the user vector.
        offset: `(m,)`, part of the margin that is the same for everybody.
        answering: How answers arise from margins.
        threads: Number of threads; every core by default.

    Source: Yu, Bi and Tresp 2006.
    """
    delta = floats("delta", delta)
    return _core.target_gain(
        delta, np.zeros(len(delta)) if offset is None else floats("offset", offset),
        floats("moments", moments),
        mixture(posterior.weights, posterior.means, posterior.covariances),
        answering.lapse, answering.tie, threads,
    )  # fmt: skip


def acquire_batch(
    delta: F64,
    posterior: Posterior,
    count: int,
    *,
    offset: F64 | None = None,
    answering: Answering = USUAL,
) -> I64:
    """Indices `(count,)` of pairs to ask together, best first: greedy by `d_opt`."""
    delta = floats("delta", delta)
    return _core.acquire_batch(
        delta, np.zeros(len(delta)) if offset is None else floats("offset", offset),
        mixture(posterior.weights, posterior.means, posterior.covariances),
        count, answering.lapse, answering.tie,
    )  # fmt: skip


def _predict(
    mean: F64, variance: F64, answering: Answering, weights: F64 | None, *, of_tie: bool
) -> F64:
    mean, variance = (
        np.atleast_2d(floats("mean", mean)),
        np.atleast_2d(floats("variance", variance)),
    )
    weights = np.ones(1) if weights is None else floats("weights", weights)
    return _core.predict(mean, variance, weights, answering.lapse, answering.tie, of_tie)
