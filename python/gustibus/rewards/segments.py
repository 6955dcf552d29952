"""Rewards learned from comparisons of segments, such as excerpts of conversations.

People judge a segment by what it added up to (partial return), or by what was missed in it against
the best that could have been had from its start (regret). The best return of a state is a value
head beside the reward, linear in the state as the reward is in the step, so that either link is a
logistic regression, and the one that foretells held-out choices better can be taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gustibus.data.arrays import finite, number, one_of, same_length
from gustibus.errors import DimensionError, InputError
from gustibus.rewards.logistic import fit_weights
from gustibus.types import F64, I64

LINKS = ("regret", "partial_return")


@dataclass(frozen=True)
class Segment:
    """A stretch of steps from one state to another.

    Attributes:
        steps: `(t, d)` features of the steps, such as of the turns of an answer.
        start: `(k,)` features of the state before the first step.
        end: `(k,)` of the state after the last.
    """

    steps: F64
    start: F64
    end: F64


@dataclass(frozen=True)
class SegmentReward:
    """A reward of steps and, for the link `regret`, the best return of a state."""

    link: str
    reward: F64
    """`(d,)`: a step is worth `features @ reward`."""
    value: F64
    """`(k,)`: the best that can be had from a state is `features @ value`, up to a constant."""

    def worth(self, segments: Sequence[Segment]) -> F64:
        """`(n,)` partial returns, or regrets with their sign changed."""
        steps, states = _totals("segments", segments, len(self.reward), len(self.value))
        return np.asarray(steps @ self.reward + states @ self.value)

    def margin(self, first: Sequence[Segment], second: Sequence[Segment]) -> F64:
        """`(n,)` log-odds that the first of each pair is preferred; antisymmetric.

        Raises:
            InputError: the lists are of different lengths, or the features of other widths.
        """
        same_length(first=first, second=second)
        return self.worth(first) - self.worth(second)

    def log_likelihood(
        self, first: Sequence[Segment], second: Sequence[Segment], target: Any
    ) -> float:
        """Mean log-likelihood of choices; `target` `(n,)` is the probability of the first."""
        margin, t = self.margin(first, second), _targets(target)
        same_length(first=first, target=t)
        return float(-np.mean(np.logaddexp(0, margin) - t * margin))


def fit_segments(
    first: Sequence[Segment],
    second: Sequence[Segment],
    target: Any,
    *,
    link: str = "regret",
    ridge: float = 1.0,
) -> SegmentReward:
    """The reward, and the values, under which choices are likeliest, less a ridge.

    `P(first) = sigma(regret(second) - regret(first))` with `regret = V(start) - (sum r + V(end))`,
    or the same with the sums of the rewards alone.

    Args:
        first: `n` segments.
        second: `n` segments that they were compared with.
        target: `(n,)` probability in [0, 1] that the first was preferred.
        link: `regret` or `partial_return`, whose values are 0.
        ridge: on all weights, above 0, in units of comparisons.

    Raises:
        InputError: lists of different lengths, no segments, or a value out of range.
        DimensionError: features of different widths.

    Source: Knox et al. 2022, arXiv 2206.02231, equations 2 and 3; the linear value head is the
    project's own.
    """
    one_of("link", link, LINKS)
    pull = number("ridge", ridge, low=0, open_ends="(")
    if len(first) == 0:
        message = "first: expected at least one segment, got none"
        raise InputError(message, where="first")
    t = _targets(target)
    same_length(first=first, second=second, target=t)
    d = finite("first[0].steps", first[0].steps, dims=2).shape[1]
    k = len(finite("first[0].start", first[0].start))
    a, b = _totals("first", first, d, k), _totals("second", second, d, k)
    steps, states = a[0] - b[0], a[1] - b[1]
    used = np.concatenate([steps, states], axis=1) if link == "regret" else steps
    weights = fit_weights(used, t, pull)
    value = weights[d:] if link == "regret" else np.zeros(k)
    return SegmentReward(link, weights[:d], value)


def compare_links(
    first: Sequence[Segment],
    second: Sequence[Segment],
    target: Any,
    *,
    ridge: float = 1.0,
    folds: int = 5,
    seed: int = 0,
) -> dict[str, float]:
    """Mean log-likelihood of held-out choices under each link, by cross-validation.

    Args:
        first: as for `fit_segments`.
        second: as for `fit_segments`.
        target: as for `fit_segments`.
        ridge: as for `fit_segments`.
        folds: parts that are held out in turn, from 2 to the number of comparisons.
        seed: of the parts.
    """
    t = _targets(target)
    same_length(first=first, second=second, target=t)
    parts = int(number("folds", folds, low=2, high=max(len(t), 2)))
    fold: I64 = np.random.default_rng(seed).permutation(len(t)) % parts
    found = {}
    for link in LINKS:
        total = 0.0
        for part in range(parts):
            fitted, held = (np.flatnonzero(k).tolist() for k in (fold != part, fold == part))
            model = fit_segments(
                [first[i] for i in fitted], [second[i] for i in fitted], t[fitted],
                link=link, ridge=ridge,
            )  # fmt: skip
            total += len(held) * model.log_likelihood(
                [first[i] for i in held], [second[i] for i in held], t[held]
            )
        found[link] = total / len(t)
    return found


def _targets(target: Any) -> F64:
    return finite("target", target, low=0, high=1)


def _totals(name: str, segments: Sequence[Segment], d: int, k: int) -> tuple[F64, F64]:
    """`(n, d)` sums of the steps, and `(n, k)` ends less starts."""
    steps, states = np.zeros((len(segments), d)), np.zeros((len(segments), k))
    for row, segment in enumerate(segments):
        own = finite(f"{name}[{row}].steps", segment.steps, dims=2)
        start, end = (finite(f"{name}[{row}].{n}", getattr(segment, n)) for n in ("start", "end"))
        if own.shape[1] != d or len(start) != k or len(end) != k:
            message = (
                f"{name}: expected steps of {d} and states of {k} features, got {own.shape[1]} and "
                f"{len(start)}, {len(end)} in segment {row}"
            )
            raise DimensionError(message, where=name)
        steps[row], states[row] = own.sum(0), end - start
    return steps, states
