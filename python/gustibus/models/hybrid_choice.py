"""Whether known items' own coordinates serve held-out people, told before a family is fitted twice."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from gustibus.models.base import Progress, TrainingSet
from gustibus.models.hierarchical_choice import Fitter
from gustibus.models.hierarchical_options import HierarchicalOptions
from gustibus.models.recent import once
from gustibus.models.torch_network import pick_device
from gustibus.models.validation import held_out_losses, hold_out
from gustibus.types import F64

_CLEAR = 5.0
"""Standard errors from which no family is expected to say otherwise."""
_EQUALISE, _RIDGE = 0.8, 30.0
_QUICK = HierarchicalOptions(rounds=4)


class Gain(NamedTuple):
    """Mean loss that known items save held-out people, in nats, and its standard error over them."""

    saved: float
    error: float | None
    """None where too few people judge."""

    @property
    def told(self) -> bool | None:
        """Whether known items serve them; None where it is not clear beyond doubt."""
        if self.error is None or not abs(self.saved) > _CLEAR * self.error:
            return None
        return self.saved > 0


def gain_of_known(
    plain: tuple[TrainingSet, TrainingSet], known: tuple[TrainingSet, TrainingSet], device: str,
    progress: Progress | None = None,
) -> Gain:  # fmt: skip
    """What known items are worth in short fits of hierarchical Bayes at one setting.

    A whole fit tries dozens of settings, and a family without known items would be fitted for
    nothing where they are worth ten times what one family is ahead of another.

    Args:
        plain: training and validation people, by features alone.
        known: the same with known items' own coordinates.
        device: `auto`, `cpu` or `cuda`.
        progress: called with the stage and how far it is.
    """
    where = pick_device(device)

    def quick() -> Gain:
        losses = []
        for number, pair in enumerate((plain, known), start=1):
            losses.append(quick_losses(*pair, where))
            if progress is not None:
                judged = losses[-1][np.isfinite(losses[-1])]
                progress("known items", number, 2, float(judged.sum() / max(len(judged), 1)))
        saved = losses[0] - losses[1]
        judged = saved[np.isfinite(saved)]
        if len(judged) < 2:
            return Gain(0.0, None)
        return Gain(float(judged.mean()), float(judged.std(ddof=1) / np.sqrt(len(judged))))

    return once(quick, *plain, *known, f"known items {where}")


def quick_losses(train: TrainingSet, valid: TrainingSet, device: torch.device) -> F64:
    """Loss of each validation person, `(p,)`, by a short fit of hierarchical Bayes at one setting."""
    fitter = Fitter(train, _QUICK, device)
    fits = fitter.fit(
        "learned",
        _EQUALISE,
        (_RIDGE,),
        _QUICK.ridge_population,
        rank=_QUICK.first_rank,
        valid=valid,
    )
    *_, last = fits
    return held_out_losses(last.population.export(), valid, hold_out(valid))
