"""Placing a new person as the PAL paper's code does, kept for comparison with the posterior.

Defects of that recipe, as measured on made populations: Adam moves a logit by about the learning rate a
step whatever the evidence says, so after few steps the random start decides.
"""

from __future__ import annotations

import numpy as np

from gustibus.models.pal import Pal
from gustibus.types import F32, F64, I64


def published_onboarding(
    model: Pal,
    a: F32,
    b: F32,
    target: F64,
    starts: I64,
    *,
    steps: int = 200,
    lr: float = 5e-3,
    seed: int = 0,
    hinge: bool = False,
) -> F64:
    """Weights `(p, K)` of new people by Adam on logits from a random start, all in one batch.

    Args:
        model: fitted model; nothing but the new people's logits moves.
        a: `(s, r)` representations, people in order.
        b: `(s, r)`.
        target: `(s,)` in `[0, 1]`.
        starts: `(p + 1,)` where each person's rows begin.
        steps: Adam steps over the full batch.
        lr: learning rate.
        seed: of the start, logits from N(0, I).
        hinge: hinge loss on the margin instead of the logistic loss.

    Source: Chen et al. 2024, arXiv 2406.08469, public code: new logits from N(0, I), AdamW, 5e-3.
    """
    people, k = len(starts) - 1, model.user_dim
    person = np.repeat(np.arange(people), np.diff(starts))
    logits = np.random.default_rng(seed).standard_normal((people, k))
    moment, second = np.zeros_like(logits), np.zeros_like(logits)
    for step in range(1, steps + 1):
        weights = _softmax(logits)
        slope = _slopes(model, weights, person, a, b, target, hinge=hinge)  # (p, K) in w
        gradient = weights * (slope - (slope * weights).sum(1, keepdims=True))
        moment += 0.1 * (gradient - moment)
        second += 0.001 * (gradient**2 - second)
        corrected = np.sqrt(second / (1 - 0.999**step)) + 1e-8
        logits -= lr * moment / (1 - 0.9**step) / corrected
    return _softmax(logits)


def _slopes(
    model: Pal, weights: F64, person: I64, a: F32, b: F32, target: F64, *, hinge: bool
) -> F64:
    """Gradient of the mean loss in the weights, by central differences of the margin."""
    k, step = weights.shape[1], 1e-5
    margin = model.margin(weights[person], a, b)
    if hinge:
        outer = (1 - target) * (margin > -1) - target * (margin < 1)
    else:
        outer = 1 / (1 + np.exp(-np.clip(margin, -500, 500))) - target
    found = np.zeros_like(weights)
    for j in range(k):
        move = np.zeros(k)
        move[j] = step
        up = model.margin((weights + move)[person], a, b)
        down = model.margin((weights - move)[person], a, b)
        np.add.at(found[:, j], person, outer * (up - down) / (2 * step))
    return found / max(len(person), 1)


def _softmax(logits: F64) -> F64:
    raised = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(raised / raised.sum(1, keepdims=True))
