"""Conversion of arrays, and moments of mixtures."""

from __future__ import annotations

from typing import Any

import numpy as np

from gustibus.errors import InputError
from gustibus.types import F64, doubles


def floats(name: str, values: Any) -> F64:
    """A contiguous array of doubles."""
    try:
        return np.ascontiguousarray(doubles(values))
    except (TypeError, ValueError) as error:
        message = f"{name}: expected numbers, got {type(values).__name__}: {error}"
        raise InputError(message) from error


def mixture(weights: Any, means: Any, covariances: Any) -> tuple[F64, F64, F64]:
    """The parts of a mixture of Gaussians, as the compiled core takes them."""
    return floats("weights", weights), floats("means", means), floats("covariances", covariances)


def mixture_mean(weights: F64, means: F64) -> F64:
    """`(*b, g) (*b, g, u) -> (*b, u)`."""
    if weights.shape[-1] == 1:
        return means[..., 0, :]
    mean: F64 = np.einsum("...g,...gu->...u", weights, means)
    return mean


def mixture_covariance(weights: F64, means: F64, covariances: F64) -> F64:
    """`(*b, g) (*b, g, u) (*b, g, u, u) -> (*b, u, u)`."""
    if weights.shape[-1] == 1:
        return covariances[..., 0, :, :]
    centred = means - mixture_mean(weights, means)[..., None, :]
    within: F64 = np.einsum("...g,...guv->...uv", weights, covariances)
    between: F64 = np.einsum("...g,...gu,...gv->...uv", weights, centred, centred)
    return within + between


def softmax(logits: F64) -> F64:
    """`(n,) -> (n,)`, sums to one."""
    weights: F64 = np.exp(logits - logits.max())
    weights /= weights.sum()
    return weights
