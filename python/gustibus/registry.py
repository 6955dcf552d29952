"""Tables of named functions or classes: the one mechanism by which methods are chosen by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from gustibus.errors import UnknownNameError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Entry(Generic[T]):
    """One row: what runs, where it comes from, and the laws that its tests check."""

    name: str
    run: T
    source: str
    laws: tuple[str, ...] = ()


class Registry(Mapping[str, Entry[T]], Generic[T]):
    """A mapping from name to `Entry`, filled by decorators in the files that define the entries."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, Entry[T]] = {}

    def add(self, name: str, *, source: str, laws: tuple[str, ...] = ()) -> Callable[[T], T]:
        """Decorator that adds a row; a name can be taken once."""

        def decorate(run: T) -> T:
            if name in self._entries:
                message = f"{self.kind} {name!r} is defined twice"
                raise ValueError(message)
            self._entries[name] = Entry(name, run, source, laws)
            return run

        return decorate

    def __getitem__(self, name: str) -> Entry[T]:
        try:
            return self._entries[name]
        except KeyError:
            raise UnknownNameError.of(self.kind, name, self._entries) from None

    def __contains__(self, name: object) -> bool:
        return name in self._entries  # the default waits for a KeyError

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)
