"""People and items in memory: one row each in arrays that grow, found by name.

Only the event loop changes a table, so there are no locks; arrays that readers hold stay valid
because growing makes new ones.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import chain, compress, count
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from gustibus.types import F32, F64, I32, I64

K = TypeVar("K")
V = TypeVar("V")


class Person(NamedTuple):
    """What scoring needs to know about somebody."""

    mean: F64
    """`(u,)` user vector."""
    count: int  # type: ignore[assignment]  # hides a method of tuples that nobody needs
    """Comparisons that it rests on."""
    version: int
    """Rises whenever the profile changes; 0 for the population."""
    known: bool
    """Whether the service has heard of this person."""
    restricted: bool = False
    """Whether nothing of theirs is used; then they stand where the population does."""
    quarantined: bool = False
    """Whether their answers are kept out of trainings."""


_ROWS = 1 << 14
"""People of a table that are read at once: others get their turn in between."""


class Answered(NamedTuple):
    """People who have answered."""

    names: list[str]
    means: F32
    """`(n, u)` user vectors."""
    counts: I64
    """`(n,)` comparisons."""


class PeopleTable:
    """User vectors by name.

    Args:
        population: `(u,)` mean of the prior, for everybody else.
        capacity: rows to begin with.
    """

    def __init__(self, population: F64, *, capacity: int = 1024) -> None:
        self.population = Person(population, 0, 0, known=False)
        self.restricted: set[str] = set()
        """People of whom nothing is used, whatever is put of them."""
        self.quarantined: set[str] = set()
        """People whose answers are kept out of trainings."""
        self._rows: dict[str, int] = {}
        self._free: list[int] = []
        self._dropped = 0  # people, ever
        self._means = np.zeros((capacity, len(population)), np.float32)  # as the store keeps them
        self._counts = np.zeros(capacity, np.int32)
        self._versions = np.zeros(capacity, np.int64)

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, user: object) -> bool:
        return user in self._rows

    def find(self, user: str) -> Person | None:
        """A person, None when there is none of that name."""
        row = self._rows.get(user)
        if row is None:
            return None
        count, version = self._counts.item(row), self._versions.item(row)
        held = user in self.quarantined
        if count == 0:
            still = user in self.restricted
            return Person(self.population.mean, 0, version, True, still, held)  # noqa: FBT003 - positional record
        return Person(self._means[row].astype(np.float64), count, version, True, False, held)  # noqa: FBT003

    def put(self, user: str, mean: F64 | None, *, count: int, version: int) -> None:
        """Add or replace one person; without a mean they stand where the population does."""
        row = self._row(user)
        self._grow(row + 1)
        mean = None if user in self.restricted else mean
        self._means[row] = self.population.mean if mean is None else mean
        self._counts[row] = 0 if mean is None else count
        self._versions[row] = version

    def load(
        self, users: Sequence[str], means: F32, counts: Sequence[int] | I32,
        versions: Sequence[int] | int,
    ) -> None:  # fmt: skip
        """Add or replace many people at once, who stand where the population does without answers.

        Args:
            users: names, all different.
            means: `(n, u)`.
            counts: of their comparisons.
            versions: of their profiles, or one of all.
        """
        rows = self._rows_of(users)
        self._means[rows] = means
        self._counts[rows] = counts
        self._versions[rows] = versions

    def meet(self, versions: Mapping[str, int]) -> None:
        """Note the versions of many people's profiles; new ones stand where the population does."""
        rows = self._rows_of(versions)
        self._versions[rows] = list(versions.values())

    def restrict(self, users: Iterable[str]) -> None:
        """Have people stand where the population does until that is lifted."""
        for user in users:
            self.restricted.add(user)
            row = self._rows.get(user)
            if row is not None:
                self._means[row] = self.population.mean
                self._counts[row] = 0

    def lift(self, user: str) -> None:
        """End what `restrict` began; what was learned of them has to be put again."""
        self.restricted.discard(user)

    def _rows_of(self, users: Collection[str]) -> I64:
        """The rows of many people, new ones for those who have none; no call for each of them."""
        fresh = [user for user in users if user not in self._rows]
        self._grow(len(self._rows) + len(fresh))
        reused = self._free[: len(fresh)]
        del self._free[: len(fresh)]
        self._rows.update(
            zip(fresh, chain(reused, count(len(self._rows) + len(reused))), strict=False)
        )
        return np.fromiter(map(self._rows.__getitem__, users), np.int64, len(users))

    def _row(self, user: str) -> int:
        """The row of somebody; a new one for whom there is none."""
        row = self._rows.get(user)
        if row is None:
            row = self._free.pop() if self._free else len(self._rows)
            self._rows[user] = row
        return row

    def count_answered(self) -> int:
        """How many people have answered."""
        return int(np.count_nonzero(self._counts))  # rows of those who were dropped hold 0

    def weighted(self) -> Callable[[], set[str]]:
        """What tells, in a thread, who has a user vector of their own."""
        of, counts = dict(self._rows), self._counts

        def read() -> set[str]:
            rows = np.fromiter(of.values(), np.int64, len(of))
            return set(compress(of, (counts[rows] > 0).tolist()))

        return read

    def answered(self) -> Callable[[], Answered]:
        """What reads everybody who has answered by now, in a thread: of a million it takes a second.

        Who is placed anew meanwhile may be read where they were or where they are, and who is dropped is
        left out.
        """
        of, means, counts, dropped = dict(self._rows), self._means, self._counts, self._dropped

        def read() -> Answered:
            names = list(of)
            rows = np.fromiter(of.values(), np.int64, len(of))
            kept = np.flatnonzero(counts[rows] > 0)
            found = np.empty((len(kept), means.shape[1]), np.float32)
            for at in range(0, len(kept), _ROWS):
                block = kept[at : at + _ROWS]
                found[at : at + _ROWS] = means[rows[block]]
            told = [names[place] for place in kept.tolist()]
            answers = counts[rows[kept]].astype(np.int64)
            if dropped != self._dropped:  # rows may be others' by now
                still = np.array([name in self._rows for name in told], np.bool_)
                told = [name for name, here in zip(told, still.tolist(), strict=True) if here]
                found, answers = found[still], answers[still]
            return Answered(told, found, answers)

        return read

    def drop(self, user: str) -> bool:
        """Forget somebody; their row is wiped."""
        self.restricted.discard(user)
        self.quarantined.discard(user)
        row = self._rows.pop(user, None)
        if row is None:
            return False
        self._means[row] = 0.0
        self._counts[row] = self._versions[row] = 0
        self._free.append(row)
        self._dropped += 1
        return True

    def _grow(self, rows: int) -> None:
        if rows <= len(self._counts):
            return
        rows = max(rows, 2 * len(self._counts))
        self._means = _longer(self._means, rows)
        self._counts = _longer(self._counts, rows)
        self._versions = _longer(self._versions, rows)


class ItemTable:
    """Representations by name.

    Args:
        dim: length `r` of a representation.
        capacity: rows to begin with.
    """

    def __init__(self, dim: int, *, capacity: int = 1024) -> None:
        self.rows: dict[str, int] = {}
        """Row of each item that has a vector; scoring reads it directly."""
        self.vectors: F32 = np.zeros((capacity, dim), np.float32)
        """`(capacity, r)`."""
        self.pending: set[str] = set()
        """Items whose text is not encoded yet."""
        self.arrived = 0
        """How often a vector came for one of these."""
        self._free: list[int] = []

    def __len__(self) -> int:
        return len(self.rows)

    def __contains__(self, item: object) -> bool:
        return item in self.rows

    def put(self, item: str, vector: F32) -> None:
        """Add or replace one item."""
        row = self.rows.get(item)
        if row is None:
            row = self._free.pop() if self._free else len(self.rows)
            if row >= len(self.vectors):
                self.vectors = _longer(self.vectors, 2 * len(self.vectors))
            self.rows[item] = row
        self.vectors[row] = vector
        if item in self.pending:
            self.pending.discard(item)
            self.arrived += 1

    def wait(self, item: str) -> None:
        """Note that an item exists whose vector is still to come."""
        self.drop(item)
        self.pending.add(item)

    def drop(self, item: str) -> bool:
        """Forget an item."""
        self.pending.discard(item)
        row = self.rows.pop(item, None)
        if row is None:
            return False
        self.vectors[row] = 0.0
        self._free.append(row)
        return True


class Recent(Generic[K, V]):
    """The values that were used last, by key.

    Args:
        most: values kept.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[K, V] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: K) -> V | None:
        """A value, None when it is not there."""
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def get_all(self, keys: Sequence[K]) -> list[V | None]:
        """The values of keys, None where there is none."""
        get, use = self._values.get, self._values.move_to_end
        found = [get(key) for key in keys]
        for key, value in zip(keys, found, strict=True):
            if value is not None:
                use(key)
        return found

    def put(self, key: K, value: V) -> None:
        """Keep a value, and forget the one that was not used for longest."""
        self._values[key] = value
        self._values.move_to_end(key)
        if len(self._values) > self._most:
            self._values.popitem(last=False)

    def drop(self, key: K) -> None:
        """Forget a value."""
        self._values.pop(key, None)

    def clear(self) -> None:
        """Forget everything."""
        self._values.clear()


def _longer(array: Any, rows: int) -> Any:
    """A copy with more rows, zero at the end."""
    out = np.zeros((rows, *array.shape[1:]), array.dtype)
    out[: len(array)] = array
    return out
