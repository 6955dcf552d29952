"""Rewards that are known with an error: preferences and losses of Gaussian rewards.

A response has a reward `N(m, v)`, a pair the difference `N(m1 - m2, v1 + v2)`. Every function takes
and returns numpy arrays or torch tensors; the latter carry gradients.

Source: Liu et al. 2024, PEARL, arXiv 2306.03615, robust reward learning.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from gustibus.data.arrays import number
from gustibus.errors import InputError
from gustibus.methods import method
from gustibus.posterior import Answering, predict
from gustibus.rewards.arrays import arrays, log_sigmoid, sigmoid

Link = Literal["probit", "logit"]

_PAPER = "Liu et al. 2024, PEARL, arXiv 2306.03615, section on robust reward learning"
_NUMBERS = "tests/unit/test_rewards_gaussian.py::test_worked_numbers"
_NODES, _WEIGHTS = np.polynomial.hermite.hermgauss(32)
_LOG_WEIGHTS = np.log(_WEIGHTS / math.sqrt(math.pi))
_EXACT = Answering(lapse=0.0)
_erfc = np.vectorize(math.erfc, otypes=[np.float64])


@method(
    "OPS",
    source=_PAPER,
    purpose="chance that one response is preferred to another when rewards are uncertain",
    check=_NUMBERS,
    example="ops.gaussian_preference(m1=1, v1=0.5, m2=0, v2=0.5, link='probit')",
)
def gaussian_preference(m1: Any, v1: Any, m2: Any, v2: Any, link: Link = "probit") -> Any:
    """Probability that response 1 is preferred.

    `probit`: that its reward is the higher one, `Phi((m1 - m2) / sqrt(v1 + v2))`. `logit`: the
    expected Bradley-Terry probability, by the quadrature of `gustibus.posterior.predict` for arrays
    and by 32 Gauss-Hermite nodes for tensors, within 1e-4 for variances up to 10.

    Args:
        m1: `(*b)` mean reward of response 1, in log-odds.
        v1: `(*b)` its variance, at or above 0.
        m2: `(*b)` likewise of response 2.
        v2: `(*b)`.
        link: `probit` or `logit`.

    Returns:
        `(*b)`, in `[0, 1]`.

    Raises:
        InputError: a variance is below 0, or there is no such link.
    """
    xp, delta, variance = _difference(m1, v1, m2, v2)
    if link == "probit":
        return _probit(xp, delta, variance)
    if link != "logit":
        message = f"link: expected 'probit' or 'logit', got {link!r}"
        raise InputError(message, where="link")
    if xp is np:
        delta, variance = np.broadcast_arrays(delta, variance)
        flat = predict(delta.ravel(), variance.ravel(), answering=_EXACT) if delta.size else delta
        return np.reshape(flat, delta.shape)[()]
    return xp.exp(_log_expected(xp, delta, variance))


@method(
    "OPS",
    source=f"{_PAPER}; MacKay 1992, The Evidence Framework, eq. 4.5",
    purpose="the same without quadrature, within 0.01 for variances up to 2",
    check=_NUMBERS,
    example="ops.gaussian_preference_approx(m1=1, v1=0.5, m2=0, v2=0.5)",
)
def gaussian_preference_approx(m1: Any, v1: Any, m2: Any, v2: Any) -> Any:
    """`sigma((m1 - m2) / sqrt(1 + pi (v1 + v2) / 8))`, near the `logit` link: `(*b)` -> `(*b)`."""
    xp, delta, variance = _difference(m1, v1, m2, v2)
    return sigmoid(xp, delta / (1 + math.pi * variance / 8) ** 0.5)


@method(
    "AUXILIARY",
    source=_PAPER,
    purpose="loss term that keeps predicted variances from collapsing to nothing",
    check=_NUMBERS,
    example="ops.entropy_hinge(v=[0.5, 0.01], eta=0.0)",
)
def entropy_hinge(v: Any, eta: float) -> Any:
    """`mean max(0, eta - 0.5 log(2 pi e v))`: how far entropies lie below `eta`, in nats.

    Args:
        v: `(*b)` variances, above 0.
        eta: entropy from which a reward is uncertain enough.
    """
    eta = number("eta", eta, low=-1e6, high=1e6, open_ends="()")
    xp, v = arrays(v=v)
    if not len(v.reshape(-1)):
        message = "v: expected at least one variance, got none"
        raise InputError(message, where="v")
    if not (v > 0).all():
        message = f"v: expected variances above 0, got {float(v.min())}"
        raise InputError(message, where="v")
    short = eta - 0.5 * xp.log(2 * math.pi * math.e * v)
    return xp.maximum(short, xp.zeros_like(short)).mean()


@method(
    "OPS",
    source=_PAPER,
    purpose="loss that fits Gaussian rewards to comparisons",
    check="tests/unit/test_rewards_gaussian.py::test_the_loss_is_cross_entropy_and_the_hinge",
    example="ops.gaussian_loss(m1=[1.0], v1=[0.5], m2=[0.0], v2=[0.5], target=[1.0], eta=0.0)",
)
def gaussian_loss(
    m1: Any, v1: Any, m2: Any, v2: Any, target: Any, eta: float, strength: float = 1.0
) -> Any:
    """Mean cross-entropy of the expected Bradley-Terry probability, and the entropy hinge.

    Args:
        m1: `(n,)` mean rewards of responses 1.
        v1: `(n,)` their variances, above 0.
        m2: `(n,)` likewise of responses 2.
        v2: `(n,)`.
        target: `(n,)` probability in `[0, 1]` that response 1 is preferred.
        eta: of the hinge.
        strength: of the hinge, at or above 0.

    Returns:
        One number.
    """
    strength = number("strength", strength, low=0)
    for name, given in (("m1", m1), ("v1", v1), ("m2", m2), ("v2", v2), ("target", target)):
        _, values = arrays(**{name: given})
        if not len(values.reshape(-1)):
            message = f"{name}: expected at least one number, got none"
            raise InputError(message, where=name)
    xp, delta, variance = _difference(m1, v1, m2, v2)
    xp, delta, variance, target = arrays(delta=delta, variance=variance, target=target)
    wins, loses = (_log_expected(xp, side * delta, variance) for side in (1, -1))
    entropy = entropy_hinge(v1, eta) / 2 + entropy_hinge(v2, eta) / 2
    return -(target * wins + (1 - target) * loses).mean() + strength * entropy


def _difference(m1: Any, v1: Any, m2: Any, v2: Any) -> tuple[Any, Any, Any]:
    xp, m1, v1, m2, v2 = arrays(m1=m1, v1=v1, m2=m2, v2=v2)
    for name, value in (("v1", v1), ("v2", v2)):
        if (value < 0).any():
            message = f"{name}: expected variances of at least 0, got {float(value.min())}"
            raise InputError(message, where=name)
    return xp, m1 - m2, v1 + v2


def _probit(xp: Any, delta: Any, variance: Any) -> Any:
    """`Phi(delta / sqrt(variance))`; certain rewards are compared outright."""
    certain = variance == 0
    z = delta / (variance + certain) ** 0.5
    chance = 0.5 * _erfc(-z / math.sqrt(2)) if xp is np else xp.special.ndtr(z)
    return xp.where(certain, 0.5 + 0.5 * xp.sign(delta), chance)[()]


def _log_expected(xp: Any, delta: Any, variance: Any) -> Any:
    """`log E[sigma(x)]`, x from `N(delta, variance)`, over Gauss-Hermite nodes."""
    nodes, logs = _NODES, _LOG_WEIGHTS
    if xp is not np:
        nodes, logs = (
            xp.as_tensor(x, dtype=delta.dtype, device=delta.device) for x in (nodes, logs)
        )
    # a root has no slope at 0, where the spread plays no part
    root = (2 * variance + (variance == 0) * 1e-30) ** 0.5
    terms = logs + log_sigmoid(xp, delta[..., None] + root[..., None] * nodes)
    most = xp.amax(terms, -1)
    return most + xp.log(xp.exp(terms - most[..., None]).sum(-1))
