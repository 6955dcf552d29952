"""Arguments of objectives: lists, numpy arrays or torch tensors in, the same kind out.

An objective is written for tensors alone. `takes` lets it be called with plain numbers as well,
checks shapes against axis names, and refuses what is not finite.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from gustibus.errors import DimensionError, InputError, NotFiniteError

F = TypeVar("F", bound=Callable[..., Any])

_KINDS = {"bool": torch.bool, "int": torch.int64}


class Axes(NamedTuple):
    """What is asked of one argument."""

    batch: bool
    """Whether any leading axes may come before the named ones."""
    names: tuple[str, ...]
    kind: str
    """`float`, `int` or `bool`."""
    filled: frozenset[str] = frozenset()
    """Names whose length must be above 0."""

    @classmethod
    def of(cls, text: str) -> Axes:
        """From `"*b n"`, `"bool *b n"`, `"int *b"` and the like."""
        words = text.split()
        kind = words.pop(0) if words and words[0] in _KINDS else "float"
        batch = bool(words) and words[0].startswith("*")
        named = words[batch:]
        filled = frozenset(word[:-1] for word in named if word.endswith("+"))
        return cls(batch, tuple(word.removesuffix("+") for word in named), kind, filled)

    def __str__(self) -> str:
        return f"({', '.join(['*b'] * self.batch + list(self.names))})"


def takes(**shapes: str) -> Callable[[F], F]:
    """Decorator: the named arguments may be lists, numpy arrays or tensors.

    With a tensor among them the function gets tensors of its type and device, never below single
    precision, and its result is a tensor that can be differentiated. Without one it computes in
    float64 and returns numpy. An argument whose default is None may be None.

    Args:
        **shapes: axis names of each argument, such as `"*b n"`; equal names are equal lengths, and
            `*b` stands for leading axes that all arguments share; an argument may lack them. A first
            word `int` or `bool` asks for that kind of values; a `+` behind a name, as in `"*b n+"`,
            for a length above 0.

    Raises:
        DimensionError: a shape is wrong.
        InputError: a value is of the wrong kind.
        NotFiniteError: a number is NaN or infinite.
    """
    wanted = {name: Axes.of(text) for name, text in shapes.items()}

    def decorate(run: F) -> F:
        signature = inspect.signature(run)
        absent = sorted(set(wanted) - set(signature.parameters))
        assert not absent, f"{run.__name__} has no arguments {absent}"
        optional = {n for n, p in signature.parameters.items() if p.default is None}

        @functools.wraps(run)
        def call(*args: Any, **kwargs: Any) -> Any:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            given = {n: bound.arguments[n] for n in wanted}
            given = {n: v for n, v in given.items() if v is not None or n not in optional}
            ready = as_tensors(given, wanted)
            bound.arguments.update(ready)
            result = run(*bound.args, **bound.kwargs)
            return result if any(isinstance(v, Tensor) for v in given.values()) else plain(result)

        return call  # type: ignore[return-value]  # the same signature, with wider types

    return decorate


def as_tensors(given: Mapping[str, Any], wanted: Mapping[str, Axes]) -> dict[str, Tensor]:
    """Values as tensors of one floating type on one device, with their shapes checked."""
    tensors = [value for value in given.values() if isinstance(value, Tensor)]
    floating = [value.dtype for value in tensors if value.is_floating_point()]
    dtype = functools.reduce(torch.promote_types, floating, torch.float32)
    like = (dtype if floating else torch.float64, tensors[0].device if tensors else None)
    ready = {name: _tensor(name, value, wanted[name], *like) for name, value in given.items()}
    _check_shapes(ready, wanted)
    return ready


def _tensor(
    name: str, value: Any, axes: Axes, dtype: torch.dtype, device: torch.device | None
) -> Tensor:
    if not isinstance(value, Tensor):
        try:
            array = np.asarray(value)
        except ValueError:  # rows of several lengths
            array = np.empty(0, object)
        if array.dtype.kind not in "fiub":
            got = type(value).__name__ if array.dtype == object else f"values of type {array.dtype}"
            message = f"{name}: expected numbers in rows of equal length, got {got}"
            raise InputError(message, where=name)
        value = torch.tensor(array)
    if axes.kind == "float":
        value = value.to(dtype=dtype, device=device)
        if not torch.isfinite(value).all():
            place = tuple(torch.nonzero(~torch.isfinite(value))[0].tolist())
            message = f"{name}: expected finite numbers, got {value[place].item()} at {place}"
            raise NotFiniteError(message, where=name)
        return value
    exact = value.to(dtype=_KINDS[axes.kind], device=device)
    if not torch.equal(exact.to(value.dtype), value.to(exact.device)):
        expected = "whole numbers" if axes.kind == "int" else "true or false"
        message = f"{name}: expected {expected}, got other values"
        raise InputError(message, where=name)
    return exact


def _check_shapes(ready: Mapping[str, Tensor], wanted: Mapping[str, Axes]) -> None:
    """Equal names are equal lengths; leading axes are equal or absent."""
    lengths: dict[str, tuple[int, str]] = {}
    leading: tuple[tuple[int, ...], str] | None = None
    for name, value in ready.items():
        axes, shape = wanted[name], tuple(value.shape)
        split = len(shape) - len(axes.names)
        if split < 0 or (split > 0 and not axes.batch):
            message = f"{name}: expected shape {axes}, got {shape}"
            raise DimensionError(message, where=name)
        for axis, length in zip(axes.names, shape[split:], strict=True):
            if length == 0 and axis in axes.filled:
                message = f"{name}: expected shape {axes} with {axis} above 0, got {shape}"
                raise DimensionError(message, where=name)
            first, of = lengths.setdefault(axis, (length, name))
            if first != length:
                message = (
                    f"{name}: expected shape {axes} with {axis} = {first} as in {of}, got {shape}"
                )
                raise DimensionError(message, where=name)
        if split and leading is None:
            leading = (shape[:split], name)
        elif split and leading is not None and leading[0] != shape[:split]:
            message = f"{name}: expected shape {axes} with *b = {leading[0]} as in {leading[1]}, got {shape}"
            raise DimensionError(message, where=name)


def plain(result: Any) -> Any:
    """Tensors as numpy arrays, those without axes as numpy numbers; tuples one by one."""
    if isinstance(result, Tensor):
        return result.detach().cpu().numpy()[()]
    if isinstance(result, tuple):
        parts = [plain(part) for part in result]
        return type(result)(*parts) if hasattr(result, "_fields") else tuple(parts)
    return result


def together(*values: Tensor) -> tuple[Tensor, ...]:
    """The same tensors at their common shape."""
    wide: tuple[Tensor, ...] = torch.broadcast_tensors(*values)  # type: ignore[no-untyped-call]  # torch does not annotate it
    return wide
