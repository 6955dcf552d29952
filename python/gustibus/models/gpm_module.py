"""The trainable blocks of a general preference model, and their losses."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from gustibus.models.base import TrainingSet
from gustibus.models.gpm_gate import Gate
from gustibus.models.gpm_options import GpmOptions
from gustibus.types import F32, F64

_SMALLEST_TEMPERATURE = 0.01
_FIRST_TEMPERATURE = {"hrc": 0.9, "gpm": 0.1}
"""Where one that is learned starts. Scores of unit vectors reach 1 at most, so that from above 1 the
blocks of a hybrid stay faint for all its steps."""


class Statistics(NamedTuple):
    """Frozen: centred and divided features have about unit variance."""

    center: F32
    spread: F32

    @classmethod
    def of(cls, values: F32, own: int = 0) -> Statistics:
        """From `(m, d)`.

        Args:
            values: features.
            own: last columns that are known items' own; they stay sparse, and as far from each
                other in units of the rest as they were.
        """
        d = values.shape[1] - own
        center = values.mean(0, dtype=np.float64)
        spread = values.std(0, dtype=np.float64)
        typical = float(np.sqrt((spread[:d] ** 2).mean())) if d else 0.0
        spread = np.maximum(spread, 1e-2 * typical) if typical > 0 else np.ones_like(spread)
        center[d:], spread[d:] = 0.0, typical or 1.0
        return cls(center.astype(np.float32), spread.astype(np.float32))


def used_rows(data: TrainingSet) -> tuple[F32, F32 | None]:
    """Features of the items and of the prompts that comparisons are about."""
    items = data.item_features[np.unique(np.concatenate([data.a, data.b]))]
    prompts = data.prompt_features
    return items, None if prompts is None else prompts[np.unique(data.prompt)]


class Batch(NamedTuple):
    """Comparisons on the device."""

    a: Tensor
    b: Tensor
    prompt: Tensor | None
    offset: Tensor
    """`(n,)` the part of the margin that is given."""
    target: Tensor
    weight: Tensor
    least: Tensor | None = None
    """`(n,)` log-odds by which the preferred side is to lead, where the rows say so."""


class Rows:
    """A training set on the device, features divided."""

    def __init__(
        self, data: TrainingSet, offset: F64, statistics: Statistics,
        prompts: Statistics | None, device: torch.device,
    ) -> None:  # fmt: skip
        used = np.unique(np.concatenate([data.a, data.b]))
        code = np.zeros(len(data.item_features), np.int64)
        code[used] = np.arange(len(used))
        items = (data.item_features[used] - statistics.center) / statistics.spread
        self.items = torch.as_tensor(items, device=device)
        self.codes = [torch.as_tensor(code[c], device=device) for c in (data.a, data.b)]
        self.prompts = None
        if prompts is not None and data.prompt_features is not None:
            e = (data.prompt_features - prompts.center) / prompts.spread
            self.prompts = torch.as_tensor(e, device=device)
            self.prompt = torch.as_tensor(data.prompt, device=device).long()
        self.offset = torch.as_tensor(offset, dtype=torch.float32, device=device)
        self.target = torch.as_tensor(data.target, device=device)
        self.weight = torch.as_tensor(data.weight, device=device)
        self.least = None if data.margin is None else torch.as_tensor(data.margin, device=device)

    def __len__(self) -> int:
        return len(self.target)

    def take(self, index: Tensor) -> Batch:
        """Rows by number."""
        a, b = (self.items[c[index]] for c in self.codes)
        prompt = None if self.prompts is None else self.prompts[self.prompt[index]]
        least = None if self.least is None else self.least[index]
        offset, target, weight = self.offset[index], self.target[index], self.weight[index]
        return Batch(a, b, prompt, offset, target, weight, least)


class Blocks(nn.Module):
    """Blocks, the scalar where it is learned beside them, and the gate."""

    def __init__(
        self, dim: int, prompt_dim: int, options: GpmOptions, *, size: int, gate: str,
        generator: torch.Generator,
    ) -> None:  # fmt: skip
        super().__init__()
        hybrid = options.head == "hrc"
        # v = 0 is a saddle: start beside it, and near enough for the scalar to come first
        start = 0.3 / dim**0.5 if hybrid else 0.1
        self.kind, self.unit_norm, self.size = gate, options.unit_norm, size
        self.weight = nn.Parameter(torch.randn(dim, 2 * size, generator=generator) * start)
        noise = torch.randn(2 * size, generator=generator) * 0.1
        biased = options.has_bias(gate)
        self.bias = nn.Parameter(noise if biased else torch.zeros(2 * size))
        self.bias.requires_grad_(biased)
        self.scalar = nn.Parameter(torch.zeros(dim))
        self.scalar.requires_grad_(hybrid and not options.personal)
        gated = 0 if gate == "none" else size
        self.gate_weight = nn.Parameter(torch.zeros(prompt_dim, gated))
        self.gate_bias = nn.Parameter(torch.zeros(gated))
        self.learned = options.unit_norm and options.temperature is None
        first = _FIRST_TEMPERATURE[options.head] if self.learned else options.temperature or 1.0
        # the logistic function of what is learned is the temperature, which so stays below 1
        self.heat = nn.Parameter(
            torch.tensor(math.log(first / (1 - first)) if self.learned else first)
        )
        self.heat.requires_grad_(self.learned)

    @property
    def temperature(self) -> Tensor:
        """Above 0, and below 1 where it is learned."""
        if not self.learned:
            return self.heat
        return torch.sigmoid(self.heat).clamp(min=_SMALLEST_TEMPERATURE)

    def trained(self) -> list[nn.Parameter]:
        """Parameters that the fit moves."""
        return [p for p in self.parameters() if p.requires_grad and p.numel()]

    def squares(self) -> Tensor:
        """Squared size of what the ridge is on."""
        return sum(
            (p.square().sum() for p in (self.weight, self.scalar, self.gate_weight)),
            torch.zeros((), device=self.weight.device),
        )

    def _embed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        v = x @ self.weight + self.bias
        if self.unit_norm:
            v = v / v.norm(dim=-1, keepdim=True).clamp(min=1e-12)
        return v[..., : self.size], v[..., self.size :]

    def margin(self, batch: Batch) -> Tensor:
        """`(n,)` log-odds that a is preferred."""
        (ap, aq), (bp, bq) = self._embed(batch.a), self._embed(batch.b)
        about = ap * bq - aq * bp  # (n, k)
        if self.kind != "none":
            assert batch.prompt is not None, "a gate is fitted on prompts"
            about = about * self.gate(batch.prompt)
        along = (batch.a - batch.b) @ self.scalar
        return batch.offset + along + about.sum(-1).float() / self.temperature

    def gate(self, prompts: Tensor) -> Tensor:
        """`(n, h)` -> `(n, k)`, as `Gate` has it."""
        logits = prompts @ self.gate_weight
        if self.kind == "softmax_root":
            logits = logits / prompts.shape[-1] ** 0.5
        logits = logits + self.gate_bias
        if self.kind == "softplus":
            return functional.softplus(logits) / math.log(2)
        factor = 1 if self.kind == "softmax_plain" else self.size
        return factor * torch.softmax(logits, dim=-1)

    def export_gate(self, prompts: Statistics | None) -> Gate:
        """The gate in numpy."""
        if self.kind == "none" or prompts is None or self.size == 0:
            return Gate.none()
        weight, bias = (p.detach().cpu().numpy() for p in (self.gate_weight, self.gate_bias))
        return Gate(self.kind, weight, bias, prompts.center, prompts.spread)


def losses(
    margin: Tensor, target: Tensor, kind: str, least: float, each: Tensor | None = None
) -> Tensor:
    """One loss a comparison, `(n,)`.

    Args:
        margin: `(n,)` log-odds that a is preferred.
        target: `(n,)` probability that a is preferred.
        kind: `soft`, `hard`, `margin` or `regression`, see `GpmOptions`.
        least: of the last two.
        each: `(n,)` in its place for `margin`, where the comparisons bring their own.

    Source: Zhang et al. 2024, arXiv 2410.02197, and the losses of its published code.
    """
    if kind == "regression":
        return 0.5 * (margin - torch.logit(target).clamp(-least, least)).square()
    hard = torch.where(target == 0.5, target, (target > 0.5).to(target.dtype))
    if kind == "margin":  # both sides fall short, so that a tie pulls nowhere
        lead = least if each is None else each
        return hard * functional.softplus(lead - margin) + (1 - hard) * functional.softplus(
            lead + margin
        )
    p = hard if kind == "hard" else target
    return functional.softplus(margin) - p * margin
