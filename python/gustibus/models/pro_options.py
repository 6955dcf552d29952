"""Options of the fit of a preference orchestrator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from gustibus.errors import ConfigError
from gustibus.models.keywords import (
    Count,
    Dropout,
    NotNegative,
    Positive,
    Whole,
    check_choice,
    read_options,
)
from gustibus.types import F64

REWARDS = ("auto", "columns", "ratings", "experts")
OBJECTIVES = ("likelihood", "target", "margin")
GATES = ("auto", "constant", "prompt", "armorm")


@dataclass(frozen=True, slots=True)
class ProOptions:
    """Options of the fit; `gate = "armorm"` sets those marked (a) as that rival has them.

    Attributes:
        rewards: where they come from: `columns` of the item features; `ratings`, heads fitted to
            them by ridge; `experts`, linear heads learned with the adapter; `auto` takes the first
            for which something is given.
        columns: numbers of the columns.
        ratings: `(m, k)` of the items, one row a row of the item features; NaN where not rated.
        experts: how many to learn.
        names: of the rewards, for people who state weights; by default their source and number,
            such as `column_3`, `rating_0` or `expert_1`. One string is read as a list with commas.
        objective: `likelihood` of the comparisons; `target`, divergence from a softmax of what the
            preferred response scores, as published; `margin`, the same of the difference of both.
        warm_start: steps that the adapter is first drawn to the published target, where `likelihood`
            follows; its weights, not its scale and not people's multipliers, start from there. None
            by default: it pays in short fits alone, where rewards are high when they matter.
        temperature: of these softmaxes.
        gate: `constant` weights, weights from the `prompt`, or `armorm`, another network for them;
            `auto` is the first or the second, whichever does better on held-out people.
        width: hidden units of a layer (a: 1024).
        layers: hidden layers (a: 3).
        dropout: share of hidden units dropped (a: 0.2).
        softness: divides the logits (a: 10).
        scale: c at the start, in log-odds for a standard deviation; it is learned (a: 1).
        rho: weight of the divergence of the weights from their mean, against collapse (a: 0).
        personal: multipliers of each person; False is one model for all.
        user_prior: precision of the multipliers around 1 while the shared part is learned.
        ridges: strengths, in comparisons, of the ridge on adapter and experts; each is tried (a: 0).
        steps: of stochastic gradients, for every candidate (a: 2000).
        batch: comparisons in a step (a: 1024).
        lr: learning rate at the start; None is 1e-2 for experts, else 3e-3 (a: 1e-3).
    """

    rewards: str = "auto"
    columns: tuple[Whole, ...] = ()
    ratings: F64 | None = None
    experts: Count = 8
    names: tuple[str, ...] = ()
    objective: str = "likelihood"
    warm_start: Whole = 0
    temperature: Positive = 0.1
    gate: str = "auto"
    width: Count = 64
    layers: Whole = 1
    dropout: Dropout = 0.0
    softness: Positive = 1.0
    scale: Positive = 3.0
    rho: NotNegative = 0.01
    personal: bool = True
    user_prior: Positive = 1.0
    ridges: tuple[NotNegative, ...] = (300.0, 30.0, 3.0)
    steps: Count = 400
    batch: Count = 512
    lr: Positive | None = None

    def as_json(self) -> dict[str, Any]:
        """For the report: of ratings, only whether there are any."""
        found = asdict(replace(self, ratings=None))
        return found | {"ratings": self.ratings is not None}

    @property
    def count(self) -> int:
        """Number of rewards, once their source is known."""
        if self.rewards == "ratings" and self.ratings is not None:
            return int(np.shape(self.ratings)[-1])
        return len(self.columns) if self.rewards == "columns" else self.experts

    def named(self, count: int) -> tuple[str, ...]:
        """Names of so many rewards."""
        numbers = self.columns if self.rewards == "columns" else range(count)
        return tuple(self.names) or tuple(f"{self.rewards[:-1]}_{number}" for number in numbers)


_ARMORM: dict[str, Any] = {
    "width": 1024, "layers": 3, "dropout": 0.2, "softness": 10.0, "scale": 1.0, "rho": 0.0,
    "ridges": (0.0,), "steps": 2000, "batch": 1024, "lr": 1e-3,
}  # fmt: skip


def pro_options(given: Mapping[str, Any]) -> ProOptions:
    """Options from keywords: defaults, then those of the gate, then what is given.

    Raises:
        ConfigError: an unknown keyword, a value out of range, or values that do not go together.
    """
    base = _ARMORM if given.get("gate") == "armorm" else {}
    options = read_options(ProOptions, "pro", given, base=base)
    options = replace(options, ridges=tuple(sorted(options.ridges, reverse=True)))
    for name, allowed in (("rewards", REWARDS), ("objective", OBJECTIVES), ("gate", GATES)):
        check_choice(name, getattr(options, name), allowed)
    return _with_source(options)


def _with_source(options: ProOptions) -> ProOptions:
    """The source of the rewards by name."""
    source = options.rewards
    if source == "auto":
        rated = "experts" if options.ratings is None else "ratings"
        source = "columns" if options.columns else rated
    if source == "columns" and not options.columns:
        message = "columns: expected numbers of columns of the item features, got none"
        raise ConfigError(message, where="columns")
    if source == "ratings" and options.ratings is None:
        message = "ratings: expected an array of ratings of the items, got none"
        raise ConfigError(message, where="ratings")
    if source == "experts" and options.objective != "likelihood":
        message = f"objective: experts are learned by 'likelihood', got {options.objective!r}"
        raise ConfigError(message, where="objective")
    if options.warm_start and (source == "experts" or options.objective != "likelihood"):
        message = "warm_start: comes before 'likelihood', with rewards that are given, not learned"
        raise ConfigError(message, where="warm_start")
    options = replace(options, rewards=source)
    if options.names and not len(set(options.names)) == len(options.names) == options.count:
        message = f"names: expected {options.count} different names, got {options.names}"
        raise ConfigError(message, where="names")
    return options
