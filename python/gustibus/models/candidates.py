"""Candidates of the automatic choice: what they foretold of people whom they were not fitted on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gustibus.models.base import TrainingSet
from gustibus.models.validation import Foretold
from gustibus.posterior import Answering
from gustibus.types import F64


class Judged(NamedTuple):
    """How a candidate did in one draw of people."""

    told: Foretold
    """Of the judging people's query answers."""
    losses: F64
    """`(p,)` of the judging people, NaN for those without query answers."""
    transitive: bool
    """Whether the fitted model's tastes never run in circles, so that it can be blended."""
    seconds: float
    """Of the fit and the judging."""


class Gap(NamedTuple):
    """How far a candidate is behind another one; None where nobody judged both."""

    behind: float | None
    """Mean of the paired differences of losses over people."""
    error: float | None
    """Its standard error."""

    def __str__(self) -> str:
        """What rounds to nothing has no sign."""
        return f"{round(self.behind or 0.0, 4) + 0.0:.4f} ± {self.error or 0.0:.4f}"

    @property
    def is_noise(self) -> bool:
        """Whether it is within its error."""
        return self.behind is not None and self.behind <= (self.error or 0.0)


@dataclass(slots=True, eq=False)  # each is itself: what they did is arrays, which have no truth
class Candidate:
    """A family with options, and how it did.

    Attributes:
        family: name of `MODELS`.
        options: those beside the defaults.
        draws: how it did in each draw of people.
        fate: `judged`, or why not.
    """

    family: str
    options: dict[str, Any]
    draws: list[Judged] = field(default_factory=list)
    fate: str = "judged"

    @property
    def losses(self) -> F64:
        """Of all people who judged it."""
        found = np.concatenate([*(draw.losses for draw in self.draws), np.empty(0)])
        return found[np.isfinite(found)]

    @property
    def loss(self) -> float:
        """Mean over the people who judged it; infinite without any."""
        losses = self.losses
        return float(losses.mean()) if len(losses) else float("inf")

    @property
    def seconds(self) -> float:
        """Of all its fits."""
        return sum(draw.seconds for draw in self.draws)

    @property
    def title(self) -> str:
        """For people to read."""
        return titled(self.family, self.options)

    def against(self, best: Candidate) -> Gap:
        """How far it is behind another one, on the people who judged both."""
        pairs = list(zip(self.draws, best.draws, strict=False))
        gaps = np.concatenate([*(one.losses - other.losses for one, other in pairs), np.empty(0)])
        gaps = gaps[np.isfinite(gaps)]
        if len(gaps) < 2:
            return Gap(None, None)
        return Gap(float(gaps.mean()), float(gaps.std() / np.sqrt(len(gaps))))


def titled(family: str, options: Mapping[str, Any]) -> str:
    """A family and its options beside the defaults, for people to read."""
    shown = ", ".join(f"{name} {value}" for name, value in options.items())
    return f"{family} ({shown})" if shown else family


class Keeper:
    """What an interrupted search has judged, so that it goes on where it was."""

    def __init__(self, folder: Path | None, key: dict[str, Any], data: TrainingSet) -> None:
        from gustibus.models.torch_network import Checkpoint

        self._file = Checkpoint(None if folder is None else folder / "auto", key=key, data=(data,))
        found = self._file.load()
        self._kept: dict[str, Judged] = {}
        if found is not None:
            _, tensors, state = found
            arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
            self._kept = {name: _read(name, row, arrays) for name, row in state.items()}

    def get(self, one: Candidate, draw: int) -> Judged | None:
        """How a candidate did in a draw, if that is known."""
        return self._kept.get(f"{draw} {one.title}")

    def put(self, one: Candidate, draw: int, judged: Judged) -> None:
        """Keep how it did."""
        import torch

        self._kept[f"{draw} {one.title}"] = judged
        tensors = {
            f"{name}/{column}": torch.from_numpy(np.ascontiguousarray(array))
            for name, row in self._kept.items()
            for column, array in zip(_COLUMNS, (*row.told[:2], row.losses), strict=True)
        }
        state = {
            name: [*_answering(row.told), row.transitive, row.seconds]
            for name, row in self._kept.items()
        }
        self._file.save(len(state), tensors, state)


_COLUMNS = ("margin", "variance", "losses")


def _answering(told: Foretold) -> tuple[float, float]:
    return told.answering.lapse, told.answering.tie


def _read(name: str, row: Sequence[Any], arrays: Mapping[str, F64]) -> Judged:
    lapse, tie, transitive, seconds = row
    margin, variance, losses = (arrays[f"{name}/{column}"] for column in _COLUMNS)
    return Judged(Foretold(margin, variance, Answering(lapse, tie)), losses, transitive, seconds)
