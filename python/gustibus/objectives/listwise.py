"""Losses of one ranked list: functions of scores, labels and a mask.

A list is the responses to one prompt. Members that the mask leaves out neither gain nor lose. Pairs
of equal labels say nothing, and where a loss needs an order, equal labels keep that of the input.

Source of the family: Liu et al. 2024, "LiPO: Listwise Preference Optimization through
Learning-to-Rank", arXiv 2402.01878.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

from gustibus.methods import method
from gustibus.objectives.pairwise import probability
from gustibus.objectives.tensors import takes, together
from gustibus.registry import Registry

AWAY = -1e30
"""Score of a member that is left out, where a logarithm of a sum runs over all places."""

TESTS = "tests/unit/test_objectives_listwise.py"


Listwise: TypeAlias = Callable[..., Tensor]
"""`(s, psi, mask, **options)`: scores, labels and members `(*b, n)`, or None for all, to `(*b)`."""

LISTWISE: Registry[Listwise] = Registry("listwise objective")
"""Losses by name. Their laws: `shift` (a constant on all scores changes nothing), `permutation` (nor
does another order of a list without equal labels), `ties` (nor with them), `pair` (a list of two
with labels 1 and 0 costs the log loss of its pair, times a constant)."""


def listwise(
    name: str = "", *, source: str, purpose: str, laws: tuple[str, ...], check: str
) -> Callable[[Callable[..., Tensor]], Callable[..., Any]]:
    """Decorator: a row of `LISTWISE` on tensors, and a method of the same name on plain numbers."""

    def decorate(run: Callable[..., Tensor]) -> Callable[..., Any]:
        known = name or run.__name__
        LISTWISE.add(known, source=source, laws=laws)(run)
        checked = takes(s="*b n", psi="*b n", mask="bool *b n")(run)
        example = f"ops.{known}(s=[0.4, 0.1, -0.3], psi=[0.9, 0.5, 0.1])"
        listed = method(
            "LISTWISE", source=source, purpose=purpose, check=f"{TESTS}::{check}",
            example=example, name=known, laws=laws,
        )  # fmt: skip
        return listed(checked)

    return decorate


@listwise(
    source="Liu et al. 2024, arXiv 2402.01878; Burges et al. 2005, RankNet",
    purpose="log loss of every pair that the labels order",
    laws=("shift", "permutation", "ties", "pair"),
    check="test_worked_numbers",
)
def pair_logistic(s: Tensor, psi: Tensor, mask: Tensor | None = None) -> Tensor:
    """`sum_{psi_i > psi_j} sp(-(s_i - s_j))`.

    Args:
        s: `(*b, n)` scores.
        psi: `(*b, n)` labels, higher for better.
        mask: `(*b, n)` which members there are; all when None.

    Returns:
        `(*b)`.
    """
    return (softplus(-_gaps(s)) * ordered(psi, mask)).sum((-2, -1))


@listwise(
    source="Liu et al. 2024, arXiv 2402.01878; Joachims 2002",
    purpose="hinge loss of every pair that the labels order",
    laws=("shift", "permutation", "ties"),
    check="test_worked_numbers",
)
def pair_hinge(s: Tensor, psi: Tensor, mask: Tensor | None = None) -> Tensor:
    """`sum_{psi_i > psi_j} max(0, 1 - (s_i - s_j))`; arguments as for `pair_logistic`."""
    return (torch.relu(1 - _gaps(s)) * ordered(psi, mask)).sum((-2, -1))


@listwise(
    source="Xia et al. 2008, ListMLE; Plackett 1975",
    purpose="likelihood of the whole order: the best is drawn first, then the best of the rest",
    laws=("shift", "permutation", "pair"),
    check="test_worked_numbers",
)
def list_mle(s: Tensor, psi: Tensor, mask: Tensor | None = None) -> Tensor:
    """`-sum_k [s_(k) - logsumexp_{j >= k} s_(j)]` in the order of falling labels.

    Arguments as for `pair_logistic`; only the order of the labels counts.
    """
    s, _, there = by_grade(s, psi, mask)
    return torch.where(there, suffix_lse(s, there) - s, 0).sum(-1)


@listwise(
    source="Liu et al. 2024, arXiv 2402.01878; Cao et al. 2007, ListNet",
    purpose="cross-entropy of the labels and the softmax of the scores",
    laws=("shift", "permutation", "ties", "pair"),
    check="test_worked_numbers",
)
def softmax_ce(s: Tensor, psi: Tensor, mask: Tensor | None = None) -> Tensor:
    """`-sum_j psi_j log softmax(s)_j`; the labels, at or above 0, need not add up to 1."""
    there = members(s, mask)
    log_p = torch.where(there, s, AWAY).log_softmax(-1)
    return -torch.where(there, psi * log_p, 0).sum(-1)


@listwise(
    source="Liu et al. 2024, arXiv 2402.01878",
    purpose="squared distance of every score from its label",
    laws=("permutation", "ties"),
    check="test_worked_numbers",
)
def point_mse(s: Tensor, psi: Tensor, mask: Tensor | None = None) -> Tensor:
    """`sum (psi - s)^2`."""
    return torch.where(members(s, mask), (psi - s) ** 2, 0).sum(-1)


@listwise(
    source="Liu et al. 2024, arXiv 2402.01878",
    purpose="every label as a probability that the score should foretell",
    laws=("permutation", "ties"),
    check="test_worked_numbers",
)
def point_sigmoid(s: Tensor, psi: Tensor, mask: Tensor | None = None) -> Tensor:
    """Sum of the binary cross-entropies of the labels, in `[0, 1]`, and `sigma(s)`."""
    s, psi, there = together(s, psi, members(s, mask))
    psi = probability("psi", torch.where(there, psi, 0))
    each = binary_cross_entropy_with_logits(s, psi, reduction="none")
    return torch.where(there, each, 0).sum(-1)


@listwise(
    source="Liu et al. 2024, arXiv 2402.01878; Burges 2010, LambdaRank",
    purpose="log loss of ordered pairs, each weighted by the ranking gain that it decides",
    laws=("shift", "permutation", "ties", "pair"),
    check="test_worked_numbers",
)
def lipo_lambda(s: Tensor, psi: Tensor, mask: Tensor | None = None) -> Tensor:
    """`sum_{psi_i > psi_j} Delta_ij sp(-(s_i - s_j))` with the weights of `lambda_weights`."""
    weight = swap_gains(s, psi, mask) * ordered(psi, mask)
    return (softplus(-_gaps(s)) * weight).sum((-2, -1))


@method(
    "LISTWISE",
    source="Liu et al. 2024, arXiv 2402.01878; Burges 2010, LambdaRank",
    purpose="gain in discounted cumulative gain from exchanging two members of a list",
    check=f"{TESTS}::test_lambda_weights_are_the_change_of_dcg_by_exchange",
    example="ops.lambda_weights(s=[0.4, 0.1, -0.3], psi=[0.9, 0.5, 0.1])",
)
@takes(s="*b n", psi="*b n", mask="bool *b n")
def lambda_weights(s: Any, psi: Any, mask: Any = None) -> Any:
    """`|G_i - G_j| |1 / D(tau_i) - 1 / D(tau_j)|`, `G = 2^psi - 1`, `D = ln(1 + tau)`.

    Tau is the rank by the scores themselves, 1 for the best, and a constant for gradients.

    Args:
        s: `(*b, n)` scores; equal ones rank in the order given.
        psi: `(*b, n)` labels.
        mask: `(*b, n)` which members there are; all when None.

    Returns:
        `(*b, n, n)`, symmetric, 0 beside members that are left out.
    """
    return swap_gains(s, psi, mask)


@method(
    "LISTWISE",
    source="Liu et al. 2024, arXiv 2402.01878, labels from a pairwise model",
    purpose="labels of a list from the probabilities that one member beats another",
    check=f"{TESTS}::test_labels_of_a_win_matrix_are_mean_chances",
    example="ops.win_matrix_labels(P=[[0.5, 0.9], [0.1, 0.5]])",
)
@takes(P="*b n n")
def win_matrix_labels(P: Any) -> Any:
    """`mean_j P_ij`.

    Args:
        P: `(*b, n, n)` probability in `[0, 1]` that i beats j; the diagonal counts as 1/2.

    Returns:
        `(*b, n)` labels in `[0, 1]`.
    """
    own = torch.eye(P.shape[-1], dtype=torch.bool, device=P.device)
    return torch.where(own, 0.5, probability("P", P)).mean(-1)


def members(s: Tensor, mask: Tensor | None) -> Tensor:
    """`(*b, n)` or `(n,)` which members there are."""
    return torch.ones(s.shape[-1:], dtype=torch.bool, device=s.device) if mask is None else mask


def ordered(psi: Tensor, mask: Tensor | None) -> Tensor:
    """`(*b, n, n)` pairs of members whose first has the higher label."""
    there = members(psi, mask)
    pairs = there[..., :, None] & there[..., None, :]
    return (psi[..., :, None] > psi[..., None, :]) & pairs


def by_grade(s: Tensor, psi: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Scores, labels and mask in the order of falling labels, those left out at the end."""
    s, psi, there = together(s, psi, members(s, mask))
    falling = psi.argsort(dim=-1, descending=True, stable=True)
    last = (~there).gather(-1, falling).to(torch.uint8).argsort(dim=-1, stable=True)
    order = falling.gather(-1, last)
    return s.gather(-1, order), psi.gather(-1, order), there.gather(-1, order)


def suffix_lse(s: Tensor, there: Tensor) -> Tensor:
    """`(*b, n)` logarithm of the sum of exponentials from each place to the end."""
    kept = torch.where(there, s, AWAY)
    return kept.flip(-1).logcumsumexp(-1).flip(-1)


def swap_gains(s: Tensor, psi: Tensor, mask: Tensor | None) -> Tensor:
    """The weights of `lambda_weights`."""
    s, psi, there = together(s.detach(), psi, members(s, mask))
    best_first = torch.where(there, s, -torch.inf).argsort(dim=-1, descending=True, stable=True)
    rank = best_first.argsort(dim=-1) + 1  # (*b, n)
    discount = torch.where(there, 1 / torch.log1p(rank.to(s.dtype)), 0)
    gain = torch.exp2(torch.where(there, psi, 0))
    apart = _gaps(gain).abs() * _gaps(discount).abs()
    return torch.where(there[..., :, None] & there[..., None, :], apart, 0)


def _gaps(s: Tensor) -> Tensor:
    """`(*b, n) -> (*b, n, n)` differences `s_i - s_j`."""
    return s[..., :, None] - s[..., None, :]
