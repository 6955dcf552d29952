"""The fit of nearest people: per-user ridge of the seen, then the neighbourhood on held-out people."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Annotated, Any

import numpy as np

from gustibus.models.base import Fitted, Progress, TrainingSet
from gustibus.models.heads import SCORES
from gustibus.models.keywords import Count, NotNegative, Span, check_choice, read_options
from gustibus.models.nearest import Nearest
from gustibus.models.ridge import Ridge
from gustibus.models.ridge_fit import RidgeOptions, fit_ridge, ridge_options, spread_out, unit_ridge
from gustibus.models.validation import everybody, held_out_loss, hold_out, representations
from gustibus.posterior import ParticlePrior


@dataclass(frozen=True, slots=True)
class NearestOptions:
    """Options of the fit.

    Attributes:
        neighbours: seen people who foretell a person; held-out people choose, the middle number is
            taken without any.
        imaginary: answers' worth of everybody's mean; chosen likewise.
        similarity: `log`, likelihood, or `zero_one`, agreement.
        spreads: of the seen people's rewards, as of `ridge`.
        ridge: of the shared reward, as of `ridge`.
        max_features: principal components in which people may differ.
    """

    neighbours: tuple[Count, ...] = (1, 5, 20, 60)
    imaginary: tuple[NotNegative, ...] = (0.0, 1.0, 4.0, 16.0)
    similarity: str = "log"
    spreads: tuple[Annotated[float, Span(1e-6)], ...] = RidgeOptions().spreads
    ridge: NotNegative = 0.0
    max_features: Count = 64

    @property
    def of_ridge(self) -> RidgeOptions:
        """What the rewards of seen people are fitted with."""
        return ridge_options({
            "spreads": self.spreads, "ridge": self.ridge, "max_features": self.max_features,
        })  # fmt: skip


def nearest_options(given: Mapping[str, Any]) -> NearestOptions:
    """Options from keywords.

    Raises:
        ConfigError: an unknown keyword or a value out of range.
    """
    options = read_options(NearestOptions, "nearest", given)
    check_choice("similarity", options.similarity, SCORES)
    return options


def fit_nearest(
    train: TrainingSet,
    valid: TrainingSet | None,
    *,
    options: NearestOptions,
    seed: int,
    device: str,
    progress: Progress | None,
) -> Fitted:
    """Choose on held-out people, then keep everybody.

    Raises:
        InputError: there are no comparisons.
    """
    started = time.perf_counter()
    judged = valid if valid is not None and len(valid) else None
    ridge, base = fit_ridge(train, judged, options=options.of_ridge, seed=seed, device=device)
    assert isinstance(ridge, Ridge), "the family fits its own class"
    ways = [
        (int(k), n0) for k, n0 in product(sorted(options.neighbours), sorted(options.imaginary))
    ]
    middle = len(options.neighbours) // 2, len(options.imaginary) // 2
    (k, n0), held, history = ways[middle[0] * len(options.imaginary) + middle[1]], None, []
    whole = train
    if judged is not None:
        split, whole = hold_out(judged), everybody(train, judged)
        unit = unit_ridge(train, options.of_ridge, base["ridge"], seed=seed, device=device)
        first = _kept(spread_out(unit, base["spread"]), train, options.similarity)
        for done, way in enumerate(ways, 1):
            tried = replace(first, neighbours=way[0], imaginary=way[1])
            loss = held_out_loss(tried, judged, split)
            history.append({"neighbours": way[0], "imaginary": way[1], "valid_loss": loss})
            if progress is not None:
                progress("nearest", done, len(ways), loss)
            if loss < (np.inf if held is None else held):
                (k, n0), held = way, loss
    model = replace(_kept(ridge, whole, options.similarity), neighbours=k, imaginary=n0)
    report = {
        "options": asdict(options), "neighbours": k, "imaginary": n0, "history": history,
        "people": len(model.prior.particles), "ridge": base["ridge"], "spread": base["spread"],
        "held_out_loss": held, "seconds": time.perf_counter() - started,
    }  # fmt: skip
    return Fitted(model, report)


def _kept(ridge: Ridge, people: TrainingSet, similarity: str) -> Nearest:
    """Everybody who answered, as per-user ridge places them."""
    order = np.argsort(people.user, kind="stable")
    counts = np.bincount(people.user, minlength=people.people)
    a, b = representations(ridge, people, order)
    placed = ridge.place(
        a, b, people.target[order].astype(np.float64),
        weight=people.weight[order].astype(np.float64),
        starts=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), covariance=False,
    )  # fmt: skip
    vectors = np.ascontiguousarray(placed.mean[counts > 0])
    prior = ParticlePrior(vectors, np.zeros(len(vectors)))
    return Nearest(ridge.center, ridge.population, ridge.basis, prior, 1, 0.0, similarity)
