"""Trainable twin of `Network`, and what every torch fit shares: device, checkpoint, validation."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from gustibus.errors import InputError, MissingExtraError
from gustibus.models.base import TrainingSet
from gustibus.models.network import LEAK, Network, chain
from gustibus.models.recent import identity

try:
    import torch
    from torch import Tensor, nn
except ImportError:
    raise MissingExtraError.of("torch", "train") from None

log = logging.getLogger("gustibus.training")


class Projector(nn.Module):
    """Linear layers with activation, dropout and optional batch norm between.

    `layers` hidden layers of width `dim_out` and a linear output layer; -1 hidden layers is the
    identity. Order inside a hidden layer: linear, batch norm, dropout, activation.
    Source: Chen et al. 2024, arXiv 2406.08469, public code of its projectors.
    """

    def __init__(
        self,
        dim_in: int,
        dim_out: int,
        *,
        layers: int,
        activation: str = "relu",
        dropout: float = 0.0,
        residual: bool = False,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        dims = [dim_in] + [dim_out] * (layers + 1)
        chain(dims, activation=activation, residual=residual)
        self.linears = nn.ModuleList(nn.Linear(i, o) for i, o in pairwise(dims))
        self.norms = nn.ModuleList(nn.BatchNorm1d(dim_out) for _ in range(layers * batch_norm))
        self.dropout = nn.Dropout(dropout)
        self.activation = activation
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        """`(*b, in)` -> `(*b, out)`."""
        hidden: Any = x
        for depth, linear in enumerate(self.linears):
            hidden = linear(hidden)
            if depth < len(self.linears) - 1:
                if self.norms:
                    flat = hidden.reshape(-1, hidden.shape[-1])
                    hidden = self.norms[depth](flat).reshape(hidden.shape)
                hidden = self.dropout(hidden)
                hidden = activate(hidden, self.activation)
        return hidden + x if self.residual and self.linears else hidden

    def export(self) -> Network:
        """The same function in numpy, batch norm folded into the layer before it."""
        weights, biases = [], []
        linear: Any
        norm: Any
        for depth, linear in enumerate(self.linears):
            weight, bias = linear.weight.detach().double(), linear.bias.detach().double()
            if self.norms and depth < len(self.linears) - 1:
                norm = self.norms[depth]
                scale = norm.weight.detach().double() / torch.sqrt(norm.running_var + norm.eps)
                weight = weight * scale[:, None]
                bias = (bias - norm.running_mean) * scale + norm.bias.detach().double()
            weights.append(weight.T.contiguous().cpu().numpy().astype(np.float32))
            biases.append(bias.cpu().numpy().astype(np.float32))
        return Network(tuple(weights), tuple(biases), self.activation, self.residual)


def activate(x: Tensor, name: str) -> Tensor:
    """Twin of `network.activate`."""
    if name == "relu":
        return torch.relu(x)
    if name == "leaky_relu":
        return nn.functional.leaky_relu(x, LEAK)
    return nn.functional.gelu(x, approximate="tanh")


def pick_device(name: str) -> torch.device:
    """`auto` is CUDA where there is one, else the CPU.

    Raises:
        InputError: CUDA was asked for and there is none.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        message = f"device: expected a device that this machine has, got {name!r} and no CUDA"
        raise InputError(message, where="device")
    try:
        return torch.device(name)
    except RuntimeError:
        message = f"device: expected auto, cpu or cuda[:n], got {name!r}"
        raise InputError(message, where="device") from None


def batches(
    n: int, size: int, generator: torch.Generator, device: torch.device
) -> Iterator[Tensor]:
    """Random order of `0..n-1` in pieces of `size`, on the device."""
    order = torch.randperm(n, generator=generator).to(device)
    yield from order.split(size)


def drawn(
    n: int, size: int, steps: int, generator: torch.Generator, device: torch.device
) -> Iterator[Tensor]:
    """`steps` batches of `size` of `0..n-1`, on the device, one random order after the other.

    What is left of an order that is less than a batch is not used; all rows where there are fewer.
    """
    size, order = min(size, n), torch.zeros(0, dtype=torch.int64, device=device)
    for _ in range(steps):
        if len(order) < size:
            order = torch.randperm(n, generator=generator).to(device)
        yield order[:size]
        order = order[size:]


class Checkpoint:
    """State of a torch fit after an epoch, as safetensors and JSON: written whole or not at all.

    Args:
        folder: where it lies; None keeps none.
        key: family, seed and options of the fit.
        data: what it is fitted to and judged on; other comparisons or vectors of the same shape are
            another fit.
    """

    def __init__(
        self, folder: Path | None, *, key: dict[str, Any], data: tuple[TrainingSet | None, ...]
    ) -> None:
        self.folder = folder
        self.key: dict[str, Any] = {}
        if folder is not None:
            from gustibus import __version__

            of = identity(*data).hex()
            self.key = json.loads(json.dumps({**key, "data": of, "version": __version__}))

    def save(self, epoch: int, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Replace the checkpoint."""
        if self.folder is None:
            return
        from safetensors.torch import save_file

        self.folder.mkdir(parents=True, exist_ok=True)
        record = {"key": json.dumps(self.key), "epoch": str(epoch), "state": json.dumps(state)}
        scratch = self.folder / "fit.safetensors.part"
        save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, scratch, record)
        with scratch.open("rb") as handle:
            os.fsync(handle.fileno())
        scratch.replace(self.folder / "fit.safetensors")

    def load(self) -> tuple[int, dict[str, Tensor], dict[str, Any]] | None:
        """`(epoch, tensors, state)` of an interrupted fit of the same data and options, or None."""
        path = None if self.folder is None else self.folder / "fit.safetensors"
        if path is None or not path.exists():
            return None
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="pt") as handle:
                record = handle.metadata()
                if json.loads(record["key"]) != self.key:
                    log.warning("%s: of other data or settings; starting over", path)
                    return None
                tensors = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118 - not a dict
        except SafetensorError as error:  # such as a disk leaves that lost its power
            log.warning("%s: damaged (%s); starting over", path, error)
            return None
        log.info("%s: going on after %s steps of an interrupted run", path, record["epoch"])
        return int(record["epoch"]), tensors, json.loads(record["state"])


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Adam's moments by the position of their parameter."""
    found: dict[str, Tensor] = {}
    position = 0
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            for name, value in optimizer.state.get(parameter, {}).items():
                found[f"optimizer.{position}.{name}"] = torch.as_tensor(value)
            position += 1
    return found


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Inverse of `optimizer_tensors`."""
    position = 0
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            prefix = f"optimizer.{position}."
            state = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
            for name, value in state.items():
                there = name != "step" or group.get("capturable")
                place = parameter.device if there else value.device
                optimizer.state[parameter][name] = value.clone().to(place)
            position += 1
