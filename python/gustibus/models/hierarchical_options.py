"""What can be set in a fit of hierarchical Bayes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from gustibus.errors import ConfigError
from gustibus.models.keywords import (
    Count,
    NotNegative,
    Share,
    Span,
    Whole,
    check_choice,
    read_options,
)

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
    rank: Whole = 0
    max_features: Count = 384
    equalise: tuple[Share, ...] = (0.5, 0.8, 1.0)
    ridges: tuple[NotNegative, ...] = (10.0, 30.0, 100.0, 300.0, 1000.0)
    residuals: tuple[NotNegative, ...] = (0.0, 0.5, 1.0, 2.0)
    ridge_population: tuple[NotNegative, ...] = (100.0, 30.0, 10.0, 3.0)
    rounds: Count = 10
    groups: tuple[Count, ...] = (1, 4)
    settling: tuple[Count, ...] = (1, 2, 3, 5)
    folds: Whole = 0
    lapse: Annotated[float, Span(0, 0.5, ")")] | None = None

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
    options = read_options(HierarchicalOptions, "hierarchical", given)
    check_choice("basis", options.basis, ("auto", "learned", "features"))
    return options


def inner_options(name: str, given: Mapping[str, Any]) -> HierarchicalOptions:
    """Those of a fit inside another family's, whose option of a name holds them.

    Raises:
        ConfigError: an unknown keyword or a value out of range; the message names both options.
    """
    try:
        return hierarchical_options(given)
    except ConfigError as error:
        raise ConfigError(f"{name}: {error.message}", where=f"{name}.{error.where}") from None
