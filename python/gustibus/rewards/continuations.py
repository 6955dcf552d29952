"""The best that can still be reached, estimated from continuations, for judging excerpts by regret.

People who judge an excerpt of a conversation may count what was missed in it. That takes the best
return of the conversation before and after the excerpt. Where continuations can be sampled, it is the
expected best of n of them under the reward model itself; `gustibus.rewards.segments.fit_segments` learns
it from comparisons instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gustibus.data.arrays import count, finite
from gustibus.errors import InputError
from gustibus.methods import method
from gustibus.rewards.arrays import arrays
from gustibus.rewards.segments import LINKS, Segment, SegmentReward

Turns = Sequence[str]
Sample = Callable[[Turns, int], Sequence[Turns]]
"""From a conversation, and how many, to so many continuations of it, each to its end."""
Score = Callable[[Turns, Turns], Any]
"""From a conversation and turns that continue it to the reward of each turn, `(t,)`."""

_KNOX = "Knox et al. 2022, arXiv 2206.02231, the best return of a state"


@method(
    "OPS",
    source=f"{_KNOX}; without bias from more samples as in Chen et al. 2021, arXiv 2107.03374, eq. 1",
    purpose="the best reward that can be expected of n samples: value of a state by its continuations",
    check="tests/unit/test_rewards_continuations.py::test_the_best_of_n_has_the_worked_numbers",
    example="ops.best_of_n_value(rewards=[1.0, 2.0, 4.0], n=2)",
)
def best_of_n_value(rewards: Any, n: int | None = None) -> Any:
    """Expected best of `n` samples drawn without return from those given; of all, their best.

    `sum_i r_(i) C(i - 1, n - 1) / C(m, n)` over the rewards in rising order. Of 0 and 1 it is
    `pass_at_k`, and for `n = 1` the mean.

    Args:
        rewards: `(*b, m)` of sampled continuations, m at least 1.
        n: from 1 to m; m unless given.

    Returns:
        `(*b)`.

    Raises:
        InputError: there is no sample, or `n` is out of range.
        NotFiniteError: a reward is NaN or infinite.
    """
    xp, r = arrays(rewards=rewards)
    if r.ndim == 0 or r.shape[-1] == 0:
        message = f"rewards: expected shape (*b, m), m above 0, got {tuple(r.shape)}"
        raise InputError(message, where="rewards")
    m = int(r.shape[-1])
    best_of = m if n is None else count("n", n)
    if best_of > m:
        message = f"n: expected at most the {m} samples that there are, got {best_of}"
        raise InputError(message, where="n")
    share = np.zeros(m)  # of draws of which sample i, in rising order, is the best
    share[-1] = best_of / m
    for i in range(m - 1, best_of - 1, -1):
        share[i - 1] = share[i] * (i - best_of + 1) / i
    rising: Any = xp.sort(r, -1)
    if xp is np:
        return (rising * share).sum(-1)
    best, _ = rising  # torch gives the places too
    return (best * best.new_tensor(share)).sum(-1)


def continued_segment(
    before: Turns, turns: Turns, *, sample: Sample, score: Score, samples: int, n: int | None = None
) -> Segment:
    """An excerpt with its rewards, and the best returns before and after it by continuations.

    An excerpt is itself a way to go on from its start, so that the value of the start is at least what
    the excerpt and the best continuation of its end add up to: no regret is below 0.

    Args:
        before: the conversation up to the excerpt.
        turns: of the excerpt, at least one.
        sample: draws continuations; a conversation that is over has empty ones.
        score: the reward model, turn by turn.
        samples: continuations to draw from each of the two states.
        n: of `best_of_n_value`.

    Returns:
        Features of one reward a step, and one value a state, for `judged_by`; `fit_segments` on such
        segments finds how much people heed either.

    Raises:
        InputError: the excerpt is empty, or `sample` or `score` gives something else than is asked.
    """
    if not turns:
        message = "turns: expected at least one, got none"
        raise InputError(message, where="turns")
    wanted = count("samples", samples)

    def value(conversation: Turns) -> float:
        found = list(sample(conversation, wanted))
        if len(found) != wanted:
            message = f"sample: expected {wanted} continuations, got {len(found)}"
            raise InputError(message, where="sample")
        returns = [_rewards(score, conversation, each).sum() for each in found]
        return float(best_of_n_value(returns, n))

    rewards = _rewards(score, before, turns)
    end = value([*before, *turns])
    start = max(value(before), float(rewards.sum()) + end)
    return Segment(rewards[:, None], np.array([start]), np.array([end]))


def judged_by(link: str) -> SegmentReward:
    """Judges segments of `continued_segment` as they stand, by `regret` or by `partial_return`.

    Raises:
        InputError: there is no such link.
    """
    if link not in LINKS:
        message = f"link: expected one of {list(LINKS)}, got {link!r:.80}"
        raise InputError(message, where="link")
    return SegmentReward(link, np.ones(1), np.full(1, float(link == "regret")))


def _rewards(score: Score, conversation: Turns, turns: Turns) -> np.ndarray:
    if not len(turns):
        return np.zeros(0)
    found = finite("score", score(conversation, turns))
    if len(found) != len(turns):
        message = f"score: expected {len(turns)} rewards, one a turn, got {len(found)}"
        raise InputError(message, where="score")
    return found
