"""People who state what they want: a direction in the space of a model's normalised rewards.

A direction `v` has length 1, and what a response is worth along it is `v . rn`, in standard
deviations of the rewards. Whoever is not sure of the direction asks for the least that a response is
worth in a cone around it.

Source: Wang et al. 2024, "Arithmetic Control of LLMs for Diverse User Preferences: Directional
Preference Alignment with Multi-Objective Rewards", arXiv 2402.18571; arXiv 2510.20498 for
neighbouring directions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from gustibus.errors import DimensionError, InputError, UnknownNameError
from gustibus.models.base import PreferenceModel
from gustibus.models.hybrid import Hybrid
from gustibus.models.pro import Orchestrator
from gustibus.posterior import Posterior
from gustibus.types import F32, F64


def objectives(model: PreferenceModel) -> tuple[str, ...]:
    """Names of the rewards that a person may weigh; empty for a model that has none."""
    inner = model.inner if isinstance(model, Hybrid) else model
    return inner.names if isinstance(inner, Orchestrator) else ()


def direction(model: PreferenceModel, weights: Mapping[str, float] | F64) -> F64:
    """`(m,)` unit vector of stated weights; only their proportions count, and they may be negative.

    Args:
        model: of a family with objectives.
        weights: by name, 0 where there is none; or `(m,)` in the order of `objectives`.

    Raises:
        InputError: the model has no objectives, or the weights are all 0 or not finite.
        UnknownNameError: there is no such objective.
    """
    names = objectives(_with_objectives(model))
    if isinstance(weights, Mapping):
        for name in weights:
            if name not in names:
                raise UnknownNameError.of("objective", name, names)
        weights = np.array([weights.get(name, 0.0) for name in names], np.float64)
    stated = np.asarray(weights, np.float64)
    if stated.shape != (len(names),):
        message = f"weights: expected shape ({len(names)},), got {stated.shape}"
        raise DimensionError(message, where="weights")
    most = float(np.abs(stated).max())
    if not 0 < most < math.inf:
        message = f"weights: expected finite numbers, not all 0, got {stated.tolist()}"
        raise InputError(message, where="weights")
    stated = stated / most  # lengths of very large and very small numbers are then no trouble
    return np.asarray(stated / np.linalg.norm(stated))


def user_vector(model: PreferenceModel, direction: F64) -> F64:
    """`(u,)` multipliers under which a model's utility is the worth along a direction.

    Raises:
        InputError: the model weighs its rewards by the prompt, leaves one out, or has no personal
            part; `rewards` and `robust_scores` serve all of them.
    """
    found = _with_objectives(model)
    weight = found.scale * found.weights(None)[0] if not found.prompt_dim else np.zeros(1)
    if found.user_dim == 0 or not weight.all():
        message = (
            "model: no multipliers make its reward the worth along a direction on every prompt"
        )
        raise InputError(message, where="model")
    return np.asarray(direction / weight)


def rewards(model: PreferenceModel, representations: F32) -> F64:
    """`(n, r)` -> `(n, m)` normalised rewards, as representations carry them.

    Raises:
        InputError: the model has no objectives.
    """
    m = len(objectives(_with_objectives(model)))
    return np.asarray(representations[:, -m:], np.float64)


def robust_scores(rewards: F64, direction: F64, *, degrees: float) -> F64:
    """`(n,)` least worth of rewards `(n, m)` over all directions within an angle of one.

    `v . r cos b - |r - (v . r) v| sin b`, and `-|r|` where the cone holds the opposite of r. With
    `degrees` 0 it is `v . r`; one objective has no neighbouring directions.

    Raises:
        InputError: `degrees` is not in [0, 90].
    """
    _check_degrees(degrees)
    along = rewards @ direction  # (n,)
    if degrees == 0 or len(direction) == 1:
        return np.asarray(along)
    across = np.linalg.norm(rewards - along[:, None] * direction, axis=1)
    angle = math.radians(degrees)
    least = along * math.cos(angle) - across * math.sin(angle)
    opposite = np.arctan2(across, along) + angle > math.pi
    return np.where(opposite, -np.hypot(along, across), least)


def neighbours(direction: F64, *, degrees: float, count: int, seed: int) -> F64:
    """`(count, m)` unit vectors around one, spread evenly over the cap of an angle.

    `cos(b) v + sin(b) g / |g|` with g normal and across v; with one objective there is only v.

    Args:
        direction: `(m,)` of length 1.
        degrees: the widest angle, in [0, 90].
        count: how many.
        seed: of the draws.

    Raises:
        InputError: `degrees` is out of range or `count` below 0.
    """
    _check_degrees(degrees)
    if count < 0:
        message = f"count: expected at least 0, got {count}"
        raise InputError(message, where="count")
    m = len(direction)
    if m == 1:
        return np.repeat(direction[None], count, axis=0)
    rng = np.random.default_rng(seed)
    across = rng.standard_normal((count, m))
    across -= (across @ direction)[:, None] * direction
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-300)
    # the area of a narrow cap grows with the (m - 1)-th power of its angle
    angle = math.radians(degrees) * rng.random((count, 1)) ** (1 / (m - 1))
    return np.asarray(np.cos(angle) * direction + np.sin(angle) * across)


def width(model: PreferenceModel, posterior: Posterior) -> float:
    """Degrees in [0, 90] by which a person's direction is uncertain.

    The angle whose tangent is the standard deviation across the person's direction `w u` over its
    length, with the weights w of the mean prompt: 0 for somebody who is known exactly.

    Raises:
        InputError: the model has no objectives or no personal part.
    """
    found = _with_objectives(model)
    if found.user_dim == 0:
        message = "model: everybody has the same rewards here, so no direction is a person's"
        raise InputError(message, where="model")
    weight = found.weights(found.prompt_center[None] if found.prompt_dim else None)[0]
    mean = weight * posterior.mean
    length = float(np.linalg.norm(mean))
    spread = weight[:, None] * posterior.covariance * weight  # (m, m)
    along = 0.0 if length == 0 else float(mean @ spread @ mean) / length**2
    across = max(float(np.trace(spread)) - along, 0.0)
    return math.degrees(math.atan2(math.sqrt(across), length))


def _with_objectives(model: PreferenceModel) -> Orchestrator:
    inner = model.inner if isinstance(model, Hybrid) else model
    if not isinstance(inner, Orchestrator):
        message = f"weights: a model of family {model.family!r} has no objectives to weigh"
        raise InputError(message, where="weights")
    if not inner.names:
        message = "weights: this model was saved without its objectives; train it again"
        raise InputError(message, where="weights")
    return inner


def _check_degrees(degrees: float) -> None:
    if not 0 <= degrees <= 90:
        message = f"degrees: expected a number in [0, 90], got {degrees}"
        raise InputError(message, where="degrees")
