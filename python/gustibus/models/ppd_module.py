"""The trainable set encoder with its heads, and the objective of an episode."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, relu, softplus

from gustibus.models.ppd_attention import (
    HEAD_WIDTH,
    HEADS,
    ITEM_EPS,
    TOKEN_EPS,
    AttentionHead,
)
from gustibus.models.ppd_encoder import SetEncoder
from gustibus.models.ppd_options import PpdOptions


class Side(NamedTuple):
    """Comparisons of an episode: rows of the item table, and what was answered."""

    a: Tensor
    """`(p, n)`."""
    b: Tensor
    target: Tensor
    weight: Tensor
    """0 where a person has fewer than n."""


class Episode(NamedTuple):
    """Support and query answers of some people."""

    support: Side
    query: Side
    present: Tensor
    """`(p,)`, 0 for people whose user vector is dropped."""


class PpdModule(nn.Module):
    """Population reward, set encoder and head over items `(m, q)`.

    What a person adds starts at zero, so that training starts from the population.
    """

    def __init__(self, dim: int, theta: Tensor, options: PpdOptions, seed: int) -> None:
        super().__init__()
        self.options = options
        generator = torch.Generator().manual_seed(seed)
        o, h = options, options.width

        def matrix(rows: int, columns: int, scale: float) -> nn.Parameter:
            return nn.Parameter(torch.randn(rows, columns, generator=generator) * scale)

        self.theta = nn.Parameter(theta.clone())
        self.first = matrix(dim, h if o.odd else 2 * h, (1 / dim) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(h))
        self.out = matrix(h, o.dim, (1 / h) ** 0.5)
        self.attends = o.head == "cross_attention"
        if self.attends:
            inner, size = HEADS * HEAD_WIDTH, o.dim // o.tokens
            self.lift = matrix(dim, inner, (1 / dim) ** 0.5)
            self.query = matrix(inner, inner, (1 / inner) ** 0.5)
            self.key = matrix(size, inner, (1 / size) ** 0.5)
            self.value = nn.Parameter(torch.zeros(size, inner))
            self.up = matrix(inner, 2 * inner, (2 / inner) ** 0.5)
            self.up_bias = nn.Parameter(torch.zeros(2 * inner))
            self.down = nn.Parameter(torch.randn(2 * inner, generator=generator) * 0.02)
        else:
            self.personal = nn.Parameter(torch.zeros(dim, o.dim))

    def encode(self, items: Tensor, support: Side) -> Tensor:
        """User vectors `(p, M)`; a person without weight is 0."""
        a, b, h = items[support.a], items[support.b], self.options.width  # (p, n, q)
        target = support.target[..., None]
        if self.options.odd:
            x = (a - b) @ self.first
            tokens = (2 * target - 1) * (self._inner(x) - self._inner(-x))  # (p, n, h)
        else:
            preferred, rejected = self.first[:, :h], self.first[:, h:]
            won = self._inner(a @ preferred + b @ rejected)
            lost = self._inner(b @ preferred + a @ rejected)
            tokens = target * won + (1 - target) * lost
        total = (support.weight[..., None] * tokens).sum(1)
        count = support.weight.sum(1, keepdim=True)
        shrunk = total / (count + self.options.shrink).clamp(min=1e-12)
        return shrunk @ self.out * (count > 0)

    def _inner(self, x: Tensor) -> Tensor:
        return relu(x + self.bias)

    def parts(self, items: Tensor, query: Side, users: Tensor) -> tuple[Tensor, Tensor]:
        """Margins `(p, n)` without the person and what the person adds."""
        a, b = items[query.a], items[query.b]
        if not self.attends:
            delta = a - b
            directions = users @ self.personal.T  # (p, q)
            return delta @ self.theta, torch.einsum("pnq,pq->pn", delta, directions)
        nobody = torch.zeros_like(users)
        common = self.reward(a, nobody) - self.reward(b, nobody)
        return common, self.reward(a, users) - self.reward(b, users) - common

    def reward(self, items: Tensor, users: Tensor) -> Tensor:
        """`(p, n, q)`, `(p, M)` -> `(p, n)` of the cross-attention head."""
        p, n, _ = items.shape
        lifted = items @ self.lift  # (p, n, c)
        tokens = users.view(p, self.options.tokens, -1)
        tokens = layer_norm(tokens, tokens.shape[-1:], eps=TOKEN_EPS)  # (p, t, s)
        q = (lifted @ self.query).view(p, n, HEADS, HEAD_WIDTH)
        k = (tokens @ self.key).view(p, -1, HEADS, HEAD_WIDTH)
        v = (tokens @ self.value).view(p, -1, HEADS, HEAD_WIDTH)
        logits = torch.einsum("pnhc,pthc->phnt", q, k) / HEAD_WIDTH**0.5
        seen = torch.einsum("phnt,pthc->pnhc", logits.softmax(-1), v).reshape(p, n, -1)
        inner = layer_norm(lifted + seen, lifted.shape[-1:], eps=ITEM_EPS)
        return items @ self.theta + torch.tanh(inner @ self.up + self.up_bias) @ self.down

    def loss(self, items: Tensor, episode: Episode) -> Tensor:
        """Mean over people of the weighted mean loss of their query answers, and the leash."""
        users = self.encode(items, episode.support) * episode.present[:, None]
        common, personal = self.parts(items, episode.query, users)
        z = common + personal
        each = softplus(z) - episode.query.target * z + self.options.leash * personal.square()
        weight = episode.query.weight
        return ((each * weight).sum(1) / weight.sum(1).clamp(min=1e-12)).mean()

    def encoder(self) -> SetEncoder:
        """The encoder in numpy, behind the first product."""
        return SetEncoder(
            double(self.bias), double(self.out), self.options.odd, self.options.shrink
        )

    def attention(self) -> AttentionHead | None:
        """The cross-attention head in numpy, behind the first product."""
        if not self.attends:
            return None
        weights = (self.query, self.key, self.value, self.up, self.up_bias, self.down)
        return AttentionHead(self.options.tokens, *(double(t) for t in weights))


def double(tensor: Tensor) -> Any:
    """A parameter as a numpy array of doubles."""
    return tensor.detach().double().cpu().numpy()
