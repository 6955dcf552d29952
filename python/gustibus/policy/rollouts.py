"""Sampled responses as training signal: advantages of tokens, and the clipped losses of PPO.

Source: Schulman et al. 2016, arXiv 1506.02438 (advantages); Schulman et al. 2017, arXiv 1707.06347
(clipping); Ivison et al. 2024, "Unpacking DPO and PPO", arXiv 2406.09279 (settings).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from gustibus.data.arrays import number
from gustibus.errors import InputError
from gustibus.methods import method
from gustibus.objectives.tensors import takes

_TESTS = "tests/unit/test_policy_rollouts.py"


class Returns(NamedTuple):
    """What `gae` gives, all `(*b, t)`."""

    advantages: Any
    returns: Any
    """What the value model should have said: advantages plus values."""


@method(
    "OPS",
    source="Schulman et al. 2016, arXiv 1506.02438, equation 16",
    purpose="advantages of the tokens of a response from rewards and a value model",
    check=f"{_TESTS}::test_worked_numbers",
    example="ops.gae(rewards=[-0.01, 0.02, 0.5], values=[0.1, 0.2, 0.15])",
)
@takes(rewards="*b t+", values="*b t+", mask="bool *b t+")
def gae(
    rewards: Any, values: Any, gamma: float = 1.0, lam: float = 0.95, mask: Any = None
) -> Returns:
    """`A_t = delta_t + gamma lam A_(t+1)` with `delta_t = r_t + gamma V_(t+1) - V_t`.

    Args:
        rewards: `(*b, t)` of the tokens.
        values: `(*b, t)` before each token; after the last one the value is 0.
        gamma: discount in `[0, 1]`.
        lam: in `[0, 1]`; 0 trusts the values, 1 the rewards.
        mask: `(*b, t)` whether a token counts, padding last; all when None. Others get 0.

    Returns:
        Advantages and returns.
    """
    gamma = number("gamma", gamma, low=0, high=1)
    decay = gamma * number("lam", lam, low=0, high=1)
    if mask is not None:
        rewards, values = torch.where(mask, rewards, 0.0), torch.where(mask, values, 0.0)
    after = torch.nn.functional.pad(values[..., 1:], (0, 1))
    delta = rewards + gamma * after - values  # (*b, t)
    advantage = torch.zeros_like(delta[..., 0])
    found = []
    for t in reversed(range(delta.shape[-1])):
        advantage = delta[..., t] + decay * advantage
        found.append(advantage)
    advantages = torch.stack(found[::-1], -1) if found else delta
    return Returns(advantages, advantages + values)


@method(
    "OPS",
    source="Schulman et al. 2017, arXiv 1707.06347, equation 7",
    purpose="policy loss of PPO: gains of moves beyond the clip are not counted",
    check=f"{_TESTS}::test_gains_beyond_the_clip_have_no_gradient",
    example="ops.ppo_policy_terms(ratio=[0.7, 1.0, 1.5], adv=[1.0, -0.5, 2.0])",
)
@takes(ratio="*b", adv="*b")
def ppo_policy_terms(ratio: Any, adv: Any, clip: float = 0.2) -> Any:
    """`max(-A ratio, -A clip(ratio, 1 - clip, 1 + clip))`.

    Args:
        ratio: `(*b)` probability of the token now over that when it was sampled, at least 0.
        adv: `(*b)` advantages.
        clip: in `(0, 1)`.

    Returns:
        `(*b)`.
    """
    if (ratio < 0).any():
        message = f"ratio: expected numbers of at least 0, got {ratio.min().item():g}"
        raise InputError(message, where="ratio")
    clip = number("clip", clip, low=0, high=1, open_ends="()")
    return torch.maximum(-adv * ratio, -adv * ratio.clamp(1 - clip, 1 + clip))


@method(
    "OPS",
    source="Schulman et al. 2017, arXiv 1707.06347; clipping and weight as in Ivison et al. 2024, "
    "arXiv 2406.09279",
    purpose="loss of the value model of PPO",
    check=f"{_TESTS}::test_the_value_loss_is_the_worse_of_two",
    example="ops.ppo_value_terms(values=[0.5, 1.4], old_values=[0.1, 1.0], returns=[0.6, 0.9])",
)
@takes(values="*b", old_values="*b", returns="*b")
def ppo_value_terms(values: Any, old_values: Any, returns: Any, clip: float = 0.2) -> Any:
    """`max((v - R)^2, (v_clip - R)^2) / 2` with v kept within `clip` of what it was.

    Args:
        values: `(*b)` of the value model now.
        old_values: `(*b)` when the responses were sampled.
        returns: `(*b)` of `gae`.
        clip: above 0.

    Returns:
        `(*b)`; PPO adds 0.1 times its mean to the policy loss.
    """
    clip = number("clip", clip, low=0, open_ends="(")
    near = old_values + (values - old_values).clamp(-clip, clip)
    return torch.maximum((values - returns) ** 2, (near - returns) ** 2) / 2


@method(
    "OPS",
    source="Ivison et al. 2024, arXiv 2406.09279",
    purpose="advantages of a batch on one scale",
    check=f"{_TESTS}::test_whitening_leaves_padding_alone",
    example="ops.whiten(x=[[0.3, -0.1], [0.8, 0.0]])",
)
@takes(x="*b t", mask="bool *b t")
def whiten(x: Any, mask: Any = None, eps: float = 1e-8) -> Any:
    """`(x - mean) / sqrt(var + eps)` over all entries of the batch that count; others get 0.

    Args:
        x: `(*b, t)`.
        mask: `(*b, t)` whether an entry counts; all when None.
        eps: added to the population variance, above 0.

    Returns:
        `(*b, t)`.
    """
    counted = torch.ones_like(x, dtype=torch.bool) if mask is None else mask.expand_as(x)
    n = counted.sum().clamp(min=1)
    centred = torch.where(counted, x - torch.where(counted, x, 0.0).sum() / n, 0.0)
    return centred / ((centred**2).sum() / n + number("eps", eps, low=0, open_ends="(")).sqrt()


@method(
    "OPS",
    source="Ivison et al. 2024, arXiv 2406.09279",
    purpose="rewards of tokens: a penalty for leaving the reference, and the score at the end",
    check=f"{_TESTS}::test_a_response_without_an_end_gets_the_penalty_for_it",
    example="ops.token_rewards(score=[1.2], ended=[True], logp=[[-1, -2]], ref_logp=[[-1, -1.5]])",
)
@takes(score="b", ended="bool b", logp="b t", ref_logp="b t", mask="bool b t")
def token_rewards(
    score: Any,
    ended: Any,
    logp: Any,
    ref_logp: Any,
    mask: Any = None,
    kl_coef: float = 0.05,
    unfinished: float = -10.0,
) -> Any:
    """`-kl_coef (log pi - log pi_ref)` at each token, and the score at the last one.

    Args:
        score: `(b,)` rewards of the whole responses.
        ended: `(b,)` whether the response came to its end.
        logp: `(b, t)` log-probabilities of the tokens when they were sampled.
        ref_logp: `(b, t)` under the reference.
        mask: `(b, t)` whether a token counts, padding last; all when None. Others get 0.
        kl_coef: at least 0; 0.0325 under a large reward model.
        unfinished: score of a response that did not come to its end.

    Returns:
        `(b, t)`.
    """
    counted = torch.ones_like(logp, dtype=torch.bool) if mask is None else mask
    penalty = -number("kl_coef", kl_coef, low=0) * (logp - ref_logp)
    last = counted & (counted.cumsum(-1) == counted.sum(-1, keepdim=True))  # (b, t)
    final = torch.where(ended, score, number("unfinished", unfinished))[:, None]
    return torch.where(counted, penalty, 0.0) + _at(last, final)


def _at(place: Tensor, value: Tensor) -> Tensor:
    return torch.where(place, value, 0.0)
