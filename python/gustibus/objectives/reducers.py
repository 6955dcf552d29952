"""From one loss a row to one number: whose losses count, and how much."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

from gustibus.data.arrays import number
from gustibus.registry import Registry

Reducer: TypeAlias = Callable[..., Tensor]
"""`(loss, group, weight, **options)`: losses, codes of groups, and weights at or above 0 that are not
all 0, `(b)` each, to one number."""

REDUCERS: Registry[Reducer] = Registry("reducer")
"""Reducers by name; none gives more than the largest loss, and none depends on the names of groups.
Their laws: `groups` (reads them), `mean` (equal losses and weights give their mean)."""


@REDUCERS.add("mean", source="weighted mean", laws=("mean",))
def mean(loss: Tensor, group: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean of all rows."""
    del group
    return (loss * weight).sum() / weight.sum()


@REDUCERS.add("user_mean", source="macro average over people", laws=("groups",))
def user_mean(loss: Tensor, group: Tensor, weight: Tensor) -> Tensor:
    """Mean over groups of each group's weighted mean; groups without weight are left out."""
    return group_means(loss, group, weight).mean()


@REDUCERS.add(
    "worst_group", source="Sagawa et al. 2020, group DRO, arXiv 1911.08731", laws=("groups",)
)
def worst_group(loss: Tensor, group: Tensor, weight: Tensor) -> Tensor:
    """Largest of the groups' weighted means."""
    return group_means(loss, group, weight).max()


@REDUCERS.add("cvar", source="Rockafellar & Uryasev 2000", laws=("mean",))
def cvar(loss: Tensor, group: Tensor, weight: Tensor, *, tail: float = 0.2) -> Tensor:
    """Weighted mean of the largest losses that make up a share of the weight.

    Args:
        loss: `(b)`.
        group: not read.
        weight: `(b)`.
        tail: the share, in `(0, 1]`; 1 is the mean.
    """
    del group
    share = number("tail", tail, low=0, high=1, open_ends="(")
    order = loss.detach().argsort(descending=True)
    weight = weight[order] / weight.sum()
    before = weight.cumsum(0) - weight
    counted = torch.minimum(weight, (share - before).clamp(min=0))
    return (loss[order] * counted).sum() / share


def group_means(loss: Tensor, group: Tensor, weight: Tensor) -> Tensor:
    """`(g,)` weighted mean of each group that has weight, by rising code."""
    codes, place = torch.unique(group, return_inverse=True)
    total = loss.new_zeros(len(codes)).index_add(0, place, loss * weight)
    heft = weight.new_zeros(len(codes)).index_add(0, place, weight)
    return total[heft > 0] / heft[heft > 0]
