"""Groups of samples for one prompt: what each is worth compared with the others.

The last axis is the group. A group whose members are all worth the same teaches nothing and gets
advantages of exactly 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gustibus.data.arrays import number
from gustibus.errors import InputError
from gustibus.methods import method
from gustibus.objectives.tensors import takes
from gustibus.types import F64, I64

_TESTS = "tests/unit/test_policy_groups.py"


@method(
    "OPS",
    source="Shao et al. 2024, DeepSeekMath, arXiv 2402.03300, section 4.1",
    purpose="rewards of a group as advantages, without a value model",
    check=f"{_TESTS}::test_worked_numbers",
    example="ops.group_advantage(r=[1, 0, 0, 1])",
)
@takes(r="*b g+")
def group_advantage(r: Any, eps: float = 1e-6) -> Any:
    """`(r - mean) / (std + eps)` with the sample standard deviation of the group.

    Differences of any size become advantages of order one: rewards of .499 to .502 do as well.
    `group_win_rate` says what such differences are worth.

    Args:
        r: `(*b, g)` rewards.
        eps: added to the deviation, above 0.

    Returns:
        `(*b, g)`; 0 for a group without spread, or of one.
    """
    eps = number("eps", eps, low=0, open_ends="(")
    # the mean of equal numbers may differ from them by rounding, which eps would then blow up
    level = r.amax(-1, keepdim=True) == r.amin(-1, keepdim=True)  # (*b, 1)
    centred = torch.where(level, 0.0, r - r.mean(-1, keepdim=True))
    squares = (centred**2).sum(-1, keepdim=True) / max(r.shape[-1] - 1, 1)
    return centred / (torch.where(level, 1.0, squares).sqrt() + eps)


@method(
    "OPS",
    source="He et al. 2025, Rewarding the Unlikely, arXiv 2506.02355; ranks counted from 0, as in "
    "the code released with it",
    purpose="reward rare right answers more than likely ones, so that training keeps both",
    check=f"{_TESTS}::test_worked_numbers",
    example="ops.unlikeliness(rewards=[1, 0, 1, 1], mean_logps=[-0.2, -0.5, -1.4, -0.9])",
)
@takes(rewards="*b g+", mean_logps="*b g+")
def unlikeliness(rewards: Any, mean_logps: Any, beta: float = 0.25) -> Any:
    """`r_i (1 - beta rank_i / g)`, where rank 0 is the least likely member of the group.

    Args:
        rewards: `(*b, g)`, 0 for what should gain nothing.
        mean_logps: `(*b, g)` log-probabilities a token; ties keep the order they come in.
        beta: share that the likeliest loses, nearly; in `[0, 1]`.

    Returns:
        `(*b, g)`.
    """
    rank = mean_logps.argsort(dim=-1, stable=True).argsort(dim=-1)  # (*b, g)
    return rewards * (1 - number("beta", beta, low=0, high=1) / rewards.shape[-1] * rank)


@method(
    "OPS",
    source="Wang et al. 2025, Pref-GRPO, arXiv 2508.20751",
    purpose="rewards from comparisons within a group, which tiny differences of scores cannot fool",
    check=f"{_TESTS}::test_worked_numbers",
    example="ops.group_win_rate(matrix=[[0, 1, 1], [0, 0, 0.5], [0, 0.5, 0]])",
)
@takes(matrix="*b g g", compared="bool *b g g")
def group_win_rate(matrix: Any, compared: Any = None) -> Any:
    """Share of its comparisons that each member wins, ties counting half.

    Args:
        matrix: `(*b, g, g)`, at `[i, j]` 1 where i beats j, 1/2 for a tie or an unreadable verdict,
            or any probability in between; the diagonal is not read.
        compared: `(*b, g, g)` whether i was compared with j; all with all when None.

    Returns:
        `(*b, g)` in `[0, 1]`, not rounded.

    Raises:
        InputError: the group has one member, a verdict is no probability, or a member was compared
            with nobody.
    """
    g = matrix.shape[-1]
    others = ~torch.eye(g, dtype=torch.bool, device=matrix.device)
    counted = others.expand_as(matrix) if compared is None else others & compared
    outside = counted & ((matrix < 0) | (matrix > 1))
    if outside.any():
        got = matrix.masked_select(outside)[0].item()
        message = f"matrix: expected probabilities in [0, 1], got {got:g}"
        raise InputError(message, where="matrix")
    games = counted.sum(-1)
    if (games == 0).any():
        message = "compared: expected an opponent for every member of the group, got one without"
        raise InputError(message, where="compared")
    return torch.where(counted, matrix, 0.0).sum(-1) / games


@method(
    "OPS",
    source="He et al. 2025, arXiv 2506.02355",
    purpose="advantages under rewards for the unlikely",
    check=f"{_TESTS}::test_compositions_are_what_their_names_say",
    example="ops.unlikeliness_advantage(rewards=[1, 0, 1], mean_logps=[-0.2, -0.5, -1.4])",
)
def unlikeliness_advantage(
    rewards: Any, mean_logps: Any, beta: float = 0.25, eps: float = 1e-6
) -> Any:
    """`group_advantage(unlikeliness(rewards, mean_logps, beta), eps)`: `(*b, g)`."""
    return group_advantage(unlikeliness(rewards, mean_logps, beta), eps)


@method(
    "OPS",
    source="Wang et al. 2025, arXiv 2508.20751",
    purpose="advantages from comparisons within a group",
    check=f"{_TESTS}::test_compositions_are_what_their_names_say",
    example="ops.group_win_rate_advantage(matrix=[[0, 1, 1], [0, 0, 0.5], [0, 0.5, 0]])",
)
def group_win_rate_advantage(matrix: Any, compared: Any = None, eps: float = 1e-6) -> Any:
    """`group_advantage(group_win_rate(matrix, compared), eps)`: `(*b, g)`."""
    return group_advantage(group_win_rate(matrix, compared), eps)


def opponents(size: int, rounds: int, *, seed: int) -> I64:
    """`(size * rounds / 2, 2)` pairs to compare, in which every member meets `rounds` others.

    Members sit around a table in random order, and each is compared with the nearest ones: a group
    of g then costs `g rounds / 2` comparisons instead of `g (g - 1) / 2`.

    Args:
        size: members of the group, at least 2.
        rounds: opponents of each, from 1 to `size - 1`; even where `size` is odd.
        seed: of the order.

    Raises:
        InputError: there is no such plan.
    """
    possible = 1 <= rounds < size and (rounds * size) % 2 == 0
    if not possible:
        message = (
            f"rounds: expected 1 to {size - 1}, even in a group of odd size, got {rounds} of {size}"
        )
        raise InputError(message, where="rounds")
    order = np.random.default_rng(seed).permutation(size)
    seat = np.arange(size)
    near = [np.stack([seat, (seat + k) % size], 1) for k in range(1, rounds // 2 + 1)]
    across = [np.stack([seat[: size // 2], seat[: size // 2] + size // 2], 1)] * (rounds % 2)
    return order[np.concatenate([*near, *across])]


def win_matrix(
    verdicts: Mapping[tuple[int, int], float | None], size: int
) -> tuple[F64, NDArray[np.bool_]]:
    """Matrix and mask for `group_win_rate` from verdicts on pairs.

    Args:
        verdicts: by `(i, j)`, the probability that i beats j; None is a verdict that could not be
            read, and counts as a tie. Each pair once, in either order.
        size: members of the group.

    Returns:
        `(g, g)` wins, and `(g, g)` whether the two were compared.

    Raises:
        InputError: a pair names no two members, or comes twice.
    """
    wins, compared = np.zeros((size, size)), np.zeros((size, size), bool)
    for (i, j), verdict in verdicts.items():
        if i == j or not (0 <= i < size and 0 <= j < size) or compared[i, j]:
            message = f"verdicts: expected each pair of members 0 to {size - 1} once, got {(i, j)}"
            raise InputError(message, where="verdicts")
        compared[i, j] = compared[j, i] = True
        wins[i, j] = 0.5 if verdict is None else verdict
        wins[j, i] = 1 - wins[i, j]
    return wins, compared
