"""What a judge's preferences consist of: the effect of each property of a response on its choices.

Source: Li et al. 2024, "Dissecting Human and LLM Preferences", arXiv 2402.11296.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gustibus.data.arrays import above, count, dims_of, finite, flags, one_of, same_length, texts
from gustibus.errors import DimensionError, InputError
from gustibus.evaluation.probes.surface import SURFACE
from gustibus.methods import method
from gustibus.types import F64

PROPERTIES = (
    "harmless", "grammatical", "friendly", "polite", "interactive", "authoritative", "funny",
    "rhetorical", "complex wording", "supporting material", "formatted", "admits limits",
    "persuasive", "step-by-step", "informal", "non-repetitive", "clear", "relevant", "novel", "rich",
    "no minor errors", "no moderate errors", "no severe errors", "clarifies intent", "empathetic",
    "satisfies constraints", "supports stance", "corrects mistakes", "long",
)  # fmt: skip
"""The 29 of the paper, each annotated so that more of it is a larger number."""
_PAPER = "Li et al. 2024, Dissecting Human and LLM Preferences"
_STEPS, _TOLERANCE = 20_000, 1e-9
_SWEEPS, _WARM_UP = 600, 200


def property_differences(a: Any, b: Any) -> F64:
    """`(n, q)` sign of what response a has more of than b, of annotations `(n, q)` of each."""
    one, two = finite("a", a, dims=2), finite("b", b, dims=2)
    if one.shape != two.shape:
        message = f"b: expected shape {one.shape}, got {two.shape}"
        raise DimensionError(message, where="b")
    return np.sign(one - two)


@method(
    "OPS",
    source=f"{_PAPER}, effect of a property",
    purpose="Chance that a response with more of a property is preferred, all else equal",
    check="tests/methods/test_probes_properties.py::test_the_worked_effects",
    example="ops.property_effect_percent(alpha=[0, 0.25, -0.6])",
)
def property_effect_percent(alpha: Any) -> F64:
    """`100 sigma(alpha)`, any shape; 50 is indifferent."""
    z = finite("alpha", alpha, dims=dims_of("alpha", alpha))
    return np.asarray(50 * (1 + np.tanh(z / 2)), np.float64)


@method(
    "OPS",
    source=f"{_PAPER}, Bayesian logistic regression with a Laplace prior",
    purpose="Log posterior density of the effects of properties",
    check="tests/methods/test_probes_properties.py::test_the_log_posterior_worked_by_hand",
    example="ops.laplace_log_posterior(x=[[1, 0], [-1, 1]], y=[1, 0], alpha=[0.2, 0.1], scale=0.1)",
)
def laplace_log_posterior(x: Any, y: Any, alpha: Any, scale: float = 0.1) -> float:
    """`sum log-likelihood - |alpha|_1 / scale - q log(2 scale)`, without an intercept.

    Args:
        x: `(n, q)` signs of the differences of the two responses.
        y: `(n,)` 1 where the first was preferred, 0 where the second was.
        alpha: `(q,)` effects.
        scale: of the prior, above 0.
    """
    features, chosen = _data(x, y)
    effects, width = finite("alpha", alpha), above("scale", scale)
    if len(effects) != features.shape[1]:
        message = f"alpha: expected {features.shape[1]} numbers, got {len(effects)}"
        raise DimensionError(message, where="alpha")
    prior = np.abs(effects).sum() / width + len(effects) * np.log(2 * width)
    return float(-_loss(features, chosen, effects) - prior)


@method(
    "PROBES",
    source=f"{_PAPER}, posterior mean over 10 folds, or the mode",
    purpose="What a person or a judge pays for: the effect in per cent of each property",
    check="tests/methods/test_probes_properties.py::test_planted_effects_are_found_in_sign_and_order",
    example="ops.property_effects(x=[[1, 0], [-1, 1], [1, 1]], y=[1, 0, 1], properties=['long', 'clear'])",
    laws=("user_renaming", "row_order"),
)
def property_effects(
    x: Any,
    y: Any,
    *,
    properties: Sequence[str] | None = None,
    scale: float = 0.1,
    estimate: str = "mode",
    folds: int = 10,
    seed: int = 0,
) -> dict[str, float]:
    """Effect of each property in per cent; 50 for one that does not matter, or is not in the data.

    Args:
        x: `(n, q)` signs of the differences of the two responses.
        y: `(n,)` 1 where the first was preferred.
        properties: their names; by default the paper's for 29, those of `SURFACE` for as many, else
            numbers.
        scale: of the Laplace prior.
        estimate: `mode` of the posterior, deterministic and fast, or its `mean` over training folds.
        folds: over which means are averaged.
        seed: of the folds and of the sampler.
    """
    features, chosen = _data(x, y)
    q = features.shape[1]
    known: dict[int, tuple[str, ...]] = {len(PROPERTIES): PROPERTIES, len(SURFACE): tuple(SURFACE)}
    usual = known.get(q) or tuple(str(i) for i in range(q))
    labels = list(usual) if properties is None else texts("properties", properties)
    if len(labels) != q:
        message = f"properties: expected {q} names, got {len(labels)}"
        raise DimensionError(message, where="properties")
    width = above("scale", scale)
    if one_of("estimate", estimate, ("mode", "mean")) == "mode":
        alpha = _mode(features, chosen, width)
    else:
        alpha = _mean(features, chosen, width, count("folds", folds, low=2), seed)
    return dict(zip(labels, property_effect_percent(alpha).tolist(), strict=True))


def judge_similarity(first: Mapping[str, Any], second: Mapping[str, Any]) -> float:
    """Pearson correlation of two judges' effects, averaged over scenarios.

    Args:
        first: scenario to effects `(q,)` (alphas) of one judge.
        second: likewise of another, of the same scenarios.

    Raises:
        InputError: the scenarios differ, or a judge's effects are all equal.
    """
    if set(first) != set(second) or not first:
        message = f"second: expected the scenarios {sorted(first)}, got {sorted(second)}"
        raise InputError(message, where="second")
    found = []
    for scenario in first:
        one, two = finite("first", first[scenario]), finite("second", second[scenario])
        same_length(first=one, second=two)
        if np.ptp(one) == 0 or np.ptp(two) == 0:
            message = (
                f"first: expected effects that differ in scenario {scenario!r}, got equal ones"
            )
            raise InputError(message, where="first")
        found.append(float(np.corrcoef(one, two)[0, 1]))
    return float(np.mean(found))


def _data(x: Any, y: Any) -> tuple[F64, F64]:
    features, chosen = finite("x", x, dims=2), flags("y", y).astype(np.float64)
    same_length(x=features, y=chosen)
    return features, chosen


def _loss(x: F64, y: F64, alpha: F64) -> float:
    z = x @ alpha
    return float((np.logaddexp(0, z) - y * z).sum())


def _mode(x: F64, y: F64, scale: float) -> F64:
    """Effects of the highest posterior density, by accelerated proximal gradient steps.

    Source: Beck and Teboulle 2009, FISTA, with restarts where the momentum points uphill.
    """
    step = 4 / max(float(np.linalg.norm(x, 2)) ** 2, 1e-12)
    alpha = ahead = np.zeros(x.shape[1])
    pace = 1.0
    for _ in range(_STEPS):
        slope = x.T @ (0.5 * (1 + np.tanh(x @ ahead / 2)) - y)
        moved = ahead - step * slope
        new = np.sign(moved) * np.maximum(np.abs(moved) - step / scale, 0)
        if (ahead - new) @ (new - alpha) > 0:
            pace = 1.0
        faster = (1 + np.sqrt(1 + 4 * pace**2)) / 2
        ahead = new + (pace - 1) / faster * (new - alpha)
        change, alpha, pace = np.abs(new - alpha).max(), new, faster
        if change <= _TOLERANCE * step / scale:
            break
    return np.asarray(alpha, np.float64)


def _mean(x: F64, y: F64, scale: float, folds: int, seed: int) -> F64:
    """Posterior mean, averaged over the training parts of folds."""
    order = np.lexsort((*x.T, y))  # the result does not depend on the order of the rows
    x, y = x[order], y[order]
    rng = np.random.default_rng(seed)
    part = rng.permutation(len(x)) % folds
    kept = [np.flatnonzero(part != fold) for fold in range(folds)]
    return np.mean([_sampled(x[rows], y[rows], scale, rng) for rows in kept], axis=0)


def _sampled(x: F64, y: F64, scale: float, rng: np.random.Generator) -> F64:
    """Posterior mean by Metropolis steps in one effect at a time, widths set while warming up."""
    alpha = _mode(x, y, scale)
    width = np.minimum(scale, 2 / np.sqrt(1 + (x**2).sum(0) / 4))
    z = x @ alpha
    total = np.zeros_like(alpha)
    for sweep in range(_WARM_UP + _SWEEPS):
        for j in range(len(alpha)):
            tried = alpha[j] + width[j] * rng.standard_normal()
            moved = z + (tried - alpha[j]) * x[:, j]
            gain = ((np.logaddexp(0, z) - y * z) - (np.logaddexp(0, moved) - y * moved)).sum()
            gain += (abs(alpha[j]) - abs(tried)) / scale
            accepted = np.log(rng.random()) < gain
            if accepted:
                alpha[j], z = tried, moved
            if sweep < _WARM_UP:  # towards four acceptances in ten
                width[j] *= 1.1 if accepted else 0.937
        if sweep >= _WARM_UP:
            total += alpha
    return np.asarray(total / _SWEEPS, np.float64)
