"""The fit of one reward to several data sets at once, with the weights of MORE."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from gustibus.models.more import More

if TYPE_CHECKING:
    from gustibus.models.bt_auxiliary import Terms
    from gustibus.models.bt_fit import Reward
    from gustibus.models.bt_rows import Sets
    from gustibus.types import F64

STEPS = 400
_BATCH, _RATE = 512, 0.05


def minimise_by_steps(
    module: Reward, sets: Sets, ridge: float, *, seed: int, steps: int = STEPS,
    terms: Terms | None = None,
) -> F64:  # fmt: skip
    """Adam on the losses of all data sets, weighted anew at each step; the mean weights `(k,)`.

    A step takes up to 512 comparisons or list members of every data set, however large it is. The
    weights come from the gradients on the last, linear layer, which for a linear reward are whole;
    of one data set the weight is 1.

    Args:
        module: the reward, changed in place.
        sets: one a data set.
        ridge: penalty in units of comparisons.
        seed: of the batches.
        steps: how many.
        terms: losses beside those of the sets, with parameters of their own.

    Source: Zeng et al. 2023, arXiv 2312.07401.
    """
    generator = torch.Generator().manual_seed(seed)
    beside = [] if terms is None else list(terms.parameters())
    optimizer = torch.optim.Adam([*module.parameters(), *beside], lr=_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    total = sum(rows.total for rows in sets)
    reducer, mean = More(), np.zeros(len(sets))
    for _ in range(steps):
        optimizer.zero_grad(set_to_none=True)
        penalty = sum((p**2).sum() for p in module.parameters()) * (0.5 * ridge / total)
        losses = [rows.batch_loss(module, _BATCH, generator) + penalty for rows in sets]
        weights = np.ones(1)
        if len(sets) > 1:
            head = [_head_gradient(loss, module) for loss in losses]
            weights = reducer.weights(torch.stack(head).cpu().double().numpy())
        mean += weights / steps
        together = sum(float(w) * loss for w, loss in zip(weights, losses, strict=True))
        assert isinstance(together, Tensor), "there is at least one data set"
        if terms is not None:
            together = together + terms(module, generator)
        (len(sets) * together).backward()
        optimizer.step()
        schedule.step()
    return mean


def _head_gradient(loss: Tensor, module: Reward) -> Tensor:
    return torch.autograd.grad(loss, module.head.weight, retain_graph=True)[0].flatten()
