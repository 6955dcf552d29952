"""The fit of per-user ridge: the pooled reward, then the spread that serves held-out people best."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any

import numpy as np

from gustibus.errors import InputError
from gustibus.models.base import Fitted, Progress, TrainingSet
from gustibus.models.bt_fit import fit_reward
from gustibus.models.hierarchical_start import Frame
from gustibus.models.keywords import Count, NotNegative, Span, read_options
from gustibus.models.ridge import Ridge
from gustibus.models.validation import everybody, held_out_loss, hold_out
from gustibus.posterior import GaussianPrior


@dataclass(frozen=True, slots=True)
class RidgeOptions:
    """Options of the fit.

    Attributes:
        spreads: standard deviations of a person's own part of the margin of a typical comparison;
            held-out people choose, the middle one is taken without any.
        ridge: of the shared reward, in units of comparisons; 0 tries a range on held-out people.
        max_features: principal components in which people may differ.
    """

    spreads: tuple[Annotated[float, Span(1e-6)], ...] = (
        0.1,
        0.2,
        0.35,
        0.5,
        0.75,
        1.0,
        1.5,
        2.0,
        3.0,
        5.0,
    )
    ridge: NotNegative = 0.0
    max_features: Count = 64


def ridge_options(given: Mapping[str, Any]) -> RidgeOptions:
    """Options from keywords.

    Raises:
        ConfigError: an unknown keyword or a value out of range.
    """
    return read_options(RidgeOptions, "ridge", given)


def fit_ridge(
    train: TrainingSet,
    valid: TrainingSet | None,
    *,
    options: RidgeOptions,
    seed: int,
    device: str,
    progress: Progress | None = None,
) -> Fitted:
    """Choose the ridge and the spread on held-out people, then fit on everybody.

    Raises:
        InputError: there are no comparisons.
    """
    if len(train) == 0:
        message = "train: expected at least one comparison, got none"
        raise InputError(message, where="train")
    started = time.perf_counter()
    judged = valid if valid is not None and len(valid) else None
    spreads, history = sorted(options.spreads), []
    spread, held, ridge = spreads[len(spreads) // 2], None, options.ridge or None
    if judged is not None:
        _, _, pooled = fit_reward(
            train, judged, seed=seed, device=device, progress=None, hidden=0, ridge=ridge
        )
        ridge, split = pooled["ridge"], hold_out(judged)
        unit = unit_ridge(train, options, ridge, seed=seed, device=device)
        for done, candidate in enumerate(spreads, 1):
            loss = held_out_loss(spread_out(unit, candidate), judged, split)
            history.append({"spread": candidate, "valid_loss": loss})
            if progress is not None:
                progress("ridge", done, len(spreads), loss)
            if loss < (np.inf if held is None else held):
                spread, held = candidate, loss
    whole = train if judged is None else everybody(train, judged)
    model = spread_out(unit_ridge(whole, options, ridge, seed=seed, device=device), spread)
    report = {
        "options": asdict(options), "spread": spread, "ridge": ridge, "history": history,
        "held_out_loss": held, "seconds": time.perf_counter() - started,
    }  # fmt: skip
    return Fitted(model, report)


def unit_ridge(
    train: TrainingSet, options: RidgeOptions, ridge: float | None, *, seed: int, device: str
) -> Ridge:
    """The model of spread 1; a ridge of None is that of `fit_reward` without held-out people."""
    network, _, _ = fit_reward(
        train, None, seed=seed, device=device, progress=None, hidden=0, ridge=ridge
    )
    frame = Frame.of(train, 0.0, options.max_features)  # a typical comparison is 1 apart
    basis = frame.turn.astype(np.float32)
    shared = network.weights[0][:, 0].copy()
    return Ridge(frame.center, shared, basis, GaussianPrior.standard(basis.shape[1]))


def spread_out(unit: Ridge, spread: float) -> Ridge:
    """The same shared reward with people further from it, or nearer."""
    return replace(unit, basis=np.float32(spread) * unit.basis)
