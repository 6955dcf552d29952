"""The picture of neighbours: the same every time, made aside, and stopped when nobody wants it."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from gustibus.errors import MissingExtraError
from gustibus.service.embedding import LEAST, embed, embed_aside


def crowds(count, dim, *, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((count, dim)) + 8 * (np.arange(count) % 2)[:, None]


def test_a_picture_made_aside_is_the_one_made_here_and_keeps_crowds_apart():
    vectors = crowds(40, 5)
    found = asyncio.run(embed_aside(vectors))
    assert found.shape == (40, 2)
    np.testing.assert_array_equal(found, asyncio.run(embed_aside(vectors)))
    far = np.linalg.norm(found[:, None] - found[None], axis=2) + 1e9 * np.eye(40)
    assert (far.argmin(axis=1) % 2 == np.arange(40) % 2).all()


@pytest.mark.parametrize("dim", [0, 1, 2])
def test_few_people_and_few_directions_have_a_picture_too(dim):
    found = embed(crowds(LEAST, dim))
    assert found.shape == (LEAST, 2)
    assert np.isfinite(found).all()
    assert bool(found.any()) == (dim > 0)  # without a direction all are alike


def children() -> set[str]:
    pid = os.getpid()
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return {child for task in tasks for child in task.read_text().split()}


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for processes in /proc")
def test_a_picture_that_nobody_wants_any_more_is_not_made():
    async def stop() -> None:
        before = children()
        making = asyncio.create_task(embed_aside(crowds(4000, 8)))
        while not children() - before:  # noqa: ASYNC110 - another process sets no event
            await asyncio.sleep(0.01)
        making.cancel()
        with pytest.raises(asyncio.CancelledError):
            await making
        assert not children() - before

    asyncio.run(asyncio.wait_for(stop(), 60))


def test_what_is_missing_is_said_with_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.manifold", None)
    for make in (embed, lambda vectors: asyncio.run(embed_aside(vectors))):
        with pytest.raises(MissingExtraError, match=r"pip install 'gustibus\[maps\]'"):
            make(crowds(20, 3))
