"""What the automatic choice may try, and for how long."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gustibus.errors import ConfigError
from gustibus.models.base import MODELS
from gustibus.models.keywords import NotNegative, read_options

AUTO = "auto"
POOLED = "bt"
FAMILIES = (POOLED, "hierarchical", "lore", "factors", "mrm", "pal", "pro", "ppd", "gpm")
"""Families that `auto` tries, the quickest first."""
SIZES: Mapping[str, tuple[str, tuple[int, ...]]] = {
    "pal": ("prototypes", (3, 16)),
    "lore": ("rank", (3, 16)),
    "pro": ("experts", (3, 16)),
}
"""The option that is a family's size, and what is tried beside its default."""


@dataclass(frozen=True, slots=True)
class AutoOptions:
    """Options of the choice.

    Attributes:
        minutes: time that choice and fit may take together, about; the pooled floor, or the first
            of `families`, is always fitted.
        families: names of `MODELS`, in the order in which they are tried.
        sizes: whether the two best families with a size, if they are not far behind, are tried at
            other sizes.
        blends: whether weighted log-odds of up to three candidates are tried.
        settings: options of a family for all its fits.
        known_items: see `fit_model`.
    """

    minutes: NotNegative = 60.0
    families: tuple[str, ...] = FAMILIES
    sizes: bool = True
    blends: bool = True
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    known_items: str = "auto"

    def of(self, family: str) -> dict[str, Any]:
        """What a fit of a family is called with, beside its size."""
        return {"known_items": self.known_items, **self.settings.get(family, {})}


def auto_options(given: Mapping[str, Any]) -> AutoOptions:
    """Options from keywords.

    Raises:
        ConfigError: an unknown keyword, a value out of range, or no families.
        UnknownNameError: there is no family of a name.
    """
    options = read_options(AutoOptions, AUTO, given)
    if len(set(options.families)) < len(options.families):
        message = f"families: expected each name once, got {list(options.families)}"
        raise ConfigError(message, where="families")
    for name in (*options.families, *options.settings):
        MODELS[name]
    return options
