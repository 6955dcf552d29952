"""What a reward is fitted to, on the device: comparisons, or ranked lists, with their loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

from gustibus.errors import InputError
from gustibus.models.base import BESIDE, TrainingSet
from gustibus.models.lists import ranked_lists
from gustibus.objectives.reducers import REDUCERS
from gustibus.types import F32

if TYPE_CHECKING:
    from gustibus.models.bt_fit import Reward
    from gustibus.objectives.choice import Objective

OVERALL = ("mean", "more")
"""Reducers under which a data set has one mean loss."""
TAIL = 0.2
"""Share of the largest losses that `cvar` averages unless told otherwise."""
_CHUNK = 1024


class Rows:
    """Comparisons of one data set.

    Args:
        data: the comparisons.
        center: `(d,)` taken from the features.
        scale: that they are divided by.
        device: where the rows go.
        objective: loss of a margin; the log loss when None, which takes no notice of `data.margin`.
        reducer: how the losses of rows become one.
        tail: share of the largest losses that `cvar` averages.
    """

    def __init__(
        self,
        data: TrainingSet,
        center: F32,
        scale: float,
        device: torch.device,
        *,
        objective: Objective | None = None,
        reducer: str = "mean",
        tail: float = TAIL,
    ) -> None:
        used = np.unique(np.concatenate([data.a, data.b]))
        code = np.zeros(len(data.item_features), np.int64)
        code[used] = np.arange(len(used))
        self.items = torch.as_tensor((data.item_features[used] - center) / scale, device=device)
        self.a = torch.as_tensor(code[data.a], device=device)
        self.b = torch.as_tensor(code[data.b], device=device)
        self.target = torch.as_tensor(data.target, device=device)
        self.weight = torch.as_tensor(data.weight, device=device)
        self.total = float(self.weight.sum()) or 1.0
        self.group = _groups(data, np.arange(len(data)), reducer, device)
        self.gap = None if data.margin is None else torch.as_tensor(data.margin, device=device)
        self.objective, self.reducer, self.tail = objective, reducer, tail

    def loss(self, reward: Tensor) -> Tensor:
        """Loss of rewards `(m, 1)` of the items."""
        each = self._each(self.margins(reward), slice(None))
        if self.reducer in OVERALL:
            return (each * self.weight).sum() / self.total
        return _reduced(each, slice(None), self)

    def margins(self, reward: Tensor) -> Tensor:
        """`(n,)` of a against b."""
        flat = reward[:, 0].float()
        return flat.index_select(0, self.a) - flat.index_select(0, self.b)

    def batch_loss(self, module: Reward, most: int, generator: torch.Generator) -> Tensor:
        """Loss of so many comparisons drawn at random, or of all where there are fewer."""
        pick = draw(len(self.target), most, generator, self.a.device)
        sides = torch.cat([self.a[pick], self.b[pick]])
        a, b = module(self.items[sides])[:, 0].float().chunk(2)
        return _reduced(self._each(a - b, pick), pick, self)

    def _each(self, margin: Tensor, pick: Tensor | slice) -> Tensor:
        target = self.target[pick]
        if self.objective is None:
            return softplus(margin) - target * margin
        if self.gap is not None:
            margin = margin - (2 * target - 1) * self.gap[pick]
        return self.objective(margin, target)


class ListRows:
    """Ranked lists of one data set; arguments as for `Rows`, with a listwise objective."""

    def __init__(
        self,
        data: TrainingSet,
        center: F32,
        scale: float,
        device: torch.device,
        *,
        objective: Objective,
        reducer: str = "mean",
        tail: float = TAIL,
    ) -> None:
        lists = ranked_lists(data)
        used, code = np.unique(lists.item, return_inverse=True)
        self.items = torch.as_tensor((data.item_features[used] - center) / scale, device=device)
        self.item = torch.as_tensor(code.reshape(lists.item.shape), device=device)
        self.grade = torch.as_tensor(lists.grade, device=device)
        self.mask = torch.as_tensor(lists.mask, device=device)
        self.weight = torch.as_tensor(lists.weight, device=device)
        self.total = float(self.weight.sum()) or 1.0
        self.group = _groups(data, lists.row, reducer, device)
        self.objective, self.reducer, self.tail = objective, reducer, tail

    def __len__(self) -> int:
        return len(self.item)

    def loss(self, reward: Tensor) -> Tensor:
        """Loss of rewards `(m, 1)` of the items."""
        flat = reward[:, 0].float()
        starts = range(0, max(len(self), 1), _CHUNK)  # pairs take room
        parts = [slice(start, start + _CHUNK) for start in starts]
        each = torch.cat([self._each(flat[self.item[part]], part) for part in parts])
        return _reduced(each, slice(None), self)

    def batch_loss(self, module: Reward, most: int, generator: torch.Generator) -> Tensor:
        """Loss of lists drawn at random that have so many members together, about."""
        count = max(most // self.item.shape[1], 1)
        pick = draw(len(self), count, generator, self.item.device)
        places = self.item[pick]
        scores = module(self.items[places.flatten()])[:, 0].float()
        return _reduced(self._each(scores.reshape(places.shape), pick), pick, self)

    def _each(self, scores: Tensor, pick: Tensor | slice) -> Tensor:
        return self.objective(scores, self.grade[pick], self.mask[pick])


Sets: TypeAlias = Sequence[Rows] | Sequence[ListRows]
"""One a data set that is weighed, or one for all."""


def load_sets(
    data: TrainingSet,
    center: F32,
    scale: float,
    device: torch.device,
    *,
    objective: Objective | None,
    reducer: str,
    tail: float = TAIL,
) -> Sets:
    """Data as the objective takes it; arguments as for `Rows`.

    Raises:
        InputError: the reducer weighs data sets, and no row says which it is of.
    """
    parts = _data_sets(data) if reducer == "more" else [data]
    if objective is not None and objective.listwise:
        return [
            ListRows(part, center, scale, device, objective=objective, reducer=reducer, tail=tail)
            for part in parts
        ]
    return [
        Rows(part, center, scale, device, objective=objective, reducer=reducer, tail=tail)
        for part in parts
    ]


def _reduced(each: Tensor, pick: Tensor | slice, rows: Rows | ListRows) -> Tensor:
    weight = rows.weight[pick]
    if rows.reducer in OVERALL:
        return (each * weight).sum() / weight.sum().clamp(min=1e-12)
    options = {"tail": rows.tail} if rows.reducer == "cvar" else {}
    return REDUCERS[rows.reducer].run(each, rows.group[pick], weight, **options)


def draw(count: int, most: int, generator: torch.Generator, device: torch.device) -> Tensor | slice:
    """Places of `most` rows drawn at random, with replacement; all where there are no more."""
    if count <= most:
        return slice(None)
    return torch.randint(count, (most,), generator=generator).to(device)


def _groups(data: TrainingSet, rows: np.ndarray, reducer: str, device: torch.device) -> Tensor:
    """Codes of the data sets of rows, or of the people where there is one or `user_mean` is asked."""
    by_person = reducer == "user_mean" or data.group is None
    codes = data.user if by_person else data.group
    assert codes is not None, "there are groups where people are not taken"
    return torch.as_tensor(codes[rows], device=device)


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
            for name in ("user", "prompt", "a", "b", "target", "weight", *BESIDE)
            if getattr(data, name) is not None
        }
        found.append(replace(data, **columns, is_support=None))
    return found
