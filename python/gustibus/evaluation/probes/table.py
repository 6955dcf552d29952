"""The table of probes: functions of the columns of a table of judgements.

A probe is a method (`gustibus.methods`) of the table `PROBES`. Its positional arguments are columns,
those with a default may be absent, and its keyword-only arguments are options. It gives one number,
or several by name. Nothing else has to be written for a probe to run on a file, by person and group.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from gustibus.errors import UnknownNameError
from gustibus.methods import METHODS, Method
from gustibus.registry import Entry


class Probes(Mapping[str, Entry[Method]]):
    """The probes among the methods that have been imported, by name."""

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in METHODS and METHODS[name].run.table == "PROBES"

    def __getitem__(self, name: str) -> Entry[Method]:
        if name not in self:
            raise UnknownNameError.of("probe", name, self)
        return METHODS[name]

    def __iter__(self) -> Iterator[str]:
        return (name for name, entry in METHODS.items() if entry.run.table == "PROBES")

    def __len__(self) -> int:
        return sum(1 for _ in self)


PROBES = Probes()


class Arguments(NamedTuple):
    """What a probe is called with."""

    needed: tuple[str, ...]
    """Columns without which it cannot run."""
    optional: tuple[str, ...]
    """Columns that it reads where they are there."""
    options: tuple[str, ...]


def arguments(name: str) -> Arguments:
    """Columns and options of a probe.

    Raises:
        UnknownNameError: there is no such probe.
    """
    given = inspect.signature(PROBES[name].run.run).parameters.values()
    columns = [p for p in given if p.kind is p.POSITIONAL_OR_KEYWORD]
    return Arguments(
        tuple(p.name for p in columns if p.default is p.empty),
        tuple(p.name for p in columns if p.default is not p.empty),
        tuple(p.name for p in given if p.kind is p.KEYWORD_ONLY),
    )
