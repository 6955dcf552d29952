"""The fit of item factors: hierarchical Bayes whose features are the items' names."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from gustibus.errors import InputError
from gustibus.models.base import Fitted, Progress, TrainingSet
from gustibus.models.factors import Factors
from gustibus.models.hierarchical import Hierarchical
from gustibus.models.hierarchical_fit import fit_hierarchical
from gustibus.models.hierarchical_options import hierarchical_options
from gustibus.models.keywords import Count, Span, Whole, read_options
from gustibus.models.known import KnownItems
from gustibus.models.validation import everybody
from gustibus.types import F32


@dataclass(frozen=True, slots=True)
class FactorOptions:
    """Options of the fit.

    Attributes:
        rank: factors at most; 0 chooses them as `hierarchical` does.
        least: answers about an item for it to be known.
        most: known items at most, those with the most answers.
        ridges: on the factors, in units of comparisons; held-out people choose.
        ridge_population: on the strengths; chosen likewise.
        rounds: EM rounds.
        folds: times that other people are held out to choose, as of `hierarchical`.
    """

    rank: Whole = 0
    least: Count = 4
    most: Annotated[int, Span(2, 1 << 14)] = 2048
    ridges: tuple[Annotated[float, Span(1e-9)], ...] = (3.0, 10.0, 30.0, 100.0)
    ridge_population: tuple[Annotated[float, Span(1e-9)], ...] = (30.0, 10.0, 3.0, 1.0)
    rounds: Count = 10
    folds: Whole = 1

    @property
    def of_hierarchical(self) -> dict[str, Any]:
        """Options of the fit over the names: nothing to equalise, no features beside."""
        return {
            "basis": "learned", "equalise": 0.0, "residuals": 0.0, "rank": self.rank,
            "ridges": self.ridges, "ridge_population": self.ridge_population,
            "rounds": self.rounds, "folds": self.folds,
        }  # fmt: skip


def factor_options(given: Mapping[str, Any]) -> FactorOptions:
    """Options from keywords.

    Raises:
        ConfigError: an unknown keyword or a value out of range.
    """
    return read_options(FactorOptions, "factors", given)


def fit_factors(
    train: TrainingSet,
    valid: TrainingSet | None,
    *,
    options: FactorOptions,
    seed: int,
    device: str,
    progress: Progress | None,
    checkpoint: Path | None,
) -> Fitted:
    """Strengths and factors of the items that enough answers are about.

    Raises:
        InputError: there are no comparisons, or fewer than two items are known.
    """
    if len(train) == 0:
        message = "train: expected at least one comparison, got none"
        raise InputError(message, where="train")
    started = time.perf_counter()
    judged = valid if valid is not None and len(valid) else None
    whole = train if judged is None else everybody(train, judged)
    known = KnownItems.of(whole, share=1.0, least=options.least, most=options.most)
    if len(known) < 2:
        message = (
            f"train: expected at least two items with {options.least} answers or more, got "
            f"{len(known)}; factors know items by their names alone"
        )
        raise InputError(message, where="train")
    known = replace(known, weight=float(np.sqrt(0.5)))  # two known items are 1 apart
    found, report = fit_hierarchical(
        _names(train, known), None if judged is None else _names(judged, known),
        options=hierarchical_options(options.of_hierarchical), seed=seed, device=device,
        progress=progress, checkpoint=checkpoint,
    )  # fmt: skip
    assert isinstance(found, Hierarchical), "the family fits its own class"
    each = found.represent(_columns(known.weight * np.eye(len(known), dtype=np.float32)))
    nothing = found.represent(_columns(np.zeros((1, len(known)), np.float32)))
    model = Factors(known, each - nothing, found.prior, found.answering)
    report = {
        "options": asdict(options), "items": len(known), "chosen": report["chosen"],
        "history": report["history"], "held_out_loss": report["held_out_loss"],
        "seconds": time.perf_counter() - started,
    }  # fmt: skip
    return Fitted(model, report)


def _names(data: TrainingSet, known: KnownItems) -> TrainingSet:
    """The same comparisons, of items that are nothing but a name."""
    own = known.augment(data.item_features)[:, known.dim :]
    return replace(data, item_features=_columns(own), prompt_features=None, own=len(known))


def _columns(own: F32) -> F32:
    """Own coordinates behind one empty feature: the fit expects some."""
    return np.concatenate([np.zeros((len(own), 1), np.float32), own], axis=1)
