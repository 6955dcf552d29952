"""Iterated preference training with momentum: the next reference goes a step beyond the last policy.

Iterative DPO is a proximal-point method, and Nesterov's extrapolation speeds it up: after an
iteration took the policy from `pihat_t` to `pihat_(t+1)`, the next reference is
`pihat_(t+1) (pihat_(t+1) / pihat_t)^alpha`, normalised. For parameters that is
`theta_(t+1) + alpha (theta_(t+1) - theta_t)`: exact where log-probabilities are linear in them.

Source: He et al. 2024, "Accelerated Preference Optimization for Large Language Model Alignment",
arXiv 2410.06293.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gustibus.data.arrays import count, number
from gustibus.errors import ArtifactError, InputError, MissingExtraError
from gustibus.methods import method
from gustibus.objectives.tensors import takes
from gustibus.types import F64

_SOURCE = "He et al. 2024, Accelerated Preference Optimization, arXiv 2410.06293"
_TESTS = "tests/unit/test_policy_momentum.py"
_WEIGHTS, _CONFIG = "adapter_model.safetensors", "adapter_config.json"


@method(
    "OPS",
    source=_SOURCE,
    purpose="next reference of iterated training, with momentum",
    check=f"{_TESTS}::test_worked_numbers",
    example="ops.apo_extrapolate(p_prev=[0.5, 0.3, 0.2], p_new=[0.6, 0.3, 0.1], alpha=0.3)",
)
@takes(p_prev="*b v", p_new="*b v")
def apo_extrapolate(p_prev: Any, p_new: Any, alpha: float) -> Any:
    """`p_new (p_new / p_prev)^alpha`, normalised; what `p_new` rules out stays ruled out.

    Args:
        p_prev: `(*b, v)` probabilities before the iteration.
        p_new: `(*b, v)` after it.
        alpha: momentum, at least 0.

    Returns:
        `(*b, v)`.

    Raises:
        InputError: a row is no distribution, or the iteration gave mass to what had none.
    """
    alpha = number("alpha", alpha, low=0)
    for name, p in (("p_prev", p_prev), ("p_new", p_new)):
        off = (p.sum(-1) - 1).abs().max()
        if (p < 0).any() or off > 1e-3:
            message = f"{name}: expected probabilities that sum to 1, got a sum off by {off:g}"
            raise InputError(message, where=name)
    alive = p_new > 0
    if (alive & (p_prev == 0)).any():
        message = "p_prev: expected mass wherever p_new has some, got 0"
        raise InputError(message, where="p_prev")
    new = torch.where(alive, p_new, 1.0).log()
    prev = torch.where(alive, p_prev, 1.0).log()
    return (new + alpha * (new - prev)).masked_fill(~alive, -torch.inf).softmax(-1)


@method(
    "OPS",
    source=_SOURCE,
    purpose="how far exact iterations get: the multiple of reward over beta in the policy",
    check=f"{_TESTS}::test_momentum_reaches_its_coefficients",
    example="ops.apo_coefficients(alpha=0.5, rounds=5)",
)
def apo_coefficients(alpha: float, rounds: int) -> F64:
    """`(rounds,)` multiples c of `r / beta` after each round, `pihat = pi_0 e^(c r / beta)`.

    Their steps tend to `1 / (1 - alpha)`; without momentum they are 1.

    Args:
        alpha: momentum in `[0, 1)`.
        rounds: at least 1.
    """
    alpha = number("alpha", alpha, low=0, high=1, open_ends=")")
    rounds = count("rounds", rounds)
    steps = (1 - alpha ** np.arange(1, rounds + 1)) / (1 - alpha)  # of a step that momentum keeps
    return np.cumsum(steps)


def extrapolate_weights(
    prev: Mapping[str, Tensor], new: Mapping[str, Tensor], alpha: float
) -> dict[str, Tensor]:
    """`new + alpha (new - prev)` of every tensor, in the types of `new`.

    Args:
        prev: parameters before the iteration, by name.
        new: those after it.
        alpha: momentum, at least 0.

    Raises:
        InputError: names or shapes differ.
    """
    alpha = number("alpha", alpha, low=0)
    _same_names(prev, new)
    moved = {}
    for name, after in new.items():
        if after.shape != prev[name].shape:
            message = f"prev: expected {name} of shape {tuple(after.shape)}, got {tuple(prev[name].shape)}"
            raise InputError(message, where="prev")
        moved[name] = after
        if after.is_floating_point():  # buffers of whole numbers have no direction
            wide = torch.promote_types(after.dtype, torch.float32)
            beyond = torch.lerp(prev[name].to(wide), after.to(wide), 1 + alpha)
            moved[name] = beyond.to(after.dtype)
    return moved


def stack_lora(
    prev: Mapping[str, Tensor], new: Mapping[str, Tensor], alpha: float
) -> dict[str, Tensor]:
    """The extrapolated update of two LoRA adapters, exactly, at the sum of their ranks.

    `B A` is not linear in its factors, so the update `(1 + alpha) B_n A_n - alpha B_p A_p` is kept
    as `[(1 + alpha) B_n, -alpha B_p] [A_n; A_p]`.

    Args:
        prev: factors before the iteration, named `*.lora_A.weight` `(r, in)` and `*.lora_B.weight`
            `(out, r)`.
        new: those after it.
        alpha: momentum, at least 0.

    Raises:
        InputError: names differ, or are not of such factors.
    """
    alpha = number("alpha", alpha, low=0)
    _same_names(prev, new)
    stacked = {}
    for name, after in new.items():
        if name.endswith("lora_A.weight"):
            stacked[name] = torch.cat([after, prev[name]])
        elif name.endswith("lora_B.weight"):
            stacked[name] = torch.cat([(1 + alpha) * after, -alpha * prev[name]], 1)
        else:
            message = f"new: expected LoRA factors of linear layers, got {name}"
            raise InputError(message, where="new")
    return stacked


def extrapolate_files(prev: str | Path, new: str | Path, out: str | Path, *, alpha: float) -> Path:
    """Write the next reference from two saved iterates.

    Args:
        prev: a safetensors file, or the folder of a LoRA adapter, before the iteration.
        new: the same after it.
        out: file or folder to write. An adapter has twice the rank and is exact; a file is
            extrapolated number by number, which is exact for linear parameters alone.
        alpha: momentum, at least 0.

    Returns:
        `out`.

    Raises:
        ArtifactError: something is missing, or the adapters are of different or other kinds.
        InputError: names or shapes differ.
    """
    prev, new, out = Path(prev), Path(new), Path(out)
    store = _safetensors()
    if new.is_file():
        store.save_file(extrapolate_weights(_load(prev), _load(new), alpha), out)
        return out
    config = _lora_config(new)
    before = _lora_config(prev)
    if any(config.get(k) != before.get(k) for k in ("r", "lora_alpha", "target_modules")):
        message = f"{prev}: rank, scale and targets are not those of {new}"
        raise ArtifactError(message, where=str(prev))
    stacked = stack_lora(_load(prev / _WEIGHTS), _load(new / _WEIGHTS), alpha)
    out.mkdir(parents=True, exist_ok=True)
    store.save_file({k: v.contiguous() for k, v in stacked.items()}, out / _WEIGHTS)
    # peft scales by lora_alpha / r, which has to stay what it was
    wider = {**config, "r": 2 * config["r"], "lora_alpha": 2 * config["lora_alpha"]}
    (out / _CONFIG).write_text(json.dumps(wider, indent=2) + "\n", encoding="utf-8")
    return out


def _lora_config(folder: Path) -> dict[str, Any]:
    try:
        config: dict[str, Any] = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        message = f"{folder}: expected a safetensors file or the folder of an adapter ({error})"
        raise ArtifactError(message, where=str(folder)) from None
    special = [
        key
        for key in ("use_dora", "use_rslora", "rank_pattern", "alpha_pattern", "modules_to_save")
        if config.get(key)
    ]
    if config.get("peft_type") != "LORA" or special:
        kind = ", ".join(special) or config.get("peft_type")
        message = f"{folder}: expected a plain LoRA adapter of one rank, got {kind}"
        raise ArtifactError(message, where=str(folder))
    return config


def _same_names(prev: Mapping[str, Tensor], new: Mapping[str, Tensor]) -> None:
    different = sorted(set(prev) ^ set(new))
    if different:
        message = f"prev: expected the names of new, got a difference in {different[:3]}"
        raise InputError(message, where="prev")


def _load(path: Path) -> dict[str, Tensor]:
    try:
        return dict(_safetensors().load_file(path))
    except Exception as error:  # safetensors raises its own error type, which is not exported
        message = f"{path}: not readable as safetensors ({error})"
        raise ArtifactError(message, where=str(path)) from None


def _safetensors() -> Any:
    try:
        import safetensors.torch
    except ImportError:
        raise MissingExtraError.of("safetensors", "train") from None
    return safetensors.torch
