"""The published methods: what each is called, what it is for, and the check that it passes.

A method is a function that lives in the file of its subject; `method` lists it here, so that
`gustibus.ops` finds it by name and `docs/methods.md` cannot drift from the code.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from gustibus.registry import Registry

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Method:
    """One row of the table of methods.

    Attributes:
        run: the function, with the argument names of the field.
        table: the extension table it belongs to, such as `PAIRWISE`; `OPS` for plain functions.
        purpose: what it is for, one line.
        check: test or benchmark that it passes, `file::name`.
        example: one line of Python that runs once `gustibus.ops` is imported as `ops`.
    """

    run: Callable[..., Any]
    table: str
    purpose: str
    check: str
    example: str


METHODS: Registry[Method] = Registry("method")
"""Filled when the modules that `gustibus.ops` names are imported."""


def method(
    table: str,
    *,
    source: str,
    purpose: str,
    check: str,
    example: str,
    name: str = "",
    laws: tuple[str, ...] = (),
    into: Registry[Any] | None = None,
) -> Callable[[F], F]:
    """Decorator that lists a function as a method, and where it is one in a registry of its own.

    Args:
        table: the extension table it belongs to.
        source: paper and equation; says so where the formula is the project's own.
        purpose: what it is for.
        check: test or benchmark that it passes.
        example: one line of Python with `ops.NAME(...)`.
        name: of the row; that of the function unless given.
        laws: that the common tests of the table run.
        into: the registry of the table, of which the very same function is a row.
    """

    def decorate(run: F) -> F:
        row = Method(run, table, purpose, check, example)
        called = name or run.__name__
        METHODS.add(called, source=source, laws=laws)(row)
        if into is not None:
            into.add(called, source=source, laws=laws)(run)
        return run

    return decorate
