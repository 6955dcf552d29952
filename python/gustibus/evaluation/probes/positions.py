"""What the order of two responses does to a judge, and verdicts that order cannot change.

A judge gives each of two responses a score; scores are aligned to the responses, not to their places.

Source: Wang et al. 2023, "Large Language Models are not Fair Evaluators", arXiv 2305.17926.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gustibus.data.arrays import count, dims_of, finite, flags, number, same_length
from gustibus.errors import DimensionError
from gustibus.methods import method
from gustibus.types import F64, Bool

_PAPER = "Wang et al. 2023, Large Language Models are not Fair Evaluators"
Judge = Callable[[str, str, str], tuple[float, float]]
"""Scores of the first and the second of two responses to a prompt, evidence written before them."""


def judge_both_orders(judge: Judge, prompt: str, a: str, b: str, *, k: int = 3) -> F64:
    """`(2k, 2)` scores of a and b: k judgements in each order, aligned to the responses.

    Source: multiple evidence calibration and balanced position calibration, sections 3.1 and 3.2.
    """
    rounds = count("k", k)
    first = [judge(prompt, a, b) for _ in range(rounds)]
    second = [judge(prompt, b, a)[::-1] for _ in range(rounds)]
    return finite("judge", [*first, *second], dims=2)


@method(
    "OPS",
    source=f"{_PAPER}, balanced position calibration",
    purpose="Scores of two responses over several judgements in both orders",
    check="tests/methods/test_probes_positions.py::test_calibrated_scores_are_means_and_ties_stay_ties",
    example="ops.position_calibrated_scores(pairs=[(8, 7), (6, 8)])",
)
def position_calibrated_scores(pairs: Any) -> F64:
    """`(*b, 2)` mean score of each response over its aligned pairs `(*b, 2k, 2)`."""
    return np.asarray(_pairs(pairs).mean(-2), np.float64)


@method(
    "PROBES",
    source=f"{_PAPER}, conflict rate",
    purpose="Share of items whose verdict changes when the two responses swap places",
    check="tests/methods/test_probes_positions.py::test_a_conflict_is_a_verdict_that_the_order_changes",
    example="ops.conflict_rate(verdict=[1, 0, -1], swapped=[1, 1, -1])",
    laws=("user_renaming", "row_order", "perfect"),
)
def conflict_rate(verdict: Any, swapped: Any) -> float:
    """Share of verdicts that differ between the orders; 0 when perfect.

    Args:
        verdict: `(n,)` sign of the preference for a, with a first: 1, 0 for a tie, or -1.
        swapped: `(n,)` likewise with b first; still the preference for a.
    """
    one, two = finite("verdict", verdict), finite("swapped", swapped)
    same_length(verdict=one, swapped=two)
    return float((np.sign(one) != np.sign(two)).mean())


@method(
    "OPS",
    source=f"{_PAPER}, balanced position diversity entropy",
    purpose="How much several judgements of one pair disagree; the top fifth goes to people",
    check="tests/methods/test_probes_positions.py::test_the_worked_entropy",
    example="ops.position_entropy(pairs=[(8, 7), (7, 7), (6, 8), (8, 6), (7, 8), (9, 6)])",
)
def position_entropy(pairs: Any) -> F64:
    """Entropy in nats of win, tie and loss over aligned score pairs; 0 when unanimous, at most ln 3.

    Args:
        pairs: `(*b, 2k, 2)`.

    Returns:
        `(*b,)`.
    """
    scores = _pairs(pairs)
    won = np.sign(scores[..., 0] - scores[..., 1])  # (*b, 2k)
    share = np.stack([(won == outcome).mean(-1) for outcome in (-1, 0, 1)])  # (3, *b)
    return np.asarray(-(share * np.log(np.where(share > 0, share, 1))).sum(0), np.float64)


@method(
    "PROBES",
    source=f"{_PAPER}, balanced position diversity entropy",
    purpose="Mean disagreement of a judge with itself over items",
    check="tests/methods/test_probes_positions.py::test_the_mean_entropy_of_a_unanimous_judge_is_zero",
    example="ops.mean_position_entropy(pairs=[[(8, 7), (6, 8)], [(9, 5), (8, 6)]])",
    laws=("user_renaming", "row_order", "perfect"),
)
def mean_position_entropy(pairs: Any) -> float:
    """Mean of `position_entropy` over items `(n, 2k, 2)`; 0 for a perfect judge."""
    return float(position_entropy(finite("pairs", pairs, dims=3)).mean())


def for_people(entropy: Any, *, share: float = 0.2) -> Bool:
    """`(n,)` the items that people should judge: the `share` with the most entropy, earliest first."""
    values = finite("entropy", entropy)
    chosen = np.zeros(len(values), np.bool_)
    some = int(np.floor(number("share", share, low=0, high=1) * len(values) + 1e-9))
    chosen[np.argsort(-values, kind="stable")[:some]] = True
    return chosen


class SideEffect(NamedTuple):
    """How often side a was chosen."""

    share: float
    """1/2 for somebody whom the side does not sway, where sides are drawn by chance."""
    low: float
    """Lower end of the 95 % interval."""
    high: float
    sways: float
    """1 where the interval excludes 1/2, else 0."""


@method(
    "PROBES",
    source="Wilson 1927, the score interval; on annotators as on judges",
    purpose="Whether a person or a judge favours the side on which a response is shown",
    check="tests/methods/test_probes_positions.py::test_a_person_who_favours_a_side_is_found",
    example="ops.side_effect(chose_a=[1, 1, 0, 1, 1, 1, 1, 0])",
    laws=("user_renaming", "row_order"),
)
def side_effect(chose_a: Any) -> SideEffect:
    """Share of answers `(n,)` that went to side a, with its interval.

    Sides have to be drawn at random, and ties left out.
    """
    chosen = flags("chose_a", chose_a)
    n, p, z = len(chosen), float(chosen.mean()), 1.959963984540054
    center = (p + z * z / (2 * n)) / (1 + z * z / n)
    reach = z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    low, high = float(center - reach), float(center + reach)
    return SideEffect(p, low, high, float(low > 0.5 or high < 0.5))


def _pairs(pairs: Any) -> F64:
    scores = finite("pairs", pairs, dims=dims_of("pairs", pairs, least=2))
    if scores.shape[-1] != 2:
        message = f"pairs: expected shape (..., 2k, 2), got {scores.shape}"
        raise DimensionError(message, where="pairs")
    return scores
