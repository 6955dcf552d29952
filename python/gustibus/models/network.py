"""The small feed-forward projector that families share, evaluated in numpy.

`models/torch_network.py` holds its trainable twin, which exports to this form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gustibus.errors import InputError

ACTIVATIONS = ("relu", "gelu", "leaky_relu")
LEAK = 0.2
"""Slope of `leaky_relu` below zero."""


@dataclass(frozen=True, slots=True)
class Network:
    """`x -> x W0 + b0 -> activation -> ... -> x Wn + bn`, plus x when `residual`.

    Attributes:
        weights: matrices `(in, out)`; none at all makes the identity.
        biases: vectors `(out,)`, one a matrix.
        activation: `relu`, `leaky_relu`, or `gelu` in its tanh form.
        residual: add the input to the output; needs equal dimensions.
    """

    weights: tuple[NDArray[Any], ...]
    biases: tuple[NDArray[Any], ...]
    activation: str = "relu"
    residual: bool = False

    def __call__(self, x: NDArray[Any]) -> NDArray[Any]:
        """`(*b, in)` -> `(*b, out)`, in the precision of `x`."""
        hidden = x
        last = len(self.weights) - 1
        for depth, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            hidden = hidden @ weight.astype(x.dtype, copy=False) + bias.astype(x.dtype, copy=False)
            if depth < last:
                hidden = activate(hidden, self.activation)
        return hidden + x if self.residual and self.weights else hidden

    @property
    def parameters(self) -> int:
        """Number of trained numbers."""
        return sum(w.size + b.size for w, b in zip(self.weights, self.biases, strict=True))

    def save(self, prefix: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """JSON parameters and arrays whose names begin with `prefix`."""
        arrays = {f"{prefix}.weight.{i}": w for i, w in enumerate(self.weights)}
        arrays |= {f"{prefix}.bias.{i}": b for i, b in enumerate(self.biases)}
        params = {"layers": len(self.weights), "activation": self.activation}
        return params | {"residual": self.residual}, arrays

    @classmethod
    def load(
        cls, params: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], prefix: str
    ) -> Network:
        """Inverse of `save`."""
        layers = range(params["layers"])
        return cls(
            tuple(arrays[f"{prefix}.weight.{i}"] for i in layers),
            tuple(arrays[f"{prefix}.bias.{i}"] for i in layers),
            params["activation"],
            params["residual"],
        )


def identity() -> Network:
    """The network without layers."""
    return Network((), ())


def chain(dims: Sequence[int], *, activation: str, residual: bool) -> None:
    """Check the shape of a network before it is built.

    Raises:
        InputError: an unknown activation, or a residual between unequal dimensions.
    """
    if activation not in ACTIVATIONS:
        message = f"activation: expected one of {ACTIVATIONS}, got {activation!r}"
        raise InputError(message, where="activation")
    if residual and dims[0] != dims[-1]:
        message = f"residual: needs equal input and output dimensions, got {dims[0]} and {dims[-1]}"
        raise InputError(message, where="residual")


def activate(x: NDArray[Any], name: str) -> NDArray[Any]:
    """The activation of every number, in the precision of `x`."""
    if name == "relu":
        return np.maximum(x, 0)
    if name == "leaky_relu":
        return np.maximum(x, LEAK * x)
    inner = _ROOT * (x + 0.044715 * x * x * x)
    return np.asarray(0.5 * x * (1 + np.tanh(inner)))


def activation_slope(x: NDArray[Any], name: str) -> NDArray[Any]:
    """Derivative of `activate` at every number."""
    if name in ("relu", "leaky_relu"):
        return np.where(x > 0, 1.0, LEAK if name == "leaky_relu" else 0.0)
    level = np.tanh(_ROOT * (x + 0.044715 * x * x * x))
    bend = _ROOT * (1 + 3 * 0.044715 * x * x)
    return np.asarray(0.5 * (1 + level) + 0.5 * x * (1 - level * level) * bend)


_ROOT = 0.7978845608028654  # sqrt(2 / pi)
