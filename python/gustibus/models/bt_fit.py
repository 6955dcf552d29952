"""The fit of the pooled reward: L-BFGS over all comparisons at once, rewards computed per item."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

from gustibus.errors import ConfigError, InputError
from gustibus.models.base import Progress, TrainingSet
from gustibus.models.bt import BradleyTerry
from gustibus.models.bt_more import minimise_more
from gustibus.models.network import Network
from gustibus.models.torch_network import Projector, pick_device
from gustibus.models.validation import everybody, held_out_loss, hold_out
from gustibus.posterior import Answering
from gustibus.types import F32

RIDGES = (30_000.0, 10_000.0, 3000.0, 1000.0, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0)
"""Candidates, from strong to weak; a ridge r weighs like r comparisons of typical length."""
REDUCERS = ("mean", "more")


class Rows:
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

    def batch_loss(self, module: Reward, most: int, generator: torch.Generator) -> Tensor:
        """Mean log loss of so many comparisons drawn at random, or of all where there are fewer."""
        pick: Tensor | slice = slice(None)
        if len(self.target) > most:
            pick = torch.randint(len(self.target), (most,), generator=generator).to(self.a.device)
        sides = torch.cat([self.a[pick], self.b[pick]])
        a, b = module(self.items[sides])[:, 0].float().chunk(2)
        margin, weight = a - b, self.weight[pick]  # (n,)
        each = softplus(margin) - self.target[pick] * margin
        return (each * weight).sum() / weight.sum().clamp(min=1e-12)


def fit_reward(
    train: TrainingSet,
    valid: TrainingSet | None,
    *,
    seed: int,
    device: str,
    progress: Progress | None,
    hidden: int,
    ridge: float | None,
    reducer: str = "mean",
) -> tuple[Network, F32, dict[str, Any]]:
    """`(network, center, report)`; `valid` chooses the ridge, then everybody counts.

    Raises:
        ConfigError: there is no such reducer.
        InputError: there are no comparisons, or no data sets for `more` to weigh.
    """
    if reducer not in REDUCERS:
        message = f"reducer: expected one of {REDUCERS}, got {reducer!r}"
        raise ConfigError(message, where="reducer")
    if len(train) == 0:
        message = "train: expected at least one comparison, got none"
        raise InputError(message, where="train")
    started = time.perf_counter()
    where = pick_device(device)
    used = np.unique(np.concatenate([train.a, train.b]))
    features = train.item_features[used] if len(used) else train.item_features
    center = features.mean(axis=0, dtype=np.float64).astype(np.float32)
    scale = float(np.sqrt(((features - center) ** 2).mean(dtype=np.float64))) or 1.0

    def load(data: TrainingSet) -> list[Rows]:
        """One a data set that is weighed, or one for all."""
        parts = [data] if reducer == "mean" else _data_sets(data)
        return [Rows(part, center, scale, where) for part in parts]

    sets = load(train)
    judged = sets if valid is None or len(valid) == 0 else load(valid)
    candidates = (ridge,) if ridge is not None else RIDGES if judged is not sets else (10.0,)
    torch.manual_seed(seed)
    dim = features.shape[1]
    module = Reward(dim, hidden).to(where)
    history: list[dict[str, float]] = []
    best: tuple[float, dict[str, Tensor], float, list[float]] | None = None
    for done, strength in enumerate(candidates, 1):
        weights = _minimise(module, sets, strength, reducer, seed)
        loss, held = float(np.mean(_losses(module, sets))), float(np.mean(_losses(module, judged)))
        history.append({"ridge": strength, "train_loss": loss, "valid_loss": held})
        if progress is not None:
            progress("bt", done, len(candidates), held)
        if best is None or held < best[0]:
            state = {k: v.detach().clone() for k, v in module.state_dict().items()}
            best = (held, state, strength, weights)
    assert best is not None, "there is at least one candidate"
    module.load_state_dict(best[1])
    weights = best[3]
    held_out: float | None = None
    if valid is not None and judged is not sets:
        chosen = BradleyTerry(_rescale(module.export(), scale), center, Answering(lapse=0.0))
        held_out = held_out_loss(chosen, valid, hold_out(valid))
        sets = load(everybody(train, valid))
        weights = _minimise(module, sets, best[2], reducer, seed)
    report: dict[str, Any] = {
        "ridge": best[2], "history": history, "held_out_loss": held_out,
        "seconds": time.perf_counter() - started,
    }  # fmt: skip
    if reducer == "more":
        report |= {"data_sets": {"weights": weights, "losses": _losses(module, sets)}}
    return _rescale(module.export(), scale), center, report


class Reward(torch.nn.Module):
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


def _data_sets(data: TrainingSet) -> list[TrainingSet]:
    """The rows of each data set."""
    if data.group is None:
        message = "reducer: 'more' weighs data sets, and no row says which it is of"
        raise InputError(message, where="reducer")
    found = []
    for code in np.unique(data.group):
        rows = np.flatnonzero(data.group == code)
        columns: dict[str, Any] = {
            name: getattr(data, name)[rows]
            for name in ("user", "prompt", "a", "b", "target", "weight", "group")
        }
        found.append(replace(data, **columns, is_support=None))
    return found


def _losses(module: Reward, sets: list[Rows]) -> list[float]:
    with torch.inference_mode():
        return [float(rows.loss(module(rows.items))) for rows in sets]


def _minimise(
    module: Reward, sets: list[Rows], ridge: float, reducer: str, seed: int
) -> list[float]:
    """Weights of the data sets under which the loss was made least, in place."""
    if reducer == "more":
        return minimise_more(module, sets, ridge, seed=seed).tolist()
    _minimise_mean(module, sets[0], ridge)
    return [1.0]


def _minimise_mean(module: Reward, rows: Rows, ridge: float) -> None:
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


def _rescale(network: Network, scale: float) -> Network:
    """Take the division of the features by `scale` into the first layer."""
    first = (network.weights[0] / scale).astype(np.float32)
    return Network((first, *network.weights[1:]), network.biases, network.activation)
