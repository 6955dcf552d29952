"""How much each block of a general preference model weighs on a prompt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gustibus.errors import InputError
from gustibus.types import F32

GATES = ("none", "softmax", "softmax_root", "softmax_plain", "softplus")


@dataclass(frozen=True)
class Gate:
    """Weights at or above 0 of k blocks, from the prompt alone.

    The published forms differ by the factor k, which rescales every logit, so the form is kept with
    the model.

    Attributes:
        kind: `none` weighs every block 1; with logits `y = x W + b` of standardised prompts x of
            length h: `softmax` k softmax(y); `softmax_root` k softmax(y / sqrt(h)), as published for
            training; `softmax_plain` softmax(y), as published for serving; `softplus`
            log(1 + exp(y)) / log 2, in which the number of active blocks may grow.
        weight: `(h, k)`; h is 0 without a gate.
        bias: `(k,)`.
        center: `(h,)` mean of the training prompts.
        spread: `(h,)` their standard deviation.

    Source: Zhang et al. 2024, arXiv 2410.02197, and its published code.
    """

    kind: str
    weight: F32
    bias: F32
    center: F32
    spread: F32

    def __post_init__(self) -> None:
        """Refuse an unknown form."""
        if self.kind not in GATES:
            message = f"gate: expected one of {GATES}, got {self.kind!r}"
            raise InputError(message, where="gate")

    @classmethod
    def none(cls) -> Gate:
        """The gate that reads nothing."""
        empty = np.zeros(0, np.float32)
        return cls("none", np.zeros((0, 0), np.float32), empty, empty, empty)

    @property
    def prompt_dim(self) -> int:
        """Length h of a prompt's feature vector; 0 without a gate."""
        return len(self.center)

    def __call__(self, prompts: F32) -> F32:
        """`(n, h)` -> `(n, k)`, at or above 0."""
        x = ((prompts - self.center) / self.spread).astype(np.float64)
        logits = x @ self.weight
        if self.kind == "softmax_root":
            logits /= np.sqrt(max(self.prompt_dim, 1))
        logits = logits + self.bias
        if self.kind == "softplus":
            return (np.logaddexp(0, logits) / np.log(2)).astype(np.float32)
        weight = np.exp(logits - logits.max(axis=1, keepdims=True))
        weight /= weight.sum(axis=1, keepdims=True)
        factor = 1 if self.kind == "softmax_plain" else len(self.bias)
        return (factor * weight).astype(np.float32)

    def save(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """JSON parameters and arrays."""
        arrays = {f"gate.{n}": getattr(self, n) for n in ("weight", "bias", "center", "spread")}
        return {"kind": self.kind}, arrays

    @classmethod
    def load(cls, params: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Gate:
        """Inverse of `save`."""
        names = ("weight", "bias", "center", "spread")
        return cls(params["kind"], **{n: arrays[f"gate.{n}"] for n in names})
