"""Preference losses of diffusion models: functions of denoising errors, one number a pair or list.

An error is the mean squared error of the predicted noise of one image, over channels and pixels.
Both images of a pair are noised with the same noise to the same step. `noising` makes the errors.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch.nn.functional import softplus

from gustibus.data.arrays import number
from gustibus.errors import InputError
from gustibus.methods import method
from gustibus.objectives.listwise import ordered, swap_gains
from gustibus.objectives.pairwise import probability
from gustibus.objectives.tensors import takes

_TESTS = "tests/unit/test_policy_diffusion.py"
_SMPO = "Lu et al. 2025, Smoothed Preference Optimization, arXiv 2506.02698"
_RANK = "Karthik et al. 2024, RankDPO, arXiv 2410.18013"
_NPO = "Wang et al. 2025, Self-NPO, arXiv 2505.11777"
_ERRORS = "err_w=[0.020], err_l=[0.031], ref_w=[0.022], ref_l=[0.030]"


@method(
    "OPS",
    source="Wallace et al. 2024, Diffusion-DPO, arXiv 2311.12908, equation 14",
    purpose="train a diffusion model on pairs of images",
    check=f"{_TESTS}::test_worked_numbers",
    example=f"ops.diffusion_dpo({_ERRORS}, beta=2000)",
)
@takes(err_w="*b", err_l="*b", ref_w="*b", ref_l="*b")
def diffusion_dpo(err_w: Any, err_l: Any, ref_w: Any, ref_l: Any, beta: float = 2000.0) -> Any:
    """`sp((beta / 2) [(err_w - err_l) - (ref_w - ref_l)])`.

    With noise from inversion (`ddim_invert`, `implied_noise`) it is the loss of InPO.

    Args:
        err_w: `(*b)` errors on the chosen images.
        err_l: `(*b)` on the rejected ones.
        ref_w: `(*b)` errors of the frozen reference on the chosen images.
        ref_l: `(*b)` on the rejected ones.
        beta: pull towards the reference, above 0; 2000 for Stable Diffusion 1.5, 5000 for XL.

    Returns:
        `(*b)`; log 2 where the model is the reference.
    """
    half = number("beta", beta, low=0, open_ends="(") / 2
    return softplus(half * ((err_w - err_l) - (ref_w - ref_l)))


@method(
    "OPS",
    source=_SMPO,
    purpose="how sure a reward model is of a pair, as a label",
    check=f"{_TESTS}::test_worked_numbers",
    example="ops.smoothed_label(score_w=[0.2151], score_l=[0.2042], low=0.115435, high=0.282016)",
)
@takes(score_w="*b", score_l="*b")
def smoothed_label(score_w: Any, score_l: Any, low: float, high: float) -> Any:
    """`sigma((score_w - score_l) / (high - low))`: softmax of the scores on a scale from 0 to 1.

    Args:
        score_w: `(*b)` of the chosen images.
        score_l: `(*b)` of the rejected ones.
        low: least score in the data.
        high: largest one, above `low`.

    Returns:
        `(*b)` probability that the chosen image is the better one.
    """
    low = number("low", low)
    spread = number("high", high, low=low, open_ends="(") - low
    return torch.sigmoid((score_w - score_l) / spread)


@method(
    "OPS",
    source=_SMPO,
    purpose="Diffusion-DPO under label probabilities; a coin flip teaches nothing",
    check=f"{_TESTS}::test_a_coin_flip_teaches_nothing",
    example=f"ops.smoothed_diffusion_dpo({_ERRORS}, p=[0.8], beta=2000)",
)
@takes(err_w="*b", err_l="*b", ref_w="*b", ref_l="*b", p="*b")
def smoothed_diffusion_dpo(
    err_w: Any,
    err_l: Any,
    ref_w: Any,
    ref_l: Any,
    p: Any,
    beta: float = 2000.0,
    gamma: float = 10.0,
) -> Any:
    """`sp(gamma (2 p - 1) (beta / 2) [(err_w - err_l) - (ref_w - ref_l)])`.

    Args:
        err_w: `(*b)` errors on the chosen images.
        err_l: `(*b)` on the rejected ones.
        ref_w: `(*b)` errors of the reference on the chosen images.
        ref_l: `(*b)` on the rejected ones.
        p: `(*b)` one probability a pair that the chosen image is the better one, as from
            `smoothed_label`.
        beta: pull towards the reference, above 0.
        gamma: contrast of the probabilities, above 0.

    Returns:
        `(*b)`.
    """
    half = number("beta", beta, low=0, open_ends="(") / 2
    trust = number("gamma", gamma, low=0, open_ends="(") * (2 * probability("p", p) - 1)
    return softplus(trust * half * ((err_w - err_l) - (ref_w - ref_l)))


@method(
    "OPS",
    source=f"{_RANK}; ranks by the model as in LiPO, by labels as in the printed algorithm",
    purpose="train a diffusion model on ranked lists of images",
    check=f"{_TESTS}::test_worked_numbers",
    example="ops.rank_diffusion(err=[0.3, 0.25], ref=[0.31, 0.24], phi=[0.9, 0.5], beta=5)",
)
@takes(err="*b k", ref="*b k", phi="*b k", mask="bool *b k")
def rank_diffusion(
    err: Any,
    ref: Any,
    phi: Any,
    beta: float = 2000.0,
    rank_by: Literal["model", "label"] = "model",
    mask: Any = None,
) -> Any:
    """`sum_{phi_i > phi_j} Delta_ij sp(beta (s_i - s_j))` with `s = err - ref`, lower for better.

    Args:
        err: `(*b, k)` errors on the images of a list.
        ref: `(*b, k)` errors of the reference.
        phi: `(*b, k)` labels in `[0, 1]`, higher for better.
        beta: pull towards the reference, above 0.
        rank_by: whose ranks the weights `Delta` of `lambda_weights` take: those of the `model`, or
            of the `label`.
        mask: `(*b, k)` whether an image is there; all when None.

    Returns:
        `(*b)`.
    """
    if rank_by not in ("model", "label"):
        message = f"rank_by: expected 'model' or 'label', got {rank_by!r}"
        raise InputError(message, where="rank_by")
    s = err - ref
    weight = swap_gains(-s if rank_by == "model" else phi, phi, mask) * ordered(phi, mask)
    apart = s[..., :, None] - s[..., None, :]  # (*b, k, k)
    return (weight * softplus(number("beta", beta, low=0, open_ends="(") * apart)).sum((-2, -1))


@method(
    "OPS",
    source=_RANK,
    purpose="labels of a list of images from several reward models",
    check=f"{_TESTS}::test_worked_numbers",
    example="ops.rank_labels_from_rewards(rewards=[[0.9, 0.4, 0.6], [2, 2.5, -1]])",
)
@takes(rewards="*b n k")
def rank_labels_from_rewards(rewards: Any) -> Any:
    """`wins_i / (n (k - 1))` over the comparisons with every other image by every model.

    Args:
        rewards: `(*b, n, k)` of n models for k images, at least 2; ties count half.

    Returns:
        `(*b, k)` in `[0, 1]`, whatever the scales of the models.
    """
    k = rewards.shape[-1]
    if k < 2 or rewards.shape[-2] < 1:
        message = f"rewards: expected models and at least 2 images, got {tuple(rewards.shape)}"
        raise InputError(message, where="rewards")
    ahead = torch.sign(rewards[..., :, None] - rewards[..., None, :])  # (*b, n, k, k)
    wins = ((ahead + 1) / 2).sum(-1) - 0.5  # less the tie with itself
    return wins.mean(-2) / (k - 1)


@method(
    "OPS",
    source=_NPO,
    purpose="noise a partly denoised image to a higher level again",
    check=f"{_TESTS}::test_noising_again_reaches_the_level",
    example="ops.npo_renoise(x_prev=[[0.4, -0.1]], alpha_prev=0.9, sigma_prev=0.436, "
    "alpha_s=0.6, sigma_s=0.8, noise=[[0.2, 1.0]])",
)
@takes(x_prev="*b", alpha_prev="", sigma_prev="", alpha_s="", sigma_s="", noise="*b")
def npo_renoise(
    x_prev: Any, alpha_prev: Any, sigma_prev: Any, alpha_s: Any, sigma_s: Any, noise: Any
) -> Any:
    """`alpha_s (x / alpha_prev + sqrt((sigma_s / alpha_s)^2 - (sigma_prev / alpha_prev)^2) noise)`.

    Args:
        x_prev: `(*b)` latents, `alpha_prev x_0 + sigma_prev` times noise.
        alpha_prev: share of the signal there, above 0.
        sigma_prev: level of the noise there, at least 0.
        alpha_s: share of the signal at the new level, above 0.
        sigma_s: level of the noise there; the ratio of noise to signal must not fall.
        noise: `(*b)` standard normal.

    Returns:
        `(*b)` latents at the new level.
    """
    for name, value in (("alpha_prev", alpha_prev), ("alpha_s", alpha_s)):
        if value <= 0:
            message = f"{name}: expected a number above 0, got {value.item():g}"
            raise InputError(message, where=name)
    added = (sigma_s / alpha_s) ** 2 - (sigma_prev / alpha_prev) ** 2
    if added < 0 or sigma_prev < 0 or sigma_s < 0:
        message = "sigma_s: expected at least as much noise for the signal as in sigma_prev"
        raise InputError(message, where="sigma_s")
    return alpha_s * (x_prev / alpha_prev + added.sqrt() * noise)


@method(
    "OPS",
    source=_NPO,
    purpose="regression loss that forgives large errors",
    check=f"{_TESTS}::test_the_huber_loss_is_square_near_and_linear_far",
    example="ops.pseudo_huber(a=[[0.1, 0.4]], b=[[0.0, 0.5]])",
)
@takes(a="*b", b="*b")
def pseudo_huber(a: Any, b: Any, c: float = 1e-3) -> Any:
    """Mean of `sqrt((a - b)^2 + c^2) - c` over each sample.

    Args:
        a: `(b, ...)` samples along the first axis; `(n,)` is one sample.
        b: the same shape.
        c: where square turns linear, above 0.

    Returns:
        `(b,)`, or one number for one sample.
    """
    c = number("c", c, low=0, open_ends="(")
    if a.numel() == 0:
        message = f"a: expected samples with at least one number, got shape {tuple(a.shape)}"
        raise InputError(message, where="a")
    cost = ((a - b) ** 2 + c**2).sqrt() - c
    return cost.flatten(1).mean(1) if cost.ndim > 1 else cost.mean()


@method(
    "OPS",
    source=_NPO,
    purpose="guide sampling away from a model that was trained to be bad",
    check=f"{_TESTS}::test_worked_numbers",
    example="ops.negative_guidance(pos=[0.2, 0.5], neg=[-0.1, 0.3], w=5)",
)
@takes(pos="*b", neg="*b")
def negative_guidance(pos: Any, neg: Any, w: float = 5.0) -> Any:
    """`neg + w (pos - neg)`.

    Args:
        pos: `(*b)` prediction of the good model; a reward, to subtract a bad scorer from a good one.
        neg: `(*b)` prediction of the bad one.
        w: scale; 1 is the good model alone.

    Returns:
        `(*b)`.
    """
    return neg + number("w", w) * (pos - neg)
