"""The fit of the pooled reward: L-BFGS over all comparisons at once, rewards computed per item."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

from gustibus.errors import InputError
from gustibus.models.base import Progress, TrainingSet
from gustibus.models.bt import BradleyTerry
from gustibus.models.network import Network
from gustibus.models.torch_network import Projector, pick_device
from gustibus.models.validation import everybody, held_out_loss, hold_out
from gustibus.posterior import Answering
from gustibus.types import F32

RIDGES = (30_000.0, 10_000.0, 3000.0, 1000.0, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0)
"""Candidates, from strong to weak; a ridge r weighs like r comparisons of typical length."""


class _Rows:
    """One data set on the device."""

    def __init__(self, data: TrainingSet, center: F32, scale: float, device: torch.device) -> None:
        used = np.unique(np.concatenate([data.a, data.b]))
        code = np.zeros(len(data.item_features), np.int64)
        code[used] = np.arange(len(used))
        self.items = torch.as_tensor((data.item_features[used] - center) / scale, device=device)
        self.a = torch.as_tensor(code[data.a], device=device)
        self.b = torch.as_tensor(code[data.b], device=device)
        self.target = torch.as_tensor(data.target, device=device)
        weight = torch.as_tensor(data.weight, device=device)
        self.weight = weight
        self.total = float(weight.sum()) or 1.0

    def loss(self, reward: Tensor) -> Tensor:
        """Mean log loss of rewards `(m, 1)` of the items."""
        flat = reward[:, 0].float()
        margin = flat[self.a] - flat[self.b]  # (n,)
        return ((softplus(margin) - self.target * margin) * self.weight).sum() / self.total


def fit_reward(
    train: TrainingSet,
    valid: TrainingSet | None,
    *,
    seed: int,
    device: str,
    progress: Progress | None,
    hidden: int,
    ridge: float | None,
) -> tuple[Network, F32, dict[str, Any]]:
    """`(network, center, report)`; `valid` chooses the ridge, then everybody counts."""
    if len(train) == 0:
        message = "train: expected at least one comparison, got none"
        raise InputError(message, where="train")
    started = time.perf_counter()
    where = pick_device(device)
    used = np.unique(np.concatenate([train.a, train.b]))
    features = train.item_features[used] if len(used) else train.item_features
    center = features.mean(axis=0, dtype=np.float64).astype(np.float32)
    scale = float(np.sqrt(((features - center) ** 2).mean(dtype=np.float64))) or 1.0
    rows = _Rows(train, center, scale, where)
    judged = None if valid is None or len(valid) == 0 else _Rows(valid, center, scale, where)
    candidates = (ridge,) if ridge is not None else RIDGES if judged is not None else (10.0,)
    torch.manual_seed(seed)
    dim = features.shape[1]
    module = _Reward(dim, hidden).to(where)
    history: list[dict[str, float]] = []
    best: tuple[float, dict[str, Tensor], float] | None = None
    for done, strength in enumerate(candidates, 1):
        loss = _minimise(module, rows, strength)
        with torch.inference_mode():
            held = float((judged or rows).loss(module((judged or rows).items)))
        history.append({"ridge": strength, "train_loss": loss, "valid_loss": held})
        if progress is not None:
            progress("bt", done, len(candidates), held)
        if best is None or held < best[0]:
            state = {k: v.detach().clone() for k, v in module.state_dict().items()}
            best = (held, state, strength)
    assert best is not None, "there is at least one candidate"
    module.load_state_dict(best[1])
    held_out: float | None = None
    if valid is not None and judged is not None:
        chosen = BradleyTerry(_rescale(module.export(), scale), center, Answering(lapse=0.0))
        held_out = held_out_loss(chosen, valid, hold_out(valid))
        _minimise(module, _Rows(everybody(train, valid), center, scale, where), best[2])
    report = {
        "ridge": best[2], "history": history, "held_out_loss": held_out,
        "seconds": time.perf_counter() - started,
    }  # fmt: skip
    return _rescale(module.export(), scale), center, report


class _Reward(torch.nn.Module):
    """Linear, or a network of `hidden` layers and one output."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        width = min(dim, 256)
        self.body = Projector(dim, width, layers=hidden - 1) if hidden else None
        self.head = torch.nn.Linear(width if hidden else dim, 1)
        torch.nn.init.zeros_(self.head.weight)
        torch.nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor) -> Tensor:
        """`(n, d)` -> `(n, 1)`."""
        out: Tensor = self.head(x if self.body is None else torch.relu(self.body(x)))
        return out

    def export(self) -> Network:
        """The same function in numpy."""
        body = Network((), ()) if self.body is None else self.body.export()
        weight = self.head.weight.detach().cpu().numpy().T.copy()
        bias = self.head.bias.detach().cpu().numpy() * 0  # rewards differ only up to a constant
        return Network((*body.weights, weight), (*body.biases, bias), "relu")


def _minimise(module: _Reward, rows: _Rows, ridge: float) -> float:
    parameters = list(module.parameters())
    optimizer = torch.optim.LBFGS(
        parameters, max_iter=200, history_size=20, line_search_fn="strong_wolfe",
        tolerance_grad=1e-7, tolerance_change=1e-10,
    )  # fmt: skip

    def closure() -> Tensor:
        optimizer.zero_grad()
        penalty = sum((p**2).sum() for p in parameters)
        loss = rows.loss(module(rows.items)) + 0.5 * ridge * penalty / rows.total
        loss.backward()  # type: ignore[no-untyped-call]  # torch does not annotate it
        return loss

    optimizer.step(closure)  # type: ignore[arg-type]  # a closure may return a tensor
    with torch.inference_mode():
        return float(rows.loss(module(rows.items)))


def _rescale(network: Network, scale: float) -> Network:
    """Take the division of the features by `scale` into the first layer."""
    first = (network.weights[0] / scale).astype(np.float32)
    return Network((first, *network.weights[1:]), network.biases, network.activation)
