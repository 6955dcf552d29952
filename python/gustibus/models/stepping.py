"""Steps of an optimiser: of batches of one shape, on CUDA, one recorded graph that is replayed.

The steps of most families are some dozens of small kernels, whose launches take longer than they do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

_WARM = 3
"""Steps before a graph is recorded: libraries set themselves up in the first ones."""


class Stepper:
    """Forward, backward and update.

    Args:
        loss: of a batch, given as tensors on the device. What is recorded must not look at numbers,
            and draw from torch's own generator alone.
        optimizer: made by `adam`.
        after: what follows the update, under the same conditions.
        record: on CUDA, replay the steps of batches that have the shape of the first one.
    """

    def __init__(
        self,
        loss: Callable[..., Tensor],
        optimizer: torch.optim.Optimizer,
        *,
        after: Callable[[], object] | None = None,
        record: bool = True,
    ) -> None:
        self._loss, self._optimizer, self._after, self._record = loss, optimizer, after, record
        self._graph: torch.cuda.CUDAGraph | None = None
        self._stream: Any = None
        self._seen = 0
        self._batch: tuple[Tensor, ...] = ()
        self._found = torch.zeros(())

    def __call__(self, *batch: Any) -> Tensor:
        """Take a step; returns the loss before it, `()`, which a recorded step overwrites next."""
        if not (self._record and batch[0].is_cuda):
            return self._step(*batch)
        shapes = [b.shape for b in batch]
        if self._batch and shapes != [b.shape for b in self._batch]:
            return self._step(*batch)  # the last of an epoch is shorter
        if not self._batch:
            self._batch = tuple(b.clone() for b in batch)
            self._stream = torch.cuda.Stream(batch[0].device)  # type: ignore[no-untyped-call]
        for mine, given in zip(self._batch, batch, strict=True):
            mine.copy_(given)
        if self._graph is not None:
            self._graph.replay()
        elif self._seen < _WARM:
            self._seen += 1
            self._stream.wait_stream(torch.cuda.current_stream(batch[0].device))
            with torch.cuda.stream(self._stream):
                self._found = self._step(*self._batch)
            torch.cuda.current_stream(batch[0].device).wait_stream(self._stream)
        else:
            self._graph = torch.cuda.CUDAGraph()
            self._optimizer.zero_grad(set_to_none=True)  # gradients come from the graph's memory
            with torch.cuda.graph(self._graph, stream=self._stream):
                self._found = self._step(*self._batch)
            self._graph.replay()  # what is recorded is not run
        return self._found

    def _step(self, *batch: Any) -> Tensor:
        loss = self._loss(*batch)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch does not annotate it
        self._optimizer.step()
        if self._after is not None:
            with torch.no_grad():
                self._after()
        return loss.detach()


def adam(
    parameters: Iterable[Tensor] | Iterable[dict[str, Any]],
    device: torch.device,
    *,
    decoupled: bool = True,
    **options: Any,
) -> torch.optim.Optimizer:
    """AdamW, or Adam where decay is not decoupled, of parameters on the device.

    On CUDA its state and learning rates are tensors, so that a recorded step reads what they are now.
    """
    kind = torch.optim.AdamW if decoupled else torch.optim.Adam
    there = device.type == "cuda"
    if there:
        options |= {"capturable": True, "fused": True}
    optimizer = kind(parameters, **options)
    for group in optimizer.param_groups:
        group["first_lr"] = group["lr"]
        if there:
            group["lr"] = torch.tensor(group["lr"], device=device)
    return optimizer


def scale_rates(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set the learning rates to those that the optimizer was made with, times a factor."""
    for group in optimizer.param_groups:
        rate = factor * group["first_lr"]
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def cosine(step: int, steps: int) -> float:
    """Factor of the learning rate of step 0, 1, ...: from 1 along half a cosine to 0."""
    return 0.5 * (1 + math.cos(math.pi * step / steps))


def warmed(step: int, steps: int, share: float) -> float:
    """Factor of the learning rate: up along a line for a share of the steps, then half a cosine."""
    warm = max(1, int(share * steps))
    return (step + 1) / warm if step < warm else cosine(step - warm, max(1, steps - warm))
