"""How much strengths count in a run: told by people who are held out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any, NamedTuple

import numpy as np

from gustibus.data import Dataset, Split
from gustibus.data.strengths import Strengths, strengths_of
from gustibus.errors import InputError
from gustibus.models.base import Progress
from gustibus.training.sets import training_set, valid_set
from gustibus.types import F64

log = logging.getLogger("gustibus.training")

EXPONENTS = (0.0, 0.5, 1.0)
"""Those that are tried."""
_UNTOLD = 0.5
"""Where nobody can tell."""


class Graded(NamedTuple):
    """The rule of a run, and how it was found."""

    strengths: Strengths
    report: dict[str, Any]
    """JSON for the card: the rule, and each exponent's loss on held-out people."""


def choose_strengths(
    dataset: Dataset, split: Split, column: str, exponent: float | None, *,
    device: str = "cpu", progress: Progress | None = None,
) -> Graded:  # fmt: skip
    """What answers of every strength count in a run.

    Each exponent is tried in a short fit of hierarchical Bayes, whose held-out people are placed by
    answers that count by it and judged on answers that count alike. The smallest is taken whose loss
    is within one standard error of the least.

    Args:
        dataset: with the column and features.
        split: of which `train` is fitted on.
        column: of strengths.
        exponent: in `[0, 1]`; None chooses.
        device: of the short fits.
        progress: called with the stage and how far it is.

    Raises:
        InputError: the column is not there or holds something else, or is empty.
    """
    strength = strengths_of(dataset, column)
    fitted = strength[split["train"]]
    if not np.isfinite(fitted).any():
        message = f"strengths: column {column!r} is empty in the rows to fit on"
        raise InputError(message, where="data.strengths")
    if exponent is not None:
        found = Strengths.fitted(column, exponent, fitted)
        return Graded(found, asdict(found))
    valid = valid_set(dataset, split)
    if valid is None or len(valid) == 0:
        found = Strengths.fitted(column, _UNTOLD, fitted)
        return Graded(found, asdict(found))
    rules = [Strengths.fitted(column, e, fitted) for e in EXPONENTS]
    losses = np.stack(_losses(dataset, split, rules, device, progress), axis=1)  # (p, e)
    judged = losses[np.isfinite(losses).all(axis=1)]
    if len(judged) < 2:
        found = Strengths.fitted(column, _UNTOLD, fitted)
        return Graded(found, asdict(found))
    from gustibus.models.validation import simplest

    found = rules[simplest(losses)]
    means = dict(zip(map(str, EXPONENTS), judged.mean(axis=0).tolist(), strict=True))
    log.info("strengths count by the power of %g; losses %s", found.exponent, means)
    return Graded(found, {**asdict(found), "losses": means, "people": len(judged)})


def _losses(
    dataset: Dataset, split: Split, rules: Sequence[Strengths], device: str, progress: Progress | None
) -> list[F64]:  # fmt: skip
    """Of held-out people, `(p,)` under each rule."""
    from gustibus.models.hybrid import with_known_items
    from gustibus.models.hybrid_choice import quick_losses  # fits need torch
    from gustibus.models.torch_network import pick_device
    from gustibus.models.validation import hold_out

    plain, where = valid_set(dataset, split), pick_device(device)
    assert plain is not None, "somebody is held out"
    losses = []
    for number, rule in enumerate(rules, start=1):
        graded = rule.applied(dataset)
        train, _ = training_set(graded, split["train"])
        valid = valid_set(graded, split)
        assert valid is not None, "weights are above 0: nobody is lost"
        weight = plain.weight.copy()  # of those who are judged: every answer alike
        placing = hold_out(valid).support
        weight[placing] = valid.weight[placing]
        pair = with_known_items(train, replace(valid, weight=weight))
        losses.append(quick_losses(*pair, where))
        if progress is not None:
            mean = losses[-1][np.isfinite(losses[-1])]
            progress("strengths", number, len(rules), float(mean.mean()) if len(mean) else np.nan)
    return losses
