"""Losses of one comparison: functions of its margin, and of the probability that a is preferred.

A margin is what a model says for a against b: a difference of rewards, of implicit rewards
`beta (log pi - log pi_ref)`, or of any other scores. Rows of `PAIRWISE` take tensors and are what a
training loop calls; the functions beside them are listed as methods, and take plain numbers too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import softplus

from gustibus.data.arrays import number
from gustibus.errors import InputError
from gustibus.methods import method
from gustibus.objectives.tensors import takes
from gustibus.registry import Registry

Pairwise: TypeAlias = Callable[..., Tensor]
"""`(margin, target, **options)`: margins in favour of a and chances that a is preferred, `(*b)` each,
to one loss a comparison `(*b)`, not averaged."""

PAIRWISE: Registry[Pairwise] = Registry("pairwise objective")
"""Losses by name. Their laws: `swap` (exchanging the sides changes nothing), `monotone` (a larger
margin never costs more where a is preferred), `convex`, `bounded` (never below 0), `log_odds` (the
minimiser is the log-odds that a is preferred, of the labels as they are before flips)."""

_RICH = ("swap", "monotone", "convex", "bounded", "log_odds")


@PAIRWISE.add("bt_pair", source="Bradley & Terry 1952", laws=_RICH)
def logistic(margin: Tensor, target: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
    """`t sp(-m) + (1 - t) sp(m)`: cross-entropy of the Bradley-Terry probability.

    Label smoothing e replaces t by `(1 - e) t + e (1 - t)`, whose minimiser is no longer the
    log-odds of t.

    Args:
        margin: `(*b)` in log-odds.
        target: `(*b)` in `[0, 1]`.
        label_smoothing: in `[0, 1]`.
    """
    e = number("label_smoothing", label_smoothing, low=0, high=1)
    t = target if e == 0 else (1 - e) * target + e * (1 - target)
    return t * softplus(-margin) + (1 - t) * softplus(margin)


@PAIRWISE.add(
    "rdpo",
    source="Chowdhury et al. 2024, arXiv 2403.00409",
    laws=("swap", "monotone", "convex", "log_odds"),
)
def robust(margin: Tensor, target: Tensor, *, eps: float = 0.1) -> Tensor:
    """The log loss that clean labels would have, estimated without bias from flipped ones.

    `[(1 - eps) sp(-m) - eps sp(m)] / (1 - 2 eps)` at target 1, which is `sp(-m) - c m` with
    `c = eps / (1 - 2 eps)`: the log loss and a constant push. It has no lower bound, so margins need
    a penalty, or they grow where the data are nearly separable.

    Args:
        margin: `(*b)` in log-odds.
        target: `(*b)` in `[0, 1]`, as given, flips and all.
        eps: probability that a label was flipped, in `[0, 1/2)`.
    """
    eps = number("eps", eps, low=0, high=0.5, open_ends=")")
    return logistic(margin, target) - eps / (1 - 2 * eps) * (2 * target - 1) * margin


@PAIRWISE.add(
    "ipo", source="Azar et al. 2023, arXiv 2310.12036", laws=("swap", "convex", "bounded")
)
def squared(margin: Tensor, target: Tensor, *, tau: float = 0.1) -> Tensor:
    """`(m - 1 / (2 tau))^2` at target 1: margins are pulled to one value from both sides.

    Args:
        margin: `(*b)`; of a policy the difference of log-ratios, without beta.
        target: `(*b)` in `[0, 1]`.
        tau: strength of the pull towards the reference, above 0.
    """
    goal = 1 / (2 * number("tau", tau, low=0, open_ends="("))
    return target * (margin - goal) ** 2 + (1 - target) * (margin + goal) ** 2


@PAIRWISE.add("hinge", source="Joachims 2002", laws=("swap", "monotone", "convex", "bounded"))
def hinge(margin: Tensor, target: Tensor, *, gap: float = 1.0) -> Tensor:
    """`max(0, gap - m)` at target 1.

    Args:
        margin: `(*b)`.
        target: `(*b)` in `[0, 1]`.
        gap: margin above which nothing is lost, above 0.
    """
    gap = number("gap", gap, low=0, open_ends="(")
    return target * torch.relu(gap - margin) + (1 - target) * torch.relu(gap + margin)


@PAIRWISE.add(
    "smoothed_pair",
    source="Lu et al. 2025, Smoothed Preference Optimization, arXiv 2506.02698",
    laws=("swap", "monotone", "convex", "bounded"),
)
def smoothed(margin: Tensor, target: Tensor, *, gamma: float = 1.0, beta: float = 1.0) -> Tensor:
    """`sp(-beta gamma (2 t - 1) m)`: both likelihoods averaged geometrically with weights t, 1 - t.

    At t = 1/2 it is log 2 and teaches nothing, unlike label smoothing.

    Args:
        margin: `(*b)`.
        target: `(*b)` in `[0, 1]`, such as a reward model's probability.
        gamma: contrast of the label probabilities, above 0.
        beta: scale of the margin, above 0.
    """
    scale = number("beta", beta, low=0, open_ends="(") * number(
        "gamma", gamma, low=0, open_ends="("
    )
    return softplus(-scale * (2 * target - 1) * margin)


@method(
    "PAIRWISE",
    source="Bradley & Terry 1952; margin: Wang et al. 2024, arXiv 2401.06080",
    purpose="log loss of a pair of rewards, with a margin to keep and labels to smooth",
    check="tests/unit/test_objectives_pairwise.py::test_worked_numbers",
    example="ops.bt_pair(r_w=[1.2, 0.3], r_l=[0.2, 0.9])",
)
@takes(r_w="*b", r_l="*b", margin="*b")
def bt_pair(r_w: Any, r_l: Any, margin: Any = 0.0, label_smoothing: float = 0.0) -> Any:
    """`(1 - e) sp(-z) + e sp(z)` with `z = r_w - r_l - margin`.

    Args:
        r_w: `(*b)` rewards of the preferred responses.
        r_l: `(*b)` rewards of the others.
        margin: `(*b)` or one number by which they should be apart.
        label_smoothing: e, in `[0, 1]`.

    Returns:
        `(*b)`, one loss a pair.
    """
    z = r_w - r_l - margin
    return logistic(z, torch.ones_like(z), label_smoothing=label_smoothing)


@method(
    "PAIRWISE",
    source="Wang et al. 2024, arXiv 2401.06080",
    purpose="log loss where a label is a probability",
    check="tests/unit/test_objectives_pairwise.py::test_soft_labels_are_binary_cross_entropy",
    example="ops.soft_bt(r_w=[1.2, 0.3], r_l=[0.2, 0.9], p=[0.9, 0.5])",
)
@takes(r_w="*b", r_l="*b", p="*b")
def soft_bt(r_w: Any, r_l: Any, p: Any) -> Any:
    """`p sp(-d) + (1 - p) sp(d)` with `d = r_w - r_l`.

    Args:
        r_w: `(*b)` rewards of the responses called preferred.
        r_l: `(*b)` rewards of the others.
        p: `(*b)` probability in `[0, 1]` that the label is right.

    Returns:
        `(*b)`.
    """
    return logistic(r_w - r_l, probability("p", p))


@method(
    "PAIRWISE",
    source="Wang et al. 2024, CREAM, arXiv 2410.12735",
    purpose="log loss of labels trusted as far as two iterations rank alike",
    check="tests/unit/test_objectives_pairwise.py::test_consistency_is_label_smoothing",
    example="ops.cream_pair(logits=[0.8, -0.3, 2.0], consistency=[1, 0.75, 0.5])",
)
@takes(logits="*b", consistency="*b")
def cream_pair(logits: Any, consistency: Any) -> Any:
    """`C sp(-z) + (1 - C) sp(z)`.

    Args:
        logits: `(*b)` margins z of the responses called preferred.
        consistency: `(*b)` or one number C in `[0, 1]`.

    Returns:
        `(*b)`.
    """
    return logistic(logits, probability("consistency", consistency))


@method(
    "PAIRWISE",
    source="Lu et al. 2025, Smoothed Preference Optimization, arXiv 2506.02698",
    purpose="log loss under a reward model's label probabilities; a coin flip teaches nothing",
    check="tests/unit/test_objectives_pairwise.py::test_a_coin_flip_teaches_nothing",
    example="ops.smoothed_pair(margin=[4, -2], p_w=[0.9, 0.5], gamma=1, beta=0.1)",
)
@takes(margin="*b", p_w="*b")
def smoothed_pair(margin: Any, p_w: Any, gamma: float = 1.0, beta: float = 1.0) -> Any:
    """`sp(-beta gamma (2 p_w - 1) margin)`.

    Args:
        margin: `(*b)` difference of log-ratios, or of rewards.
        p_w: `(*b)` probability in `[0, 1]` that the first is preferred.
        gamma: contrast of the probabilities, above 0.
        beta: scale of the margin, above 0.

    Returns:
        `(*b)`.
    """
    return smoothed(margin, probability("p_w", p_w), gamma=gamma, beta=beta)


@method(
    "PAIRWISE",
    source="Chowdhury et al. 2024, arXiv 2403.00409",
    purpose="slope of the robust loss in the logit: never zero, never of another sign",
    check="tests/unit/test_objectives_pairwise.py::test_slope_of_the_robust_loss_is_its_gradient",
    example="ops.rdpo_grad_logit(z=[0.3, -0.25], eps=0.2)",
)
@takes(z="*b")
def rdpo_grad_logit(z: Any, eps: float = 0.1) -> Any:
    """`-[(1 - eps) sigma(-z) + eps sigma(z)] / (1 - 2 eps)`.

    Args:
        z: `(*b)` margins of the responses called preferred.
        eps: probability that a label was flipped, in `[0, 1/2)`.

    Returns:
        `(*b)`, below 0.
    """
    eps = number("eps", eps, low=0, high=0.5, open_ends=")")
    return -torch.sigmoid(-z) - eps / (1 - 2 * eps)


def probability(name: str, value: Tensor) -> Tensor:
    """The same tensor, once it is known to lie in `[0, 1]`.

    Raises:
        InputError: a number lies outside.
    """
    outside = (value < 0) | (value > 1)
    if outside.any():
        message = f"{name}: expected probabilities in [0, 1], got {value[outside][0].item():g}"
        raise InputError(message, where=name)
    return value
