"""Options of a family from keyword arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from gustibus.errors import ConfigError

T = TypeVar("T")


def read_options(
    kind: type[T], family: str, given: Mapping[str, Any], *, base: Mapping[str, Any] | None = None
) -> T:
    """A dataclass of options: its defaults, then `base`, then what is given.

    Args:
        kind: the dataclass; a field whose default is a tuple takes one number or several.
        family: for the message.
        given: keyword arguments of a fit.
        base: of a recipe.

    Raises:
        ConfigError: an unknown keyword.
    """
    known = {f.name: f.default for f in fields(kind)}  # type: ignore[arg-type]  # a dataclass
    for name in given:
        if name not in known:
            message = f"{family} has no option {name!r}; known: {sorted(known)}"
            raise ConfigError(message, where=name)
    values = {**(base or {}), **given}
    for name, value in values.items():
        if isinstance(known[name], tuple):
            values[name] = tuple(map(float, value if isinstance(value, list | tuple) else [value]))
    return kind(**values)


def check_choice(name: str, value: Any, known: tuple[str, ...]) -> None:
    """Refuse a value that is none of the known ones.

    Raises:
        ConfigError: it is not.
    """
    if value not in known:
        message = f"{name}: expected one of {known}, got {value!r}"
        raise ConfigError(message, where=name)


def check_range(name: str, value: float, low: float, high: float = float("inf")) -> None:
    """Refuse a number outside `[low, high]`.

    Raises:
        ConfigError: it is outside, or no number.
    """
    if not low <= value <= high:
        message = f"{name}: expected a number from {low:g} to {high:g}, got {value!r}"
        raise ConfigError(message, where=name)
