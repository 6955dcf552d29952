"""A small head that learns the mean and the variance of rewards, and ranks by what it is sure of.

Fitting needs torch; a fitted head is numpy alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from gustibus.data.arrays import number
from gustibus.errors import DimensionError, InputError
from gustibus.rewards.arrays import arrays
from gustibus.rewards.gaussian import Link, gaussian_loss, gaussian_preference

if TYPE_CHECKING:
    from gustibus.types import F64, I64

_FLOOR = 1e-6
"""Least variance, in squared log-odds."""


@dataclass(frozen=True, slots=True)
class GaussianRewards:
    """Mean and variance of rewards from features: one hidden layer, two outputs.

    Attributes:
        hidden: `(d, h)` weights into the hidden layer.
        hidden_bias: `(h,)`.
        output: `(h, 2)` weights of the mean and of what softplus turns into the variance.
        output_bias: `(2,)`.
    """

    hidden: F64
    hidden_bias: F64
    output: F64
    output_bias: F64

    def predict(self, features: Any) -> tuple[F64, F64]:
        """`(n, d)` -> mean `(n,)` in log-odds and variance `(n,)`.

        Raises:
            DimensionError: the features have another width.
            NotFiniteError: they hold NaN or infinity.
        """
        _, x = arrays(features=features)
        if x.ndim != 2 or x.shape[1] != len(self.hidden):
            message = f"features: expected shape (n, {len(self.hidden)}), got {x.shape}"
            raise DimensionError(message, where="features")
        out = np.tanh(x @ self.hidden + self.hidden_bias) @ self.output + self.output_bias
        return out[:, 0], np.logaddexp(0, out[:, 1]) + _FLOOR

    def lower_bound(self, features: Any, *, kappa: float = 1.0) -> F64:
        """`mean - kappa * standard deviation`, `(n,)`: a reward that is hardly overrated."""
        kappa = number("kappa", kappa, low=0)
        mean, variance = self.predict(features)
        return mean - kappa * np.sqrt(variance)

    def rank(self, features: Any, *, kappa: float = 1.0) -> I64:
        """Indices from the highest lower bound to the lowest; equal ones keep the lower index."""
        return np.argsort(-self.lower_bound(features, kappa=kappa), kind="stable")

    def preference(self, a: Any, b: Any, *, link: Link = "logit") -> F64:
        """Probability `(n,)` that each row of `a` is preferred to that of `b`."""
        return gaussian_preference(*self.predict(a), *self.predict(b), link)

    def save(self) -> dict[str, F64]:
        """Arrays by name, as `load` reads them."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def load(cls, saved: Mapping[str, Any]) -> Self:
        """What `save` gave."""
        return cls(*(np.asarray(saved[name], np.float64) for name in cls.__slots__))


def fit_gaussian_rewards(
    a: Any,
    b: Any,
    target: Any,
    *,
    seed: int,
    eta: float = 0.0,
    strength: float = 0.1,
    width: int = 16,
    steps: int = 400,
    rate: float = 0.01,
    decay: float = 1e-3,
) -> GaussianRewards:
    """Fit a head to comparisons with `gaussian_loss`.

    Args:
        a: `(n, d)` features of one side.
        b: `(n, d)` of the other.
        target: `(n,)` probability in `[0, 1]` that a is preferred.
        seed: of the starting weights.
        eta: entropy, in nats, below which a reward counts as too certain.
        strength: of that term.
        width: of the hidden layer.
        steps: of Adam, on all comparisons at once.
        rate: of learning.
        decay: of the weights.

    Raises:
        InputError: shapes differ, there is no comparison, or a target is outside `[0, 1]`.
    """
    import torch

    _, a, b, target = arrays(a=a, b=b, target=target)
    if a.ndim != 2 or a.shape != b.shape or target.shape != a.shape[:1] or not len(a):
        message = (
            f"a, b, target: expected (n, d), (n, d), (n,), got {a.shape}, {b.shape}, {target.shape}"
        )
        raise InputError(message, where="target")
    if target.min() < 0 or target.max() > 1:
        message = f"target: expected probabilities in [0, 1], got {target.min()} to {target.max()}"
        raise InputError(message, where="target")
    rng = np.random.default_rng(seed)
    d = a.shape[1]
    start = (rng.standard_normal((d, width)) / d**0.5, np.zeros(width),
             rng.standard_normal((width, 2)) / width**0.5, np.zeros(2))  # fmt: skip
    weights = [torch.tensor(w, dtype=torch.float64, requires_grad=True) for w in start]
    sides, aim = torch.from_numpy(np.concatenate([a, b])), torch.from_numpy(target)
    optimizer = torch.optim.AdamW(weights, lr=rate, weight_decay=decay)
    for _ in range(steps):
        hidden, hidden_bias, output, output_bias = weights
        out = torch.tanh(sides @ hidden + hidden_bias) @ output + output_bias
        variance = torch.nn.functional.softplus(out[:, 1]) + _FLOOR
        n = len(aim)
        loss = gaussian_loss(
            out[:n, 0], variance[:n], out[n:, 0], variance[n:], aim, eta, strength
        )  # fmt: skip
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return GaussianRewards(*(w.detach().numpy() for w in weights))
