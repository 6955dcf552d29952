"""The best candidates of many people: a part for each page of them, then one file of all parts."""

from __future__ import annotations

import os
import shutil
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gustibus.artifact import Artifact, People
from gustibus.bulk.candidates import read_candidates
from gustibus.bulk.parts import Candidates, write_part
from gustibus.data.files import require_pyarrow
from gustibus.errors import InputError
from gustibus.posterior import Posterior
from gustibus.service.aside.channel import Order, run
from gustibus.service.work.imports import source_of
from gustibus.store import (
    Connection,
    Store,
    deleted_among,
    find_vectors,
    items_with_tag,
    placed_page,
    places_of,
    restricted_among,
    training_forgotten,
    unknown_users,
)
from gustibus.types import F32

PAGE = 8192
"""People of a part."""
MOST = 100_000
"""Candidates of a job."""
_ROWS = 500  # items whose vectors are read at once


def score_everybody(order: Order) -> dict[str, Any]:
    """Write the best of all people, or of some, and say how many they were.

    A person is scored by the profile of the moment in which their part is made.

    Raises:
        InputError: a candidate has no vector, or the table of candidates is wrong.
    """
    artifact = order.model()
    with order.folder() as folder, order.store() as store:
        candidates = _candidates(order, artifact, store)
        top = min(int(order.params["top"]), len(candidates.items))
        _keep_parts(folder, candidates, top)
        crowd = _Crowd(artifact, store, order.params.get("users"))
        done, after, number = _made(folder)
        total = done + sum(len(users) for users, _ in crowd.pages(after))
        order.tell(done, total)
        work = _Work(folder, artifact, candidates, top)
        with ThreadPoolExecutor(work.threads) as pool:
            for page in crowd.pages(after):
                work.write(pool, number, page, partial(_tell, order, done, total))
                done, number = done + len(page.users), number + 1
            if number == 0:  # nobody
                empty = np.zeros((0, artifact.model.user_dim), np.float32)
                work.write(pool, 0, _Page([], empty), lambda _: None)
        people = _join(folder, order.file(".parquet"), store)
        shutil.rmtree(folder, ignore_errors=True)
    order.tell(done, max(done, total))
    return {
        "people": people, "candidates": len(candidates.items), "top": top,
        "bytes": order.file(".parquet").stat().st_size, "model": artifact.digest,
    }  # fmt: skip


def _tell(order: Order, before: int, total: int, more: int) -> None:
    order.tell(before + more, total)


def _candidates(order: Order, artifact: Artifact, store: Store) -> Candidates:
    """Names and representations of what everybody is scored on."""
    params = order.params
    if "file" in params:
        path = source_of(order.settings.import_folder, params["file"])
        scorer = order.scorer(artifact)
        return read_candidates(scorer, path, prompt=params.get("prompt", ""), most=MOST)
    with store.read() as conn:
        names = params["items"] if "items" in params else items_with_tag(conn, tag=params["tag"])
        found: dict[str, F32] = {}
        for start in range(0, len(names), _ROWS):
            part = names[start : start + _ROWS]
            found |= find_vectors(conn, found=part, model=artifact.digest)
    waiting = [name for name in names if name not in found]
    if waiting:
        message = f"{len(waiting)} items have no vector under the model, such as {waiting[0]!r}"
        raise InputError(message, where="items")
    if not 0 < len(names) <= MOST:
        message = f"items: expected from 1 to {MOST} candidates, got {len(names)}"
        raise InputError(message, where="items")
    return Candidates(names, np.stack([found[name] for name in names]))


def _keep_parts(folder: Path, candidates: Candidates, top: int) -> None:
    """Keep the parts that an earlier process made of the same candidates, and remove others."""
    digest = blake2b("\0".join(candidates.items).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(candidates.representations).data)
    plan, now = folder / "plan", f"{digest.hexdigest()} {top}"
    if not plan.is_file() or plan.read_text() != now:
        for part in folder.glob("*part-*"):
            part.unlink()
        plan.write_text(now)
    for left in folder.glob(".part-*"):  # what a killed process was writing
        left.unlink()


class _Page(NamedTuple):
    users: list[str]
    means: F32
    """`(n, u)`."""


class _Work(NamedTuple):
    """What every part is made with."""

    folder: Path
    artifact: Artifact
    candidates: Candidates
    top: int

    @property
    def threads(self) -> int:
        """That score."""
        return os.cpu_count() or 1

    def write(self, pool: Executor, number: int, page: _Page, told: Callable[[int], None]) -> None:
        """One part."""
        write_part(
            self.folder, number, users=page.users, means=page.means, model=self.artifact.model,
            candidates=self.candidates, top=self.top, pool=pool, ahead=self.threads + 1, told=told,
        )  # fmt: skip


class _Crowd:
    """People in the order of their names, a page at a time, in memory that does not grow with them.

    Args:
        artifact: the model with the people of its training.
        store: whose profiles win over those.
        named: whom alone is asked for, None for everybody who has answered.
    """

    def __init__(self, artifact: Artifact, store: Store, named: Sequence[str] | None) -> None:
        self._people: People = artifact.people
        self._digest = artifact.digest
        self._population: F32 = Posterior.from_prior(artifact.model.prior).mean.astype(np.float32)
        self._store = store
        self._named = None if named is None else sorted(set(named))
        self._trained = sorted(artifact.people.ids)

    def pages(self, after: str) -> Iterator[_Page]:
        """Those behind a name."""
        while True:
            with self._store.read() as conn:
                last, page = self._page(conn, after)
            if page.users:
                yield page
            if not last:
                return
            after = last

    def _page(self, conn: Connection, after: str) -> tuple[str, _Page]:
        """The next page, and the name to go on behind; empty when nobody is left."""
        if self._named is not None:
            names = _behind(self._named, after)
            placed = places_of(conn, users=names, model=self._digest)
        else:
            placed = placed_page(conn, model=self._digest, after=after, limit=PAGE)
            names = sorted({*placed.users, *_behind(self._trained, after)})[:PAGE]
        rows = {user: row for row, user in enumerate(placed.users)}
        others = [name for name in names if name not in rows]
        gone = training_forgotten(conn, users=others) | deleted_among(conn, users=others)
        absent = unknown_users(conn, users=others) if self._named is not None else set()
        withheld = restricted_among(conn, users=others)
        users: list[str] = []
        means: list[F32] = []
        for name in names:
            row, trained = rows.get(name), self._people.rows.get(name)
            if row is not None and placed.counts[row]:
                mean = placed.means[row]
            elif name in withheld:
                continue
            elif row is None and trained is not None and name not in gone:
                mean = self._people.means[trained]
            elif self._named is not None and name not in absent:
                mean = self._population
            else:
                continue
            users.append(name)
            means.append(mean)
        last = names[-1] if len(names) == PAGE else ""
        return last, _Page(users, np.stack(means) if means else np.zeros((0, 0), np.float32))


def _behind(names: Sequence[str], after: str) -> Sequence[str]:
    start = bisect_right(names, after)
    return names[start : start + PAGE]


def _made(folder: Path) -> tuple[int, str, int]:
    """What parts that are there hold: how many people, the name of the last, and how many they are."""
    pa = require_pyarrow()
    done, after, number = 0, "", 0
    while (path := folder / f"part-{number:05}.parquet").is_file():
        with pa.parquet.ParquetFile(path) as file:
            users = file.read(columns=["user"])["user"]
        done, number = done + len(users), number + 1
        after = users[-1].as_py() if len(users) else after
    return done, after, number


def _join(folder: Path, target: Path, store: Store) -> int:
    """Make one file of the parts without who is deleted or restricted by now; how many people it holds."""
    pa = require_pyarrow()
    scratch, people = folder / "joined", 0
    parts = sorted(folder.glob("part-*.parquet"))
    schema = pa.parquet.read_schema(parts[0])
    with pa.parquet.ParquetWriter(
        scratch, schema, compression="zstd", use_dictionary=["items.list.element"]
    ) as writer:
        for table in _tables(parts):
            users = table["user"].to_pylist()
            with store.read() as conn:
                gone = deleted_among(conn, users=users) | restricted_among(conn, users=users)
            if gone:
                table = table.filter(pa.array([user not in gone for user in users]))
            people += len(table)
            writer.write_table(table)
    with scratch.open("rb") as written:
        os.fsync(written.fileno())
    scratch.replace(target)
    return people


def _tables(parts: Sequence[Path]) -> Iterator[Any]:
    """Parts by groups of rows: lists of names are read back a group at a time alone."""
    pa = require_pyarrow()
    for part in parts:
        with pa.parquet.ParquetFile(part) as file:
            for group in range(file.num_row_groups):
                yield file.read_row_group(group)


if __name__ == "__main__":
    run(score_everybody)
