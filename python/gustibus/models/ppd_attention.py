"""The cross-attention head in numpy: a candidate asks a person's tokens what they would say of it.

`r(e, u) = w . e + MLP(LN(lift e + XAttn(query = lift e, key and value = LN(tokens of u))))`. Without
answers the tokens are 0 and so is the attention.

Source: Dang et al. 2025, "Personalized Preference Fine-tuning of Diffusion Models",
arXiv 2501.06655, whose added attention this carries over to a reward.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from gustibus.types import F64

HEADS, HEAD_WIDTH = 4, 16
TOKEN_EPS, ITEM_EPS = 0.1, 1e-5
"""Added to variances; much of it for tokens, so that people near the population are read as such."""


@dataclass(frozen=True)
class AttentionHead:
    """Weights of the head; `(c, c)` query, `(s, c)` key and value, then two layers."""

    tokens: int
    query: F64
    key: F64
    value: F64
    up: F64
    up_bias: F64
    down: F64

    @property
    def lifted_dim(self) -> int:
        """Length c of a lifted candidate."""
        return len(self.query)

    def __call__(self, users: F64, lifted: F64) -> F64:
        """`(*b, M)` and `(*b, c)`, broadcast against each other -> `(*b)`."""
        split = users.reshape(*users.shape[:-1], self.tokens, len(self.key))
        tokens = _layer_norm(split, TOKEN_EPS)  # (*b, t, s)
        q = _heads(lifted @ self.query)  # (*b, h, c / h)
        k, v = _heads(tokens @ self.key), _heads(tokens @ self.value)  # (*b, t, h, c / h)
        logits = np.einsum("...hc,...thc->...ht", q, k) / HEAD_WIDTH**0.5
        share = np.exp(logits - logits.max(-1, keepdims=True))
        share /= share.sum(-1, keepdims=True)
        seen = np.einsum("...ht,...thc->...hc", share, v)
        inner = _layer_norm(lifted + seen.reshape(*seen.shape[:-2], HEADS * HEAD_WIDTH), ITEM_EPS)
        return np.asarray(np.tanh(inner @ self.up + self.up_bias) @ self.down)

    def save(self) -> dict[str, np.ndarray]:
        """Named arrays; the number of tokens is the model's to keep."""
        return {
            f"attention.{f.name}": getattr(self, f.name) for f in fields(self) if f.name != "tokens"
        }

    @classmethod
    def load(cls, tokens: int, arrays: Mapping[str, np.ndarray]) -> AttentionHead:
        """Inverse of `save`."""
        names = [f.name for f in fields(cls) if f.name != "tokens"]
        return cls(tokens, *(arrays[f"attention.{name}"] for name in names))


def _heads(x: F64) -> F64:
    return x.reshape(*x.shape[:-1], HEADS, HEAD_WIDTH)


def _layer_norm(x: F64, eps: float) -> F64:
    away = x - x.mean(-1, keepdims=True)
    return np.asarray(away / np.sqrt((away**2).mean(-1, keepdims=True) + eps))
