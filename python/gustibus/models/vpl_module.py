"""The trainable twin of VPL, the episodes it learns from, and its loss."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from gustibus.models.base import TrainingSet
from gustibus.models.network import Network
from gustibus.models.torch_network import activate
from gustibus.models.vpl import Encoder
from gustibus.models.vpl_options import VplOptions


class Episodes(NamedTuple):
    """For each of b people, comparisons that are the context and others to foretell."""

    context: Tensor
    """`(b, n)` rows."""
    told: Tensor
    """`(b, n)` weights of the context, 0 where there is none."""
    query: Tensor
    """`(b, q)` rows."""
    asked: Tensor
    """`(b, q)` weights of the queries."""


class Stack(nn.Module):
    """Linear layers with activations between."""

    def __init__(self, dims: Sequence[int], activation: str) -> None:
        super().__init__()
        self.linears = nn.ModuleList(nn.Linear(i, o) for i, o in pairwise(dims))
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """`(*b, in)` -> `(*b, out)`."""
        for depth, linear in enumerate(self.linears):
            x = linear(x if depth == 0 else activate(x, self.activation))
        return x

    def export(self) -> Network:
        """The same function in numpy."""
        layers = [
            (linear.weight.detach().cpu().numpy().T.copy(), linear.bias.detach().cpu().numpy())
            for linear in self.linears
            if isinstance(linear, nn.Linear)
        ]
        weights, biases = zip(*layers, strict=True)
        return Network(weights, tuple(b.copy() for b in biases), self.activation)


class Machine(nn.Module):
    """Encoder and decoder."""

    def __init__(self, dim: int, options: VplOptions) -> None:
        super().__init__()
        o, size, name = options, options.latent, options.activation
        self.options = o
        self.pair = Stack((2 * dim, o.hidden, o.hidden, size), name)
        self.attention = nn.Parameter(torch.empty(3, size, size))
        self.mean, self.spread = Stack((size, size), name), Stack((size, size), name)
        self.decoder = Stack((dim + size, o.hidden, o.hidden, 1), name)
        for matrix in self.attention.data:
            nn.init.xavier_uniform_(matrix)
        with torch.no_grad():
            head = self.decoder.linears[-1].weight
            assert isinstance(head, Tensor), "the weight of a linear layer"
            head *= o.head_scale
            quiet = self.spread.linears[
                -1
            ].bias  # the middle of the range: little noise to drown in
            assert isinstance(quiet, Tensor), "the bias of a linear layer"
            quiet += (o.low + 1) / 2

    def encode(self, a: Tensor, b: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance `(b, L)` of preferred and other items `(b, n, r)`, by share `(b, n)`.

        Without any share both are 0.
        """
        token = self.pair(torch.cat([a, b], -1))  # (b, n, L)
        query, key, value = (token @ m for m in self.attention)
        score = query @ key.mT / math.sqrt(token.shape[-1])
        empty = share.sum(-1, keepdim=True) == 0  # (b, 1)
        weight = torch.where(empty, torch.ones_like(share), share)
        score = score + weight.log()[:, None]  # log 0 leaves a place out
        seen = score.softmax(-1) @ value  # (b, n, L)
        pooled = (weight[..., None] * seen).sum(1) / weight.sum(-1, keepdim=True)
        mean = self.mean(pooled).clamp(-1, 1)
        spread = self.spread(pooled).clamp(self.options.low, 1)
        return mean.masked_fill(empty, 0.0), spread.masked_fill(empty, 0.0)

    def reward(self, items: Tensor, z: Tensor) -> Tensor:
        """`(b, q, r)` items for latent vectors `(b, L)` -> `(b, q)`."""
        wide = z[:, None].expand(-1, items.shape[1], -1)
        out: Tensor = self.decoder(torch.cat([items, wide], -1))[..., 0]
        return out

    def export(self) -> tuple[Encoder, Network]:
        """The same functions in numpy."""
        encoder = Encoder(
            self.pair.export(), self.attention.detach().cpu().numpy().copy(), self.mean.export(),
            self.spread.export(), self.options.low,
        )  # fmt: skip
        return encoder, self.decoder.export()


class Rows(NamedTuple):
    """A training set on the device, in the coordinates of the fit."""

    items: Tensor
    a: Tensor
    b: Tensor
    target: Tensor
    weight: Tensor

    @classmethod
    def of(cls, train: TrainingSet, items: Tensor) -> Rows:
        """The columns of a training set beside its items."""
        device = items.device
        a, b = (torch.as_tensor(side, device=device).long() for side in (train.a, train.b))
        target = torch.as_tensor(train.target, device=device)
        return cls(items, a, b, target, torch.as_tensor(train.weight, device=device))


def episode_loss(
    machine: Machine, rows: Rows, episodes: Episodes, beta: float, generator: torch.Generator
) -> Tensor:
    """Log loss of the queries, divergence of the posterior from N(0, I), and the swap loss.

    A context row counts as `a` preferred with its target and as `b` preferred with the rest.
    """
    o = machine.options
    a, b = rows.items[rows.a[episodes.context]], rows.items[rows.b[episodes.context]]
    target, told = rows.target[episodes.context], episodes.told
    both = torch.cat([a, b], 1), torch.cat([b, a], 1)
    share = torch.cat([told * target, told * (1 - target)], 1)
    mean, spread = machine.encode(*both, share)
    noise = torch.randn(mean.shape, generator=generator).to(mean.device)
    empty = told.sum(-1, keepdim=True) == 0
    z = mean + (spread / 2).exp() * noise.masked_fill(empty, 0.0)
    if o.rescale != "never":
        z = z * math.sqrt(o.latent) / z.norm(dim=-1, keepdim=True).clamp_min(1e-9)
    first, second = (rows.items[side[episodes.query]] for side in (rows.a, rows.b))
    margin = machine.reward(first, z) - machine.reward(second, z)  # (b, q)
    each = softplus(margin) - rows.target[episodes.query] * margin
    loss = (each * episodes.asked).sum() / episodes.asked.sum().clamp_min(1e-9)
    divergence = -0.5 * (1 + spread - mean.square() - spread.exp()).sum(-1)
    loss = loss + beta * divergence.masked_fill(empty[:, 0], 0.0).mean()
    if o.swap:
        mean_back, spread_back = machine.encode(both[1], both[0], share)
        turned = 0.5 * (1 + nn.functional.cosine_similarity(mean, mean_back, dim=-1))
        kept = 0.5 * (1 - nn.functional.cosine_similarity(spread, spread_back, dim=-1))
        loss = loss + o.swap * (turned + o.swap_eta * kept).masked_fill(empty[:, 0], 0.0).mean()
    return loss


class Drawer:
    """Draws episodes: people uniformly, their contexts without replacement, other rows as queries."""

    def __init__(self, train: TrainingSet, options: VplOptions, seed: int) -> None:
        self.options, self.rng, self.train = options, np.random.default_rng(seed), train
        order = np.argsort(train.user, kind="stable")
        counts = np.bincount(train.user, minlength=train.people)
        self.order, self.first = order, np.cumsum(counts) - counts
        self.counts = counts
        self.people = np.flatnonzero(counts > 1)

    def draw(self, device: torch.device) -> Episodes:
        """One batch; a query that shares an item with the context weighs nothing."""
        o, rng = self.options, self.rng
        people = rng.choice(self.people, o.batch)
        most = min(o.context, int(self.counts[people].max()) - 1)
        context = np.zeros((o.batch, most), np.int64)
        told = np.zeros((o.batch, most), np.float32)
        query = np.zeros((o.batch, o.queries), np.int64)
        asked = np.zeros((o.batch, o.queries), np.float32)
        for i, person in enumerate(people):
            count = int(self.counts[person])
            rows = self.order[self.first[person] + rng.permutation(count)]
            high = min(most, count - 1)
            n = int(rng.integers(min(o.least_context, high), high + 1))
            if rng.random() < o.empty:
                n = 0
            context[i, :n], told[i, :n] = rows[:n], self.train.weight[rows[:n]]
            rest = rows[n : n + o.queries]
            query[i, : len(rest)], asked[i, : len(rest)] = rest, self.train.weight[rest]
            known = np.concatenate([self.train.a[rows[:n]], self.train.b[rows[:n]]])
            shared = np.isin(self.train.a[rest], known) | np.isin(self.train.b[rest], known)
            asked[i, : len(rest)][shared] = 0.0
        return Episodes(*(torch.as_tensor(x, device=device) for x in (context, told, query, asked)))
