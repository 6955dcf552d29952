"""Denoising errors and noise for the losses in `diffusion`, with any model and schedule.

Letters: `b` batch, `...` channels and pixels. A schedule is `abar`, the share of the signal's
variance that is left after each step, falling from nearly 1; schedulers of diffusers call it
`alphas_cumprod`. diffusers itself is not imported: its models and schedulers are passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

from gustibus.errors import DimensionError, InputError

Step: TypeAlias = int | Tensor
"""Index into a schedule, or `(b,)` indices."""

Predict: TypeAlias = Callable[[Tensor, Step], Tensor]
"""`(x, step) -> noise`, both `(b, ...)`: what a model takes for the noise in x at a step."""


class PairErrors(NamedTuple):
    """Mean squared errors of the noise, all `(b,)`; the arguments of `diffusion_dpo`."""

    err_w: Tensor
    err_l: Tensor
    ref_w: Tensor
    ref_l: Tensor


def predictor(unet: Any, scheduler: Any, condition: Tensor | None = None) -> Predict:
    """The noise that a model of diffusers predicts.

    Args:
        unet: called as `unet(x, step)`, or `unet(x, step, condition)`.
        scheduler: of diffusers; its `prediction_type` is `epsilon` or `v_prediction`.
        condition: `(b, length, width)` states of a text encoder, or None; repeated for a batch that
            holds several images of each prompt, all first ones first.

    Raises:
        InputError: the model predicts something else.
    """
    kind = scheduler.config.prediction_type
    if kind not in ("epsilon", "v_prediction"):
        message = f"scheduler: expected predictions of epsilon or v_prediction, got {kind!r}"
        raise InputError(message, where="scheduler")

    def predict(x: Tensor, step: Step) -> Tensor:
        extra = []
        if condition is not None:
            extra.append(condition.repeat(len(x) // len(condition), 1, 1))
        said: Tensor = unet(x, step, *extra).sample
        if kind == "epsilon":
            return said
        kept = _kept(scheduler.alphas_cumprod, step, x)
        return kept.sqrt() * said + (1 - kept).sqrt() * x

    return predict


def add_noise(x0: Tensor, noise: Tensor, kept: Tensor) -> Tensor:
    """`sqrt(abar) x0 + sqrt(1 - abar) noise` for one value of abar."""
    return kept.sqrt() * x0 + (1 - kept).sqrt() * noise


def implied_noise(x: Tensor, x0: Tensor, kept: Tensor) -> Tensor:
    """`(x - sqrt(abar) x0) / sqrt(1 - abar)`: the noise that leads from a clean latent to x.

    The target of training on latents that were found by inversion.
    """
    return (x - kept.sqrt() * x0) / (1 - kept).sqrt()


def pair_errors(
    model: Predict,
    reference: Predict,
    x_w: Tensor,
    x_l: Tensor,
    *,
    step: Step,
    abar: Tensor,
    noise: Tensor,
) -> PairErrors:
    """Errors of a model and its reference on pairs that share noise and step.

    Args:
        model: that is trained.
        reference: the frozen one; called without gradient.
        x_w: `(b, ...)` clean latents of the chosen images.
        x_l: `(b, ...)` of the rejected ones.
        step: index into `abar`, or `(b,)` one for each pair.
        abar: `(steps,)`.
        noise: `(b, ...)` standard normal.

    Raises:
        DimensionError: shapes differ.
    """
    if not x_w.shape == x_l.shape == noise.shape:
        got = f"{tuple(x_w.shape)}, {tuple(x_l.shape)} and {tuple(noise.shape)}"
        message = f"x_l: expected latents and noise of one shape, got {got}"
        raise DimensionError(message, where="x_l")
    both = torch.cat([x_w, x_l])  # (2 b, ...), one pass for both images
    target = torch.cat([noise, noise])
    steps = step if isinstance(step, int) else torch.cat([step, step])
    noised = add_noise(both, target, _kept(abar, steps, both))
    err_w, err_l = _error(model(noised, steps), target).chunk(2)
    with torch.no_grad():
        ref_w, ref_l = _error(reference(noised, steps), target).chunk(2)
    return PairErrors(err_w, err_l, ref_w, ref_l)


def ddim_step(x: Tensor, noise: Tensor, here: Tensor, there: Tensor) -> Tensor:
    """The deterministic move of a latent between two values of abar, either way.

    `sqrt(there) x0 + sqrt(1 - there) noise` with `x0 = (x - sqrt(1 - here) noise) / sqrt(here)`.

    Source: Song et al. 2021, "Denoising Diffusion Implicit Models", arXiv 2010.02502, equation 12.
    """
    return add_noise((x - (1 - here).sqrt() * noise) / here.sqrt(), noise, there)


@torch.no_grad()
def ddim_invert(
    predict: Predict,
    x0: Tensor,
    *,
    abar: Tensor,
    step: int,
    count: int = 10,
    correct: bool = False,
    eta: float = 0.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """The latent at a step that the model itself would denoise to an image, nearly.

    Args:
        predict: of the model that is trained now.
        x0: `(b, ...)` clean latents.
        abar: `(steps,)`.
        step: index into `abar` to reach, at least 1.
        count: moves, at most; each costs one prediction, two where corrected.
        correct: whether a move is repeated with the mean of the predictions at its two ends.
        eta: standard deviation of noise that is added at the end, at least 0; needs `generator`.
        generator: of that noise.

    Returns:
        `(b, ...)`.

    Raises:
        InputError: a number is out of range.

    Source: Lu et al. 2025, "InPO", arXiv 2503.18454; the correction as in Lu et al. 2025, "Smoothed
    Preference Optimization", arXiv 2506.02698.
    """
    if count < 1 or not 0 <= eta < torch.inf or (eta > 0 and generator is None):
        message = (
            f"count: expected at least 1 move, eta at least 0 and a generator where it is "
            f"above 0, got count {count}, eta {eta}"
        )
        raise InputError(message, where="count")
    stops = _stops(step, count, len(abar))
    x, here = x0, _kept(abar, stops[0], x0)
    for start, end in pairwise(stops):
        there = _kept(abar, end, x0)
        noise = predict(x, start)
        moved = ddim_step(x, noise, here, there)
        if correct:
            moved = ddim_step(x, (noise + predict(moved, end)) / 2, here, there)
        x, here = moved, there
    if eta > 0:
        x = x + eta * torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)
    return x


@torch.no_grad()
def denoise(predict: Predict, x: Tensor, *, abar: Tensor, steps: Sequence[int]) -> Tensor:
    """Latents after deterministic moves along falling steps, such as those before `npo_renoise`.

    Args:
        predict: of the model, without guidance.
        x: `(b, ...)` at `steps[0]`.
        abar: `(steps,)`.
        steps: indices into `abar`, falling.

    Returns:
        `(b, ...)` at the last of the steps.
    """
    if list(steps) != sorted(set(steps), reverse=True):
        message = f"steps: expected falling ones, got {list(steps)}"
        raise InputError(message, where="steps")
    for start, end in pairwise(steps):
        x = ddim_step(x, predict(x, start), _kept(abar, start, x), _kept(abar, end, x))
    return x


def clean(predict: Predict, x: Tensor, *, abar: Tensor, step: int) -> Tensor:
    """`(b, ...)` the clean latent that the model takes x to come from: `x0` of `ddim_step`."""
    kept = _kept(abar, step, x)
    return (x - (1 - kept).sqrt() * predict(x, step)) / kept.sqrt()


def _stops(step: int, count: int, steps: int) -> list[int]:
    """Indices from 0 to `step`, evenly spread, at most `count` moves."""
    if not 1 <= step < steps:
        message = f"step: expected 1 to {steps - 1}, got {step}"
        raise InputError(message, where="step")
    moves = min(count, step)
    return [round(i * step / moves) for i in range(moves + 1)]


def _kept(abar: Tensor, step: Step, like: Tensor) -> Tensor:
    """`abar[step]`, with axes to broadcast over those of `like` where there are several."""
    steps = torch.as_tensor(step)
    if ((steps < 0) | (steps >= len(abar))).any():
        message = f"step: expected 0 to {len(abar) - 1}, got {steps.tolist()}"
        raise InputError(message, where="step")
    kept = abar.to(like)[steps.to(like.device)]
    return kept if isinstance(step, int) else kept.reshape(-1, *[1] * (like.ndim - 1))


def _error(said: Tensor, noise: Tensor) -> Tensor:
    return ((said - noise) ** 2).flatten(1).mean(1)
