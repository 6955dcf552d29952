"""What can be set in a fit of hierarchical Bayes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from gustibus.errors import ConfigError

_PER_GROUP = 10
"""People a Gaussian of the prior, at least."""
_RANKS, _PER_DIRECTION = (16, 32, 64), 10
"""Personal directions that are tried, and people for each of the more than the first, at least."""


@dataclass(frozen=True, slots=True)
class HierarchicalOptions:
    """Options of the fit.

    Attributes:
        basis: `learned`, `features` (full mean and covariance over all of them, for features that are few
            or already good), or `auto`: whichever is better on held-out people, `features` being
            tried up to 64 dimensions.
        rank: personal directions at most; 0 begins with 16 and doubles them, up to 64, as long as
            held-out people gain.
        max_features: principal components kept of the item features.
        equalise: exponents of the variance of a component by which it is divided, 0 (as it is) to 1
            (whitened); each is tried.
        ridges: strengths of the ridge on V; each is tried, from weak to strong.
        residuals: standard deviations of a person's reward beside V, along the plain features; each
            is tried, as is 0.
        ridge_population: strengths of the ridge on theta; each is tried.
        rounds: EM rounds in which V is learned.
        groups: Gaussians in the population prior; each number is tried, for `features` the first is
            taken.
        settling: EM rounds over the distribution of z once V stands; each number is tried.
        folds: times that other people are held out to choose; 0 is 3 below 1,500 people, else 1.
        lapse: share of answers at random in `[0, 0.5)`; None chooses on held-out people.
    """

    basis: str = "auto"
    rank: int = 0
    max_features: int = 384
    equalise: tuple[float, ...] = (0.5, 0.8, 1.0)
    ridges: tuple[float, ...] = (10.0, 30.0, 100.0, 300.0, 1000.0)
    residuals: tuple[float, ...] = (0.0, 0.5, 1.0, 2.0)
    ridge_population: tuple[float, ...] = (100.0, 30.0, 10.0, 3.0)
    rounds: int = 10
    groups: tuple[int, ...] = (1, 4)
    settling: tuple[int, ...] = (1, 2, 3, 5)
    folds: int = 0
    lapse: float | None = None

    @property
    def first_rank(self) -> int:
        """Personal directions to begin with."""
        return self.rank or _RANKS[0]

    def wider(self, people: int) -> tuple[int, ...]:
        """The larger numbers of personal directions to try for so many people."""
        return () if self.rank else tuple(r for r in _RANKS[1:] if r * _PER_DIRECTION <= people)

    def groups_for(self, people: int) -> tuple[int, ...]:
        """The numbers of Gaussians for which there are enough people; one is always possible."""
        return tuple(g for g in self.groups if g * _PER_GROUP <= people) or (1,)


def hierarchical_options(given: Mapping[str, Any]) -> HierarchicalOptions:
    """Options from keywords.

    Raises:
        ConfigError: an unknown keyword or a value out of range.
    """
    known = {f.name for f in fields(HierarchicalOptions)}
    for name in given:
        if name not in known:
            message = f"hierarchical has no option {name!r}; known: {sorted(known)}"
            raise ConfigError(message, where=name)
    lists = ("equalise", "ridges", "residuals", "ridge_population")
    counts = ("groups", "settling")
    tidy: dict[str, Any] = {
        k: tuple(map(float, np.atleast_1d(v))) if k in lists else v for k, v in given.items()
    }
    tidy |= {k: tuple(map(int, np.atleast_1d(v))) for k, v in given.items() if k in counts}
    options = HierarchicalOptions(**tidy)
    if options.basis not in ("auto", "learned", "features"):
        message = f"basis: expected auto, learned or features, got {options.basis!r}"
        raise ConfigError(message, where="basis")
    if min(options.max_features, options.rounds) < 1 or min(options.rank, options.folds) < 0:
        message = "max_features and rounds must be at least 1, rank and folds at least 0"
        raise ConfigError(message, where="rank")
    for name in counts:
        values = getattr(options, name)
        if not values or min(values) < 1:
            message = f"{name}: expected whole numbers of at least 1, got {values}"
            raise ConfigError(message, where=name)
    return options
