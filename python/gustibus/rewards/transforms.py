"""From a raw reward, and the rewards of reference responses, to what a policy or a ranking sees.

Every function takes and returns numpy arrays or torch tensors, and lets gradients through. `r` is
`(*b, n)` rewards of the responses in question, `refs` rewards of reference responses for the same
person: `(p,)` for all, `(*b, p)` a prompt, or `(*b, n, p)` a response. `TRANSFORMS` holds the rows
that a `Transform` or a request names: functions of `(r, refs, **options)` that return the shape of
`r`.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist
from typing import Any

from gustibus.data.arrays import number
from gustibus.errors import InputError
from gustibus.methods import method
from gustibus.registry import Registry
from gustibus.rewards.arrays import arrays, log_sigmoid, sigmoid
from gustibus.rewards.statistics import Statistics

Row = Callable[..., Any]
TRANSFORMS: Registry[Row] = Registry("transform")
"""`(r (*b, n), refs (*b, p), **options) -> (*b, n)`; `ceiling` alone reads no references."""

_LSC = "Wang et al. 2024, Transforming and Combining Rewards for Aligning LLMs, arXiv 2402.00742"
_PAR = "Fu et al. 2025, Reward Shaping to Mitigate Reward Hacking in RLHF, arXiv 2502.18770"
_NUMBERS = "tests/unit/test_rewards_transforms.py::test_worked_numbers"
_ORDER, _WEAK, _SHIFT, _SCALE = (
    "order-preserving", "weakly-order-preserving", "shift-invariant", "scale-invariant",
)  # fmt: skip
_BOUNDED, _ABOVE = "bounded", "bounded-above"
_MOST = 1e6  # options beyond it could only overflow


@method(
    "TRANSFORMS",
    source=f"{_LSC}, section 3",
    purpose="reward with diminishing returns above what the reference policy reaches",
    check=_NUMBERS,
    example="ops.lsc(r=[-1, 0.5, 4], ref=0.5)",
    laws=(_ORDER, _SHIFT, _ABOVE),
)
def lsc(r: Any, ref: Any) -> Any:
    """Log-probability of beating a reference response: `log sigma(r - ref)`.

    Slope about 1 far below the reference, about 0 far above; `-log 2` at it.

    Args:
        r: `(*b)` rewards in log-odds.
        ref: Reward of the reference, broadcast against `r`.

    Returns:
        `(*b)`, at most 0.
    """
    xp, r, ref = arrays(r=r, ref=ref)
    return log_sigmoid(xp, r - ref)


@method(
    "OPS",
    source=f"{_LSC}, section 3 (the quantile), and a published implementation (the normal form)",
    purpose="reference reward of a prompt from rewards of responses of the reference policy",
    check=_NUMBERS,
    example="ops.ref_quantile(refs=[0.1, -0.4, 0.9, 0.3, 0.6], q=0.85, method='normal')",
)
def ref_quantile(refs: Any, q: float = 0.85, method: str = "normal") -> Any:
    """A high quantile of the rewards of reference responses, prompt by prompt.

    Args:
        refs: `(*b, p)`, p at least 1.
        q: in `(0, 1)`.
        method: `normal` takes `mean + Phi^-1(q) * (sample standard deviation + 1e-5)`; `empirical`
            interpolates linearly between order statistics. A single reference is its own quantile.

    Returns:
        `(*b)`.
    """
    q = number("q", q, low=0, high=1, open_ends="()")
    xp, refs = _references(refs)
    if method == "empirical" or refs.shape[-1] == 1:
        return xp.quantile(refs, q, -1)
    if method != "normal":
        message = f"method: expected 'normal' or 'empirical', got {method!r}"
        raise InputError(message, where="method")
    mean = refs.mean(-1)
    around = ((refs - mean[..., None]) ** 2).sum(-1) / (refs.shape[-1] - 1)
    return mean + NormalDist().inv_cdf(q) * (around**0.5 + 1e-5)


@TRANSFORMS.add("lsc", source=_LSC, laws=(_ORDER, _SHIFT, _ABOVE))
def _lsc_of_quantile(r: Any, refs: Any, *, q: float = 0.85, method: str = "normal") -> Any:
    _, r, refs = _apart(r, refs)
    return lsc(r, ref_quantile(refs, q, method))


@method(
    "TRANSFORMS",
    into=TRANSFORMS,
    source=f"{_PAR}, equation of PAR",
    purpose="bounded reward: the chance to be preferred to reference responses",
    check=_NUMBERS,
    example="ops.par(r=1, refs=[0, 0.5, 2])",
    laws=(_ORDER, _SHIFT, _BOUNDED),
)
def par(r: Any, refs: Any, k: float = 1.0) -> Any:
    """Mean probability of beating the references: `mean_m sigma(k (r - ref_m))`.

    Args:
        r: `(*b, n)` or one number.
        refs: `(p,)`, `(*b, p)` or `(*b, n, p)`; ten do, one already works.
        k: steepness, above 0 and below 1e6; 1 is the reward model's own probability.

    Returns:
        The shape of `r`, in `(0, 1)`.
    """
    k = number("k", k, low=0, high=_MOST, open_ends="()")
    xp, r, refs = _apart(r, refs)
    return sigmoid(xp, k * (r[..., None] - refs)).mean(-1)


@method(
    "TRANSFORMS",
    into=TRANSFORMS,
    source=f"{_PAR}, section on centred rewards",
    purpose="reward above the mean of reference responses",
    check=_NUMBERS,
    example="ops.centred(r=[1, 2], refs=[0, 1])",
    laws=(_ORDER, _SHIFT),
)
def centred(r: Any, refs: Any) -> Any:
    """`mean_m (r - ref_m)`: `(*b, n)`, `(*b, p)` -> `(*b, n)`."""
    _, r, refs = _apart(r, refs)
    return (r[..., None] - refs).mean(-1)


@method(
    "TRANSFORMS",
    into=TRANSFORMS,
    source=f"{_PAR}, compared shapes",
    purpose="bounded reward, steep at the mean of the references",
    check=_NUMBERS,
    example="ops.tanh(r=[1, 2], refs=[0, 1])",
    laws=(_ORDER, _SHIFT, _BOUNDED),
)
def tanh(r: Any, refs: Any) -> Any:
    """Hyperbolic tangent of the centred reward, in `(-1, 1)`."""
    xp, r, refs = arrays(r=r, refs=refs)
    return xp.tanh(centred(r, refs))


@method(
    "TRANSFORMS",
    into=TRANSFORMS,
    source=f"{_PAR}, compared shapes",
    purpose="bounded reward with heavier tails than tanh",
    check=_NUMBERS,
    example="ops.arctan(r=[1, 2], refs=[0, 1])",
    laws=(_ORDER, _SHIFT, _BOUNDED),
)
def arctan(r: Any, refs: Any) -> Any:
    """Arc tangent of the centred reward, in `(-pi/2, pi/2)`."""
    xp, r, refs = arrays(r=r, refs=refs)
    return xp.arctan(centred(r, refs))


@method(
    "TRANSFORMS",
    into=TRANSFORMS,
    source=f"{_PAR}, compared shapes",
    purpose="bounded reward that is steep only well above the references",
    check=_NUMBERS,
    example="ops.shifted_sigmoid(r=[1, 2], refs=[0, 1])",
    laws=(_ORDER, _SHIFT, _BOUNDED),
)
def shifted_sigmoid(r: Any, refs: Any, shift: float = 3.0) -> Any:
    """`sigma(r - mean(refs) - shift)`, in `(0, 1)`."""
    shift = number("shift", shift, low=-1e3, high=1e3, open_ends="()")
    xp, r, refs = arrays(r=r, refs=refs)
    return sigmoid(xp, centred(r, refs) - shift)


@method(
    "TRANSFORMS",
    into=TRANSFORMS,
    source="standard scores on running statistics; population variance",
    purpose="rewards of several models or people on one scale",
    check=_NUMBERS,
    example="ops.mean_std(r=[1, 2], refs=[0, 1, 2, 3])",
    laws=(_ORDER, _SHIFT, _SCALE),
)
def mean_std(r: Any, refs: Any) -> Any:
    """`(r - mean) / std`, each prompt by its own references, or all by `Statistics`.

    Where every reference has the same reward nothing is divided, so that rewards are only centred.
    """
    _, r, mean, std, tied = _moments(r, refs)
    return (r - mean) / (std * ~tied + tied)


@method(
    "TRANSFORMS",
    into=TRANSFORMS,
    source="range scaling on running statistics",
    purpose="rewards between 0 and 1 within the range of the references",
    check=_NUMBERS,
    example="ops.min_max(r=[1, 2], refs=[0, 1, 2, 3])",
    laws=(_ORDER, _SHIFT, _SCALE),
)
def min_max(r: Any, refs: Any) -> Any:
    """`(r - low) / (high - low)`; below 0 or above 1 outside the range of the references.

    Where every reference has the same reward nothing is divided.
    """
    if isinstance(refs, Statistics):
        _, r = arrays(r=r)
        low, width = refs.low, refs.high - refs.low
        return (r - low) / (width or 1.0)
    xp, r, refs = _apart(r, refs)
    low, high = xp.amin(refs, -1), xp.amax(refs, -1)
    return (r - low) / (high - low + (high == low))


@method(
    "TRANSFORMS",
    into=TRANSFORMS,
    source="winsorising on running statistics",
    purpose="rewards held within a few standard deviations of the references",
    check=_NUMBERS,
    example="ops.clip(r=[-9, 1, 9], refs=[0, 1, 2, 3])",
    laws=(_WEAK, _BOUNDED),
)
def clip(r: Any, refs: Any, width: float = 1.0) -> Any:
    """`r` held within `mean - width * std` and `mean + width * std`."""
    width = number("width", width, low=0, high=_MOST, open_ends="()")
    xp, r, mean, std, _ = _moments(r, refs)
    return xp.minimum(xp.maximum(r, mean - width * std), mean + width * std)


@method(
    "TRANSFORMS",
    source="the project's own; a cap on what more reward is worth",
    purpose="no reward above a ceiling, so that nothing is gained by overdoing it",
    check=_NUMBERS,
    example="ops.ceiling(r=[0, 5], c=2)",
    laws=(_WEAK, _ABOVE),
)
def ceiling(r: Any, c: float) -> Any:
    """`min(r, c)`: `(*b)` -> `(*b)`."""
    c = number("c", c)
    xp, r = arrays(r=r)
    return xp.minimum(r, xp.zeros_like(r) + c)


@TRANSFORMS.add("ceiling", source="the project's own", laws=(_WEAK, _ABOVE))
def _ceiling_of_none(r: Any, refs: Any = None, *, c: float) -> Any:  # noqa: ARG001 - of every row
    return ceiling(r, c)


@method(
    "OPS",
    source="the usual penalty on length; needs lengths, so that it is no row of TRANSFORMS",
    purpose="a reward from which every token beyond a length takes a little",
    check=_NUMBERS,
    example="ops.length_penalty(r=[1.0, 1.0], length=[50, 150], limit=100)",
)
def length_penalty(r: Any, length: Any, limit: float, rate: float = 0.01) -> Any:
    """`r - rate * max(0, length - limit)`.

    Args:
        r: `(*b)`.
        length: `(*b)` of the responses, at or above 0, in tokens or any other unit.
        limit: length that is free.
        rate: reward taken for each unit beyond, at or above 0.
    """
    rate = number("rate", rate, low=0)
    limit = number("limit", limit, low=0)
    xp, r, length = arrays(r=r, length=length)
    if (length < 0).any():
        message = f"length: expected at least 0, got {float(length.min())}"
        raise InputError(message, where="length")
    if length.ndim and r.ndim and tuple(length.shape) != tuple(r.shape):
        message = f"length: expected the shape {tuple(r.shape)} of r, got {tuple(length.shape)}"
        raise InputError(message, where="length")
    return r - rate * xp.maximum(length - limit, xp.zeros_like(length))


def _references(refs: Any) -> tuple[Any, Any]:
    xp, refs = arrays(refs=refs)
    if refs.ndim == 0:
        refs = refs[None]
    if refs.shape[-1] == 0:
        message = "refs: expected at least one reward of a reference response, got none"
        raise InputError(message, where="refs")
    return xp, refs


def _apart(r: Any, refs: Any) -> tuple[Any, Any, Any]:
    """Module, `r`, and references that broadcast against `r[..., None]`."""
    xp, r, refs = arrays(r=r, refs=refs)
    _, refs = _references(refs)
    if refs.shape[:-1] == r.shape:
        return xp, r, refs
    if refs.ndim == 1 or refs.shape[:-1] == r.shape[:-1]:
        return xp, r, refs[..., None, :]
    shape = tuple(r.shape)
    message = (
        f"refs: expected shape (p,), {(*shape[:-1], 'p')} or {(*shape, 'p')} for r of shape "
        f"{shape}, got {tuple(refs.shape)}"
    )
    raise InputError(message, where="refs")


def _moments(r: Any, refs: Any) -> tuple[Any, Any, Any, Any, Any]:
    """Module, `r`, mean and population standard deviation, and whether all references are the same.

    All broadcast against `r`. Ties are told by the range: a standard deviation of equal numbers may
    come out as a rounding error above 0.
    """
    if isinstance(refs, Statistics):
        xp, r = arrays(r=r)
        zero = xp.zeros_like(r)
        return xp, r, zero + refs.mean, zero + refs.std, (zero + refs.low) == (zero + refs.high)
    xp, r, refs = _apart(r, refs)
    mean = refs.mean(-1)
    std = ((refs - mean[..., None]) ** 2).mean(-1) ** 0.5
    return xp, r, mean, std, xp.amin(refs, -1) == xp.amax(refs, -1)
