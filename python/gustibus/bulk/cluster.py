"""The best candidates of everybody on a Ray cluster: the same files as on one machine, resumable.

A part is one row of a Ray dataset: its number, its people and their vectors. A task scores and
writes it under another name and renames it, so that a worker may die at any moment: Ray gives its
part to another one. The manifest is written by this process alone, as parts are told to be done.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from gustibus.bulk.parts import Candidates, Deal, Output, Told, checked_plan, write_part
from gustibus.bulk.session import cluster
from gustibus.data.files import require_pyarrow
from gustibus.models.base import PreferenceModel
from gustibus.types import F32, F64


def bulk_score_on_ray(
    model: PreferenceModel, *, digest: str, users: Sequence[str], means: F32 | F64,
    items: Sequence[str], representations: F32, output: Path, top: int = 10, parts: int = 64,
    address: str = "", told: Told | None = None,
) -> int:  # fmt: skip
    """Write the best candidates of everybody as `bulk_score` does, with the cores of a cluster.

    A run that was stopped may be gone on with here or there.

    Args:
        model: that scores.
        digest: of its folder.
        users: `p` different names.
        means: `(p, u)` user vectors.
        items: `n` names of candidates.
        representations: `(n, r)`.
        output: folder, which every machine of the cluster sees under the same name.
        top: candidates of each person, at most `n`.
        parts: files; as many tasks, so that there should be several for each core.
        address: of the cluster; by default the one of this process, or one that is begun here.
        told: is called with how far it has come, part by part.

    Returns:
        How many people were scored by this run.

    Raises:
        InputError: a number is out of range, the folder holds something else, or there is no cluster.
        MissingExtraError: Ray or pyarrow is not installed.
    """
    candidates = Candidates(items, representations)
    plan = checked_plan(
        digest=digest, users=users, means=means, candidates=candidates, top=top, parts=parts
    )
    with cluster(address) as ray:
        folder = Output(output.resolve(), plan)
        deal = Deal.of(users, parts)
        left = folder.left
        done = before = len(users) - sum(len(deal.rows(part)) for part in left)
        for part in _written(ray, model, candidates, folder, deal, users, means):
            done += len(deal.rows(part))
            folder.note(part)
            if told is not None:
                told(done, len(users))
        folder.clear()
    return done - before


def _written(
    ray: Any, model: PreferenceModel, candidates: Candidates, folder: Output, deal: Deal,
    users: Sequence[str], means: F32 | F64,
) -> Iterator[int]:  # fmt: skip
    """Numbers of parts, as they are written."""
    if not folder.left:
        return
    rows = [ray.put(_row(part, deal, users, means)) for part in folder.left]
    # What every task needs lies in the object store once a machine, and is read where it lies.
    shared = ray.put((model, candidates))
    told = ray.data.from_arrow_refs(rows).map_batches(
        _write, batch_size=1, batch_format="pyarrow", zero_copy_batch=True, num_cpus=1,
        fn_kwargs={"shared": shared, "folder": str(folder.folder), "top": folder.plan.top},
    )  # fmt: skip
    for row in told.iter_rows():
        yield int(row["part"])


def _row(part: int, deal: Deal, users: Sequence[str], means: F32 | F64) -> Any:
    """One part as a table of one row."""
    pa = require_pyarrow()
    rows = deal.rows(part)
    vectors = np.ascontiguousarray(means[rows]).ravel()
    return pa.table({
        "part": pa.array([part], pa.int64()),
        "users": pa.ListArray.from_arrays(
            pa.array([0, len(rows)], pa.int32()), pa.array([users[row] for row in rows], pa.string())
        ),
        "means": pa.LargeListArray.from_arrays(
            pa.array([0, len(vectors)], pa.int64()), pa.array(vectors)
        ),
    })  # fmt: skip


def _write(row: Any, *, shared: Any, folder: str, top: int) -> dict[str, Any]:
    """Write the part of a row, in a worker."""
    import ray

    model, candidates = ray.get(shared)
    part = row["part"][0].as_py()
    users = row["users"][0].as_py()
    means = row["means"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    with ThreadPoolExecutor(1) as pool:  # scores the next people while the last ones are written
        write_part(
            Path(folder), part, users=users, means=means.reshape(len(users), model.user_dim),
            model=model, candidates=candidates, top=top, pool=pool, ahead=2, told=lambda _: None,
        )  # fmt: skip
    return {"part": np.array([part])}
