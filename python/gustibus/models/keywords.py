"""Options of a family from keyword arguments: one check of kind and range for all of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from types import NoneType, UnionType
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

from gustibus.data.arrays import number
from gustibus.errors import ConfigError, InputError

T = TypeVar("T")

_LARGEST: Final = 1 << 62
"""No option counts so far."""


@dataclass(frozen=True, slots=True)
class Span:
    """The range of a number, declared beside the option: `Annotated[int, Span(1, 64)]`.

    Attributes:
        low: least value.
        high: largest value.
        open_ends: `(` where `low` itself is refused, `)` where `high` is, `()` where both are.
    """

    low: float = float("-inf")
    high: float = float("inf")
    open_ends: str = ""


Count = Annotated[int, Span(1)]
Whole = Annotated[int, Span(0)]
Positive = Annotated[float, Span(0, open_ends="(")]
NotNegative = Annotated[float, Span(0)]
Share = Annotated[float, Span(0, 1)]
Dropout = Annotated[float, Span(0, 1, ")")]
Exponent = Annotated[float, Span(high=1)]
"""Of variances; negative ones leave the features alone."""


def read_options(
    kind: type[T], family: str, given: Mapping[str, Any], *, base: Mapping[str, Any] | None = None
) -> T:
    """A dataclass of options: its defaults, then `base`, then what is given.

    Args:
        kind: the dataclass. Annotations say what kind of value a field takes, and a `Span` in which
            range; a field that is a tuple takes one value, several, or a text with commas between.
        family: for the message.
        given: keyword arguments of a fit.
        base: of a recipe.

    Raises:
        ConfigError: an unknown keyword, or a value of another kind or out of range.
    """
    hints, several = _declared(kind)
    for name in given:
        if name not in hints:
            message = f"{family} has no option {name!r}; known: {sorted(hints)}"
            raise ConfigError(message, where=name)
    values = {**(base or {}), **given}
    return kind(**{
        name: _read(name, hints[name], value, empty=name not in several)
        for name, value in values.items()
    })  # fmt: skip


def option_names(kind: type) -> tuple[str, ...]:
    """Names of the options of a dataclass, in order of the alphabet."""
    return tuple(sorted(_declared(kind)[0]))


def _declared(kind: type) -> tuple[dict[str, Any], frozenset[str]]:
    """Annotations of the fields, and the fields whose tuples are not to be empty."""
    hints = get_type_hints(kind, include_extras=True)
    rows = fields(kind)
    several = frozenset(f.name for f in rows if isinstance(f.default, tuple) and f.default)
    missing = [f.name for f in rows if f.default is MISSING and f.default_factory is MISSING]
    assert not missing, "every option has a default"
    return {f.name: hints[f.name] for f in rows}, several


def _read(name: str, hint: Any, value: Any, *, empty: bool) -> Any:
    """A value as its annotation says.

    Raises:
        ConfigError: it is of another kind or out of range.
    """
    span = Span()
    if get_origin(hint) is Annotated:
        hint, span = get_args(hint)
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        (inner,) = (one for one in get_args(hint) if one is not NoneType)
        return None if value is None else _read(name, inner, value, empty=empty)
    if origin is tuple:
        return _several(name, get_args(hint)[0], value, empty=empty)
    if origin is not None and issubclass(origin, Mapping):
        return _mapping(name, get_args(hint)[1], value)
    if origin is np.ndarray:
        return _matrix(name, value)
    if hint is int:
        return _whole(name, value, span)
    if hint is float:
        return _real(name, value, span)
    expected, kinds = _PLAIN[hint]
    if not isinstance(value, kinds):
        raise _refused(name, expected, value)
    return hint(value)


_PLAIN: Final[Mapping[type, tuple[str, tuple[type, ...]]]] = {
    bool: ("true or false", (bool, np.bool_)),
    str: ("a text", (str,)),
}


def _refused(name: str, expected: str, value: Any) -> ConfigError:
    return ConfigError(f"{name}: expected {expected}, got {value!r:.80}", where=name)


def _whole(name: str, value: Any, span: Span) -> int:
    """A whole number, also one that is written with a point."""
    bounds = (
        f"of at least {span.low:g}"
        if np.isinf(span.high)
        else f"from {span.low:g} to {span.high:g}"
    )
    expected = f"a whole number {bounds}"
    if isinstance(value, bool | np.bool_) or not isinstance(
        value, int | float | np.integer | np.floating
    ):
        raise _refused(name, expected, value)
    is_whole = isinstance(value, int | np.integer) or float(value).is_integer()
    if not is_whole or not span.low <= value <= min(span.high, _LARGEST):
        raise _refused(name, expected, value)
    return int(value)


def _real(name: str, value: Any, span: Span) -> float:
    """A finite number."""
    given = value
    if isinstance(value, int) and not isinstance(value, bool):
        given = float(value) if abs(value) < _LARGEST else float("inf")
    try:
        return number(name, given, low=span.low, high=span.high, open_ends=span.open_ends)
    except InputError as error:
        raise ConfigError(error.message, where=name) from None


def _several(name: str, hint: Any, value: Any, *, empty: bool) -> tuple[Any, ...]:
    """One value or several: a list, an array, or a text with commas."""
    values = _listed(value)
    if hint is str and isinstance(value, str):
        values = [one.strip() for one in value.split(",")] if value else []
    if values is None:
        raise _refused(name, "one value or several", value)
    if not values and not empty:
        message = f"{name}: expected at least one {'name' if hint is str else 'number'}, got none"
        raise ConfigError(message, where=name)
    return tuple(_read(name, hint, one, empty=False) for one in values)


def _listed(value: Any) -> list[Any] | None:
    """Single values; those of a text as JSON reads them, where it can. None for what is no list."""
    if isinstance(value, str):
        return [_parsed(one) for one in value.split(",")]
    if isinstance(value, np.ndarray):
        found: list[Any] = np.atleast_1d(value).tolist()
        return found
    if isinstance(value, list | tuple | range):
        return list(value)
    return None if isinstance(value, Mapping) or value is None else [value]


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _mapping(name: str, inner: Any, value: Any) -> Mapping[str, Any]:
    """Options by name; of several families where the values are mappings as well."""
    nested = inner is not Any
    good = isinstance(value, Mapping) and all(isinstance(key, str) for key in value)
    if not good or (nested and not all(isinstance(one, Mapping) for one in value.values())):
        raise _refused(name, "options by name" + (", for each family" if nested else ""), value)
    found: Mapping[str, Any] = value
    return found


def _matrix(name: str, value: Any) -> Any:
    """A matrix of numbers, of which some may be NaN."""
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        raise _refused(name, "rows of numbers of equal length", value) from None
    if array.ndim != 2 or np.isinf(array).any():
        raise _refused(name, "rows of numbers of equal length", value)
    return array


def check_choice(name: str, value: Any, known: tuple[str, ...]) -> None:
    """Refuse a value that is none of the known ones.

    Raises:
        ConfigError: it is not.
    """
    if value not in known:
        message = f"{name}: expected one of {known}, got {value!r}"
        raise ConfigError(message, where=name)


def check_range(name: str, value: float, low: float, high: float = float("inf")) -> None:
    """Refuse a number outside `[low, high]`, where the range hangs on other options.

    Raises:
        ConfigError: it is outside, or no number.
    """
    if not low <= value <= high:
        message = f"{name}: expected a number from {low:g} to {high:g}, got {value!r}"
        raise ConfigError(message, where=name)
