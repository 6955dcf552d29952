"""The best candidates of everybody on the cores of one machine, resumable."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gustibus.bulk.parts import (
    Candidates,
    Deal,
    Output,
    Told,
    checked_plan,
    require_within,
    write_part,
)
from gustibus.models.base import PreferenceModel
from gustibus.types import F32, F64


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
    require_within("threads", threads, 256)
    candidates = Candidates(items, representations)
    plan = checked_plan(
        digest=digest, users=users, means=means, candidates=candidates, top=top, parts=parts
    )
    folder = Output(output, plan)
    deal = Deal.of(users, parts)
    left = folder.left
    before = len(users) - sum(len(deal.rows(part)) for part in left)
    done = before

    def tell(more: int) -> None:
        if told is not None:
            told(done + more, len(users))

    with ThreadPoolExecutor(threads) as pool:
        for part in left:
            rows = deal.rows(part)
            write_part(
                output, part, users=[users[row] for row in rows], means=means[rows], model=model,
                candidates=candidates, top=top, pool=pool, ahead=threads + 1, told=tell,
            )  # fmt: skip
            done += len(rows)
            folder.note(part)
    return done - before
