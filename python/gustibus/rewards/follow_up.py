"""How likely a satisfied next turn is: a reward that needs a language model and no labels.

A response is good where a user is more likely to follow it with satisfaction than with complaint.
Works in two directions: a scorer of responses, by follow-ups that nobody said, and a label of
responses, by the turn that the person really said next (`gustibus.rewards.implicit`).

Source: Zhang et al. 2024, Aligning Language Models Using Follow-up Likelihood as Reward Signal, arXiv
2409.13948.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gustibus.data.arrays import number
from gustibus.errors import InputError
from gustibus.methods import method
from gustibus.rewards.arrays import arrays
from gustibus.rewards.follow_up_lists import FOLLOW_UPS

LogProbs = Callable[[Sequence[str]], Sequence[Any]]
"""From follow-ups to the log-probabilities of the tokens of each, given what was said before."""

_PAPER = "Zhang et al. 2024, Follow-up Likelihood as Reward, arXiv 2409.13948"


@method(
    "OPS",
    source=f"{_PAPER}; log-probabilities of the follow-up's own tokens, where the code averages logits",
    purpose="reward of a response from how likely satisfied and dissatisfied next turns are",
    check="tests/unit/test_rewards_follow_up.py::test_worked_number",
    example="ops.follow_up_reward(pos=[[-0.2, -0.8]], neg=[[-1.6]])",
)
def follow_up_reward(pos: Sequence[Any], neg: Sequence[Any]) -> float:
    """Mean over positive follow-ups of their mean log-probability a token, less that of negative ones.

    Args:
        pos: for each positive follow-up the log-probabilities of its tokens, or their mean.
        neg: likewise for negative ones.

    Returns:
        In nats a token.

    Raises:
        InputError: a side is empty, a follow-up has no token, or a log-probability is above 0.
        NotFiniteError: NaN or infinity among them.
    """
    return _mean("pos", pos) - _mean("neg", neg)


def follow_up_scores(
    log_probs: LogProbs, *, lists: Mapping[str, tuple[Sequence[str], Sequence[str]]] = FOLLOW_UPS
) -> dict[str, float]:
    """`follow_up_reward` of one response in every dimension, and their mean as `overall`.

    Args:
        log_probs: given the conversation up to the response; see `gustibus.rewards.causal`.
        lists: positive and negative follow-ups of each dimension.

    Raises:
        InputError: there is no dimension, or what `log_probs` gives is wrong.
    """
    if not lists:
        message = "lists: expected at least one dimension, got none"
        raise InputError(message, where="lists")
    said = [turn for pos, neg in lists.values() for turn in (*pos, *neg)]
    given = list(log_probs(said))
    if len(given) != len(said):
        message = f"log_probs: expected those of {len(said)} follow-ups, got {len(given)}"
        raise InputError(message, where="log_probs")
    rest = iter(given)
    scores = {}
    for name, (pos, neg) in lists.items():
        sides = [[next(rest) for _ in side] for side in (pos, neg)]
        scores[name] = follow_up_reward(*sides)
    return {**scores, "overall": float(np.mean(list(scores.values())))}


class Mined(NamedTuple):
    """A pair of a policy's own samples, by number."""

    chosen: int
    rejected: int


@method(
    "OPS",
    source=f"{_PAPER}, mining; the least gap is the project's own",
    purpose="a training pair from a policy's own samples",
    check="tests/unit/test_rewards_follow_up.py::test_the_best_is_mined_against_the_worst",
    example="ops.mine_pair(rewards=[0.1, 0.9, -0.4], min_gap=0.5)",
)
def mine_pair(rewards: Any, min_gap: float) -> Mined | None:
    """The best of `(n,)` samples against the worst; None where they are less than `min_gap` apart.

    Equal rewards keep the lower number; one sample gives no pair.

    Raises:
        InputError: there is no sample, or the gap is below 0.
    """
    min_gap = number("min_gap", min_gap, low=0)
    _, values = arrays(rewards=rewards)
    if values.ndim != 1 or not values.size:
        message = f"rewards: expected shape (n,), n above 0, got {tuple(values.shape)}"
        raise InputError(message, where="rewards")
    best, worst = int(values.argmax()), int(values.argmin())
    gap = float(values[best] - values[worst])
    return Mined(best, worst) if gap > 0 and gap >= min_gap else None


def _mean(name: str, turns: Sequence[Any]) -> float:
    if not len(turns):
        message = f"{name}: expected at least one follow-up, got none"
        raise InputError(message, where=name)
    means = []
    for turn in turns:
        _, tokens = arrays(**{name: turn})
        if not np.size(tokens):
            message = f"{name}: expected at least one token a follow-up, got none"
            raise InputError(message, where=name)
        if float(tokens.max()) > 0:
            message = f"{name}: expected log-probabilities of at most 0, got {float(tokens.max())}"
            raise InputError(message, where=name)
        means.append(float(tokens.mean()))
    return float(np.mean(means))
