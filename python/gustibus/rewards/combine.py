"""Several rewards of one response into one number: good in all, good in any, and the baselines.

`COMBINE` holds rows `(rewards (*b, d), refs (d), weights (d) or None) -> (*b)`. References and weights
broadcast; numpy arrays and torch tensors pass alike. A combination is across the rewards of one
person; what several people want is combined by `gustibus.social`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gustibus.errors import InputError
from gustibus.methods import method
from gustibus.registry import Registry
from gustibus.rewards.arrays import arrays, log_sigmoid

Row = Callable[..., Any]
COMBINE: Registry[Row] = Registry("combination")

_PAPER = "Wang et al. 2024, Transforming and Combining Rewards for Aligning LLMs, arXiv 2402.00742"
_NUMBERS = "tests/unit/test_rewards_combine.py::test_worked_numbers"


@method(
    "COMBINE",
    into=COMBINE,
    source=f"{_PAPER}, section 4",
    purpose="log-probability that a response is good in every respect",
    check=_NUMBERS,
    example="ops.and_combine(rewards=[1.2, -0.3], refs=[0.4, 0.1])",
    laws=("monotone", "symmetric", "bounded-above"),
)
def and_combine(rewards: Any, refs: Any, weights: Any = None) -> Any:
    """`sum_k log sigma(r_k - ref_k)`: good in all respects, were they independent.

    Args:
        rewards: `(*b, d)` in log-odds.
        refs: `(d,)` rewards of a reference response.
        weights: None; all respects count alike.

    Returns:
        `(*b)`, at most the least single term.
    """
    _alike("and_combine", weights)
    xp, z, _ = _above(rewards, refs, None)
    return log_sigmoid(xp, z).sum(-1)


@method(
    "COMBINE",
    into=COMBINE,
    source="the project's own: De Morgan dual of and_combine",
    purpose="log-probability that a response is good in at least one respect",
    check=_NUMBERS,
    example="ops.or_combine(rewards=[1.2, -0.3], refs=[0.4, 0.1])",
    laws=("monotone", "symmetric", "bounded-above"),
)
def or_combine(rewards: Any, refs: Any, weights: Any = None) -> Any:
    """`log(1 - prod_k sigma(ref_k - r_k))`: good in at least one respect.

    Args:
        rewards: `(*b, d)` in log-odds.
        refs: `(d,)` rewards of a reference response.
        weights: None; all respects count alike.

    Returns:
        `(*b)`, at least the greatest single term.
    """
    _alike("or_combine", weights)
    xp, z, _ = _above(rewards, refs, None)
    each = log_sigmoid(xp, z)
    none = log_sigmoid(xp, -z).sum(-1)  # log-probability of failing in every respect
    # log(1 - e^x): as log1p(-e^x) far below 0, as log(-expm1(x)) nearer, and where x vanishes the
    # probabilities of the respects are so small that they add up
    far = xp.log1p(-xp.exp(xp.where(none < -0.5, none, none * 0 - 1)))
    close = xp.log(-xp.expm1(xp.where(none < -1e-12, none, none * 0 - 1)))
    most = xp.amax(each, -1)
    rare = most + xp.log(xp.exp(each - most[..., None]).sum(-1))
    return xp.where(none < -0.5, far, xp.where(none < -1e-12, close, rare))


@method(
    "COMBINE",
    into=COMBINE,
    source=f"{_PAPER}, section 4, with a person's weights",
    purpose="good in every respect, in the proportions that a person states",
    check=_NUMBERS,
    example="ops.weighted_log_sigmoid(rewards=[1.2, -0.3], refs=[0.4, 0.1], weights=[2, 1])",
    laws=("monotone", "symmetric", "bounded-above"),
)
def weighted_log_sigmoid(rewards: Any, refs: Any, weights: Any = None) -> Any:
    """`sum_k w_k log sigma(r_k - ref_k)`; with weights of 1 it is `and_combine`.

    Args:
        rewards: `(*b, d)` in log-odds.
        refs: `(d,)` rewards of a reference response.
        weights: `(d,)`, at or above 0; 1 each by default.
    """
    xp, z, weights = _above(rewards, refs, weights)
    return (weights * log_sigmoid(xp, z)).sum(-1)


@method(
    "COMBINE",
    into=COMBINE,
    source="the usual baseline",
    purpose="weighted sum of rewards above their references",
    check=_NUMBERS,
    example="ops.linear_sum(rewards=[1.2, -0.3], refs=[0.4, 0.1])",
    laws=("monotone", "symmetric"),
)
def linear_sum(rewards: Any, refs: Any, weights: Any = None) -> Any:
    """`sum_k w_k (r_k - ref_k)`: `(*b, d)`, `(d,)`, `(d,)` -> `(*b)`."""
    _, z, weights = _above(rewards, refs, weights)
    return (weights * z).sum(-1)


@method(
    "COMBINE",
    into=COMBINE,
    source="the usual baseline",
    purpose="the worst reward above its reference",
    check=_NUMBERS,
    example="ops.minimum(rewards=[1.2, -0.3], refs=[0.4, 0.1])",
    laws=("monotone", "symmetric"),
)
def minimum(rewards: Any, refs: Any, weights: Any = None) -> Any:
    """`min_k (r_k - ref_k)`: `(*b, d)`, `(d,)` -> `(*b)`; all respects count alike."""
    _alike("minimum", weights)
    xp, z, _ = _above(rewards, refs, None)
    return xp.amin(z, -1)


def _above(rewards: Any, refs: Any, weights: Any) -> tuple[Any, Any, Any]:
    """Module, rewards above their references, and weights of the same length."""
    xp, rewards, refs, weights = arrays(
        rewards=rewards, refs=refs, weights=1.0 if weights is None else weights
    )
    if rewards.ndim == 0 or rewards.shape[-1] == 0:
        message = f"rewards: expected shape (*b, d), d above 0, got {tuple(rewards.shape)}"
        raise InputError(message, where="rewards")
    width = rewards.shape[-1]
    for name, value in (("refs", refs), ("weights", weights)):
        if value.ndim and value.shape[-1] != width:
            message = f"{name}: expected {width}, one a reward, got {tuple(value.shape)}"
            raise InputError(message, where=name)
    if (weights < 0).any():
        message = f"weights: expected numbers of at least 0, got {float(weights.min())}"
        raise InputError(message, where="weights")
    return xp, rewards - refs, weights


def _alike(name: str, weights: Any) -> None:
    if weights is None:
        return
    _, values = arrays(weights=weights)
    if (values != 1).any():
        message = f"weights: {name!r} counts all rewards alike; use 'weighted_log_sigmoid'"
        raise InputError(message, where="weights")
