"""Rewards as numpy arrays or as torch tensors: checked once, then one formula serves both."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from gustibus.errors import InputError, NotFiniteError


def is_tensor(value: Any) -> bool:
    """Whether a value is a torch tensor; never imports torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def arrays(**values: Any) -> tuple[Any, ...]:
    """The module whose functions apply (numpy or torch), and each value as an array of it.

    One tensor makes tensors of all, of its type and on its device; otherwise all become float64.

    Raises:
        InputError: a value is no number or array of numbers.
        NotFiniteError: a value holds NaN or infinity.
    """
    like = next((value for value in values.values() if is_tensor(value)), None)
    if like is None:
        return np, *(_array(name, value) for name, value in values.items())
    import torch

    if not like.is_floating_point():
        like = like.to(torch.get_default_dtype())
    return torch, *(_tensor(name, value, like) for name, value in values.items())


def _array(name: str, value: Any) -> Any:
    try:
        found = np.asarray(value, np.float64)
    except (TypeError, ValueError) as error:
        message = f"{name}: expected numbers, got {type(value).__name__}: {error}"
        raise InputError(message, where=name) from None
    wrong = ~np.isfinite(found)
    if wrong.any():
        raise _not_finite(name, found[wrong].flat[0])
    return found


def _tensor(name: str, value: Any, like: Any) -> Any:
    import torch

    try:
        found = torch.as_tensor(value, dtype=like.dtype, device=like.device)
    except (TypeError, ValueError, RuntimeError) as error:
        message = f"{name}: expected numbers, got {type(value).__name__}: {error}"
        raise InputError(message, where=name) from None
    wrong = ~torch.isfinite(found.detach())
    if bool(wrong.any()):
        raise _not_finite(name, float(found.detach()[wrong].flatten()[0]))
    return found


def _not_finite(name: str, value: float) -> NotFiniteError:
    return NotFiniteError(f"{name}: expected finite numbers, got {value}", where=name)


def log_sigmoid(xp: Any, z: Any) -> Any:
    """`log sigma(z)` without overflow."""
    return -xp.logaddexp(xp.zeros_like(z), -z)


def sigmoid(xp: Any, z: Any) -> Any:
    """`sigma(z)`, exact in the lower tail too."""
    return xp.exp(log_sigmoid(xp, z))
