"""Parts of Parquet in a folder, each there whole or not at all, and the manifest that lists them.

People are dealt to parts by a hash of their names, so that the same people give the same parts
wherever and in whatever order these are written.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from gustibus.bulk.best import Best, best_of_many
from gustibus.data.files import require_pyarrow
from gustibus.errors import InputError
from gustibus.models.base import PreferenceModel
from gustibus.types import F32, F64, I64

MANIFEST = "manifest.json"

Told = Callable[[int, int], None]
"""`(done, of)`: people or texts."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is written; another run goes on only with the same."""

    model: str
    """Digest."""
    candidates: str
    """Digest of their names and representations, in order."""
    people: str
    """Digest of names and user vectors."""
    top: int
    parts: int


class Candidates(NamedTuple):
    """What everybody is scored on."""

    items: Sequence[str]
    """`n` names."""
    representations: F32
    """`(n, r)`."""


def checked_plan(
    *, digest: str, users: Sequence[str], means: F32 | F64, candidates: Candidates, top: int,
    parts: int,
) -> Plan:  # fmt: skip
    """The plan of a run.

    Raises:
        InputError: a number is out of range, or not finite.
    """
    require_within("top", top, len(candidates.items))
    require_within("parts", parts, 10_000)
    for name, array in (("means", means), ("representations", candidates.representations)):
        if not np.isfinite(array).all():
            message = f"{name}: expected finite numbers, got NaN or infinity"
            raise InputError(message, where=name)
    return Plan(digest, _digest(*candidates), _digest(users, means), top, parts)


def require_within(name: str, value: int, most: int) -> None:
    """Refuse a number that is not from 1 to `most`."""
    if not 1 <= value <= most:
        message = f"{name}: expected a number from 1 to {most}, got {value}"
        raise InputError(message, where=name)


def _digest(names: Sequence[str], numbers: F32 | F64) -> str:
    digest = blake2b("\0".join(names).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(numbers).data)
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Deal:
    """Which people are in which part."""

    order: I64
    """`(p,)` rows of people, part by part."""
    edges: I64
    """`(parts + 1,)` places in `order`."""

    @classmethod
    def of(cls, users: Sequence[str], parts: int) -> Deal:
        """Deal people by their names."""
        part_of = np.fromiter((_part(name, parts) for name in users), np.int64, len(users))
        order = np.argsort(part_of, kind="stable")
        return cls(order, np.searchsorted(part_of[order], np.arange(parts + 1)))

    def rows(self, part: int) -> I64:
        """Rows of the people of a part."""
        return self.order[self.edges[part] : self.edges[part + 1]]


def _part(name: str, parts: int) -> int:
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big") % parts


@dataclass(slots=True)
class Output:
    """A folder of parts.

    Attributes:
        folder: it is made where there is none.
        plan: of the run.
        done: parts that are there.

    Raises:
        InputError: the folder holds something else, or was begun with another plan.
    """

    folder: Path
    plan: Plan
    done: set[int] = field(init=False)

    def __post_init__(self) -> None:
        """Find out what an earlier run has left."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.done = self._resume()

    @property
    def left(self) -> list[int]:
        """Parts that are still to be written."""
        return [part for part in range(self.plan.parts) if part not in self.done]

    def note(self, part: int | None = None) -> None:
        """Write the manifest, with one more part."""
        if part is not None:
            self.done.add(part)
        scratch = self.folder / f".{MANIFEST}"
        told = {"plan": asdict(self.plan), "done": sorted(self.done), "complete": not self.left}
        scratch.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        scratch.replace(self.folder / MANIFEST)

    def clear(self) -> None:
        """Remove what killed processes were writing."""
        for scratch in self.folder.glob(".part-*"):
            scratch.unlink(missing_ok=True)

    def _resume(self) -> set[int]:
        path = self.folder / MANIFEST
        if not path.is_file():
            if any(self.folder.iterdir()):
                message = f"output: {self.folder} holds something else than a bulk scoring"
                raise InputError(message, where="output")
            self.done = set()
            self.note()
            return self.done
        held: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        wrong = [
            name for name, value in asdict(self.plan).items()
            if held.get("plan", {}).get(name) != value
        ]  # fmt: skip
        if wrong:
            message = f"output: {self.folder} was begun with another {' and another '.join(wrong)}"
            raise InputError(message, where="output")
        self.clear()
        return {part for part in held["done"] if _path(self.folder, part).is_file()}


def _path(folder: Path, part: int) -> Path:
    return folder / f"part-{part:05}.parquet"


def write_part(
    folder: Path, part: int, *, users: Sequence[str], means: F32 | F64, model: PreferenceModel,
    candidates: Candidates, top: int, pool: Executor, ahead: int, told: Callable[[int], None],
) -> None:  # fmt: skip
    """Score the people of a part and write it.

    Args:
        folder: of the parts.
        part: number.
        users: `p` names.
        means: `(p, u)`.
        model: that scores.
        candidates: that are scored.
        top: candidates of each person.
        pool: that scores.
        ahead: chunks of people that are worked on at once.
        told: is called with how many of them are done.
    """
    done = 0
    chunks = best_of_many(pool, model, means, candidates.representations, top=top, ahead=ahead)
    with _Writer(folder, part, candidates.items) as writer:
        for count, best in chunks:
            writer.add(users[done : done + count], best)
            done += count
            told(done)


class _Writer:
    """One part, which is there whole or not at all."""

    def __init__(self, folder: Path, part: int, items: Sequence[str]) -> None:
        self._pa = require_pyarrow()
        self._items = self._pa.array(list(items), self._pa.string())
        self._target = _path(folder, part)
        # Processes of several machines may have one number, and write the same part after a fault.
        self._scratch = folder / f".part-{part:05}.{os.getpid()}.{secrets.token_hex(4)}"
        names = self._pa.dictionary(self._pa.int32(), self._pa.string())
        self._schema = self._pa.schema([
            ("user", self._pa.string()), ("items", self._pa.list_(names)),
            ("scores", self._pa.list_(self._pa.float32())),
        ])  # fmt: skip
        self._file = self._pa.parquet.ParquetWriter(
            self._scratch, self._schema, compression="zstd", use_dictionary=["items.list.element"]
        )

    def add(self, users: Sequence[str], best: Best) -> None:
        """Write people."""
        pa, (people, top) = self._pa, best.rows.shape
        starts = pa.array(np.arange(people + 1, dtype=np.int32) * top)
        names = pa.DictionaryArray.from_arrays(
            pa.array(best.rows.ravel().astype(np.int32)), self._items
        )
        scores = pa.array(best.scores.ravel().astype(np.float32))
        columns = [
            pa.array(users, pa.string()), pa.ListArray.from_arrays(starts, names),
            pa.ListArray.from_arrays(starts, scores),
        ]  # fmt: skip
        self._file.write_batch(pa.record_batch(columns, schema=self._schema))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._file.close()
        if kind is None:
            with self._scratch.open("rb") as file:
                os.fsync(file.fileno())
            self._scratch.replace(self._target)
        self._scratch.unlink(missing_ok=True)
