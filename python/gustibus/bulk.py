"""The best candidates of everybody, as Parquet: in parts, in memory that does not grow, resumable.

People are dealt to parts by a hash of their names. A part is written under another name and renamed
when it is whole; a manifest lists the parts that are there, so that a run which was stopped goes on
with the next one. Ranks are exact: equal scores keep the candidate that was given first.
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from gustibus.data.files import require_pyarrow
from gustibus.errors import InputError
from gustibus.models.base import PreferenceModel
from gustibus.types import F32, F64, I64

_CHUNK = 2048  # people whose scores are in memory at once, for each thread
MANIFEST = "manifest.json"

Told = Callable[[int, int], None]
"""`(people done, people)`."""


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


class Best(NamedTuple):
    """The best candidates of some people, the best first."""

    rows: I64
    """`(p, top)` of the candidates."""
    scores: F64
    """`(p, top)` rewards in log-odds."""


def best_of(model: PreferenceModel, users: F64, representations: F32, *, top: int) -> Best:
    """The best `top` of `(n, r)` candidates for each of `(p, u)` people."""
    scores = np.atleast_2d(model.utility(users, representations))  # (p, n)
    people, n = scores.shape
    edge = np.partition(scores, n - top, axis=1)[:, n - top : n - top + 1]
    within = scores >= edge
    for row in np.flatnonzero(within.sum(axis=1) > top):  # equal scores at the edge: the first stay
        order = np.argsort(-scores[row], kind="stable")
        within[row] = False
        within[row, order[:top]] = True
    rows = np.nonzero(within)[1].reshape(people, top)
    found = np.take_along_axis(scores, rows, axis=1)
    order = np.argsort(-found, axis=1, kind="stable")
    return Best(np.take_along_axis(rows, order, axis=1), np.take_along_axis(found, order, axis=1))


def bulk_score(
    model: PreferenceModel, *, digest: str, users: Sequence[str], means: F32 | F64,
    items: Sequence[str], representations: F32, output: Path, top: int = 10, parts: int = 64,
    threads: int = 2, told: Told | None = None,
) -> int:  # fmt: skip
    """Write the best candidates of everybody into a folder, or what is left of an earlier run.

    A row of the output is a person with the names and the scores of their best candidates, in the
    columns `user`, `items` and `scores`.

    Args:
        model: that scores.
        digest: of its folder.
        users: `p` different names.
        means: `(p, u)` user vectors.
        items: `n` names of candidates.
        representations: `(n, r)`.
        output: folder; it is made where there is none.
        top: candidates of each person, at most `n`.
        parts: files.
        threads: that score.
        told: is called with how far it has come.

    Returns:
        How many people were scored by this run.

    Raises:
        InputError: a number is out of range, or the folder holds something else.
        MissingExtraError: pyarrow is not installed.
    """
    _check(len(items), top, parts, threads, means, representations)
    plan = Plan(digest, _digest(items, representations), _digest(users, means), top, parts)
    output.mkdir(parents=True, exist_ok=True)
    done = _resume(output, plan)
    part_of = np.fromiter((_part(name, parts) for name in users), np.int64, len(users))
    order = np.argsort(part_of, kind="stable")
    edges = np.searchsorted(part_of[order], np.arange(parts + 1))
    seen = sum(int(edges[part + 1] - edges[part]) for part in done)
    fresh = 0
    with ThreadPoolExecutor(threads) as pool:
        for part in range(parts):
            if part in done:
                continue
            rows = order[edges[part] : edges[part + 1]]
            scored = _scored(pool, model, means, rows, representations, top, ahead=threads + 1)
            with _Writer(output, part, items) as writer:
                for chunk, best in scored:
                    writer.add([users[row] for row in chunk], best)
                    fresh += len(chunk)
                    if told is not None:
                        told(seen + fresh, len(users))
            done.add(part)
            _note(output, plan, done)
    return fresh


def _check(
    n: int, top: int, parts: int, threads: int, means: F32 | F64, representations: F32
) -> None:
    for name, value, most in (("top", top, n), ("parts", parts, 10_000), ("threads", threads, 256)):
        if not 1 <= value <= most:
            message = f"{name}: expected a number from 1 to {most}, got {value}"
            raise InputError(message, where=name)
    for name, array in (("means", means), ("representations", representations)):
        if not np.isfinite(array).all():
            message = f"{name}: expected finite numbers, got NaN or infinity"
            raise InputError(message, where=name)


def _digest(names: Sequence[str], numbers: F32 | F64) -> str:
    digest = blake2b("\0".join(names).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(numbers).data)
    return digest.hexdigest()


def _part(name: str, parts: int) -> int:
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big") % parts


def _scored(
    pool: ThreadPoolExecutor, model: PreferenceModel, means: F32 | F64, rows: I64,
    representations: F32, top: int, *, ahead: int,
) -> Iterator[tuple[I64, Best]]:  # fmt: skip
    """Chunks of people with their best candidates, in order; a few are worked on ahead."""
    waiting: deque[tuple[I64, Future[Best]]] = deque()
    for start in range(0, len(rows), _CHUNK):
        chunk = rows[start : start + _CHUNK]
        vectors = np.asarray(means[chunk], np.float64)
        waiting.append((chunk, pool.submit(best_of, model, vectors, representations, top=top)))
        if len(waiting) >= ahead:
            first, future = waiting.popleft()
            yield first, future.result()
    while waiting:
        first, future = waiting.popleft()
        yield first, future.result()


class _Writer:
    """One part, which is there whole or not at all."""

    def __init__(self, output: Path, part: int, items: Sequence[str]) -> None:
        self._pa = require_pyarrow()
        self._items = self._pa.array(list(items), self._pa.string())
        self._target = output / f"part-{part:05}.parquet"
        self._scratch = output / f".part-{part:05}.{os.getpid()}"
        names = self._pa.dictionary(self._pa.int32(), self._pa.string())
        self._schema = self._pa.schema([
            ("user", self._pa.string()), ("items", self._pa.list_(names)),
            ("scores", self._pa.list_(self._pa.float32())),
        ])  # fmt: skip
        self._file = self._pa.parquet.ParquetWriter(
            self._scratch, self._schema, compression="zstd", use_dictionary=["items.list.element"]
        )

    def add(self, users: list[str], best: Best) -> None:
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


def _resume(output: Path, plan: Plan) -> set[int]:
    """Parts that are there; what a killed run was writing is removed.

    Raises:
        InputError: the folder holds something else, or was made of something else.
    """
    path = output / MANIFEST
    if not path.is_file():
        if any(output.iterdir()):
            message = f"output: {output} holds something else than a bulk scoring"
            raise InputError(message, where="output")
        _note(output, plan, set())
        return set()
    held: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    wrong = [
        name for name, value in asdict(plan).items() if held.get("plan", {}).get(name) != value
    ]
    if wrong:
        message = f"output: {output} was begun with another {' and another '.join(wrong)}"
        raise InputError(message, where="output")
    for scratch in output.glob(".part-*"):
        scratch.unlink()
    return {part for part in held["done"] if (output / f"part-{part:05}.parquet").is_file()}


def _note(output: Path, plan: Plan, done: set[int]) -> None:
    scratch = output / f".{MANIFEST}"
    told = {"plan": asdict(plan), "done": sorted(done), "complete": len(done) == plan.parts}
    scratch.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    scratch.replace(output / MANIFEST)
