"""Losses of a list in its order: Preference Ranking Optimization, and comparisons with skips."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus

from gustibus.data.arrays import number
from gustibus.errors import InputError
from gustibus.methods import method
from gustibus.objectives.listwise import AWAY, LISTWISE, TESTS, by_grade, members, suffix_lse
from gustibus.objectives.tensors import takes

FORMS = ("pairs", "suffix_lse", "adjacent_lse")

_PRO = "Song et al. 2024, Preference Ranking Optimization, arXiv 2306.17492"
_RANKLIST = (
    "after Naini, Diaz & Busso 2025, RankList, arXiv 2508.09826; the formulas are the project's own"
)


@LISTWISE.add("pro_ranking", source=_PRO, laws=("permutation", "pair"))
def peel(s: Tensor, psi: Tensor, mask: Tensor | None = None) -> Tensor:
    """Best against the rest, again and again, at temperatures from the gaps of the labels.

    `sum_{k < K} [log(e^{s_k T_kk} + sum_{i > k} e^{s_i T_ki}) - s_k T_kk]` in the order of falling
    labels, `T_ki = psi_k - psi_i`, `T_kk = max_i T_ki`. A shift of the scores matters, since
    temperatures differ: large positive scores cost next to nothing in any order that has the worst
    last, so that scores should be log-probabilities, or be kept small by a penalty.

    Args:
        s: `(*b, n)` scores.
        psi: `(*b, n)` labels on the scale of rewards.
        mask: `(*b, n)` which members there are; all when None.

    Returns:
        `(*b)`.
    """
    s, psi, there = by_grade(s, psi, mask)
    gap = psi[..., :, None] - psi[..., None, :]  # (*b, k, i)
    rest = there[..., None, :] & _later(s)
    hottest = torch.where(rest, gap, 0).amax(-1)
    own = s * hottest
    logits = torch.where(rest, s[..., None, :] * gap, AWAY)
    logits = torch.cat([own[..., None], logits], -1)  # (*b, k, 1 + i)
    return torch.where(rest.any(-1) & there, logits.logsumexp(-1) - own, 0).sum(-1)


@method(
    "LISTWISE",
    source=_PRO,
    purpose="likelihood of a ranking of responses, sharper where their rewards are far apart",
    check=f"{TESTS}::test_preference_ranking_optimization_has_the_worked_numbers",
    example="ops.pro_ranking(mean_logps=[-1.2, -1.5, -1.1], rewards=[2, 1.2, -0.4])",
)
@takes(mean_logps="*b n+", rewards="*b n+", sum_logp_best="*b", mask="bool *b n+")
def pro_ranking(
    mean_logps: Any,
    rewards: Any = None,
    sft_coef: float = 0.0,
    sum_logp_best: Any = None,
    mask: Any = None,
) -> Any:
    """Plackett-Luce likelihood of the order, with temperatures where there are rewards.

    Without rewards the list is best first, and the loss that of `list_mle`. With `sft_coef`, the
    likelihood of the best response is learned too, weighted by `(K - 1)^2` for K members.

    Args:
        mean_logps: `(*b, n)` length-normalised log-probabilities, or scores.
        rewards: `(*b, n)` rewards, which give the order and the temperatures.
        sft_coef: weight of `-sum_logp_best`, at or above 0.
        sum_logp_best: `(*b)` log-probability of the best response, summed over its tokens.
        mask: `(*b, n)` which members there are; all when None.

    Returns:
        `(*b)`.
    """
    there = members(mean_logps, mask)
    if rewards is None:
        kept = suffix_lse(mean_logps, there) - mean_logps
        loss = torch.where(there, kept, 0).sum(-1)
    else:
        loss = peel(mean_logps, rewards, mask)
    coef = number("sft_coef", sft_coef, low=0)
    if coef == 0:
        return loss
    if sum_logp_best is None:
        message = "sum_logp_best: expected log-probabilities, as sft_coef is above 0; got none"
        raise InputError(message, where="sum_logp_best")
    return loss - coef * (there.sum(-1) - 1) ** 2 * sum_logp_best


@LISTWISE.add("ranklist", source=_RANKLIST, laws=("shift", "permutation", "pair"))
def skips(
    s: Tensor,
    psi: Tensor,
    mask: Tensor | None = None,
    *,
    max_skip: int = 1,
    form: str = "pairs",
    min_gap: float = 0.0,
) -> Tensor:
    """Neighbours in the order of falling labels, and members up to `max_skip` places apart.

    Options are those of `ranklist`; arguments as for a row of `LISTWISE`.
    """
    s, psi, there = by_grade(s, psi, mask)
    return _in_order(s, psi, there, max_skip, None, form, min_gap)


@method(
    "LISTWISE",
    source=_RANKLIST,
    purpose="comparisons of neighbours in a ranking, then of members further apart",
    check=f"{TESTS}::test_ranked_lists_have_the_worked_number",
    example="ops.ranklist(s=[1, 0.6, 0.7, -0.2], max_skip=2)",
)
@takes(s="*b n", psi="*b n", weights="k", mask="bool *b n")
def ranklist(
    s: Any,
    max_skip: int = 1,
    weights: Any = None,
    form: str = "pairs",
    psi: Any = None,
    min_gap: float = 0.0,
    mask: Any = None,
) -> Any:
    """Losses of a list that is sorted best first, or by falling labels where they are given.

    - `pairs`: `sum_{k <= max_skip} w_k mean_i sp(s_{i+k} - s_i)`.
    - `suffix_lse`: `sum_i log(1 + sum_{j > i} e^{s_j - s_i})`, the likelihood of the order.
    - `adjacent_lse`: `log(1 + sum_i e^{s_{i+1} - s_i})`.

    Args:
        s: `(*b, n)` scores.
        max_skip: places apart up to which members are compared, of the form `pairs`; raise it
            during training.
        weights: `(max_skip,)` weight of each distance; 1 when None.
        form: one of the three.
        psi: `(*b, n)` labels.
        min_gap: labels closer than it are not compared; needs labels.
        mask: `(*b, n)` which members there are; all when None. Those left out of a list without
            labels are at its end.

    Returns:
        `(*b)`.
    """
    if psi is None:
        if min_gap:
            message = f"min_gap: needs labels psi, got {min_gap!r} without them"
            raise InputError(message, where="min_gap")
        psi = torch.zeros_like(s)
    s, psi, there = by_grade(s, psi, mask)
    return _in_order(s, psi, there, max_skip, weights, form, min_gap)


def _in_order(
    s: Tensor,
    psi: Tensor,
    there: Tensor,
    max_skip: int,
    weights: Tensor | None,
    form: str,
    min_gap: float,
) -> Tensor:
    """The loss of a sorted list."""
    if form not in FORMS:
        message = f"form: expected one of {FORMS}, got {form!r}"
        raise InputError(message, where="form")
    least = number("min_gap", min_gap, low=0)
    far = (psi[..., :, None] - psi[..., None, :] >= least) & there[..., None, :] & _later(s)
    far = far & there[..., :, None]  # (*b, i, j): j comes after i, and is told apart from it
    worse = s[..., None, :] - s[..., :, None]
    if form == "suffix_lse":
        ahead = torch.where(far, worse, AWAY)
        return softplus(ahead.logsumexp(-1)).sum(-1)
    if form == "adjacent_lse":
        step, valid = (x.diagonal(1, -2, -1) for x in (worse, far))
        return softplus(torch.where(valid, step, AWAY).logsumexp(-1))
    return _with_skips(worse, far, max_skip, weights)


def _with_skips(worse: Tensor, far: Tensor, max_skip: int, weights: Tensor | None) -> Tensor:
    """`sum_k w_k` of the mean loss of members k places apart."""
    most = int(number("max_skip", max_skip, low=1))
    if most != max_skip:
        message = f"max_skip: expected a whole number, got {max_skip!r}"
        raise InputError(message, where="max_skip")
    if weights is not None and len(weights) != most:
        message = f"weights: expected shape ({most},) as max_skip is {most}, got ({len(weights)},)"
        raise InputError(message, where="weights")
    total = worse.new_zeros(worse.shape[:-2])
    for skip in range(1, min(most, worse.shape[-1] - 1) + 1):
        step, valid = (x.diagonal(skip, -2, -1) for x in (worse, far))
        count = valid.sum(-1).clamp(min=1)
        mean = torch.where(valid, softplus(step), 0).sum(-1) / count
        total = total + (mean if weights is None else weights[skip - 1] * mean)
    return total


def _later(s: Tensor) -> Tensor:
    """`(n, n)` whether j comes after i."""
    n = s.shape[-1]
    return torch.ones(n, n, dtype=torch.bool, device=s.device).triu(1)
