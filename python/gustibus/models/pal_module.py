"""The trainable twin of a PAL model, and the coordinates it is trained in."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from gustibus.models.base import TrainingSet
from gustibus.models.hierarchical_start import Frame as PrincipalFrame
from gustibus.models.network import Network
from gustibus.models.pal import Pal, PalShape
from gustibus.models.pal_options import PalOptions
from gustibus.models.pal_start import Start
from gustibus.models.torch_network import Projector
from gustibus.posterior import Answering, Prior
from gustibus.types import F32, F64

TAU_START = 2.6592600369327783
"""`ln(1 / 0.07)`, the published start of the logarithm of the scale."""
TAU_MOST = 4.605170185988092
"""`ln 100`; the parameter is clamped, so that it can come back."""


class Frame(NamedTuple):
    """Item features in the coordinates of the fit."""

    center: F32
    turn: F64 | None
    items: NDArray[Any]


def pal_frame(train: TrainingSet, options: PalOptions, principal: PrincipalFrame | None) -> Frame:
    """Centred features, or their principal components at about unit variance where there are some."""
    if principal is not None:
        return stretched(principal)
    used = np.unique(np.concatenate([train.a, train.b]))
    center = train.item_features[used].mean(0, dtype=np.float64).astype(np.float32)
    if options.recipe == "published":
        center = np.zeros_like(center)
    return Frame(center, None, train.item_features - center)


def stretched(frame: PrincipalFrame) -> Frame:
    """Coordinates of about unit variance, from those of unit distance."""
    stretch = np.sqrt(frame.items.shape[1])
    return Frame(frame.center, frame.turn * stretch, frame.items * stretch)


class PalModule(nn.Module):
    """The trainable model; people are rows of one matrix of logits."""

    def __init__(
        self,
        dim: int,
        prompt_dim: int,
        people: int,
        options: PalOptions,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        k, width = options.prototypes, options.width or dim
        shape = PalShape(options.variant, options.form, options.point)
        keywords: dict[str, Any] = {
            "layers": options.layers, "activation": options.activation,
            "dropout": options.dropout, "residual": options.residual,
            "batch_norm": options.batch_norm,
        }  # fmt: skip
        self.shape, self.options = shape, options
        self.f = Projector(dim, width if options.layers >= 0 else dim, **keywords)
        out = width if options.layers >= 0 else dim
        prompted = range(k) if shape.variant == "b" else range(0)
        self.g = nn.ModuleList(Projector(prompt_dim, out, **keywords) for _ in prompted)
        inside = shape.point != "Pw" or shape.form == "norm"
        rows = torch.randn(k, dim if inside else out, generator=generator)
        if options.unit_prototypes:
            rows = rows / rows.norm(dim=1, keepdim=True)
        else:
            rows = rows / rows.shape[1] ** 0.5
        self.prototypes = nn.Parameter(rows if shape.variant == "a" else torch.zeros(k, 0))
        self.prototypes.requires_grad_(shape.variant == "a")
        logits = torch.randn(people, k, generator=generator) * options.user_noise
        self.logits = nn.Parameter(logits)
        self.tau = nn.Parameter(torch.tensor(TAU_START if self.uses_scale else 0.0))
        self.tau.requires_grad_(self.uses_scale)

    @property
    def uses_scale(self) -> bool:
        """Whether the form has a learned scale s = exp(tau)."""
        return self.shape.form in ("angle", "bilinear", "dist_logistic")

    def begin(self, start: Start) -> None:
        """Take the place of the random start."""
        with torch.no_grad():
            weight: Any = self.f.linears[0].weight
            weight.copy_(torch.eye(len(weight)) * start.scale)
            bias: Any = self.f.linears[0].bias
            bias.zero_()
            self.prototypes.copy_(torch.as_tensor(start.prototypes))
            self.logits.copy_(torch.as_tensor(start.logits))

    def groups(self) -> list[dict[str, Any]]:
        """Parameter groups; every trained parameter is in exactly one."""
        o = self.options
        projectors = [*self.f.parameters(), *self.g.parameters()]
        found: list[dict[str, Any]] = [
            {"params": projectors, "lr": o.lr_projector, "weight_decay": o.weight_decay},
            {"params": [self.prototypes], "lr": o.lr_prototypes, "weight_decay": 0.0},
            {"params": [self.logits], "lr": o.lr_users, "weight_decay": 0.0},
            {"params": [self.tau], "lr": o.lr_scale, "weight_decay": 0.0},
        ]
        group: dict[str, Any]
        for group in found:
            group["params"] = [p for p in group["params"] if p.requires_grad]
        return [group for group in found if group["params"]]

    def matrices(self) -> list[Tensor]:
        """Weights of the projectors and P: what the ridge holds."""
        found = [p for net in (self.f, *self.g) for p in net.parameters() if p.dim() == 2]
        return [*found, self.prototypes] if self.prototypes.numel() else found

    def project(self, net: nn.Module, x: Tensor) -> Tensor:
        """`(b, in)` -> `(b, d)` in single precision; on CUDA multiplied in half of it."""
        mixed = self.options.mixed and x.is_cuda
        with torch.autocast(x.device.type, torch.bfloat16, enabled=mixed, cache_enabled=False):
            out: Tensor = net(x)
        return out.float()

    def weights(self, user: Tensor) -> Tensor:
        """`(b,)` -> `(b, K)` on the simplex."""
        logits = self.logits[user]
        if self.options.mixing == "gumbel" and self.training:
            return functional.gumbel_softmax(logits, dim=-1)
        return logits.softmax(-1)

    def point(self, w: Tensor, prompts: Tensor | None) -> Tensor:
        """`(b, K)` weights, `(b, dp)` prompts -> `(b, d)` ideal points."""
        if prompts is not None:
            g = torch.stack([self.project(net, prompts) for net in self.g], dim=1)  # (b, K, d)
            return torch.einsum("bk,bkd->bd", w, g)
        if self.shape.point == "f(Pw)":
            out: Tensor = self.f(w @ self.prototypes)
            return out
        rows: Tensor = self.prototypes
        if self.shape.point in ("f(P)w", "|f(P)|w"):
            rows = self.f(rows)
        if self.shape.point == "|f(P)|w":
            rows = functional.normalize(rows, dim=-1, eps=1e-8)
        return w @ rows

    def reward(self, items: Tensor, z: Tensor) -> Tensor:
        """`(b, d)` items, projected but for the form `norm`, `(b, d)` points -> `(b)`."""
        form = self.shape.form
        if form == "norm":
            return -(self.f(items - z).square().sum(-1) + 1e-12).sqrt()
        if form in ("angle", "dist_normalization", "bilinear"):
            items = functional.normalize(items, dim=-1, eps=1e-8)
        if form in ("angle", "dist_normalization"):
            z = functional.normalize(z, dim=-1, eps=1e-8)
        if form in ("angle", "bilinear"):
            return self.tau.exp() * (items * z).sum(-1)
        squared = (items - z).square().sum(-1)
        if form == "squared":
            return -squared
        distance = (squared + 1e-12).sqrt()
        return -self.tau.exp() * distance if form == "dist_logistic" else -distance

    def margin(
        self, user: Tensor, a: Tensor, b: Tensor, prompts: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Margins `(b,)` and points `(b, d)` from projected items."""
        z = self.point(self.weights(user), prompts)
        if self.shape.form != "norm":
            return self.reward(a, z) - self.reward(b, z), z
        reward = self.reward(torch.cat([a, b]), torch.cat([z, z]))  # projected in one batch
        first, second = reward.chunk(2)
        return first - second, z

    def export(self, frame: Frame, prior: Prior) -> Pal:
        """The same model in numpy."""
        scale = float(self.tau.detach().exp()) if self.uses_scale else 1.0
        return Pal(
            shape=self.shape,
            projector=self.f.export() if self.options.layers >= 0 else Network((), ()),
            prompt_projectors=tuple(net.export() for net in self.g),  # type: ignore[operator, misc]
            prototypes=self.prototypes.detach().cpu().numpy().astype(np.float32),
            scale=scale,
            center=frame.center,
            turn=None if frame.turn is None else frame.turn.astype(np.float32),
            prior_=prior,
            answering=Answering(lapse=0.0),
        )
