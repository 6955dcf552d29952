"""Terms that are added to a loss: functions of representations or scores to one number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize, softplus

from gustibus.data.arrays import number
from gustibus.errors import InputError
from gustibus.methods import method
from gustibus.objectives.tensors import takes
from gustibus.registry import Registry

TESTS = "tests/unit/test_objectives_auxiliary.py"
_SECRETS = "Wang et al. 2024, arXiv 2401.06080"
_METARM = "Dou et al. 2024, MetaRM, arXiv 2405.00438"
_SPO = "after Li et al. 2024, SPO, arXiv 2409.17791; the weights are the project's own"


Auxiliary: TypeAlias = Callable[..., Tensor]
"""`(values, labels, **options)`: representations or scores, and what they are compared with, to one
number."""

AUXILIARY: Registry[Auxiliary] = Registry("auxiliary term")
"""Terms by name. Their laws: `permutation` (rows in another order), `scale` (longer vectors), `shift`
(a constant on all scores)."""


@AUXILIARY.add("info_nce", source=_SECRETS, laws=("permutation", "scale"))
def contrast_term(values: Tensor, labels: Tensor | None, *, tau: float = 0.1) -> Tensor:
    """Mean of `info_nce` of `(b, d)` representations and their second views."""
    if labels is None:
        message = "labels: expected the second views of the representations, got none"
        raise InputError(message, where="labels")
    return _contrast(values, labels, tau).mean()


@AUXILIARY.add("degree_ce", source=_SPO, laws=("permutation", "shift"))
def degree_term(values: Tensor, labels: Tensor | None) -> Tensor:
    """Mean of `degree_ce` of `(b, n)` logits and `(b,)` degrees."""
    if labels is None:
        message = "labels: expected the degrees of the rows, got none"
        raise InputError(message, where="labels")
    return cross_entropy(values, labels)


@AUXILIARY.add("metarm_spread", source=_METARM, laws=("permutation", "shift"))
def spread_term(values: Tensor, labels: Tensor | None = None) -> Tensor:
    """Minus the mean spread of `(*b, k)` scores, since it is to be made large; labels are not read."""
    del labels
    return -_spread(values).mean()


@method(
    "AUXILIARY",
    source=f"{_SECRETS}; van den Oord et al. 2018, arXiv 1807.03748",
    purpose="two views of a representation should be nearer to each other than to other rows",
    check=f"{TESTS}::test_contrast_has_the_worked_numbers",
    example="ops.info_nce(h=[[1, 0], [0, 1]], h_pos=[[0.8, 0.6], [0, 2]], tau=0.5)",
)
@takes(h="n d", h_pos="n d")
def info_nce(h: Any, h_pos: Any, tau: float = 0.1) -> Any:
    """`-log [exp(cos(h_i, h_i+) / tau) / sum_j exp(cos(h_i, h_j+) / tau)]`.

    Args:
        h: `(n, d)` representations of responses, or of differences of a pair.
        h_pos: `(n, d)` second views of them, such as another draw of dropout.
        tau: temperature, above 0.

    Returns:
        `(n,)`; 0 where there is one row.
    """
    return _contrast(h, h_pos, tau)


@method(
    "AUXILIARY",
    source=_METARM,
    purpose="how far a reward model tells apart the responses of the current policy",
    check=f"{TESTS}::test_spread_has_the_worked_number_and_bounds",
    example="ops.metarm_spread(scores=[0.2, -0.1, 0.9])",
)
@takes(scores="*b k+")
def metarm_spread(scores: Any) -> Any:
    """`(2 / k^2) sum_{i < j} sigma(|s_i - s_j|)`.

    Args:
        scores: `(*b, k)` of k responses to one prompt.

    Returns:
        `(*b)`, from `(k - 1) / (2 k)` to `(k - 1) / k`.
    """
    return _spread(scores)


@method(
    "AUXILIARY",
    source=_METARM,
    purpose="a step on the loss, with its gradient taken where responses are told apart better",
    check=f"{TESTS}::test_meta_step_takes_the_gradient_after_the_ascent",
    example="ops.metarm_step([1.0], lambda t: (t**2).sum(), lambda t: t.sum(), eta=0.1, alpha=0.5)",
)
@takes(theta="*b")
def metarm_step(
    theta: Any,
    spread: Callable[[Tensor], Tensor],
    loss: Callable[[Tensor], Tensor],
    eta: float,
    alpha: float,
) -> Any:
    """`theta - alpha grad loss(theta')`, `theta' = theta + eta grad spread(theta)`.

    Args:
        theta: parameters, as one tensor of any shape.
        spread: of theta, to one number: the spread of the current policy's responses.
        loss: of theta, to one number.
        eta: length of the ascent, at or above 0.
        alpha: learning rate, at or above 0.

    Returns:
        The new parameters, without a graph.
    """
    eta, alpha = number("eta", eta, low=0), number("alpha", alpha, low=0)
    ahead = theta.detach() + eta * _gradient(spread, theta)
    return theta.detach() - alpha * _gradient(loss, ahead)


@method(
    "AUXILIARY",
    source=_SPO,
    purpose="which share of its key content a response has lost",
    check=f"{TESTS}::test_degrees_have_the_worked_number",
    example="ops.degree_ce(logits=[0.2, -0.1, 0.6, 0], degree=2)",
)
@takes(logits="*b n", degree="int *b")
def degree_ce(logits: Any, degree: Any) -> Any:
    """Cross-entropy of `(*b, n)` logits at the true degrees `(*b)`, each from 0 to `n - 1`.

    Returns:
        `(*b)`; `ln n` for equal logits.

    Raises:
        InputError: a degree is no class.
    """
    n = logits.shape[-1]
    if ((degree < 0) | (degree >= n)).any():
        message = f"degree: expected whole numbers from 0 to {n - 1}, got {degree.tolist()}"
        raise InputError(message, where="degree")
    degree = degree.expand(logits.shape[:-1])
    return -logits.log_softmax(-1).gather(-1, degree[..., None])[..., 0]


@method(
    "AUXILIARY",
    source=_SPO,
    purpose="an alignment loss together with the degree losses of both sides",
    check=f"{TESTS}::test_degrees_without_weight_leave_the_alignment_loss",
    example="ops.spo_total(align=[0.5], ce_w=[1.2], ce_l=[1.3], gamma=0.1, alpha=0.1)",
)
@takes(align="*b", ce_w="*b", ce_l="*b")
def spo_total(align: Any, ce_w: Any, ce_l: Any, gamma: float = 0.1, alpha: float = 0.1) -> Any:
    """`align + gamma ce_w + alpha ce_l`.

    Args:
        align: `(*b)` loss of the pairs, such as `dpo`.
        ce_w: `(*b)` degree losses of the variants of the preferred responses.
        ce_l: `(*b)` of the others.
        gamma: weight of the first, at or above 0.
        alpha: weight of the second, at or above 0.

    Returns:
        `(*b)`.
    """
    return align + number("gamma", gamma, low=0) * ce_w + number("alpha", alpha, low=0) * ce_l


@method(
    "AUXILIARY",
    source="Li et al. 2024, Themis, arXiv 2310.01045",
    purpose="a reward model that writes a trace of tool calls before it scores",
    check=f"{TESTS}::test_traces_and_pairs_have_the_worked_number",
    example="ops.tool_rm_total(lm=1.25, r_w=[0.4, 1], r_l=[0.1, 1.2])",
)
@takes(lm="", r_w="*b", r_l="*b")
def tool_rm_total(lm: Any, r_w: Any, r_l: Any, rank_weight: float = 0.5) -> Any:
    """`lm + rank_weight mean sp(-(r_w - r_l))`.

    Args:
        lm: mean loss of the language model on the trace. Leave out what tools answered: it is read,
            not written.
        r_w: `(*b)` rewards of the preferred responses.
        r_l: `(*b)` of the others.
        rank_weight: of the pairs, at or above 0; 0.5 is the released one.

    Returns:
        One number.
    """
    if r_w.numel() == 0:
        message = "r_w: expected the reward of at least one preferred response, got none"
        raise InputError(message, where="r_w")
    return lm + number("rank_weight", rank_weight, low=0) * softplus(r_l - r_w).mean()


@method(
    "AUXILIARY",
    source="Zhang et al. 2024, General Preference Optimization, arXiv 2410.02197",
    purpose="log-ratio of a policy to its last iterate, fitted to how often a response wins",
    check=f"{TESTS}::test_regression_on_scores_is_least_at_the_score",
    example="ops.gpo_regression(logratio=[0.2, -0.1], score=[0.3, -0.3], beta=1)",
)
@takes(logratio="*b", score="*b")
def gpo_regression(logratio: Any, score: Any, beta: float) -> Any:
    """`(logratio - score / beta)^2`.

    Args:
        logratio: `(*b)` `log pi - log pi_t` of responses.
        score: `(*b)` mean preference score of each against the policy's own samples. Scores of pairs
            are antisymmetric, so that those of a group are centred already.
        beta: strength of the pull towards the last iterate, above 0.

    Returns:
        `(*b)`.
    """
    return (logratio - score / number("beta", beta, low=0, open_ends="(")) ** 2


def _contrast(h: Tensor, h_pos: Tensor, tau: float) -> Tensor:
    like = (
        normalize(h, dim=-1) @ normalize(h_pos, dim=-1).T / number("tau", tau, low=0, open_ends="(")
    )
    return like.logsumexp(-1) - like.diagonal()


def _spread(scores: Tensor) -> Tensor:
    k = scores.shape[-1]
    first, second = torch.triu_indices(k, k, 1, device=scores.device)
    apart = (scores[..., first] - scores[..., second]).abs()
    return 2 / k**2 * torch.sigmoid(apart).sum(-1)


def _gradient(function: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    point = at.detach().requires_grad_()
    return torch.autograd.grad(function(point), point)[0]
