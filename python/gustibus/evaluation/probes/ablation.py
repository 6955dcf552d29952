"""One experiment matrix: vary one factor, hold the rest, judge alike, report deltas with intervals.

Source: Ivison et al. 2024, "Unpacking DPO and PPO", arXiv 2406.09279: data, algorithm, reward model
and prompts, one at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gustibus.data.arrays import finite
from gustibus.errors import DimensionError, InputError
from gustibus.evaluation.intervals import Estimate, Resamples
from gustibus.evaluation.markdown import table
from gustibus.types import F64

Experiment = Callable[[Mapping[str, Any]], Any]
"""From one level of every factor to a figure per person (or prompt) `(p,)`, always the same ones."""


@dataclass(frozen=True, slots=True)
class Change:
    """What one other level of one factor does, beside the base."""

    factor: str
    level: str
    figure: Estimate
    """Mean over people."""
    delta: Estimate
    """Less that of the base, person by person."""


@dataclass(frozen=True, slots=True)
class Ablation:
    """The base and every change of one factor, largest effect first."""

    base: Mapping[str, str]
    figure: Estimate
    changes: tuple[Change, ...]

    def markdown(self) -> str:
        """A table of deltas with intervals."""
        rows = [
            (f"{c.factor} = {c.level}", f"{c.figure.value:.3f}", _interval(c.delta))
            for c in self.changes
        ]
        held = ", ".join(f"{name} = {level}" for name, level in self.base.items())
        first = (f"base: {held}", f"{self.figure.value:.3f}", "")
        return table(("changed", "figure", "delta"), [first, *rows])


def ablate(
    run: Experiment,
    base: Mapping[str, Any],
    levels: Mapping[str, Sequence[Any]],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Ablation:
    """Run the base, and every other level of each factor with the rest held.

    Args:
        run: one experiment; it is called once per row of the matrix.
        base: level of each factor.
        levels: factor to its levels; that of the base may be among them, and is not run again.
        resamples: draws of people, for the intervals.
        seed: of the draws.

    Raises:
        InputError: a factor of `levels` is not in `base`, or a figure is not finite.
        DimensionError: experiments judged different numbers of people.
    """
    unknown = sorted(set(levels) - set(base))
    if unknown:
        message = f"levels: expected factors among {sorted(base)}, got {unknown}"
        raise InputError(message, where="levels")
    first = finite("run", run(base))
    draws = Resamples(len(first), resamples, seed)
    changes = []
    for factor, others in levels.items():
        for level in others:
            if level == base[factor]:
                continue
            found = _same_people(first, run({**base, factor: level}))
            changes.append(Change(factor, str(level), draws.mean(found), draws.mean(found - first)))
    changes.sort(key=lambda c: -abs(c.delta.value))
    named = {name: str(level) for name, level in base.items()}
    return Ablation(named, draws.mean(first), tuple(changes))


def _same_people(first: F64, other: Any) -> F64:
    found = finite("run", other)
    if len(found) != len(first):
        message = f"run: expected figures of {len(first)} people as in the base, got {len(found)}"
        raise DimensionError(message, where="run")
    return np.asarray(found)


def _interval(e: Estimate) -> str:
    return f"{e.value:+.3f} [{e.low:+.3f}, {e.high:+.3f}]"
