"""The trainable adapter of a preference orchestrator, its experts, and its objectives."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from gustibus.models.network import Network
from gustibus.models.pro_options import ProOptions


class Batch(NamedTuple):
    """Comparisons on the device."""

    a: Tensor
    """`(n, m)` normalised rewards, or `(n, d)` features where experts are learned."""
    b: Tensor
    prompt: Tensor | None
    """`(n, h)`."""
    user: Tensor
    target: Tensor
    weight: Tensor


class Adapter(nn.Module):
    """Weights of the rewards, the scale, experts where they are learned, people's multipliers."""

    def __init__(
        self, size: int, prompt_dim: int, dim: int, people: int, options: ProOptions,
        generator: torch.Generator,
    ) -> None:  # fmt: skip
        """Without a prompt (`prompt_dim` 0) weights are constant; without experts `dim` is 0."""
        super().__init__()
        dims = [prompt_dim, *[options.width] * options.layers, size] if prompt_dim else []
        self.linears = nn.ModuleList(nn.Linear(i, o) for i, o in pairwise(dims))
        with torch.no_grad():
            linear: Any
            for linear in self.linears:
                bound = 1 / linear.in_features**0.5
                for parameter in linear.parameters():
                    parameter.uniform_(-bound, bound, generator=generator)
        self.dropout = nn.Dropout(options.dropout)
        self.softness = options.softness
        self.logits = nn.Parameter(torch.zeros(size))
        self.log_scale = nn.Parameter(torch.tensor(math.log(options.scale)))
        self.experts = nn.Parameter(torch.randn(dim, size, generator=generator) * 0.1)
        noise = 0.1 if dim else 0.0  # experts start alike: people tell them apart
        apart = options.personal and people > 1 and options.objective == "likelihood"
        rows = torch.randn(people if apart else 0, size, generator=generator)
        self.people = nn.Parameter(rows * noise)

    def log_weights(self, prompt: Tensor | None, rows: int) -> Tensor:
        """`(n, h)` -> `(n, m)` logarithms of weights on the simplex: the last axis is normalised."""
        hidden = self.logits.expand(rows, -1)
        if prompt is not None and len(self.linears):
            inner = prompt
            *between, last = self.linears
            for linear in between:
                inner = self.dropout(torch.relu(linear(inner)))
            hidden = hidden + last(inner)
        return functional.log_softmax(hidden / self.softness, dim=-1)

    def rewards(self, side: Tensor) -> Tensor:
        """`(n, m)`."""
        return side @ self.experts if self.experts.numel() else side

    def margin(self, batch: Batch, weights: Tensor) -> Tensor:
        """`(n,)` log-odds that a is preferred."""
        apart = self.rewards(batch.a - batch.b) if self.experts.numel() else batch.a - batch.b
        if len(self.people):
            weights = weights * (1 + self.people[batch.user])
        return self.log_scale.exp() * (weights * apart).sum(-1)

    def squares(self) -> Tensor:
        """Squared size of what the ridge is on."""
        total = self.experts.square().sum()
        linear: Any
        for linear in self.linears:
            total = total + linear.weight.square().sum()
        return total

    def export(self) -> Network:
        """The adapter in numpy, softness included."""
        last = len(self.linears) - 1
        weights, biases = [], []
        linear: Any
        for depth, linear in enumerate(self.linears):
            factor = 1 / self.softness if depth == last else 1.0
            weights.append((linear.weight.detach().T * factor).contiguous().cpu().numpy())
            biases.append((linear.bias.detach() * factor).cpu().numpy())
        return Network(tuple(weights), tuple(biases), "relu")


def objective_losses(
    adapter: Adapter, batch: Batch, log_weights: Tensor, objective: str, temperature: float
) -> Tensor:
    """One loss a comparison, `(n,)`.

    `likelihood`: cross-entropy of the margin. `target`: divergence of the weights from
    `softmax(rn(x, y+) / T)`, up to a constant; what an objective scores on a prompt counts as its
    importance there. `margin`: the same with `rn(x, y+) - rn(x, y-)`, which offsets of a prompt
    leave alone. Soft targets are mixtures of both answers.

    Source: arXiv 2511.10656 for the target.
    """
    if objective == "likelihood":
        z = adapter.margin(batch, log_weights.exp())
        return functional.softplus(z) - batch.target * z
    a, b = adapter.rewards(batch.a), adapter.rewards(batch.b)
    if objective == "margin":
        a, b = a - b, b - a
    won_a, won_b = (torch.softmax(side / temperature, dim=-1) for side in (a, b))
    target = batch.target[:, None]
    wanted = target * won_a + (1 - target) * won_b
    return -(wanted * log_weights).sum(-1)
